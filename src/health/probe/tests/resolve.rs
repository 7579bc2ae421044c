use tokio::net::UdpSocket;
use tokio::time::sleep;

use super::dns::{Record, Reply, at, name_server};
use super::*;
use crate::dns::{Rcode, Rtype};

const HUB: &str = "hub-weu.example.net.";

fn prober(resolver: SocketAddr) -> Arc<Prober> {
    Arc::new(Prober::new(&[resolver]))
}

async fn observe_hub(prober: &Arc<Prober>, probe: Probe) -> Outcome {
    prober.observe(&Arc::new(probe), &Target::Host(name(HUB))).await.outcome
}

/// NODATA for every type but the one of `record`.
fn only(record: impl Fn() -> Record + Send + 'static) -> impl Fn(&str, Rtype) -> Reply + Send + 'static {
    move |_, rtype| {
        let record = record();
        if record.rtype == rtype { Reply::Records(vec![record]) } else { Reply::Negative(Rcode::NOERROR) }
    }
}

#[tokio::test]
async fn a_host_is_resolved_and_dialled_over_ipv4() {
    let port = listen(V4, |_| async {}).await;
    let (resolver, questions) = name_server(only(|| at(HUB, 60, "127.0.0.1"))).await;
    assert_eq!(observe_hub(&prober(resolver), tcp(port)).await, Outcome::Good);
    assert!(questions.lock().unwrap().contains(&(HUB.to_owned(), Rtype::A)));
}

#[tokio::test]
async fn a_host_is_resolved_and_dialled_over_ipv6() {
    let port = listen(address("::1"), |_| async {}).await;
    let (resolver, questions) = name_server(only(|| at(HUB, 60, "::1"))).await;
    assert_eq!(observe_hub(&prober(resolver), tcp(port)).await, Outcome::Good);
    assert!(questions.lock().unwrap().contains(&(HUB.to_owned(), Rtype::AAAA)));
}

#[tokio::test]
async fn aliases_are_followed() {
    let port = listen(V4, |_| async {}).await;
    let (resolver, _) = name_server(|_, rtype| {
        let alias =
            Record { owner: HUB, rtype: Rtype::CNAME, ttl: 60, rdata: name("cluster.example.org.").wire().to_vec() };
        match rtype {
            Rtype::A => Reply::Records(vec![alias, at("cluster.example.org.", 60, "127.0.0.1")]),
            _ => Reply::Records(vec![alias]),
        }
    })
    .await;
    assert_eq!(observe_hub(&prober(resolver), tcp(port)).await, Outcome::Good);
}

#[tokio::test]
async fn http_names_the_host_and_dials_the_address() {
    let port = listen(V4, |mut stream| async move {
        let head = head(&mut stream).await;
        let status = if head.contains("\r\nhost: hub-weu.example.net:") { 200 } else { 421 };
        let response = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(response.as_bytes()).await.unwrap();
    })
    .await;
    let (resolver, _) = name_server(only(|| at(HUB, 60, "127.0.0.1"))).await;
    assert_eq!(observe_hub(&prober(resolver), probe(ProbeKind::Http(http(port)))).await, Outcome::Good);
}

#[tokio::test]
async fn every_resolved_address_is_tried() {
    let port = listen(address("127.0.0.7"), |_| async {}).await;
    let addresses = |last: &'static str| {
        move |_: &str, rtype: Rtype| match rtype {
            Rtype::A => Reply::Records(vec![at(HUB, 60, "127.0.0.1"), at(HUB, 60, last)]),
            _ => Reply::Negative(Rcode::NOERROR),
        }
    };
    let (resolver, _) = name_server(addresses("127.0.0.7")).await;
    assert_eq!(observe_hub(&prober(resolver), tcp(port)).await, Outcome::Good);

    let (resolver, _) = name_server(addresses("127.0.0.8")).await;
    let Outcome::Failed(sentence) = observe_hub(&prober(resolver), tcp(port)).await else { panic!("nobody listens") };
    for failed in ["127.0.0.1", "127.0.0.8"] {
        let expected = format!("connect {failed}:{port}: connection refused");
        assert!(sentence.contains(&expected), "{sentence}");
    }
}

#[tokio::test]
async fn what_cannot_be_resolved_is_a_failure_with_the_reason() {
    let check = async |rcode: Rcode, expected: &str| {
        let (resolver, _) = name_server(move |_, _| Reply::Negative(rcode)).await;
        assert_failed(&observe_hub(&prober(resolver), tcp(1)).await, expected);
    };
    check(Rcode::NXDOMAIN, "`hub-weu.example.net.` does not exist (NXDOMAIN)").await;
    check(Rcode::NOERROR, "`hub-weu.example.net.` has no addresses").await;
    check(Rcode::SERVFAIL, "resolve `hub-weu.example.net.` A and AAAA: the resolver says SERVFAIL").await;
    check(Rcode::REFUSED, "resolve `hub-weu.example.net.` A and AAAA: the resolver says REFUSED").await;
}

#[tokio::test]
async fn a_silent_resolver_is_timed_out() {
    let (resolver, _) = name_server(|_, _| Reply::Silence).await;
    let expected = "resolve `hub-weu.example.net.` A and AAAA: timed out after 700 ms while resolving";
    assert_failed(&observe_hub(&prober(resolver), within_ms(700, tcp(1))).await, expected);
}

#[tokio::test]
async fn a_family_that_is_never_answered_delays_nothing() {
    let port = listen(V4, |_| async {}).await;
    let (resolver, _) = name_server(|_, rtype| match rtype {
        Rtype::A => Reply::Records(vec![at(HUB, 60, "127.0.0.1")]),
        _ => Reply::Silence,
    })
    .await;
    let began = Instant::now();
    assert_eq!(observe_hub(&prober(resolver), tcp(port)).await, Outcome::Good);
    assert!(began.elapsed() < Duration::from_millis(900), "a round of the resolver was waited for");
}

#[tokio::test]
async fn a_family_that_cannot_be_resolved_is_named_when_the_other_fails() {
    let port = closed_port(V4).await;
    let (resolver, _) = name_server(|_, rtype| match rtype {
        Rtype::A => Reply::Records(vec![at(HUB, 60, "127.0.0.1")]),
        _ => Reply::Negative(Rcode::SERVFAIL),
    })
    .await;
    let expected = format!(
        "connect 127.0.0.1:{port}: connection refused; \
         resolve `hub-weu.example.net.` AAAA: the resolver says SERVFAIL"
    );
    assert_failed(&observe_hub(&prober(resolver), tcp(port)).await, &expected);
}

#[tokio::test]
async fn another_resolver_answers_for_one_that_is_gone() {
    let port = listen(V4, |_| async {}).await;
    let gone = UdpSocket::bind((V4, 0)).await.unwrap().local_addr().unwrap();
    let (resolver, _) = name_server(only(|| at(HUB, 60, "127.0.0.1"))).await;
    let prober = Arc::new(Prober::new(&[gone, resolver]));
    assert_eq!(observe_hub(&prober, tcp(port)).await, Outcome::Good);
}

#[tokio::test]
async fn addresses_are_cached_for_their_ttl_and_no_longer() {
    let port = listen(V4, |_| async {}).await;
    let moved = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now_at = moved.clone();
    let (resolver, questions) = name_server(only(move || {
        let there = if now_at.load(std::sync::atomic::Ordering::SeqCst) { "127.0.0.2" } else { "127.0.0.1" };
        at(HUB, 1, there)
    }))
    .await;
    let prober = prober(resolver);
    assert_eq!(observe_hub(&prober, tcp(port)).await, Outcome::Good);
    let asked = questions.lock().unwrap().iter().filter(|(_, rtype)| *rtype == Rtype::A).count();
    moved.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(observe_hub(&prober, tcp(port)).await, Outcome::Good, "the cache answers within the TTL");
    assert_eq!(questions.lock().unwrap().iter().filter(|(_, rtype)| *rtype == Rtype::A).count(), asked);
    sleep(Duration::from_millis(1_100)).await;
    let expected = format!("connect 127.0.0.2:{port}: connection refused");
    assert_failed(&observe_hub(&prober, tcp(port)).await, &expected);
}

/// The SOA allows an hour; a target that was added to its zone is seen after some seconds all the same.
#[tokio::test]
async fn that_a_name_does_not_exist_is_not_believed_for_long() {
    let port = listen(V4, |_| async {}).await;
    let began = Instant::now();
    let (resolver, _) = name_server(move |_, rtype| match rtype {
        Rtype::A if began.elapsed() > Duration::from_millis(500) => Reply::Records(vec![at(HUB, 60, "127.0.0.1")]),
        _ => Reply::Negative(Rcode::NXDOMAIN),
    })
    .await;
    let prober = prober(resolver);
    while observe_hub(&prober, tcp(port)).await != Outcome::Good {
        assert!(began.elapsed() < Duration::from_secs(15), "still not seen");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_resolver_that_is_not_there_fails_the_name_and_not_this_machine() {
    let gone = SocketAddr::new(V4, closed_port(V4).await);
    let expected = "resolve `hub-weu.example.net.` A and AAAA: no answer from a resolver";
    assert_failed(&observe_hub(&prober(gone), tcp(1)).await, expected);
}
