//! A message, to worlds of zones and hubs, over every transport, by rules of every kind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::answer::Identity;
use crate::answer::respond::{Amplification, Rules, Transport};
use crate::answer::sound::{From, MADE, Manner, WORLDS, hold, hold_alike};

/// Octets in front of the query.
const HEAD: usize = 4;

/// Clients, of which the first is the one that the cookies of the corpus are for.
const CLIENTS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99)),
    IpAddr::V4(Ipv4Addr::new(70, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(33, 1, 2, 3)),
];

/// Times of day around that at which the cookies of the corpus were made.
const TIMES: [u32; 4] = [MADE, MADE + 1800, MADE + 3601, MADE - 301];

/// Octet 0: the world, and in its upper three bits how many times as long as the query a response may be. 1: transport in two bits, size in two, cookies, cookies required, NSID, keepalive. 2: time in two bits,
/// client in two, whether it is trusted, identity. 3: the client's lot. Then the query.
///
/// # Panics
/// Where the one pass and the general way do not answer alike, or the response is not well-formed.
pub fn message(octets: &[u8]) {
    let Some((&[world, manner, client, lot], query)) = octets.split_first_chunk::<HEAD>() else { return };
    let amplification = Amplification::times(u16::from(world >> 5));
    let world = &WORLDS[usize::from(world & 0x1f) % WORLDS.len()];
    let transport = [Transport::Udp, Transport::Udp, Transport::Tcp, Transport::Encrypted][usize::from(manner & 3)];
    let said = |text: &str, bit: u8| if client & bit != 0 { text.as_bytes().into() } else { Box::default() };
    let has = |bit: u8| manner & bit != 0;
    let cookies = has(0x10).then_some(TIMES[usize::from(client & 3)]);
    let rules = Rules {
        max_udp_bytes: [512, 1232, 4096, 0][usize::from(manner >> 2 & 3)],
        amplification,
        cookies_required: has(0x20) && cookies.is_some(),
        nsid: if has(0x40) { b"ns1".as_slice().into() } else { Box::default() },
        idle: if has(0x80) { 100 } else { 0 },
        identity: Identity { version: said("1", 0x20), hostname: said("host", 0x40), id: said("", 0x80) },
    };
    let from: From = (CLIENTS[usize::from(client >> 2 & 3)], u32::from(lot) << 24, client & 0x10 != 0);
    let manner = Manner { rules, cookies };
    hold_alike(world, query, transport, from, &manner);
    hold(world, query, transport, from, &manner);
}
