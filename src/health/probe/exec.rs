//! I/O shell: the `exec` probe. A program looks at the target and says how it is.
//!
//! | it ends | the observation is |
//! | --- | --- |
//! | with exit code 0 | good |
//! | with 75 (`EX_TEMPFAIL` of sysexits), 126 or 127 (a shell found no program) | none: the program could not look |
//! | with any other code, by a signal, or killed at the timeout | failed |
//!
//! It is run once for the target and not for each of its addresses: whether one of them is enough is for the program to
//! say. What it prints first is the detail. [`gate::exec`](crate::gate::exec) runs it: no shell is between, and nothing of
//! it is left when it has ended or is late.

use super::{Deadline, Observed, Remarks, host_name};
use crate::gate::exec::{Ended, Given, run_to_end};
use crate::health::Outcome;
use crate::policy::{Exec, Probe, Target};

/// Exit codes of a program that could not look.
const COULD_NOT_LOOK: [i32; 3] = [75, 126, 127];

pub(super) async fn observe(exec: &Exec, probe: &Probe, target: &Target, deadline: Deadline) -> Observed {
    let variables = vec![
        ("CONCIERGE_PROBE", probe.name.to_string()),
        ("CONCIERGE_TARGET", told(target)),
        ("CONCIERGE_TIMEOUT_MS", probe.timeout.as_millis().to_string()),
    ];
    let program = exec.program();
    let outcome = match run_to_end(exec, Given { variables, input: None }, deadline.at()).await {
        Ok(Ended::Exit(Some(0), _)) => Outcome::Good,
        Ok(Ended::Exit(Some(code), said)) if COULD_NOT_LOOK.contains(&code) => Outcome::Unable(format!(
            "{program} could not look, {}",
            Ended::Exit(Some(code), said).sentence(probe.timeout)
        )),
        Ok(ended) => Outcome::Failed(format!("{program}: {}", ended.sentence(probe.timeout))),
        Err(error) => Outcome::Unable(error.to_string()),
    };
    Observed { outcome, remarks: Remarks::default() }
}

/// The target as a program gets it: a host name in lower case and without final dot, or addresses with spaces between.
fn told(target: &Target) -> String {
    match target {
        Target::Host(name) => host_name(name),
        Target::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}
