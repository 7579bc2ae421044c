//! What this machine lacks, and what probers remark on.

use super::*;

fn unable(bench: &Bench, region: &str, lack: &str) -> Event {
    let outcome = Outcome::Unable(lack.into());
    let (target, latency) = (target(region), Duration::ZERO);
    Event::Observations(vec![Observation { target, at: bench.now, latency, outcome, remarks: Remarks::default() }])
}

fn logged(bench: &Bench, text: &str) -> usize {
    bench.log.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn what_this_machine_lacks_moves_nothing_and_is_shown() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    bench.see("weu", false).see("weu", false);
    for _ in 0..50 {
        let event = unable(&bench, "weu", "too many open files");
        bench.event(event);
        bench.now = bench.now.after(Duration::from_millis(100));
    }
    assert_eq!(bench.active(), "weu 1, weu 1");
    let status = bench.status();
    assert_eq!((status.totals.observations_unable, status.probers.unable), (50, 1));
    let endpoint = &status.hubs[0].endpoints[0];
    assert_eq!((endpoint.unable.as_deref(), endpoint.measured), (Some("too many open files"), Health::Up));
    assert!(endpoint.reason.ends_with("; this machine cannot observe it: too many open files"), "{}", endpoint.reason);
    assert_eq!(logged(&bench, "this machine cannot observe"), 1, "{:?}", bench.log);
    // It does not come between two failures: two were before it, and the third is enough.
    bench.see("weu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
    assert_eq!(logged(&bench, "this machine can observe"), 1, "{:?}", bench.log);
    let status = bench.status();
    assert_eq!((status.probers.unable, status.hubs[0].endpoints[0].unable.as_deref()), (0, None));
}

#[test]
fn a_lack_that_lasts_freezes_health_as_silence_does() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    for _ in 0..120 {
        let event = unable(&bench, "weu", "no such file");
        bench.event(event);
        bench.see("neu", true).pass(1);
    }
    let status = bench.status();
    assert_eq!((status.probers.stalled, status.hubs[0].endpoints[0].measured), (1, Health::Up));
    assert_eq!(logged(&bench, ", for no such file: its health is frozen at up"), 1, "{:?}", bench.log);
    assert_eq!(bench.active(), "weu 1, weu 1");
}

#[test]
fn a_remark_is_shown_and_logged_when_it_changes() {
    let mut bench = Bench::new();
    let expires = Some(bench.now.after(Duration::from_hours(24 * 9)));
    let see = |bench: &mut Bench, note: Option<&str>, good: bool| {
        let remarks = Remarks { note: note.map(str::to_owned), expires: if good { expires } else { None } };
        let outcome = if good { Outcome::Good } else { Outcome::Failed("refused".into()) };
        let (target, latency, at) = (target("weu"), Duration::ZERO, bench.now);
        bench.event(Event::Observations(vec![Observation { target, at, latency, outcome, remarks }]));
    };
    for _ in 0..3 {
        see(&mut bench, Some("certificate expires in 9 days"), true);
        bench.pass(1);
    }
    assert_eq!(logged(&bench, "certificate expires in 9 days"), 1, "{:?}", bench.log);
    let status = bench.status();
    let [remark] = &status.remarks[..] else { panic!("{:?}", status.remarks) };
    assert_eq!((remark.note.as_deref(), remark.expires), (Some("certificate expires in 9 days"), expires));
    assert_eq!(status.hubs[0].endpoints[0].note, remark.note);
    see(&mut bench, None, false);
    let status = bench.status();
    assert_eq!((status.remarks[0].note.as_deref(), status.remarks[0].expires), (None, expires), "it was last seen");
    bench.pass(3_600);
    see(&mut bench, Some("certificate expires in 8 days"), true);
    assert_eq!(logged(&bench, "certificate expires in 8 days"), 1, "{:?}", bench.log);
}

#[test]
fn what_is_lacking_for_shadows_and_references_is_told_too() {
    let loaded = loaded_with(&["weu", "neu"], |hub| hub.endpoints[0].shadow = Some(target("shadow")));
    let mut policy = Policy::clone(&loaded.policy);
    let reference = ProbeTarget { target: Target::Addresses(vec![[127, 0, 0, 99].into()]), ..target("weu") };
    policy.references = [reference.clone()].into();
    let mut bench = Bench::started(Loaded { policy: Arc::new(policy), ..loaded }, Persisted::default(), START);
    let event = unable(&bench, "shadow", "no such file");
    bench.event(event);
    let outcome = Outcome::Unable("too many open files".into());
    let (at, latency, remarks) = (bench.now, Duration::ZERO, Remarks::default());
    bench.event(Event::Observations(vec![Observation { target: reference, at, latency, outcome, remarks }]));
    let status = bench.status();
    let shadow = status.hubs[0].endpoints[0].shadow.as_ref().unwrap();
    assert_eq!((shadow.unable.as_deref(), shadow.stalled), (Some("no such file"), false));
    let lacks: Vec<_> = status.lacks.iter().map(|it| format!("{} on {}: {}", it.probe, it.target, it.lack)).collect();
    assert_eq!(lacks, ["p on 127.0.0.13: no such file", "p on 127.0.0.99: too many open files"]);
    assert_eq!(status.hubs[0].endpoints[0].unable, None);
}
