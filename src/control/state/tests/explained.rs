//! What an explanation says of a hub, beside what it answers.

use super::*;

/// One hub, changed by `change`, in its zone; and what is said of a name.
fn explained(
    change: impl Fn(&mut Hub),
    low_ttl: bool,
    asked: &str,
    rtype: Option<Rtype>,
) -> (Vec<String>, Vec<String>) {
    let mut bench =
        Bench::started(loaded_of(&["a.example.net."], &["weu", "neu"], change), Persisted::default(), START);
    let layout = bench.state.layout.clone();
    Arc::make_mut(&mut bench.state.stands).set_low_ttl(&layout.hubs[0], low_ttl);
    let explanation = bench.state.explain(&name(asked), rtype, None, bench.now).unwrap();
    (explanation.steps, explanation.answer)
}

/// The steps that `steps` has and the ones without any change have not.
fn told(steps: &[String]) -> Vec<&str> {
    let (plain, _) = explained(|_| {}, false, "a.example.net.", None);
    steps.iter().filter(|step| !plain.contains(step)).map(String::as_str).collect()
}

#[test]
fn ttls_that_are_not_the_usual_one_are_told() {
    let adaptive = |hub: &mut Hub| hub.ttl_min = Duration::from_secs(10);
    let (steps, answer) = explained(adaptive, true, "a.example.net.", None);
    assert_eq!(told(&steps), ["its TTL is lowered to 10 s (ttl_min), instead of 30 s"]);
    assert!(answer[0].starts_with("a.example.net. 10 IN "), "{answer:?}");
    let (steps, answer) = explained(adaptive, false, "a.example.net.", None);
    assert_eq!(told(&steps), [""; 0]);
    assert!(answer[0].starts_with("a.example.net. 30 IN "), "{answer:?}");
    // A hub without a lower one answers the one that it has.
    let (steps, _) = explained(|_| {}, true, "a.example.net.", None);
    assert_eq!(told(&steps), [""; 0]);
    let (steps, answer) = explained(|hub| hub.ttl_spread = 20, false, "a.example.net.", None);
    assert_eq!(
        told(&steps),
        ["each resolver is given a TTL of its own, lower by up to 20 % (ttl_spread) and at least 5 s"]
    );
    assert!(answer[0].starts_with("a.example.net. 30 IN "), "{answer:?}");
}

#[test]
fn what_tells_of_a_hub_is_explained_as_it_is_answered() {
    let (steps, answer) = explained(|hub| hub.txt = true, false, "_concierge.a.example.net.", None);
    assert_eq!(
        steps,
        [
            "a query for _concierge.a.example.net. TXT",
            "_concierge.a.example.net. exists in the zone example.net.",
            "it tells of the hub a.example.net. (txt = true), from the same snapshot that answers it",
            "its TXT RRset is the answer",
        ]
    );
    assert_eq!(answer, ["_concierge.a.example.net. 5 IN TXT \"region=weu epoch=1 since=1970-01-01T00:16:40Z\""]);
    let (steps, answer) = explained(|hub| hub.txt = true, false, "_concierge.a.example.net.", Some(Rtype::A));
    assert!(steps.last().unwrap().starts_with("it has no such type"), "{steps:?}");
    assert_eq!(answer, [""; 0]);
    let (steps, _) = explained(|_| {}, false, "_concierge.a.example.net.", None);
    assert!(steps[0].ends_with("net. A") && steps[1].contains("does not exist"), "{steps:?}");
}
