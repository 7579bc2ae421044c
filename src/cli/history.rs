//! I/O shell: `concierge history`, which may read an export from a file.
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads the clock and the file of an export")]

use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};

use clap::Args;
use hyper::Method;

use super::client::{Client, escape};
use super::table::{Table, wrap};
use super::{Common, Failed, Output, print, print_json, when};
use crate::control::chain::{Kept, Reach, Verification};
use crate::control::export::Check;
use crate::control::report::AuditRecord;
use crate::time::Timestamp;

/// Octets of a line of an export at most: a row of a million hubs is shorter.
const LONGEST_LINE: u64 = 256 << 20;

/// Show the audit trail, newest first; or verify it, or export it.
#[derive(Debug, Args)]
pub(super) struct History {
    /// Only what is about this hub or region
    subject: Option<String>,
    /// At most this many records
    #[arg(long, short, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only what is not older: RFC 3339, `2026-11-23`, `14:00`, or `2h ago`
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only what is not newer
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Say whether all of it is what was written: its rows, their order, and what they mean
    #[arg(long, conflicts_with_all = ["subject", "limit", "from", "to", "export"])]
    verify: bool,
    /// A hash that was kept elsewhere: say whether it is in the chain, up to which nobody can have changed anything then
    #[arg(long, value_name = "HASH", requires = "verify")]
    head: Option<Kept>,
    /// Verify an export instead of the daemon's own trail; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "verify")]
    file: Option<PathBuf>,
    /// Write all of it as JSON Lines to standard output, oldest first
    #[arg(long, conflicts_with_all = ["subject", "limit"])]
    export: bool,
}

/// Reads a past time by this machine's clock.
pub(super) fn past(text: &str) -> Result<Timestamp, Failed> {
    when::parse_past(text, &jiff::Zoned::now()).map_err(Failed::Usage)
}

impl History {
    /// Whether no daemon is needed.
    pub(super) fn of_file(&self) -> bool {
        self.file.is_some()
    }

    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        if self.verify {
            let head = self.head.as_ref().map(|head| format!("?head={head}")).unwrap_or_default();
            let path = format!("/v1/history/verify{head}");
            let verification = client.send_and_wait(Method::GET, &path, &()).await?;
            return show(&verification, "the audit trail", common);
        }
        let mut query = Vec::new();
        for (key, time) in [("from", &self.from), ("to", &self.to)] {
            if let Some(time) = time {
                query.push(format!("{key}={}", past(time)?.0));
            }
        }
        if self.export {
            return client.stream(&format!("/v1/history/export?{}", query.join("&")), write).await;
        }
        query.push(format!("limit={}", self.limit));
        query.extend(self.subject.as_ref().map(|subject| format!("subject={}", escape(subject))));
        let records: Vec<AuditRecord> = client.get(&format!("/v1/history?{}", query.join("&"))).await?;
        if common.output == Output::Json {
            return print_json(&records);
        }
        if records.is_empty() {
            return print::line(match (&self.subject, &self.from, &self.to) {
                (Some(subject), ..) => format!("the audit trail tells nothing of {subject}"),
                (None, None, None) => "nothing has changed yet".into(),
                _ => "the audit trail tells nothing of that time".into(),
            });
        }
        let mut page = render(&records, print::width());
        if records.len() < self.limit as usize
            && self.from.is_none()
            && let Reach { first: Some(first), .. } = client.get("/v1/history/reach").await?
            && first.sequence > 1
        {
            let (sequence, at) = (first.sequence, first.at);
            page.push_str(&format!("\nthe audit trail begins with record {sequence} of {at}: older ones were removed"));
        }
        print::line(page)
    }

    /// Verifies an export, a line at a time.
    pub(super) fn verify_file(&self, common: &Common) -> Result<(), Failed> {
        let path = self.file.as_deref().unwrap_or(Path::new("-"));
        let cannot = |error| Failed::Sentence(format!("cannot read {}: {error}", path.display()));
        let (name, mut lines): (_, Box<dyn BufRead>) = match path == Path::new("-") {
            true => ("standard input".into(), Box::new(stdin().lock())),
            false => {
                let file = std::fs::File::open(path).map_err(cannot)?;
                (path.display().to_string(), Box::new(BufReader::new(file)))
            }
        };
        let mut check = Check::new(self.head.clone());
        let mut line = String::new();
        let broken = loop {
            line.clear();
            if lines.by_ref().take(LONGEST_LINE).read_line(&mut line).map_err(cannot)? == 0 {
                break None;
            }
            if let Err(broken) = check.line(line.trim_end_matches('\n')) {
                break Some(broken);
            }
        };
        show(&check.finish(broken), &name, common)
    }
}

/// Shows what was found. What is not whole, or does not have the hash that was asked for, is a failure.
fn show(verification: &Verification, what: &str, common: &Common) -> Result<(), Failed> {
    let sentences = verification.sentences(what);
    let failed = Failed::Sentence(sentences.join("\n"));
    match (common.output, verification.is_good()) {
        (Output::Json, true) => print_json(verification),
        (Output::Text, true) => print::line(sentences.join("\n")),
        (Output::Json, false) => Err(failed.with(verification)),
        (Output::Text, false) => Err(failed),
    }
}

/// Writes a part of an export; says whether anybody reads on.
fn write(lines: &[u8]) -> Result<bool, Failed> {
    let mut out = stdout().lock();
    match out.write_all(lines).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failed::Sentence(format!("cannot write to standard output: {error}"))),
    }
}

/// A record a line; on a terminal in two, so that none of it is squeezed into thin columns.
pub(super) fn render(records: &[AuditRecord], width: Option<usize>) -> String {
    let mut table = match width {
        None => Table::new(&["#", "WHEN (UTC)", "WHAT", "ABOUT", "CHANGE", "EPOCH", "WHO", "WHY"]),
        Some(_) => Table::new(&["#", "WHEN (UTC)", "WHAT", "ABOUT", "CHANGE"]),
    };
    for record in records {
        let change = match (&record.before, &record.after) {
            (Some(before), Some(after)) => format!("{before} -> {after}"),
            (None, Some(after)) => after.clone(),
            (Some(before), None) => format!("{before} -> none"),
            (None, None) => String::new(),
        };
        let (sequence, at) = (record.sequence.to_string(), record.at.to_string());
        let (what, about) = (record.kind.word().to_owned(), record.subject.clone());
        let epoch = record.epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
        let who = format!("{} ({})", record.author, record.origin);
        match width {
            None => table.row(vec![sequence, at, what, about, change, epoch, who, record.reason.clone()]),
            Some(_) => {
                let epoch = record.epoch.map(|epoch| format!("epoch {epoch}, ")).unwrap_or_default();
                table.row(vec![sequence, at, what, about, change]);
                table.line(wrap(&format!("{epoch}by {who}: {}", record.reason), width, 6).join("\n"));
            }
        }
    }
    table.render(width)
}
