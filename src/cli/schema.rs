//! `concierge schema`.

use clap::{Args, ValueEnum};

use super::{Failed, print_json};
use crate::schema;

/// Print the JSON schema of a kind of file, for editors
#[derive(Debug, Args)]
#[command(after_help = "\
A file names its schema in its first line, which editors with a TOML language server understand:
         #:schema ../config/schema/policy.json

         concierge schema policy > config/schema/policy.json")]
pub(super) struct Schema {
    /// The kind of file
    #[arg(value_name = "FILE", default_value = "policy")]
    file: File,
}

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum File {
    /// The policy files, `zones/*.toml`
    Policy,
    /// The configuration, `config/concierge.toml`
    Config,
}

impl Schema {
    pub(super) fn run(&self) -> Result<(), Failed> {
        print_json(&match self.file {
            File::Policy => schema::policy(),
            File::Config => schema::config(),
        })
    }
}
