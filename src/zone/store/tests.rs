use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text, Some(&Name::root())).unwrap()
}

/// A record of a run.
type Given<'a> = (Rtype, u32, &'a [u8]);

/// A zone as a map.
type Names = BTreeMap<Name, BTreeMap<Rtype, Vec<Box<[u8]>>>>;

/// A zone of runs: each an owner and its records as `type ttl text`.
fn tree(apex: &str, runs: &[(&str, &[Given<'_>])]) -> Tree {
    let mut builder = Builder::new(&name(apex));
    for (owner, records) in runs {
        let owner = Name::parse(owner, Some(&name(apex))).unwrap();
        let entries: Vec<Entry<'_>> =
            records.iter().map(|(rtype, ttl, rdata)| Entry { rtype: *rtype, ttl: *ttl, rdata }).collect();
        builder.add(owner.wire(), &entries);
    }
    builder.finish().unwrap()
}

fn shown(tree: &Tree) -> Vec<String> {
    tree.canonical()
        .into_iter()
        .map(|node| {
            let rrsets: Vec<String> = node
                .rrsets()
                .iter()
                .map(|rrset| format!("{} {} {}", rrset.rtype(), rrset.ttl(), rrset.count))
                .collect();
            let flags = [
                (node.has_wildcard(), 'w'),
                (node.is_cut(), 'c'),
                (node.has_dname(), 'd'),
                (node.is_below(), 'b'),
                (node.hub().is_some(), 'h'),
            ];
            let flags: String = flags.into_iter().filter(|(set, _)| *set).map(|(_, letter)| letter).collect();
            format!("{} [{}] {flags}", node.name(), rrsets.join(", ")).trim_end().to_owned()
        })
        .collect()
}

const A: &[u8] = &[192, 0, 2, 1];
const B: &[u8] = &[192, 0, 2, 2];

#[test]
fn runs_of_one_owner_are_joined_without_duplicates_and_with_the_lowest_ttl() {
    let tree = tree(
        "example.",
        &[
            ("@", &[(Rtype::NS, 60, b"\x02ns\x07example\0"), (Rtype::SOA, 60, b"\0\0")]),
            ("www", &[(Rtype::TXT, 60, b"\x01x"), (Rtype::A, 60, A)]),
            ("b", &[(Rtype::A, 60, A), (Rtype::A, 60, A), (Rtype::A, 30, B)]),
            ("WWW", &[(Rtype::A, 30, B), (Rtype::A, 90, A)]),
            ("www", &[(Rtype::AAAA, 60, &[0; 16])]),
        ],
    );
    assert_eq!(
        shown(&tree),
        ["example. [NS 60 1, SOA 60 1]", "b.example. [A 30 2]", "www.example. [A 30 2, TXT 60 1, AAAA 60 1]",]
    );
    assert_eq!((tree.names(), tree.records(), tree.max_labels()), (3, 8, 2));
}

#[test]
fn rfc4592_section_2_2_2_names_above_exist() {
    let tree = tree("example.", &[("@", &[(Rtype::SOA, 5, b"\0\0")]), ("a.B.c", &[(Rtype::A, 5, A)])]);
    assert_eq!(shown(&tree), ["example. [SOA 5 1]", "c.example. []", "b.c.example. []", "a.B.c.example. [A 5 1]"]);
    assert_eq!((tree.names(), tree.max_labels()), (4, 4));
    assert!(tree.node(tree.find(name("c.example.").wire()).unwrap()).is_empty());
    assert!(tree.find(name("x.example.").wire()).is_none());
    assert!(tree.find(name("example.org.").wire()).is_none());
    assert!(tree.find(b"\x09a\x07example\0").is_none());
}

#[test]
fn what_is_above_a_node_stands_in_its_flags() {
    let tree = tree(
        "example.",
        &[
            // Glue before its cut: the order of the file is of no consequence.
            ("ns.sub", &[(Rtype::A, 5, A)]),
            ("sub", &[(Rtype::NS, 5, b"\x02ns\x03sub\x07example\0")]),
            ("x.y.sub", &[(Rtype::A, 5, A)]),
            ("old", &[(Rtype::DNAME, 5, b"\0")]),
            ("*.wild", &[(Rtype::A, 5, A)]),
            ("@", &[(Rtype::NS, 5, b"\0")]),
        ],
    );
    assert_eq!(
        shown(&tree),
        [
            "example. [NS 5 1]",
            "old.example. [DNAME 5 1] d",
            "sub.example. [NS 5 1] c",
            "ns.sub.example. [A 5 1] b",
            "y.sub.example. [] b",
            "x.y.sub.example. [A 5 1] b",
            "wild.example. [] w",
            "*.wild.example. [A 5 1]",
        ]
    );
    let at = |text: &str| tree.node(tree.find(name(text).wire()).unwrap());
    assert_eq!(tree.topmost(at("x.y.sub.example.")).unwrap().name(), name("sub.example."));
    assert!(tree.topmost(at("sub.example.")).is_none());
    assert_eq!(tree.node(tree.wildcard(at("wild.example.")).unwrap()).name(), name("*.wild.example."));
    assert_eq!(tree.wildcard(at("example.")), None);
    assert_eq!(tree.parent(at("ns.sub.example.")).map(|id| tree.node(id).name()), Some(name("sub.example.")));
    assert_eq!(tree.parent(at("example.")), None);
}

#[test]
fn a_hub_takes_its_place_with_what_the_file_says_there() {
    let mut tree = tree(
        "example.",
        &[("@", &[(Rtype::NS, 5, b"\0")]), ("Hub", &[(Rtype::TXT, 5, b"\x01x")]), ("*.hub", &[(Rtype::A, 5, A)])],
    );
    tree.place_hub(&name("HUB.example."), 70_000).unwrap();
    tree.place_hub(&name("*.new.example."), 1).unwrap();
    assert_eq!(
        shown(&tree),
        [
            "example. [NS 5 1]",
            "HUB.example. [TXT 5 1] wh",
            "*.hub.example. [A 5 1]",
            "new.example. [] w",
            "*.new.example. [] h",
        ]
    );
    let hub = tree.node(tree.find(name("hub.example.").wire()).unwrap());
    assert_eq!((hub.hub(), hub.is_empty()), (Some(70_000), false));
}

#[test]
fn parts_of_an_owner_are_joined_in_order() {
    let apex = name("example.");
    let entry = |rdata| Entry { rtype: Rtype::A, ttl: 5, rdata };
    let mut builder = Builder::new(&apex);
    builder.add(name("b.example.").wire(), &[entry(A)]);
    builder.add(name("ccc.example.").wire(), &[entry(A)]);
    builder.add(name("b.example.").wire(), &[entry(B)]);
    builder.add(name("Cc.example.").wire(), &[entry(B)]);
    let tree = builder.finish().unwrap();
    assert_eq!(shown(&tree), ["example. []", "b.example. [A 5 2]", "Cc.example. [A 5 1]", "ccc.example. [A 5 1]"]);
    let b = tree.node(tree.find(name("b.example.").wire()).unwrap());
    assert_eq!(b.of_type(Rtype::A).unwrap().rdatas(&b.name(), &apex), [A.into(), Box::from(B)]);
}

#[test]
fn like_names_take_40_octets_each() {
    let apex = name("example.net.");
    let mut builder = Builder::new(&apex);
    let count = 100_000;
    for number in 0..count {
        let owner = apex.child(format!("d{number:07}").as_bytes()).unwrap();
        builder.add(owner.wire(), &[Entry { rtype: Rtype::A, ttl: 300, rdata: A }]);
    }
    let tree = builder.finish().unwrap();
    assert_eq!(tree.names(), count + 1);
    assert!(tree.octets.len() + 2 * 4 * tree.names() < 41 * count, "{} octets", tree.octets.len());
    for number in (0..count).step_by(97) {
        assert!(tree.find(apex.child(format!("d{number:07}").as_bytes()).unwrap().wire()).is_some());
        assert!(tree.find(apex.child(format!("e{number:07}").as_bytes()).unwrap().wire()).is_none());
    }
}

fn owner() -> impl Strategy<Value = String> {
    let label = prop::sample::select(&["a", "B", "b", "*", "cc"][..]);
    prop::collection::vec(label, 0..4).prop_map(|labels| labels.join("."))
}

proptest! {
    /// However the records of a zone are cut into runs and ordered, the tree holds them all and what is above them.
    #[test]
    fn a_tree_is_what_a_map_of_its_records_is(records in prop::collection::vec((owner(), 0..3_u8, 0..3_u8), 0..40)) {
        let apex = name("z.");
        let mut builder = Builder::new(&apex);
        let mut expected: Names = BTreeMap::new();
        for (owner, rtype, octet) in records {
            let owner = if owner.is_empty() { apex.clone() } else { Name::parse(&owner, Some(&apex)).unwrap() };
            let rtype = [Rtype::A, Rtype::NS, Rtype::TXT][usize::from(rtype)];
            let rdata = match rtype {
                Rtype::NS => [&[1, b'a' + octet][..], owner.wire()].concat(),
                _ => vec![octet; 4],
            };
            builder.add(owner.wire(), &[Entry { rtype, ttl: 5, rdata: &rdata }]);
            let known = expected.entry(owner.clone()).or_default().entry(rtype).or_default();
            let rdata = rdata.to_ascii_lowercase().into_boxed_slice();
            if !known.contains(&rdata) {
                known.push(rdata);
            }
            let mut above = Some(owner);
            while let Some(existing) = above.filter(|above| above.is_at_or_below(&apex)) {
                above = existing.parent();
                expected.entry(existing).or_default();
            }
        }
        let tree = builder.finish().unwrap();
        let found: Names = tree.nodes().map(|node| {
            let name = node.name();
            // A pointer to the owner takes the case that the owner has.
            let lower = |rdata: Box<[u8]>| rdata.to_ascii_lowercase().into_boxed_slice();
            let rdatas = |rrset: Rrset<'_>| rrset.rdatas(&name, &apex).into_iter().map(lower).collect();
            let rrsets = node.rrsets().iter().map(|rrset| (rrset.rtype(), rdatas(rrset))).collect();
            (name, rrsets)
        }).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(tree.names(), expected.len());
        for (name, rrsets) in &expected {
            let node = tree.node(tree.find(&name.key()).unwrap());
            prop_assert_eq!(node.name(), name.clone());
            let cuts: Vec<&Name> = expected.iter()
                .filter(|(other, rrsets)| rrsets.contains_key(&Rtype::NS) && name.is_below(other) && **other != apex)
                .map(|(other, _)| other).collect();
            prop_assert_eq!(node.is_below(), !cuts.is_empty());
            prop_assert_eq!(tree.topmost(node).map(|node| node.name()), cuts.first().map(|cut| (*cut).clone()));
            prop_assert_eq!(node.is_cut(), rrsets.contains_key(&Rtype::NS) && *name != apex);
            let wildcard = name.child(b"*").unwrap();
            prop_assert_eq!(tree.wildcard(node).is_some(), expected.contains_key(&wildcard));
        }
    }
}
