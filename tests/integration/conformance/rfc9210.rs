//! Operational requirements of DNS over TCP. Limits of connections and idle times (4.2, 4.5) are tested with the server's
//! sockets in `src/serve`; 5 and 6 are advice to operators.

use super::row::ask;

/// Forty addresses, which no datagram of 512 octets has.
fn all() -> String {
    let addresses: Vec<String> = (1..=40).map(|n| format!("big.example.test. 300 A 198.51.100.{n}")).collect();
    addresses.join(", ")
}

#[test]
fn section_3_a_truncated_answer_is_whole_over_tcp() {
    let udp = ask("big.example.test. A").told();
    assert_eq!(udp[2] & 0x02, 0x02);
    ask("big.example.test. A").tcp().is(&format!("NOERROR aa | {}", all()));
}

#[test]
fn section_3_what_is_asked_for_over_tcp_first_is_answered() {
    ask("mail.example.test. A").tcp().is("NOERROR aa | mail.example.test. 300 A 192.0.2.25");
    ask("big.example.test. A").edns().tcp().is(&format!("NOERROR aa opt | {}", all()));
}

#[test]
fn section_3_the_size_of_a_datagram_does_not_bound_a_stream() {
    ask("big.example.test. A").opt(512, 0, false, b"").tcp().is(&format!("NOERROR aa opt | {}", all()));
}

#[test]
fn section_3_a_referral_is_whole_over_tcp() {
    let glue = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
    let servers: Vec<String> =
        glue.iter().map(|n| format!("many.example.test. 300 NS ns-number-{n}.many.example.test.")).collect();
    let addresses: Vec<String> = (41..)
        .zip(glue)
        .flat_map(|(at, n)| {
            let owner = format!("ns-number-{n}.many.example.test. 300");
            [format!("{owner} A 192.0.2.{at}"), format!("{owner} AAAA 2001:db8::{at}")]
        })
        .collect();
    ask("x.many.example.test. A").tcp().is(&format!("NOERROR | - | {} | {}", servers.join(", "), addresses.join(", ")));
}
