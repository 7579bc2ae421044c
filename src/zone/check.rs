//! What the records of a zone must and should be to each other.
//!
//! One pass in canonical order, in which what lies below a name follows it directly, and a look-up for each target of NS,
//! MX and SRV.

use std::collections::BTreeSet;

use super::report::{Mark, Problem, Report};
use super::tree::{Node, Record, Tree, canonical_key, parent_key};
use crate::dns::{HEADER, MAX_MESSAGE, Name, Rtype};

/// Checks a zone beside the policy's hubs. `complete` says that no line was lost: only then is missed what is not there.
pub(super) fn check(tree: &Tree, apex: &Name, hubs: &BTreeSet<Name>, complete: bool, report: &mut Report) {
    let mut check = Check {
        tree,
        apex,
        hubs,
        apex_key: canonical_key(apex),
        complete,
        report,
        servers: name_servers(tree),
        cut: None,
        dname: None,
    };
    check.check_apex();
    for node in &tree.nodes {
        check.check_node(node);
    }
}

/// The keys of all names that NS records point at: their addresses may be glue.
fn name_servers(tree: &Tree) -> BTreeSet<Box<[u8]>> {
    let records = tree.nodes.iter().flat_map(|node| tree.records(node));
    records.filter(|record| record.rtype == Rtype::NS).filter_map(target).map(|name| canonical_key(&name)).collect()
}

/// The name that an NS, MX or SRV record points at.
fn target(record: &Record) -> Option<Name> {
    let skipped = match record.rtype {
        Rtype::NS => 0,
        Rtype::MX => 2,
        Rtype::SRV => 6,
        _ => return None,
    };
    Name::from_wire(record.rdata.get(skipped..)?).ok()
}

struct Check<'a> {
    tree: &'a Tree,
    apex: &'a Name,
    /// Names whose records the policy has.
    hubs: &'a BTreeSet<Name>,
    apex_key: Box<[u8]>,
    complete: bool,
    report: &'a mut Report,
    servers: BTreeSet<Box<[u8]>>,
    /// The uppermost cut at or above the node, with its NS record.
    cut: Option<(&'a Node, &'a Record)>,
    /// The uppermost DNAME above the node.
    dname: Option<(&'a Node, &'a Record)>,
}

/// Where a name leads in this zone.
enum Found<'a> {
    /// To these records, of the name itself or of the wildcard that covers it.
    Node(&'a Node),
    /// To no data, be it that the name is an empty non-terminal.
    Nothing,
    /// Below this DNAME.
    Renamed(&'a Node),
}

impl<'a> Check<'a> {
    fn check_apex(&mut self) {
        let node = self.tree.node(&self.apex_key);
        let soa = node.and_then(|node| self.tree.first(node, Rtype::SOA));
        if !self.complete {
            return;
        }
        let start = Mark { file: 0, start: 0, end: 0 };
        if soa.is_none() {
            let problem = Problem::error(start, format!("no SOA record at the apex `{}`", self.apex));
            self.report
                .push(problem.hint(format!("write `{} SOA` with its seven values as the first record", self.apex)));
        }
        if node.and_then(|node| self.tree.first(node, Rtype::NS)).is_none() {
            let mark = soa.map_or(start, |soa| soa.head);
            self.report.push(Problem::error(mark, format!("no NS record at the apex `{}`", self.apex)));
        }
    }

    fn check_node(&mut self, node: &'a Node) {
        self.cut = self.cut.filter(|(cut, _)| node.key.starts_with(&cut.key));
        self.dname = self.dname.filter(|(dname, _)| node.key.starts_with(&dname.key));
        for rrset in self.tree.rrsets(node) {
            self.check_single(node, rrset);
            self.check_ttls(node, rrset);
            self.check_length(node, rrset);
        }
        self.check_cname(node);
        if self.check_below_dname(node) || self.check_below_cut(node) {
            return;
        }
        if let Some(ns) = self.tree.first(node, Rtype::NS).filter(|_| node.key != self.apex_key) {
            if node.name.is_wildcard() {
                // RFC 4592 4.2 leaves its meaning open.
                let message = format!("NS record at the wildcard `{}`, which nobody can follow", node.name);
                let problem = Problem::error(ns.head, message);
                self.report.push(problem.hint("delegate each name by itself"));
            }
            self.cut = Some((node, ns));
            self.check_beside_cut(node, ns);
        }
        if let Some(dname) = self.tree.first(node, Rtype::DNAME) {
            self.dname = Some((node, dname));
        }
        for record in self.tree.records(node) {
            self.check_target(node, record);
        }
    }

    /// SOA, CNAME (RFC 2181 10.1) and DNAME (RFC 6672 2.4) stand alone in their RRset.
    fn check_single(&mut self, node: &Node, rrset: &[Record]) {
        let first = &rrset[0];
        if first.rtype == Rtype::SOA && node.key != self.apex_key {
            let message = format!("SOA record at `{}`, expected at the apex `{}` only", node.name, self.apex);
            self.report.push(Problem::error(first.head, message));
        }
        if matches!(first.rtype, Rtype::SOA | Rtype::CNAME | Rtype::DNAME) {
            for other in &rrset[1..] {
                let message = format!("second {} record at `{}`, expected one", first.rtype, node.name);
                self.report.push(Problem::error(other.body, message).related(first.body, "the first one"));
            }
        }
    }

    /// RFC 2181 5.2. Signatures of different RRsets have TTLs of their own.
    fn check_ttls(&mut self, node: &Node, rrset: &[Record]) {
        let first = &rrset[0];
        let Some(other) = rrset.iter().find(|record| record.ttl != first.ttl) else { return };
        if first.rtype != Rtype::RRSIG {
            let lowest = rrset.iter().map(|record| record.ttl).min().unwrap_or_default();
            let message = format!(
                "TTL {} of {} `{}` differs from {} before; {lowest}, the lowest, is taken for all",
                other.ttl, other.rtype, node.name, first.ttl
            );
            self.report.push(Problem::warning(other.head, message).related(first.head, "the first record"));
        }
    }

    /// An RRset is answered whole or not at all (RFC 2181 9), and no message is longer than TCP can say (RFC 1035 4.2.2).
    fn check_length(&mut self, node: &Node, rrset: &[Record]) {
        let question = node.name.wire().len() + 4;
        // Beside its RDATA a record has a pointer to its owner, type, class, TTL and RDLENGTH.
        let records: usize = rrset.iter().map(|record| 12 + record.rdata.len()).sum();
        let octets = HEADER + question + records;
        if octets > MAX_MESSAGE {
            let message = format!(
                "{} {} records at `{}` need a response of {octets} octets, above {MAX_MESSAGE}, the most there can be",
                rrset.len(),
                rrset[0].rtype,
                node.name
            );
            let hint = "write fewer or shorter records: these are answered to nobody";
            self.report.push(Problem::warning(rrset[0].head, message).hint(hint));
        }
    }

    /// RFC 1034 3.6.2; what DNSSEC puts beside a CNAME is in RFC 4035 2.5.
    fn check_cname(&mut self, node: &Node) {
        let Some(cname) = self.tree.first(node, Rtype::CNAME) else { return };
        let beside =
            |rtype| matches!(rtype, Rtype::CNAME | Rtype::RRSIG | Rtype::NSEC | Rtype::KEY | Rtype::SIG | Rtype::NXT);
        if let Some(other) = self.tree.records(node).iter().find(|record| !beside(record.rtype)) {
            let message =
                format!("{} record beside a CNAME at `{}`, which allows no other data", other.rtype, node.name);
            self.report.push(Problem::error(other.head, message).related(cname.head, "the CNAME"));
        }
    }

    /// RFC 6672 2.4. The hashed names of NSEC3 are below an apex with a DNAME and are never looked up as names.
    fn check_below_dname(&mut self, node: &Node) -> bool {
        let Some((above, dname)) = self.dname else { return false };
        let offending = |record: &&Record| !matches!(record.rtype, Rtype::NSEC3 | Rtype::RRSIG);
        if let Some(record) = self.tree.records(node).iter().find(offending) {
            let message = format!("{} record at `{}`, below the DNAME at `{}`", record.rtype, node.name, above.name);
            self.report.push(Problem::error(record.head, message).related(dname.head, "the DNAME"));
        }
        true
    }

    /// Below a cut the zone has glue and nothing else (RFC 1034 4.2.1).
    fn check_below_cut(&mut self, node: &Node) -> bool {
        let Some((cut, ns)) = self.cut else { return false };
        let is_server = self.servers.contains(&node.key);
        let is_glue = |rtype| is_server && matches!(rtype, Rtype::A | Rtype::AAAA);
        let offending = self.tree.rrsets(node).map(|rrset| &rrset[0]).find(|record| !is_glue(record.rtype));
        if let Some(record) = offending {
            let message = format!(
                "{} record at `{}`, which is delegated with `{}` and not glue",
                record.rtype, node.name, cut.name
            );
            let problem = Problem::error(record.head, message).related(ns.head, "the delegation");
            self.report.push(problem.hint("glue is an address of a name that an NS record points at"));
        }
        true
    }

    /// At a cut the parent's side has NS, DS, NSEC, their signatures (RFC 4035 2.4, 2.6) and glue.
    fn check_beside_cut(&mut self, node: &Node, ns: &Record) {
        let is_server = self.servers.contains(&node.key);
        let allowed = |rtype| match rtype {
            Rtype::NS | Rtype::DS | Rtype::NSEC | Rtype::RRSIG => true,
            Rtype::A | Rtype::AAAA => is_server,
            // Reported as data beside a CNAME.
            Rtype::CNAME => true,
            _ => false,
        };
        if let Some(record) = self.tree.records(node).iter().find(|record| !allowed(record.rtype)) {
            let message = format!("{} record beside the delegation of `{}`, and not glue", record.rtype, node.name);
            let problem = Problem::error(record.head, message).related(ns.head, "the delegation");
            self.report.push(problem.hint("it belongs in the delegated zone"));
        }
    }

    /// RFC 2181 10.3, RFC 2782: a target has addresses under its own name.
    fn check_target(&mut self, node: &Node, record: &Record) {
        let Some(target) = target(record).filter(|target| !target.is_root()) else { return };
        let rtype = record.rtype;
        if is_address(&target) {
            let message = format!("{rtype} record of `{}` points at an address, expected a name", node.name);
            let problem = match rtype {
                Rtype::NS => Problem::error(record.body, message),
                _ => Problem::warning(record.body, message),
            };
            return self.report.push(problem.hint("give the address a name with an `A` record and write that name"));
        }
        if !target.is_at_or_below(self.apex) {
            return;
        }
        let key = canonical_key(&target);
        let problem = match self.find(&key) {
            Found::Renamed(dname) => format!("is below the DNAME at `{}`", dname.name),
            Found::Node(found) if self.tree.first(found, Rtype::CNAME).is_some() => "is an alias (CNAME)".to_owned(),
            Found::Node(found) if self.has_address(found) => return,
            // What else is missing may stand on a line that could not be read, or in the delegated zone.
            _ if !self.complete || self.hubs.contains(&target) => return,
            _ if self.is_delegated(&key)
                && (rtype != Rtype::NS || !key.starts_with(&node.key) || node.key == self.apex_key) =>
            {
                return;
            }
            _ if self.is_delegated(&key) => {
                let message = format!("the delegation of `{}` has no glue for its name server `{target}`", node.name);
                let hint = format!("write an `A` or `AAAA` record for `{target}` here too");
                return self.report.push(Problem::warning(record.body, message).hint(hint));
            }
            Found::Node(_) => "has no address record".to_owned(),
            Found::Nothing if self.tree.exists(&key) => "has no address record".to_owned(),
            Found::Nothing => "does not exist in this zone".to_owned(),
        };
        let message = format!("{rtype} record of `{}` points at `{target}`, which {problem}", node.name);
        self.report.push(Problem::warning(record.body, message).hint("it needs a name with an `A` or `AAAA` record"));
    }

    fn has_address(&self, node: &Node) -> bool {
        self.tree.records(node).iter().any(|record| matches!(record.rtype, Rtype::A | Rtype::AAAA))
    }

    fn find(&self, key: &[u8]) -> Found<'a> {
        let tree = self.tree;
        for above in self.ancestors(key) {
            if let Some(node) = tree.node(above).filter(|node| tree.first(node, Rtype::DNAME).is_some()) {
                return Found::Renamed(node);
            }
        }
        if let Some(node) = tree.node(key) {
            return Found::Node(node);
        }
        if tree.exists(key) {
            return Found::Nothing;
        }
        // The closest encloser's wildcard covers it (RFC 4592 3.3.1).
        let encloser = self.ancestors(key).find(|above| tree.exists(above)).unwrap_or(&self.apex_key);
        let wildcard = [encloser, &b"*\0"[..]].concat();
        tree.node(&wildcard).map_or(Found::Nothing, Found::Node)
    }

    /// The keys of the names above, from the nearest to the apex.
    fn ancestors<'k>(&self, key: &'k [u8]) -> impl Iterator<Item = &'k [u8]> {
        let apex = self.apex_key.len();
        std::iter::successors(parent_key(key), |key| parent_key(key)).take_while(move |key| key.len() >= apex)
    }

    /// Whether the name is at or below a cut.
    fn is_delegated(&self, key: &[u8]) -> bool {
        let is_cut = |key: &[u8]| {
            key.len() > self.apex_key.len()
                && self.tree.node(key).is_some_and(|node| self.tree.first(node, Rtype::NS).is_some())
        };
        is_cut(key) || self.ancestors(key).any(is_cut)
    }
}

/// Whether the name starts with the four numbers of an IPv4 address, as in `NS 192.0.2.1`, absolute or not.
fn is_address(name: &Name) -> bool {
    let number = |label: &[u8]| std::str::from_utf8(label).ok().and_then(|label| label.parse::<u8>().ok()).is_some();
    let reverse = |label: &[u8]| label.eq_ignore_ascii_case(b"in-addr");
    name.label_count() >= 4 && name.labels().take(4).all(number) && !name.labels().any(reverse)
}
