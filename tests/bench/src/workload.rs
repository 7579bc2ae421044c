//! The zone that every server answers, and the queries that are asked.
//!
//! ```text
//! bench.example.           SOA, NS
//! d0000000, d0000001, ...  A 10.0.0.0, 10.0.0.1, ... (as many as a workload says)
//! *.w                      A 192.0.2.80
//! h000 ... h099            hubs that answer a CNAME to the active region, outside of the zone
//! p000 ... p099            hubs that answer the address of the active region
//! g000 ... g099            hubs that answer by the country of the client, where policies are measured
//! w000 ... w099            hubs that answer by weights, 3 to 1, where policies are measured
//! ```
//!
//! What a hub is differs by server: concierge has its policy, gdnsd `DYNC` and `DYNA` records of `metafo` and
//! `simplefo`, Knot and NSD have nothing of the kind and answer static records, which is less work.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::message::{Additional, Ask, Expected, query};

/// The zone's apex.
pub(crate) const APEX: &str = "bench.example.";
const ZONE: [&str; 2] = ["bench", "example"];
/// TTL of static records, in seconds.
const TTL: u32 = 300;
/// TTL of hubs, in seconds.
pub(crate) const HUB_TTL: u32 = 30;
/// Hubs of each kind.
pub(crate) const HUBS: u32 = 100;
/// What the hubs with a CNAME answer: the targets in the order of preference.
pub(crate) const TARGETS: [&str; 2] = ["hub-weu.devices.example.", "hub-neu.devices.example."];
const TARGET: &[&str] = &["hub-weu", "devices", "example"];
/// What the hubs with addresses answer, in the order of preference.
pub(crate) const ADDRESSES: [&str; 2] = ["192.0.2.101", "192.0.2.102"];
const ADDRESS: [u8; 4] = [192, 0, 2, 101];
/// The weights of these addresses, where a hub goes by weights.
pub(crate) const WEIGHTS: [u32; 2] = [3, 1];
/// The country of the clients, whose address is the first of these.
pub(crate) const COUNTRY: &str = "DE";
const WILDCARD: [u8; 4] = [192, 0, 2, 80];

/// How hubs stand in the zone file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HubRecords {
    /// Not at all: they are policy.
    None,
    /// As static CNAME and A records.
    Static,
    /// As gdnsd's `DYNC` and `DYNA` records.
    Dynamic,
    /// The same, and those that answer by country and by weight.
    Policies,
}

/// The content of the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    /// Names `d...` with one A record each.
    pub(crate) names: u32,
    /// Serial of the SOA record.
    pub(crate) serial: u32,
}

impl Zone {
    /// Writes the master file, whole or not at all.
    pub(crate) fn write(self, file: &Path, hubs: HubRecords) -> Result<()> {
        let unfinished = file.with_extension("unfinished");
        self.write_to(&unfinished, hubs).with_context(|| format!("cannot write {}", unfinished.display()))?;
        std::fs::rename(&unfinished, file).with_context(|| format!("cannot write {}", file.display()))
    }

    fn write_to(self, file: &Path, hubs: HubRecords) -> Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
        writeln!(out, "$ORIGIN {APEX}\n$TTL {TTL}")?;
        writeln!(out, "@ IN SOA ns1 hostmaster {} 3600 600 86400 60", self.serial)?;
        writeln!(out, "@ IN NS ns1\nns1 IN A 192.0.2.53\n*.w IN A 192.0.2.80")?;
        // The record that a reload changes.
        writeln!(out, "changed IN A 198.51.100.{}", self.serial % 256)?;
        for hub in 0..HUBS {
            match hubs {
                HubRecords::None => {}
                HubRecords::Static => {
                    writeln!(out, "h{hub:03} {HUB_TTL} IN CNAME {}", TARGETS[0])?;
                    writeln!(out, "p{hub:03} {HUB_TTL} IN A {}", ADDRESSES[0])?;
                }
                HubRecords::Dynamic | HubRecords::Policies => {
                    writeln!(out, "h{hub:03} {HUB_TTL}/{HUB_TTL} DYNC metafo!hub")?;
                    writeln!(out, "p{hub:03} {HUB_TTL}/{HUB_TTL} DYNA simplefo!priority")?;
                    if hubs == HubRecords::Policies {
                        writeln!(out, "g{hub:03} {HUB_TTL}/{HUB_TTL} DYNA geoip!geo")?;
                        writeln!(out, "w{hub:03} {HUB_TTL}/{HUB_TTL} DYNA weighted!weighted")?;
                    }
                }
            }
        }
        for name in 0..self.names {
            let [_, a, b, c] = name.to_be_bytes();
            writeln!(out, "d{name:07} IN A 10.{a}.{b}.{c}")?;
        }
        out.flush()?;
        Ok(())
    }

    /// The query for the record that differs with the serial.
    pub(crate) fn changed(self) -> Pool {
        let mut pool = Pool::default();
        let expected = Expected::Address { address: [198, 51, 100, (self.serial % 256) as u8], ttl: TTL };
        pool.push(&["changed"], Ask::A, Additional::Nothing, expected);
        pool
    }

    /// The query for the last name of the file.
    pub(crate) fn last(self) -> Pool {
        let mut pool = Pool::default();
        pool.push_name(self.names - 1, Additional::Nothing);
        pool
    }
}

/// One query and what it has to be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    start: u32,
    length: u16,
    /// Octets of the question.
    pub(crate) question: u16,
    /// The right answer.
    pub(crate) expected: Expected,
}

/// Queries in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    octets: Vec<u8>,
    items: Vec<Item>,
}

/// Queries of a workload are repeated after this many.
const POOL: u32 = 1 << 16;
/// The same, where a million names are asked for.
const LARGE_POOL: u32 = 1 << 20;

impl Pool {
    /// A for hubs that answer a CNAME.
    pub(crate) fn hub() -> Self {
        Self::of_hubs('h', Expected::Cname { target: TARGET, ttl: HUB_TTL })
    }

    /// A for hubs that answer an address.
    pub(crate) fn priority() -> Self {
        Self::of_hubs('p', Expected::Address { address: ADDRESS, ttl: HUB_TTL })
    }

    /// A for hubs that answer by the country of the client.
    pub(crate) fn geo() -> Self {
        Self::of_hubs('g', Expected::Address { address: ADDRESS, ttl: HUB_TTL })
    }

    /// A for hubs that answer by weights.
    pub(crate) fn weighted() -> Self {
        Self::of_hubs('w', Expected::Either { addresses: [ADDRESS, [192, 0, 2, 102]], ttl: HUB_TTL })
    }

    fn of_hubs(letter: char, expected: Expected) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let mut pool = Self::default();
        for _ in 0..POOL {
            let hub = format!("{letter}{:03}", random.u32(..HUBS));
            pool.push(&[&hub], Ask::A, Additional::Nothing, expected);
        }
        pool
    }

    /// A for static names in random order (80 in 100), names below the wildcard and names that do not exist (10 each).
    pub(crate) fn mix(names: u32, edns: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(2);
        let mut pool = Self::default();
        let count = if names > POOL { LARGE_POOL } else { POOL };
        for _ in 0..count {
            let additional = if edns { Additional::Cookie(random.u64(..).to_be_bytes()) } else { Additional::Nothing };
            match random.u32(..10) {
                0 => {
                    let name = format!("q{:07}", random.u32(..10_000_000));
                    let expected = Expected::Address { address: WILDCARD, ttl: TTL };
                    pool.push(&[&name, "w"], Ask::A, additional, expected);
                }
                1 => {
                    let name = format!("x{:07}", random.u32(..10_000_000));
                    pool.push(&[&name], Ask::A, additional, Expected::Nxdomain);
                }
                _ => pool.push_name(random.u32(..names), additional),
            }
        }
        pool
    }

    /// SOA of the apex.
    pub(crate) fn soa(serial: u32) -> Self {
        let mut pool = Self::default();
        pool.push(&[], Ask::Soa, Additional::Nothing, Expected::Soa(serial));
        pool
    }

    /// A for `labels` below the apex.
    pub(crate) fn push(&mut self, labels: &[&str], ask: Ask, additional: Additional, expected: Expected) {
        let labels: Vec<&str> = labels.iter().chain(&ZONE).copied().collect();
        let (message, question) = query(&labels, ask, additional);
        let item = Item {
            start: u32::try_from(self.octets.len()).unwrap_or(u32::MAX),
            length: message.len() as u16,
            question: question as u16,
            expected,
        };
        self.octets.extend_from_slice(&message);
        self.items.push(item);
    }

    fn push_name(&mut self, name: u32, additional: Additional) {
        let [_, a, b, c] = name.to_be_bytes();
        let expected = Expected::Address { address: [10, a, b, c], ttl: TTL };
        self.push(&[&format!("d{name:07}")], Ask::A, additional, expected);
    }

    /// The same queries for the echo.
    pub(crate) fn echoed(&self) -> Self {
        let mut pool = self.clone();
        for item in &mut pool.items {
            item.expected = Expected::Same;
        }
        pool
    }

    /// The number of queries.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// One of the queries.
    pub(crate) fn item(&self, position: usize) -> (&[u8], &Item) {
        let item = &self.items[position];
        (&self.octets[item.start as usize..][..usize::from(item.length)], item)
    }
}
