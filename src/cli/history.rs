//! `concierge history`.

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};

use super::client::{Client, escape};
use super::{Common, Failed, Output, print_json};
use crate::control::report::AuditRecord;

/// Show the audit trail, newest first.
#[derive(Debug, Args)]
pub(super) struct History {
    /// Only what is about this hub or region
    subject: Option<String>,
    /// At most this many records
    #[arg(long, short, default_value_t = 50)]
    limit: usize,
}

impl History {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let subject = self.subject.as_ref().map(|subject| format!("&subject={}", escape(subject))).unwrap_or_default();
        let records: Vec<AuditRecord> = client.get(&format!("/v1/history?limit={}{subject}", self.limit)).await?;
        if common.output == Output::Json {
            return print_json(&records);
        }
        if records.is_empty() {
            println!("nothing has changed yet");
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["#", "WHEN (UTC)", "WHAT", "ABOUT", "CHANGE", "EPOCH", "WHO", "WHY"]);
        for record in records {
            let change = match (&record.before, &record.after) {
                (Some(before), Some(after)) => format!("{before} -> {after}"),
                (None, Some(after)) => after.clone(),
                (Some(before), None) => format!("{before} -> none"),
                (None, None) => String::new(),
            };
            table.add_row([
                record.sequence.to_string(),
                record.at.to_string(),
                record.kind.word().into(),
                record.subject,
                change,
                record.epoch.map(|epoch| epoch.to_string()).unwrap_or_default(),
                format!("{} ({})", record.author, record.origin),
                record.reason,
            ]);
        }
        println!("{table}");
        Ok(())
    }
}
