//! One file for each section of the report.

mod idle;
mod instructions;
mod latency;
mod layout;
mod memory;
mod policies;
mod probes;
mod reload;
mod soak;
mod start;
mod switch;
mod tcp;
mod udp;

use anyhow::Result;

use crate::bench::Bench;

/// A section of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Section {
    /// CPU time per query over UDP, and the peak rate.
    Udp,
    /// Latency at fixed rates.
    Latency,
    /// CPU time per query for hubs that answer by the client's country and by weights.
    Policies,
    /// User-space instructions per query.
    Instructions,
    /// Memory with 1,000 names and with 1,000,000.
    Memory,
    /// From the start to the first right answer with 1,000,000 names.
    Start,
    /// A new zone of 1,000,000 names under load.
    Reload,
    /// 10,000 hubs moved at once under load, concierge only.
    Switch,
    /// CPU time per query over TCP.
    Tcp,
    /// Memory for an idle TCP connection.
    Idle,
    /// CPU time and memory for 10,000 endpoints that are probed, concierge and gdnsd.
    Probes,
    /// No part of a whole run: half an hour of queries, reloads, switches, new certificates and malformed traffic, concierge
    /// only.
    Soak,
    /// No measurement, and no part of a whole run: what the linker keeps together, `src/resident.ld`.
    Layout,
}

impl Section {
    /// All that measure, in the order in which they run.
    pub(crate) const ALL: [Self; 11] = [
        Self::Udp,
        Self::Latency,
        Self::Policies,
        Self::Instructions,
        Self::Memory,
        Self::Start,
        Self::Reload,
        Self::Switch,
        Self::Tcp,
        Self::Idle,
        Self::Probes,
    ];

    /// Measures, and adds tables to the report.
    pub(crate) fn run(self, bench: &mut Bench) -> Result<()> {
        match self {
            Self::Udp => udp::run(bench),
            Self::Latency => latency::run(bench),
            Self::Policies => policies::run(bench),
            Self::Instructions => instructions::run(bench),
            Self::Memory => memory::run(bench),
            Self::Start => start::run(bench),
            Self::Reload => reload::run(bench),
            Self::Switch => switch::run(bench),
            Self::Tcp => tcp::run(bench),
            Self::Idle => idle::run(bench),
            Self::Probes => probes::run(bench),
            Self::Soak => soak::run(bench),
            Self::Layout => layout::run(bench),
        }
    }
}
