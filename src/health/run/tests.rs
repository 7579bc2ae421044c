use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::health::tests::tcp_probe;
use crate::policy::{
    CompositeProbe, Expectation, HttpProbe, HttpVersion, Method, Needs, ProbeKind, ProbeName, PushProbe, Target,
    TcpProbe,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A probe that is due often: every second, while not settled every 20 ms.
fn probe(port: u16) -> Probe {
    Probe {
        interval: Duration::from_secs(1),
        confirm: Duration::from_millis(20),
        timeout: Duration::from_secs(1),
        rise: NonZeroU8::new(4).unwrap(),
        ..tcp_probe(port)
    }
}

/// An HTTP probe with much patience.
fn over_http(port: u16) -> Probe {
    let http = HttpProbe {
        port,
        tls: None,
        host: None,
        path: "/".to_owned(),
        method: Method::Get,
        version: HttpVersion::One,
        headers: Vec::new(),
        keep_alive: false,
        expect: Expectation { status: vec![(200, 299)], body: None, value: None },
    };
    Probe { kind: ProbeKind::Http(http), timeout: PATIENCE, ..probe(port) }
}

/// The next connection, its request read.
async fn request(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("it is probed").unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
    stream
}

fn target(name: &str) -> ProbeTarget {
    ProbeTarget { probe: ProbeName::new(name), target: Target::Addresses(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) }
}

fn wanted<const N: usize>(probes: [(&str, Probe); N]) -> BTreeMap<ProbeTarget, Arc<Probe>> {
    probes.into_iter().map(|(name, probe)| (target(name), Arc::new(probe))).collect()
}

/// A listener, whose queue takes the connections, and its port.
async fn open() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn closed() -> u16 {
    open().await.1
}

struct Received {
    observations: mpsc::Receiver<Observation>,
    began: Instant,
}

impl Received {
    /// The next observation and when it came, from the start of the test.
    async fn next(&mut self) -> (Observation, Duration) {
        let next = timeout(PATIENCE, self.observations.recv()).await.expect("no observation comes");
        (next.expect("the probers run"), self.began.elapsed())
    }

    /// The next one of this probe.
    async fn next_of(&mut self, name: &str) -> (Observation, Duration) {
        loop {
            let (observation, at) = self.next().await;
            if observation.target.probe.as_str() == name {
                return (observation, at);
            }
        }
    }

    /// How long after the one before each of the next observations of this probe comes.
    async fn gaps<const N: usize>(&mut self, name: &str) -> [Duration; N] {
        let mut before = self.next_of(name).await.1;
        let mut gaps = [Duration::ZERO; N];
        for gap in &mut gaps {
            let at = self.next_of(name).await.1;
            *gap = at - before;
            before = at;
        }
        gaps
    }
}

/// Probers with a clock that stands.
fn probers() -> (Probers, Received) {
    probers_with(|| Timestamp(7))
}

fn probers_with(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> (Probers, Received) {
    let (sender, observations) = mpsc::channel(16);
    (Probers::start(&[], 64, sender, clock).unwrap(), Received { observations, began: Instant::now() })
}

/// `gaps` in words: `confirm` is not to be told from `interval` but by being much shorter.
fn paces(gaps: &[Duration]) -> Vec<&'static str> {
    let interval = Duration::from_millis(850);
    gaps.iter().map(|gap| if *gap < interval { "confirm" } else { "interval" }).collect()
}

#[tokio::test]
async fn everything_wanted_is_observed() {
    let (_open, port) = open().await;
    let closed = closed().await;
    let (mut probers, mut received) = probers();
    probers.update(wanted([("good", probe(port)), ("bad", probe(closed))]), BTreeMap::new());
    let good = received.next_of("good").await.0;
    assert_eq!((good.target, good.at, good.outcome), (target("good"), Timestamp(7), Outcome::Good));
    assert!(good.latency < PATIENCE);
    let bad = received.next_of("bad").await.0;
    assert_eq!(bad.outcome, Outcome::Failed(format!("connect 127.0.0.1:{closed}: connection refused")));
    assert_eq!(probers.restarts(), 0);
}

#[tokio::test]
async fn what_is_not_settled_is_observed_at_the_pace_of_confirm() {
    let (mut probers, mut received) = probers();
    probers.update(wanted([("bad", probe(closed().await))]), BTreeMap::new());
    assert_eq!(paces(&received.gaps::<3>("bad").await), ["confirm", "confirm", "interval"]);
}

#[tokio::test]
async fn what_was_down_before_the_restart_needs_rise_good_ones() {
    let (_open, port) = open().await;
    let (mut probers, mut received) = probers();
    let restored = BTreeMap::from([(target("good"), Health::Down)]);
    probers.update(wanted([("good", probe(port))]), restored);
    assert_eq!(paces(&received.gaps::<4>("good").await), ["confirm", "confirm", "confirm", "interval"]);
}

#[tokio::test]
async fn a_first_good_observation_settles() {
    let (_open, port) = open().await;
    let (mut probers, mut received) = probers();
    probers.update(wanted([("good", probe(port))]), BTreeMap::new());
    assert_eq!(paces(&received.gaps::<1>("good").await), ["interval"]);
}

#[tokio::test]
async fn first_observations_are_spread_over_the_interval() {
    let (_open, port) = open().await;
    let (mut probers, mut received) = probers();
    probers.update(
        wanted([("a", probe(port)), ("b", probe(port)), ("c", probe(port)), ("d", probe(port))]),
        BTreeMap::new(),
    );
    for (index, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let (observation, at) = received.next().await;
        assert_eq!(observation.target.probe.as_str(), name);
        assert!(at >= Duration::from_millis(250) * index as u32, "{name} at {at:?}");
    }
}

#[tokio::test]
async fn a_slow_target_delays_no_other() {
    let (listener, silent) = open().await;
    let closed = closed().await;
    let fast = Probe { interval: Duration::from_millis(20), ..probe(closed) };
    let (mut probers, mut received) = probers();
    probers.update(wanted([("slow", over_http(silent)), ("fast", fast)]), BTreeMap::new());
    let _held = timeout(PATIENCE, listener.accept()).await.expect("the slow one is probed").unwrap();
    for _ in 0..20 {
        assert_eq!(received.next().await.0.target, target("fast"));
    }
}

#[tokio::test]
async fn a_prober_never_has_two_observations_under_way() {
    let (listener, port) = open().await;
    let late = Probe { timeout: Duration::from_millis(300), ..over_http(port) };
    let (mut probers, mut received) = probers();
    probers.update(wanted([("late", late)]), BTreeMap::new());
    for _ in 0..3 {
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect("it is probed").unwrap();
        assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err(), "a second one at the same time");
        let (observation, _) = received.next().await;
        assert!(matches!(observation.outcome, Outcome::Failed(_)));
        drop(stream);
    }
}

#[tokio::test]
async fn an_update_leaves_undisturbed_what_did_not_change() {
    let (listener, silent) = open().await;
    let (_open, port) = open().await;
    let kept = over_http(silent);
    let (mut probers, mut received) = probers();
    probers.update(wanted([("kept", kept.clone())]), BTreeMap::new());
    let mut stream = request(&listener).await;
    for added in ["a", "z"] {
        probers.update(wanted([("kept", kept.clone()), (added, probe(port))]), BTreeMap::new());
        assert_eq!(received.next().await.0.target, target(added), "the other one waits for its response");
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert_eq!(received.next_of("kept").await.0.outcome, Outcome::Good, "on the connection of before the updates");
}

#[tokio::test]
async fn an_observation_of_what_is_no_longer_wanted_is_given_up() {
    let (listener, silent) = open().await;
    let (mut probers, _received) = probers();
    probers.update(wanted([("gone", over_http(silent))]), BTreeMap::new());
    let mut stream = request(&listener).await;
    probers.update(BTreeMap::new(), BTreeMap::new());
    let ended = timeout(PATIENCE / 2, stream.read(&mut [0])).await.expect("the connection stays open");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test]
async fn an_update_keeps_the_pace_of_what_did_not_change() {
    let (_open, port) = open().await;
    let (mut probers, mut received) = probers();
    let same = || wanted([("good", probe(port))]);
    probers.update(same(), BTreeMap::new());
    received.next().await;
    let next = async {
        loop {
            probers.update(same(), BTreeMap::new());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let before = received.began.elapsed();
    tokio::select! {
        (_, at) = received.next() => assert!(at - before > Duration::from_millis(850), "after {:?}", at - before),
        () = next => {}
    }
}

#[tokio::test]
async fn another_definition_keeps_health_and_takes_the_new_pace() {
    let (_open, port) = open().await;
    let (mut probers, mut received) = probers();
    let hourly = Probe { interval: Duration::from_secs(3_600), ..probe(closed().await) };
    // Down after three failures.
    let port_closed = Probe { interval: Duration::from_secs(1), ..hourly.clone() };
    probers.update(wanted([("hub", port_closed)]), BTreeMap::new());
    assert_eq!(paces(&received.gaps::<2>("hub").await), ["confirm", "confirm"]);
    probers.update(wanted([("hub", hourly)]), BTreeMap::new());
    probers.update(wanted([("hub", probe(port))]), BTreeMap::new());
    // A machine that had forgotten would be up at the first good one, and settled.
    loop {
        if received.next_of("hub").await.0.outcome == Outcome::Good {
            break;
        }
    }
    assert_eq!(paces(&received.gaps::<3>("hub").await), ["confirm", "confirm", "interval"]);
}

#[tokio::test]
async fn what_is_no_longer_wanted_is_no_longer_observed() {
    let (listener, port) = open().await;
    let often = Probe { interval: Duration::from_millis(20), ..probe(port) };
    let (mut probers, mut received) = probers();
    probers.update(wanted([("gone", often.clone()), ("kept", often)]), BTreeMap::new());
    received.next_of("gone").await;
    received.next_of("kept").await;
    probers.update(wanted([("kept", Probe { interval: Duration::from_millis(20), ..probe(port) })]), BTreeMap::new());
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let (observation, at) = received.next().await;
        in_a_row = if observation.target == target("kept") { in_a_row + 1 } else { 0 };
        assert!(at < PATIENCE, "both go on");
    }
    assert_eq!(probers.restarts(), 0, "what was stopped is not started again");
    drop(listener);
}

#[tokio::test]
async fn what_comes_back_begins_with_the_health_that_is_given() {
    let (_open, port) = open().await;
    let (mut probers, mut received) = probers();
    probers.update(wanted([("good", probe(port))]), BTreeMap::new());
    received.next().await;
    probers.update(BTreeMap::new(), BTreeMap::new());
    probers.update(wanted([("good", probe(port))]), BTreeMap::from([(target("good"), Health::Down)]));
    assert_eq!(paces(&received.gaps::<4>("good").await), ["confirm", "confirm", "confirm", "interval"]);
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_prober_that_panics_is_started_again_with_its_health_and_a_warning() {
    let lines = Lines::default();
    let writer = lines.clone();
    // With one subscriber alone, an event that another thread is the first to log is taken for one that nobody wants.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _logged = tracing::subscriber::set_default(subscriber);

    let (_open, port) = open().await;
    let asked = AtomicU64::new(0);
    let (mut probers, mut received) = probers_with(move || {
        assert!(asked.fetch_add(1, Ordering::SeqCst) != 2, "the clock stands still");
        Timestamp(7)
    });
    probers.update(wanted([("good", probe(port))]), BTreeMap::from([(target("good"), Health::Down)]));
    // Two good observations, the panic, and two more: down until then, for the machine is the same.
    let [first, pause, second, settled] = received.gaps::<4>("good").await;
    assert_eq!(paces(&[first, second, settled]), ["confirm", "confirm", "interval"]);
    assert!(pause >= RESTART_PAUSE, "{pause:?}");
    assert_eq!(probers.restarts(), 1);
    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let expected = "prober of good on 127.0.0.1 stopped and is started again: it panicked: the clock stands still";
    assert!(lines.lines().any(|line| line.contains("WARN") && line.contains(expected)), "{lines}");
}

#[tokio::test]
async fn a_prober_that_panics_disturbs_no_other() {
    let (_open, port) = open().await;
    let asked = AtomicU64::new(0);
    // Every second observation panics.
    let (mut probers, mut received) = probers_with(move || {
        assert!(asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2), "the clock stands still");
        Timestamp(7)
    });
    let often = Probe { interval: Duration::from_millis(50), ..probe(port) };
    probers.update(wanted([("a", often.clone()), ("b", often)]), BTreeMap::new());
    for name in ["a", "b", "a", "b"] {
        received.next_of(name).await;
    }
    assert!(probers.restarts() >= 2);
}

#[tokio::test]
async fn nothing_is_left_when_the_probers_are_dropped() {
    let (_open, port) = open().await;
    let (mut probers, mut received) = probers();
    let often = Probe { interval: Duration::from_millis(20), ..probe(port) };
    probers.update(wanted([("a", often.clone()), ("b", often)]), BTreeMap::new());
    received.next().await;
    drop(probers);
    // The channel ends when the last task has dropped its end of it.
    timeout(PATIENCE, async { while received.observations.recv().await.is_some() {} }).await.expect("a task is left");
}

#[tokio::test]
async fn everything_ends_when_nobody_receives() {
    let (_open, port) = open().await;
    let shared = Arc::new(());
    let held = Arc::downgrade(&shared);
    let (mut probers, mut received) = probers_with(move || {
        let _held = &shared;
        Timestamp(7)
    });
    probers.update(wanted([("a", Probe { interval: Duration::from_millis(20), ..probe(port) })]), BTreeMap::new());
    received.next().await;
    drop(received);
    let ended = async {
        while held.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, ended).await.expect("a task is left");
    assert_eq!(probers.restarts(), 0);
}

#[tokio::test]
async fn probers_wait_while_nobody_takes_observations() {
    let (listener, port) = open().await;
    let (sender, mut observations) = mpsc::channel(1);
    let mut probers = Probers::start(&[], 64, sender, || Timestamp(7)).unwrap();
    let often = Probe { interval: Duration::from_millis(10), kind: ProbeKind::Tcp(TcpProbe::new(port)), ..probe(port) };
    probers.update(wanted([("a", often)]), BTreeMap::new());
    let mut connections = vec![timeout(PATIENCE, listener.accept()).await.expect("it is probed").unwrap()];
    // Time for thirty more, had it not to wait.
    tokio::time::sleep(Duration::from_millis(300)).await;
    while let Ok(accepted) = timeout(Duration::from_millis(20), listener.accept()).await {
        connections.push(accepted.unwrap());
    }
    assert!(connections.len() <= 2, "one in the channel, one that waits for room: {}", connections.len());
    for _ in 0..4 {
        assert!(timeout(PATIENCE, observations.recv()).await.is_ok_and(|next| next.is_some()));
    }
}

#[test]
fn probers_do_not_wait_for_those_who_started_them() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (_open, port) = open().await;
        let (mut probers, received) = probers();
        let often = Probe { interval: Duration::from_millis(20), ..probe(port) };
        probers.update(wanted([("a", often)]), BTreeMap::new());
        // This thread is the runtime's only one, and it is busy with something else.
        let deadline = std::time::Instant::now() + PATIENCE;
        while received.observations.len() < 3 {
            assert!(std::time::Instant::now() < deadline, "nothing is observed meanwhile");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

#[tokio::test]
async fn what_hangs_takes_no_more_files_than_there_are_and_says_who_was_not_observed() {
    let (listener, silent) = open().await;
    let (_open, port) = open().await;
    let (sender, observations) = mpsc::channel(16);
    let mut probers = Probers::start(&[], 4, sender, || Timestamp(7)).unwrap();
    let mut received = Received { observations, began: Instant::now() };
    let hanging = || over_http(silent);
    probers.update(wanted([("hangs-1", hanging()), ("hangs-2", hanging())]), BTreeMap::new());
    let held = [request(&listener).await, request(&listener).await];
    let short = Probe { timeout: Duration::from_millis(50), ..probe(port) };
    let all = || [("hangs-1", hanging()), ("hangs-2", hanging()), ("waits", short.clone())];
    probers.update(wanted(all()), BTreeMap::new());
    let (observation, _) = received.next().await;
    assert_eq!(observation.target, target("waits"));
    let Outcome::Unable(sentence) = observation.outcome else { panic!("{:?}", observation.outcome) };
    assert!(sentence.starts_with("other probes have all 2 files open"), "{sentence}");
    // There is room again, for nobody hangs any more.
    drop((held, listener));
    loop {
        let (observation, at) = received.next_of("waits").await;
        if observation.outcome == Outcome::Good {
            break;
        }
        assert!(at < PATIENCE, "{:?}", observation.outcome);
    }
}

#[tokio::test]
async fn what_is_told_and_what_follows_is_not_observed() {
    let (_open, port) = open().await;
    let (mut probers, mut received) = probers();
    let push = ProbeKind::Push(PushProbe { lease: Duration::from_secs(1) });
    let composite = ProbeKind::Composite(CompositeProbe { needs: Needs::All, of: vec![ProbeName::new("dialled")] });
    let often = Probe { interval: Duration::from_millis(20), ..probe(port) };
    let of = |kind| Probe { kind, ..often.clone() };
    probers.update(
        wanted([("a-told", of(push)), ("b-follows", of(composite)), ("dialled", often.clone())]),
        BTreeMap::new(),
    );
    for _ in 0..10 {
        assert_eq!(received.next().await.0.target, target("dialled"));
    }
}

#[tokio::test]
async fn two_hundred_first_observations_leave_no_part_of_the_interval_empty() {
    let (_open, port) = open().await;
    let (sender, observations) = mpsc::channel(1_000);
    let mut probers = Probers::start(&[], 1_000, sender, || Timestamp(7)).unwrap();
    let mut received = Received { observations, began: Instant::now() };
    let names: Vec<String> = (0..200).map(|number| format!("p{number:03}")).collect();
    let slow = Probe { interval: Duration::from_secs(4), confirm: Duration::from_secs(4), ..probe(port) };
    let each = names.iter().map(|name| (target(name), Arc::new(slow.clone())));
    probers.update(each.collect(), BTreeMap::new());
    let mut seen = BTreeSet::new();
    let mut earliest = Vec::new();
    while seen.len() < 200 {
        let (observation, at) = received.next().await;
        if seen.insert(observation.target) {
            earliest.push(at);
        }
    }
    // Nobody comes before the slot of those before it: at no time are there more than slots have begun.
    for (count, at) in earliest.iter().enumerate() {
        let begun = at.as_secs_f64() / 4.0 * 200.0 + 1.0;
        assert!((count as f64) < begun + 1.0, "{count} within {at:?}");
    }
}
