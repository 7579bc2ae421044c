use std::time::UNIX_EPOCH;

use super::*;
use crate::answer::cookie::Cookie;
use crate::answer::snapshot::Content;

const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03hub\x07example\x03net\x00\x00\x01\x00\x01";

fn entry(outcome: Outcome, response: &[u8]) -> Arc<Entry> {
    let snapshot = Snapshot::new(1, Arc::new(Content::default()), Box::default()).unwrap();
    let client = Client::at("192.0.2.1".parse().unwrap());
    let seen = Seen { snapshot: &snapshot, client, port: Some(4711), via: Via::Udp, query: QUERY, outcome, response };
    let Sample(entry) = copy(&seen, 0);
    Arc::new(Entry { at: UNIX_EPOCH + Duration::from_millis(1_500), ..Arc::into_inner(entry).unwrap() })
}

fn reply() -> Outcome {
    Outcome::Reply { rcode: Rcode::NXDOMAIN, truncated: false, hub: None, cookie: Cookie::Absent }
}

#[test]
fn one_message_in_so_many_is_taken_whatever_it_is() {
    for sample in [1_u32, 8, 100, 5_000] {
        let most = u32::MAX / sample;
        let client = Client::at("192.0.2.1".parse().unwrap());
        let draws = 1_000_000_u32;
        // As the lots of a worker come.
        let lots = (0..draws).map(|at| at.wrapping_mul(0x9e37_79b9));
        let taken = lots.filter(|lot| client.with_lot(*lot).origin().draw(KEY) <= most).count() as f64;
        let expected = f64::from(draws) / f64::from(sample);
        assert!((taken - expected).abs() <= 4.0 * expected.sqrt(), "1 in {sample}: {taken}");
    }
}

#[test]
fn a_line_says_what_can_be_read_and_leaves_out_the_rest() {
    let check = |query: &[u8], outcome, response: &[u8], expected: &str| {
        let entry = Entry { query: query.into(), ..Arc::into_inner(entry(outcome, response)).unwrap() };
        assert_eq!(serde_json::to_string(&line::Line::of(&entry)).unwrap(), expected);
    };
    const SENDER: &str =
        "{\"time\":\"1970-01-01T00:00:01.500000Z\",\"client\":\"192.0.2.1\",\"port\":4711,\"transport\":\"udp\",";
    let response = [0x12, 0x34, 0x85, 0x03, 0, 1, 0, 2, 0, 0, 0, 0];
    check(
        QUERY,
        reply(),
        &response,
        &format!(
            "{SENDER}\"id\":4660,\"name\":\"hub.example.net.\",\"type\":\"A\",\"class\":\"IN\",\"query_octets\":33,\"rcode\":\
             \"NXDOMAIN\",\"response_octets\":12,\"truncated\":false,\"answers\":2}}"
        ),
    );
    check(
        &QUERY[..20],
        Outcome::Silence,
        &[],
        &format!(
            "{SENDER}\"id\":4660,\"query_octets\":20,\"rcode\":null,\"response_octets\":0,\"truncated\":false,\"answers\":0}}"
        ),
    );
    check(
        &[1],
        Outcome::Silence,
        &[],
        &format!(
            "{SENDER}\"id\":null,\"query_octets\":1,\"rcode\":null,\"response_octets\":0,\"truncated\":false,\"answers\":0}}"
        ),
    );
}

#[test]
fn a_message_is_in_protobuf_as_dnstap_has_it() {
    let teller = dnstap::Teller { identity: (*b"ns1").into(), version: "v" };
    let mut octets = vec![0xff; 3];
    dnstap::encode(&teller, &entry(reply(), &[7; 130]), dnstap::Kind::Response, &mut octets);
    let head = [0x0a, 3, b'n', b's', b'1', 0x12, 1, b'v', 0x72, 0xa2, 1];
    assert_eq!(octets[..head.len()], head);
    // AUTH_RESPONSE, INET, UDP, the address, the port, times of 1.5 s, the response of 130 octets; type MESSAGE.
    let message = [
        &[0x08, 2, 0x10, 1, 0x18, 1, 0x22, 4, 192, 0, 2, 1, 0x30, 0xe7, 0x24, 0x40, 1, 0x4d][..],
        &500_000_000_u32.to_le_bytes(),
        &[0x60, 1, 0x6d],
        &500_000_000_u32.to_le_bytes(),
        &[0x72, 0x82, 1],
        &[7; 130],
        &[0x78, 1],
    ]
    .concat();
    assert_eq!(octets[head.len()..], message);
    assert_eq!(message.len() - 2, 0x22 + 0x80, "the length that stands before it");
}

#[test]
fn a_line_that_was_cut_short_is_no_part_of_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.json");
    for (before, after) in [("{\"time\":\"19", "{\"time\":\"19\n"), ("{}\n", "{}\n"), ("", "")] {
        std::fs::write(&path, before).unwrap();
        let mut lines = sinks::Lines::new(path.clone());
        lines.open().unwrap();
        lines.write(&entry(reply(), &[])).unwrap();
        lines.close().unwrap();
        let log = std::fs::read_to_string(&path).unwrap();
        let added = log.strip_prefix(after).unwrap();
        assert_eq!((added.lines().count(), added.starts_with("{\"time\":\"1970")), (1, true), "{log}");
    }
}

/// Takes nothing until it is told to.
struct Stuck(Arc<AtomicBool>);

impl Sink for Stuck {
    fn check(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) { Ok(()) } else { Err(io::Error::other("not yet")) }
    }

    fn write(&mut self, _: &Entry) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn tend(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn every_message_is_counted_as_written_or_dropped_and_nobody_waits() {
    let (ready, ending) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let one = One::start("stuck", 1, &ending, Stuck(ready.clone())).unwrap();
    let tap = Tap { most: one.most, taps: vec![one], ending };
    let show = |count: usize| (0..count).for_each(|_| tap.show(Sample(entry(reply(), &[]))));
    // More than the queue holds, while nobody takes them.
    show(3 * QUEUE);
    let counted = || tap.shown().map(|shown| shown.written + shown.dropped).sum::<u64>();
    let written = || tap.shown().map(|shown| shown.written).sum::<u64>();
    ready.store(true, Ordering::Release);
    let mut shown = 3 * QUEUE;
    while written() == 0 {
        show(1);
        shown += 1;
        thread::yield_now();
    }
    tap.close();
    assert_eq!(counted(), shown as u64);
    assert!(written() < shown as u64);
}
