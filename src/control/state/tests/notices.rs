//! What happens while nobody looks is shown until somebody has seen it.

use super::engine::{adaptive, answer, failover, fenced, fenced_files, start};
use super::*;
use crate::control::known::NoticeKind;
use crate::policy::OnFenceFailure;

const A: &str = "a.example.net.";

/// The notices of hub `a`: kinds and sentences.
fn notices(bench: &mut Bench) -> Vec<(NoticeKind, String)> {
    let hub = bench.status().hubs.swap_remove(0);
    hub.notices.into_iter().map(|notice| (notice.kind, notice.sentence)).collect()
}

fn acknowledge(bench: &mut Bench) -> Moved {
    bench.moved(Command::Acknowledge { hub: name(A), reason: "seen".into() })
}

fn tonight(bench: &Bench) -> MoveOptions {
    let at = |seconds| Some(bench.now.after(Duration::from_secs(seconds)));
    MoveOptions { at: at(600), until: at(900), ..MoveOptions::default() }
}

#[test]
fn a_move_that_stops_by_itself_is_shown_until_it_is_acknowledged() {
    let mut bench = start(|_| {}, adaptive);
    bench.moved(failover("neu", tonight(&bench)));
    bench.pass(570).verdict("neu", false).pass(30);
    assert_eq!((bench.stage(), bench.active().as_str()), ("stopped", "weu 1, weu 1"));
    let [(NoticeKind::Stopped, sentence)] = &notices(&mut bench)[..] else { panic!("one notice") };
    assert!(sentence.starts_with("a.example.net.: failover weu -> neu by alice (drill): stopped, and"), "{sentence}");
    assert!(sentence.contains("neu is down"), "why: {sentence}");
    // It is there after days, and after a kill.
    bench.pass(200_000);
    let mut bench = bench.restart(loaded_with(&["weu", "neu"], adaptive));
    assert_eq!(notices(&mut bench).len(), 1);
    let done = acknowledge(&mut bench);
    assert_eq!((done.changed, done.summary.as_str()), (true, "a.example.net.: 1 notice acknowledged"));
    assert_eq!(notices(&mut bench), []);
    assert!(!acknowledge(&mut bench).changed);
}

#[test]
fn another_move_takes_the_place_of_one_that_has_stopped() {
    let mut bench = start(|_| {}, adaptive);
    bench.moved(failover("neu", tonight(&bench)));
    bench.pass(570).verdict("neu", false).pass(30).verdict("neu", true);
    assert_eq!(notices(&mut bench).len(), 1);
    bench.moved(failover("neu", MoveOptions::default()));
    assert_eq!(notices(&mut bench), []);
    bench.pass(30);
    assert_eq!((bench.stage(), bench.active().as_str()), ("drain", "neu 2, weu 1"));
    assert_eq!(notices(&mut bench), []);
}

/// Who cancels knows it, who is refused is told, and a hub that is where it was to go is no trouble.
#[test]
fn what_somebody_knows_already_is_no_notice() {
    let mut bench = start(|_| {}, adaptive);
    bench.moved(failover("neu", tonight(&bench)));
    bench.moved(Command::Cancel { hub: name(A), epoch: None, reason: "no".into() });
    assert_eq!((bench.stage(), notices(&mut bench)), ("stopped", vec![]));
    bench.mark("neu", MarkKind::Drain, None);
    bench.command(failover("neu", at_once(None))).unwrap_err();
    assert_eq!(notices(&mut bench), []);
    bench.moved(Command::Unmark { target: "neu".parse().unwrap(), reason: "r".into() });
    bench.moved(failover("neu", tonight(&bench)));
    bench.verdict("weu", false);
    assert_eq!((bench.stage(), bench.active().as_str()), ("stopped", "neu 2, neu 2"));
    assert_eq!(notices(&mut bench), []);
}

#[test]
fn a_cancel_names_the_move_and_refuses_another_one() {
    let mut bench = start(|_| {}, adaptive);
    bench.moved(failover("neu", tonight(&bench)));
    let cancel = |epoch| Command::Cancel { hub: name(A), epoch, reason: "no".into() };
    let which = "a.example.net.: failover weu -> neu by alice (drill), planned at epoch 1";
    let refused = bench.command(cancel(Some(2))).unwrap_err().to_string();
    assert_eq!(refused, format!("the move that is under way is another one: {which}"));
    assert_eq!(bench.stage(), "scheduled");
    let moved = bench.moved(cancel(Some(1)));
    assert_eq!(moved.summary, format!("cancelled, and nothing was switched: {which}"));
}

/// Seen by an on-call review: only the log said so, once.
#[test]
fn a_region_that_was_told_and_stays_is_shown_until_it_is_acknowledged_or_left() {
    let mut bench = fenced(OnFenceFailure::Proceed);
    bench.verdict("weu", false);
    assert_eq!((bench.fenced.len(), bench.active().as_str()), (2, "weu 1, weu 1"));
    bench.verdict("weu", true);
    let first = bench.fenced[0].key();
    answer(&mut bench, true);
    assert_eq!(bench.active(), "weu 1, weu 1");
    let [(NoticeKind::Told, sentence)] = &notices(&mut bench)[..] else { panic!("one notice") };
    let expected = "a.example.net.: weu has acknowledged that it is left, and the move to neu is not wanted any more";
    assert!(sentence.starts_with(expected), "{sentence}");
    acknowledge(&mut bench);
    assert_eq!(notices(&mut bench), []);

    // It has been told that it stays; when it fails again it is told anew, in a call that is not taken for the first one.
    bench.pass(100).verdict("weu", false);
    assert_eq!((bench.fenced.len(), bench.active().as_str()), (2, "weu 1, weu 1"));
    assert_ne!(bench.fenced[0].key(), first);
    answer(&mut bench, true);
    assert_eq!(bench.active(), "neu 2, neu 2");

    // A notice that nobody acknowledged ends when the region is left after all.
    let mut bench = fenced(OnFenceFailure::Proceed);
    bench.verdict("weu", false).verdict("weu", true);
    answer(&mut bench, true);
    assert_eq!(notices(&mut bench).len(), 1);
    bench.pass(100).verdict("weu", false);
    answer(&mut bench, true);
    assert_eq!((bench.active().as_str(), notices(&mut bench)), ("neu 2, neu 2", vec![]));
}

#[test]
fn each_announcement_has_a_key_of_its_own_and_keeps_it() {
    let mut bench = fenced(OnFenceFailure::Stop);
    bench.moved(failover("neu", at_once(None)));
    let asked = bench.now;
    assert_eq!(bench.fenced[0].key(), format!("{A}/2/{}", asked.0));
    answer(&mut bench, false);
    bench.pass(31);
    assert_eq!(bench.fenced[0].key(), format!("{A}/2/{}", asked.0), "the same move tells the same again");
    let late = bench.fenced.clone();
    bench.moved(Command::Cancel { hub: name(A), epoch: None, reason: "no".into() });
    assert_eq!(notices(&mut bench)[0].0, NoticeKind::Told, "a cancel does not tell it otherwise");
    bench.pass(1).moved(failover("neu", at_once(None)));
    let new = bench.fenced.last().unwrap().clone();
    assert_eq!((new.key(), new.epoch), (format!("{A}/2/{}", bench.now.0), late[0].epoch));
    // What comes late of the first announcement does not answer the second.
    bench.fenced = late;
    answer(&mut bench, true);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.fenced = vec![new];
    answer(&mut bench, true);
    assert_eq!(bench.active(), "neu 2, weu 1");
}

/// The one who looks at a hub that is held sees what the fence said, and what goes on without it.
#[test]
fn a_fence_that_has_failed_is_what_a_hub_waits_for_with_its_own_words() {
    let mut bench = fenced(OnFenceFailure::Stop);
    bench.verdict("weu", false);
    answer(&mut bench, false);
    bench.pass(1);
    let hold = bench.status().hubs[0].hold.clone().unwrap();
    let said = "the move to neu waits: weu has not acknowledged that it is left: exit 1; `concierge failover a.example.net. \
                --to neu --now --force` goes on without; it is told again in 29 s";
    assert_eq!((hold.waiting.as_str(), hold.reason.as_str()), ("fence", said));
    let force = MoveOptions { force: true, ..at_once(None) };
    bench.moved(failover("neu", force));
    assert_eq!(bench.active(), "neu 2, weu 1");
}

/// weu is being told that it is left because it is down, and the daemon is killed before the answer.
fn killed_while_it_tells() -> Bench {
    let mut bench = fenced(OnFenceFailure::Stop);
    bench.verdict("weu", false);
    assert_eq!((bench.fenced.len(), bench.active().as_str()), (2, "weu 1, weu 1"));
    bench.restart(fenced_files(OnFenceFailure::Stop))
}

#[test]
fn a_region_that_may_have_been_told_before_a_restart_and_stays_is_named() {
    let mut bench = killed_while_it_tells();
    bench.verdict("neu", true).pass(60);
    assert_eq!(notices(&mut bench), [], "it may still be left");
    bench.verdict("weu", true);
    let [(NoticeKind::Told, sentence)] = &notices(&mut bench)[..] else { panic!("one notice") };
    let said = "a.example.net.: weu was being told that it is left for neu when the daemon was started";
    assert!(sentence.starts_with(said) && sentence.ends_with("weu stays active, tell it so"), "{sentence}");
    // Once, and until it is acknowledged.
    acknowledge(&mut bench);
    bench.verdict("weu", true).pass(60);
    assert_eq!(notices(&mut bench), []);
}

#[test]
fn a_region_that_is_still_to_be_left_after_a_restart_is_told_again_and_no_notice() {
    let mut bench = killed_while_it_tells();
    bench.verdict("neu", true).verdict("weu", false);
    assert_eq!(bench.fenced.len(), 2, "told again");
    answer(&mut bench, true);
    assert_eq!((bench.active().as_str(), notices(&mut bench)), ("neu 2, neu 2", vec![]));
    assert!(bench.state.facts.keys().all(|key| key.kind() != FactKind::Told), "{:?}", bench.state.facts);
}

#[test]
fn a_region_that_has_refused_to_be_left_is_no_notice_after_a_restart() {
    let mut bench = fenced(OnFenceFailure::Stop);
    bench.verdict("weu", false);
    answer(&mut bench, false);
    let mut bench = bench.restart(fenced_files(OnFenceFailure::Stop));
    bench.verdict("weu", true).verdict("neu", true);
    assert_eq!(notices(&mut bench), []);
}

/// A planned move that is cancelled after a restart has told nobody since, and may have before.
#[test]
fn a_region_that_was_told_before_a_restart_is_named_by_the_cancel() {
    let mut bench = fenced(OnFenceFailure::Stop);
    let until = Some(bench.now.after(Duration::from_secs(3_000)));
    bench.moved(failover("neu", MoveOptions { now: true, until, ..MoveOptions::default() }));
    assert_eq!(bench.fenced.len(), 1);
    let mut bench = bench.restart(fenced_files(OnFenceFailure::Stop));
    bench.moved(Command::Cancel { hub: name(A), epoch: None, reason: "no".into() });
    let [(NoticeKind::Told, sentence)] = &notices(&mut bench)[..] else { panic!("one notice") };
    assert!(sentence.contains("weu was told that it is not active any more, and it is"), "{sentence}");
}

#[test]
fn a_plan_says_that_the_fence_has_failed_and_what_force_does() {
    let mut bench = fenced(OnFenceFailure::Stop);
    bench.verdict("weu", false);
    answer(&mut bench, false);
    let failed = |force| {
        let options = MoveOptions { now: true, force, ..MoveOptions::default() };
        let (now, to) = (bench.now, RegionName::new("neu"));
        let plan = bench.state.clone().plan(&name(A), Some(&to), &options, None, now).unwrap();
        plan.fence.unwrap().failed.unwrap()
    };
    let words = "weu has not acknowledged that it is left: exit 1";
    assert_eq!(failed(true), format!("{words}; --force goes on without, which is recorded and shown"));
    assert_eq!(failed(false), format!("{words}; it is told again, and --force goes on without"));
}
