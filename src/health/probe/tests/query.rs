//! The `dns` probe.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;

use super::dns::{Record, Reply, at, name_server};
use super::*;
use crate::dns::{HEADER, Rcode, Rtype};
use crate::policy::DnsProbe;
use crate::zone::parse_rdata;

fn ask(port: u16, rtype: Rtype, rcode: Rcode, answer: Option<&str>) -> Probe {
    let answer = answer.map(|text| parse_rdata(rtype, text, &Name::root()).unwrap());
    probe(ProbeKind::Dns(DnsProbe { port, name: name("hub.example.net."), rtype, rcode, answer }))
}

#[tokio::test]
async fn the_response_code_and_the_records_decide() {
    let (server, questions) = name_server(|name, rtype| match (name, rtype) {
        ("hub.example.net.", Rtype::A) => {
            Reply::Records(vec![at("hub.example.net.", 30, "192.0.2.1"), at("hub.example.net.", 30, "192.0.2.2")])
        }
        ("hub.example.net.", Rtype::CNAME) => Reply::Records(vec![Record {
            owner: "hub.example.net.",
            rtype: Rtype::CNAME,
            ttl: 30,
            rdata: name_of("Hub-WEU.example.org."),
        }]),
        _ => Reply::Negative(Rcode::REFUSED),
    })
    .await;
    let port = server.port();
    let of = async |rtype, rcode, answer| observe(ask(port, rtype, rcode, answer), &[V4]).await;
    assert_eq!(of(Rtype::A, Rcode::NOERROR, None).await, Outcome::Good);
    assert_eq!(of(Rtype::A, Rcode::NOERROR, Some("192.0.2.2")).await, Outcome::Good);
    assert_eq!(of(Rtype::CNAME, Rcode::NOERROR, Some("hub-weu.EXAMPLE.org.")).await, Outcome::Good);
    assert_eq!(of(Rtype::TXT, Rcode::REFUSED, None).await, Outcome::Good);
    assert_eq!(questions.lock().unwrap()[0], ("hub.example.net.".to_owned(), Rtype::A));
    let check = async |rtype, rcode, answer, expected: &str| {
        assert_failed(&of(rtype, rcode, answer).await, &expected.replace("{}", &server.to_string()));
    };
    let expected = "expected NOERROR for `hub.example.net.` TXT from {}, got REFUSED";
    check(Rtype::TXT, Rcode::NOERROR, None, expected).await;
    let expected = "expected NXDOMAIN for `hub.example.net.` A from {}, got NOERROR";
    check(Rtype::A, Rcode::NXDOMAIN, None, expected).await;
    let expected = "expected `192.0.2.9` for `hub.example.net.` A from {}, got `192.0.2.1`, `192.0.2.2`";
    check(Rtype::A, Rcode::NOERROR, Some("192.0.2.9"), expected).await;
}

fn name_of(text: &str) -> Vec<u8> {
    name(text).wire().to_vec()
}

#[tokio::test]
async fn nobody_and_silence_are_failures() {
    let closed = UdpSocket::bind((V4, 0)).await.unwrap().local_addr().unwrap();
    let outcome = observe(ask(closed.port(), Rtype::A, Rcode::NOERROR, None), &[V4]).await;
    assert_failed(&outcome, &format!("query {closed}: connection refused"));
    let (server, _) = name_server(|_, _| Reply::Silence).await;
    let outcome = observe(within_ms(300, ask(server.port(), Rtype::A, Rcode::NOERROR, None)), &[V4]).await;
    assert_failed(&outcome, &format!("timed out after 300 ms while waiting for the response of {server}"));
}

/// The first datagram is lost, and what is no response to the query does not count.
#[tokio::test]
async fn a_query_is_sent_again_and_strange_datagrams_are_left_out() {
    let asked = AtomicUsize::new(0);
    let (server, questions) = name_server(move |_, _| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Silence,
        _ => Reply::Records(vec![at("hub.example.net.", 30, "192.0.2.1")]),
    })
    .await;
    assert_eq!(observe(ask(server.port(), Rtype::A, Rcode::NOERROR, None), &[V4]).await, Outcome::Good);
    assert!(questions.lock().unwrap().len() >= 2);

    let socket = UdpSocket::bind((V4, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut datagram = [0; 512];
        loop {
            let (length, client) = socket.recv_from(&mut datagram).await.unwrap();
            let mut response = datagram[..length].to_vec();
            response[2] |= 0x80;
            let mut strange = response.clone();
            (strange[0], strange[3]) = (!strange[0], 2);
            for message in [&strange, &response[..HEADER].to_vec(), &response] {
                socket.send_to(message, client).await.unwrap();
            }
        }
    });
    assert_eq!(observe(ask(port, Rtype::A, Rcode::NOERROR, None), &[V4]).await, Outcome::Good);
}
