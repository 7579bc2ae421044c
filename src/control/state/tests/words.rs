//! What operators are told: each sentence says what is answered, and nothing else.

use super::*;

/// Loads these hubs alone, answered with addresses.
fn reload(bench: &mut Bench, hubs: &[&str], when_all_down: &WhenAllDown) -> Moved {
    let mut loaded = loaded(&["weu", "neu"]);
    let mut policy = (*loaded.policy).clone();
    policy.hubs.retain(|owner, _| hubs.contains(&owner.to_string().as_str()));
    for hub in policy.hubs.values_mut() {
        let addresses = |endpoint: &Endpoint| match &endpoint.probe.as_ref().unwrap().target {
            Target::Addresses(addresses) => Answer::Addresses(addresses.clone()),
            other => panic!("{other:?}"),
        };
        let endpoints =
            hub.endpoints.iter().map(|endpoint| Endpoint { answer: addresses(endpoint), ..endpoint.clone() });
        *hub =
            Arc::new(Hub { when_all_down: when_all_down.clone(), endpoints: endpoints.collect(), ..(**hub).clone() });
    }
    loaded.content = Arc::new(compile(vec![zone()], &policy).unwrap());
    loaded.policy = Arc::new(policy);
    let author = Author { name: "alice".into(), origin: "test".into() };
    match bench.event(Event::Loaded { loaded: Ok(loaded), author, reply: Some(ReplyTo(2)) }) {
        Some(Ok(moved)) => moved,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_down_is_told_with_what_is_answered() {
    let mut bench = Bench::new();
    reload(&mut bench, &["a.example.net."], &WhenAllDown::All);
    bench.verdict("weu", false).pass(30).verdict("neu", false);
    assert_eq!(bench.log.last().unwrap(), "a.example.net.: no endpoint is eligible; all endpoints are answered");
    let mut bench = Bench::new();
    bench.verdict("weu", false).pass(30).verdict("neu", false);
    assert_eq!(bench.log.last().unwrap(), "b.example.net.: no endpoint is eligible; neu is answered");
}

/// It is published when it begins and when it ends, without a switch: a response says so (RFC 8914).
#[test]
fn while_nothing_is_eligible_the_answer_is_marked_as_stale() {
    let mut bench = Bench::new();
    let stale = |bench: &Bench| bench.published.last().unwrap().iter().map(|choice| choice.stale).collect::<Vec<_>>();
    bench.verdict("weu", false).pass(30);
    assert_eq!(stale(&bench), [false, false]);
    bench.verdict("neu", false);
    assert_eq!(stale(&bench), [true, true]);
    let (published, switched) = (bench.published.len(), bench.state.choices()[0].epoch);
    bench.pass(1);
    assert_eq!(bench.published.len(), published, "once");
    bench.verdict("neu", true);
    assert_eq!(stale(&bench), [false, false]);
    assert_eq!(bench.state.choices()[0].epoch, switched, "nothing has moved");
}

/// A drained endpoint that is not down comes before `when_all_down`, and the note says so.
#[test]
fn a_mark_that_leaves_only_drained_endpoints_says_which_is_answered() {
    let mut bench = Bench::new();
    reload(&mut bench, &["a.example.net."], &WhenAllDown::All);
    bench.verdict("weu", true).verdict("neu", true);
    bench.mark("neu", MarkKind::Drain, None);
    let moved = bench.mark("weu", MarkKind::Drain, None);
    let expected = "a.example.net.: no endpoint is eligible; weu is answered: neu marked drain";
    assert!(moved.notes[0].starts_with(expected), "{:?}", moved.notes);
    assert_eq!(bench.status().hubs[0].answer, ["A 127.0.0.11"]);
    let moved = bench.mark("weu", MarkKind::Down, None);
    assert_eq!(bench.status().hubs[0].answer, ["A 127.0.0.12"]);
    assert!(moved.notes[0].contains("no endpoint is eligible; neu is answered"), "{:?}", moved.notes);
}

#[test]
fn a_reload_tells_which_hubs_are_gone() {
    let mut bench = Bench::new();
    let moved = reload(&mut bench, &["a.example.net."], &WhenAllDown::Keep);
    let sentence = "b.example.net. is no hub any more: what its zone has at this name is answered";
    assert_eq!(moved.notes, [sentence]);
    assert!(bench.log.iter().any(|line| line == sentence), "{:?}", bench.log);
    let audit = &bench.commits.last().unwrap().audit[0];
    assert!(audit.reason.ends_with("; no hubs any more: b.example.net."), "{}", audit.reason);
    assert!(reload(&mut bench, &["a.example.net."], &WhenAllDown::Keep).notes.is_empty());
}

#[test]
fn a_hub_in_the_place_of_a_region_is_explained() {
    let mut bench = Bench::new();
    let target: MarkTarget = "A.example.net".parse().unwrap();
    let refused = bench.command(Command::Unmark { target, reason: "because".into() }).unwrap_err().to_string();
    assert_eq!(refused, "`A.example.net` is a hub; mark a region, or one endpoint such as `a.example.net./weu`");
}
