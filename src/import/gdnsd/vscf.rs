//! The language of gdnsd's configuration: nested hashes, arrays and texts.

use super::super::Input;
use super::super::note::Refusal;

/// How deep hashes, arrays and included files may be nested.
const DEEPEST: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    List(Vec<Value>),
    Hash(Vec<(String, Value)>),
}

/// Reads the files that a path in an include means, seen from the file that includes it.
pub(super) type Include<'a> = dyn FnMut(&str, &str) -> Result<Vec<Input>, String> + 'a;

impl Value {
    /// What a hash has at `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.hash().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The entries of a hash; none of anything else.
    pub(super) fn hash(&self) -> &[(String, Value)] {
        match self {
            Self::Hash(entries) => entries,
            Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(list) => match list.as_slice() {
                [one] => one.text(),
                _ => None,
            },
            Self::Hash(_) => None,
        }
    }

    /// The texts of an array, or the one text that stands in its place.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(list) => list.iter().filter_map(Value::text).collect(),
            Self::Hash(_) => Vec::new(),
        }
    }

    /// The number, if it is one.
    pub(super) fn number(&self) -> Option<u64> {
        self.text()?.parse().ok()
    }

    /// Whether it is true, in any case of letters.
    pub(super) fn flag(&self) -> bool {
        self.text().is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

/// Reads a file.
pub(super) fn parse(input: &Input, include: &mut Include<'_>) -> Result<Value, Refusal> {
    parse_nested(input, include, 0)
}

fn parse_nested(input: &Input, include: &mut Include<'_>, depth: usize) -> Result<Value, Refusal> {
    let mut reader = Reader { input, rest: input.text.as_bytes(), include, depth };
    reader.space();
    if reader.rest.first() == Some(&b'[') {
        reader.rest = &reader.rest[1..];
        let list = reader.list()?;
        reader.space();
        return if reader.rest.is_empty() { Ok(list) } else { Err(reader.wrong("text after the array")) };
    }
    reader.entries(None)
}

struct Reader<'i, 'a, 'b> {
    input: &'i Input,
    rest: &'i [u8],
    include: &'a mut Include<'b>,
    depth: usize,
}

impl Reader<'_, '_, '_> {
    fn wrong(&self, sentence: impl Into<String>) -> Refusal {
        let read = self.input.text.len() - self.rest.len();
        let line = self.input.text.as_bytes()[..read].iter().filter(|octet| **octet == b'\n').count() + 1;
        Refusal { file: self.input.name.clone(), line: Some(line), sentence: sentence.into() }
    }

    /// Passes white space and comments, which begin with `#` or `;`.
    fn space(&mut self) {
        loop {
            match self.rest {
                [b'#' | b';', ..] => {
                    let end = self.rest.iter().position(|octet| *octet == b'\n').unwrap_or(self.rest.len());
                    self.rest = &self.rest[end..];
                }
                [octet, rest @ ..] if octet.is_ascii_whitespace() => self.rest = rest,
                _ => return,
            }
        }
    }

    /// Passes `octet`, if it comes next.
    fn takes(&mut self, octet: u8) -> bool {
        let there = self.rest.first() == Some(&octet);
        if there {
            self.rest = &self.rest[1..];
        }
        there
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Refusal>) -> Result<T, Refusal> {
        if self.depth == DEEPEST {
            return Err(self.wrong(format!("more than {DEEPEST} hashes and arrays inside one another")));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// The entries of a hash up to `close`, or to the end of the file.
    fn entries(&mut self, close: Option<u8>) -> Result<Value, Refusal> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        loop {
            self.space();
            match (self.rest.first(), close) {
                (None, None) => return Ok(Value::Hash(entries)),
                (None, Some(_)) => return Err(self.wrong("the end of the file, expected `}`")),
                (Some(octet), Some(close)) if *octet == close => {
                    self.rest = &self.rest[1..];
                    return Ok(Value::Hash(entries));
                }
                _ => {}
            }
            if self.rest.starts_with(b"$include{") {
                for included in self.included()? {
                    match included {
                        Value::Hash(more) => entries.extend(more),
                        Value::Text(_) | Value::List(_) => {
                            return Err(self.wrong("an included array among the keys of a hash, expected a hash"));
                        }
                    }
                }
            } else {
                let key = self.word()?;
                self.space();
                if !self.takes(b'=') {
                    return Err(self.wrong(format!("no value for `{key}`, expected `=>` or `=`")));
                }
                self.takes(b'>');
                let value = self.value()?;
                entries.push((key, value));
            }
            self.space();
            self.takes(b',');
        }
    }

    fn value(&mut self) -> Result<Value, Refusal> {
        self.space();
        if self.takes(b'{') {
            return self.deeper(|reader| reader.entries(Some(b'}')));
        }
        if self.takes(b'[') {
            return self.deeper(Self::list);
        }
        if self.rest.starts_with(b"$include{") {
            let mut included = self.included()?;
            return match (included.pop(), included.is_empty()) {
                (Some(value), true) => Ok(value),
                _ => Err(self.wrong("an include that is not exactly one file, where a value is expected")),
            };
        }
        self.word().map(Value::Text)
    }

    fn list(&mut self) -> Result<Value, Refusal> {
        let mut list = Vec::new();
        loop {
            self.space();
            if self.takes(b']') {
                return Ok(Value::List(list));
            }
            if self.rest.is_empty() {
                return Err(self.wrong("the end of the file, expected `]`"));
            }
            list.push(self.value()?);
            self.space();
            self.takes(b',');
        }
    }

    fn included(&mut self) -> Result<Vec<Value>, Refusal> {
        self.rest = &self.rest[b"$include{".len()..];
        self.space();
        let path = self.word()?;
        self.space();
        if !self.takes(b'}') {
            return Err(self.wrong("an include that is not closed, expected `}`"));
        }
        let files = (self.include)(&self.input.name, &path).map_err(|sentence| self.wrong(sentence))?;
        if self.depth == DEEPEST {
            return Err(self.wrong("too many files that include one another"));
        }
        files.iter().map(|file| parse_nested(file, self.include, self.depth + 1)).collect()
    }

    /// A text, in quotes or without.
    fn word(&mut self) -> Result<String, Refusal> {
        let quoted = self.takes(b'"');
        let mut octets = Vec::new();
        loop {
            match self.rest {
                [b'\\', hundreds @ b'0'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
                    let digit = |octet: &u8| u16::from(octet - b'0');
                    let number = digit(hundreds) * 100 + digit(tens) * 10 + digit(ones);
                    octets.push(u8::try_from(number).map_err(|_| self.wrong("an escape above \\255"))?);
                    self.rest = rest;
                }
                [b'\\', octet, rest @ ..] => {
                    octets.push(*octet);
                    self.rest = rest;
                }
                [b'"', rest @ ..] if quoted => {
                    self.rest = rest;
                    break;
                }
                [] if quoted => return Err(self.wrong("the end of the file, expected `\"`")),
                [octet, ..] if !quoted && (octet.is_ascii_whitespace() || b"][}{;#,\"=\\".contains(octet)) => break,
                [] => break,
                [octet, rest @ ..] => {
                    octets.push(*octet);
                    self.rest = rest;
                }
            }
        }
        if octets.is_empty() && !quoted {
            let what =
                self.rest.first().map_or("the end of the file".into(), |octet| format!("`{}`", char::from(*octet)));
            return Err(self.wrong(format!("{what}, expected a key or a value")));
        }
        String::from_utf8(octets).map_err(|_| self.wrong("a text that is not UTF-8"))
    }
}
