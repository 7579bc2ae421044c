//! A query in, a response out: octets to octets, from one snapshot.
//!
//! Pure and without allocation once the response's buffer has grown to its working size. No octets make it panic, the
//! limit on the size always holds, and equal snapshots, queries and clients give equal responses on every transport, but for TC.
//!
//! A hub may answer each client, or each query, with something else: by the client's address, by the subnet that a trusted
//! client asks for (RFC 7871), and by the lot that came with the query.
//!
//! Responses are minimal: the answer; SOA with a negative one; NS, glue and DS with a referral. Nothing else is ever
//! added, such as the apex's NS RRset or the addresses of MX targets. Deliberately absent: DNSSEC denial and signatures
//! with DO (their types are answered as data when asked for), zone transfer, update, notification, recursion.

use std::num::NonZeroU32;

use super::client::Client;
use super::cursor::Cursor;
use super::edns;
use super::query::Query;
use super::quick;
use super::render::Render;
use super::select::Scope;
use super::snapshot::Snapshot;
use super::walk::walk;
use crate::dns::{Class, HEADER, MAX_MESSAGE, Opcode, Rcode, Rtype};

/// What carries the message, as far as it bounds a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: what the client says that it takes, and what we are willing to send.
    Udp,
    /// A stream: 65,535 octets.
    Tcp,
    /// A stream that nobody on the way can read, such as TLS or QUIC: 65,535 octets.
    Encrypted,
}

/// What bounds a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseLimits {
    /// Largest response over UDP, octets; also what the OPT record says. At least 512.
    pub max_udp_bytes: u16,
}

/// What came of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response is to be sent.
    Reply {
        /// Its response code.
        rcode: Rcode,
        /// Whether it says TC.
        truncated: bool,
        /// The hub of which the answer holds an RRset.
        hub: Option<HubAnswer>,
    },
    /// Nothing is to be sent.
    Silence,
}

/// A hub that a client has been told of.
///
/// One more than its position, so that an [`Outcome`] is a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubAnswer(NonZeroU32);

const _: () = assert!(size_of::<Outcome>() == 8);

impl HubAnswer {
    /// Of the hub at a position.
    #[inline]
    pub fn of(position: u32) -> Option<Self> {
        NonZeroU32::new(position.wrapping_add(1)).map(Self)
    }

    /// Where the hub's choice stands in [`Snapshot::choices`].
    #[inline]
    pub fn position(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Answers one query of `client` into `response`, over what it held.
pub fn respond(
    snapshot: &Snapshot,
    query: &[u8],
    client: Client,
    transport: Transport,
    limits: &ResponseLimits,
    response: &mut Vec<u8>,
) -> Outcome {
    // The quick way overwrites what it finds, and the general one clears what that has begun.
    match quick::respond(snapshot, query, client, transport, limits, response) {
        Some(outcome) => outcome,
        None => respond_in_full(snapshot, query, client, transport, limits, response),
    }
}

/// The general way, which answers every message into `response`, cleared first.
#[inline(never)]
pub(super) fn respond_in_full(
    snapshot: &Snapshot,
    query: &[u8],
    client: Client,
    transport: Transport,
    limits: &ResponseLimits,
    response: &mut Vec<u8>,
) -> Outcome {
    response.clear();
    let mut name = Cursor::EMPTY;
    let Some(query) = Query::read(query, &mut name, client.is_trusted()) else { return Outcome::Silence };
    let ours = limits.max_udp_bytes.max(512);
    // RFC 1035 4.2.1 without OPT, RFC 6891 6.2.3 and 6.2.5 with it.
    let limit = match transport {
        Transport::Tcp | Transport::Encrypted => MAX_MESSAGE,
        Transport::Udp => query.opt.map_or(512, |opt| usize::from(opt.max_udp_bytes.min(ours))),
    };
    response.extend_from_slice(query.head());
    let mut scope = Scope::default();
    let header = match (verdict(&query), &query.question) {
        (Ok(()), Some(question)) => {
            let dnssec_ok = query.opt.is_some_and(|opt| opt.dnssec_ok);
            let limit = limit - query.opt.map_or(0, |opt| opt.reserved());
            let subnet = query.opt.and_then(|opt| opt.subnet);
            let origin = subnet.map_or(client.origin(), |subnet| subnet.origin(client));
            let mut render = Render::new(response, limit, dnssec_ok, snapshot, client, &name);
            render.ends_at_alias = subnet.is_some();
            let ended = walk(snapshot, &mut name, question.rtype, origin, &mut render);
            render.finish(ended);
            scope = render.scope;
            Header {
                rcode: render.rcode,
                authoritative: render.authoritative,
                truncated: render.truncated,
                counts: render.counts,
                hub: render.hub,
            }
        }
        (verdict, _) => {
            let rcode = verdict.err().unwrap_or(Rcode::FORMERR);
            Header { rcode, authoritative: false, truncated: false, counts: [0; 3], hub: None }
        }
    };
    // RFC 6891 6.1.1: a response has an OPT record exactly if the query has one.
    if let Some(opt) = query.opt {
        edns::append(opt, header.rcode, ours, scope, response);
    }
    header.write(&query, response);
    Outcome::Reply { rcode: header.rcode, truncated: header.truncated, hub: header.hub }
}

/// Whether the zones are asked at all, or which error it is.
fn verdict(query: &Query<'_>) -> Result<(), Rcode> {
    // RFC 6891 6.1.3, whatever the opcode and the question are.
    if query.well_formed && query.opt.is_some_and(|opt| opt.version > 0) {
        return Err(Rcode::BADVERS);
    }
    // RFC 8906 3.1.4: NOTIMP for an opcode that is not implemented, whatever stands behind the header.
    if query.opcode != Opcode::QUERY {
        return Err(Rcode::NOTIMP);
    }
    let Some(question) = query.question.as_ref().filter(|_| query.well_formed) else { return Err(Rcode::FORMERR) };
    // RFC 5936 5: a transfer that is not allowed is refused. Other types that only queries or messages have (RFC 6895
    // 3.1) are types that no zone holds, like unknown ones (RFC 8906 3.1.2).
    if matches!(question.rtype, Rtype::AXFR | Rtype::IXFR) {
        return Err(Rcode::REFUSED);
    }
    // Only class IN is served. For class ANY no answer could be authoritative (RFC 1035 6.2), and a
    // REFUSED tells the client more than an answer without AA.
    if question.class != Class::IN {
        return Err(Rcode::REFUSED);
    }
    Ok(())
}

struct Header {
    rcode: Rcode,
    authoritative: bool,
    truncated: bool,
    counts: [u16; 3],
    hub: Option<HubAnswer>,
}

impl Header {
    #[inline(always)]
    fn write(&self, query: &Query<'_>, message: &mut [u8]) {
        let Some(header) = message.first_chunk_mut::<HEADER>() else { return };
        let bit = |set: bool, mask: u8| if set { mask } else { 0 };
        let flags = 0x80
            | query.opcode.0 << 3
            | bit(self.authoritative, 0x04)
            | bit(self.truncated, 0x02)
            | bit(query.recursion_desired, 0x01);
        let [answers, authorities, additionals] = self.counts;
        let [[a0, a1], [b0, b1], [c0, c1]] =
            [answers, authorities, additionals + u16::from(query.opt.is_some())].map(u16::to_be_bytes);
        let questions = u8::from(query.question.is_some());
        // RA, Z and AD are clear, and so is CD (RFC 4035 3.1.6).
        let rcode = (self.rcode.0 & 0x0f) as u8;
        *header = [query.id[0], query.id[1], flags, rcode, 0, questions, a0, a1, b0, b1, c0, c1];
    }
}
