//! I/O shell: the story that `--auto` plays, with a device that looks at every answer.
//!
//! Devices ask over UDP and TCP all the time. What an answer may be is known at each moment: the region that was active
//! when the question was asked, or the one that became active before the answer came. Anything else is wrong, and so is
//! an answer of an older epoch after one of a newer.
#![expect(clippy::disallowed_methods, reason = "I/O shell: time, tasks")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::device::{self, Way};
use super::{Hub, Stage};
use crate::cli::print;
use crate::control::event::{Author, Command};
use crate::control::mark::MarkTarget;
use crate::control::moves::MoveOptions;
use crate::control::reason::many;
use crate::control::report::{HubStatus, Moved};
use crate::control::run::Control;
use crate::health::Health;
use crate::policy::{MarkKind, RegionName};

/// Time between two questions of one device.
const PACE: Duration = Duration::from_millis(10);

/// What devices may be answered, and what they saw.
#[derive(Debug, Default)]
struct Ledger {
    /// Regions that are right for a question that is asked at this moment: one, or two while a switch may happen.
    right: Vec<RegionName>,
    /// The region that is to become the answer, and when a device was first answered with it.
    awaited: Option<RegionName>,
    first_new: Option<Instant>,
    asked: u64,
    wrong: Vec<String>,
}

type Shared = Arc<Mutex<Ledger>>;

/// Plays the story; the error says what was not as it should be.
pub(super) async fn play(stage: &Stage) -> Result<(), String> {
    let Stage { hub, regions, control, .. } = stage;
    let [first, second] = [&hub.regions[0], &hub.regions[1]];
    let started = Instant::now();
    let say = |sentence: &str| print::say(format_args!("{:7.2} s  {sentence}", started.elapsed().as_secs_f64()));

    wait_for(control, hub, Duration::from_secs(30), "every endpoint up", |status| {
        status.endpoints.iter().all(|endpoint| endpoint.measured == Health::Up)
    })
    .await?;
    let before = status(control, hub).await?;
    expect(before.active == *first, || format!("{} should be active, and {} is", first, before.active))?;
    say(&format!("{} answers {first}, epoch {}; both regions are up", hub.name, before.epoch));

    let ledger = Shared::default();
    allow(&ledger, &[first]);
    let devices = Devices::start(stage, &ledger);
    pause(Duration::from_secs(1)).await;

    allow(&ledger, &[first, second]);
    regions.fail(first)?;
    let failed = Instant::now();
    say(&format!("{first} fails: its listeners are closed"));
    let limit = hub.worst_detection + Duration::from_secs(5);
    let moved = wait_for(control, hub, limit, "the move", |status| status.active == *second).await?;
    allow(&ledger, &[second]);
    let seen = first_new(&ledger, limit).await?;
    say(&format!(
        "every device is answered {second}, epoch {}; the first new answer came {:.2} s after the failure",
        moved.epoch,
        seen.duration_since(failed).as_secs_f64()
    ));
    say(&format!("  because {}", moved.reason));
    expect(moved.epoch == before.epoch + 1, || format!("one switch should be one epoch, and it is {}", moved.epoch))?;

    regions.restore(first)?;
    say(&format!("{first} listens again"));
    wait_for(control, hub, Duration::from_secs(60), "the region to be up again", |status| {
        status.endpoints[0].measured == Health::Up
    })
    .await?;
    // Longer than the shortest time after which a policy can let a region take over by itself.
    pause(Duration::from_millis(1500)).await;
    let back = self::status(control, hub).await?;
    expect(back.active == *second, || "a region that comes back must not take over by itself".into())?;
    say(&format!("{first} is up, and {second} stays active: failback is manual"));

    allow(&ledger, &[first, second]);
    let options = MoveOptions { epoch: Some(back.epoch), now: true, ..MoveOptions::default() };
    command(control, Command::Failback { hub: hub.owner.clone(), options, reason: "story".into() }).await?;
    allow(&ledger, &[first]);
    say(&format!("failback: acknowledged, and from here on every answer is {first}"));
    pause(Duration::from_secs(1)).await;

    allow(&ledger, &[first, second]);
    let target = MarkTarget::Region(first.clone());
    let mark =
        Command::Mark { target: target.clone(), kind: MarkKind::Down, reason: "story".into(), from: None, until: None };
    let moved = command(control, mark).await?;
    allow(&ledger, &[second]);
    say(&format!("{first} is marked down: {} moved in one switch", many(moved.moved, "hub")));
    pause(Duration::from_secs(1)).await;
    command(control, Command::Unmark { target, reason: "story".into() }).await?;
    pause(Duration::from_secs(1)).await;

    let (asked, wrong) = devices.stop().await;
    let after = status(control, hub).await?;
    expect(after.epoch == before.epoch + 3, || {
        format!("three switches should be three epochs, and it is {}", after.epoch)
    })?;
    expect(asked > 100, || format!("the devices asked {asked} questions only"))?;
    if wrong.is_empty() {
        say(&format!("{asked} questions over UDP and TCP: every answer was right, none was lost"));
        return Ok(());
    }
    for sentence in wrong.iter().take(10) {
        print::say(format_args!("           wrong: {sentence}"));
    }
    Err(format!("{} of {asked} answers were wrong or lost", wrong.len()))
}

fn allow(ledger: &Shared, right: &[&RegionName]) {
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    ledger.right = right.iter().map(|region| (*region).clone()).collect();
    if right.len() > 1 {
        ledger.awaited = ledger.right.last().cloned();
        ledger.first_new = None;
    }
}

async fn first_new(ledger: &Shared, limit: Duration) -> Result<Instant, String> {
    let started = Instant::now();
    while started.elapsed() < limit {
        if let Some(seen) = ledger.lock().unwrap_or_else(PoisonError::into_inner).first_new {
            return Ok(seen);
        }
        pause(PACE).await;
    }
    Err("no device saw the new answer".into())
}

/// Devices that ask all the time, one over each transport.
struct Devices {
    ledger: Shared,
    tasks: Vec<JoinHandle<()>>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Devices {
    fn start(stage: &Stage, ledger: &Shared) -> Self {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let tasks = [Way::Udp, Way::Tcp]
            .into_iter()
            .map(|way| {
                let (hub, ledger, server) = (stage.hub.clone(), ledger.clone(), stage.server);
                let stopped = stopped.clone();
                tokio::spawn(async move {
                    while !*stopped.borrow() {
                        look(&hub, &ledger, server, way).await;
                        pause(PACE).await;
                    }
                })
            })
            .collect();
        Self { ledger: ledger.clone(), tasks, stop }
    }

    async fn stop(self) -> (u64, Vec<String>) {
        self.stop.send_replace(true);
        for task in self.tasks {
            // A device that panicked has not asked enough questions, which is checked.
            drop(task.await);
        }
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        (ledger.asked, ledger.wrong.clone())
    }
}

/// One question and a look at its answer.
async fn look(hub: &Hub, ledger: &Shared, server: SocketAddr, way: Way) {
    let lock = || ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let right = lock().right.clone();
    let answer = device::ask(server, &hub.name, way).await;
    let now = Instant::now();
    let mut ledger = lock();
    ledger.asked += 1;
    let region = answer.and_then(|message| region_of(&hub.addresses, &device::addresses(&message)));
    // What was right when the question was asked, or has become right since.
    let known: Vec<_> = right.iter().chain(&ledger.right).cloned().collect();
    match region {
        Ok(region) if known.contains(&region) => {
            if ledger.awaited.as_ref() == Some(&region) && ledger.first_new.is_none() {
                ledger.first_new = Some(now);
            }
        }
        Ok(region) => ledger.wrong.push(format!("{region} over {}", way.word())),
        Err(error) => ledger.wrong.push(error),
    }
}

/// The one region whose addresses these are.
fn region_of(regions: &BTreeMap<IpAddr, RegionName>, addresses: &[IpAddr]) -> Result<RegionName, String> {
    let [address] = addresses else {
        return Err(format!("{} addresses in one answer: {addresses:?}", addresses.len()));
    };
    regions.get(address).cloned().ok_or_else(|| format!("{address} is no region's"))
}

async fn status(control: &Control, hub: &Hub) -> Result<HubStatus, String> {
    let status = control.status().await.map_err(|error| error.to_string())?;
    let found = status.hubs.into_iter().find(|status| status.name == hub.owner);
    found.ok_or_else(|| format!("{} is not in the status", hub.name))
}

async fn command(control: &Control, command: Command) -> Result<Moved, String> {
    let author = Author { name: "demo".into(), origin: "daemon".into() };
    match control.command(command, author).await.map_err(|error| error.to_string())? {
        moved if moved.changed => Ok(moved),
        other => Err(format!("nothing was changed: {other:?}")),
    }
}

async fn wait_for(
    control: &Control,
    hub: &Hub,
    limit: Duration,
    what: &str,
    holds: impl Fn(&HubStatus) -> bool,
) -> Result<HubStatus, String> {
    let started = Instant::now();
    loop {
        let status = status(control, hub).await?;
        if holds(&status) {
            return Ok(status);
        }
        if started.elapsed() > limit {
            return Err(format!("waited {} s for {what} in vain", limit.as_secs()));
        }
        pause(PACE).await;
    }
}

fn expect(holds: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(sentence()) }
}

async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
