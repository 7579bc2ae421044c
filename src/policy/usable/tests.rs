//! The rules by table, and what must hold whatever the inputs are.

use proptest::prelude::*;

use super::*;
use crate::policy::Seen;
use crate::time::Timestamp;

/// `up`, `down`, `unknown`, `new-down` (unknown, and down before the start), `bare` (not watched), `doubted` (down, and
/// perhaps by this node's own fault); with `+up`, `+down` or `+drain` for a mark.
fn view(text: &str) -> UsableView {
    let (health, mark) = text.split_once('+').map_or((text, None), |(health, mark)| (health, Some(mark)));
    let mark = mark.map(|mark| match mark {
        "up" => MarkKind::Up,
        "down" => MarkKind::Down,
        _ => MarkKind::Drain,
    });
    let plain = UsableView { health: Health::Up, last_known: Health::Up, mark, watched: true, doubted: false };
    let unknown = UsableView { health: Health::Unknown, last_known: Health::Unknown, ..plain };
    match health {
        "up" => plain,
        "down" => UsableView { health: Health::Down, last_known: Health::Down, ..plain },
        "doubted" => UsableView { health: Health::Down, last_known: Health::Down, doubted: true, ..plain },
        "unknown" => unknown,
        "new-down" => UsableView { last_known: Health::Down, ..unknown },
        "bare" => UsableView { watched: false, ..unknown },
        other => panic!("{other}"),
    }
}

fn views(text: &str) -> Vec<UsableView> {
    text.split_whitespace().map(view).collect()
}

/// `1`, `0` for each endpoint in order: `110` is the first two.
fn mask(text: &str) -> Mask {
    text.bytes().enumerate().fold(0, |mask, (at, bit)| mask | u64::from(bit == b'1') << at)
}

/// `MASK/GOOD`, with ` all down` where nothing is usable by itself.
fn said(usable: Usable, endpoints: usize) -> String {
    let bits = |mask: Mask| (0..endpoints).map(|at| if mask >> at & 1 == 1 { '1' } else { '0' }).collect::<String>();
    let all_down = if usable.all_down { " all down" } else { "" };
    format!("{}/{}{all_down}", bits(usable.mask), bits(usable.good))
}

/// A set that was, of endpoints that are all still there.
fn was(text: &str, endpoints: usize) -> Before {
    let (answered, good) = text.split_once('/').unwrap();
    Before { usable: Usable { mask: mask(answered), good: mask(good), all_down: false }, known: every(endpoints) }
}

fn check(resort: Resort, text: &str, before: Option<&str>, expected: &str) {
    let views = views(text);
    let before = before.map(|before| was(before, views.len()));
    let found = usable(resort, &views, Sight::default(), before);
    assert_eq!(said(found, views.len()), expected, "{text}, before {before:?}");
}

#[test]
fn marks_come_first_then_health() {
    let keep = |text, expected| check(Resort::Keep, text, None, expected);
    keep("up up down", "110/110");
    keep("down+up up", "11/01");
    keep("up+down up", "01/11");
    keep("up+drain up", "01/11");
    keep("bare down", "10/10");
}

#[test]
fn what_is_unknown_is_as_it_was() {
    let keep = |text, before, expected| check(Resort::Keep, text, before, expected);
    keep("unknown unknown", None, "11/11");
    keep("new-down up", None, "01/01");
    keep("unknown unknown", Some("10/10"), "10/10");
    // A mark that was taken away while health is unknown gives back what health said before.
    keep("unknown unknown", Some("01/11"), "11/11");
    // Nothing will ever say how one that is not watched is.
    keep("bare up", Some("01/01"), "11/11");
}

#[test]
fn an_endpoint_that_is_new_is_what_is_remembered_of_it() {
    let before = Before { usable: Usable { mask: 1, good: 1, all_down: false }, known: 1 };
    let found = |text| said(usable(Resort::Keep, &views(text), Sight::default(), Some(before)), 2);
    assert_eq!(found("unknown unknown"), "11/11");
    assert_eq!(found("unknown new-down"), "10/10");
}

#[test]
fn a_drained_endpoint_is_the_last_resort() {
    let keep = |text, expected| check(Resort::Keep, text, None, expected);
    keep("up+drain down", "10/10");
    keep("up+drain down+up", "01/10");
    keep("up+drain up+drain down", "110/110");
    check(Resort::Keep, "down+drain down", Some("01/01"), "01/00 all down");
}

#[test]
fn with_nothing_usable_the_policy_says_what_is_answered() {
    check(Resort::Keep, "down down down", Some("011/011"), "011/000 all down");
    check(Resort::Keep, "down down down", None, "111/000 all down");
    check(Resort::All, "down down down", Some("011/011"), "111/000 all down");
    check(Resort::Endpoint(2), "down down+down down", Some("011/011"), "001/000 all down");
    // It is over as soon as one is usable.
    check(Resort::Keep, "down up down", Some("111/000"), "010/010");
}

#[test]
fn blindness_freezes_health_and_no_mark() {
    let blind = Sight { blind: true, seen: Seen::At(Timestamp(0)), unconfirmed: false };
    let found = |text, before| said(usable(Resort::Keep, &views(text), blind, Some(was(before, 2))), 2);
    assert_eq!(found("down down", "11/11"), "11/11");
    assert_eq!(found("up down", "01/01"), "01/01");
    assert_eq!(found("down+down down", "11/11"), "01/11");
    assert_eq!(found("down down+up", "10/10"), "11/10");
    // And when the mark is gone, the endpoint is back.
    assert_eq!(found("down down", "01/11"), "11/11");
}

#[test]
fn what_may_be_this_node_is_not_believed() {
    check(Resort::Keep, "doubted up", Some("11/11"), "11/11");
    check(Resort::Keep, "doubted up", Some("01/01"), "01/01");
}

#[test]
fn a_set_of_all_endpoints_has_each_of_them() {
    assert_eq!((every(0), every(1), every(3), every(63), every(64), every(65)), (0, 1, 7, u64::MAX >> 1, !0, !0));
    let most = vec![view("up"); Selection::MOST_USABLE];
    assert_eq!(usable(Resort::Keep, &most, Sight::default(), None).mask, !0);
}

fn any_view() -> impl Strategy<Value = UsableView> {
    let health = prop_oneof![Just(Health::Up), Just(Health::Down), Just(Health::Unknown)];
    let mark = prop_oneof![
        3 => Just(None),
        1 => Just(Some(MarkKind::Up)),
        1 => Just(Some(MarkKind::Down)),
        1 => Just(Some(MarkKind::Drain)),
    ];
    (health.clone(), health, mark, any::<bool>(), any::<bool>()).prop_map(
        |(health, last_known, mark, watched, doubted)| UsableView { health, last_known, mark, watched, doubted },
    )
}

fn any_resort() -> impl Strategy<Value = Resort> {
    prop_oneof![Just(Resort::Keep), Just(Resort::All), (0..8usize).prop_map(Resort::Endpoint)]
}

fn any_before() -> impl Strategy<Value = Option<Before>> {
    let any = (1..256u64, 0..256u64, 0..256u64, any::<bool>());
    prop::option::of(any.prop_map(|(mask, good, known, all_down)| Before {
        usable: Usable { mask, good, all_down },
        known: known | mask,
    }))
}

proptest! {
    /// Never empty, never an endpoint that is not there, and the same again from itself.
    #[test]
    fn the_set_is_never_empty_and_stands(
        views in prop::collection::vec(any_view(), 1..9),
        resort in any_resort(),
        blind in any::<bool>(),
        before in any_before(),
    ) {
        let sight = Sight { blind, ..Sight::default() };
        let found = usable(resort, &views, sight, before);
        prop_assert!(found.mask != 0);
        prop_assert_eq!((found.mask | found.good) & !every(views.len()), 0);
        let again = usable(resort, &views, sight, Some(Before { usable: found, known: every(views.len()) }));
        prop_assert_eq!(again, found);
    }

    /// A restart: the same marks, the same endpoints, nothing observed yet.
    #[test]
    fn a_restart_changes_nothing(
        views in prop::collection::vec(any_view(), 1..9),
        resort in any_resort(),
        blind in any::<bool>(),
        before in any_before(),
    ) {
        let found = usable(resort, &views, Sight { blind, ..Sight::default() }, before);
        let restarted: Vec<_> = views.iter().map(|view| UsableView { health: Health::Unknown, ..*view }).collect();
        let kept = Before { usable: found, known: every(views.len()) };
        prop_assert_eq!(usable(resort, &restarted, Sight::default(), Some(kept)), found);
    }

    /// What is marked down or drained is answered only when nothing else is.
    #[test]
    fn a_mark_is_obeyed(views in prop::collection::vec(any_view(), 1..9), before in any_before()) {
        let found = usable(Resort::Keep, &views, Sight::default(), before);
        let is = |kind| views.iter().enumerate().filter(move |(_, view)| view.mark == Some(kind));
        if !found.all_down {
            prop_assert!(is(MarkKind::Down).all(|(at, _)| found.mask >> at & 1 == 0));
            prop_assert!(is(MarkKind::Up).all(|(at, _)| found.mask >> at & 1 == 1));
            let drained: Mask = is(MarkKind::Drain).fold(0, |mask, (at, _)| mask | 1 << at);
            prop_assert!(found.mask & drained == 0 || found.mask & !drained == 0);
        }
    }
}
