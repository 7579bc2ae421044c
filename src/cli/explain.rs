//! `concierge explain`.

use clap::Args;

use super::client::{Client, escape};
use super::{Common, Failed, Output, moves, print_json, status};
use crate::control::report::Explanation;
use crate::dns::Name;

/// Show why a name is answered as it is: zone, wildcard, hub, region, and the reason.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The name
    #[arg(value_parser = moves::name)]
    name: Name,
    /// The record type [default: what the hub answers; A for other names]
    #[arg(long = "type", short, value_name = "TYPE")]
    rtype: Option<String>,
}

impl Explain {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let rtype = self.rtype.as_ref().map(|rtype| format!("?rtype={}", escape(rtype))).unwrap_or_default();
        let path = format!("/v1/explain/{}{rtype}", escape(&self.name.to_string()));
        let explanation: Explanation = client.get(&path).await?;
        if common.output == Output::Json {
            return print_json(&explanation);
        }
        println!("{}: {}", explanation.name, explanation.rcode);
        for (at, step) in explanation.steps.iter().enumerate() {
            println!("  {}. {step}", at + 1);
        }
        if !explanation.answer.is_empty() {
            println!("\nanswer");
            for record in &explanation.answer {
                println!("  {record}");
            }
        }
        for hub in &explanation.hubs {
            println!("\n{}", status::why(hub));
        }
        Ok(())
    }
}
