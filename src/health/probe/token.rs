//! Shared access signatures, which Azure's brokers take for a password: made anew for each connection, so that none
//! expires.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{HMAC_SHA256, Key, sign};

/// The token that gives access to `resource` until `expires`, seconds since 1970.
///
/// The key is written in base64, and `policy` is the name of the shared access policy that it is of; the key of a device
/// is of none.
///
/// # Errors
/// Why there is none; the sentence says nothing of the key.
pub(super) fn shared_access(key: &[u8], resource: &str, policy: Option<&str>, expires: u64) -> Result<String, String> {
    let key = STANDARD.decode(key).map_err(|_| "the shared access key is not written in base64".to_owned())?;
    if key.is_empty() {
        return Err("the shared access key is empty".to_owned());
    }
    let resource = escaped(resource);
    let signature = sign(&Key::new(HMAC_SHA256, &key), format!("{resource}\n{expires}").as_bytes());
    let signature = escaped(&STANDARD.encode(signature));
    let policy = policy.map(|policy| format!("&skn={}", escaped(policy))).unwrap_or_default();
    Ok(format!("SharedAccessSignature sr={resource}&sig={signature}&se={expires}{policy}"))
}

/// With everything escaped that is not unreserved in a URI (RFC 3986 2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for octet in text.bytes() {
        match octet {
            b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(octet)),
            _ if octet.is_ascii_alphanumeric() => escaped.push(char::from(octet)),
            _ => escaped.push_str(&format!("%{octet:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signatures were made with python3: `hmac.new(b64decode(key), msg, sha256)`, `quote(…, safe="")`.
    #[test]
    fn a_token_is_what_other_implementations_make() {
        let check = |resource: &str, policy, expected: &str| {
            assert_eq!(shared_access(b"c2VjcmV0IG9mIGEgY2FuYXJ5", resource, policy, 1_800_000_000).unwrap(), expected);
        };
        check("h.azure-devices.net/devices/canary", None, DEVICE);
        check("h.azure-devices.net", Some("a policy"), POLICY);
    }

    #[test]
    fn a_key_that_is_none_is_not_repeated() {
        let check = |key: &str, expected: &str| {
            assert_eq!(shared_access(key.as_bytes(), "r", None, 1).unwrap_err(), expected);
        };
        check("s3cret!", "the shared access key is not written in base64");
        check("", "the shared access key is empty");
    }

    const DEVICE: &str = "SharedAccessSignature sr=h.azure-devices.net%2Fdevices%2Fcanary&sig=Zb3uic%2FJG2Umc0Pat%2FSrRcuQHIdgar%2FZY%2BMw%2FEinmNs%3D&se=1800000000";
    const POLICY: &str = "SharedAccessSignature sr=h.azure-devices.net&sig=VDkqGE31P04U4P7nW%2BRcUajDHRLngNWDD6SLFvo6rXw%3D&se=1800000000&skn=a%20policy";
}
