//! MaxMind DB files of the GeoIP2 layout, which GeoLite2, DB-IP and others share: read once, and kept as sorted ranges.
//!
//! I/O shell: [`Database::open`] reads a file. The rest is pure.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::Deserialize;

use super::Network;
use super::ranges::Layer;

/// What is known of one network.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Facts {
    /// The country, by its code of two capital letters.
    pub country: Option<[u8; 2]>,
    /// The continent, by its code of two capital letters.
    pub continent: Option<[u8; 2]>,
    /// The number of the autonomous system.
    pub asn: Option<u32>,
    /// Latitude and longitude in degrees.
    pub location: Option<(f64, f64)>,
}

/// One database.
#[derive(Clone, Debug, Default)]
pub struct Database {
    /// The first keys of ranges of IPv4 addresses, with the number of the record of each.
    ipv4: Vec<(u64, u32)>,
    ipv6: Vec<(u64, u32)>,
    records: Vec<Facts>,
}

/// The databases of a policy.
#[derive(Clone, Debug, Default)]
pub struct Databases {
    /// Country, continent and location.
    pub database: Option<Database>,
    /// Autonomous systems.
    pub asn: Option<Database>,
}

/// What of a record counts. Other keys are passed over.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<Country<'a>>,
    #[serde(borrow)]
    continent: Option<Continent<'a>>,
    autonomous_system_number: Option<u32>,
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Continent<'a> {
    code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Database {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence that names it.
    pub fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        #[expect(clippy::disallowed_methods, reason = "I/O shell: reads the file")]
        let octets = std::fs::read(path).map_err(|error| {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_lowercase();
            format!("read the database `{shown}`: {text}")
        })?;
        Self::read(&octets).map_err(|why| format!("read the database `{shown}`: {why}"))
    }

    /// Takes what counts out of a file's octets.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(octets: &[u8]) -> Result<Self, String> {
        let said = |error: MaxMindDbError| format!("no MaxMind DB of the GeoIP2 layout: {error}");
        let reader = Reader::from_source(octets).map_err(said)?;
        let mut records = Vec::new();
        let mut known: HashMap<usize, u32> = HashMap::new();
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        // Networks of IPv6 that lead to where those of IPv4 do are aliases, unless all of IPv4 is one record: then others
        // lead to it in their own right.
        let first = reader.lookup(Ipv4Addr::UNSPECIFIED.into()).and_then(|found| found.network()).map_err(said)?;
        let options = WithinOptions::default();
        let options = if first.is_ipv6() || first.prefix() == 0 { options.include_aliased_networks() } else { options };
        for found in reader.networks(options).map_err(said)? {
            let found = found.map_err(said)?;
            let network = found.network().map_err(said)?;
            let Some(offset) = found.offset() else { continue };
            let record = match known.get(&offset) {
                Some(record) => *record,
                None => {
                    let record = found.decode::<Record<'_>>().map_err(said)?;
                    records.push(record.map(|record| Facts::of(&record)).unwrap_or_default());
                    let number = records.len() as u32 - 1;
                    known.insert(offset, number);
                    number
                }
            };
            let (address, bits) = (network.ip(), network.prefix());
            match address {
                IpAddr::V4(_) => ipv4.push((Network::of(address).key, bits, record)),
                IpAddr::V6(address) => {
                    let key = (address.to_bits() >> 64) as u64;
                    // The IPv4 addresses are at ::/96, and may have no network of their own there.
                    if key == 0 && bits < 96 {
                        ipv4.push((0, 0, record));
                    }
                    ipv6.push((key, bits.min(64), record));
                }
            }
        }
        Ok(Self { ipv4: ranges(ipv4), ipv6: ranges(ipv6), records })
    }

    /// What is known of an address.
    pub fn facts(&self, address: IpAddr) -> Facts {
        let network = Network::of(address);
        let cuts = if network.is_ipv6 { &self.ipv6 } else { &self.ipv4 };
        let behind = cuts.partition_point(|(start, _)| *start <= network.key);
        let record = behind.checked_sub(1).and_then(|at| self.records.get(cuts[at].1 as usize));
        record.copied().unwrap_or_default()
    }

    pub(super) fn records(&self) -> &[Facts] {
        &self.records
    }

    pub(super) fn ipv4(&self) -> &[(u64, u32)] {
        &self.ipv4
    }

    pub(super) fn ipv6(&self) -> &[(u64, u32)] {
        &self.ipv6
    }
}

impl Databases {
    /// What both know of an address.
    pub fn facts(&self, address: IpAddr) -> Facts {
        let facts = self.database.as_ref().map(|database| database.facts(address)).unwrap_or_default();
        let system = self.asn.as_ref().and_then(|database| database.facts(address).asn);
        Facts { asn: system.or(facts.asn), ..facts }
    }
}

impl Facts {
    fn of(record: &Record<'_>) -> Self {
        let location = record.location.as_ref();
        Self {
            country: record.country.as_ref().and_then(|country| code(country.iso_code?)),
            continent: record.continent.as_ref().and_then(|continent| code(continent.code?)),
            asn: record.autonomous_system_number,
            location: location.and_then(|at| Some((at.latitude?, at.longitude?))),
        }
    }
}

/// A code of two capital letters.
fn code(text: &str) -> Option<[u8; 2]> {
    text.as_bytes().try_into().ok()
}

/// The ranges of networks that do not overlap.
fn ranges(mut networks: Vec<(u64, u8, u32)>) -> Vec<(u64, u32)> {
    networks.sort_unstable();
    let mut layer = Layer::default();
    for (start, bits, record) in networks {
        layer.push(start, bits, record);
    }
    layer.cuts()
}
