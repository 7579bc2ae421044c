//! `concierge history`.

use clap::Args;

use super::client::{Client, escape};
use super::table::{Table, wrap};
use super::{Common, Failed, Output, print, print_json};
use crate::control::report::AuditRecord;

/// Show the audit trail, newest first.
#[derive(Debug, Args)]
pub(super) struct History {
    /// Only what is about this hub or region
    subject: Option<String>,
    /// At most this many records
    #[arg(long, short, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl History {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let subject = self.subject.as_ref().map(|subject| format!("&subject={}", escape(subject))).unwrap_or_default();
        let records: Vec<AuditRecord> = client.get(&format!("/v1/history?limit={}{subject}", self.limit)).await?;
        if common.output == Output::Json {
            return print_json(&records);
        }
        if records.is_empty() {
            return print::line(match &self.subject {
                Some(subject) => format!("the audit trail tells nothing of {subject}"),
                None => "nothing has changed yet".into(),
            });
        }
        print::line(render(&records, print::width()))
    }
}

/// A record a line; on a terminal in two, so that none of it is squeezed into thin columns.
fn render(records: &[AuditRecord], width: Option<usize>) -> String {
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
