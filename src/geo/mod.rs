//! Where a client is: an address to the class that a hub's map has for it.
//!
//! ```text
//! MaxMind DB file ──► Database ──┐
//!                                ├──► ClassMap: sorted ranges of addresses, each of one class
//! map of a hub ─────► Spec ──────┘       └─ class(origin) -> class, and how many bits of the address it took
//! ```
//!
//! Whatever takes time is done when a map is compiled: the databases are walked once, every record of them is put into
//! its class once, and neighbours of the same class become one range. A look-up is an index and a short binary search,
//! whatever the databases hold. Hubs whose maps are equal share one [`ClassMap`].
//!
//! Addresses are keys of 64 bits, left-aligned: an IPv4 address, or the upper half of an IPv6 one. What a site does within
//! its /64 is its own matter. Deliberately absent: memory-mapped files (no safe way), and the database after the maps are
//! compiled, which would be most of the memory of the process.
//!
//! [`database`] reads files; everything else is pure.

pub mod database;
mod map;
mod ranges;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use database::{Database, Databases, Facts};
pub use map::{Class, ClassMap, Classed, Spec};

/// A client's address as far as it counts: the network, of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address, left-aligned; of IPv6 the upper half.
    pub(crate) key: u64,
    /// Whether it is an IPv6 one.
    pub(crate) is_ipv6: bool,
}

impl Network {
    /// Bits of an IPv6 address that count.
    pub const IPV6_BITS: u8 = 64;

    /// That of an address; an IPv4-mapped one (RFC 4291 2.5.5.2) counts as IPv4.
    pub fn of(address: std::net::IpAddr) -> Self {
        match address.to_canonical() {
            std::net::IpAddr::V4(v4) => Self { key: u64::from(v4.to_bits()) << 32, is_ipv6: false },
            std::net::IpAddr::V6(v6) => Self { key: (v6.to_bits() >> 64) as u64, is_ipv6: true },
        }
    }
}
