//! The audit trail as JSON Lines, and the proof that such lines say what was written.
//!
//! ```text
//! {"row":{"first":8,"last":12,"previous":"<hash>","hash":"<hash>","octets":"<base64>"}}
//! {"sequence":8,"at":...}         one line for each record of the row, as the API shows it
//! ...
//! {"end":{"rows":6,"records":14,"head":"<hash>"}}
//! ```
//!
//! The octets of a row are what its hash is made of ([`chain`](super::chain)), so that whoever has the lines needs
//! neither the daemon nor the store to see that nothing was changed: the chain is gone along from the first `previous`
//! on, and every record line has to be what the octets say. Lines that were cut off have no `end`.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::batch::{self, Batch};
use super::chain::{Broken, Chain, Fault, Hash, Kept, Verification, thousands};
use super::report::AuditRecord;
use super::roster::HubId;

/// The line before the records of a row.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    first: u64,
    last: u64,
    /// The hash of the row before.
    previous: Hash,
    /// `None` when the store has none, which is not as it should be.
    hash: Option<Hash>,
    /// Base64 (RFC 4648 4).
    octets: String,
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Rows before it.
    pub rows: u64,
    /// Their records.
    pub records: u64,
    /// The hash of the last row; that of nothing where there is none.
    pub head: Hash,
}

/// What a line is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Special {
    Row(Row),
    End(End),
}

fn put(line: &impl Serialize, lines: &mut Vec<u8>) -> Result<(), String> {
    serde_json::to_writer(&mut *lines, line).map_err(|error| error.to_string())?;
    lines.push(b'\n');
    Ok(())
}

/// Writes the lines of one row, whose hubs `name` knows, and returns how many records it has. Of a row that cannot be
/// read, which whoever verifies the lines finds, there are no record lines.
///
/// # Errors
/// When a name cannot be found, or a line cannot be written as JSON.
pub(super) fn write_row(
    first: u64,
    row: &[u8],
    previous: Hash,
    hash: Option<Hash>,
    name: impl Fn(HubId) -> Result<String, String>,
    lines: &mut Vec<u8>,
) -> Result<u64, String> {
    let records = batch::count(row).unwrap_or(1).max(1);
    let octets = STANDARD.encode(row);
    put(&Special::Row(Row { first, last: first.saturating_add(records - 1), previous, hash, octets }), lines)?;
    match Batch::read(row) {
        Ok(Some(batch)) => {
            for (sequence, entry) in (first..).zip(batch.entries()) {
                // The rest of a row whose middle cannot be read is not known either.
                let Ok(entry) = entry else { break };
                put(&batch.record(&entry, name(entry.hub)?, sequence), lines)?;
            }
        }
        Ok(None) => {
            if let Ok(record) = serde_json::from_slice::<Value>(row) {
                put(&record, lines)?;
            }
        }
        Err(_) => {}
    }
    Ok(records)
}

/// Writes the last line.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn write_end(end: End, lines: &mut Vec<u8>) -> Result<(), String> {
    put(&Special::End(end), lines)
}

/// Goes through the lines of an export.
#[derive(Debug)]
pub struct Check {
    chain: Option<Chain>,
    sought: Option<Kept>,
    /// The records that have to follow the last row.
    expected: VecDeque<Expected>,
    /// Names of hubs that no row has said so far, by number.
    assumed: BTreeMap<u32, String>,
    rows: u64,
    records: u64,
    lines: u64,
    ended: bool,
}

/// A record line that has to come.
#[derive(Debug)]
struct Expected {
    sequence: u64,
    record: Value,
    /// The hub that it is about, of a switch: the line says its name.
    hub: Option<HubId>,
}

impl Check {
    /// Before the first line; in search of a hash, where one is given.
    pub fn new(sought: Option<Kept>) -> Self {
        Self {
            chain: None,
            sought,
            expected: VecDeque::new(),
            assumed: BTreeMap::new(),
            rows: 0,
            records: 0,
            lines: 0,
            ended: false,
        }
    }

    /// Takes the next line.
    ///
    /// # Errors
    /// What is wrong: the check is over then.
    pub fn line(&mut self, line: &str) -> Result<(), Broken> {
        self.lines += 1;
        if self.ended {
            return Err(self.wrong("something follows the last line".into()));
        }
        let value: Value = match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => return Err(self.wrong(format!("it is no JSON: {error}"))),
        };
        if value.get("row").is_some() || value.get("end").is_some() {
            return match serde_json::from_value(value) {
                Ok(Special::Row(row)) => self.row(row),
                Ok(Special::End(end)) => self.end(end),
                Err(error) => Err(self.wrong(format!("it cannot be read: {error}"))),
            };
        }
        self.record(value)
    }

    /// Every line has been taken, or one of them was wrong.
    pub fn finish(mut self, broken: Option<Broken>) -> Verification {
        let cut = (!self.ended).then(|| self.wrong("the export was cut off: its last line is missing".into()));
        let chain = self.chain.take().unwrap_or_else(|| Chain::new(1, Hash::START, self.sought.take()));
        Verification { assumed: self.assumed.len() as u64, ..chain.finish(broken.or(cut)) }
    }

    fn next(&self) -> u64 {
        let expected = self.expected.front().map(|expected| expected.sequence);
        expected.or(self.chain.as_ref().map(Chain::next)).unwrap_or(1)
    }

    fn wrong(&self, sentence: String) -> Broken {
        let sentence = format!("line {}: {sentence}", thousands(self.lines));
        Broken { sequence: self.next(), fault: Fault::Export, sentence }
    }

    fn complete(&self) -> Result<(), Broken> {
        match self.expected.front() {
            Some(expected) => Err(self.wrong(format!("record {} of the row above is missing", expected.sequence))),
            None => Ok(()),
        }
    }

    fn row(&mut self, row: Row) -> Result<(), Broken> {
        self.complete()?;
        let Row { first, last, previous, hash, octets } = row;
        let octets = match STANDARD.decode(octets) {
            Ok(octets) => octets,
            Err(error) => return Err(self.wrong(format!("its octets are no base64: {error}"))),
        };
        let chain = self.chain.get_or_insert_with(|| Chain::new(first, previous, self.sought.take()));
        if first == chain.next() && previous != chain.head() {
            let sentence = format!("record {first} follows another row than the one above");
            return Err(Broken { sequence: first, fault: Fault::Changed, sentence });
        }
        chain.row(first, &octets, hash)?;
        if last.checked_add(1) != Some(chain.next()) {
            let through = chain.next().saturating_sub(1);
            return Err(self.wrong(format!("it says that its last record is {last}, and that is {through}")));
        }
        self.rows += 1;
        self.records += chain.next() - first;
        match expected(first, &octets) {
            Ok(expected) => self.expected = expected,
            Err(error) => {
                let sentence = format!("record {first} cannot be read: {error}");
                return Err(Broken { sequence: first, fault: Fault::Unreadable, sentence });
            }
        }
        for (number, assumed) in &self.assumed {
            if let Some(name) = self.chain.as_ref().and_then(|chain| chain.hub(*number)).filter(|name| name != assumed)
            {
                let sentence = format!("hub {number} is {assumed} in record lines, and {name} in record {first}");
                return Err(Broken { sequence: first, fault: Fault::Hub, sentence });
            }
        }
        let chain = &self.chain;
        self.assumed.retain(|number, _| chain.as_ref().is_none_or(|chain| chain.hub(*number).is_none()));
        Ok(())
    }

    fn record(&mut self, line: Value) -> Result<(), Broken> {
        let Some(Expected { sequence, record, hub }) = self.expected.pop_front() else {
            return Err(self.wrong("it is no record of the row above".into()));
        };
        let differs = |check: &Self| {
            let broken = check.wrong(format!("record {sequence} is not what its row says"));
            Err(Broken { sequence, ..broken })
        };
        let mut record = record;
        if let Some(hub) = hub {
            let Some(said) = line.get("subject").and_then(Value::as_str) else { return differs(self) };
            let named = self.chain.as_ref().and_then(|chain| chain.hub(hub.0));
            let named = named.unwrap_or_else(|| self.assumed.entry(hub.0).or_insert_with(|| said.into()));
            if named != said {
                let sentence = format!("hub {} is {said} in record {sequence}, and {named} in another one", hub.0);
                return Err(Broken { sequence, fault: Fault::Hub, ..self.wrong(sentence) });
            }
            record["subject"] = said.into();
        }
        if record == line { Ok(()) } else { differs(self) }
    }

    fn end(&mut self, end: End) -> Result<(), Broken> {
        self.complete()?;
        let head = self.chain.as_ref().map_or(Hash::START, Chain::head);
        let found = End { rows: self.rows, records: self.records, head };
        if end != found {
            let sentence = format!(
                "it says that {} rows with {} records come before, up to the hash {}: these are {} with {}, up to {head}",
                end.rows, end.records, end.head, found.rows, found.records
            );
            return Err(self.wrong(sentence));
        }
        self.ended = true;
        Ok(())
    }
}

/// The records that a row holds.
fn expected(first: u64, row: &[u8]) -> Result<VecDeque<Expected>, String> {
    let Some(batch) = Batch::read(row)? else {
        let record = serde_json::from_slice(row).map_err(|error| error.to_string())?;
        return Ok([Expected { sequence: first, record, hub: None }].into());
    };
    let record = |(sequence, entry): (u64, Result<batch::Entry, String>)| {
        let entry = entry?;
        let record: AuditRecord = batch.record(&entry, String::new(), sequence);
        let record = serde_json::to_value(record).map_err(|error| error.to_string())?;
        Ok(Expected { sequence, record, hub: Some(entry.hub) })
    };
    (first..).zip(batch.entries()).map(record).collect()
}
