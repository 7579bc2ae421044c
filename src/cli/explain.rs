//! `concierge explain`.

use std::net::IpAddr;

use clap::Args;

use super::client::{Client, escape};
use super::table::fold;
use super::{Common, Failed, Output, history, moves, print, print_json, status};
use crate::control::past::PastExplanation;
use crate::control::report::Explanation;
use crate::dns::Name;

/// Show why a name is answered as it is: zone, wildcard, hub, region, and the reason.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The name
    #[arg(value_parser = moves::name)]
    name: Name,
    /// The record type [default: what the hub answers; A for other names]
    #[arg(long = "type", short = 't', value_name = "TYPE")]
    rtype: Option<String>,
    /// For a client at this address, where the answer depends on who asks [default: this machine]
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,
    /// What a hub answered at a past time, as the audit trail tells it: RFC 3339, `2026-11-23`, `14:00`, or `2h ago`
    #[arg(long, value_name = "TIME", conflicts_with_all = ["rtype", "from"])]
    at: Option<String>,
}

impl Explain {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        if let Some(at) = &self.at {
            return self.past(history::past(at)?.0, client, common).await;
        }
        let rtype = self.rtype.as_ref().map(|rtype| format!("rtype={}", escape(rtype)));
        let from = self.from.map(|from| format!("from={}", escape(&from.to_string())));
        let query: Vec<String> = rtype.into_iter().chain(from).collect();
        let path = format!("/v1/explain/{}?{}", escape(&self.name.to_string()), query.join("&"));
        let explanation: Explanation = client.get(&path).await?;
        if common.output == Output::Json {
            return print_json(&explanation);
        }
        let mut page = vec![format!("{}: {}", explanation.name, explanation.rcode)];
        let width = print::width();
        page.extend(
            explanation.steps.iter().enumerate().map(|(at, step)| fold(&format!("{:>3}. ", at + 1), step, width)),
        );
        if !explanation.answer.is_empty() {
            page.push("\nanswer".into());
            page.extend(explanation.answer.iter().map(|record| format!("  {record}")));
        }
        page.extend(explanation.hubs.iter().map(|hub| format!("\n{}", status::why(hub, width))));
        print::line(page.join("\n"))
    }

    async fn past(&self, at: u64, client: &Client, common: &Common) -> Result<(), Failed> {
        let path = format!("/v1/explain/{}?at={at}", escape(&self.name.to_string()));
        let explanation: PastExplanation = client.get(&path).await?;
        if common.output == Output::Json {
            return print_json(&explanation);
        }
        let width = print::width();
        let steps = explanation.steps.iter().enumerate();
        let mut page: Vec<_> = steps.map(|(at, step)| fold(&format!("{:>3}. ", at + 1), step, width)).collect();
        if !explanation.records.is_empty() {
            page.push(format!("\n{}", history::render(&explanation.records, width)));
        }
        print::line(page.join("\n"))
    }
}
