//! The `icmp` probe, on this machine's own addresses.

use super::*;

fn icmp() -> Probe {
    probe(ProbeKind::Icmp)
}

/// Whether this process may send echo requests at all.
fn may() -> bool {
    let socket = |kind| socket2::Socket::new(socket2::Domain::IPV4, kind, Some(socket2::Protocol::ICMPV4)).is_ok();
    socket(socket2::Type::DGRAM) || socket(socket2::Type::RAW)
}

#[tokio::test]
async fn an_echo_request_is_replied_to() {
    for address in [V4, address("127.0.0.77"), address("::1")] {
        let outcome = observe(icmp(), &[address]).await;
        match may() {
            true => assert_eq!(outcome, Outcome::Good, "{address}"),
            false => assert_unable(
                &outcome,
                "an echo request may not be sent: `net.ipv4.ping_group_range` does not have the daemon's group, and the \
                 daemon has no CAP_NET_RAW",
            ),
        }
    }
}

/// An address of a documentation network (RFC 5737) that nobody has.
#[tokio::test]
async fn nobody_is_a_failure() {
    if !may() {
        return;
    }
    let Outcome::Failed(sentence) = observe(within_ms(700, icmp()), &[address("192.0.2.254")]).await else {
        panic!("somebody replies")
    };
    let late = "timed out after 700 ms while waiting for the echo reply of 192.0.2.254";
    assert!(sentence == late || sentence.starts_with("echo request to 192.0.2.254: "), "{sentence}");
}
