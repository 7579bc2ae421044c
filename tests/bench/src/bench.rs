//! What all sections share: the machine, the servers, the results.

use anyhow::Result;

use crate::cpu::{Cores, Machine};
use crate::figures::median;
use crate::generator::Outcome;
use crate::servers::{Echo, Places, Running, Server};
use crate::table::{Cell, Table};
use crate::workload::Zone;

/// Names of the small zone.
pub(crate) const SMALL: Zone = Zone { names: 1_000, serial: 1 };
/// Names of the large zone.
pub(crate) const LARGE: Zone = Zone { names: 1_000_000, serial: 1 };

/// One run of the program.
pub(crate) struct Bench {
    /// Where server and generator run.
    pub(crate) machine: Machine,
    /// Where files and programs are.
    pub(crate) places: Places,
    /// What is measured, without the echo.
    pub(crate) servers: Vec<&'static dyn Server>,
    /// Fewer rounds.
    pub(crate) quick: bool,
    /// Rounds where the section's own number is not wanted.
    pub(crate) rounds: Option<usize>,
    /// Queries in flight of closed loops.
    pub(crate) window: usize,
    /// How long the soak takes, where that is said.
    pub(crate) seconds: Option<u64>,
    /// Whether tables are printed as they come.
    pub(crate) prints: bool,
    /// The tables so far.
    pub(crate) tables: Vec<Table>,
    /// What makes the run fail.
    pub(crate) failures: Vec<String>,
}

impl Bench {
    /// The number of rounds: one figure for a quick run, one for a full one.
    pub(crate) fn rounds(&self, quick: usize, full: usize) -> usize {
        self.rounds.unwrap_or(if self.quick { quick } else { full })
    }

    /// Says what is being done.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("   {what}");
    }

    /// Keeps a table, and prints it.
    pub(crate) fn publish(&mut self, table: Table) {
        if self.prints {
            println!("{}", table.text());
        }
        self.tables.push(table);
    }

    /// Starts a server with this zone on these cores.
    pub(crate) fn start(&self, server: &'static dyn Server, zone: Zone, cores: Cores) -> Result<Running> {
        let site = self.places.site(server, zone)?;
        Running::start(server, site, &self.machine, cores)
    }

    /// Starts all servers, with the echo first, on the server's core.
    pub(crate) fn start_all(&self, zone: Zone, echo: bool) -> Result<Vec<Running>> {
        let echo: Option<&'static dyn Server> = if echo { Some(&Echo) } else { None };
        echo.into_iter().chain(self.servers.iter().copied()).map(|s| self.start(s, zone, self.machine.server)).collect()
    }

    /// What concierge answered wrongly or not at all makes the run fail.
    pub(crate) fn judge(&mut self, server: &dyn Server, what: &str, outcome: &Outcome) {
        if server.name() != "concierge" || (outcome.wrong == 0 && outcome.lost == 0) {
            return;
        }
        let reason = outcome.first_wrong.map(|wrong| format!(" (the first: {wrong})")).unwrap_or_default();
        self.failures.push(format!(
            "{what}: concierge gave {} wrong answers{reason} and lost {} of {}",
            outcome.wrong, outcome.lost, outcome.sent
        ));
    }

    /// Makes the run fail, if it is concierge that did this.
    pub(crate) fn fail(&mut self, server: &dyn Server, failure: String) {
        if server.name() == "concierge" {
            self.failures.push(failure);
        }
    }
}

/// The median of the ratios within each round.
pub(crate) fn ratio(figures: &[f64], to: &[f64]) -> Cell {
    let ratios: Vec<f64> = figures.iter().zip(to).map(|(figure, to)| figure / to).collect();
    Cell::number(median(&ratios), 2)
}
