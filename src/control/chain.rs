//! The chain of hashes over the audit trail, and what looking at it finds.
//!
//! ```text
//! hash of a row = SHA-256(hash of the row before || number of its first record, 8 octets, high ones first || the row)
//! ```
//!
//! The first row follows 32 octets of zero. Whoever changes, removes, adds or moves a row has to make every later hash
//! anew, and then the last one, the *head*, is another: a head that was seen earlier and is kept elsewhere proves that
//! everything up to it is what it was. Rows name hubs by number; the names are in rows of kind `hubs`, so that the table
//! that gives them back is covered as well.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::batch::{self, Told};
use crate::time::Timestamp;

/// What a row, and everything before it, comes to.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first row follows.
    pub const START: Self = Self([0; 32]);

    /// The hash of the row that follows, by the number of its first record.
    pub fn link(self, first: u64, row: &[u8]) -> Self {
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        digest.update(&self.0);
        digest.update(&first.to_be_bytes());
        digest.update(row);
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.finish().as_ref());
        Self(hash)
    }
}

/// 64 hexadecimal digits, in lower case.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut hash = [0; 32];
        let digits = text.as_bytes();
        let wrong = || format!("`{text}` is no hash, expected 64 hexadecimal digits");
        if digits.len() != 64 {
            return Err(wrong());
        }
        for (octet, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            // One way to write a hash, so that two texts differ when their hashes do and only then.
            let lower = |digit: &char| !digit.is_ascii_uppercase();
            let digit = |at: usize| Some(char::from(pair[at])).filter(lower)?.to_digit(16);
            // Two digits of four bits are one octet.
            *octet = digit(0).zip(digit(1)).map(|(high, low)| (high << 4 | low) as u8).ok_or_else(wrong)?;
        }
        Ok(Self(hash))
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for Hash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A hash that somebody has kept, or enough of its beginning: 16 to 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Kept(String);

impl Kept {
    /// Whether this is that hash.
    pub fn is(&self, hash: Hash) -> bool {
        hash.to_string().starts_with(&self.0)
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Kept {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (16..=64).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(format!("`{text}` is no hash, expected 64 hexadecimal digits or at least the first 16")),
        }
    }
}

impl From<Kept> for String {
    fn from(kept: Kept) -> Self {
        kept.0
    }
}

impl TryFrom<String> for Kept {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// One record's number and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its number.
    pub sequence: u64,
    /// When it was.
    pub at: Timestamp,
}

/// From where to where the audit trail reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The first record that is there; older ones may have been removed for their age.
    pub first: Option<Place>,
    /// The number of the last record: how many there ever were.
    pub records: u64,
    /// The hash up to it.
    pub head: Hash,
}

/// What looking at the whole chain has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Whether nothing is wrong; a hash that was asked for and not found does not count here.
    pub whole: bool,
    /// Rows, up to the first one that is wrong.
    pub rows: u64,
    /// Records in them.
    pub records: u64,
    /// The first record that is there. One that is not number 1 follows records that were removed for their age.
    pub first: Option<Place>,
    /// The last record.
    pub last: Option<Place>,
    /// The hash that the first row follows.
    pub before: Hash,
    /// The hash of the last row.
    pub head: Hash,
    /// The first thing that is wrong.
    pub broken: Option<Broken>,
    /// Where the hash is that was asked for.
    pub sought: Option<Sought>,
    /// Hubs of an export whose names its record lines alone say: the record that names them is not in it.
    #[serde(default)]
    pub assumed: u64,
}

/// Where a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The first record of the row that is wrong, or the number of the first one that is missing.
    pub sequence: u64,
    /// What is wrong.
    pub fault: Fault,
    /// The same in a sentence.
    pub sentence: String,
}

/// What can be wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A row is not what was hashed.
    Changed,
    /// A row is not there.
    Missing,
    /// Two rows claim the same number.
    Doubled,
    /// A row has no hash.
    NoHash,
    /// A row is of no form that this program knows.
    Unreadable,
    /// A number stands for another hub than the audit trail says.
    Hub,
    /// An export says something else than its rows.
    Export,
}

/// Whether a hash that somebody has kept is in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sought {
    /// The hash, as it was given.
    pub hash: Kept,
    /// The last record of the row whose hash it is: everything up to it is what it was.
    pub through: Option<Place>,
}

/// A walk along the chain.
#[derive(Debug)]
pub struct Chain {
    next: u64,
    before: Hash,
    head: Hash,
    rows: u64,
    first: Option<Place>,
    last: Option<Place>,
    hubs: BTreeMap<u32, (String, u64)>,
    sought: Option<Sought>,
}

impl Chain {
    /// A walk from record `next` on, whose row follows `before`; in search of a hash, where one is given.
    pub fn new(next: u64, before: Hash, sought: Option<Kept>) -> Self {
        let sought = sought.map(|hash| Sought { hash, through: None });
        let mut chain =
            Self { next, before, head: before, rows: 0, first: None, last: None, hubs: BTreeMap::new(), sought };
        // What came before the first row is gone, and was what its hash says.
        chain.seek(Place { sequence: next.saturating_sub(1), at: Timestamp::default() });
        chain
    }

    /// The number of the record that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The hash of the last row.
    pub fn head(&self) -> Hash {
        self.head
    }

    /// Takes the next row, by the number of its first record, with the hash that is kept of it.
    ///
    /// # Errors
    /// Where the chain breaks: the walk is over then.
    pub fn row(&mut self, first: u64, row: &[u8], kept: Option<Hash>) -> Result<(), Broken> {
        if first > self.next {
            return Err(self.missing(first - 1));
        }
        let broken = |fault, sentence| Err(Broken { sequence: first, fault, sentence });
        if first < self.next {
            let sentence = format!("the row of record {first} says a number that the row before it has");
            return broken(Fault::Doubled, sentence);
        }
        let hash = self.head.link(first, row);
        match kept {
            Some(kept) if kept == hash => {}
            Some(_) => {
                let sentence = format!("record {first} is not what was written: its row and its hash do not fit");
                return broken(Fault::Changed, sentence);
            }
            None => return broken(Fault::NoHash, format!("record {first} has no hash")),
        }
        let Told { count, at, hubs } = match batch::told(row) {
            Ok(told) => told,
            Err(error) => return broken(Fault::Unreadable, format!("record {first} cannot be read: {error}")),
        };
        for (number, name) in hubs {
            let (known, said) = self.hubs.entry(number).or_insert_with(|| (name.clone(), first));
            if *known != name {
                let sentence = format!("hub {number} is {name} in record {first}, and {known} in record {said}");
                return broken(Fault::Hub, sentence);
            }
        }
        self.rows += 1;
        self.head = hash;
        self.next = first.saturating_add(count);
        self.first.get_or_insert(Place { sequence: first, at });
        let last = Place { sequence: self.next.saturating_sub(1), at };
        self.last = Some(last);
        self.seek(last);
        Ok(())
    }

    fn seek(&mut self, here: Place) {
        let head = self.head;
        if let Some(sought) = self.sought.as_mut().filter(|sought| sought.through.is_none() && sought.hash.is(head)) {
            sought.through = Some(here);
        }
    }

    /// The records from the next one up to `through` are not there.
    pub fn missing(&self, through: u64) -> Broken {
        let sentence = match through <= self.next {
            true => format!("record {} is missing", self.next),
            false => format!("records {} to {through} are missing", self.next),
        };
        Broken { sequence: self.next, fault: Fault::Missing, sentence }
    }

    /// The name of a hub by its number, if a row has said it.
    pub fn hub(&self, number: u32) -> Option<&str> {
        self.hubs.get(&number).map(|(name, _)| name.as_str())
    }

    /// Compares a table of hubs, in the order of their numbers, with the names that the rows say.
    ///
    /// # Errors
    /// The first hub that the table has wrong.
    pub fn check_hubs<'a>(&self, table: impl IntoIterator<Item = (u32, &'a str)>) -> Result<(), Broken> {
        let broken = |sequence, sentence| Err(Broken { sequence, fault: Fault::Hub, sentence });
        let mut named = self.hubs.iter().peekable();
        let gone = |number, name: &str, said| {
            broken(said, format!("hub {number}, {name} in record {said}, is not in the table of hubs"))
        };
        for (number, name) in table {
            if let Some((other, (missing, said))) = named.next_if(|(other, _)| **other < number) {
                return gone(*other, missing, *said);
            }
            match named.next_if(|(other, _)| **other == number) {
                Some((_, (known, _))) if known == name => {}
                Some((_, (known, said))) => {
                    return broken(*said, format!("hub {number} is {name} in the table, and {known} in record {said}"));
                }
                None => {
                    let sentence = format!("hub {number}, {name} in the table, is named by no record");
                    return broken(self.next.saturating_sub(1), sentence);
                }
            }
        }
        match named.next() {
            Some((number, (name, said))) => gone(*number, name, *said),
            None => Ok(()),
        }
    }

    /// What the walk has found.
    pub fn finish(self, broken: Option<Broken>) -> Verification {
        let Self { next, before, head, rows, first, last, sought, .. } = self;
        let records = first.map_or(0, |first| next - first.sequence);
        Verification { whole: broken.is_none(), rows, records, first, last, before, head, broken, sought, assumed: 0 }
    }
}

impl Verification {
    /// Whether nothing is wrong, and the hash that was asked for is there.
    pub fn is_good(&self) -> bool {
        self.whole && self.sought.as_ref().is_none_or(|sought| sought.through.is_some())
    }

    /// What was found, a sentence a line; `what` is what was looked at.
    pub fn sentences(&self, what: &str) -> Vec<String> {
        let mut sentences = Vec::new();
        match (&self.broken, self.first.zip(self.last)) {
            (Some(broken), _) => {
                sentences.push(format!(
                    "{what} is broken at record {}: {}",
                    thousands(broken.sequence),
                    broken.sentence
                ));
                if let Some(last) = self.last {
                    let (through, at) = (thousands(last.sequence), last.at);
                    sentences.push(format!(
                        "what comes before is whole, up to record {through} of {at}, hash {}",
                        self.head
                    ));
                }
            }
            (None, None) => sentences.push(format!("{what} is whole: it is empty, head {}", self.head)),
            (None, Some((first, last))) => sentences.push(format!(
                "{what} is whole: {} from {} to {}, head {}",
                counted(self.records),
                first.at,
                last.at,
                self.head
            )),
        }
        if let Some(first) = self.first.filter(|first| first.sequence > 1) {
            let (first, before) = (thousands(first.sequence), self.before);
            sentences.push(format!("it begins with record {first}; the last hash before that is {before}"));
        }
        if self.assumed > 0 {
            let hubs = super::reason::many(self.assumed, "hub");
            sentences.push(format!("it does not hold the record that names {hubs}: that name is taken as it is told"));
        }
        match &self.sought {
            Some(Sought { hash, through: Some(through) })
                if self.first.is_none_or(|first| through.sequence < first.sequence) =>
            {
                sentences.push(format!("{hash} is the hash that it begins after"));
            }
            Some(Sought { hash, through: Some(through) }) => {
                let (sequence, at) = (thousands(through.sequence), through.at);
                sentences
                    .push(format!("{hash} is the hash of record {sequence} of {at}: nothing up to it was changed"));
            }
            Some(Sought { hash, through: None }) => sentences.push(match self.whole {
                true => format!("{hash} is not in it: what that was the head of has been rewritten or removed"),
                false => format!("{hash} is not in what comes before"),
            }),
            None => {}
        }
        sentences
    }
}

/// `1 record`, `1,204 records`.
pub(crate) fn counted(records: u64) -> String {
    format!("{} record{}", thousands(records), if records == 1 { "" } else { "s" })
}

/// A number with a comma before every three digits.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
