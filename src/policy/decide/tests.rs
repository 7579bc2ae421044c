//! The rules by table, and what must hold whatever the inputs are.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use super::*;
use crate::diagnostic::Place;
use crate::dns::Name;
use crate::health::Health;

const REGIONS: [&str; 3] = ["weu", "neu", "eus"];
const NOW: Timestamp = Timestamp(1_000_000);

fn hub(failback: Failback, when_all_down: WhenAllDown) -> Hub {
    let path: std::sync::Arc<Path> = Path::new("test.toml").into();
    let endpoint = |(at, region): (usize, &&str)| Endpoint {
        probe: Some(ProbeTarget {
            probe: ProbeName::new("p"),
            target: Target::Addresses(vec![[127, 0, 0, at as u8 + 1].into()]),
        }),
        ..Endpoint::new(RegionName::new(region), Answer::Addresses(vec![[127, 0, 0, at as u8 + 1].into()]))
    };
    let endpoints = REGIONS.iter().enumerate().map(endpoint).collect();
    let place = Place { path, line: 1, column: 1, width: 1, text: String::new() };
    let name = Name::parse("hub.example.net.", None).unwrap();
    Hub { failback, when_all_down, ..Hub::new(name, endpoints, place) }
}

fn keep() -> Hub {
    hub(Failback::Manual, WhenAllDown::Keep)
}

/// `up`, `down`, `unknown` (no verdict and none awaited), `awaited`; with `+up`, `+down` or `+drain` for a mark.
fn view(text: &str) -> EndpointView {
    let (health, mark) = text.split_once('+').map_or((text, None), |(health, mark)| (health, Some(mark)));
    let mark = mark.map(|mark| match mark {
        "up" => MarkKind::Up,
        "down" => MarkKind::Down,
        _ => MarkKind::Drain,
    });
    let (health, verdict_by) = match health {
        "up" => (Health::Up, None),
        "down" => (Health::Down, None),
        "unknown" => (Health::Unknown, None),
        "awaited" => (Health::Unknown, Some(NOW.after(Duration::from_secs(5)))),
        other => panic!("{other}"),
    };
    EndpointView {
        health,
        mark,
        good_since: Some(Timestamp(0)),
        verdict_by,
        probed: true,
        seen_good: (health == Health::Up).then_some(NOW),
        sure_within: Duration::from_secs(11),
        failing_since: (health == Health::Down).then_some(Timestamp(NOW.0 - 3000)),
        unsettled: health == Health::Down,
    }
}

fn views(text: &str) -> Vec<EndpointView> {
    text.split_whitespace().map(view).collect()
}

fn standing(active: &str, cause: Cause) -> Standing {
    Standing {
        active: RegionName::new(active),
        epoch: 7,
        since: Timestamp(0),
        cause,
        reason: "".into(),
        last_automatic: None,
        all: false,
        recent: Arc::default(),
    }
}

/// The decision after this one.
fn next(hub: &Hub, views: &[EndpointView], standing: &Standing) -> Decision {
    decide(&Rules::of(hub), &Scene::of(views), Some(Previous::of(hub, standing)), NOW)
}

/// What is decided: `weu` where it stays, `-> neu (health)` where it moves, `weu, neu waits for dwell` where it is held.
fn said(hub: &Hub, decision: &Decision) -> String {
    let region = &hub.endpoints[decision.active].region;
    let all = if decision.all { " all" } else { "" };
    let wanted = |hold: &Hold| &hub.endpoints[hold.wanted].region;
    let hold = decision.hold.as_ref();
    let hold = hold.map(|hold| format!(", {} waits for {:?}", wanted(hold), hold.waiting).to_lowercase());
    let hold = hold.unwrap_or_default();
    match decision.cause {
        Some(cause) => format!("-> {region}{all} ({}){hold}", cause.word()),
        None => format!("{region}{all}{hold}"),
    }
}

fn check(hub: &Hub, active: &str, endpoints: &str, expected: &str) {
    let decision = next(hub, &views(endpoints), &standing(active, Cause::Start));
    assert_eq!(said(hub, &decision), expected, "{active} active, {endpoints}");
}

#[test]
fn the_first_choice_is_the_first_eligible_in_preference_order() {
    let first = |endpoints: &str| said(&keep(), &decide(&Rules::of(&keep()), &Scene::of(&views(endpoints)), None, NOW));
    assert_eq!(first("awaited awaited awaited"), "-> weu (start)");
    assert_eq!(first("up+down up up"), "-> neu (start)");
    assert_eq!(first("down down+drain unknown+drain"), "-> eus (start)");
    assert_eq!(first("down down down"), "-> weu (start)");
}

#[test]
fn an_eligible_active_region_stays() {
    check(&keep(), "neu", "up up up", "neu");
    check(&keep(), "neu", "up unknown up", "neu");
    check(&keep(), "neu", "up awaited up", "neu");
    check(&keep(), "neu", "up down+up up", "neu");
}

#[test]
fn a_region_that_is_not_eligible_is_left_for_the_first_eligible_one() {
    check(&keep(), "weu", "down up up", "-> neu (health)");
    check(&keep(), "weu", "down down up", "-> eus (health)");
    check(&keep(), "weu", "down up+drain up", "-> eus (health)");
    check(&keep(), "neu", "up down up", "-> weu (health)");
    check(&keep(), "weu", "up+down up up", "-> neu (mark)");
    check(&keep(), "weu", "up+drain up up", "-> neu (mark)");
    check(&keep(), "weu", "down down+up up", "-> neu (health)");
}

#[test]
fn a_probed_region_without_a_verdict_is_waited_for() {
    check(&keep(), "weu", "down awaited up", "weu, neu waits for verdict");
    check(&keep(), "weu", "down unknown up", "-> neu (health)");
    check(&keep(), "weu", "up+down awaited up", "weu, neu waits for verdict");
    check(&keep(), "weu", "up+down awaited+drain down", "weu, neu waits for verdict");
    check(&keep(), "weu", "down awaited+up up", "-> neu (health)");
}

#[test]
fn the_dwell_holds_automatic_switches_and_not_a_down_mark() {
    let check = |endpoints: &str, ago: u64, expected: &str| {
        let last_automatic = Some(Timestamp(NOW.0 - ago * 1000));
        let standing = Standing { last_automatic, ..standing("weu", Cause::Health) };
        let decision = next(&keep(), &views(endpoints), &standing);
        assert_eq!(said(&keep(), &decision), expected, "{endpoints}, {ago} s ago");
        if let Some(hold) = &decision.hold {
            assert_eq!(hold.until, Some(Timestamp(NOW.0 + (60 - ago) * 1000)));
            assert_eq!(decision.wake(), hold.until);
        }
    };
    check("down up up", 59, "weu, neu waits for dwell");
    check("down up up", 60, "-> neu (health)");
    check("up+drain up up", 1, "weu, neu waits for dwell");
    check("up+down up up", 1, "-> neu (mark)");
}

#[test]
fn all_down_keeps_the_last_region_unless_the_policy_says_otherwise() {
    check(&keep(), "neu", "down down down", "neu");
    check(&keep(), "neu", "up+down down down", "neu");
    let all = hub(Failback::Manual, WhenAllDown::All);
    check(&all, "neu", "down down down", "neu all");
    let resort = hub(Failback::Manual, WhenAllDown::Region(RegionName::new("eus")));
    check(&resort, "neu", "down down down", "-> eus (health)");
    check(&resort, "eus", "down down down", "eus");
}

#[test]
fn a_drained_region_is_the_last_resort_while_it_is_not_down() {
    check(&keep(), "weu", "down up+drain down", "-> neu (health)");
    check(&keep(), "weu", "down down+drain unknown+drain", "-> eus (health)");
    check(&keep(), "weu", "down down+drain down", "weu");
    check(&keep(), "neu", "down up+drain down", "neu");
    check(&hub(Failback::Manual, WhenAllDown::All), "weu", "down up+drain down", "-> neu (health)");
}

/// A restart knows nothing and must change nothing: all endpoints go on being answered until one is known to be good.
#[test]
fn answering_with_all_ends_when_one_is_known_to_be_good() {
    let all = hub(Failback::Manual, WhenAllDown::All);
    let check = |endpoints: &str, expected: &str| {
        let standing = Standing { all: true, ..standing("weu", Cause::Start) };
        assert_eq!(said(&all, &next(&all, &views(endpoints), &standing)), expected, "{endpoints}");
    };
    check("awaited awaited awaited", "weu all");
    check("unknown down down", "weu all");
    check("up down down", "weu");
    check("awaited awaited up", "weu");
    check("down up down", "-> neu (health)");
}

#[test]
fn failback_is_manual_unless_the_policy_gives_a_time() {
    let after = hub(Failback::After(Duration::from_secs(900)), WhenAllDown::Keep);
    let check = |hub: &Hub, cause, good_for: u64, last_automatic: Option<u64>, expected: &str| {
        let mut views = views("up up up");
        views[0].good_since = Some(Timestamp(NOW.0 - good_for * 1000));
        let last_automatic = last_automatic.map(|ago| Timestamp(NOW.0 - ago * 1000));
        let standing = Standing { last_automatic, ..standing("neu", cause) };
        assert_eq!(said(hub, &next(hub, &views, &standing)), expected, "{cause:?} {good_for}");
    };
    check(&keep(), Cause::Health, 999, None, "neu");
    check(&after, Cause::Health, 899, None, "neu, weu waits for failback");
    check(&after, Cause::Health, 900, None, "-> weu (failback-after)");
    check(&after, Cause::Mark, 900, None, "-> weu (failback-after)");
    check(&after, Cause::Failover, 900, None, "neu");
    check(&after, Cause::Health, 900, Some(59), "neu, weu waits for dwell");
}

#[test]
fn a_region_that_is_not_known_to_be_good_does_not_take_over_by_itself() {
    let after = hub(Failback::After(Duration::ZERO), WhenAllDown::Keep);
    check(&after, "neu", "unknown up up", "neu");
    check(&after, "neu", "up+drain up up", "neu");
    check(&after, "eus", "down up up", "-> neu (failback-after)");
}

#[test]
fn a_hub_whose_region_left_the_policy_chooses_afresh() {
    check(&keep(), "gone", "down up up", "-> neu (policy)");
}

#[test]
fn operators_moves_are_judged() {
    let check = |endpoints: &str, to: &str, planned: Option<u64>, expected: &str| {
        let moved =
            judge_move(&keep(), &views(endpoints), &standing("weu", Cause::Start), &RegionName::new(to), planned, NOW);
        let said = match moved {
            Ok(Moved::To(at)) => format!("to {}", REGIONS[at]),
            Ok(Moved::Already) => "already".into(),
            Err(refused) => refused.to_string(),
        };
        assert_eq!(said, expected, "{endpoints} -> {to} at {planned:?}");
    };
    check("up up up", "neu", None, "to neu");
    check("up up up", "neu", Some(7), "to neu");
    check("up up up", "weu", Some(7), "already");
    check("up up up", "weu", Some(6), "already");
    check(
        "up up up",
        "neu",
        Some(6),
        "planned at epoch 6, but the epoch is 7 and weu is active; look again before you move",
    );
    check(
        "up up up",
        "weu",
        Some(5),
        "planned at epoch 5, but the epoch is 7 and weu is active; look again before you move",
    );
    check("up down up", "neu", None, "neu is down; to move there all the same, mark it up first");
    check("up down+up up", "neu", None, "to neu");
    check("up up+drain up", "neu", None, "neu is marked drain; unmark it first");
    check("up awaited up", "neu", None, "neu was not observed yet; ask again in a few seconds, or mark it up first");
    check("up unknown up", "neu", None, "to neu");
    check("up up up", "asia", None, "hub.example.net. has no endpoint in asia; it has weu, neu, eus");
}

fn any_view() -> impl Strategy<Value = EndpointView> {
    let health = prop_oneof![Just(Health::Up), Just(Health::Down), Just(Health::Unknown)];
    let mark =
        prop_oneof![Just(None), Just(Some(MarkKind::Up)), Just(Some(MarkKind::Down)), Just(Some(MarkKind::Drain))];
    (health, mark, proptest::option::of(0..NOW.0), proptest::bool::ANY).prop_map(|(health, mark, good, awaited)| {
        let verdict_by = (health == Health::Unknown && awaited).then(|| NOW.after(Duration::from_secs(5)));
        let (failing_since, unsettled) = (None, health == Health::Down);
        let good_since = good.map(Timestamp);
        let (seen_good, sure_within) = (Some(NOW), Duration::from_secs(11));
        EndpointView {
            health,
            mark,
            good_since,
            verdict_by,
            probed: true,
            seen_good,
            sure_within,
            failing_since,
            unsettled,
        }
    })
}

fn any_hub() -> impl Strategy<Value = Hub> {
    let failback =
        prop_oneof![Just(Failback::Manual), (0u64..2000).prop_map(|s| Failback::After(Duration::from_secs(s)))];
    let all_down = prop_oneof![
        Just(WhenAllDown::Keep),
        Just(WhenAllDown::All),
        (0usize..3).prop_map(|at| WhenAllDown::Region(RegionName::new(REGIONS[at])))
    ];
    (failback, all_down).prop_map(|(failback, all_down)| hub(failback, all_down))
}

proptest! {
    #[test]
    fn whatever_is_known_the_rules_hold(
        hub in any_hub(),
        views in proptest::collection::vec(any_view(), 3),
        active in 0usize..3,
        last_automatic in proptest::option::of(0..NOW.0),
        all in proptest::bool::ANY,
    ) {
        let last_automatic = last_automatic.map(Timestamp);
        let standing = Standing { last_automatic, all, ..standing(REGIONS[active], Cause::Health) };
        let decision = next(&hub, &views, &standing);
        prop_assert_eq!(&decision, &next(&hub, &views, &standing), "same inputs, same decision");
        prop_assert!(decision.active < 3);
        prop_assert_eq!(decision.cause.is_some(), decision.active != active, "it moves exactly where it says why");
        let marked_down = views[active].mark == Some(MarkKind::Down);
        let dwelling = last_automatic.is_some_and(|at| at.after(hub.dwell) > NOW);
        if decision.cause.is_some() && dwelling {
            prop_assert!(marked_down, "no switch inside the dwell, but away from a region marked down");
        }
        if let Some(Cause::Health | Cause::Mark) = decision.cause {
            prop_assert!(!views[active].eligible(), "an eligible region is not left");
        }
        if decision.cause.is_some() && views.iter().any(EndpointView::eligible) {
            prop_assert!(views[decision.active].eligible(), "an ineligible region is not chosen while there is another");
            prop_assert!(
                views[decision.active].verdict_by.is_none() || views[decision.active].mark == Some(MarkKind::Up),
                "nobody is sent where nothing is known yet"
            );
        }
        if decision.all {
            prop_assert_eq!(&hub.when_all_down, &WhenAllDown::All);
            prop_assert!(decision.hold.is_some() || !views.iter().any(EndpointView::known_good));
        }
        if let Some(hold) = &decision.hold {
            prop_assert!(hold.until.is_none_or(|until| until > NOW), "a wait that has an end has one that is to come");
            prop_assert!(decision.cause.is_none());
        }
    }
}

/// Everything that may hold a move at once: what holds it is shown one after the other, as each is lifted.
#[test]
fn what_holds_a_move_is_shown_in_order() {
    let hub = Hub {
        flap_limit: 1.try_into().unwrap(),
        budget: Some(Budget { switches: 1.try_into().unwrap(), period: Duration::from_hours(1) }),
        fence: Some(Arc::new(Fence {
            hook: Hook::Exec(Exec { command: vec!["fence".into()] }),
            timeout: Duration::from_secs(5),
            on_failure: OnFenceFailure::Stop,
        })),
        ..keep()
    };
    let rules = Rules::of(&hub);
    let gate = |on_shut| GateView { on_failover: true, on_failback: false, to: Some(1), on_shut, open: false };
    let mut views = views("down up up");
    (views[1].verdict_by, views[1].seen_good) = (Some(NOW.after(Duration::from_secs(9))), Some(Timestamp(0)));
    let mut standing = standing("weu", Cause::Health);
    standing.last_automatic = Some(Timestamp(NOW.0 - 1000));
    standing.recent = [SwitchTime { at: Timestamp(NOW.0 - 1000), automatic: true }].into();
    let gates = [gate(OnShut::Hold)];
    let broken = |to: usize| (to == 1).then_some(4);
    let mut scene =
        Scene { sight: Sight { blind: true, ..Sight::default() }, gates: &gates, breaks: &broken, ..Scene::of(&[]) };
    let mut seen = Vec::new();
    for _ in 0..10 {
        let previous = Some(Previous::of(&hub, &standing));
        let decision = decide(&rules, &Scene { views: &views, ..scene }, previous, NOW);
        let Some(hold) = decision.hold else {
            assert_eq!((decision.active, decision.cause), (1, Some(Cause::Health)));
            break;
        };
        assert_eq!((hold.wanted, decision.active, decision.cause), (1, 0, None), "{:?}", hold.waiting);
        assert_eq!(decision.call_fence, hold.waiting == Waiting::Fence);
        seen.push(hold.waiting.word());
        match hold.waiting {
            Waiting::Verdict => views[1].verdict_by = None,
            Waiting::Sight => scene.sight.blind = false,
            Waiting::Pinned => scene.acknowledged = Some(NOW),
            Waiting::Budget => standing.recent = Arc::default(),
            Waiting::Dwell => standing.last_automatic = None,
            Waiting::Gate(_) => scene.gates = &[],
            Waiting::Rule(_) => scene.breaks = &|_| None,
            Waiting::Look => views[1].seen_good = Some(NOW),
            Waiting::Fence => scene.fence = FenceView::Acknowledged { to: 1 },
            Waiting::Failback => unreachable!(),
        }
    }
    assert_eq!(seen, Waiting::WORDS[1..], "and then it moves");
}

#[test]
fn a_gate_is_passed_in_its_direction_to_its_region_or_after_its_time() {
    let hub = keep();
    let check = |gate: GateView, held: u64, endpoints: &str, active: &str, expected: &str| {
        let (views, standing) = (views(endpoints), standing(active, Cause::Start));
        let since = Timestamp(NOW.0 - held * 1000);
        let hold = Hold { wanted: 1, waiting: Waiting::Gate(0), since, gated_since: Some(since), until: None };
        let gates = [gate];
        let scene = Scene { gates: &gates, held: (held > 0).then_some(hold), ..Scene::of(&views) };
        let decision = decide(&Rules::of(&hub), &scene, Some(Previous::of(&hub, &standing)), NOW);
        assert_eq!(said(&hub, &decision), expected, "{gate:?} after {held} s");
    };
    let shut = GateView { on_failover: true, on_failback: false, to: None, on_shut: OnShut::Hold, open: false };
    let after = GateView { on_shut: OnShut::ProceedAfter(Duration::from_secs(60)), ..shut };
    check(shut, 0, "down up up", "weu", "weu, neu waits for gate(0)");
    check(GateView { open: true, ..shut }, 0, "down up up", "weu", "-> neu (health)");
    check(GateView { to: Some(2), ..shut }, 0, "down up up", "weu", "-> neu (health)");
    check(GateView { to: Some(1), ..shut }, 0, "down up up", "weu", "weu, neu waits for gate(0)");
    check(shut, 0, "up down up", "neu", "-> weu (health)");
    check(GateView { on_failback: true, ..shut }, 0, "up down up", "neu", "neu, weu waits for gate(0)");
    check(shut, 0, "up+down up up", "weu", "weu, neu waits for gate(0)");
    check(after, 59, "down up up", "weu", "weu, neu waits for gate(0)");
    check(after, 60, "down up up", "weu", "-> neu (health)");
    check(after, 0, "down up up", "weu", "weu, neu waits for gate(0)");
}
