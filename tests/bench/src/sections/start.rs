//! Time from the start of the program to the first right answer, for the last name of a zone of a million.

use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, LARGE, ratio};
use crate::cpu::Cores;
use crate::figures::{least, median, most};
use crate::servers::Running;
use crate::table::{Cell, Table};

/// Time between two questions.
const PAUSE: Duration = Duration::from_millis(2);

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let rounds = bench.rounds(1, 5);
    let mut found: Vec<Vec<f64>> = vec![Vec::new(); bench.servers.len()];
    for round in 1..=rounds {
        bench.say(&format!("round {round} of {rounds}"));
        for (server, found) in bench.servers.iter().zip(&mut found) {
            let site = bench.places.site(*server, LARGE)?;
            let running = Running::launch(*server, site, &bench.machine, Cores::All, &[])?;
            found.push(running.wait(PAUSE)?.as_secs_f64());
        }
    }
    let knot = bench.servers.iter().position(|server| server.name() == "knot").map(|knot| found[knot].clone());
    let columns = ["server", "seconds", "least", "most", "x knot"];
    let title = format!("start to the first right answer with 1,000,000 names: {rounds} rounds, medians, all cores");
    let mut table = Table::new(title, &columns);
    for (server, found) in bench.servers.iter().zip(&found) {
        table.row(vec![
            server.name().into(),
            Cell::number(median(found), 2),
            Cell::number(least(found), 2),
            Cell::number(most(found), 2),
            knot.as_deref().map_or(Cell::Nothing, |knot| ratio(found, knot)),
        ]);
    }
    table.note("the zone file is in the page cache");
    bench.publish(table);
    Ok(())
}
