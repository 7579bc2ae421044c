//! Signatures as JOSE writes them: JWS (RFC 7515) with EdDSA (RFC 8037), JWK sets (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

/// How a PEM text begins, after whatever stands before it.
const PEM: &[u8] = b"-----BEGIN ";

/// The type of what is signed (RFC 8725 3.11): a signature over anything else is not evidence.
const TYPE: &str = "concierge-hub";

/// Signs with one key.
#[derive(Debug)]
pub(super) struct Signer {
    key: Ed25519KeyPair,
    /// The protected header in base64url.
    header: String,
    /// The JWK set.
    keys: String,
}

/// A signed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// JWS Compact Serialization without the payload (RFC 7515 appendix F).
    pub(super) detached: String,
    /// JWS Compact Serialization (RFC 7515 7.1).
    pub(super) compact: String,
}

impl Signer {
    /// Signs with this key, in PKCS#8 (RFC 5958) of either version, as DER or as PEM (RFC 7468).
    ///
    /// # Errors
    /// What the octets are not, to follow "the key is".
    pub(super) fn new(octets: &[u8]) -> Result<Self, String> {
        let named = |error: &dyn std::fmt::Display| format!("no Ed25519 private key in PKCS#8, DER or PEM: {error}");
        let key = if octets.windows(PEM.len()).any(|window| window == PEM) {
            let der = PrivatePkcs8KeyDer::from_pem_slice(octets).map_err(|error| named(&error))?;
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
        } else {
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(octets)
        };
        let key = key.map_err(|error| named(&error))?;
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let kid = thumbprint(&x);
        let header = json!({ "alg": "EdDSA", "kid": kid, "typ": TYPE }).to_string();
        let keys =
            json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": "EdDSA", "use": "sig" }] });
        Ok(Self { key, header: URL_SAFE_NO_PAD.encode(header), keys: keys.to_string() })
    }

    /// The JWK set with the public key.
    pub(super) fn keys(&self) -> &str {
        &self.keys
    }

    /// Signs these octets.
    pub(super) fn sign(&self, payload: &[u8]) -> Signature {
        let header = &self.header;
        let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(input.as_bytes()));
        Signature { detached: format!("{header}..{signature}"), compact: format!("{input}.{signature}") }
    }
}

/// The JWK thumbprint of an Ed25519 key (RFC 7638, RFC 8037 2).
fn thumbprint(x: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    /// RFC 8037 appendix A.3.
    #[test]
    fn the_thumbprint_of_the_rfcs_key() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert_eq!(thumbprint(x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    /// RFC 8037 appendix A.4: the key and the payload of the RFC; its header has `alg` alone, so that the signature is
    /// another one.
    #[test]
    fn the_rfcs_key_makes_the_rfcs_signature() {
        let decode = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
        let seed = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        let key =
            Ed25519KeyPair::from_seed_and_public_key(&seed, &decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA"}"#);
        let signer = Signer { key: key.unwrap(), header, keys: String::new() };
        assert_eq!(
            signer.sign(b"Example of Ed25519 signing").compact,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbh\
             ijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn what_is_signed_can_be_verified_with_the_key_that_is_published() {
        let signer = Signer::new(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap();
        let keys: serde_json::Value = serde_json::from_str(signer.keys()).unwrap();
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let key = UnparsedPublicKey::new(&ED25519, decode(keys["keys"][0]["x"].as_str().unwrap()));
        let Signature { detached, compact } = signer.sign(b"{\"epoch\":42}");
        let (input, signature) = compact.rsplit_once('.').unwrap();
        key.verify(input.as_bytes(), &decode(signature)).unwrap();
        let (header, payload) = input.split_once('.').unwrap();
        assert_eq!(decode(payload), b"{\"epoch\":42}");
        assert_eq!(detached, format!("{header}..{signature}"));
        let header: serde_json::Value = serde_json::from_slice(&decode(header)).unwrap();
        assert_eq!(header, json!({ "alg": "EdDSA", "kid": keys["keys"][0]["kid"], "typ": "concierge-hub" }));
        key.verify(input.replace("IjoZ", "IjoY").as_bytes(), &decode("AAAA")).unwrap_err();
    }

    /// The key of RFC 8410 10.3, in PKCS#8 version 1 as openssl makes it, and its public key of 10.1.
    #[test]
    fn a_key_of_version_1_and_its_pem_are_one() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";
        let x = URL_SAFE_NO_PAD.encode([
            0x19, 0xbf, 0x44, 0x09, 0x69, 0x84, 0xcd, 0xfe, 0x85, 0x41, 0xba, 0xc1, 0x67, 0xdc, 0x3b, 0x96, 0xc8, 0x50,
            0x86, 0xaa, 0x30, 0xb6, 0xb6, 0xcb, 0x0c, 0x5c, 0x38, 0xad, 0x70, 0x31, 0x66, 0xe1,
        ]);
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        for key in [pem.as_bytes(), format!("# hubs\n{pem}").as_bytes(), der.secret_pkcs8_der()] {
            assert!(Signer::new(key).unwrap().keys().contains(&format!("\"x\":\"{x}\"")));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                   -----END PUBLIC KEY-----\n";
        for octets in [b"".as_slice(), &[0x30; 83], b"-----BEGIN PRIVATE KEY-----\n", pem.as_bytes()] {
            let error = Signer::new(octets).unwrap_err();
            assert!(error.starts_with("no Ed25519 private key in PKCS#8, DER or PEM: "), "{error}");
        }
    }
}
