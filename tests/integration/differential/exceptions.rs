//! Where this server answers differently on purpose: each difference with its reason, and each must occur.
//!
//! An exception never waves an answer through. It changes what was received by exactly what the difference is about, and
//! what comes out still has to be equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use concierge::dns::{Name, Rcode, Rtype};

use super::Us;
use super::client::Client;
use super::message::{Form, Message, Question, Record, Transport};
use super::peers::{Kind, Peer};

/// Names in one of this server's chains at most.
const CHAIN: usize = 16;

/// Two answers to one question that are not equal.
pub(super) struct Case<'a> {
    pub(super) question: &'a Question,
    pub(super) form: Form,
    us: &'a Us,
    /// Asks this server.
    client: &'a mut Client,
    pub(super) peer: &'a mut Peer,
    pub(super) ours: Message,
    pub(super) theirs: Message,
    /// Whether `theirs` was put together from several answers.
    followed: bool,
}

struct Exception {
    reason: &'static str,
    peers: &'static [Kind],
    /// Takes the difference out of the case; whether there was one.
    settle: fn(&mut Case<'_>) -> bool,
}

/// In this order, for each may uncover the next.
const ALL: &[Exception] = &[
    Exception {
        reason: "a record that a looping chain meets twice stands in the answer twice; an RRset has no duplicates \
                 (RFC 2181 5)",
        peers: &[Kind::Knot, Kind::Nsd],
        settle: duplicates,
    },
    Exception {
        reason: "a DNAME that makes too long a name is answered with NXDOMAIN; RFC 6672 2.2 asks for YXDOMAIN",
        peers: &[Kind::Knot],
        settle: too_long_a_name,
    },
    Exception {
        reason: "a chain ends at the border of the zone (Knot) or earlier; this server follows it through all zones that \
                 it serves, up to 16 names (RFC 1034 4.3.2 step 3 a, whose step 1 chooses a zone again)",
        peers: &[Kind::Knot, Kind::Nsd],
        settle: follow_chain,
    },
    Exception {
        reason: "aliases are not followed for RRSIG and NSEC, which may stand beside a CNAME (RFC 4035 2.5); this server \
                 follows them when they do not (RFC 1034 4.3.2)",
        peers: &[Kind::Knot],
        settle: signature_types_of_aliases,
    },
    Exception {
        reason: "addresses of the targets of NS, MX and SRV records in an answer: this server's responses are minimal, \
                 and glue is for referrals (RFC 9471 2)",
        peers: &[Kind::Knot, Kind::Nsd],
        settle: additional_of_answers,
    },
    Exception {
        reason: "a negative answer whose SOA does not fit goes without it (Knot) or says TC (NSD), where names take fewer \
                 octets here and it fits (RFC 1035 4.1.4, RFC 2308 3)",
        peers: &[Kind::Knot, Kind::Nsd],
        settle: negative_that_fits_here,
    },
    Exception {
        reason: "glue of in-domain name servers is left out of a referral without TC, as before RFC 9471 3.1",
        peers: &[Kind::Nsd],
        settle: glue_without_tc,
    },
    Exception {
        reason: "what a truncated response holds is for no one to use (RFC 2181 9)",
        peers: &[Kind::Knot, Kind::Nsd],
        settle: truncated_sections,
    },
];

impl<'a> Case<'a> {
    pub(super) fn new(
        question: &'a Question,
        form: Form,
        us: &'a Us,
        client: &'a mut Client,
        peer: &'a mut Peer,
    ) -> Self {
        let query = question.query(form);
        let ours = Message::read(&client.ask(&query, form.transport()));
        let theirs = Message::read(&peer.client.ask(&query, form.transport()));
        Self { question, form, us, client, peer, ours, theirs, followed: false }
    }

    pub(super) fn is_equal(&self) -> bool {
        self.ours == self.theirs
    }

    /// Whether some name of the chain is in another zone than the one before, or the chain could go on.
    fn next_of_chain(&self) -> Option<Name> {
        let last = self.theirs.chain.last().filter(|record| record.rtype == Rtype::CNAME)?;
        let next = Name::from_wire(&last.rdata).unwrap();
        let owner = Name::from_wire(&last.owner).unwrap();
        let visited = |record: &Record| record.rtype == Rtype::CNAME && record.owner == last.rdata;
        // RFC 4035 3.1.4.1: DS of an apex is the parent's.
        let above = next.parent().and_then(|parent| self.us.zone_of(&parent));
        let zone = self.us.zone_of(&next)?;
        let zone = above.filter(|_| self.question.rtype == Rtype::DS && *zone == next).unwrap_or(zone);
        let crosses = self.us.zone_of(&owner) != Some(zone);
        let cut_short = self.theirs.rcode == Rcode::NOERROR
            && self.theirs.authority.is_empty()
            && !self.theirs.answer.iter().any(|record| record.owner == last.rdata);
        let asked_for = self.question.rtype == Rtype::CNAME;
        let names = self.theirs.chain.iter().filter(|record| record.rtype == Rtype::CNAME).count();
        let goes_on = (crosses || cut_short) && !asked_for && names < CHAIN;
        Some(next).filter(|_| goes_on && !self.theirs.chain.iter().any(visited))
    }
}

fn signature_types_of_aliases(case: &mut Case<'_>) -> bool {
    let Some(further) = case.ours.chain.strip_prefix(&*case.theirs.chain) else { return false };
    let at_alias = further.first().is_some_and(|next| next.rtype == Rtype::CNAME);
    let no_data = case.theirs.rcode == Rcode::NOERROR
        && case.theirs.answer.len() == case.theirs.chain.len()
        && case.theirs.authority.iter().any(|record| record.rtype == Rtype::SOA);
    let used = matches!(case.question.rtype, Rtype::RRSIG | Rtype::NSEC) && at_alias && no_data;
    if used {
        // The other peer does follow: it judges.
        case.theirs = case.ours.clone();
    }
    used
}

fn duplicates(case: &mut Case<'_>) -> bool {
    let before = case.theirs.answer.len();
    case.theirs.answer.dedup();
    let mut seen = BTreeSet::new();
    case.theirs.chain.retain(|record| seen.insert(record.clone()));
    let used = case.theirs.answer.len() < before;
    if used {
        // What fits without them does not with them.
        case.theirs.truncated &= case.ours.truncated;
    }
    used
}

fn too_long_a_name(case: &mut Case<'_>) -> bool {
    let used = case.ours.rcode == Rcode::YXDOMAIN
        && case.theirs.rcode == Rcode::NXDOMAIN
        && case.theirs.chain.last().is_some_and(|last| last.rtype == Rtype::DNAME);
    if used {
        case.theirs.rcode = Rcode::YXDOMAIN;
        case.theirs.authority.clear();
    }
    used
}

fn follow_chain(case: &mut Case<'_>) -> bool {
    let mut asked = BTreeSet::new();
    while let Some(next) = case.next_of_chain().filter(|next| asked.insert(next.clone())) {
        let question = Question { name: next.wire().to_vec(), rtype: case.question.rtype };
        let rest = Message::read(&case.peer.client.ask(&question.query(Form::Tcp), Transport::Tcp));
        append(&mut case.theirs, rest);
    }
    case.followed = !asked.is_empty();
    case.followed
}

/// Puts an answer to the last name of a chain behind the chain: its rcode and its sections count.
fn append(chain: &mut Message, rest: Message) {
    chain.rcode = rest.rcode;
    for record in rest.answer {
        if !chain.answer.contains(&record) {
            chain.answer.push(record);
        }
    }
    chain.answer.sort();
    for record in rest.chain {
        let names = chain.chain.iter().filter(|record| record.rtype == Rtype::CNAME).count();
        if names == CHAIN {
            chain.answer.retain(|other| *other != record);
        } else if !chain.chain.contains(&record) {
            chain.chain.push(record);
        }
    }
    chain.authority = rest.authority;
    chain.additional = rest.additional;
}

fn additional_of_answers(case: &mut Case<'_>) -> bool {
    let is_answer = case.theirs.authority.is_empty() && !case.theirs.truncated;
    let asked = matches!(case.question.rtype, Rtype::NS | Rtype::MX | Rtype::SRV)
        && case.theirs.answer.iter().any(|record| record.rtype == case.question.rtype);
    let addresses = |record: &Record| matches!(record.rtype, Rtype::A | Rtype::AAAA);
    let used = is_answer && asked && case.ours.additional.is_empty() && !case.theirs.additional.is_empty();
    if used {
        case.theirs.additional.retain(|record| !addresses(record));
    }
    used
}

fn negative_that_fits_here(case: &mut Case<'_>) -> bool {
    let [soa] = &*case.ours.authority else { return false };
    if soa.rtype != Rtype::SOA || case.ours.truncated || !case.theirs.authority.is_empty() {
        return false;
    }
    let whole = Message::read(&case.peer.client.ask(&case.question.query(Form::Tcp), Transport::Tcp));
    let used = whole.answer == case.theirs.answer && whole.rcode == case.theirs.rcode && !whole.authority.is_empty();
    if used {
        case.theirs.truncated = false;
        case.theirs.authority = whole.authority;
    }
    used
}

fn glue_without_tc(case: &mut Case<'_>) -> bool {
    let referral = |message: &Message| message.authority.iter().any(|record| record.rtype == Rtype::NS);
    if !(case.ours.truncated && !case.theirs.truncated && referral(&case.ours) && referral(&case.theirs)) {
        return false;
    }
    let whole = Message::read(&case.peer.client.ask(&case.question.query(Form::Tcp), Transport::Tcp));
    let missing = case.theirs.additional.len() < whole.additional.len();
    case.theirs.truncated = missing;
    missing
}

fn truncated_sections(case: &mut Case<'_>) -> bool {
    if !case.ours.truncated {
        return false;
    }
    if case.followed && !case.theirs.truncated {
        // Each part of theirs fitted. The whole must not, and must be what is said over TCP.
        let whole = case.client.ask(&case.question.query(case.form), Transport::Tcp);
        case.theirs.truncated = whole.len() > case.form.limit() && {
            let whole = Message::read(&whole);
            (whole.rcode, &whole.answer, &whole.authority, &whole.additional)
                == (case.theirs.rcode, &case.theirs.answer, &case.theirs.authority, &case.theirs.additional)
        };
    }
    if !case.theirs.truncated {
        return false;
    }
    // A chain that was cut has not come to its last name, whose rcode it would be.
    if case.followed {
        case.theirs.rcode = case.ours.rcode;
    }
    for message in [&mut case.ours, &mut case.theirs] {
        for section in [&mut message.answer, &mut message.chain, &mut message.authority, &mut message.additional] {
            section.clear();
        }
    }
    true
}

/// How often each exception was used.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    used: BTreeMap<&'static str, usize>,
}

impl Exceptions {
    /// Takes out of the case what differs by design.
    pub(super) fn settle(&mut self, case: &mut Case<'_>) {
        let kind = case.peer.kind;
        for exception in ALL.iter().filter(|exception| exception.peers.contains(&kind)) {
            if case.is_equal() {
                return;
            }
            if (exception.settle)(case) {
                *self.used.entry(exception.reason).or_default() += 1;
            }
        }
    }

    pub(super) fn merged(mut self, other: Self) -> Self {
        for (title, count) in other.used {
            *self.used.entry(title).or_default() += count;
        }
        self
    }

    /// An exception that nothing needs is wrong.
    pub(super) fn must_all_be_used(&self) {
        let unused: Vec<&str> =
            ALL.iter().map(|exception| exception.reason).filter(|reason| !self.used.contains_key(reason)).collect();
        assert!(unused.is_empty(), "no answer differs in this way: {unused:#?}");
    }
}

impl fmt::Display for Exceptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.used.iter().try_for_each(|(reason, count)| write!(f, "\n{count:7} answers: {reason}"))
    }
}
