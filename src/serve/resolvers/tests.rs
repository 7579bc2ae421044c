//! The table: who is sampled, what is kept of them, and what it comes to.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::*;

const HUB: u32 = 77;
const SECRET: u64 = 0x0123_4567_89ab_cdef;

/// A table of all resolvers and the time that it goes by, milliseconds.
fn table() -> (Resolvers, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(1_000_000));
    let clock = now.clone();
    (Resolvers::new(1, SECRET, Box::new(move || Timestamp(clock.load(Ordering::Relaxed)))), now)
}

fn client(number: u32) -> Client {
    Client::at(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)))
}

/// What a resolver is told: `epoch`, since a second after the table was made.
fn told(number: u32, hub: u32, epoch: u64, since: u64, ttl: u32) -> Sighting {
    let place = client(number).hash(SECRET ^ u64::from(hub) << 20);
    Sighting { place, hub, ttl, epoch, since: Timestamp(1_000_000 + since * 1000) }
}

fn at(second: u64) -> Timestamp {
    Timestamp(1_000_000 + second * 1000)
}

#[test]
fn resolvers_of_a_switch_come_back_late_or_not_at_all() {
    let (table, now) = table();
    // A hundred ask at second 100 and one of another hub; at 110 the hub switches.
    for number in 0..100 {
        table.note(&told(number, HUB, 1, 0, 30), at(100));
    }
    table.note(&told(0, HUB + 1, 1, 0, 30), at(100));
    table.note(&told(200, HUB, 1, 0, 30), at(60));
    for (number, second) in [(0, 120), (1, 130), (2, 131), (3, 140), (4, 189), (5, 150), (200, 150)] {
        table.note(&told(number, HUB, 2, 110, 30), at(second));
    }
    // One that held nothing and one that is seen for the first time say nothing.
    table.note(&told(201, HUB, 2, 110, 30), at(150));
    now.store(at(200).0, Ordering::Relaxed);
    let switch = SwitchOf { epoch: 2, since: at(110) };
    let returned = Histogram { on_time: 2, late: [0, 1, 1, 2, 0, 0, 0] };
    let expected = Returns { returned, outstanding: 94, overdue: 94, last_due: Some(at(130)) };
    assert_eq!(table.returns(HUB, &[switch]), [expected]);
    assert_eq!(
        table.returns(HUB + 1, &[switch]),
        [Returns { outstanding: 1, overdue: 1, last_due: Some(at(130)), ..Returns::default() }]
    );
    assert_eq!(table.returns(HUB + 2, &[switch]), [Returns::default()]);
    assert_eq!((table.sampled(HUB), table.sampled(HUB + 1)), (102, 1));
    // Those that come back are counted, whatever becomes of their entries.
    let comebacks = table.comebacks();
    assert_eq!((comebacks.returned, comebacks.late_tenths, comebacks.displaced), (returned, 10 + 100 + 590 + 200, 0));
    assert_eq!((table.histogram(Some(HUB)), table.histogram(None)), (returned, returned));
    assert_eq!(table.histogram(Some(HUB + 1)), Histogram::default());
}

#[test]
fn the_switch_before_is_told_of_as_well() {
    let (table, now) = table();
    for number in 0..10 {
        table.note(&told(number, HUB, 1, 0, 30), at(100));
    }
    for number in 0..6 {
        table.note(&told(number, HUB, 2, 110, 30), at(120));
    }
    for number in 0..3 {
        table.note(&told(number, HUB, 3, 140, 30), at(152));
    }
    now.store(at(149).0, Ordering::Relaxed);
    let switches = [SwitchOf { epoch: 3, since: at(140) }, SwitchOf { epoch: 2, since: at(110) }];
    let [last, before] = table.returns(HUB, &switches)[..] else { panic!("two switches") };
    // Three came back 2 s late and three hold what they were told at 120; the other four held nothing at the second switch.
    let late = Histogram { on_time: 0, late: [0, 3, 0, 0, 0, 0, 0] };
    assert_eq!(last, Returns { returned: late, outstanding: 3, overdue: 0, last_due: Some(at(150)) });
    let on_time = Histogram { on_time: 6, ..Histogram::default() };
    assert_eq!(before, Returns { returned: on_time, outstanding: 4, overdue: 4, last_due: Some(at(130)) });
}

#[test]
fn one_of_so_many_is_sampled_and_nobody_where_there_is_no_table() {
    let sampled = |scale| {
        let table = Resolvers::new(scale, SECRET, Box::new(|| Timestamp(0)));
        let snapshot = Snapshot::new(1, Arc::default(), Box::new([])).unwrap();
        // What is of a hub that is not there is no sighting, whoever asks.
        let answer = HubAnswer::of(0).unwrap();
        assert!(table.sight(&snapshot, answer, client(1)).is_none());
        (0..80_000).filter(|number| client(*number).draw(table.secret) <= table.most).count()
    };
    assert_eq!(sampled(0), 0);
    assert_eq!(sampled(1), 80_000);
    assert!((9_600..10_400).contains(&sampled(8)), "{}", sampled(8));
    assert!((40..130).contains(&sampled(1024)), "{}", sampled(1024));
    let off = Resolvers::off();
    off.note(&told(1, HUB, 1, 0, 30), at(1));
    assert_eq!((off.sampled(HUB), off.words.len()), (0, 0));
}

/// A full table keeps an even sample: who stays does not depend on who asked first or last.
#[test]
fn a_full_line_keeps_the_same_resolvers_whatever_the_order() {
    let fill = |numbers: &mut dyn Iterator<Item = u32>| {
        let (table, _now) = table();
        for number in numbers {
            table.note(&told(number, HUB, 1, 0, 30), at(100));
        }
        let words = table.words[table.first..].as_chunks::<2>().0;
        let kept: BTreeSet<u64> =
            words.iter().map(|[key, _]| key.load(Ordering::Relaxed)).filter(|key| *key != 0).collect();
        (kept, table.comebacks().displaced)
    };
    let (forward, displaced) = fill(&mut (0..100_000));
    let (backward, again) = fill(&mut (0..100_000).rev());
    assert_eq!(forward, backward);
    assert!(forward.len() > LINES * ENTRIES * 95 / 100, "{} entries", forward.len());
    assert_eq!((displaced, again), (100_000 - forward.len() as u64, 100_000 - backward.len() as u64));
}

#[test]
fn who_was_not_heard_of_for_an_hour_makes_room() {
    let (table, _now) = table();
    let place = |tag: u64| Sighting { place: 5 << 32 | tag, ..told(0, HUB, 1, 0, 30) };
    for tag in 1..=4 {
        table.note(&place(tag), at(0));
    }
    table.note(&place(1_000), at(3_600));
    assert_eq!((table.sampled(HUB), table.comebacks().displaced), (4, 1));
    table.note(&place(1_000), at(3_700));
    let line = table.line(5).unwrap();
    assert_eq!(line[0].load(Ordering::Relaxed) as u32, 1_000);
    assert_eq!((table.sampled(HUB), table.comebacks().displaced), (4, 1));
}

#[test]
fn a_line_is_a_cache_line() {
    let (table, _now) = table();
    for line in [0, 1, LINES - 1] {
        assert_eq!(table.line(line).unwrap().as_ptr().addr() % CACHE_LINE, 0);
    }
    assert!(table.line(LINES).is_none_or(|_| table.first == 0));
    assert!(size_of_val(&*table.words) <= 512 * 1024 + CACHE_LINE);
}

/// Any number of workers: what they do to one line at once never makes an entry that nobody noted.
#[test]
fn workers_share_a_table() {
    let (table, _now) = table();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let table = &table;
            scope.spawn(move || {
                for round in 0..2_000_u64 {
                    for tag in 0..8_u64 {
                        let seen =
                            Sighting { place: 9 << 32 | tag << 4 | 1, ..told(0, HUB, round / 100, round / 100, 30) };
                        table.note(&seen, at(round / 100 + worker % 2));
                    }
                }
            });
        }
    });
    let words = table.line(9).unwrap().as_chunks::<2>().0;
    for [key, value] in words {
        let (key, value) = (key.load(Ordering::Relaxed), value.load(Ordering::Relaxed));
        assert_eq!((key >> 32, key as u32 & 0xf), (u64::from(HUB), 1));
        let entry = Entry::unpack(value, key as u32).unwrap();
        assert_eq!(entry.epoch, 19);
    }
    assert!(table.comebacks().returned.total() <= 8 * 19 * 4);
}
