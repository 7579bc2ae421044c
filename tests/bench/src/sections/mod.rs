//! One file for each section of the report.

mod udp;

use anyhow::Result;

use crate::bench::Bench;

/// A section of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Section {
    /// CPU time per query over UDP, and the peak rate.
    Udp,
}

impl Section {
    /// All, in the order in which they run.
    pub(crate) const ALL: [Self; 1] = [Self::Udp];

    /// Measures, and adds tables to the report.
    pub(crate) fn run(self, bench: &mut Bench) -> Result<()> {
        match self {
            Self::Udp => udp::run(bench),
        }
    }
}
