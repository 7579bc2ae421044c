//! dnstap's messages (dnstap.proto, protobuf): what a data frame holds.
//!
//! Protobuf is written out: fourteen fields of four kinds, which is less than a description of them for a library.

use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use super::Entry;
use crate::serve::Via;

/// What of a message is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Query,
    Response,
}

/// Who tells.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    pub(super) identity: Box<[u8]>,
    pub(super) version: &'static str,
}

/// Writes the message into `octets`, over what they held.
pub(super) fn encode(teller: &Teller, entry: &Entry, kind: Kind, octets: &mut Vec<u8>) {
    let message = message(entry, kind);
    octets.clear();
    if !teller.identity.is_empty() {
        bytes(1, &teller.identity, octets);
    }
    bytes(2, teller.version.as_bytes(), octets);
    bytes(14, &message, octets);
    // MESSAGE.
    number(15, 1, octets);
}

fn message(entry: &Entry, kind: Kind) -> Vec<u8> {
    let mut to =
        Vec::with_capacity(entry.query.len() + entry.response.as_ref().map_or(0, |(_, octets)| octets.len()) + 64);
    // AUTH_QUERY, AUTH_RESPONSE.
    number(1, if kind == Kind::Query { 1 } else { 2 }, &mut to);
    number(2, if entry.client.is_ipv4() { 1 } else { 2 }, &mut to);
    number(3, protocol(entry.via), &mut to);
    match entry.client {
        IpAddr::V4(address) => bytes(4, &address.octets(), &mut to),
        IpAddr::V6(address) => bytes(4, &address.octets(), &mut to),
    }
    if let Some(port) = entry.port {
        number(6, port.into(), &mut to);
    }
    let time = entry.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    number(8, time.as_secs(), &mut to);
    fixed(9, time.subsec_nanos(), &mut to);
    match (kind, &entry.response) {
        (Kind::Response, Some((_, response))) => {
            number(12, time.as_secs(), &mut to);
            fixed(13, time.subsec_nanos(), &mut to);
            bytes(14, response, &mut to);
        }
        _ => bytes(10, &entry.query, &mut to),
    }
    to
}

fn protocol(via: Via) -> u64 {
    match via {
        Via::Udp => 1,
        Via::Tcp => 2,
        Via::Tls => 3,
        Via::Https | Via::Https3 => 4,
        Via::Quic => 7,
    }
}

/// A field of a number of variable length.
fn number(field: u32, value: u64, to: &mut Vec<u8>) {
    varint(u64::from(field) << 3, to);
    varint(value, to);
}

/// A field of 32 bits.
fn fixed(field: u32, value: u32, to: &mut Vec<u8>) {
    varint(u64::from(field) << 3 | 5, to);
    to.extend_from_slice(&value.to_le_bytes());
}

/// A field of octets behind their length.
fn bytes(field: u32, value: &[u8], to: &mut Vec<u8>) {
    varint(u64::from(field) << 3 | 2, to);
    varint(value.len() as u64, to);
    to.extend_from_slice(value);
}

/// Seven bits an octet, the lowest first; all but the last octet have the upper bit.
fn varint(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
