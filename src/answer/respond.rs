//! A query in, a response out: octets to octets, from one snapshot.
//!
//! Pure and without allocation once the response's buffer has grown to its working size. No octets make it panic, the
//! limit on the size always holds, and equal snapshots, queries and clients give equal responses on every transport, but for TC.
//!
//! What a client may have of the server beside answers is in the [`Rules`]: the octets of a response, cookies, NSID.
//!
//! A hub may answer each client, or each query, with something else: by the client's address, by the subnet that a trusted
//! client asks for (RFC 7871), and by the lot that came with the query.
//!
//! Responses are minimal: the answer; SOA with a negative one; NS, glue and DS with a referral. Nothing else is ever
//! added, such as the apex's NS RRset or the addresses of MX targets. Deliberately absent: DNSSEC denial and signatures
//! with DO (their types are answered as data when asked for), zone transfer, update, notification, recursion.

use std::cell::OnceCell;
use std::num::NonZeroU32;

use super::client::Client;
use super::cookie::{Cookie, Jar};
use super::cursor::Cursor;
use super::edns::{Heed, Reply};
use super::extended::{Extended, Reason};
use super::identity::{self, CHAOS, Identity};
use super::query::{Query, Question};
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

/// What a response has to keep to, and what is said beside answers. As configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Largest response over UDP, octets; also what the OPT record says. At least 512.
    pub max_udp_bytes: u16,
    /// Whether over UDP only clients with a valid server cookie are answered. Others are told to learn one (BADCOOKIE, RFC
    /// 7873 5.2.3) or, where they have no cookie at all, to ask over TCP.
    pub cookies_required: bool,
    /// How much longer than their queries responses over UDP may be.
    pub amplification: Amplification,
    /// What NSID says (RFC 5001); empty for nothing.
    pub nsid: Box<[u8]>,
    /// Time after which an idle connection is closed, in tenths of a second, as TCP keepalive says it (RFC 7828); 0 for
    /// nothing.
    pub idle: u16,
    /// What the server says of itself.
    pub identity: Identity,
}

impl Rules {
    /// Nothing but the size.
    pub fn sized(max_udp_bytes: u16) -> Self {
        Self {
            max_udp_bytes,
            cookies_required: false,
            amplification: Amplification::NONE,
            nsid: Box::default(),
            idle: 0,
            identity: Identity::default(),
        }
    }
}

/// How many times as long as its query a response over UDP may be, octet for octet of the DNS messages, unless the query had
/// a valid cookie: who asks in the name of another gains no more by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amplification(u16);

impl Amplification {
    /// More than any response has.
    pub const NONE: Self = Self(u16::MAX);

    /// So many times, or as long as it may be anyway for 0. Header, question and OPT record with a cookie always fit from 2
    /// on; at 1 the octets of a new cookie come on top.
    pub fn times(times: u16) -> Self {
        if times == 0 { Self::NONE } else { Self(times) }
    }

    /// Octets that the response to a query of so many may have.
    #[inline(always)]
    pub(super) fn most(self, query: usize) -> usize {
        query * usize::from(self.0)
    }
}

/// Where cookies are judged by is asked for; where there is none, cookies are not looked at.
pub type Jars<'a> = Option<&'a (dyn Fn() -> Jar + Send + Sync)>;

/// What holds for all queries of a batch, beside the snapshot.
pub struct Terms<'a> {
    pub(super) rules: &'a Rules,
    jars: Jars<'a>,
    jar: OnceCell<Jar>,
}

impl<'a> Terms<'a> {
    /// The secrets of cookies and the time are asked for by the first query that needs them, and not again.
    #[inline]
    pub fn new(rules: &'a Rules, jars: Jars<'a>) -> Self {
        Self { rules, jars, jar: OnceCell::new() }
    }

    /// What a cookie is judged by.
    #[inline(always)]
    pub(super) fn jar(&self) -> Option<&Jar> {
        match self.jar.get() {
            Some(jar) => Some(jar),
            None => self.open(),
        }
    }

    #[inline(never)]
    fn open(&self) -> Option<&Jar> {
        let jars = self.jars?;
        Some(self.jar.get_or_init(jars))
    }

    pub(super) fn heed(&self, client: Client, transport: Transport) -> Heed {
        Heed::of(self.rules, self.jars.is_some(), client, transport)
    }
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
        /// What the query's cookie is worth.
        cookie: Cookie,
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
    terms: &Terms<'_>,
    response: &mut Vec<u8>,
) -> Outcome {
    // The quick way overwrites what it finds, and the general one clears what that has begun.
    match quick::respond(snapshot, query, client, transport, terms, response) {
        Some(outcome) => outcome,
        None => respond_in_full(snapshot, query, client, transport, terms, response),
    }
}

/// Tells a client that may not ask so (RFC 8914 4.19), into `response`, over what it held.
#[cold]
pub fn refuse(
    snapshot: &Snapshot,
    query: &[u8],
    client: Client,
    transport: Transport,
    terms: &Terms<'_>,
    response: &mut Vec<u8>,
) -> Outcome {
    reply(snapshot, query, client, transport, terms, Standing::Denied, response)
}

/// The general way, which answers every message into `response`, cleared first.
#[inline(never)]
pub(super) fn respond_in_full(
    snapshot: &Snapshot,
    query: &[u8],
    client: Client,
    transport: Transport,
    terms: &Terms<'_>,
    response: &mut Vec<u8>,
) -> Outcome {
    reply(snapshot, query, client, transport, terms, Standing::Admitted, response)
}

/// Whether a client may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Admitted,
    Denied,
}

#[inline(always)]
fn reply(
    snapshot: &Snapshot,
    query: &[u8],
    client: Client,
    transport: Transport,
    terms: &Terms<'_>,
    standing: Standing,
    response: &mut Vec<u8>,
) -> Outcome {
    response.clear();
    let mut name = Cursor::EMPTY;
    let rules = terms.rules;
    let amplified = rules.amplification.most(query.len());
    let Some(query) = Query::read(query, &mut name, terms.heed(client, transport)) else { return Outcome::Silence };
    let ours = rules.max_udp_bytes.max(512);
    let offer = query.opt.and_then(|opt| opt.options.cookie);
    let judged = offer.and_then(|offer| Some(terms.jar()?.judge(offer, client)));
    let cookie = match judged {
        Some((cookie, _)) => cookie,
        None if query.malformed_cookie => Cookie::Malformed,
        None => Cookie::Absent,
    };
    let cookie_words = judged.map(|(_, words)| words);
    // RFC 1035 4.2.1 without OPT, RFC 6891 6.2.3 and 6.2.5 with it.
    let taken = match transport {
        Transport::Tcp | Transport::Encrypted => MAX_MESSAGE,
        Transport::Udp => query.opt.map_or(512, |opt| usize::from(opt.max_udp_bytes.min(ours))),
    };
    let is_free = transport != Transport::Udp || cookie == Cookie::Valid || amplified >= taken;
    let limit = if is_free { taken } else { amplified };
    let mut reply = query.opt.map(|opt| Reply {
        opt,
        max_udp_bytes: ours,
        scope: Scope::default(),
        cookie: cookie_words,
        gives_way: !is_free,
        rules,
    });
    response.extend_from_slice(query.head());
    let required = rules.cookies_required && transport == Transport::Udp;
    let mut extended = None;
    let verdict = match verdict(&query, &name, cookie, required, rules) {
        Verdict::Search(_) | Verdict::Say(_) | Verdict::Truncate if standing == Standing::Denied => {
            Verdict::End(Rcode::REFUSED, Some(Reason::Prohibited))
        }
        verdict => verdict,
    };
    let header = match verdict {
        Verdict::Search(question) => {
            let dnssec_ok = query.opt.is_some_and(|opt| opt.dnssec_ok);
            let limit = limit.saturating_sub(reply.as_ref().map_or(0, Reply::octets));
            let subnet = query.opt.and_then(|opt| opt.options.subnet);
            let origin = subnet.map_or(client.origin(), |subnet| subnet.origin(client));
            let mut render = Render::new(response, limit, dnssec_ok, snapshot, client, &name);
            render.ends_at_alias = subnet.is_some();
            let ended = walk(snapshot, &mut name, question.rtype, origin, &mut render);
            render.finish(ended);
            if let Some(reply) = &mut reply {
                reply.scope = render.scope;
            }
            extended = match render.stale {
                Some(hub) => Some(Extended::saying(Reason::Stale, snapshot.said(hub).unwrap_or_default())),
                // Of all that is searched for, only what is in no zone is refused (RFC 8914 4.21).
                None => (render.rcode == Rcode::REFUSED).then_some(Extended::new(Reason::NotAuthoritative)),
            };
            Header {
                rcode: render.rcode,
                authoritative: render.authoritative,
                truncated: render.truncated,
                counts: render.counts,
                hub: render.hub,
            }
        }
        Verdict::Say(text)
            if response.len() + identity::octets(text) + reply.as_ref().map_or(0, Reply::octets) > limit =>
        {
            Header { truncated: true, ..Header::of(Rcode::NOERROR) }
        }
        Verdict::Say(text) => {
            identity::append(text, response);
            // Of no zone, and so without AA.
            Header { counts: [1, 0, 0], ..Header::of(Rcode::NOERROR) }
        }
        Verdict::Truncate => Header { truncated: true, ..Header::of(Rcode::NOERROR) },
        Verdict::End(rcode, reason) => {
            extended = reason.map(Extended::new);
            Header::of(rcode)
        }
    };
    // RFC 6891 6.1.1: a response has an OPT record exactly if the query has one.
    if let Some(reply) = &reply {
        reply.append(header.rcode, extended, limit, response);
    }
    header.write(&query, response);
    Outcome::Reply { rcode: header.rcode, truncated: header.truncated, hub: header.hub, cookie }
}

/// What is to be done with a query.
enum Verdict<'a> {
    /// The zones are asked.
    Search(&'a Question),
    /// What the server says of itself.
    Say(&'a [u8]),
    /// Nothing but TC, which sends the client to TCP.
    Truncate,
    /// A response without a record.
    End(Rcode, Option<Reason>),
}

fn verdict<'a>(
    query: &'a Query<'_>,
    name: &Cursor,
    cookie: Cookie,
    cookies_required: bool,
    rules: &'a Rules,
) -> Verdict<'a> {
    let end = |rcode| Verdict::End(rcode, None);
    // RFC 6891 6.1.3, whatever the opcode and the question are.
    if query.well_formed && query.opt.is_some_and(|opt| opt.version > 0) {
        return end(Rcode::BADVERS);
    }
    // RFC 8906 3.1.4: NOTIMP for an opcode that is not implemented, whatever stands behind the header.
    if query.opcode != Opcode::QUERY {
        return Verdict::End(Rcode::NOTIMP, Some(Reason::NotSupported));
    }
    // RFC 7873 5.4, which RFC 9619 4 leaves as it is.
    if query.is_for_a_cookie() {
        return end(if cookie == Cookie::Bad { Rcode::BADCOOKIE } else { Rcode::NOERROR });
    }
    let Some(question) = query.question.as_ref().filter(|_| query.well_formed) else { return end(Rcode::FORMERR) };
    match cookie {
        Cookie::Absent if cookies_required => return Verdict::Truncate,
        Cookie::Client | Cookie::Bad if cookies_required => return end(Rcode::BADCOOKIE),
        _ => {}
    }
    // RFC 5936 5: a transfer that is not allowed is refused. Other types that only queries or messages have (RFC 6895
    // 3.1) are types that no zone holds, like unknown ones (RFC 8906 3.1.2).
    if matches!(question.rtype, Rtype::AXFR | Rtype::IXFR) {
        return Verdict::End(Rcode::REFUSED, Some(Reason::Prohibited));
    }
    match question.class {
        Class::IN => Verdict::Search(question),
        Class(CHAOS) => match rules.identity.at(name.suffix(0), question.rtype) {
            Some(text) => Verdict::Say(text),
            None => Verdict::End(Rcode::REFUSED, Some(Reason::NotAuthoritative)),
        },
        // Only class IN is served. For class ANY no answer could be authoritative (RFC 1035 6.2), and a REFUSED tells the
        // client more than an answer without AA.
        _ => Verdict::End(Rcode::REFUSED, Some(Reason::NotAuthoritative)),
    }
}

struct Header {
    rcode: Rcode,
    authoritative: bool,
    truncated: bool,
    counts: [u16; 3],
    hub: Option<HubAnswer>,
}

impl Header {
    /// Of a response without a record.
    fn of(rcode: Rcode) -> Self {
        Self { rcode, authoritative: false, truncated: false, counts: [0; 3], hub: None }
    }

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
