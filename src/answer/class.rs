//! Which responses are counted together where responses are limited: those that an attacker can ask for in many ways.
//!
//! Names that exist are classes by themselves. Those that a wildcard, a DNAME or nothing at all answers are one class for
//! the name that they hang on, so that random names are no way around a limit.
//!
//! Pure. Made anew from a response, and only where responses are limited: answering has nothing to do for it.

use std::hash::{Hash, Hasher};

use super::cursor::Cursor;
use super::snapshot::Snapshot;
use super::walk::Located;
use crate::dns::{Class as DnsClass, HEADER, Rcode, Rtype};

/// A response to be counted.
#[derive(Clone, Copy)]
pub struct Class<'a> {
    /// What the query was answered from.
    pub snapshot: &'a Snapshot,
    /// The response's code, all twelve bits.
    pub rcode: Rcode,
    /// The response's octets.
    pub response: &'a [u8],
}

/// What kind of response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// An error, whatever was asked, or what belongs to no zone.
    Error,
    /// A name with the type.
    Positive,
    /// A name without the type, whatever type.
    NoData,
    /// By a wildcard of this closest encloser, or below this DNAME.
    Synthesised,
    /// No name of this zone.
    NxDomain,
    /// To a zone below this cut.
    Referral,
}

/// Feeds what tells this class from others.
impl Hash for Class<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut name = Cursor::EMPTY;
        let (kind, rtype, octets) = self.of(&mut name).unwrap_or((Kind::Error, Rtype(0), 0));
        (kind, rtype.0).hash(state);
        let whole = if kind == Kind::Error { &[] } else { name.suffix(0) };
        state.write(&whole[whole.len() - octets.min(whole.len())..]);
    }
}

impl Class<'_> {
    /// The kind, the type where it matters, and how many octets of the name's end do.
    fn of(&self, name: &mut Cursor) -> Option<(Kind, Rtype, usize)> {
        if !matches!(self.rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN) {
            return None;
        }
        let header: &[u8; HEADER] = self.response.first_chunk()?;
        if header[5] == 0 || !name.set(&self.response[HEADER..]) {
            return None;
        }
        let fields: &[u8; 4] = self.response.get(HEADER + name.len()..)?.first_chunk()?;
        let [rtype, class] = [0, 2].map(|at| u16::from_be_bytes([fields[at], fields[at + 1]]));
        let rtype = Rtype(rtype);
        if DnsClass(class) != DnsClass::IN {
            return None;
        }
        let (zone, located) = self.snapshot.served.locate(name, rtype)?;
        let truncated = header[2] & 0x02 != 0;
        Some(match located {
            Located::Exact(_) if header[6..8] != [0, 0] || truncated => (Kind::Positive, rtype, name.len()),
            Located::Exact(_) => (Kind::NoData, Rtype(0), name.len()),
            // Without its asterisk.
            Located::Wildcard(node) => (Kind::Synthesised, Rtype(0), node.name_len() - 2),
            Located::Dname(node) => (Kind::Synthesised, Rtype(0), node.name_len()),
            Located::Cut(node) => (Kind::Referral, Rtype(0), node.name_len()),
            Located::Missing(_) => (Kind::NxDomain, Rtype(0), zone.tree.apex_key().len()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::super::respond::{Outcome, Transport, respond};
    use super::super::testing::{Ask, CLIENT, hub, snapshot, terms, zone};
    use super::*;

    fn class_of(served: &Snapshot, ask: &Ask) -> u64 {
        let mut response = Vec::new();
        let Outcome::Reply { rcode, .. } =
            respond(served, &ask.octets(), *CLIENT, Transport::Udp, &terms(), &mut response)
        else {
            panic!("{ask:?} is not answered")
        };
        BuildHasherDefault::<DefaultHasher>::default().hash_one(Class { snapshot: served, rcode, response: &response })
    }

    #[test]
    fn names_that_can_be_made_up_are_one_class_and_names_that_exist_are_not() {
        let lines = "a A 192.0.2.1\na TXT one\nb A 192.0.2.1\n*.w A 192.0.2.2\n*.v A 192.0.2.2\nd DNAME a\ne NS ns.e\n\
                     ns.e A 192.0.2.3\nf NS ns.e\n";
        let many: String = (0..60).map(|n| format!("many A 192.0.2.{n}\n")).collect();
        let zones = [zone("s.", &format!("{lines}{many}")), zone("t.", lines)];
        let served = snapshot(&zones, vec![hub("h.s.", "weu 192.0.2.9")]);
        let class = |question: &str| class_of(&served, &Ask::new(question));
        let same = |one: &str, other: &str| assert_eq!(class(one), class(other), "{one} and {other}");
        same("a.s. A", "A.S. A");
        same("x.s. A", "y.z.s. TXT");
        same("x.a.s. A", "y.s. A");
        same("x.w.s. A", "y.z.w.s. A");
        same("x.w.s. A", "y.w.s. AAAA");
        same("x.d.s. A", "y.d.s. A");
        same("x.e.s. A", "ns.e.s. AAAA");
        same("a.s. MX", "a.s. AAAA");
        same("x.org. A", "y.net. TXT");
        same("x.org. A", "s. AXFR");
        same("x.h.s. A", "y.s. A");
        let groups = [
            "a.s. A",
            "a.s. TXT",
            "b.s. A",
            "a.s. MX",
            "b.s. MX",
            "x.s. A",
            "x.t. A",
            "x.w.s. A",
            "x.v.s. A",
            "x.d.s. A",
            "x.e.s. A",
            "x.f.s. A",
            "x.org. A",
            "h.s. A",
            "h.s. MX",
            "many.s. A",
            "many.s. MX",
        ];
        let classes: std::collections::BTreeSet<u64> = groups.iter().map(|question| class(question)).collect();
        assert_eq!(classes.len(), groups.len());
    }

    #[test]
    fn messages_without_a_question_that_was_searched_for_are_errors() {
        let served = snapshot(&[zone("s.", "a A 192.0.2.1")], vec![]);
        let error = class_of(&served, &Ask::new("x.org. A"));
        let mut notify = Ask::new("a.s. A");
        notify.flags[0] = 4 << 3;
        let mut chaos = Ask::new("a.s. A");
        *chaos.question.last_mut().unwrap() = 3;
        let mut malformed = Ask::new("a.s. A");
        malformed.question.truncate(3);
        for ask in [notify, chaos, malformed, Ask::new("a.s. A").opt(1232, 1, false, &[])] {
            assert_eq!(class_of(&served, &ask), error, "{ask:?}");
        }
    }
}
