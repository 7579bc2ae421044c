//! How many files probes may have open at once.
//!
//! An observation takes its share before it begins and gives it back at its end. As long as the limit of open files leaves
//! room for all targets at once nobody ever waits, whatever hangs. Where it does not, an observation waits for its share at
//! most as long as it may take; one that gets none says so and is neither good nor failed: this machine is short of
//! something, and not what is probed.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::policy::{Probe, ProbeKind, Target};

/// Files of a target that is resolved: a question for each family, and then as many connections.
const RESOLVED: u32 = 2;
/// Files of a program: three pipes, and what tells of its end.
const PROGRAM: u32 = 4;

/// As many files at once as an observation may take.
pub(crate) fn weight(probe: &Probe, target: &Target) -> u32 {
    match (&probe.kind, target) {
        (ProbeKind::Exec(_), _) => PROGRAM,
        (_, Target::Addresses(addresses)) => u32::try_from(addresses.len()).unwrap_or(u32::MAX),
        (_, Target::Host(_)) => RESOLVED,
    }
}

/// The files that probes may have open.
#[derive(Debug)]
pub(super) struct Budget {
    files: Semaphore,
    all: u32,
}

impl Budget {
    /// Of so many files, at least one.
    pub(super) fn new(files: usize) -> Self {
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let all = files.clamp(1, most) as u32;
        Self { files: Semaphore::new(all as usize), all }
    }

    /// A share of so many files, given back when it is dropped.
    ///
    /// # Errors
    /// A sentence, when there was none for the whole of `patience`.
    pub(super) async fn share(&self, files: u32, patience: Duration) -> Result<SemaphorePermit<'_>, String> {
        // What needs more than there is takes all.
        let files = files.clamp(1, self.all);
        match timeout(patience, self.files.acquire_many(files)).await {
            Ok(Ok(share)) => Ok(share),
            // It is never closed.
            Ok(Err(_)) | Err(_) => Err(format!(
                "other probes have all {} files open that the limit of open files (LimitNOFILE, ulimit -n) leaves them",
                self.all
            )),
        }
    }

    /// Warns when not all of these can be open at once.
    pub(super) fn compare(&self, weights: impl Iterator<Item = u32>) {
        let wanted: u64 = weights.map(u64::from).sum();
        if wanted > u64::from(self.all) {
            tracing::warn!(
                event = "prober",
                wanted,
                budget = self.all,
                "probes may have {} files open, and {wanted} if all hang at once: then some wait for others, and may not be \
                 made (LimitNOFILE, ulimit -n)",
                self.all
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::dns::Name;
    use crate::health::tests::tcp_probe;

    const SOON: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_share_is_as_large_as_what_may_be_open() {
        let addresses = |count| Target::Addresses(vec![IpAddr::V4(Ipv4Addr::LOCALHOST); count]);
        assert_eq!(weight(&tcp_probe(1), &addresses(1)), 1);
        assert_eq!(weight(&tcp_probe(1), &addresses(3)), 3);
        assert_eq!(weight(&tcp_probe(1), &Target::Host(Name::root())), 2);
    }

    #[tokio::test]
    async fn no_more_is_shared_than_there_is() {
        let budget = Budget::new(3);
        let two = budget.share(2, PATIENCE).await.unwrap();
        let refused = budget.share(2, SOON).await.unwrap_err();
        assert!(refused.starts_with("other probes have all 3 files open"), "{refused}");
        let one = budget.share(1, PATIENCE).await.unwrap();
        drop((one, two));
        // More than there is at all is as much as there is.
        drop(budget.share(9, PATIENCE).await.unwrap());
    }
}
