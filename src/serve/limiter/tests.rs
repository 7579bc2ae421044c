use std::sync::Mutex;

use super::super::engine::{Rules, Trust};
use super::*;
use crate::answer::snapshot::Content;
use crate::config::{self, RateLimit};

/// REFUSED, with as many records as a truncated response has not; the query's first octet says what its cookie is worth.
fn refused(_: &Snapshot, query: &[u8], _: Client, _: Transport, _: &Terms<'_>, response: &mut Vec<u8>) -> Outcome {
    response.clear();
    response.extend_from_slice(&[query[0], 0, 0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0]);
    let cookie = if query[0] == 1 { Cookie::Valid } else { Cookie::Client };
    let rcode = if query[0] == 2 { Rcode::NOERROR } else { Rcode::REFUSED };
    Outcome::Reply { rcode, truncated: false, hub: None, cookie }
}

/// A limiter with an engine, and the time in milliseconds.
struct Bench {
    limiter: Limiter,
    engine: Engine,
    millis: Arc<Mutex<u64>>,
}

impl Bench {
    fn new(edit: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default_at("config".as_ref());
        config.limits.unlimited.clear();
        edit(&mut config);
        let millis = Arc::new(Mutex::new(1_000));
        let told = millis.clone();
        let time = Box::new(move || Duration::from_millis(*told.lock().unwrap()));
        let limiter = Limiter::of(&config).expect("something is limited");
        let engine = Engine { respond: refused, ..Engine::new(Rules::sized(512), None, Trust::default()) };
        Self { limiter: Limiter { time, ..limiter }, engine, millis }
    }

    fn at(&self, millis: u64) {
        *self.millis.lock().unwrap() = millis;
    }

    /// What becomes of `count` queries, a letter each: `R` sent, `T` sent truncated, `.` nothing.
    fn ask(&self, from: &str, first: u8, count: usize) -> String {
        let snapshot = Snapshot::new(1, Arc::new(Content::default()), Box::new([])).unwrap();
        let client = Client::at(from.parse().unwrap());
        let mut response = Vec::new();
        let mut one = || {
            let terms = self.engine.terms();
            match self.limiter.answer(&self.engine, &snapshot, &[first; 12], client, &terms, &mut response) {
                Some(Outcome::Reply { truncated: true, .. }) => {
                    assert_eq!(response[2] & 0x02, 0x02);
                    'T'
                }
                Some(_) => 'R',
                None => '.',
            }
        };
        (0..count).map(|_| one()).collect()
    }

    fn done(&self) -> [u64; 6] {
        Action::ALL.map(|action| self.limiter.acted.sum().of(action))
    }
}

fn rate(per_second: u32, slip: u8) -> RateLimit {
    RateLimit {
        responses_per_second: per_second,
        burst: per_second,
        slip,
        ..Config::default_at("".as_ref()).rate_limit
    }
}

#[test]
fn without_a_limit_there_is_no_limiter() {
    let config = Config::default_at("config".as_ref());
    assert!(Limiter::of(&config).is_none());
}

#[test]
fn a_network_has_its_responses_and_then_every_nth_truncated() {
    let bench = Bench::new(|config| config.rate_limit = rate(3, 2));
    assert_eq!(bench.ask("192.0.2.1", 2, 9), "RRR.T.T.T");
    assert_eq!(bench.ask("192.0.2.255", 2, 2), ".T", "of the same network");
    assert_eq!(bench.ask("192.0.3.1", 2, 4), "RRR.", "another");
    assert_eq!(bench.ask("2001:db8:0:1::1", 2, 4), "RRR.");
    assert_eq!(bench.ask("2001:db8:0:2::1", 2, 2), "T.", "a /56");
    bench.at(2_000);
    assert_eq!(bench.ask("192.0.2.1", 2, 4), "RRR.");
    assert_eq!(bench.done(), [0, 0, 0, 0, 8, 5]);
}

#[test]
fn an_error_that_slips_is_sent_as_it_is() {
    let bench = Bench::new(|config| config.rate_limit = rate(1, 1));
    assert_eq!(bench.ask("192.0.2.1", 0, 3), "RRR");
    assert_eq!(bench.done(), [0, 0, 0, 0, 0, 2]);
}

#[test]
fn who_has_a_valid_cookie_or_is_exempt_is_not_limited() {
    let bench = Bench::new(|config| {
        config.rate_limit = RateLimit { exempt: vec!["198.51.100.0/24".parse().unwrap()], ..rate(1, 0) };
    });
    assert_eq!(bench.ask("192.0.2.1", 0, 3), "R..");
    assert_eq!(bench.ask("192.0.2.1", 1, 3), "RRR");
    assert_eq!(bench.ask("198.51.100.7", 0, 3), "RRR");
}

#[test]
fn a_client_has_its_queries_and_nobody_can_use_up_those_of_one_with_a_cookie() {
    let bench = Bench::new(|config| {
        config.limits.queries_per_second_per_client = 2;
        config.limits.unlimited = vec!["198.51.100.0/24".parse().unwrap()];
    });
    assert_eq!(bench.ask("192.0.2.1", 0, 4), "RR..");
    assert_eq!(bench.ask("192.0.2.2", 0, 3), "RR.");
    assert_eq!(bench.ask("192.0.2.1", 1, 3), "RR.", "by its cookie");
    assert_eq!(bench.ask("198.51.100.1", 0, 5), "RRRRR");
    // Streams: the same as with a cookie.
    let client = Client::at("192.0.2.1".parse().unwrap());
    let wait = bench.limiter.wait(client).unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_millis(500), "{wait:?}");
    bench.at(1_500);
    assert_eq!(bench.limiter.wait(client), None);
    assert_eq!(bench.ask("192.0.2.1", 1, 1), ".", "all transports together");
    assert_eq!(bench.done(), [0, 0, 5, 1, 0, 0]);
}

#[test]
fn who_is_denied_gets_what_is_configured() {
    let access = |denial| config::Access { allow: vec![], deny: vec!["192.0.2.0/24".parse().unwrap()], denial };
    let dropping = Bench::new(|config| config.access = access(Denial::Drop));
    assert_eq!(dropping.ask("192.0.2.1", 0, 2), "..");
    assert_eq!(dropping.ask("192.0.3.1", 0, 2), "RR");
    assert_eq!(dropping.done(), [0, 2, 0, 0, 0, 0]);
    let refusing = Bench::new(|config| config.access = access(Denial::Refuse));
    assert_eq!(refusing.ask("192.0.2.1", 0, 2), "RR");
    assert_eq!(refusing.done(), [2, 0, 0, 0, 0, 0]);
}

/// Over a stream as over UDP, and with the reason.
#[test]
fn a_refusal_says_prohibited() {
    let access =
        config::Access { allow: vec!["198.51.100.0/24".parse().unwrap()], deny: vec![], denial: Denial::Refuse };
    let Bench { limiter, engine, .. } = Bench::new(|config| config.access = access);
    let engine = Engine { limiter: Some(Arc::new(limiter)), ..engine };
    let snapshot = Snapshot::new(1, Arc::new(Content::default()), Box::new([])).unwrap();
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x03www\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let mut response = Vec::new();
    for transport in [Transport::Tcp, Transport::Encrypted] {
        let client = Client::at("192.0.2.1".parse().unwrap());
        let outcome = engine.answer_one(&snapshot, query, client, transport, &mut response);
        assert!(matches!(outcome, Outcome::Reply { rcode: Rcode::REFUSED, .. }), "{outcome:?}");
        // The extended error 18, without a text, is the only option.
        assert_eq!(response[response.len() - 8..], [0, 6, 0, 15, 0, 2, 0, 18]);
    }
}
