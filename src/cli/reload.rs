//! `concierge reload`.

use clap::Args;
use hyper::Method;

use super::client::{Client, ClientError, author, escape};
use super::{Common, Failed, moves, print};
use crate::control::report::Moved;

/// Read zones and policy anew. A bad file leaves the running answers as they are and is explained.
#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Who reloads [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

impl Reload {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let path = format!("/v1/reload?author={}", escape(&author(self.author.as_ref())));
        match client.send_and_wait::<Moved>(Method::POST, &path, &()).await {
            Ok(moved) => moves::show(&moved, common),
            Err(ref refused @ ClientError::Refused { rejected: true, ref problems, .. }) => {
                print::complain(format_args!("error: {refused}\nhint: `concierge check` shows the lines\n"));
                Err(Failed::Rejected(problems.clone()))
            }
            Err(other) => Err(other.into()),
        }
    }
}
