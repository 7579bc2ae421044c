//! DNS over TCP. Limits of connections and idle times (6.2.2, 6.2.3) are tested with the server's sockets in `src/serve`.

use std::io::Write;
use std::net::TcpStream;

use super::row::{Row, ask};
use super::servers::Servers;
use super::shown::shown;
use crate::process::{framed, read_message};

const MAIL: &str = "NOERROR aa | mail.example.test. 300 A 192.0.2.25";

/// A query whose identifier is its number.
fn numbered(row: &Row, number: u16) -> Vec<u8> {
    let mut query = row.octets();
    query[..2].copy_from_slice(&number.to_be_bytes());
    query
}

fn connection(server: std::net::SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    stream
}

/// Every server that there is.
fn all() -> impl Iterator<Item = std::net::SocketAddr> {
    let servers = Servers::get();
    std::iter::once(servers.us).chain(servers.peers.map(|(_, address)| address))
}

#[test]
fn section_5_tcp_is_served_and_answers_are_the_same() {
    ask("mail.example.test. A").tcp().is(MAIL);
    ask("no.mail.example.test. A").tcp().is("NXDOMAIN aa | - | SOA!");
    let www = "www.example.test. 300 A 192.0.2.80, www.example.test. 300 A 192.0.2.81";
    ask("www.example.test. A").tcp().edns().is(&format!("NOERROR aa opt | {www}"));
}

#[test]
fn section_6_1_a_client_that_closes_its_half_is_answered() {
    // As RFC 1035 4.2.2 has it, which the section quotes; 6.2.4 is of a client that is gone.
    let mut stream = connection(Servers::get().us);
    stream.write_all(&framed(&ask("mail.example.test. A").octets())).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(shown(read_message(&mut stream).ok().as_deref()), MAIL);
    assert!(read_message(&mut stream).is_err(), "and the connection is closed");
}

#[test]
fn section_6_2_1_1_queries_are_pipelined() {
    for server in all() {
        let mut stream = connection(server);
        let queries: Vec<u8> =
            (0..50).flat_map(|number| framed(&numbered(&ask("mail.example.test. A"), number))).collect();
        stream.write_all(&queries).unwrap();
        let mut seen: Vec<u16> = (0..50)
            .map(|_| {
                let answer = read_message(&mut stream).unwrap();
                u16::from_be_bytes([answer[0], answer[1]])
            })
            .collect();
        // Section 7: in whatever order.
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<_>>(), "{server}");
    }
}

#[test]
fn section_6_2_1_the_connection_stays_for_the_next_query() {
    for server in all() {
        let mut stream = connection(server);
        for _ in 0..3 {
            stream.write_all(&framed(&ask("mail.example.test. A").octets())).unwrap();
            assert_eq!(shown(read_message(&mut stream).ok().as_deref()), MAIL, "{server}");
        }
    }
}

#[test]
fn section_6_2_1_1_a_malformed_message_does_not_cost_the_next_one() {
    let mut stream = connection(Servers::get().us);
    let broken = ask("mail.example.test. A").question(b"\x03www").octets();
    stream.write_all(&[framed(&broken), framed(&ask("mail.example.test. A").octets())].concat()).unwrap();
    assert_eq!(shown(read_message(&mut stream).ok().as_deref()), "FORMERR no-question");
    assert_eq!(shown(read_message(&mut stream).ok().as_deref()), MAIL);
}

#[test]
fn section_8_length_and_message_may_come_in_pieces() {
    for server in all() {
        let mut stream = connection(server);
        stream.set_nodelay(true).unwrap();
        for octet in framed(&ask("mail.example.test. A").octets()) {
            stream.write_all(&[octet]).unwrap();
        }
        assert_eq!(shown(read_message(&mut stream).ok().as_deref()), MAIL, "{server}");
    }
}
