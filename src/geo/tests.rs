//! Classes against the longest prefix found the slow way, with databases written by another library.
#![expect(clippy::disallowed_methods, reason = "database files in scratch folders")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use proptest::prelude::*;
use serde::Serialize;

use super::testing::{Record, database, record, system, written};
use super::*;
use crate::policy::{GeoEntry, GeoMap, Origin, RegionName};

fn map(origins: Vec<Origin>) -> GeoMap {
    let to = vec![RegionName::new("weu")];
    GeoMap { entries: origins.into_iter().map(|origin| GeoEntry { origin, to: to.clone() }).collect(), default: vec![] }
}

fn subnet(text: &str) -> Origin {
    Origin::Subnet(text.parse().unwrap())
}

#[track_caller]
fn check(map: &ClassMap, address: &str, expected: Class, scope: u8) {
    let network = Network::of(address.parse().unwrap());
    let classed = map.find(network);
    assert_eq!((map.class(classed.number), map.scope(network, classed)), (expected, scope), "{address}");
}

#[test]
fn what_is_known_of_an_address() {
    let read = database(
        IpVersion::V6,
        &[
            ("::192.0.2.0/120", record(Some("EU"), Some("DE"), Some((50.5, 8.25)))),
            ("2001:db8::/32", record(Some("NA"), None, None)),
            ("2001:db9::/80", record(None, Some("FR"), None)),
        ],
    );
    let of = |address: &str| read.facts(address.parse().unwrap());
    let berlin = Facts { country: Some(*b"DE"), continent: Some(*b"EU"), asn: None, location: Some((50.5, 8.25)) };
    assert_eq!(of("192.0.2.7"), berlin);
    assert_eq!(of("::ffff:192.0.2.7"), berlin);
    assert_eq!(of("192.0.3.0"), Facts::default());
    assert_eq!(of("2001:db8:1::1"), Facts { continent: Some(*b"NA"), ..Facts::default() });
    // The first network of a /64 stands for it.
    assert_eq!(of("2001:db9::1:0:0:1"), Facts { country: Some(*b"FR"), ..Facts::default() });
    assert_eq!(of("2001:db7:ffff::"), Facts::default());
    let both =
        Databases { database: Some(read), asn: Some(database(IpVersion::V4, &[("192.0.2.0/25", system(64_500))])) };
    assert_eq!(both.facts("192.0.2.7".parse().unwrap()), Facts { asn: Some(64_500), ..berlin });
    assert_eq!(both.facts("192.0.2.200".parse().unwrap()), berlin);
}

#[test]
fn a_database_of_ipv4_alone_and_one_that_says_the_same_of_all() {
    let read = database(IpVersion::V4, &[("192.0.2.0/24", record(None, Some("DE"), None))]);
    assert_eq!(read.facts("192.0.2.7".parse().unwrap()).country, Some(*b"DE"));
    assert_eq!(read.facts("2001:db8::".parse().unwrap()), Facts::default());
    let whole = database(IpVersion::V6, &[("::/0", record(None, Some("DE"), None))]);
    for address in ["192.0.2.7", "2001:db8::", "::", "255.255.255.255", "ffff::"] {
        assert_eq!(whole.facts(address.parse().unwrap()).country, Some(*b"DE"), "{address}");
    }
}

#[test]
fn a_file_that_is_none_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("City.mmdb");
    let said = Database::open(&path).unwrap_err();
    assert_eq!(said, format!("read the database `{}`: no such file or directory", path.display()));
    let whole = written(IpVersion::V4, &[("192.0.2.0/24", record(None, Some("DE"), None))]);
    for octets in [&b"no database"[..], &whole[..whole.len() / 2], &[]] {
        std::fs::write(&path, octets).unwrap();
        let said = Database::open(&path).unwrap_err();
        assert!(said.contains("no MaxMind DB of the GeoIP2 layout: "), "{said}");
    }
    #[derive(Serialize)]
    struct Flat {
        country: &'static str,
    }
    let mut flat = maxminddb_writer::Database::default();
    flat.metadata.binary_format_major_version = 2;
    let data = flat.insert_value(Flat { country: "DE" }).unwrap();
    flat.insert_node("192.0.2.0/24".parse::<IpAddrWithMask>().unwrap(), data);
    assert!(Database::read(&flat.write_to(Vec::new()).unwrap()).unwrap_err().contains("GeoIP2 layout"));
    std::fs::write(&path, whole).unwrap();
    assert_eq!(Database::open(&path).unwrap().facts("192.0.2.1".parse().unwrap()).country, Some(*b"DE"));
}

#[test]
fn the_most_specific_entry_counts() {
    let databases = Databases {
        database: Some(database(
            IpVersion::V6,
            &[
                ("::10.0.0.0/104", record(Some("EU"), Some("DE"), None)),
                ("::11.0.0.0/104", record(Some("EU"), Some("FR"), None)),
                ("2001:db8::/32", record(Some("EU"), Some("DE"), None)),
            ],
        )),
        asn: Some(database(IpVersion::V4, &[("10.128.0.0/9", system(64_500)), ("11.0.0.0/9", system(64_501))])),
    };
    let origins = vec![
        Origin::Continent(*b"EU"),
        Origin::Country(*b"DE"),
        Origin::Asn(64_500),
        subnet("10.128.0.0/16"),
        subnet("10.128.7.0/24"),
        subnet("2001:db8:7::/48"),
    ];
    let map = ClassMap::compile(&Spec::geo(&map(origins)), &databases);
    assert_eq!(map.classes(), 7);
    check(&map, "9.255.255.255", Class::Default, 7);
    check(&map, "10.1.2.3", Class::Entry(1), 9);
    check(&map, "10.129.2.3", Class::Entry(2), 16);
    check(&map, "10.200.2.3", Class::Entry(2), 10);
    check(&map, "10.128.2.3", Class::Entry(3), 22);
    check(&map, "10.128.7.3", Class::Entry(4), 24);
    // An autonomous system that the map does not name, and France: the continent.
    check(&map, "11.1.2.3", Class::Entry(0), 8);
    check(&map, "12.0.0.0", Class::Default, 6);
    check(&map, "255.0.0.0", Class::Default, 1);
    check(&map, "2001:db8:1::", Class::Entry(1), 46);
    check(&map, "2001:db8:7:8::", Class::Entry(5), 48);
    check(&map, "::1", Class::Default, 3);
}

#[test]
fn without_databases_only_subnets_are_known() {
    let origins = vec![Origin::Country(*b"DE"), subnet("192.0.2.0/24"), Origin::Asn(64_500)];
    let map = ClassMap::compile(&Spec::geo(&map(origins)), &Databases::default());
    check(&map, "192.0.2.9", Class::Entry(1), 24);
    check(&map, "192.0.3.9", Class::Default, 24);
    check(&map, "2001:db8::", Class::Default, 0);
    assert_eq!(map.ranges_held(), [3, 1]);
}

#[test]
fn nearest_goes_by_the_great_circle() {
    const AMSTERDAM: (f64, f64) = (52.37, 4.89);
    const DUBLIN: (f64, f64) = (53.35, -6.26);
    const TOKYO: (f64, f64) = (35.68, 139.69);
    const SAN_FRANCISCO: (f64, f64) = (37.77, -122.42);
    let databases = Databases {
        database: Some(database(
            IpVersion::V4,
            &[
                ("10.0.0.0/8", record(None, None, Some((51.5, -0.1)))),
                ("11.0.0.0/8", record(None, Some("PT"), Some((38.7, -9.1)))),
                // Across the antimeridian: nearer to San Francisco than to Amsterdam, nearer still to Tokyo.
                ("12.0.0.0/8", record(None, None, Some((-17.7, 178.0)))),
                ("13.0.0.0/8", record(None, Some("DE"), None)),
                ("14.0.0.0/8", record(None, None, Some((51.51, -0.11)))),
                ("15.0.0.0/8", record(None, Some("PT"), Some((38.7, -9.1)))),
            ],
        )),
        asn: None,
    };
    let sites = vec![Some(AMSTERDAM), None, Some(DUBLIN), Some(TOKYO), Some(SAN_FRANCISCO)];
    let origins = vec![subnet("15.0.0.0/8")];
    let map = ClassMap::compile(&Spec::nearest(&map(origins), sites), &databases);
    let order = |address: &str| match map.class(map.find(Network::of(address.parse().unwrap())).number) {
        Class::Location(location) => map.order(location).to_vec(),
        Class::Entry(entry) => vec![100 + entry as u8],
        Class::Default => Vec::new(),
    };
    assert_eq!(order("10.0.0.1"), [0, 2, 4, 3]);
    assert_eq!(order("14.0.0.1"), [0, 2, 4, 3]);
    assert_eq!(order("11.0.0.1"), [2, 0, 4, 3]);
    assert_eq!(order("12.0.0.1"), [3, 4, 2, 0]);
    assert_eq!(order("13.0.0.1"), [] as [u8; 0]);
    // What the map names outranks the distance.
    assert_eq!(order("15.0.0.1"), [100]);
    // Who has the same order is of the same class.
    assert_eq!(map.classes(), 2 + 3);
}

/// Networks close together, so that they meet and nest.
fn prefix() -> impl Strategy<Value = IpNet> {
    let v4 = (0..4_u32, 0..=32_u8, any::<u32>()).prop_map(|(near, bits, far)| {
        let address = if near == 0 { far } else { 0x0a00_0000 | far & 0x0000_0303 };
        IpNet::new(Ipv4Addr::from(address).into(), bits).unwrap().trunc()
    });
    let v6 = (0..4_u32, 0..=64_u8, any::<u64>()).prop_map(|(near, bits, far)| {
        let upper = if near == 0 { far } else { 0x2001_0db8_0000_0000 | far & 0x0303 };
        IpNet::new(Ipv6Addr::from(u128::from(upper) << 64).into(), bits).unwrap().trunc()
    });
    prop_oneof![v4, v6]
}

/// Addresses in and around networks.
fn address() -> impl Strategy<Value = IpAddr> {
    (prefix(), any::<bool>(), any::<bool>()).prop_map(|(network, last, beyond)| {
        let step =
            |bits: u128| if beyond && last { bits.wrapping_add(1) } else { bits.wrapping_sub(u128::from(beyond)) };
        match if last { network.broadcast() } else { network.network() } {
            IpAddr::V4(v4) => Ipv4Addr::from(step(v4.to_bits().into()) as u32).into(),
            IpAddr::V6(v6) => Ipv6Addr::from(step(v6.to_bits() >> 64) << 64).into(),
        }
    })
}

proptest! {
    /// The class is that of the longest subnet, and the scope is the least for which that is so.
    #[test]
    fn a_class_is_that_of_the_longest_prefix(
        prefixes in prop::collection::btree_set(prefix(), 0..40),
        addresses in prop::collection::vec(address(), 1..20),
    ) {
        let prefixes: Vec<IpNet> = prefixes.into_iter().collect();
        let origins = prefixes.iter().map(|prefix| Origin::Subnet(*prefix)).collect();
        let map = ClassMap::compile(&Spec::geo(&map(origins)), &Databases::default());
        let naive = |address: IpAddr| {
            let matching = prefixes.iter().zip(0..).filter(|(prefix, _)| prefix.contains(&address));
            matching.max_by_key(|(prefix, _)| prefix.prefix_len()).map_or(Class::Default, |(_, entry)| Class::Entry(entry))
        };
        for address in addresses {
            let network = Network::of(address);
            let classed = map.find(network);
            prop_assert_eq!(map.class(classed.number), naive(address), "{}", address);
            let scope = map.scope(network, classed);
            // What is in the block of that scope is all of one class: no prefix begins or ends inside, but under another.
            let block = |bits: u8| IpNet::new(address, bits).unwrap().trunc();
            let uniform = |block: IpNet| {
                let edges = prefixes.iter().filter(|prefix| block.contains(*prefix));
                let inside = edges.chain([&block]).flat_map(|prefix| [prefix.network(), prefix.broadcast()]);
                let beyond = prefixes.iter().filter_map(|prefix| next(prefix.broadcast())).filter(|at| block.contains(at));
                inside.chain(beyond).all(|at| naive(at) == naive(address))
            };
            prop_assert!(uniform(block(scope)), "{} /{}", address, scope);
            if scope > 0 {
                prop_assert!(!uniform(block(scope - 1)), "{} /{} is longer than it has to be", address, scope);
            }
        }
    }

    /// A database is read as it was written, whatever its networks are.
    #[test]
    fn a_database_says_what_was_written(
        numbers in prop::collection::btree_set((any::<bool>(), 0..64_u8), 1..40),
        addresses in prop::collection::vec(address(), 1..20),
    ) {
        // Networks that do not nest: the children of two parents.
        let networks: Vec<(IpNet, u32)> = numbers.iter().zip(0..).map(|((is_ipv6, at), number)| {
            let network = if *is_ipv6 {
                IpNet::new(Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(*at) << 64).into(), 64)
            } else {
                IpNet::new(Ipv4Addr::from(0x0a00_0000 | u32::from(*at) << 4).into(), 28)
            };
            (network.unwrap(), number)
        }).collect();
        let texts: Vec<(String, Record)> = networks.iter().map(|(network, number)| {
            let text = match network {
                IpNet::V4(v4) => format!("::{}/{}", v4.addr(), 96 + v4.prefix_len()),
                IpNet::V6(v6) => v6.to_string(),
            };
            (text, system(*number))
        }).collect();
        let texts: Vec<(&str, Record)> = texts.iter().map(|(text, record)| (text.as_str(), record.clone())).collect();
        let read = database(IpVersion::V6, &texts);
        for address in addresses.into_iter().chain(networks.iter().map(|(network, _)| network.network())) {
            let expected = networks.iter().find(|(network, _)| network.contains(&address)).map(|(_, number)| *number);
            prop_assert_eq!(read.facts(address).asn, expected, "{}", address);
        }
    }
}

/// The address after this one, by the /64 of IPv6.
fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => Some(Ipv4Addr::from(v4.to_bits().checked_add(1)?).into()),
        IpAddr::V6(v6) => Some(Ipv6Addr::from(u128::from(((v6.to_bits() >> 64) as u64).checked_add(1)?) << 64).into()),
    }
}
