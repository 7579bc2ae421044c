//! What a process owes its machine: it takes the sockets that it is given, tells the service manager how it is, gives up
//! what it does not need, and makes room for its successor.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`passed`] | sockets from systemd or from the process before |
//! | [`notify`] | what the service manager is told |
//! | [`liveness`] | whether the control loop and the workers still turn |
//! | [`privileges`] | capabilities, priorities, core dumps |
//! | [`watch`] | looks whether they do, and tells the service manager so |
//! | [`upgrade`] | another process takes over |
//! | [`sandbox`] | the files that are within its reach |
//!
//! What holds for the whole process is kept here, once, for the metrics.

pub mod liveness;
pub mod notify;
pub mod passed;
pub mod privileges;
pub mod sandbox;
pub mod upgrade;
pub mod watch;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How the process stands on its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// The files out of its reach: 1 all that it does not need, 0.5 as far as the kernel can, 0 none.
    pub landlock: f64,
    /// No capability is left to any thread.
    pub capabilities: bool,
    /// Neither it nor what it runs can get new privileges.
    pub no_new_privs: bool,
    /// Its memory can be written to no core dump and read by no debugger of its own account.
    pub core_dumps: bool,
    /// This process took over from another one.
    pub took_over: bool,
    /// How often another process could not take over from this one.
    pub upgrades_failed: u64,
    /// The longest time for which a worker or the control loop has shown no turn.
    pub silent: Duration,
}

/// Written at the start and once a second, read for the metrics; never while answering.
static STANDING: Mutex<Standing> = Mutex::new(Standing {
    landlock: 0.0,
    capabilities: false,
    no_new_privs: false,
    core_dumps: false,
    took_over: false,
    upgrades_failed: 0,
    silent: Duration::ZERO,
});

/// How the process stands.
pub fn standing() -> Standing {
    *STANDING.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn stand(change: impl FnOnce(&mut Standing)) {
    change(&mut STANDING.lock().unwrap_or_else(PoisonError::into_inner));
}
