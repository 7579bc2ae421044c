//! The answer engine against Knot and NSD: every name and type of zones that hold every shape of name, and of zones made
//! at random, must be answered alike but for the differences listed in [`exceptions`], each with its reason.
//!
//! The peers are the Debian packages `knot` and `nsd`; the test starts them at loopback addresses of its own.

pub(crate) mod client;
mod exceptions;
mod generator;
mod limits;
pub(crate) mod message;
mod odd;
pub(crate) mod options;
pub(crate) mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use concierge::dns::{Name, Rtype};
use concierge::zone::{self, Rrset, Zone};

use client::Client;
use exceptions::{Case, Exceptions};
use message::Question;
use peers::{Kind, Peer};

use crate::process::{Daemon, QUICK, Site, concierge};

#[test]
fn the_corpus_is_answered_as_knot_and_nsd_do() {
    let exceptions = compare(&corpus());
    exceptions.must_all_be_used();
}

#[test]
fn zones_made_at_random_are_answered_as_knot_and_nsd_do() {
    for seed in 1..=2 {
        let zones = generator::zones(seed);
        compare(&zones);
    }
}

#[test]
fn odd_messages_are_answered_as_knot_or_nsd_do() {
    let zones = corpus();
    let us = Us::start(&zones);
    let [mut knot, mut nsd] = [Kind::Knot, Kind::Nsd].map(|kind| Peer::start(kind, &zones));
    odd::compare(&mut us.client(), &mut knot, &mut nsd);
}

#[test]
fn options_are_answered_as_knot_or_nsd_do_and_cookies_are_theirs_too() {
    let zones = corpus();
    let us = Us::start_with(&zones, &options::configuration());
    let [mut knot, mut nsd] = [Kind::Knot, Kind::Nsd].map(|kind| Peer::start_telling(kind, &zones, options::SECRET));
    options::compare(&mut us.client(), &mut knot, &mut nsd);
}

pub(crate) fn corpus() -> [(Name, String); 3] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/corpus/differential");
    ["example.test.", "child.example.test.", "other.test."]
        .map(|apex| (name(apex), std::fs::read_to_string(folder.join(format!("{apex}zone"))).unwrap()))
}

/// Serves the zones here and at every peer, and asks every question everywhere.
fn compare(zones: &[(Name, String)]) -> Exceptions {
    let us = Us::start(zones);
    let questions = questions(&us.zones);
    let total = std::thread::scope(|scope| {
        let threads: Vec<_> = [Kind::Knot, Kind::Nsd]
            .map(|kind| {
                let (us, questions) = (&us, &questions);
                scope.spawn(move || compare_with(us, Peer::start(kind, zones), questions))
            })
            .into_iter()
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).reduce(Exceptions::merged).unwrap()
    });
    println!("{} questions; different by design:{total}", questions.len());
    total
}

fn compare_with(us: &Us, mut peer: Peer, questions: &BTreeSet<Question>) -> Exceptions {
    let mut client = us.client();
    let kind = peer.kind;
    let mut exceptions = Exceptions::default();
    // By what differs, so that one cause does not hide the next.
    let mut differences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for question in questions {
        for form in question.forms().iter().copied() {
            let mut case = Case::new(question, form, us, &mut client, &mut peer);
            if case.is_equal() {
                continue;
            }
            let answers =
                format!("{question} {form:?}\n  concierge: {}\n  {}: {}", case.ours, kind.name(), case.theirs);
            exceptions.settle(&mut case);
            if !case.is_equal() {
                differences.entry(case.ours.differences(&case.theirs)).or_default().push(answers);
            }
        }
    }
    let shown: Vec<String> = differences
        .iter()
        .map(|(what, answers)| {
            let examples = answers.iter().step_by(answers.len().div_ceil(3)).cloned().collect::<Vec<_>>();
            format!("{} times {what}:\n{}", answers.len(), examples.join("\n"))
        })
        .collect();
    assert!(shown.is_empty(), "answers differ from those of {}:\n{}", kind.name(), shown.join("\n"));
    exceptions
}

/// This server: the real process.
pub(crate) struct Us {
    /// As it reads them.
    zones: Vec<Zone>,
    pub(crate) site: Site,
    /// Ends with this.
    _daemon: Daemon,
}

impl Us {
    fn start(zones: &[(Name, String)]) -> Self {
        Self::start_with(zones, "")
    }

    /// With more in its configuration, which may name a file of secrets of cookies.
    fn start_with(zones: &[(Name, String)], configuration: &str) -> Self {
        Self::start_as(concierge(), zones, configuration)
    }

    /// The same for a command that becomes the program when arguments are added to it.
    ///
    /// `configuration` goes on where `[limits]` is, and may have other tables after that.
    pub(crate) fn start_as(command: Command, zones: &[(Name, String)], configuration: &str) -> Self {
        let site = Site::new(QUICK);
        site.write("cookie.keys", options::SECRET);
        let file = site.path("config/concierge.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        // Contents are compared, not what a client is sent for so short a query.
        let configuration = format!("{text}\n[limits]\namplification = 0\n{configuration}");
        std::fs::write(&file, configuration).unwrap();
        for file in ["zones/example.net.zone", "zones/example.net.toml"] {
            std::fs::remove_file(site.path(file)).unwrap();
        }
        for (apex, text) in zones {
            site.write(&format!("zones/{apex}zone"), text);
        }
        let daemon = Daemon::start_as(command, &site);
        Self { zones: zones.iter().map(|(apex, text)| load(apex, text)).collect(), site, _daemon: daemon }
    }

    fn client(&self) -> Client {
        Client::new(self.site.net.dns())
    }

    /// The apex of the most specific served zone that a name is in.
    fn zone_of(&self, name: &Name) -> Option<&Name> {
        let apexes = self.zones.iter().map(|zone| &zone.apex);
        apexes.filter(|apex| name.is_at_or_below(apex)).max_by_key(|apex| apex.label_count())
    }
}

fn load(apex: &Name, text: &str) -> Zone {
    let path = PathBuf::from(format!("{apex}zone"));
    let (zone, diagnostics) = zone::read(&path, apex, &mut |opened| {
        assert_eq!(opened, path, "nothing is included");
        Ok(Box::new(Cursor::new(text.to_owned())))
    });
    zone.unwrap_or_else(|| panic!("{diagnostics:#?}"))
}

fn name(text: &str) -> Name {
    Name::parse(text, Some(&Name::root())).unwrap()
}

/// Every owner, every name that records point at, and what lies above, below and beside them; each with every type that
/// the zones hold and some that they do not.
fn questions(zones: &[Zone]) -> BTreeSet<Question> {
    let mut names: BTreeMap<Name, Name> = BTreeMap::new();
    let mut types: BTreeSet<Rtype> =
        ["A", "AAAA", "NS", "CNAME", "DNAME", "SOA", "MX", "TXT", "DS", "DNSKEY", "NSEC", "RRSIG", "TYPE65399"]
            .iter()
            .filter_map(|text| Rtype::parse(text))
            .collect();
    let mut add = |name: Name| {
        names.entry(name.clone()).or_insert(name);
    };
    for Rrset { owner, rtype, rdatas, .. } in zones.iter().flat_map(Zone::rrsets) {
        let mut above = Some(owner.clone());
        while let Some(name) = above {
            above = name.parent();
            add(name);
        }
        let beside = [&b"x"[..], b"*", b"zzz"];
        let below = [&b"x"[..], b"*", b"zzz", b"ent", b"ns", b"www"];
        below.iter().filter_map(|label| owner.child(label).ok()).for_each(&mut add);
        owner.child(b"b").and_then(|name| name.child(b"A")).into_iter().for_each(&mut add);
        if rtype == Rtype::DNAME {
            // Some substitutions make too long a name.
            owner.child(&[b'l'; 63]).into_iter().for_each(&mut add);
        }
        let parent = owner.parent().into_iter();
        parent.flat_map(|parent| beside.iter().filter_map(move |label| parent.child(label).ok())).for_each(&mut add);
        let pointed = [(Rtype::NS, 0), (Rtype::CNAME, 0), (Rtype::DNAME, 0), (Rtype::MX, 2), (Rtype::SRV, 6)];
        if let Some((_, skipped)) = pointed.into_iter().find(|(pointing, _)| *pointing == rtype) {
            for rdata in rdatas {
                Name::from_wire(&rdata[skipped..]).into_iter().for_each(&mut add);
            }
        }
        types.insert(rtype);
    }
    let mut questions = BTreeSet::new();
    for (position, name) in names.into_values().enumerate() {
        for rtype in &types {
            // A third of the names in mixed case: all that is compared must not depend on it, and it is echoed.
            let wire = if position % 3 == 0 { message::mixed_case(name.wire()) } else { name.wire().to_vec() };
            questions.insert(Question { name: wire, rtype: *rtype });
        }
    }
    questions
}
