//! I/O shell: a drill with real probes. It has the daemon treat a canary's active region as dark, asks the daemon's DNS
//! like a device until another region answers, ends the drill and has the canary moved back.
//!
//! What is measured is measured from outside, from the moment before the daemon was told; the daemon's own word is taken
//! for the verdict of the probe and for what held the move. Should this process be killed, the daemon gives the drill up by
//! itself, and the canary stays where it is.
#![expect(
    clippy::disallowed_methods,
    reason = "I/O shell: waits, asks DNS, and looks at the machine's clock while it does"
)]

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use hyper::Method;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::{Client, ClientError, escape};
use super::demo::device::{Way, ask_type};
use super::drill_report::{Back, Held, Report, WaySeen};
use super::{Common, Failed, Output, operators, print, print_json};
use crate::admin::drill::Addresses;
use crate::admin::request::{DrillRequest, MoveRequest};
use crate::control::drill::DrillStatus;
use crate::control::moves::Stage;
use crate::control::plan::Progress;
use crate::control::report::{HubStatus, Moved};
use crate::dns::Name;
use crate::policy::RegionName;
use crate::time::human;

/// Time between two queries over one transport.
const QUERIES: Duration = Duration::from_millis(50);
/// Time between two looks at the hub.
const LOOKS: Duration = Duration::from_millis(100);
/// How long a daemon that has stopped to answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an answer that should be there is waited for.
const SETTLE: Duration = Duration::from_secs(10);
/// How long the way back is followed.
const BACK: Duration = Duration::from_mins(1);

/// One drill as it was asked for.
#[derive(Debug)]
pub(super) struct Live<'a> {
    pub(super) hub: &'a Name,
    /// The region that goes dark; `None`: the active one.
    pub(super) dark: Option<&'a RegionName>,
    /// When it is given up.
    pub(super) within: Duration,
    /// Whether the canary stays where it is.
    pub(super) keep: bool,
    pub(super) reason: &'a str,
    pub(super) author: String,
}

/// Runs the drill, and shows what came of it.
pub(super) async fn run(live: &Live<'_>, client: &Client, common: &Common) -> Result<(), Failed> {
    let before: Progress = client.get(&operators::path(live.hub, "move")).await?;
    let before = before.hub;
    let Addresses { dns } = client.get("/v1/addresses").await?;
    let server = *dns.first().ok_or_else(|| Failed::Sentence("the daemon answers on no address".into()))?;
    let lens = Lens::of(server, &before)?;
    let first = lens.ask(Way::Udp).await.map_err(|error| unanswered(server, error))?;
    lens.ask(Way::Tcp).await.map_err(|error| unanswered(server, error))?;

    let mut interrupts = signal(SignalKind::interrupt())?;
    let begun = Instant::now();
    let request = DrillRequest {
        region: live.dark.cloned(),
        within_ms: Some(millis(live.within)),
        reason: live.reason.to_owned(),
        author: Some(live.author.clone()),
    };
    let path = operators::path(live.hub, "drill");
    let moved: Moved = client.send(Method::POST, &path, &request).await?;
    if common.output == Output::Text {
        print::complain(format_args!("{}\n", moved.summary));
    }
    let watched = Watched::new(&first, begun, before.epoch);
    tokio::select! {
        outcome = watched.run(&lens, client) => {
            if outcome.is_err() {
                // A daemon that cannot be told gives it up by itself.
                drop(end(client, live, "the command that asked for it has failed").await);
            }
            outcome?;
        }
        _ = interrupts.recv() => {
            end(client, live, "Ctrl-C").await?;
            let now: Progress = client.get(&operators::path(live.hub, "move")).await?;
            let active = now.hub.active;
            let sentence = format!("the drill is ended; {} answers {active}", live.hub);
            print::complain(format_args!("{sentence}\n"));
            return Err(Failed::Said(sentence));
        }
    }
    let ended = Instant::now();
    end(client, live, "it has shown what it could").await?;
    let switched = watched.story.borrow().switched.is_some();
    let back = match (switched, live.keep) {
        (false, _) => Back::NotNeeded,
        (true, true) => Back::Kept,
        (true, false) => {
            let way = WayBack { live, before: &before, lens: &lens, first: &first, ended };
            way.go(client, &mut interrupts).await?
        }
    };
    let report = watched.report(live, &before, server, back);
    match (common.output, report.failure().map(Failed::Sentence)) {
        (Output::Json, None) => print_json(&report),
        (Output::Json, Some(failed)) => Err(failed.with(&report)),
        (Output::Text, failed) => {
            print::line(report.page(print::width()))?;
            failed.map_or(Ok(()), Err)
        }
    }
}

/// Has the daemon end the drill.
async fn end(client: &Client, live: &Live<'_>, why: &str) -> Result<(), ClientError> {
    let path = operators::path(live.hub, "drill");
    let query = format!("author={}&reason={}", escape(&live.author), escape(why));
    let _: Moved = client.send(Method::DELETE, &format!("{path}?{query}"), &()).await?;
    Ok(())
}

fn unanswered(server: SocketAddr, error: String) -> Failed {
    Failed::Sentence(format!("{server} cannot be asked, and nothing was done: {error}"))
}

/// How the hub is asked, and by what its answer is known.
#[derive(Debug)]
struct Lens {
    server: SocketAddr,
    name: String,
    kind: RecordType,
}

/// What a hub answers: type and RDATA of each of its records, in order, and their TTL.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    records: Vec<String>,
    ttl: u32,
}

impl Lens {
    fn of(server: SocketAddr, hub: &HubStatus) -> Result<Self, Failed> {
        let word = hub.answer.first().and_then(|record| record.split(' ').next()).unwrap_or_default();
        let kind = match word {
            // A device follows it.
            "CNAME" => RecordType::A,
            word => word
                .parse()
                .map_err(|_| Failed::Sentence(format!("{} answers {word}, which is not known", hub.name)))?,
        };
        Ok(Self { server, name: hub.name.to_string(), kind })
    }

    async fn ask(&self, way: Way) -> Result<Answer, String> {
        let message = ask_type(self.server, &self.name, self.kind, way).await?;
        answer(&message, &self.name).ok_or_else(|| format!("no record of {} in the answer", self.name))
    }
}

/// The records of the hub itself.
fn answer(message: &Message, name: &str) -> Option<Answer> {
    let mine = message.answers.iter().filter(|record| record.name.to_string().eq_ignore_ascii_case(name));
    let mut records: Vec<_> = mine.clone().map(|record| format!("{} {}", record.record_type(), record.data)).collect();
    records.sort_unstable();
    Some(Answer { ttl: mine.map(|record| record.ttl).min()?, records })
}

/// What is seen while the drill runs.
struct Watched<'a> {
    begun: Instant,
    first: &'a Answer,
    stop: Cell<bool>,
    udp: RefCell<WaySeen>,
    tcp: RefCell<WaySeen>,
    story: RefCell<Story>,
}

impl<'a> Watched<'a> {
    fn new(first: &'a Answer, begun: Instant, epoch: u64) -> Self {
        let seen = WaySeen {
            ttl_before: first.ttl,
            ttl_last: first.ttl,
            over_ms: u64::from(first.ttl) * 1_000,
            ..WaySeen::default()
        };
        let story = RefCell::new(Story { epoch, ..Story::default() });
        let (udp, tcp) = (RefCell::new(seen.clone()), RefCell::new(seen));
        Self { begun, first, stop: Cell::new(false), udp, tcp, story }
    }

    /// Looks and asks until there is nothing more to see.
    async fn run(&self, lens: &Lens, client: &Client) -> Result<(), Failed> {
        let ((), (), outcome) = tokio::join!(
            self.ask(lens, Way::Udp, &self.udp),
            self.ask(lens, Way::Tcp, &self.tcp),
            self.follow(lens, client)
        );
        outcome
    }

    async fn ask(&self, lens: &Lens, way: Way, seen: &RefCell<WaySeen>) {
        while !self.stop.get() {
            let answer = lens.ask(way).await;
            take_answer(&mut seen.borrow_mut(), self.first, answer.ok(), millis(self.begun.elapsed()));
            tokio::time::sleep(QUERIES).await;
        }
    }

    async fn follow(&self, lens: &Lens, client: &Client) -> Result<(), Failed> {
        let path = operators::path_of(&lens.name, "move");
        let (mut lost, mut over): (Option<Instant>, Option<Instant>) = (None, None);
        let outcome = loop {
            match client.get::<Progress>(&path).await {
                Ok(progress) => {
                    lost = None;
                    self.story.borrow_mut().take(&progress.hub, millis(self.begun.elapsed()));
                }
                Err(error) if error.is_lost() && lost.get_or_insert_with(Instant::now).elapsed() < PATIENCE => {}
                Err(error) => break Err(error.into()),
            }
            let (switched, ended) = {
                let story = self.story.borrow();
                (story.switched.is_some(), story.ended)
            };
            let answered = [&self.udp, &self.tcp].iter().all(|way| way.borrow().switched_ms.is_some());
            let since = (switched || ended).then(|| *over.get_or_insert_with(Instant::now));
            if (ended && !switched) || (switched && answered) || since.is_some_and(|since| since.elapsed() > SETTLE) {
                break Ok(());
            }
            tokio::time::sleep(LOOKS).await;
        };
        self.stop.set(true);
        outcome
    }

    fn report(self, live: &Live<'_>, before: &HubStatus, server: SocketAddr, back: Back) -> Report {
        let Self { udp, tcp, story, .. } = self;
        let (udp, tcp, story) = (udp.into_inner(), tcp.into_inner(), story.into_inner());
        let drill = story.drill.as_ref();
        let answered = story.switched.is_some() && udp.switched_ms.is_some() && tcp.switched_ms.is_some();
        let drained_ms = answered.then(|| udp.over_ms.max(tcp.over_ms));
        let rto_ms = drill.and_then(|drill| drill.rto_ms);
        let worst = drill.map(|drill| drill.worst.clone()).unwrap_or_default();
        let why = match (&story.switched, story.holds.last()) {
            (Some(switched), _) => switched.why.clone(),
            (None, Some(held)) => format!("{}, when the drill was over", held.reason),
            (None, None) => match drill {
                Some(drill) => format!("the drill was over: {}", drill.sentence),
                None => "the drill was over before it was seen".into(),
            },
        };
        Report {
            hub: live.hub.clone(),
            dark: before.active.clone(),
            author: live.author.clone(),
            reason: live.reason.to_owned(),
            started: drill.map(|drill| drill.started).unwrap_or_default(),
            server,
            to: story.switched.as_ref().map(|switched| switched.to.clone()),
            epoch: story.switched.as_ref().map(|switched| switched.epoch),
            why,
            detected_ms: drill.and_then(|drill| Some(millis(drill.down_since?.since(drill.started)))),
            holds: story.holds,
            met: rto_ms.map(|rto| drained_ms.is_some_and(|drained| drained <= rto)),
            met_at_worst: rto_ms.map(|rto| worst.total_ms <= rto),
            udp,
            tcp,
            drained_ms,
            worst,
            rto_ms,
            back,
        }
    }
}

/// Takes one answer in, or that none came. One that still has a record of before is an old one.
fn take_answer(seen: &mut WaySeen, first: &Answer, answer: Option<Answer>, at: u64) {
    seen.queries += 1;
    let Some(Answer { records, ttl }) = answer else {
        seen.unanswered += 1;
        return;
    };
    let old = records.iter().any(|record| first.records.contains(record));
    match (old, seen.switched_ms) {
        (true, None) => {
            seen.ttl_last = ttl;
            seen.over_ms = seen.over_ms.max(at + u64::from(ttl) * 1_000);
        }
        (false, None) => (seen.switched_ms, seen.ttl_since, seen.answer) = (Some(at), Some(ttl), records),
        // An older answer after a new one is a defect that a drill must not hide.
        (true, Some(_)) => seen.over_ms = seen.over_ms.max(at + u64::from(ttl) * 1_000),
        (false, Some(_)) => {}
    }
}

/// What the daemon says of the hub.
#[derive(Debug, Default)]
struct Story {
    /// Before the drill.
    epoch: u64,
    drill: Option<DrillStatus>,
    ended: bool,
    holds: Vec<Held>,
    /// Whether the last of them still holds.
    held: bool,
    switched: Option<Switched>,
}

#[derive(Debug)]
struct Switched {
    to: RegionName,
    epoch: u64,
    why: String,
}

impl Story {
    fn take(&mut self, hub: &HubStatus, at: u64) {
        match &hub.drill {
            Some(drill) => self.drill = Some(drill.clone()),
            None => self.ended = true,
        }
        if hub.epoch > self.epoch && self.switched.is_none() {
            let (to, why) = (hub.active.clone(), format!("{}: {}", hub.cause.word(), hub.reason));
            self.switched = Some(Switched { to, epoch: hub.epoch, why });
        }
        let last = self.holds.last_mut().filter(|_| self.held);
        // What is held since is another move.
        let hold = hub.hold.as_ref().filter(|_| self.switched.is_none());
        let goes_on = |last: &Held| hold.is_some_and(|hold| hold.waiting == last.waiting && hold.wanted == last.wanted);
        if let Some(last) = last {
            last.for_ms = at - last.from_ms;
            if goes_on(last) {
                return;
            }
        }
        self.held = hold.is_some();
        self.holds.extend(hold.map(|hold| Held {
            waiting: hold.waiting.clone(),
            wanted: hold.wanted.clone(),
            reason: hold.reason.clone(),
            from_ms: at,
            for_ms: 0,
        }));
    }
}

/// The way back to the region of before.
struct WayBack<'a> {
    live: &'a Live<'a>,
    before: &'a HubStatus,
    lens: &'a Lens,
    first: &'a Answer,
    ended: Instant,
}

impl WayBack<'_> {
    /// Asks for the move, which has to pass its gates, and follows it.
    async fn go(&self, client: &Client, interrupts: &mut Signal) -> Result<Back, Failed> {
        let Self { live, before, .. } = self;
        let path = operators::path(live.hub, "move");
        let now: Progress = client.get(&path).await?;
        if now.hub.active == before.active {
            return Ok(self.moved(now.hub.epoch).await);
        }
        let preferred = before.endpoints.first().is_some_and(|first| first.region == before.active);
        // The TTL of one that has two is low already, since the switch.
        let request = MoveRequest {
            to: (!preferred).then(|| before.active.clone()),
            epoch: Some(now.hub.epoch),
            at: None,
            until: None,
            now: true,
            force: false,
            break_glass: None,
            reason: format!("the way back of a drill ({})", live.reason),
            author: Some(live.author.clone()),
        };
        let verb = if preferred { "failback" } else { "failover" };
        match client.send::<Moved>(Method::POST, &operators::path(live.hub, verb), &request).await {
            Ok(_) => {}
            Err(ClientError::Refused { message, .. }) => return Ok(Back::Refused { why: message }),
            Err(error) => return Err(error.into()),
        }
        let followed = Instant::now();
        loop {
            let now: Progress = client.get(&path).await?;
            if now.hub.active == before.active {
                return Ok(self.moved(now.hub.epoch).await);
            }
            let planned = now.hub.planned.map(|planned| (planned.planned.stage, planned.sentence));
            match planned {
                Some((Stage::Stopped { why, .. }, _)) => return Ok(Back::Refused { why }),
                Some((Stage::Approval { .. }, why)) => return Ok(Back::Waits { why }),
                Some((_, why)) if followed.elapsed() > BACK => return Ok(Back::Waits { why }),
                Some(_) => {}
                None => return Ok(Back::Waits { why: format!("{} is active", now.hub.active) }),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOKS) => {}
                _ = interrupts.recv() => {
                    return Ok(Back::Waits { why: "it was not followed any longer (Ctrl-C)".into() });
                }
            }
        }
    }

    /// When the answer of before is there again.
    async fn moved(&self, epoch: u64) -> Back {
        let asked = Instant::now();
        while asked.elapsed() < SETTLE {
            if self.lens.ask(Way::Udp).await.is_ok_and(|answer| answer.records == self.first.records) {
                return Back::Moved { after_ms: Some(millis(self.ended.elapsed())), epoch };
            }
            tokio::time::sleep(QUERIES).await;
        }
        Back::Moved { after_ms: None, epoch }
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// How long a drill may last on the command line.
pub(super) fn within(text: &str) -> Result<Duration, String> {
    let most = crate::control::drill::LONGEST;
    match crate::document::parse_duration(text) {
        Some(length) if !length.is_zero() && length <= most => Ok(length),
        Some(_) => Err(format!("a drill lasts {} at most", human(most))),
        None => Err("expected a length such as `5m`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(record: &str, ttl: u32) -> Option<Answer> {
        Some(Answer { records: vec![record.into()], ttl })
    }

    #[test]
    fn the_last_old_answer_says_when_the_last_resolver_has_moved() {
        let first = answer("A 192.0.2.1", 30).unwrap();
        let watched = Watched::new(&first, Instant::now(), 1);
        let mut seen = watched.udp.into_inner();
        assert_eq!((seen.over_ms, seen.ttl_before), (30_000, 30));
        take_answer(&mut seen, &first, answer("A 192.0.2.1", 30), 4_000);
        take_answer(&mut seen, &first, None, 5_000);
        take_answer(&mut seen, &first, answer("A 192.0.2.1", 5), 9_000);
        // All endpoints at once: the old one is among them.
        let all = Answer { records: vec!["A 192.0.2.1".into(), "A 192.0.2.2".into()], ttl: 5 };
        take_answer(&mut seen, &first, Some(all), 9_500);
        assert_eq!((seen.over_ms, seen.ttl_last, seen.switched_ms), (34_000, 5, None));
        take_answer(&mut seen, &first, answer("A 192.0.2.2", 6), 10_000);
        take_answer(&mut seen, &first, answer("A 192.0.2.2", 7), 11_000);
        assert_eq!((seen.switched_ms, seen.ttl_since, seen.over_ms), (Some(10_000), Some(6), 34_000));
        assert_eq!((seen.queries, seen.unanswered), (6, 1));
        take_answer(&mut seen, &first, answer("A 192.0.2.1", 30), 20_000);
        assert_eq!((seen.switched_ms, seen.over_ms), (Some(10_000), 50_000), "an old answer after a new one counts");
    }

    #[test]
    fn a_drill_lasts_no_longer_than_it_may() {
        assert_eq!(within("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(within("15m"), Ok(Duration::from_mins(15)));
        for text in ["16m", "0s", "soon"] {
            assert!(within(text).is_err(), "{text}");
        }
    }
}
