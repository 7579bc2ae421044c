//! Who asks, as far as an answer depends on it: the network, never the port.
//!
//! Resolvers behind one IPv4 address, or in one /64 of IPv6, are one client: the /64 is what a site gives to one link,
//! whose hosts change their addresses within it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::geo::Network;

/// Octets of an IPv6 address that tell clients apart.
const IPV6_PREFIX: usize = 8;

/// Puts IPv4 addresses where no IPv6 client can be: at the prefix of IPv4-mapped addresses (RFC 4291 2.5.5.2).
const MAPPED: u64 = 0xffff << 32;

/// Least TTL of a hub's own RRsets, seconds, however much is taken off it.
pub(super) const LEAST_TTL: u32 = 5;

/// The network that a query comes from. Made once for a datagram or a connection.
#[derive(Clone, Copy)]
pub struct Client {
    network: u64,
    /// The lower half of an IPv6 address: no answer depends on it, but a cookie does (RFC 9018 4.4).
    host: u64,
    lot: u32,
    trusted: bool,
}

/// The address of a client alone, as is kept of one from query to query.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Source {
    network: u64,
    host: u64,
}

/// An address as a cookie is made for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    V4(u32),
    V6([u64; 2]),
}

impl Source {
    /// The client, trusted with nothing.
    #[inline]
    pub fn client(self) -> Client {
        Client { network: self.network, host: self.host, lot: 0, trusted: false }
    }
}

/// Clients of one network are one.
impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        (self.network, self.lot, self.trusted) == (other.network, other.lot, other.trusted)
    }
}

impl Eq for Client {}

/// What a hub without an active region selects by: the network that an answer is for, and a draw.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    network: u64,
    lot: u32,
}

impl Client {
    /// The client at an address.
    #[inline]
    pub fn at(address: IpAddr) -> Self {
        Self { network: network(address), host: host(address), lot: 0, trusted: false }
    }

    /// The client with what is drawn for one of its queries: the next of [`Lots`].
    #[inline]
    pub fn with_lot(self, lot: u32) -> Self {
        Self { lot, ..self }
    }

    /// The client, whose word on whom it asks for is taken (RFC 7871 11.3), or not.
    #[inline]
    pub fn trusted(self, trusted: bool) -> Self {
        Self { trusted, ..self }
    }

    /// What there is to keep of it; that it is trusted is kept elsewhere.
    #[inline]
    pub fn source(self) -> Source {
        Source { network: self.network, host: self.host }
    }

    /// Whether its word on whom it asks for is taken.
    #[inline]
    pub fn is_trusted(self) -> bool {
        self.trusted
    }

    /// The whole address.
    #[inline(always)]
    pub(super) fn address(self) -> Address {
        match self.network >> 32 == MAPPED >> 32 {
            true => Address::V4(self.network as u32),
            false => Address::V6([self.network, self.host]),
        }
    }

    /// Its address.
    pub fn ip(self) -> IpAddr {
        match self.address() {
            Address::V4(address) => Ipv4Addr::from_bits(address).into(),
            Address::V6([upper, lower]) => Ipv6Addr::from_bits(u128::from(upper) << 64 | u128::from(lower)).into(),
        }
    }

    /// What hubs select by, where the client asks for itself.
    #[inline]
    pub fn origin(self) -> Origin {
        Origin { network: self.network, lot: self.lot }
    }

    /// The network of so many bits that it is in: of IPv4 at most 32, of IPv6 at most 64.
    pub fn within(self, ipv4: u8, ipv6: u8) -> u64 {
        let upper = |bits: u8| u64::MAX.checked_shl(64 - u32::from(bits.min(64))).unwrap_or(0);
        match self.address() {
            // Below the prefix of IPv4-mapped addresses.
            Address::V4(_) => self.network & upper(32 + ipv4.min(32)),
            Address::V6([network, _]) => network & upper(ipv6),
        }
    }

    /// A number for this client that depends on `key`, from all of its bits evenly. The same in every process.
    #[inline]
    pub fn hash(self, key: u64) -> u64 {
        mix(self.network ^ key)
    }

    /// A number that is cheaper than [`Client::hash`], and of which the upper bits are as even: to take one of so many clients.
    #[inline]
    pub fn draw(self, key: u64) -> u64 {
        (self.network ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// The TTL that this client is given instead of `ttl`: lower by up to `percent` of it, in whole seconds.
    ///
    /// `hub` is a number for the hub, so that a client that is early for one is late for another.
    #[cold]
    #[inline(never)]
    pub(super) fn ttl(self, ttl: u32, percent: u8, hub: u32) -> u32 {
        // As a fraction of 2^32.
        let share = self.hash(u64::from(hub) << 32 | u64::from(hub)) >> 32;
        let most = u128::from(ttl) * u128::from(percent);
        let less = (most * u128::from(share) / (100 << 32)) as u32;
        ttl.saturating_sub(less).max(LEAST_TTL.min(ttl))
    }
}

impl Origin {
    /// That of a query for the network of an address, with what was drawn.
    pub fn of(address: IpAddr, lot: u32) -> Self {
        Self { network: network(address), lot }
    }

    /// The same draw for another IPv4 address.
    pub(super) fn at_ipv4(self, address: u32) -> Self {
        Self { network: MAPPED | u64::from(address), ..self }
    }

    /// The same draw for the network of another IPv6 address, its upper half. It is one of IPv6 whatever it is, and where no
    /// client can be all networks are one.
    pub(super) fn at_ipv6(self, network: u64) -> Self {
        Self { network: if network >> 32 == MAPPED >> 32 { 0 } else { network }, ..self }
    }

    /// The network.
    #[inline]
    pub(super) fn network(self) -> Network {
        match self.network >> 32 == MAPPED >> 32 {
            true => Network { key: self.network << 32, is_ipv6: false },
            false => Network { key: self.network, is_ipv6: true },
        }
    }

    /// A number for one query and `key`, evenly out of all: over all lots each comes once.
    #[inline]
    pub fn draw(self, key: u32) -> u32 {
        // The finalizer of MurmurHash3 for 32 bits, which is a permutation.
        let mut state = self.lot ^ key;
        state = (state ^ (state >> 16)).wrapping_mul(0x85eb_ca6b);
        state = (state ^ (state >> 13)).wrapping_mul(0xc2b2_ae35);
        state ^ (state >> 16)
    }
}

/// Draws for queries, one after the other, for one worker: a Weyl sequence, of which `Origin::draw` makes numbers, so that
/// a query that no draw is made for costs one addition.
#[derive(Debug)]
pub struct Lots(u32);

impl Lots {
    /// Begins at a number; workers begin at different ones.
    pub fn from(seed: u32) -> Self {
        Self(seed)
    }

    /// The next.
    #[inline]
    pub fn draw(&mut self) -> u32 {
        // Odd, and as near as can be to 2^32 divided by the golden ratio: all numbers come, in no order to speak of.
        self.0 = self.0.wrapping_add(0x9e37_79b9);
        self.0
    }
}

/// The bits of an address that tell clients apart.
#[inline]
fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => MAPPED | u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let prefix: [u8; IPV6_PREFIX] = *address.octets().first_chunk().unwrap_or(&[0; IPV6_PREFIX]);
            u64::from_be_bytes(prefix)
        }
    }
}

/// The bits of an IPv6 address behind those; none of an IPv4 address.
#[inline]
fn host(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(_) => 0,
        // Of an IPv4-mapped one it is never asked for.
        IpAddr::V6(address) => address.to_bits() as u64,
    }
}

/// The finalizer of SplitMix64: each bit of the input turns about half of those of the output.
#[inline]
pub(super) fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// The address is not shown, and the draw is of no use without it.
impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Origin")
    }
}

/// As little is shown of it as of a client.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

/// The address is not shown: what is kept of clients is kept hashed.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn client(address: &str) -> Client {
        Client::at(address.parse().unwrap())
    }

    #[test]
    fn clients_are_ipv4_addresses_and_ipv6_networks() {
        let same = |one: &str, other: &str| client(one) == client(other);
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("192.0.2.1", "::192.0.2.1"));
        assert_eq!(format!("{:?}", client("192.0.2.1")), "Client");
    }

    #[test]
    fn a_client_has_its_address_and_its_networks() {
        for address in ["192.0.2.1", "2001:db8:1:2::3", "::192.0.2.1"] {
            assert_eq!(client(address).ip(), address.parse::<IpAddr>().unwrap());
        }
        assert_eq!(client("::ffff:192.0.2.1").ip(), IpAddr::from([192, 0, 2, 1]));
        let same = |one: &str, other: &str| client(one).within(24, 56) == client(other).within(24, 56);
        assert!(same("192.0.2.1", "192.0.2.255"));
        assert!(!same("192.0.2.1", "192.0.3.1"));
        assert!(same("2001:db8:0:ff::1", "2001:db8::"));
        assert!(!same("2001:db8:0:100::1", "2001:db8::"));
        assert!(!same("192.0.2.1", "::192.0.2.1"));
        assert!(client("192.0.2.1").within(32, 64) != client("192.0.2.2").within(32, 64));
        assert!(client("192.0.2.1").within(0, 0) == client("198.51.100.1").within(0, 0));
    }

    /// Two servers, and one before and after a restart, give the same TTL: the numbers are part of the behaviour.
    #[test]
    fn the_share_of_a_client_stays_the_same() {
        let ttls =
            |hub| ["192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1"].map(|at| client(at).ttl(300, 50, hub));
        assert_eq!(ttls(1), TTLS[0]);
        assert_eq!(ttls(2), TTLS[1]);
    }

    /// Worked out by other code.
    const TTLS: [[u32; 4]; 2] = [[274, 270, 281, 222], [276, 244, 229, 222]];

    #[test]
    fn ttls_spread_evenly_between_the_least_and_the_full_one() {
        let given = |ttl, percent| -> Vec<u32> {
            (0..10_000_u32).map(|at| Client::at(IpAddr::V4((0x0a00_0000 + at).into())).ttl(ttl, percent, 7)).collect()
        };
        let check = |ttl, percent, expected: std::ops::RangeInclusive<u32>| {
            let ttls: BTreeSet<u32> = given(ttl, percent).into_iter().collect();
            assert_eq!(ttls, expected.collect(), "{ttl} s less {percent} %");
        };
        check(30, 0, 30..=30);
        check(30, 20, 25..=30);
        check(30, 50, 16..=30);
        check(6, 50, 5..=6);
        check(5, 50, 5..=5);
        check(9, 50, 5..=9);
        // What is below the least is not made more.
        check(3, 50, 3..=3);
        let ttls = given(30, 20);
        for ttl in 25..=30 {
            let share = ttls.iter().filter(|given| **given == ttl).count();
            assert!((1_500..1_850).contains(&share), "{share} of 10,000 clients are given {ttl} s");
        }
        let largest = Client::at(IpAddr::V4(1.into())).ttl(86_400, 50, 7);
        assert!((43_200..=86_400).contains(&largest));
    }

    #[test]
    fn a_client_that_is_early_for_one_hub_is_not_so_for_all() {
        let ttls: BTreeSet<u32> = (0..100).map(|hub| client("192.0.2.1").ttl(300, 50, hub * 0x0123_4567)).collect();
        assert!(ttls.len() > 50, "{ttls:?}");
    }
}
