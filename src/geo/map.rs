//! A hub's map, compiled: every address to its class.

use std::collections::{BTreeMap, HashMap};

use super::Network;
use super::database::{Database, Databases, Facts};
use super::ranges::{Found, NONE, Ranges, merge, nested};
use crate::policy::{GeoMap, Origin};

/// What a class map is made from, beside the databases: hubs with equal ones share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spec {
    /// The origins of the map's entries, in their order.
    origins: Vec<Origin>,
    /// The locations of the hub's endpoints, in their order, where the distance counts: the bits of latitude and longitude,
    /// which have an order and are equal to themselves.
    sites: Vec<Option<[u64; 2]>>,
}

/// What a client is to a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It matches no entry, and its distance counts for nothing or is not known.
    Default,
    /// It matches this entry of the map, and none that is more specific.
    Entry(usize),
    /// It is where this order of the endpoints is that of their distance: see [`ClassMap::order`].
    Location(usize),
}

/// A class, and how much of the address it is the class of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classed {
    /// The number of the class, from 0 without a gap: see [`ClassMap::class`].
    pub number: u32,
    found: Found,
}

/// Every address, by class.
#[derive(Debug, PartialEq, Eq)]
pub struct ClassMap {
    ipv4: Ranges,
    ipv6: Ranges,
    /// Entries of the map.
    entries: usize,
    /// Positions of endpoints that have a location, nearest first.
    orders: Vec<Box<[u8]>>,
}

impl Spec {
    /// What `geo` goes by.
    pub fn geo(map: &GeoMap) -> Self {
        Self { origins: map.entries.iter().map(|entry| entry.origin.clone()).collect(), sites: Vec::new() }
    }

    /// What `nearest` goes by, for endpoints with these locations: latitude and longitude in degrees.
    pub fn nearest(map: &GeoMap, sites: impl IntoIterator<Item = Option<(f64, f64)>>) -> Self {
        let bits = |(latitude, longitude): (f64, f64)| [latitude.to_bits(), longitude.to_bits()];
        Self { sites: sites.into_iter().map(|site| site.map(bits)).collect(), ..Self::geo(map) }
    }
}

impl ClassMap {
    /// Compiles a map. What a database that is not there would say is not known.
    pub fn compile(spec: &Spec, databases: &Databases) -> Self {
        let none = Database::default();
        let (database, systems) =
            (databases.database.as_ref().unwrap_or(&none), databases.asn.as_ref().unwrap_or(&none));
        let mut classes = Classes::of(spec);
        let by_record: Vec<u32> = database.records().iter().map(|facts| classes.of_place(facts)).collect();
        let by_system: Vec<u32> = systems.records().iter().map(|facts| classes.of_system(facts)).collect();
        let of = |table: &[u32], record: u32| table.get(record as usize).copied().filter(|class| *class != NONE);
        let decide = |[subnet, system, place]: [u32; 3]| {
            let subnet = Some(subnet).filter(|class| *class != NONE);
            subnet.or(of(&by_system, system)).or(of(&by_record, place)).unwrap_or(0)
        };
        let ranges = |is_ipv6: bool, places: &[(u64, u32)], systems: &[(u64, u32)]| {
            Ranges::of(merge([&nested(classes.subnets(is_ipv6)), systems, places], decide))
        };
        let ipv4 = ranges(false, database.ipv4(), systems.ipv4());
        let ipv6 = ranges(true, database.ipv6(), systems.ipv6());
        Self { ipv4, ipv6, entries: spec.origins.len(), orders: classes.orders }
    }

    /// The class of a network.
    #[inline]
    pub fn find(&self, network: Network) -> Classed {
        let found = self.ranges(network).find(network.key);
        Classed { number: found.value, found }
    }

    /// The least number of leading bits of the address for which this class is that of all addresses that share them.
    pub fn scope(&self, network: Network, classed: Classed) -> u8 {
        self.ranges(network).scope(network.key, classed.found)
    }

    #[inline(always)]
    fn ranges(&self, network: Network) -> &Ranges {
        if network.is_ipv6 { &self.ipv6 } else { &self.ipv4 }
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        1 + self.entries + self.orders.len()
    }

    /// How many ranges of addresses there are, of IPv4 and of IPv6.
    pub fn ranges_held(&self) -> [usize; 2] {
        [self.ipv4.len(), self.ipv6.len()]
    }

    /// What the class with a number is.
    pub fn class(&self, number: u32) -> Class {
        match (number as usize).checked_sub(1) {
            None => Class::Default,
            Some(entry) if entry < self.entries => Class::Entry(entry),
            Some(other) => Class::Location(other - self.entries),
        }
    }

    /// The positions of the endpoints that have a location, nearest first, of a [`Class::Location`].
    pub fn order(&self, location: usize) -> &[u8] {
        self.orders.get(location).map_or(&[], |order| order)
    }
}

/// The numbers of the classes, while a map is compiled.
struct Classes<'s> {
    spec: &'s Spec,
    /// Those of all origins but subnets.
    by_origin: BTreeMap<Origin, u32>,
    /// Where the endpoints with a location are, as points of the unit sphere.
    points: Vec<(u8, [f64; 3])>,
    orders: Vec<Box<[u8]>>,
    known: HashMap<Box<[u8]>, u32>,
}

impl<'s> Classes<'s> {
    fn of(spec: &'s Spec) -> Self {
        let origins = spec.origins.iter().zip(1..);
        let by_origin = origins.map(|(origin, class)| (origin.clone(), class)).collect();
        let sites = spec.sites.iter().zip(0..);
        let points = sites.filter_map(|(site, at)| Some((at, point((*site)?.map(f64::from_bits))))).collect();
        Self { spec, by_origin, points, orders: Vec::new(), known: HashMap::new() }
    }

    /// The subnets of one family, as ranges take them.
    fn subnets(&self, is_ipv6: bool) -> Vec<(u64, u8, u32)> {
        let numbered = self.spec.origins.iter().zip(1..);
        let subnets = numbered.filter_map(|(origin, class)| {
            let Origin::Subnet(subnet) = origin else { return None };
            let network = Network::of(subnet.network());
            (network.is_ipv6 == is_ipv6).then_some((network.key, subnet.prefix_len().min(64), class))
        });
        subnets.collect()
    }

    /// The class that an autonomous system makes.
    fn of_system(&self, facts: &Facts) -> u32 {
        let system = facts.asn.and_then(|number| self.by_origin.get(&Origin::Asn(number)));
        system.copied().unwrap_or(NONE)
    }

    /// The class that all facts of the main database make.
    fn of_place(&mut self, facts: &Facts) -> u32 {
        let country = || self.by_origin.get(&Origin::Country(facts.country?)).copied();
        let continent = || self.by_origin.get(&Origin::Continent(facts.continent?)).copied();
        let named = Some(self.of_system(facts)).filter(|class| *class != NONE).or_else(country).or_else(continent);
        named.or_else(|| self.of_location(facts.location?)).unwrap_or(NONE)
    }

    /// The class of those to whom the endpoints are in the same order of distance.
    fn of_location(&mut self, location: (f64, f64)) -> Option<u32> {
        if self.points.is_empty() {
            return None;
        }
        let here = point(location.into());
        // The cosine of the angle between: the larger, the nearer.
        let nearness = |there: &[f64; 3]| here.iter().zip(there).map(|(a, b)| a * b).sum::<f64>();
        let mut order: Vec<(f64, u8)> = self.points.iter().map(|(at, there)| (nearness(there), *at)).collect();
        order.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let order: Box<[u8]> = order.into_iter().map(|(_, at)| at).collect();
        if let Some(class) = self.known.get(&order) {
            return Some(*class);
        }
        let class = (1 + self.spec.origins.len() + self.orders.len()) as u32;
        self.orders.push(order.clone());
        self.known.insert(order, class);
        Some(class)
    }
}

/// A location as a point of the unit sphere.
fn point(location: [f64; 2]) -> [f64; 3] {
    let [latitude, longitude] = location.map(f64::to_radians);
    [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
}
