//! Probes that follow from others, and probes that are told.

use super::*;
use crate::control::push::Verdict;
use crate::policy::{CompositeProbe, Needs, PushProbe};

/// The two hubs, whose regions are watched by `watching`, one of these probes.
fn watched(probes: Vec<Probe>, watching: &str) -> Loaded {
    let loaded = loaded(&["weu", "neu"]);
    let mut policy = Policy::clone(&loaded.policy);
    policy.probes = probes.into_iter().map(|probe| (probe.name.clone(), Arc::new(probe))).collect();
    for hub in policy.hubs.values_mut() {
        for endpoint in &mut Arc::make_mut(hub).endpoints {
            endpoint.probe =
                endpoint.probe.take().map(|probed| ProbeTarget { probe: ProbeName::new(watching), ..probed });
        }
    }
    Loaded { policy: Arc::new(policy), ..loaded }
}

fn named(name: &str, fall: u8) -> Probe {
    Probe { name: ProbeName::new(name), fall: fall.try_into().unwrap(), rise: 2.try_into().unwrap(), ..probe() }
}

fn composite(name: &str, needs: Needs, of: &[&str]) -> Probe {
    let of = of.iter().map(|member| ProbeName::new(member)).collect();
    Probe { kind: ProbeKind::Composite(CompositeProbe { needs, of }), ..named(name, 3) }
}

fn push(lease: u64) -> Probe {
    let kind = ProbeKind::Push(PushProbe { lease: Duration::from_secs(lease) });
    Probe { kind, rise: 1.try_into().unwrap(), ..named("agent", 1) }
}

fn start(loaded: Loaded) -> Bench {
    Bench::started(loaded, Persisted::default(), START)
}

impl Bench {
    fn see_by(&mut self, probe: &str, region: &str, good: bool) -> &mut Self {
        let event = self.observed(ProbeTarget { probe: ProbeName::new(probe), ..target(region) }, good);
        self.event(event);
        self
    }

    fn looks(&mut self, probe: &str, region: &str, goods: &str) -> &mut Self {
        goods.split(' ').for_each(|good| {
            self.see_by(probe, region, good == "ok");
        });
        self
    }

    fn tell(&mut self, of: &str, failure: Option<&str>, lease: Option<u64>) -> Result<Moved, CommandError> {
        let verdict = Verdict { failure: failure.map(Into::into), lease: lease.map(Duration::from_secs) };
        self.command(Command::Report { probe: ProbeName::new("agent"), of: of.parse().unwrap(), verdict })
    }

    /// The health of the first hub's endpoint in weu, and what is said of its last observation.
    fn weu(&mut self) -> (Health, String) {
        let endpoint = &self.status().hubs[0].endpoints[0];
        let observed = endpoint.observed.clone();
        (endpoint.measured, observed.map_or("nothing".into(), |last| last.failure.unwrap_or("ok".into())))
    }
}

#[test]
fn members_are_probed_once_and_composites_not_at_all() {
    let probes = vec![
        named("api", 2),
        named("broker", 3),
        composite("both", Needs::All, &["api", "broker"]),
        composite("ready", Needs::Any, &["both", "api"]),
    ];
    let (_, effects) = State::new(watched(probes, "ready"), Persisted::default(), START);
    let wanted = effects.into_iter().find_map(|effect| match effect {
        Effect::Probe { wanted, .. } => Some(wanted),
        _ => None,
    });
    let probed: Vec<_> = wanted.unwrap().into_keys().map(|target| target.to_string()).collect();
    let expected = ["api on 127.0.0.11", "api on 127.0.0.12", "broker on 127.0.0.11", "broker on 127.0.0.12"];
    assert_eq!(probed, expected);
}

#[test]
fn all_is_down_with_the_first_member_and_says_which() {
    let probes = vec![named("api", 2), named("broker", 3), composite("ready", Needs::All, &["broker", "api"])];
    let mut bench = start(watched(probes, "ready"));
    bench.see_by("api", "weu", true);
    assert_eq!(bench.weu(), (Health::Unknown, "nothing".into()), "the broker was not seen yet");
    bench.see_by("broker", "weu", true).looks("broker", "neu", "ok").looks("api", "neu", "ok");
    assert_eq!(bench.weu(), (Health::Up, "ok".into()));
    bench.see_by("api", "weu", false);
    let fails = "needs all of 2, and 1 failed: api (connection refused)";
    assert_eq!(bench.weu(), (Health::Up, fails.into()), "one of two failures that it takes");
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.see_by("api", "weu", false);
    assert_eq!(bench.weu(), (Health::Down, fails.into()));
    assert_eq!(bench.active(), "neu 2, neu 2");
    let said = "weu (ready on 127.0.0.11) is down, was up: needs all of 2, and 1 is down: api";
    assert!(bench.log.iter().any(|line| line == said), "{:?}", bench.log);
    let member = "weu (api on 127.0.0.11) is down, was up: 2 failed in a row: connection refused";
    assert!(bench.log.iter().any(|line| line == member), "{:?}", bench.log);
    // Up again when the member is, by its own `rise`.
    bench.see_by("api", "weu", true);
    assert_eq!(bench.weu(), (Health::Down, "ok".into()));
    bench.see_by("api", "weu", true);
    assert_eq!(bench.weu().0, Health::Up);
}

#[test]
fn so_many_of_them_are_enough() {
    let names = ["x", "y", "z"];
    let check = |needs, down: usize, expected: Health, sentence: &str| {
        let mut probes: Vec<Probe> = names.iter().map(|name| named(name, 1)).collect();
        probes.push(composite("ready", needs, &names));
        let mut bench = start(watched(probes, "ready"));
        names.iter().for_each(|name| {
            bench.see_by(name, "weu", true);
        });
        names.iter().take(down).for_each(|name| {
            bench.see_by(name, "weu", false);
        });
        assert_eq!(bench.weu(), (expected, sentence.into()), "{needs:?}, {down} down");
    };
    let refused = "(connection refused)";
    check(Needs::Any, 2, Health::Up, "ok");
    let all = format!("needs one of 3, and 3 failed: x {refused}, y {refused}, z {refused}");
    check(Needs::Any, 3, Health::Down, &all);
    check(Needs::AtLeast(2), 1, Health::Up, "ok");
    check(Needs::AtLeast(2), 2, Health::Down, &format!("needs 2 of 3, and 2 failed: x {refused}, y {refused}"));
    check(Needs::All, 1, Health::Down, &format!("needs all of 3, and 1 failed: x {refused}"));
}

#[test]
fn composites_of_composites_follow_in_the_same_event() {
    let probes = vec![
        named("api", 1),
        named("broker", 1),
        named("page", 1),
        composite("a-ready", Needs::All, &["m-both", "page"]),
        composite("m-both", Needs::Any, &["api", "broker"]),
    ];
    let mut bench = start(watched(probes, "a-ready"));
    for region in ["weu", "neu"] {
        ["api", "broker", "page"].iter().for_each(|member| {
            bench.see_by(member, region, true);
        });
    }
    bench.see_by("api", "weu", false);
    assert_eq!(bench.weu(), (Health::Up, "ok".into()), "the broker is enough");
    let commits = bench.commits.len();
    bench.see_by("broker", "weu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
    assert_eq!(bench.commits.len(), commits + 1, "three healths and two switches in one commit");
    assert_eq!(bench.commits.last().unwrap().health.len(), 3);
}

#[test]
fn a_composite_goes_down_by_the_healths_of_its_members_though_one_was_good_just_now() {
    let probes = vec![named("x", 1), named("y", 1), composite("ready", Needs::Any, &["x", "y"])];
    let mut bench = start(watched(probes, "ready"));
    bench.looks("x", "weu", "ok fail ok").looks("y", "weu", "ok fail");
    // `rise` is 2: x is down, though its last observation was good.
    assert_eq!(bench.weu(), (Health::Down, "ok".into()));
    let said = "weu (ready on 127.0.0.11) is down, was up: needs one of 2, and 2 are down: x, y";
    assert!(bench.log.iter().any(|line| line == said), "{:?}", bench.log);
}

#[test]
fn a_restart_keeps_the_health_of_a_composite_until_its_members_contradict() {
    let probes = || vec![named("api", 2), named("broker", 2), composite("ready", Needs::All, &["api", "broker"])];
    let mut bench = start(watched(probes(), "ready"));
    for (region, last) in [("weu", "fail fail"), ("neu", "ok ok")] {
        bench.looks("broker", region, "ok").looks("api", region, "ok").looks("api", region, last);
    }
    assert_eq!(bench.active(), "neu 2, neu 2");
    let persisted = bench.persisted();
    let mut bench = Bench::started(watched(probes(), "ready"), persisted, bench.now);
    assert_eq!((bench.active(), bench.weu().0), ("neu 2, neu 2".into(), Health::Unknown));
    bench.looks("api", "weu", "ok").looks("broker", "weu", "ok");
    assert_eq!(bench.weu().0, Health::Unknown, "api was down, and one good observation does not bring it up");
    bench.looks("api", "weu", "ok");
    assert_eq!(bench.weu().0, Health::Up);
}

#[test]
fn a_node_that_is_blind_moves_no_composite() {
    let probes = || vec![named("api", 2), named("broker", 2), composite("ready", Needs::All, &["api", "broker"])];
    let mut bench = start(watched(probes(), "ready"));
    for region in ["weu", "neu"] {
        bench.looks("api", region, "ok").looks("broker", region, "ok");
    }
    for _ in 0..3 {
        ["weu", "neu"].iter().for_each(|region| {
            bench.see_by("api", region, false);
        });
    }
    assert!(bench.log.iter().any(|line| line.starts_with("this node is blind")), "{:?}", bench.log);
    assert_eq!((bench.active(), bench.weu().0), ("weu 1, weu 1".into(), Health::Up));
    // Sight is back, and what goes on failing counts from then on.
    bench.looks("api", "neu", "ok").see_by("api", "weu", false);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.see_by("api", "weu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn a_look_at_a_composite_is_one_at_what_it_follows_from() {
    let probes = vec![named("api", 1), push(30), composite("ready", Needs::All, &["api", "agent"])];
    let bench = start(watched(probes, "ready"));
    let ready = ProbeTarget { probe: ProbeName::new("ready"), ..target("weu") };
    let position = bench.state.layout.target(&ready).unwrap() as u32;
    let looked: Vec<_> = bench.state.looked_at(position).into_iter().map(|target| target.to_string()).collect();
    assert_eq!(looked, ["agent on 127.0.0.11", "api on 127.0.0.11"]);
}

#[test]
fn what_is_told_moves_hubs_before_it_is_acknowledged() {
    let mut bench = start(watched(vec![push(30)], "agent"));
    let moved = bench.tell("weu", None, None).unwrap();
    assert_eq!(
        moved.summary,
        format!("agent told up for weu, until {} (1 target)", START.after(Duration::from_secs(30)))
    );
    bench.tell("neu", None, None).unwrap();
    let moved = bench.tell("weu", Some("2 of 3 brokers refuse CONNECT"), None).unwrap();
    assert_eq!((moved.moved, bench.active()), (2, "neu 2, neu 2".into()));
    let said = "weu (agent on 127.0.0.11) is down, was up: 1 failed in a row: told down by alice: 2 of 3 brokers refuse CONNECT";
    assert!(bench.log.iter().any(|line| line == said), "{:?}", bench.log);
}

#[test]
fn silence_is_not_health_when_the_lease_ends() {
    let mut bench = start(watched(vec![push(30)], "agent"));
    bench.tell("weu", None, Some(10)).unwrap();
    bench.tell("neu", None, None).unwrap();
    assert_eq!(bench.state.wake(), Some(START.after(Duration::from_secs(10))), "the loop looks when the lease ends");
    bench.pass(9);
    assert_eq!(bench.weu().0, Health::Up);
    bench.pass(1);
    let words = "told nothing for 10 s: the lease of the last verdict has ended";
    assert_eq!(bench.weu(), (Health::Down, words.into()));
    assert_eq!(bench.active(), "neu 2, neu 2");
    // Each further lease without a verdict is another failed observation, and no prober is missed.
    for _ in 0..2 {
        for _ in 0..2 {
            bench.pass(15);
            bench.tell("neu", None, None).unwrap();
        }
    }
    let observed = bench.status().hubs[0].endpoints[0].observed.clone().unwrap();
    assert_eq!(observed.in_a_row, 3);
    assert_eq!(observed.failure.unwrap(), "told nothing for 1 min 10 s: the lease of the last verdict has ended");
    assert_eq!(bench.status().probers.stalled, 0);
    bench.tell("weu", None, None).unwrap();
    assert_eq!(bench.weu(), (Health::Up, "ok".into()));
}

#[test]
fn thresholds_count_leases_where_the_policy_has_them() {
    let agent = Probe { fall: 2.try_into().unwrap(), ..push(30) };
    let mut bench = start(watched(vec![agent], "agent"));
    bench.tell("weu", None, None).unwrap();
    bench.tell("neu", None, None).unwrap();
    for expected in [Health::Up, Health::Down] {
        for _ in 0..2 {
            bench.pass(15);
            bench.tell("neu", None, None).unwrap();
        }
        assert_eq!(bench.weu().0, expected);
    }
}

#[test]
fn a_restart_keeps_what_was_told_until_the_first_lease_ends() {
    let mut bench = start(watched(vec![push(30)], "agent"));
    bench.tell("weu", None, None).unwrap();
    bench.tell("neu", None, None).unwrap();
    let mut bench = Bench::started(watched(vec![push(30)], "agent"), bench.persisted(), bench.now);
    bench.pass(29);
    assert_eq!((bench.active(), bench.weu()), ("weu 1, weu 1".into(), (Health::Unknown, "nothing".into())));
    bench.tell("neu", None, None).unwrap();
    bench.pass(1);
    assert_eq!(bench.weu(), (Health::Down, "told nothing for 30 s since it is probed".into()));
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn a_reload_keeps_leases_and_shortens_those_that_are_too_long() {
    let mut bench = start(watched(vec![push(60)], "agent"));
    bench.tell("weu", None, None).unwrap();
    bench.tell("neu", None, None).unwrap();
    bench.pass(10);
    bench.reload(watched(vec![push(60)], "agent"));
    assert_eq!(bench.state.wake(), Some(START.after(Duration::from_secs(60))), "undisturbed");
    bench.reload(watched(vec![push(20)], "agent"));
    assert_eq!(bench.state.wake(), Some(START.after(Duration::from_secs(30))));
    assert_eq!(bench.weu().0, Health::Up);
}

#[test]
fn what_is_told_of_one_endpoint_or_of_a_member_finds_its_target() {
    let probes = vec![push(30), named("api", 1), composite("ready", Needs::All, &["api", "agent"])];
    let mut bench = start(watched(probes, "ready"));
    bench.looks("api", "weu", "ok").looks("api", "neu", "ok");
    bench.tell("neu", None, None).unwrap();
    bench.tell("a.example.net./weu", None, None).unwrap();
    assert_eq!(bench.weu(), (Health::Up, "ok".into()));
    bench.tell("weu", Some("no"), None).unwrap();
    assert_eq!(bench.weu(), (Health::Down, "needs all of 2, and 1 failed: agent (told down by alice: no)".into()));
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn what_cannot_be_told_is_refused() {
    let mut bench = start(watched(vec![push(30), probe()], "agent"));
    let mut check = |probe: &str, of: &str, lease: Option<u64>, expected: &str| {
        let verdict = Verdict { failure: None, lease: lease.map(Duration::from_secs) };
        let report = Command::Report { probe: ProbeName::new(probe), of: of.parse().unwrap(), verdict };
        assert_eq!(bench.command(report).unwrap_err().to_string(), expected);
    };
    check("agnt", "weu", None, "no probe `agnt`; did you mean `agent`?");
    check("p", "weu", None, "probe p is of kind tcp: this daemon looks itself, and is not told");
    check("agent", "weu", Some(31), "a lease of 31 s is not within those of probe agent, 1 s to 30 s");
    check("agent", "weu", Some(0), "a lease of 0 ms is not within those of probe agent, 1 s to 30 s");
    check("agent", "wue", None, "no region `wue`; did you mean `weu`?");
    let mut bench = start(watched(vec![push(30), probe()], "p"));
    let refused = bench.tell("weu", None, None).unwrap_err().to_string();
    assert_eq!(refused, "no endpoint of weu is watched by probe agent");
}

#[test]
fn where_every_agent_falls_silent_at_once_it_is_this_node_that_hears_nothing() {
    let mut bench = start(watched(vec![push(30)], "agent"));
    bench.tell("weu", None, None).unwrap();
    bench.tell("neu", None, None).unwrap();
    bench.pass(30);
    assert_eq!(bench.active(), "weu 1, weu 1");
    assert!(bench.log.iter().any(|line| line.starts_with("this node is blind")), "{:?}", bench.log);
}

/// Members `api` and `broker`, both up in both regions.
fn two(needs: Needs) -> Bench {
    let probes = vec![named("api", 1), named("broker", 1), composite("ready", needs, &["api", "broker"])];
    let mut bench = start(watched(probes, "ready"));
    for (probe, region) in [("api", "weu"), ("broker", "weu"), ("api", "neu"), ("broker", "neu")] {
        bench.see_by(probe, region, true);
    }
    bench
}

#[test]
fn a_silent_member_freezes_what_depends_on_it() {
    let check = |needs, stalled: bool| {
        let mut bench = two(needs);
        for _ in 0..60 {
            bench.pass(1).see_by("api", "weu", true).see_by("api", "neu", true).see_by("broker", "neu", true);
        }
        let status = bench.status();
        let endpoint = &status.hubs[0].endpoints[0];
        assert_eq!((endpoint.stalled, endpoint.measured), (stalled, Health::Up), "{needs:?}");
        assert_eq!(endpoint.reason.ends_with("health is frozen"), stalled, "{}", endpoint.reason);
        assert_eq!(status.probers.stalled, 1, "the broker's");
        bench.see_by("broker", "weu", true);
        assert!(!bench.status().hubs[0].endpoints[0].stalled, "{needs:?}");
    };
    check(Needs::All, true);
    check(Needs::AtLeast(2), true);
    check(Needs::Any, false);
}

#[test]
fn silence_of_a_member_is_not_good_for_as_long_as_failback_wants() {
    let probes = vec![named("api", 1), named("broker", 1), composite("ready", Needs::All, &["api", "broker"])];
    let mut loaded = watched(probes, "ready");
    let mut policy = Policy::clone(&loaded.policy);
    for hub in policy.hubs.values_mut() {
        Arc::make_mut(hub).failback = Failback::After(Duration::from_secs(60));
    }
    loaded.policy = Arc::new(policy);
    let mut bench = start(loaded);
    let members = ["api", "broker"];
    let all = |bench: &mut Bench, region: &str, good: bool| {
        members.iter().for_each(|member| {
            bench.see_by(member, region, good);
        });
    };
    all(&mut bench, "neu", true);
    all(&mut bench, "weu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
    all(&mut bench, "weu", true);
    all(&mut bench, "weu", true);
    // The broker falls silent: it was good for a while, and nobody knows how it is.
    for _ in 0..300 {
        bench.pass(1).see_by("api", "weu", true);
        all(&mut bench, "neu", true);
        if bench.state.watches.iter().any(|watch| watch.stalled) {
            break;
        }
    }
    assert_eq!(bench.active(), "neu 2, neu 2", "silent before the minute was over");
    for _ in 0..120 {
        bench.pass(1).see_by("api", "weu", true);
        all(&mut bench, "neu", true);
    }
    assert_eq!(bench.active(), "neu 2, neu 2");
    for _ in 0..62 {
        bench.pass(1);
        all(&mut bench, "weu", true);
        all(&mut bench, "neu", true);
    }
    assert_eq!(bench.active(), "weu 3, weu 3");
}

#[test]
fn what_is_lacking_for_a_member_is_told_of_what_depends_on_it() {
    let check = |needs, lack: Option<&str>| {
        let mut bench = two(needs);
        let target = ProbeTarget { probe: ProbeName::new("broker"), ..target("weu") };
        let (at, outcome) = (bench.now, Outcome::Unable("too many open files".into()));
        let (latency, remarks) = (Duration::ZERO, Remarks::default());
        bench.event(Event::Observations(vec![Observation { target, at, latency, outcome, remarks }]));
        assert_eq!(bench.status().hubs[0].endpoints[0].unable.as_deref(), lack, "{needs:?}");
    };
    check(Needs::All, Some("broker: too many open files"));
    check(Needs::Any, None);
}
