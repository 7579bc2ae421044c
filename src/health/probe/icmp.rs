//! I/O shell: the `icmp` probe. An echo request, and the reply to it (RFC 792, RFC 4443 4).
//!
//! Ping sockets are used where the kernel lets the daemon's group (`net.ipv4.ping_group_range`), and raw ones, which need
//! CAP_NET_RAW, where it does not. A reply is known by the octets that it carries back, so that neither the identifier,
//! which the kernel of a ping socket chooses, nor other traffic matters.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::timeout_at;

use super::{Attempt, Deadline, Doing, Failure, Remarks, failure};
use crate::policy::DialFrom;

/// Time after which an echo request is sent again.
const AGAIN: Duration = Duration::from_millis(500);

const HEADER: usize = 8;
const NONCE: usize = 16;

/// Echo request and echo reply of ICMP and of ICMPv6.
const TYPES_V4: (u8, u8) = (8, 0);
const TYPES_V6: (u8, u8) = (128, 129);

pub(super) async fn attempt(attempt: &Attempt) -> Result<Remarks, Failure> {
    let source = attempt.probe.source.as_ref();
    let peer = attempt.address;
    let socket = open(peer, source)?;
    let nonce: [u8; NONCE] = rand::random();
    let identifier = rand::random();
    let exchange = async {
        let mut packet = [0; 1500];
        for sequence in 1u16.. {
            socket.send(&request(peer, identifier, sequence, &nonce)).await?;
            let again = Deadline::after(AGAIN);
            while let Ok(received) = timeout_at(again.at(), socket.recv(&mut packet)).await {
                if is_reply(peer, &packet[..received?], &nonce) {
                    return Ok(());
                }
            }
        }
        Ok::<_, io::Error>(())
    };
    let peer = SocketAddr::new(peer, 0);
    let received = attempt.deadline.within(Doing::AwaitingEcho(peer.ip()), exchange).await?;
    received.map_err(|error| failure::of_datagram("echo request to", &error, peer, source))?;
    Ok(Remarks::default())
}

/// A socket that sends to the peer, and receives from it.
fn open(peer: IpAddr, source: Option<&DialFrom>) -> Result<UdpSocket, Failure> {
    let (domain, protocol, any) = match peer {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    };
    let ping = Socket::new(domain, Type::DGRAM, Some(protocol));
    let socket = match ping {
        Err(denied) if denied.kind() == io::ErrorKind::PermissionDenied => {
            Socket::new(domain, Type::RAW, Some(protocol))
        }
        other => other,
    };
    let socket = socket.map_err(|error| failure::of_ping(&error))?;
    match source {
        None => {}
        Some(DialFrom::Address(address)) if address.is_ipv4() != any.is_ipv4() => {
            return Err(failure::of_other_family(peer, *address));
        }
        Some(source @ DialFrom::Address(address)) => {
            let bound = socket.bind(&SocketAddr::new(*address, 0).into());
            bound.map_err(|error| failure::of_source(&error, source))?;
        }
        Some(source @ DialFrom::Interface(name)) => {
            let bound = socket.bind_device(Some(name.as_bytes()));
            bound.map_err(|error| failure::of_source(&error, source))?;
        }
    }
    let peer = SocketAddr::new(peer, 0);
    // The runtime's datagram socket sends and receives by any socket of datagrams.
    let ready = socket
        .connect(&peer.into())
        .and_then(|()| socket.set_nonblocking(true))
        .and_then(|()| UdpSocket::from_std(std::net::UdpSocket::from(socket)));
    ready.map_err(|error| failure::of_datagram("echo request to", &error, peer, source))
}

fn types(peer: IpAddr) -> (u8, u8) {
    if peer.is_ipv4() { TYPES_V4 } else { TYPES_V6 }
}

fn request(peer: IpAddr, identifier: u16, sequence: u16, nonce: &[u8; NONCE]) -> Vec<u8> {
    let mut packet = vec![types(peer).0, 0, 0, 0];
    packet.extend(identifier.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(nonce);
    if peer.is_ipv4() {
        // That of ICMPv6 is over the addresses too, and the kernel's to make (RFC 3542 3.1).
        let checksum = checksum(&packet);
        packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}

/// The Internet checksum of an even number of octets (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Whether a packet is the reply to a request with these octets. A raw socket of IPv4 gives the IP header before it.
fn is_reply(peer: IpAddr, packet: &[u8], nonce: &[u8; NONCE]) -> bool {
    let message = match packet.first() {
        Some(first) if peer.is_ipv4() && first >> 4 == 4 => packet.get(usize::from(first & 15) * 4..),
        _ => Some(packet),
    };
    let Some(message) = message else { return false };
    message.first() == Some(&types(peer).1) && message.get(HEADER..HEADER + NONCE) == Some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    #[test]
    fn a_request_sums_up_to_nothing() {
        let packet = request(V4, 0x0102, 3, &[0xab; NONCE]);
        assert_eq!((packet[0], packet[1], &packet[4..8]), (8, 0, [1, 2, 0, 3].as_slice()));
        assert_eq!(checksum(&packet), 0, "RFC 1071 1 (3)");
        assert_eq!(request(V6, 0x0102, 3, &[0xab; NONCE])[..4], [128, 0, 0, 0]);
        // The example of RFC 1071 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn a_reply_carries_the_octets_back() {
        let nonce = [7; NONCE];
        let reply = |kind: u8, before: &[u8], nonce: &[u8]| [before, &[kind, 0, 0, 0, 9, 9, 0, 1], nonce].concat();
        let check = |peer, packet: &[u8], expected| assert_eq!(is_reply(peer, packet, &nonce), expected, "{packet:?}");
        check(V4, &reply(0, &[], &nonce), true);
        check(V6, &reply(129, &[], &nonce), true);
        let mut header = [0; 24];
        header[0] = 0x46;
        check(V4, &reply(0, &header, &nonce), true);
        check(V4, &reply(8, &header, &nonce), false);
        check(V4, &reply(0, &[], &[8; NONCE]), false);
        check(V6, &reply(128, &[], &nonce), false);
        check(V4, &reply(0, &[], &nonce[1..]), false);
        check(V4, &[], false);
        check(V4, &[0x4f, 0, 0], false);
    }
}
