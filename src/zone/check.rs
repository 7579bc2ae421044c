//! What the records of a zone must and should be to each other.
//!
//! One pass over the tree, in which a name of plain types costs a look at its flags and the lengths of its RRsets, and
//! look-ups for the names that CNAME, DNAME, NS, MX and SRV are at and lead to. Where in the files the records of a
//! problem stand is found later ([`super::locate`]).

use std::collections::BTreeSet;

use super::collect::Uneven;
use super::report::MAX_SHOWN;
use super::rrset::{FIXED, Rrset};
use super::store::{Node, NodeId, Pace, Tree};
use crate::diagnostic::Severity;
use crate::dns::{HEADER, MAX_MESSAGE, Name, Rtype};

/// A record of the tree, or the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// The first octet of the first file.
    Start,
    /// The owner of the first record of an RRset.
    Head(NodeId, Rtype),
    /// The RDATA of a record, by its position in its RRset.
    Body(NodeId, Rtype, usize),
}

/// A problem of the whole zone.
#[derive(Debug)]
pub(super) enum Finding {
    /// A problem whose places are not known.
    Text { site: Site, related: Option<(Site, &'static str)>, text: Text },
    /// The TTLs in the files may differ, if not all of the RRset's records but one are duplicates.
    Uneven(NodeId, Rtype),
}

/// What is said of a problem.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) severity: Severity,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// The problems of the whole zone.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) list: Vec<Finding>,
    /// How many more errors and warnings the only file has: those that could not be shown in any case.
    pub(super) more: [usize; 2],
    /// Errors and warnings in the list.
    listed: [usize; 2],
    has_one_file: bool,
}

impl Findings {
    fn push(&mut self, severity: Severity, finding: impl FnOnce() -> Finding) {
        let listed = &mut self.listed[severity as usize];
        if self.has_one_file && *listed >= MAX_SHOWN {
            self.more[severity as usize] += 1;
        } else {
            *listed += 1;
            self.list.push(finding());
        }
    }
}

/// The files beside the tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files {
    /// Whether no line was lost: only then is missed what is not there.
    pub(super) complete: bool,
    pub(super) has_one: bool,
}

/// Checks a zone beside the policy's hubs.
pub(super) fn check(tree: &Tree, hubs: &BTreeSet<Name>, files: Files, uneven: &Uneven) -> Findings {
    let mut check = Check {
        tree,
        apex: tree.apex(),
        hubs,
        complete: files.complete,
        findings: Findings { has_one_file: files.has_one, ..Findings::default() },
        servers: Vec::new(),
    };
    check.check_apex();
    for (owner, rtype) in uneven.iter().filter(|(_, rtype)| *rtype != Rtype::RRSIG) {
        // RFC 2181 5.2. Signatures of different RRsets have TTLs of their own.
        if let Some(id) = tree.find(owner) {
            check.findings.push(Severity::Warning, || Finding::Uneven(id, *rtype));
        }
    }
    let mut delegated = Vec::new();
    let mut pace = Pace::default();
    for node in tree.nodes() {
        pace.step();
        check.check_node(node);
        if !node.is_plain() {
            delegated.push(node.id());
        }
    }
    check.servers.sort_unstable();
    check.servers.dedup();
    for node in delegated {
        check.check_delegated(tree.node(node));
    }
    check.findings
}

/// The names that the records of an RRset of NS, MX or SRV point at; `None` where RDATA written as RFC 3597 has it is
/// none.
fn targets(tree: &Tree, node: Node<'_>, rrset: &Rrset<'_>) -> Vec<Option<Name>> {
    let skipped = match rrset.rtype() {
        Rtype::NS => 0,
        Rtype::MX => 2,
        Rtype::SRV => 6,
        _ => return Vec::new(),
    };
    let rdatas = rrset.rdatas(&node.name(), tree.apex());
    rdatas.iter().map(|rdata| Name::from_wire(rdata.get(skipped..)?).ok()).collect()
}

struct Check<'a> {
    tree: &'a Tree,
    apex: &'a Name,
    /// Names whose records the policy has.
    hubs: &'a BTreeSet<Name>,
    complete: bool,
    findings: Findings,
    /// The nodes of all names that NS records point at: their addresses may be glue.
    servers: Vec<NodeId>,
}

/// Where a name leads in this zone.
enum Found<'a> {
    /// To these records, of the name itself or of the wildcard that covers it.
    Node(Node<'a>),
    /// To no data: it is an empty non-terminal.
    Empty,
    /// To nothing.
    Nothing,
    /// Below this DNAME.
    Renamed(Node<'a>),
}

/// What stands above a name: the topmost cut and the topmost DNAME that are not below each other.
#[derive(Default)]
struct Above<'a> {
    cut: Option<Node<'a>>,
    dname: Option<Node<'a>>,
}

impl<'a> Check<'a> {
    fn error(
        &mut self,
        site: Site,
        related: Option<(Site, &'static str)>,
        hint: &str,
        message: impl FnOnce() -> String,
    ) {
        self.push(Severity::Error, site, related, hint, message);
    }

    fn warning(&mut self, site: Site, hint: &str, message: impl FnOnce() -> String) {
        self.push(Severity::Warning, site, None, hint, message);
    }

    fn push(
        &mut self,
        severity: Severity,
        site: Site,
        related: Option<(Site, &'static str)>,
        hint: &str,
        message: impl FnOnce() -> String,
    ) {
        self.findings.push(severity, || {
            let hint = (!hint.is_empty()).then(|| hint.to_owned());
            Finding::Text { site, related, text: Text { severity, message: message(), hint } }
        });
    }

    fn check_apex(&mut self) {
        if !self.complete {
            return;
        }
        let node = self.tree.find(self.tree.apex_key()).map(|id| self.tree.node(id));
        let soa = node.filter(|node| node.of_type(Rtype::SOA).is_some());
        let apex = self.apex;
        if soa.is_none() {
            let hint = format!("write `{apex} SOA` with its seven values as the first record");
            self.error(Site::Start, None, &hint, || format!("no SOA record at the apex `{apex}`"));
        }
        if node.is_none_or(|node| node.of_type(Rtype::NS).is_none()) {
            let site = soa.map_or(Site::Start, |soa| Site::Head(soa.id(), Rtype::SOA));
            self.error(site, None, "", || format!("no NS record at the apex `{apex}`"));
        }
    }

    fn check_node(&mut self, node: Node<'a>) {
        let mut leads_on = false;
        for rrset in node.rrsets().iter() {
            let rtype = rrset.rtype();
            match rtype {
                Rtype::SOA | Rtype::CNAME | Rtype::DNAME => self.check_single(node, &rrset),
                Rtype::NS | Rtype::MX | Rtype::SRV => leads_on = true,
                _ => {}
            }
            if rtype == Rtype::CNAME {
                self.check_cname(node);
            }
            self.check_length(node, &rrset);
        }
        if leads_on {
            for rrset in node.rrsets().iter() {
                for (position, target) in targets(self.tree, node, &rrset).into_iter().enumerate() {
                    if let Some(target) = target {
                        self.take_target(node, rrset.rtype(), position, &target);
                    }
                }
            }
        }
    }

    /// What lies at or below a cut or a DNAME, once all name servers are known.
    fn check_delegated(&mut self, node: Node<'_>) {
        if node.is_below() {
            return self.check_below(node);
        }
        if node.is_cut() {
            if node.is_wildcard() {
                // RFC 4592 4.2 leaves its meaning open.
                self.error(Site::Head(node.id(), Rtype::NS), None, "delegate each name by itself", || {
                    format!("NS record at the wildcard `{}`, which nobody can follow", node.name())
                });
            }
            self.check_beside_cut(node);
        }
    }

    fn take_target(&mut self, node: Node<'_>, rtype: Rtype, position: usize, target: &Name) {
        if rtype == Rtype::NS {
            self.servers.extend(self.tree.find(&target.key()));
        }
        if !node.is_below() && !target.is_root() {
            self.check_target(node, rtype, position, target);
        }
    }

    /// SOA, CNAME (RFC 2181 10.1) and DNAME (RFC 6672 2.4) stand alone in their RRset.
    fn check_single(&mut self, node: Node<'_>, rrset: &Rrset<'_>) {
        let (rtype, apex) = (rrset.rtype(), self.apex);
        if rtype == Rtype::SOA && !node.key().is_empty() {
            self.error(Site::Head(node.id(), rtype), None, "", || {
                format!("SOA record at `{}`, expected at the apex `{apex}` only", node.name())
            });
        }
        if rrset.count == 1 {
            return;
        }
        for position in 1..rrset.rdata_offsets().count() {
            let first = Site::Body(node.id(), rtype, 0);
            self.error(Site::Body(node.id(), rtype, position), Some((first, "the first one")), "", || {
                format!("second {rtype} record at `{}`, expected one", node.name())
            });
        }
    }

    /// An RRset is answered whole or not at all (RFC 2181 9), and no message is longer than TCP can say (RFC 1035 4.2.2).
    fn check_length(&mut self, node: Node<'_>, rrset: &Rrset<'_>) {
        // Names can be longer by two in each record than they are kept.
        let most = rrset.wire.len() + if rrset.has_pointers() { rrset.wire.len() / FIXED * 510 } else { 0 };
        if HEADER + 255 + 4 + most <= MAX_MESSAGE {
            return;
        }
        let question = node.name_len() + 4;
        let rdatas = rrset.rdatas(&node.name(), self.apex);
        // Beside its RDATA a record has a pointer to its owner, type, class, TTL and RDLENGTH.
        let records: usize = rdatas.iter().map(|rdata| FIXED + rdata.len()).sum();
        let octets = HEADER + question + records;
        if octets > MAX_MESSAGE {
            let hint = "write fewer or shorter records: these are answered to nobody";
            self.warning(Site::Head(node.id(), rrset.rtype()), hint, || {
                format!(
                    "{} {} records at `{}` need a response of {octets} octets, above {MAX_MESSAGE}, the most there \
                     can be",
                    rdatas.len(),
                    rrset.rtype(),
                    node.name()
                )
            });
        }
    }

    /// RFC 1034 3.6.2; what DNSSEC puts beside a CNAME is in RFC 4035 2.5.
    fn check_cname(&mut self, node: Node<'_>) {
        let beside =
            |rtype| matches!(rtype, Rtype::CNAME | Rtype::RRSIG | Rtype::NSEC | Rtype::KEY | Rtype::SIG | Rtype::NXT);
        if let Some(other) = first_but(node, beside) {
            let cname = Site::Head(node.id(), Rtype::CNAME);
            self.error(Site::Head(node.id(), other), Some((cname, "the CNAME")), "", || {
                format!("{other} record beside a CNAME at `{}`, which allows no other data", node.name())
            });
        }
    }

    fn check_below(&mut self, node: Node<'_>) {
        let above = self.above(node);
        if let Some(dname) = above.dname {
            self.check_below_dname(node, dname);
        } else if let Some(cut) = above.cut {
            self.check_below_cut(node, cut);
        }
    }

    /// RFC 6672 2.4. The hashed names of NSEC3 are below an apex with a DNAME and are never looked up as names.
    fn check_below_dname(&mut self, node: Node<'_>, above: Node<'_>) {
        if let Some(rtype) = first_but(node, |rtype| matches!(rtype, Rtype::NSEC3 | Rtype::RRSIG)) {
            let dname = Site::Head(above.id(), Rtype::DNAME);
            self.error(Site::Head(node.id(), rtype), Some((dname, "the DNAME")), "", || {
                format!("{rtype} record at `{}`, below the DNAME at `{}`", node.name(), above.name())
            });
        }
    }

    /// Below a cut the zone has glue and nothing else (RFC 1034 4.2.1).
    fn check_below_cut(&mut self, node: Node<'_>, cut: Node<'_>) {
        let is_server = self.is_server(node);
        if let Some(rtype) = first_but(node, |rtype| is_server && matches!(rtype, Rtype::A | Rtype::AAAA)) {
            let ns = Site::Head(cut.id(), Rtype::NS);
            let hint = "glue is an address of a name that an NS record points at";
            self.error(Site::Head(node.id(), rtype), Some((ns, "the delegation")), hint, || {
                let (name, cut) = (node.name(), cut.name());
                format!("{rtype} record at `{name}`, which is delegated with `{cut}` and not glue")
            });
        }
    }

    /// At a cut the parent's side has NS, DS, NSEC, their signatures (RFC 4035 2.4, 2.6) and glue.
    fn check_beside_cut(&mut self, node: Node<'_>) {
        let is_server = self.is_server(node);
        let allowed = |rtype| match rtype {
            Rtype::NS | Rtype::DS | Rtype::NSEC | Rtype::RRSIG => true,
            Rtype::A | Rtype::AAAA => is_server,
            // Reported as data beside a CNAME.
            Rtype::CNAME => true,
            _ => false,
        };
        if let Some(rtype) = first_but(node, allowed) {
            let ns = Site::Head(node.id(), Rtype::NS);
            let hint = "it belongs in the delegated zone";
            self.error(Site::Head(node.id(), rtype), Some((ns, "the delegation")), hint, || {
                format!("{rtype} record beside the delegation of `{}`, and not glue", node.name())
            });
        }
    }

    /// RFC 2181 10.3, RFC 2782: a target has addresses under its own name.
    fn check_target(&mut self, node: Node<'_>, rtype: Rtype, position: usize, target: &Name) {
        let site = Site::Body(node.id(), rtype, position);
        if is_address(target) {
            let severity = if rtype == Rtype::NS { Severity::Error } else { Severity::Warning };
            let hint = "give the address a name with an `A` record and write that name";
            return self.push(severity, site, None, hint, || {
                format!("{rtype} record of `{}` points at an address, expected a name", node.name())
            });
        }
        if !target.is_at_or_below(self.apex) {
            return;
        }
        let key = target.key();
        let problem = match self.find(&key) {
            Found::Renamed(dname) => format!("is below the DNAME at `{}`", dname.name()),
            Found::Node(found) if found.of_type(Rtype::CNAME).is_some() => "is an alias (CNAME)".to_owned(),
            Found::Node(found) if has_address(found) => return,
            // What else is missing may stand on a line that could not be read, or in the delegated zone.
            _ if !self.complete || self.hubs.contains(target) => return,
            found => {
                if self.is_delegated(&key) {
                    if rtype == Rtype::NS && !node.key().is_empty() && target.is_at_or_below(&node.name()) {
                        let hint = format!("write an `A` or `AAAA` record for `{target}` here too");
                        self.warning(site, &hint, || {
                            let name = node.name();
                            format!("the delegation of `{name}` has no glue for its name server `{target}`")
                        });
                    }
                    return;
                }
                match found {
                    Found::Nothing => "does not exist in this zone".to_owned(),
                    _ => "has no address record".to_owned(),
                }
            }
        };
        self.warning(site, "it needs a name with an `A` or `AAAA` record", || {
            format!("{rtype} record of `{}` points at `{target}`, which {problem}", node.name())
        });
    }

    /// The topmost barriers above a node. Below one of them nothing is a cut or a DNAME any more.
    fn above(&self, node: Node<'_>) -> Above<'a> {
        let mut above = Above::default();
        let parent = |node: Node<'_>| self.tree.parent(node).map(|id| self.tree.node(id));
        for ancestor in std::iter::successors(parent(node), |node| parent(*node)) {
            if ancestor.is_cut() || ancestor.has_dname() {
                above =
                    Above { cut: Some(ancestor).filter(Node::is_cut), dname: Some(ancestor).filter(Node::has_dname) };
            }
        }
        above
    }

    fn is_server(&self, node: Node<'_>) -> bool {
        self.servers.binary_search(&node.id()).is_ok()
    }

    /// Where a name leads, given in lower case.
    fn find(&self, name: &[u8]) -> Found<'a> {
        let tree = self.tree;
        let node = |name: &[u8]| tree.find(name).map(|id| tree.node(id));
        let mut encloser = None;
        for above in self.ancestors(name) {
            let above = node(above);
            if let Some(dname) = above.filter(Node::has_dname) {
                return Found::Renamed(dname);
            }
            encloser = encloser.or(above);
        }
        if let Some(node) = node(name) {
            return if node.is_empty() { Found::Empty } else { Found::Node(node) };
        }
        // The closest encloser's wildcard covers it (RFC 4592 3.3.1).
        match encloser.and_then(|encloser| tree.wildcard(encloser)).map(|id| tree.node(id)) {
            Some(wildcard) if !wildcard.is_empty() => Found::Node(wildcard),
            _ => Found::Nothing,
        }
    }

    /// The names above, from the nearest to the apex.
    fn ancestors<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'n [u8]> + use<'n> {
        let apex = self.tree.apex_key().len();
        let parent = |name: &&'n [u8]| name.get(1 + usize::from(*name.first()?)..);
        std::iter::successors(parent(&name), parent).take_while(move |name| name.len() >= apex)
    }

    /// Whether the name is at or below a cut.
    fn is_delegated(&self, name: &[u8]) -> bool {
        let is_cut = |name: &[u8]| self.tree.find(name).is_some_and(|id| self.tree.node(id).is_cut());
        is_cut(name) || self.ancestors(name).any(is_cut)
    }
}

/// The first type at a node that is not among those that may be there.
fn first_but(node: Node<'_>, allowed: impl Fn(Rtype) -> bool) -> Option<Rtype> {
    node.rrsets().iter().map(|rrset| rrset.rtype()).find(|rtype| !allowed(*rtype))
}

fn has_address(node: Node<'_>) -> bool {
    node.rrsets().iter().any(|rrset| matches!(rrset.rtype(), Rtype::A | Rtype::AAAA))
}

/// Whether the name starts with the four numbers of an IPv4 address, as in `NS 192.0.2.1`, absolute or not.
fn is_address(name: &Name) -> bool {
    let number = |label: &[u8]| std::str::from_utf8(label).ok().and_then(|label| label.parse::<u8>().ok()).is_some();
    let reverse = |label: &[u8]| label.eq_ignore_ascii_case(b"in-addr");
    name.label_count() >= 4 && name.labels().take(4).all(number) && !name.labels().any(reverse)
}
