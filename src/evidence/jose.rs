//! Signatures as JOSE writes them: JWS (RFC 7515) with EdDSA (RFC 8037), JWK sets (RFC 7517).

use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

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
    /// Signs with this key, in PKCS#8.
    pub(super) fn new(pkcs8: &[u8]) -> io::Result<Self> {
        let key = Ed25519KeyPair::from_pkcs8(pkcs8)
            .map_err(|error| io::Error::other(format!("the evidence key is no Ed25519 key in PKCS#8: {error}")))?;
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

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(Signer::new(b"").is_err());
        assert!(Signer::new(&[0x30; 83]).is_err());
    }
}
