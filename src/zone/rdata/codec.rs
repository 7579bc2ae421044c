//! Octets as text and back: base 16, 32 and 64 (RFC 4648) and the escapes of RFC 1035 5.1.

use std::fmt::Write as _;

/// Collects the digits of a number to a power-of-two base, from one word or several.
#[derive(Debug)]
pub(super) struct Decoder {
    bits_per_digit: u32,
    pending: u32,
    pending_bits: u32,
    digits: usize,
    padding: usize,
}

impl Decoder {
    pub(super) fn base16() -> Self {
        Self { bits_per_digit: 4, pending: 0, pending_bits: 0, digits: 0, padding: 0 }
    }

    /// The extended hex alphabet without padding, as NSEC3 uses it (RFC 5155 3.3).
    pub(super) fn base32() -> Self {
        Self { bits_per_digit: 5, ..Self::base16() }
    }

    pub(super) fn base64() -> Self {
        Self { bits_per_digit: 6, ..Self::base16() }
    }

    /// Appends the octets that `text` completes; `None` when a character is no digit of the base.
    pub(super) fn decode(&mut self, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        for octet in text {
            if *octet == b'=' && self.bits_per_digit == 6 {
                self.padding += 1;
                continue;
            }
            if self.padding > 0 {
                return None;
            }
            self.pending = self.pending << self.bits_per_digit | self.digit(*octet)?;
            self.pending_bits += self.bits_per_digit;
            self.digits += 1;
            if self.pending_bits >= 8 {
                self.pending_bits -= 8;
                out.push((self.pending >> self.pending_bits) as u8);
                self.pending &= (1 << self.pending_bits) - 1;
            }
        }
        Some(())
    }

    fn digit(&self, octet: u8) -> Option<u32> {
        let value = match (self.bits_per_digit, octet) {
            (4 | 5, b'0'..=b'9') => octet - b'0',
            (4, b'a'..=b'f' | b'A'..=b'F') => octet.to_ascii_lowercase() - b'a' + 10,
            (5, b'a'..=b'v' | b'A'..=b'V') => octet.to_ascii_lowercase() - b'a' + 10,
            (6, b'A'..=b'Z') => octet - b'A',
            (6, b'a'..=b'z') => octet - b'a' + 26,
            (6, b'0'..=b'9') => octet - b'0' + 52,
            (6, b'+') => 62,
            (6, b'/') => 63,
            _ => return None,
        };
        Some(u32::from(value))
    }

    /// Whether the digits make whole octets: no bits left over, and for base 64 the padding that belongs there.
    pub(super) fn is_complete(&self) -> bool {
        let padding = match (self.bits_per_digit, self.digits % 4) {
            (6, 1) => return false,
            (6, 2) => 2,
            (6, 3) => 1,
            _ => 0,
        };
        self.pending_bits < self.bits_per_digit && self.pending == 0 && self.padding == padding
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        let _ = write!(text, "{octet:02X}");
        text
    })
}

pub(super) fn base32(octets: &[u8]) -> String {
    encode(octets, 5, b"0123456789ABCDEFGHIJKLMNOPQRSTUV")
}

pub(super) fn base64(octets: &[u8]) -> String {
    let mut text = encode(octets, 6, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn encode(octets: &[u8], bits_per_digit: u32, alphabet: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 8 / bits_per_digit as usize + 4);
    let (mut pending, mut bits) = (0_u32, 0);
    let mask = (1_u32 << bits_per_digit) - 1;
    for octet in octets {
        pending = (pending << 8 | u32::from(*octet)) & 0xffff;
        bits += 8;
        while bits >= bits_per_digit {
            bits -= bits_per_digit;
            text.push(char::from(alphabet[(pending >> bits & mask) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(alphabet[(pending << (bits_per_digit - bits) & mask) as usize]));
    }
    text
}

/// Appends `raw` with `\X` and `\DDD` resolved; the offset of an escape that is neither.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    let mut at = 0;
    while let Some(octet) = raw.get(at) {
        if *octet != b'\\' {
            out.push(*octet);
            at += 1;
            continue;
        }
        match raw[at + 1..] {
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
                let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
                out.push(u8::try_from(value).map_err(|_| at)?);
                at += 4;
            }
            [b'0'..=b'9', ..] | [] => return Err(at),
            [other, ..] => {
                out.push(other);
                at += 2;
            }
        }
    }
    Ok(())
}

/// Appends `octets` in quotes, so that [`unescape`] gives them back.
pub(super) fn quote(octets: &[u8], text: &mut String) {
    text.push('"');
    for octet in octets {
        match octet {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*octet));
            }
            b' '..=b'~' => text.push(char::from(*octet)),
            other => {
                let _ = write!(text, "\\{other:03}");
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 4648 10.
    #[test]
    fn rfc4648_vectors() {
        let check = |plain: &str, b16: &str, b32: &str, b64: &str| {
            assert_eq!(
                (hex(plain.as_bytes()).as_str(), base32(plain.as_bytes()).as_str(), base64(plain.as_bytes()).as_str()),
                (b16, b32, b64)
            );
            for (mut decoder, text) in [(Decoder::base16(), b16), (Decoder::base32(), b32), (Decoder::base64(), b64)] {
                let mut out = Vec::new();
                assert_eq!(decoder.decode(text.as_bytes(), &mut out), Some(()));
                assert!(decoder.is_complete(), "{text}");
                assert_eq!(out, plain.as_bytes());
            }
        };
        check("", "", "", "");
        check("f", "66", "CO", "Zg==");
        check("fo", "666F", "CPNG", "Zm8=");
        check("foo", "666F6F", "CPNMU", "Zm9v");
        check("foob", "666F6F62", "CPNMUOG", "Zm9vYg==");
        check("fooba", "666F6F6261", "CPNMUOJ1", "Zm9vYmE=");
        check("foobar", "666F6F626172", "CPNMUOJ1E8", "Zm9vYmFy");
    }

    #[test]
    fn incomplete_or_foreign_digits_are_refused() {
        let check = |mut decoder: Decoder, text: &str| {
            let complete = decoder.decode(text.as_bytes(), &mut Vec::new()).is_some() && decoder.is_complete();
            assert!(!complete, "{text}");
        };
        check(Decoder::base16(), "abc");
        check(Decoder::base16(), "xy");
        check(Decoder::base32(), "C");
        check(Decoder::base32(), "CP");
        check(Decoder::base64(), "Zg");
        check(Decoder::base64(), "Zg=");
        check(Decoder::base64(), "Zh==");
        check(Decoder::base64(), "Z===");
        check(Decoder::base64(), "Zg==Zg==");
        check(Decoder::base64(), "Zm9v=");
    }
}
