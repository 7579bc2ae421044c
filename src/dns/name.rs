//! A domain name in uncompressed wire form, case kept, compared without it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// An absolute domain name: at most 255 octets in wire form, labels of 1 to 63 octets (RFC 1035 2.3.4).
///
/// Keeps the case it was written in and compares without it (RFC 4343). The order is the canonical one of
/// RFC 4034 6.1: by labels from the right, so that a name sorts directly before everything below it.
#[derive(Clone)]
pub struct Name {
    wire: Box<[u8]>,
}

/// Why a text or a run of octets is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("empty name")]
    Empty,
    /// Two dots in a row, or a leading dot.
    #[error("empty label in the name")]
    EmptyLabel,
    /// A label of more than 63 octets.
    #[error("label longer than 63 octets")]
    LabelTooLong,
    /// More than 255 octets in wire form.
    #[error("name longer than 255 octets")]
    TooLong,
    /// A backslash that neither quotes one character nor three digits up to 255.
    #[error("bad escape in the name, expected `\\.` or `\\DDD` with DDD at most 255")]
    BadEscape,
    /// No final dot, and no origin to complete the name with.
    #[error("relative name where no origin is known")]
    Relative,
    /// Octets that end inside a label, or a label type other than a plain one.
    #[error("malformed name")]
    Malformed,
}

impl Name {
    /// The root of the name space.
    pub fn root() -> Self {
        Self { wire: Box::new([0]) }
    }

    /// Reads presentation format (RFC 1035 5.1). A name without a final dot is completed with `origin`;
    /// `@` alone is the origin itself.
    ///
    /// # Errors
    /// Says what is wrong with the text; [`NameError::Relative`] when it needs an origin and has none.
    pub fn parse(text: &str, origin: Option<&Name>) -> Result<Self, NameError> {
        Self::parse_bytes(text.as_bytes(), origin)
    }

    /// [`Name::parse`] for text that need not be UTF-8.
    ///
    /// # Errors
    /// As [`Name::parse`].
    pub fn parse_bytes(text: &[u8], origin: Option<&Name>) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2 + origin.map_or(0, |origin| origin.wire.len()));
        Self::append_parsed(text, origin, &mut wire)?;
        Ok(Self { wire: wire.into_boxed_slice() })
    }

    /// [`Name::parse_bytes`] in uncompressed wire form to the end of `wire`, where on an error something may be left.
    ///
    /// # Errors
    /// As [`Name::parse`].
    pub(crate) fn append_parsed(text: &[u8], origin: Option<&Name>, wire: &mut Vec<u8>) -> Result<(), NameError> {
        let start = wire.len();
        match text {
            b"" => return Err(NameError::Empty),
            b"." => {
                wire.push(0);
                return Ok(());
            }
            b"@" => {
                wire.extend_from_slice(&origin.ok_or(NameError::Relative)?.wire);
                return Ok(());
            }
            _ => {}
        }
        let mut rest = text;
        loop {
            let label = wire.len();
            wire.push(0);
            loop {
                let plain = rest.iter().position(|octet| matches!(octet, b'.' | b'\\')).unwrap_or(rest.len());
                wire.extend_from_slice(&rest[..plain]);
                rest = &rest[plain..];
                let [b'\\', escaped @ ..] = rest else { break };
                let octet;
                (octet, rest) = unescape(escaped).ok_or(NameError::BadEscape)?;
                wire.push(octet);
            }
            close_label(wire, label)?;
            match rest {
                [] => {
                    wire.extend_from_slice(&origin.ok_or(NameError::Relative)?.wire);
                    break;
                }
                [_] => {
                    wire.push(0);
                    break;
                }
                [_, labels @ ..] => rest = labels,
            }
        }
        if wire.len() - start > 255 { Err(NameError::TooLong) } else { Ok(()) }
    }

    /// Takes uncompressed wire form, exactly one name.
    ///
    /// # Errors
    /// [`NameError::Malformed`] for anything else, compression pointers included.
    pub fn from_wire(octets: &[u8]) -> Result<Self, NameError> {
        let (name, used) = Self::from_wire_prefix(octets)?;
        if used == octets.len() { Ok(name) } else { Err(NameError::Malformed) }
    }

    /// Takes the uncompressed name at the start of `octets` and says how many octets it used.
    ///
    /// # Errors
    /// [`NameError::Malformed`] when there is none.
    pub fn from_wire_prefix(octets: &[u8]) -> Result<(Self, usize), NameError> {
        let mut at = 0;
        loop {
            let length = usize::from(*octets.get(at).ok_or(NameError::Malformed)?);
            if length > 63 {
                return Err(NameError::Malformed);
            }
            at += 1 + length;
            if at > 255 {
                return Err(NameError::TooLong);
            }
            if length == 0 {
                return Ok((Self { wire: octets[..at].into() }, at));
            }
        }
    }

    fn checked(wire: Vec<u8>) -> Result<Self, NameError> {
        if wire.len() > 255 { Err(NameError::TooLong) } else { Ok(Self { wire: wire.into_boxed_slice() }) }
    }

    /// The uncompressed wire form, root label included, in the case it was written in.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The uncompressed wire form in lower case: a key that equal names share.
    pub fn key(&self) -> Box<[u8]> {
        self.wire.to_ascii_lowercase().into_boxed_slice()
    }

    /// The same name in lower case (RFC 4034 6.2).
    pub fn to_lowercase(&self) -> Self {
        Self { wire: self.key() }
    }

    /// The labels from the left, without the root label.
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: &self.wire }
    }

    /// Number of labels, the root label not counted.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.wire.len() == 1
    }

    /// Whether the leftmost label is a single asterisk (RFC 4592 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.wire.starts_with(b"\x01*")
    }

    /// The name without its leftmost label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let length = usize::from(self.wire[0]);
        (length > 0).then(|| Self { wire: self.wire[1 + length..].into() })
    }

    /// Whether this name is `other` or lies below it.
    pub fn is_at_or_below(&self, other: &Name) -> bool {
        let (mine, theirs) = (self.label_count(), other.label_count());
        if mine < theirs {
            return false;
        }
        let skipped: usize = self.labels().take(mine - theirs).map(|label| label.len() + 1).sum();
        self.wire[skipped..].eq_ignore_ascii_case(&other.wire)
    }

    /// Whether this name lies strictly below `other`.
    pub fn is_below(&self, other: &Name) -> bool {
        self.is_at_or_below(other) && self.label_count() > other.label_count()
    }

    /// This name with one more label on the left.
    ///
    /// # Errors
    /// When the label is empty or too long, or the name gets too long.
    pub fn child(&self, label: &[u8]) -> Result<Self, NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        let length = u8::try_from(label.len()).ok().filter(|n| *n <= 63).ok_or(NameError::LabelTooLong)?;
        let mut wire = Vec::with_capacity(1 + label.len() + self.wire.len());
        wire.push(length);
        wire.extend_from_slice(label);
        wire.extend_from_slice(&self.wire);
        Self::checked(wire)
    }

    /// Replaces the suffix `from` of this name by `to`: the substitution of DNAME (RFC 6672 2.2).
    ///
    /// `None` when this name is not below `from`.
    ///
    /// # Errors
    /// [`NameError::TooLong`] when the result would exceed 255 octets (answered with YXDOMAIN).
    pub fn substitute(&self, from: &Name, to: &Name) -> Option<Result<Self, NameError>> {
        if !self.is_below(from) {
            return None;
        }
        let kept = self.wire.len() - from.wire.len();
        let mut wire = self.wire[..kept].to_vec();
        wire.extend_from_slice(&to.wire);
        Some(Self::checked(wire))
    }
}

/// The octet that stands behind a backslash, and the text after it.
fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            Some((u8::try_from(value).ok()?, rest))
        }
        [b'0'..=b'9', ..] | [] => None,
        [octet, rest @ ..] => Some((*octet, rest)),
    }
}

fn close_label(wire: &mut [u8], at: usize) -> Result<(), NameError> {
    let length = wire.len() - at - 1;
    match length {
        0 => Err(NameError::EmptyLabel),
        1..=63 => {
            wire[at] = length as u8;
            Ok(())
        }
        _ => Err(NameError::LabelTooLong),
    }
}

/// The labels of a name from the left, without the root label.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.rest[0]);
        if length == 0 {
            return None;
        }
        let (label, rest) = self.rest[1..].split_at(length);
        self.rest = rest;
        Some(label)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        // Length octets are at most 63 and so no letters: comparing the whole without case is exact.
        self.wire.eq_ignore_ascii_case(&other.wire)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in &self.wire {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let mut mine = [0u8; 128];
        let mut theirs = [0u8; 128];
        let (m, t) = (label_offsets(&self.wire, &mut mine), label_offsets(&other.wire, &mut theirs));
        for (a, b) in mine[..m].iter().rev().zip(theirs[..t].iter().rev()) {
            let (a, b) = (label_at(&self.wire, *a), label_at(&other.wire, *b));
            let lower = |label: &'_ [u8]| label.iter().map(u8::to_ascii_lowercase).collect::<LabelKey>();
            match lower(a).cmp(&lower(b)) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        m.cmp(&t)
    }
}

/// A label in lower case on the stack, compared as octets.
struct LabelKey {
    octets: [u8; 63],
    length: usize,
}

impl FromIterator<u8> for LabelKey {
    fn from_iter<I: IntoIterator<Item = u8>>(octets: I) -> Self {
        let mut key = Self { octets: [0; 63], length: 0 };
        for octet in octets {
            key.octets[key.length] = octet;
            key.length += 1;
        }
        key
    }
}

impl LabelKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.octets[..self.length].cmp(&other.octets[..other.length])
    }
}

fn label_offsets(wire: &[u8], offsets: &mut [u8; 128]) -> usize {
    let (mut at, mut count) = (0, 0);
    while wire[at] != 0 {
        offsets[count] = at as u8;
        count += 1;
        at += 1 + usize::from(wire[at]);
    }
    count
}

fn label_at(wire: &[u8], at: u8) -> &[u8] {
    let at = usize::from(at);
    &wire[at + 1..at + 1 + usize::from(wire[at])]
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Presentation format with a final dot; octets that master files would misread are escaped (RFC 1035 5.1).
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => write!(f, "\\{}", *octet as char)?,
                    0x21..=0x7e => write!(f, "{}", *octet as char)?,
                    other => write!(f, "\\{other:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text, Some(&Name::root())).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text, Some(&Name::root())).unwrap()
    }

    #[test]
    fn presentation_round_trips_with_escapes() {
        for text in [".", "a.", "Example.NET.", "a\\.b.c.", "\\000\\255.x.", "*.x.", "\\@.x.", "\\\"\\(\\;.x."] {
            assert_eq!(name(text).to_string(), text);
        }
        assert_eq!(name("\\097.").to_string(), "a.");
    }

    #[test]
    fn relative_names_take_the_origin() {
        let origin = name("example.net.");
        assert_eq!(Name::parse("www", Some(&origin)).unwrap().to_string(), "www.example.net.");
        assert_eq!(Name::parse("@", Some(&origin)).unwrap(), origin);
        assert_eq!(Name::parse("www", None), Err(NameError::Relative));
    }

    #[test]
    fn bad_names_say_why() {
        let check = |text: &str, expected| assert_eq!(Name::parse(text, Some(&Name::root())), Err(expected), "{text}");
        check("", NameError::Empty);
        check("a..b.", NameError::EmptyLabel);
        check(".a.", NameError::EmptyLabel);
        check("a\\", NameError::BadEscape);
        check("a\\25", NameError::BadEscape);
        check("a\\256.", NameError::BadEscape);
        check(&"a".repeat(64), NameError::LabelTooLong);
        check(&"a.".repeat(128), NameError::TooLong);
    }

    /// The example of RFC 4034 6.1.
    #[test]
    fn canonical_order() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        for pair in sorted.windows(2) {
            assert!(name(pair[0]) < name(pair[1]), "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn ancestry() {
        assert!(name("a.b.").is_at_or_below(&name("B.")));
        assert!(name("b.").is_at_or_below(&name("b.")));
        assert!(!name("b.").is_below(&name("b.")));
        assert!(!name("ab.").is_at_or_below(&name("b.")));
        assert!(name("a.").is_below(&Name::root()));
        assert_eq!(name("a.b.").parent(), Some(name("b.")));
        assert_eq!(Name::root().parent(), None);
    }

    #[test]
    fn dname_substitution() {
        let under = name("x.y.old.");
        assert_eq!(under.substitute(&name("old."), &name("new.net.")), Some(Ok(name("x.y.new.net."))));
        assert_eq!(name("old.").substitute(&name("old."), &name("new.")), None);
        let long = name(&format!("{}.old.", "a".repeat(60)));
        let target = name(&format!("{0}.{0}.{0}.{1}.", "b".repeat(60), "c".repeat(20)));
        assert_eq!(long.substitute(&name("old."), &target), Some(Err(NameError::TooLong)));
    }
}
