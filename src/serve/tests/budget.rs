//! Limits of queries and of who may ask, on every transport: [`limiter`](super::super::limiter). The clock of the limiter is
//! the test's, so that nothing depends on how long anything takes.

use std::sync::atomic::AtomicU64;
use std::thread;

use hickory_proto::rr::RecordType;

use super::answers::{self, over_tcp, over_udp};
use super::web::{Everywhere, Http, Quic, plain, post, runtime};
use super::*;
use crate::config::{Access, Config, Denial};

/// The streams, with what they are counted as.
const STREAMS: [(&str, Via); 6] = [
    ("TCP", Via::Tcp),
    ("TLS", Via::Tls),
    ("HTTP/2", Via::Https),
    ("HTTP/1.1", Via::Https),
    ("QUIC", Via::Quic),
    ("HTTP/3", Via::Https3),
];

/// Queries a second.
const RATE: u32 = 5;

/// A clock that stands still until it is told to go on.
#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_000)))
    }

    fn go_on(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

fn limiter(clock: &Clock, edit: impl FnOnce(&mut Config)) -> Limiter {
    let mut config = Config::default_at("config".as_ref());
    config.limits.unlimited.clear();
    edit(&mut config);
    let time = clock.0.clone();
    let limiter = Limiter::of(&config).expect("something is limited");
    limiter.at(move || Duration::from_millis(time.load(Ordering::SeqCst)))
}

fn limited(clock: &Clock) -> Option<Limiter> {
    Some(limiter(clock, |config| config.limits.queries_per_second_per_client = RATE))
}

fn denying(denial: Denial) -> Option<Limiter> {
    let deny = vec!["127.0.0.0/8".parse().unwrap()];
    Some(limiter(&Clock::new(), |config| config.access = Access { allow: vec![], deny, denial }))
}

impl Everywhere {
    fn ask_over(&mut self, name: &str, query: &[u8], runtime: &Runtime) -> Vec<u8> {
        let [two, one] = &mut self.http;
        let body = |response: http::Response<bytes::Bytes>| response.into_body().to_vec();
        match name {
            "UDP" => over_udp(&self.udp, query),
            "TCP" => over_tcp(&mut self.tcp, query),
            "TLS" => over_tcp(&mut self.tls, query),
            "QUIC" => runtime.block_on(self.quic.ask(query)),
            "HTTP/2" => body(runtime.block_on(two.send(post(query)))),
            "HTTP/1.1" => body(runtime.block_on(one.send(post(query)))),
            _ => body(runtime.block_on(self.http3.send(post(query)))),
        }
    }
}

#[test]
fn who_has_sent_too_many_queries_waits_on_every_stream() {
    let (runtime, clock) = (runtime(), Clock::new());
    let server = Setting { encrypted: true, limiter: limited(&clock), ..Setting::default() }.start();
    let mut clients = Everywhere::connect(&server, &runtime);
    let paused = || server.counters.totals().actions.of(Action::QueryPaused);
    for (name, via) in STREAMS {
        let answered = || server.counters.totals().messages(via).responses();
        let begun = answered();
        // All that there is at once; one transport's queries are the others', too.
        for _ in 0..RATE {
            assert_eq!(read(&clients.ask_over(name, &plain(), &runtime)).number, 1 << 16, "{name}");
        }
        let already = begun + u64::from(RATE);
        until(|| answered() == already);
        let before = paused();
        thread::scope(|scope| {
            let asked = scope.spawn(|| clients.ask_over(name, &plain(), &runtime));
            // It is looked at again and again, and not answered: the clock stands still.
            until(|| paused() >= before + 3);
            assert_eq!(answered(), already, "{name}");
            clock.go_on(1_000);
            assert_eq!(read(&asked.join().unwrap()).number, 1 << 16, "{name}");
        });
        until(|| answered() == already + 1);
        clock.go_on(1_000);
    }
}

#[test]
fn who_never_has_its_turn_is_told_so_over_http_and_quic() {
    let (runtime, clock) = (runtime(), Clock::new());
    let tcp_idle = Duration::from_secs(2);
    let server = Setting { encrypted: true, tcp_idle, limiter: limited(&clock), ..Setting::default() }.start();
    runtime.block_on(async {
        for protocol in [&b"h2"[..], b"http/1.1"] {
            clock.go_on(1_000);
            let mut answered = 0;
            while over_http(&server, protocol).await == 200 {
                answered += 1;
                assert!(answered <= RATE, "{protocol:?}");
            }
        }
        clock.go_on(1_000);
        let mut answered = 0;
        while over_quic(&server).await {
            answered += 1;
            assert!(answered <= RATE);
        }
    });
}

/// The status, 200 or 429, of a query on a connection of its own. On a machine that stands still for a while one is closed for
/// idleness, and it is asked again.
async fn over_http(server: &Server, protocol: &'static [u8]) -> u16 {
    let asked = async {
        loop {
            let Ok(mut client) = Http::try_connect(server, protocol).await else { continue };
            if let Ok(response) = client.try_send(post(&plain())).await {
                break response.status().as_u16();
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE * 3, asked).await.unwrap();
    assert!(status == 200 || status == 429, "{status}");
    status
}

/// Whether a query is answered, or reset with `DOQ_EXCESSIVE_LOAD` (RFC 9250 4.3).
async fn over_quic(server: &Server) -> bool {
    let asked = async {
        loop {
            let Ok(quic) = Quic::try_connect(server, Via::Quic, b"doq").await else { continue };
            match quic.exchange(&framed(&plain())).await {
                Ok(_) => break true,
                Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => {
                    assert_eq!(code.into_inner(), 4);
                    break false;
                }
                Err(quinn::ReadToEndError::Read(quinn::ReadError::ConnectionLost(_))) => {}
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE * 3, asked).await.unwrap()
}

#[test]
fn who_is_denied_is_refused_with_the_reason_on_every_transport() {
    let runtime = runtime();
    let setting = Setting { encrypted: true, limiter: denying(Denial::Refuse), ..Setting::default() };
    let server = setting.start_real(zone());
    let mut clients = Everywhere::connect(&server, &runtime);
    let mut query = answers::question("ns.example.", RecordType::A, 0);
    query[11] = 1;
    query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    for name in STREAMS.map(|(name, _)| name).into_iter().chain(["UDP"]) {
        let response = clients.ask_over(name, &query, &runtime);
        assert_eq!((response[3] & 15, response[7]), (5, 0), "{name}");
        // Prohibited (RFC 8914 4.19), without a text.
        assert_eq!(response[response.len() - 6..], [0, 15, 0, 2, 0, 18], "{name}");
    }
    until(|| server.counters.totals().actions.of(Action::Refused) == 7);
}

#[test]
fn who_is_denied_without_a_word_comes_in_nowhere() {
    let runtime = runtime();
    let server = Setting { encrypted: true, limiter: denying(Denial::Drop), ..Setting::default() }.start();
    let denied = || server.counters.totals().actions.of(Action::Denied);
    let over = |via| TcpStream::connect(if via == Via::Tcp { server.address } else { server.at(via) }).unwrap();
    for (number, via) in (1..).zip([Via::Tcp, Via::Tls, Via::Https]) {
        let mut stream = over(via);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(is_closed(&mut stream), "{via:?}");
        until(|| denied() == number);
    }
    for (via, protocol) in [(Via::Quic, &b"doq"[..]), (Via::Https3, b"h3")] {
        let before = denied();
        runtime.block_on(async {
            let connecting = Quic::try_connect(&server, via, protocol);
            let looked_at = async {
                while denied() == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            // Nothing is sent back: the client would wait for long.
            tokio::select! {
                connected = connecting => panic!("{:?}", connected.err()),
                seen = tokio::time::timeout(PATIENCE, looked_at) => seen.unwrap(),
            }
        });
    }
    let totals = server.counters.totals();
    assert_eq!(Via::ALL.map(|via| totals.messages(via).queries), [0; 6]);
    assert_eq!((totals.connections.open, totals.events(Via::Tls, Event::HandshakeFull)), (0, 0));
}

/// Only over UDP does a response go where nobody may have asked.
#[test]
fn what_is_too_much_longer_than_its_query_is_whole_on_every_stream() {
    let runtime = runtime();
    let server = Setting { encrypted: true, amplification: 1, ..Setting::default() }.start_real(zone());
    let mut clients = Everywhere::connect(&server, &runtime);
    let query = answers::question("ns.example.", RecordType::A, 0);
    let cut = clients.ask_over("UDP", &query, &runtime);
    assert_eq!((cut.len(), cut[2] & 2, cut[7]), (query.len(), 2, 0));
    for (name, _) in STREAMS {
        let response = clients.ask_over(name, &query, &runtime);
        assert_eq!((response[2] & 2, response[7]), (0, 1), "{name}");
    }
}

/// The snapshot of `answers::zone`.
fn zone() -> Snapshot {
    let content = crate::answer::compile::compile(vec![answers::zone()], &Default::default()).unwrap();
    Snapshot::new(1, Arc::new(content), Box::new([])).unwrap()
}
