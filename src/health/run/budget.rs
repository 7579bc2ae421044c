//! How many files probes may have open at once, and how many programs may run.
//!
//! An observation takes its share before it begins and gives it back at its end. As long as the limit of open files leaves
//! room for all targets at once nobody ever waits, whatever hangs. Where it does not, an observation waits for its share at
//! most as long as it may take; one that gets none says so and is neither good nor failed: this machine is short of
//! something, and not what is probed. Programs have a limit of their own ([`MOST_PROGRAMS`]), for each takes memory and time
//! of a core that queries need.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::policy::{Probe, ProbeKind, Target};

/// Files of a target that is resolved: a question for each family, and then as many connections.
const RESOLVED: u32 = 2;
/// Files of a program: three pipes, and what tells of its end.
const PROGRAM: u32 = 4;
/// Programs that run at once for all probes of kind `exec`.
///
/// With a `timeout` of 10 s, so many that all hang leave room for 96 observations a minute.
const MOST_PROGRAMS: u32 = 16;

/// What an observation may take of this machine at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    files: u32,
    programs: u32,
}

/// As many files at once as an observation may take, and whether it runs a program.
pub(super) fn weight(probe: &Probe, target: &Target) -> Weight {
    match (&probe.kind, target) {
        (ProbeKind::Exec(_), _) => Weight { files: PROGRAM, programs: 1 },
        (_, Target::Addresses(addresses)) => {
            Weight { files: u32::try_from(addresses.len()).unwrap_or(u32::MAX), programs: 0 }
        }
        (_, Target::Host(_)) => Weight { files: RESOLVED, programs: 0 },
    }
}

/// What probes may take of this machine.
#[derive(Debug)]
pub(super) struct Budget {
    files: Permits,
    programs: Permits,
}

/// So many of something, to be shared.
#[derive(Debug)]
struct Permits {
    left: Semaphore,
    all: u32,
}

/// What an observation has taken, given back when it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "it is held, and not looked at")]
pub(super) struct Share<'a>(SemaphorePermit<'a>, Option<SemaphorePermit<'a>>);

impl Budget {
    /// Of so many files, at least one.
    pub(super) fn new(files: usize) -> Self {
        Self { files: Permits::of(files), programs: Permits::of(MOST_PROGRAMS as usize) }
    }

    /// A share for an observation, given back when it is dropped.
    ///
    /// # Errors
    /// A sentence, when there was none for the whole of `patience`.
    pub(super) async fn share(&self, weight: Weight, patience: Duration) -> Result<Share<'_>, String> {
        let until = Instant::now() + patience;
        // Files last: what waits for its turn to run a program keeps nothing from those that need none.
        let program = match weight.programs {
            0 => None,
            programs => Some(self.programs.take(programs, until).await.ok_or_else(|| {
                format!("other probes have all {} programs running that may run at once", self.programs.all)
            })?),
        };
        let files = self.files.take(weight.files, until).await.ok_or_else(|| {
            format!(
                "other probes have all {} files open that the limit of open files (LimitNOFILE, ulimit -n) leaves them",
                self.files.all
            )
        })?;
        Ok(Share(files, program))
    }

    /// Warns when not all of these can be observed at once.
    pub(super) fn compare(&self, weights: impl Iterator<Item = Weight>) {
        let (files, programs) = weights.fold((0_u64, 0_u64), |(files, programs), weight| {
            (files + u64::from(weight.files), programs + u64::from(weight.programs))
        });
        if files > u64::from(self.files.all) {
            tracing::warn!(
                event = "prober",
                wanted = files,
                budget = self.files.all,
                "probes may have {} files open, and {files} if all hang at once: then some wait for others, and may not be \
                 made (LimitNOFILE, ulimit -n)",
                self.files.all
            );
        }
        if programs > u64::from(self.programs.all) {
            tracing::warn!(
                event = "prober",
                wanted = programs,
                budget = self.programs.all,
                "probes may run {} programs, and {programs} if all hang at once: then some wait for others, and may not be made",
                self.programs.all
            );
        }
    }
}

impl Permits {
    fn of(all: usize) -> Self {
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let all = all.clamp(1, most) as u32;
        Self { left: Semaphore::new(all as usize), all }
    }

    /// So many of them, or all when it is more than there are; `None` when they were not there until then.
    async fn take(&self, some: u32, until: Instant) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        timeout_at(until, self.left.acquire_many(some.clamp(1, self.all))).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::dns::Name;
    use crate::health::tests::tcp_probe;
    use crate::policy::Exec;

    const SOON: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(20);

    fn files(files: u32) -> Weight {
        Weight { files, programs: 0 }
    }

    #[test]
    fn a_share_is_as_large_as_what_may_be_open() {
        let addresses = |count| Target::Addresses(vec![IpAddr::V4(Ipv4Addr::LOCALHOST); count]);
        assert_eq!(weight(&tcp_probe(1), &addresses(1)), files(1));
        assert_eq!(weight(&tcp_probe(1), &addresses(3)), files(3));
        assert_eq!(weight(&tcp_probe(1), &Target::Host(Name::root())), files(2));
        let program = Probe { kind: ProbeKind::Exec(Exec { command: Vec::new() }), ..tcp_probe(1) };
        assert_eq!(weight(&program, &addresses(3)), Weight { files: 4, programs: 1 });
    }

    #[tokio::test]
    async fn no_more_is_shared_than_there_is() {
        let budget = Budget::new(3);
        let two = budget.share(files(2), PATIENCE).await.unwrap();
        let refused = budget.share(files(2), SOON).await.unwrap_err();
        assert!(refused.starts_with("other probes have all 3 files open"), "{refused}");
        let one = budget.share(files(1), PATIENCE).await.unwrap();
        drop((one, two));
        // More than there is at all is as much as there is.
        drop(budget.share(files(9), PATIENCE).await.unwrap());
    }

    #[tokio::test]
    async fn no_more_programs_run_than_may_and_who_waits_for_one_keeps_no_files_from_others() {
        let program = Weight { files: 4, programs: 1 };
        let budget = Budget::new(4 * MOST_PROGRAMS as usize + 1);
        let mut running = Vec::new();
        for _ in 0..MOST_PROGRAMS {
            running.push(budget.share(program, PATIENCE).await.unwrap());
        }
        let refused = budget.share(program, SOON).await.unwrap_err();
        assert_eq!(refused, "other probes have all 16 programs running that may run at once");
        let mut waits = std::pin::pin!(budget.share(program, PATIENCE));
        assert!(tokio::time::timeout(SOON, &mut waits).await.is_err());
        drop(budget.share(files(1), PATIENCE).await.unwrap());
        running.pop();
        drop(waits.await.unwrap());
    }
}
