//! The frames of AMQP 1.0 that a probe writes and reads, to open a connection and to close it (parts 2 and 5).
//!
//! Deliberately absent: sessions, links and messages.

mod value;

use self::value::{Value, list, read};
use super::super::octets::Octets;

/// What both sides send first where SASL comes before AMQP (5.3.1).
pub(super) const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";

/// What both sides send first, or after SASL (2.2).
pub(super) const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";

/// Most octets of a frame that is read; an `open` says so to the peer.
pub(super) const MAX_FRAME: usize = 64 * 1024;

/// Types of frames (2.3.1, 5.3.1).
const AMQP: u8 = 0;
const SASL: u8 = 1;

/// Descriptors of performatives, and of an error (2.7, 2.8.14, 5.3.3).
const OPEN: u8 = 0x10;
const CLOSE: u8 = 0x18;
const ERROR: u8 = 0x1d;
const MECHANISMS: u8 = 0x40;
const INIT: u8 = 0x41;
const CHALLENGE: u8 = 0x42;
const RESPONSE: u8 = 0x43;
const OUTCOME: u8 = 0x44;

/// An `open` (2.7.1) as this container, for this host.
pub(super) fn open(container: &str, host: &str) -> Vec<u8> {
    let (mut container, host) = (text(0xb1, container.as_bytes()), text(0xb1, host.as_bytes()));
    container.extend(host);
    container.push(0x70);
    container.extend((MAX_FRAME as u32).to_be_bytes());
    // No channel but the first one: channel-max 0.
    container.extend([0x60, 0, 0]);
    performative(AMQP, OPEN, 4, &container)
}

/// A `close` without an error (2.7.9).
pub(super) fn close() -> Vec<u8> {
    performative(AMQP, CLOSE, 0, &[])
}

/// A `sasl-init` (5.3.3.2).
pub(super) fn init(mechanism: &str, response: &[u8], host: &str) -> Vec<u8> {
    let fields = [text(0xb3, mechanism.as_bytes()), text(0xb0, response), text(0xb1, host.as_bytes())].concat();
    performative(SASL, INIT, 3, &fields)
}

/// An empty `sasl-response` (5.3.3.4).
pub(super) fn response() -> Vec<u8> {
    performative(SASL, RESPONSE, 1, &text(0xb0, &[]))
}

/// The initial response of PLAIN (RFC 4616 2).
pub(super) fn plain(username: &str, password: &[u8]) -> Vec<u8> {
    [b"\0".as_slice(), username.as_bytes(), b"\0", password].concat()
}

/// A value with its size in four octets: binary (0xb0), string (0xb1) or symbol (0xb3).
fn text(constructor: u8, octets: &[u8]) -> Vec<u8> {
    let mut value = vec![constructor];
    value.extend((octets.len() as u32).to_be_bytes());
    value.extend(octets);
    value
}

/// A frame of one performative, on channel 0 (2.3.1).
fn performative(kind: u8, descriptor: u8, count: u32, fields: &[u8]) -> Vec<u8> {
    let mut body = vec![0x00, 0x53, descriptor, 0xd0];
    body.extend((fields.len() as u32 + 4).to_be_bytes());
    body.extend(count.to_be_bytes());
    body.extend(fields);
    let mut frame = (body.len() as u32 + 8).to_be_bytes().to_vec();
    frame.extend([2, kind, 0, 0]);
    frame.extend(body);
    frame
}

/// A frame that a peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// The mechanisms that it offers.
    Mechanisms(Vec<&'a [u8]>),
    /// It wants to be told more.
    Challenge,
    /// What came of the authentication: 0, or why it failed.
    Outcome(u8),
    /// It opens the connection.
    Open,
    /// It closes the connection, for an error or as it should be.
    Close(Option<Refusal<'a>>),
    /// One of which a probe has no use: a heartbeat, or of another channel.
    Other,
}

impl Frame<'_> {
    /// What it is, for a sentence.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Mechanisms(_) => "the mechanisms of SASL",
            Self::Challenge => "a challenge of SASL",
            Self::Outcome(_) => "the outcome of SASL",
            Self::Open => "an open",
            Self::Close(_) => "a close",
            Self::Other => "another frame",
        }
    }
}

/// Why a peer closes a connection (2.8.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    /// The condition, such as `amqp:not-found`.
    pub(super) condition: &'a [u8],
    /// What there is to say about it, in the peer's words.
    pub(super) description: Option<&'a [u8]>,
}

/// Why octets are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Not even the header is.
    Header,
    /// The frame is larger than [`MAX_FRAME`]: so many octets.
    Large(u32),
    /// What it holds is not.
    Body,
}

/// How many octets the first frame of what has come takes; `None` while that cannot be told.
///
/// # Errors
/// Why it cannot become one that is read.
pub(super) fn length(came: &[u8]) -> Result<Option<usize>, Malformed> {
    match Octets(came).u32() {
        None => Ok(None),
        Some(size) if size < 8 => Err(Malformed::Header),
        Some(size) if size as usize > MAX_FRAME => Err(Malformed::Large(size)),
        Some(size) => Ok(Some(size as usize)),
    }
}

/// What a frame says, of which [`length`] has told how long it is.
///
/// # Errors
/// Why it says nothing.
pub(super) fn decode(frame: &[u8]) -> Result<Frame<'_>, Malformed> {
    let mut octets = Octets(frame);
    let header = (|| {
        let size = octets.u32().filter(|size| *size as usize == frame.len())?;
        // The extended header, of which nothing is known, and at least the header itself (2.3.1).
        let offset = octets.u8().map(|words| usize::from(words) * 4).filter(|offset| *offset >= 8)?;
        let kind = octets.u8().filter(|kind| matches!(*kind, AMQP | SASL))?;
        let channel = octets.u16()?;
        octets.take(offset - 8)?;
        Some((size, kind, channel))
    })();
    let Some((_, kind, channel)) = header else { return Err(Malformed::Header) };
    if octets.is_empty() || (kind == AMQP && channel != 0) {
        return Ok(Frame::Other);
    }
    body(kind, octets).ok_or(Malformed::Body)
}

fn body(kind: u8, mut octets: Octets<'_>) -> Option<Frame<'_>> {
    let Value::Described(descriptor, mut fields) = read(&mut octets)? else { return None };
    let fields = list(&mut fields)?;
    let frame = match (kind, descriptor) {
        (AMQP, OPEN) => match fields.first()? {
            Value::Text(_) => Frame::Open,
            _ => return None,
        },
        (AMQP, CLOSE) => match fields.into_iter().next() {
            None | Some(Value::Null) => Frame::Close(None),
            Some(Value::Described(ERROR, mut error)) => Frame::Close(Some(refusal(list(&mut error)?)?)),
            Some(_) => return None,
        },
        (SASL, MECHANISMS) => match fields.into_iter().next()? {
            Value::Text(only) => Frame::Mechanisms(vec![only]),
            Value::Texts(all) => Frame::Mechanisms(all),
            _ => return None,
        },
        (SASL, CHALLENGE) => Frame::Challenge,
        (SASL, OUTCOME) => match fields.first()? {
            Value::Octet(code) => Frame::Outcome(*code),
            _ => return None,
        },
        _ => Frame::Other,
    };
    Some(frame)
}

fn refusal(fields: Vec<Value<'_>>) -> Option<Refusal<'_>> {
    let mut fields = fields.into_iter();
    let Some(Value::Text(condition)) = fields.next() else { return None };
    let description = match fields.next() {
        Some(Value::Text(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    Some(Refusal { condition, description })
}

#[cfg(test)]
mod tests;
