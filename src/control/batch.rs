//! The row that a [`Switch`] is in the store: the facts once, and a few octets for each hub.
//!
//! ```text
//! octet   1, the form; a row that begins with `{` is one audit record in JSON, and may have "hubs": [[number, name], ...]
//! varint  number of changes
//! varint  length of the head in octets
//! head    JSON: {"at", "author", "origin", "regions": [...], "reasons": [...]}
//! then for every change, in the order of the audit trail:
//!   varint  the hub's number less that of the change before it less 1, as zigzag: 0 for the next one
//!   octet   bits 0 to 3 the cause; bit 4 an answer instead of a switch; bit 5 all endpoints; bit 6 there was a region before
//!   varint  the epoch since
//!   varint  the region before, by position in `regions`; only with bit 6
//!   varint  the region since
//!   varint  the reason, by position in `reasons`
//! ```
//!
//! A varint has seven bits an octet, the low ones first, and bit 7 set but in its last octet. A newer daemon may add keys
//! to the head, which older ones pass over; whatever else it changes gets another form, which they refuse by its number.

use std::collections::HashMap;
use std::sync::Arc;

use super::change::{Change, ChangeKind, Step, Switch, record};
use super::event::Author;
use super::report::AuditRecord;
use super::roster::HubId;
use crate::dns::Name;
use crate::policy::{Cause, RegionName};
use crate::time::Timestamp;

/// The form that this program writes.
const FORM: u8 = 1;
const ANSWER: u8 = 1 << 4;
const ALL: u8 = 1 << 5;
const FROM: u8 = 1 << 6;
/// Octets that a change takes at most where epochs are below two million; what is reserved for one.
const USUAL: usize = 10;

/// The causes by their number in a row: the order is part of the form.
const CAUSES: [Cause; 7] =
    [Cause::Start, Cause::Health, Cause::Mark, Cause::Failover, Cause::Failback, Cause::FailbackAfter, Cause::Policy];

/// What all changes of a row share.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Head {
    at: Timestamp,
    author: String,
    origin: String,
    regions: Vec<RegionName>,
    reasons: Vec<Arc<str>>,
}

/// A row, taken apart as far as its head.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    count: u64,
    head: Head,
    author: Author,
    entries: &'a [u8],
}

/// One change of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hub: HubId,
    pub(super) from: Option<usize>,
    pub(super) to: usize,
    kind: ChangeKind,
    cause: Cause,
    all: bool,
    epoch: u64,
    reason: usize,
}

impl Entry {
    /// Whether it is about the active region.
    pub(super) fn is_switch(&self) -> bool {
        self.kind == ChangeKind::Switch
    }
}

/// Texts by the position at which they are written once.
///
/// Whoever changes many hubs shares their texts, so that the place in memory mostly says which one it is; one that is in
/// memory twice is written twice, which costs octets and nothing else.
struct Table<T> {
    texts: Vec<T>,
    known: HashMap<*const u8, usize>,
    last: Option<(*const u8, usize)>,
}

impl<T: Clone> Table<T> {
    fn new() -> Self {
        Self { texts: Vec::new(), known: HashMap::new(), last: None }
    }

    fn position(&mut self, text: &T, address: *const u8) -> usize {
        if let Some((_, position)) = self.last.filter(|(last, _)| *last == address) {
            return position;
        }
        let texts = &mut self.texts;
        let position = *self.known.entry(address).or_insert_with(|| {
            texts.push(text.clone());
            texts.len() - 1
        });
        self.last = Some((address, position));
        position
    }
}

/// Writes a row.
///
/// # Errors
/// When the head cannot be written as JSON.
pub(super) fn write(switch: &Switch) -> Result<Vec<u8>, serde_json::Error> {
    let (mut regions, mut reasons) = (Table::new(), Table::new());
    let mut region = |region: &RegionName| regions.position(region, region.as_str().as_ptr());
    let mut entries = Vec::with_capacity(switch.changes.len() * USUAL);
    let mut next = 0;
    for Change { hub, kind, reason, before, after } in &switch.changes {
        let from = before.as_ref().map(|before| region(&before.active)).filter(|_| *kind == ChangeKind::Switch);
        put(&mut entries, zigzag(i64::from(hub.0) - next));
        next = i64::from(hub.0) + 1;
        // A cause is one of the list, which a test sees to.
        let mut bits = CAUSES.iter().position(|cause| *cause == after.cause).unwrap_or(0) as u8;
        bits |= if *kind == ChangeKind::Answer { ANSWER } else { 0 };
        bits |= if after.all { ALL } else { 0 };
        bits |= if from.is_some() { FROM } else { 0 };
        entries.push(bits);
        put(&mut entries, after.epoch);
        if let Some(from) = from {
            put(&mut entries, from as u64);
        }
        put(&mut entries, region(&after.active) as u64);
        put(&mut entries, reasons.position(reason, reason.as_ptr()) as u64);
    }
    let head = Head {
        at: switch.at,
        author: switch.author.name.clone(),
        origin: switch.author.origin.clone(),
        regions: regions.texts,
        reasons: reasons.texts,
    };
    let head = serde_json::to_vec(&head)?;
    let mut row = Vec::with_capacity(entries.len() + head.len() + 16);
    row.push(FORM);
    put(&mut row, switch.changes.len() as u64);
    put(&mut row, head.len() as u64);
    row.extend_from_slice(&head);
    row.extend_from_slice(&entries);
    Ok(row)
}

/// How many audit records a row holds.
///
/// # Errors
/// When it is of no form that this program knows.
pub(super) fn count(row: &[u8]) -> Result<u64, String> {
    match row.first() {
        Some(b'{') => Ok(1),
        Some(&FORM) => take(&mut &row[1..]),
        Some(form) => Err(format!("it has the form {form}, and this program knows {FORM}")),
        None => Err("it is empty".into()),
    }
}

/// What every row says of itself.
#[derive(Debug)]
pub(super) struct Told {
    /// How many audit records it holds.
    pub(super) count: u64,
    /// When they were.
    pub(super) at: Timestamp,
    /// The hubs that it names, by number.
    pub(super) hubs: Vec<(u32, String)>,
}

/// What a row says of itself, whatever else it says.
///
/// # Errors
/// When it is of no form that this program knows.
pub(super) fn told(row: &[u8]) -> Result<Told, String> {
    /// Of one audit record.
    #[derive(serde::Deserialize)]
    struct Record {
        at: Timestamp,
        #[serde(default)]
        hubs: Vec<(u32, String)>,
    }
    if let Some(batch) = Batch::read(row)? {
        return Ok(Told { count: batch.count, at: batch.at(), hubs: Vec::new() });
    }
    let Record { at, hubs } = serde_json::from_slice(row).map_err(|error| error.to_string())?;
    Ok(Told { count: 1, at, hubs })
}

/// Writes the row of an audit record that names hubs: every row after it may say their numbers.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn naming<'a>(
    record: &AuditRecord,
    hubs: impl Iterator<Item = (HubId, &'a Name)>,
) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(serde::Serialize)]
    struct Naming<'r> {
        #[serde(flatten)]
        record: &'r AuditRecord,
        hubs: Vec<(u32, String)>,
    }
    serde_json::to_vec(&Naming { record, hubs: hubs.map(|(id, name)| (id.0, name.to_string())).collect() })
}

impl<'a> Batch<'a> {
    /// Takes a row apart; `None` when it is one audit record in JSON.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn read(row: &'a [u8]) -> Result<Option<Self>, String> {
        let count = count(row)?;
        if row[0] == b'{' {
            return Ok(None);
        }
        let mut rest = &row[1..];
        take(&mut rest)?;
        let length = usize::try_from(take(&mut rest)?).map_err(|error| error.to_string())?;
        let (head, entries) = rest.split_at_checked(length).ok_or_else(short)?;
        let head: Head = serde_json::from_slice(head).map_err(|error| error.to_string())?;
        let author = Author { name: head.author.clone(), origin: head.origin.clone() };
        Ok(Some(Self { count, head, author, entries }))
    }

    /// When it was.
    pub(super) fn at(&self) -> Timestamp {
        self.head.at
    }

    /// The regions that its changes tell of.
    pub(super) fn regions(&self) -> &[RegionName] {
        &self.head.regions
    }

    /// Its changes, in the order of the audit trail.
    pub(super) fn entries(&self) -> impl Iterator<Item = Result<Entry, String>> {
        let (mut rest, mut next) = (self.entries, 0);
        (0..self.count).map(move |_| {
            let entry = self.entry(&mut rest, next)?;
            next = i64::from(entry.hub.0) + 1;
            Ok(entry)
        })
    }

    fn entry(&self, rest: &mut &'a [u8], next: i64) -> Result<Entry, String> {
        let hub = next.checked_add(unzigzag(take(rest)?)).and_then(|hub| u32::try_from(hub).ok());
        let hub = HubId(hub.ok_or("the number of a hub is out of range")?);
        let (bits, after) = rest.split_first().ok_or_else(short)?;
        *rest = after;
        let cause = *CAUSES.get(usize::from(bits & 0xf)).ok_or_else(|| format!("no cause {}", bits & 0xf))?;
        let epoch = take(rest)?;
        let listed = |position: u64, texts: usize| {
            usize::try_from(position).ok().filter(|position| *position < texts).ok_or("a text is missing in its head")
        };
        let from = match bits & FROM {
            0 => None,
            _ => Some(listed(take(rest)?, self.head.regions.len())?),
        };
        let to = listed(take(rest)?, self.head.regions.len())?;
        let reason = listed(take(rest)?, self.head.reasons.len())?;
        let kind = if bits & ANSWER == 0 { ChangeKind::Switch } else { ChangeKind::Answer };
        Ok(Entry { hub, from, to, kind, cause, all: bits & ALL != 0, epoch, reason })
    }

    /// What was decided.
    pub(super) fn step(&self, entry: &Entry) -> Step {
        Step {
            kind: entry.kind,
            to: self.head.regions[entry.to].clone(),
            epoch: entry.epoch,
            cause: entry.cause,
            all: entry.all,
            reason: self.head.reasons[entry.reason].clone(),
        }
    }

    /// One change as the audit trail tells of it.
    pub(super) fn record(&self, entry: &Entry, subject: String, sequence: u64) -> AuditRecord {
        let from = entry.from.map(|from| self.head.regions[from].as_str());
        AuditRecord { sequence, ..record(self.head.at, &self.author, subject, from, &self.step(entry)) }
    }
}

fn short() -> String {
    "it ends too early".into()
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

fn put(row: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        row.push(number as u8 | 0x80);
        number >>= 7;
    }
    row.push(number as u8);
}

fn take(rest: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (octet, after) = rest.split_first().ok_or_else(short)?;
        *rest = after;
        number |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("a number is too long".into())
}

#[cfg(test)]
mod tests;
