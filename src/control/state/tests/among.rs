//! Hubs without an active region: what they answer out of, and what comes of it.

use super::*;
use crate::control::known::UsableSet;
use crate::policy::Selection;

/// Hub `a` with this policy and `b` with an active region, both in weu, neu and eus.
fn beside(selection: Selection) -> Loaded {
    loaded_with(&["weu", "neu", "eus"], |hub| {
        if hub.name == name("a.example.net.") {
            hub.selection = selection.clone();
        }
    })
}

fn weighted() -> Bench {
    let mut bench = Bench::started(beside(Selection::Weighted), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true).verdict("eus", true);
    bench
}

/// `weu, neu`, with ` all down` where that is so.
fn set(bench: &Bench) -> String {
    let hub = bench.state.status(bench.now).hubs.remove(0);
    let usable: Vec<_> = hub.usable.iter().map(RegionName::as_str).collect();
    let all_down = if hub.condition == Condition::AllDown { " all down" } else { "" };
    format!("{}{all_down}", usable.join(", "))
}

/// The records of the audit trail about sets: before, after, author, reason.
fn trail(bench: &Bench) -> Vec<(String, String, String, String)> {
    let records = bench.commits.iter().flat_map(Commit::records).filter(|record| record.kind == AuditKind::Usable);
    records.map(|r| (r.before.unwrap_or_default(), r.after.unwrap_or_default(), r.author, r.reason)).collect()
}

#[test]
fn the_first_set_is_everything_and_the_hub_has_no_active_region() {
    let bench = Bench::started(beside(Selection::Weighted), Persisted::default(), START);
    assert_eq!(bench.answered(), [What::Among(0b111), What::Endpoint(0)]);
    assert_eq!(bench.state.standing(&name("a.example.net.")), None);
    let hub = bench.state.status(START).hubs.remove(0);
    assert_eq!((hub.policy.as_str(), hub.active.as_str(), hub.epoch), ("weighted", "", 0));
    assert_eq!((hub.condition, hub.answer.len()), (Condition::Ok, 3));
    assert_eq!(bench.commits.len(), 1);
    let expected = "the hub has no active region, and is seen for the first time";
    assert_eq!(trail(&bench), [(String::new(), "weu, neu, eus".into(), "concierge".into(), expected.into())]);
}

#[test]
fn a_region_that_fails_goes_out_of_the_set_with_the_switches_of_the_same_event() {
    let mut bench = weighted();
    let (commits, published) = (bench.commits.len(), bench.published.len());
    bench.see("weu", false).see("weu", false);
    assert_eq!(set(&bench), "weu, neu, eus", "two of three");
    bench.see("weu", false);
    assert_eq!(bench.answered(), [What::Among(0b110), What::Endpoint(1)]);
    assert_eq!((bench.commits.len(), bench.published.len()), (commits + 1, published + 1));
    assert_eq!(set(&bench), "neu, eus");
    let (before, after, author, reason) = trail(&bench).pop().unwrap();
    assert_eq!((before.as_str(), after.as_str(), author.as_str()), ("weu, neu, eus", "neu, eus", "concierge"));
    assert!(reason.starts_with("weu is down: 3 failed in a row"), "{reason}");
    let line = "a.example.net.: weu, neu, eus -> neu, eus: weu is down: 3 failed in a row";
    assert!(bench.log.iter().any(|said| said.starts_with(line)), "{:?}", bench.log);
    assert_eq!(bench.state.status(bench.now).totals.usable_changes, 1);
    bench.verdict("weu", true);
    assert_eq!(set(&bench), "weu, neu, eus", "it comes back by itself");
}

#[test]
fn a_mark_acts_says_so_and_is_foreseen() {
    let mut bench = weighted();
    let target: MarkTarget = "neu".parse().unwrap();
    let view = crate::control::view::View {
        state: bench.state.clone(),
        now: bench.now,
        generation: 1,
        turn: Default::default(),
    };
    let foreseen = view.foresee(&target, MarkKind::Down).unwrap();
    let change = "a.example.net.: weu, neu, eus -> weu, eus";
    assert_eq!(foreseen.begins.usable.iter().map(ToString::to_string).collect::<Vec<_>>(), [change]);
    assert_eq!(foreseen.ends.usable_changed, 1);
    let moved = bench.mark("neu", MarkKind::Down, None);
    assert_eq!((moved.moved, moved.usable_changed, moved.usable[0].to_string().as_str()), (0, 1, change));
    let (before, after, author, reason) = trail(&bench).pop().unwrap();
    assert_eq!((before.as_str(), after.as_str(), author.as_str()), ("weu, neu, eus", "weu, eus", "alice"));
    assert!(reason.starts_with("neu marked down by alice (because); probes say up"), "{reason}");
    // An endpoint of one hub alone.
    bench.mark("a.example.net./weu", MarkKind::Drain, None);
    assert_eq!(bench.answered(), [What::Among(0b100), What::Endpoint(0)]);
    bench.verdict("eus", false);
    assert_eq!(set(&bench), "weu", "the last resort");
    bench.moved(Command::Unmark { target, reason: "done".into() });
    assert_eq!(set(&bench), "neu");
}

#[test]
fn with_nothing_usable_the_last_set_stays_and_it_is_said() {
    let mut bench = weighted();
    bench.mark("weu", MarkKind::Down, None);
    bench.pass(100).verdict("neu", false).pass(100).verdict("eus", false);
    assert_eq!(set(&bench), "eus all down");
    assert_eq!(bench.answered()[0], What::Among(0b100));
    let (_, after, _, reason) = trail(&bench).pop().unwrap();
    assert_eq!(after, "eus (all down)");
    assert!(reason.starts_with("nothing is usable, and the last set stays"), "{reason}");
    assert!(bench.log.iter().any(|line| line.starts_with("a.example.net.: no endpoint is usable")), "{:?}", bench.log);
    bench.verdict("neu", true);
    assert_eq!(set(&bench), "neu");
}

#[test]
fn a_restart_answers_out_of_the_same_set() {
    let mut bench = weighted();
    bench.verdict("weu", false).mark("eus", MarkKind::Down, None);
    let answered = bench.answered();
    assert_eq!(answered[0], What::Among(0b010));
    let mut again =
        Bench::started(beside(Selection::Weighted), bench.persisted(), bench.now.after(Duration::from_secs(60)));
    assert_eq!(again.answered(), answered);
    assert_eq!(trail(&again).len(), 0, "nothing has changed");
    // What health said before counts until it is known anew.
    let target: MarkTarget = "eus".parse().unwrap();
    again.moved(Command::Unmark { target, reason: "done".into() });
    assert_eq!(set(&again), "neu, eus");
    again.verdict("weu", true);
    assert_eq!(set(&again), "weu, neu, eus");
}

/// All regions fail at once: this node is cut off.
#[test]
fn a_blind_node_keeps_the_set_and_obeys_marks() {
    let mut bench = weighted();
    for _ in 0..4 {
        bench.see("weu", false).see("neu", false).see("eus", false);
    }
    assert!(bench.status().sight.blind);
    assert_eq!(set(&bench), "weu, neu, eus");
    bench.mark("weu", MarkKind::Down, None);
    assert_eq!(set(&bench), "neu, eus");
    bench.verdict("neu", true).verdict("eus", true);
    assert!(!bench.status().sight.blind);
    assert_eq!(set(&bench), "neu, eus");
}

#[test]
fn a_commit_that_fails_takes_the_set_back_and_is_tried_again() {
    let mut bench = weighted();
    bench.see("weu", false).see("weu", false);
    let event = bench.seen("weu", false);
    bench.fail(event);
    assert_eq!(whats(bench.state.choices())[0], What::Among(0b111));
    assert_eq!(set(&bench), "weu, neu, eus");
    bench.pass(2);
    assert_eq!(bench.answered(), [What::Among(0b110), What::Endpoint(1)]);
    assert_eq!(set(&bench), "neu, eus");
}

#[test]
fn a_reload_keeps_the_set_by_the_names_of_its_regions() {
    let mut bench = weighted();
    bench.verdict("weu", false);
    assert_eq!(set(&bench), "neu, eus");
    let other = loaded_with(&["eus", "weu"], |hub| hub.selection = Selection::Sticky(Default::default()));
    bench.reload(other);
    assert_eq!(set(&bench), "eus");
    assert_eq!(bench.answered(), [What::Among(0b01), What::Among(0b01)]);
    let (_, after, author, reason) =
        trail(&bench).into_iter().find(|(before, ..)| before == "neu, eus").expect("it is told");
    assert_eq!((after.as_str(), author.as_str()), ("eus", "alice"));
    assert_eq!(reason, "neu is not in the policy any more");
    // Of a hub that had an active region, a region that is known to be down is none of the first set.
    bench.reload(beside(Selection::Weighted));
    assert_eq!(set(&bench), "neu, eus");
    assert_eq!(bench.active_of("b.example.net."), "neu 2", "the epoch goes on");
}

/// Endpoints come back to a set by themselves, and the note of a mark that ends does not deny it.
#[test]
fn what_follows_the_end_of_a_mark_is_told_of_both_kinds_of_hubs() {
    let mut bench = weighted();
    let until = bench.now.after(Duration::from_secs(10));
    let mut note = |target: &str| bench.mark(target, MarkKind::Down, Some(until)).notes.remove(0);
    let begins = format!("the mark ends by itself at {until}; health decides from then on");
    let back = "no hub goes back because of it unless its failback says so";
    let at_once = "hubs without an active region answer out of what is usable at once";
    assert_eq!(note("eus"), format!("{begins}: {back}, and {at_once}"));
    assert_eq!(note("a.example.net./neu"), format!("{begins}, and {at_once}"));
    assert_eq!(note("b.example.net./weu"), format!("{begins}, and {back}"));
    bench.pass(10);
    assert_eq!((set(&bench).as_str(), bench.active_of("b.example.net.").as_str()), ("weu, neu, eus", "neu 2"));
}

#[test]
fn what_moves_an_active_region_is_refused() {
    let mut bench = weighted();
    let hub = name("a.example.net.");
    let sentence = "a.example.net. has policy weighted and no active region: every query is answered by itself, and nothing \
                    is moved, gated or drilled; to take a region out, `concierge mark` it, or its endpoint \
                    `a.example.net./REGION`";
    let reason = String::from("because");
    for command in [
        Command::Failover {
            hub: hub.clone(),
            to: RegionName::new("neu"),
            options: at_once(None),
            reason: reason.clone(),
        },
        Command::Failback { hub: hub.clone(), options: at_once(None), reason: reason.clone() },
        Command::Approve { hub: hub.clone(), epoch: Some(1) },
        Command::Cancel { hub: hub.clone(), epoch: None, reason: reason.clone() },
        Command::Acknowledge { hub: hub.clone(), reason: reason.clone() },
        Command::Drill { hub: hub.clone(), region: None, within: None, reason: reason.clone() },
        Command::AckGate { hub, gate: GateName::new("g"), reason, until: None },
    ] {
        assert_eq!(bench.command(command), Err(CommandError::Refused(sentence.into())));
    }
}

#[test]
fn the_lower_ttl_is_answered_while_a_usable_endpoint_fails_and_after_a_change() {
    let loaded = loaded_with(&["weu", "neu"], |hub| {
        hub.selection = Selection::Weighted;
        hub.ttl_min = Duration::from_secs(10);
        hub.ttl_restore = Duration::from_secs(60);
    });
    let mut bench = Bench::started(loaded, Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true);
    let low = |bench: &Bench| bench.state.status(bench.now).hubs[0].low_ttl;
    assert!(!low(&bench));
    bench.see("weu", false);
    assert!(low(&bench));
    bench.see("weu", true);
    assert!(!low(&bench));
    bench.verdict("weu", false);
    assert!(low(&bench));
    assert_eq!(bench.state.wake(), Some(bench.now.after(Duration::from_secs(60))));
    bench.pass(61);
    assert!(!low(&bench), "what fails is not answered");
}

/// `outer` with an active region or without, of `a` and `b` inside it.
fn nested(outer: Selection) -> Loaded {
    let mut loaded = loaded_of(&["a.example.net.", "b.example.net.", "outer.example.net."], &["weu", "neu"], |hub| {
        if hub.name == name("a.example.net.") {
            hub.selection = Selection::Weighted;
        } else if hub.name == name("outer.example.net.") {
            hub.selection = outer.clone();
            for (endpoint, inner) in hub.endpoints.iter_mut().zip(["a.example.net.", "b.example.net."]) {
                endpoint.answer = Answer::Hub(name(inner));
                endpoint.probe = None;
            }
        }
    });
    let policy = Arc::make_mut(&mut loaded.policy);
    policy.regions.extend(["first", "second"].map(|region| (RegionName::new(region), Region::default())));
    let hub = Arc::make_mut(policy.hubs.get_mut(&name("outer.example.net.")).unwrap());
    // The regions of the outer hub are its own.
    for (endpoint, region) in hub.endpoints.iter_mut().zip(["first", "second"]) {
        endpoint.region = RegionName::new(region);
    }
    loaded
}

#[test]
fn a_hub_inside_a_hub_says_how_its_endpoint_is() {
    let mut bench = Bench::started(nested(Selection::Weighted), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true);
    assert_eq!(bench.answered()[2], What::Among(0b11));
    // Hub a has nothing usable any more; hub b answers neu.
    bench.mark("a.example.net./weu", MarkKind::Down, None);
    assert_eq!(bench.answered()[2], What::Among(0b11));
    let moved = bench.mark("a.example.net./neu", MarkKind::Down, None);
    assert_eq!(bench.answered()[2], What::Among(0b10), "{moved:?}");
    let (_, after, author, reason) = trail(&bench).pop().unwrap();
    assert_eq!((after.as_str(), author.as_str()), ("second", "alice"));
    assert_eq!(reason, "first is hub a.example.net., which has nothing good to answer");
    bench.mark("a.example.net./neu", MarkKind::Drain, None);
    assert_eq!(bench.answered()[2], What::Among(0b10), "only drained ones are left in it");
    bench.mark("second", MarkKind::Down, None);
    assert_eq!(bench.answered()[2], What::Among(0b01), "which is the last resort here too");
}

#[test]
fn a_hub_inside_may_have_to_have_more_than_one_good_endpoint() {
    for outer in [Selection::Weighted, Selection::Priority] {
        let mut loaded = nested(outer);
        let policy = Arc::make_mut(&mut loaded.policy);
        let hub = Arc::make_mut(policy.hubs.get_mut(&name("outer.example.net.")).unwrap());
        hub.endpoints.iter_mut().for_each(|endpoint| endpoint.at_least = 2);
        let mut bench = Bench::started(loaded, Persisted::default(), START);
        let first = |bench: &mut Bench| {
            let endpoint = bench.status().hubs[2].endpoints[0].clone();
            (endpoint.measured, endpoint.reason)
        };
        assert_eq!(first(&mut bench).0, Health::Unknown, "what is not known counts as it did");
        bench.verdict("weu", true).verdict("neu", true);
        let good = "first is hub a.example.net., which has something good to answer";
        assert_eq!(first(&mut bench), (Health::Up, good.into()));
        let short = "first is hub a.example.net., which has 1 of the 2 good endpoints that are needed";
        bench.mark("a.example.net./weu", MarkKind::Drain, None);
        assert_eq!(first(&mut bench), (Health::Down, short.into()), "a drained one is none to count on");
        bench.mark("a.example.net./weu", MarkKind::Up, None);
        assert_eq!(first(&mut bench).0, Health::Up);
        // Both hubs inside lose neu: the first by its set, the second, which has an active region, beside that.
        bench.verdict("neu", false);
        assert_eq!(first(&mut bench), (Health::Down, short.into()));
        let second = bench.status().hubs[2].endpoints[1].reason.clone();
        assert_eq!(second, "second is hub b.example.net., which has 1 of the 2 good endpoints that are needed");
        bench.verdict("neu", true);
        assert_eq!(first(&mut bench), (Health::Up, good.into()));
    }
}

#[test]
fn a_hub_with_an_active_region_moves_by_what_is_inside() {
    let mut bench = Bench::started(nested(Selection::Priority), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true);
    assert_eq!(bench.active_of("outer.example.net."), "first 1");
    bench.mark("a.example.net./weu", MarkKind::Down, None);
    let moved = bench.mark("a.example.net./neu", MarkKind::Down, None);
    assert_eq!(bench.active_of("outer.example.net."), "second 2");
    assert_eq!(moved.moved, 1);
    assert_eq!(
        moved.usable[0].to_string(),
        "a.example.net.: neu -> neu (all down)",
        "the last set of the hub inside stays"
    );
    // A restart decides the innermost first, and so moves nothing.
    let again =
        Bench::started(nested(Selection::Priority), bench.persisted(), bench.now.after(Duration::from_secs(60)));
    assert_eq!(again.active_of("outer.example.net."), "second 2");
    assert_eq!(again.commits.iter().filter(|commit| commit.switch.is_some()).count(), 0);
}

#[test]
fn a_set_is_kept_as_a_fact_that_is_read_again() {
    let bench = weighted();
    let facts = bench.persisted().facts;
    let (key, fact) = facts.iter().find(|(key, _)| key.kind() == FactKind::Usable).unwrap();
    assert_eq!(key.to_string(), "usable/a.example.net.");
    let set: UsableSet = fact.get().unwrap();
    let names = ["weu", "neu", "eus"].map(RegionName::new);
    assert_eq!(
        (set.answered, set.good, set.known, set.all_down),
        (names.to_vec(), names.to_vec(), names.to_vec(), false)
    );
}
