//! What one client may use: connections at once, handshakes a second.
//!
//! A client is an IPv4 address or an IPv6 /64, as in [`Client`]. Memory is bounded: connections are counted by client
//! only while they are open, and the rate of handshakes is kept in a table of fixed size, in which clients share places.
//!
//! Pure: time is an argument.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::answer::client::Client;

/// Locks that connections are counted under; one is taken when a connection opens and when it closes.
const SHARDS: usize = 16;

/// Places of the table of rates.
const PLACES: usize = 2048;

/// Clients counted once, after which the memory of many is given back.
const KEPT: usize = 64;

/// Prefixes of addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes(Arc<[IpNet]>);

impl Prefixes {
    pub(super) fn of(prefixes: &[IpNet]) -> Self {
        Self(prefixes.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of them; an IPv4-mapped one is that of IPv4.
    pub(super) fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|prefix| prefix.contains(&address))
    }
}

/// How many connections each client has open.
#[derive(Debug)]
pub(super) struct Clients {
    most: u32,
    unlimited: Prefixes,
    /// Nobody knows it: which clients share a lock cannot be chosen.
    key: u64,
    shards: [Mutex<HashMap<u64, u32>>; SHARDS],
}

/// What became of a connection that asked to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It counts, until [`Clients::leave`].
    Counted,
    /// Its client has no limit.
    Unlimited,
    /// Its client has as many as it may.
    Refused,
}

impl Clients {
    pub(super) fn new(most: u32, unlimited: Prefixes, key: u64) -> Self {
        Self { most, unlimited, key, shards: Default::default() }
    }

    /// Whether the limits of one client are not for this one.
    pub(super) fn is_unlimited(&self, address: IpAddr) -> bool {
        self.unlimited.include(address)
    }

    pub(super) fn enter(&self, address: IpAddr) -> Entry {
        if self.unlimited.include(address) {
            return Entry::Unlimited;
        }
        let client = Client::at(address).hash(self.key);
        let mut shard = self.shard(client).lock().unwrap_or_else(PoisonError::into_inner);
        let open = shard.entry(client).or_default();
        match *open < self.most {
            true => {
                *open += 1;
                Entry::Counted
            }
            false => Entry::Refused,
        }
    }

    /// Notes that a connection that was counted has ended.
    pub(super) fn leave(&self, client: Client) {
        let client = client.hash(self.key);
        let mut shard = self.shard(client).lock().unwrap_or_else(PoisonError::into_inner);
        match shard.get_mut(&client) {
            Some(open) if *open > 1 => *open -= 1,
            Some(_) => {
                shard.remove(&client);
                if shard.is_empty() && shard.capacity() > KEPT {
                    shard.shrink_to_fit();
                }
            }
            None => debug_assert!(false, "a connection that was not counted has left"),
        }
    }

    fn shard(&self, client: u64) -> &Mutex<HashMap<u64, u32>> {
        &self.shards[client as usize % SHARDS]
    }

    /// Connections counted.
    #[cfg(test)]
    pub(super) fn open(&self) -> u32 {
        self.shards.iter().map(|shard| shard.lock().unwrap().values().sum::<u32>()).sum()
    }
}

/// How often each client may begin a handshake: so many a second, and as many at once after a pause.
///
/// A client has two places of the table, by a hash that nobody can foresee, and the one that is used less says what it has
/// used; so a client is held up by others only when they share both.
#[derive(Debug)]
pub(super) struct Rate {
    /// Microseconds that one takes.
    each: u64,
    key: u64,
    begun: Instant,
    /// For each place, when all that was allowed there would be over at the rate; microseconds since `begun`.
    places: Box<[AtomicU64]>,
}

/// What may be saved up, and is then allowed at once.
const BURST: Duration = Duration::from_secs(1);

impl Rate {
    pub(super) fn new(per_second: u32, key: u64, begun: Instant) -> Self {
        let places = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { each: 1_000_000 / u64::from(per_second.max(1)), key, begun, places }
    }

    /// Whether a client may begin another, which then counts.
    pub(super) fn allows(&self, client: Client, now: Instant) -> bool {
        let hash = client.hash(self.key);
        let places = [hash, hash >> 32].map(|hash| &self.places[hash as usize % PLACES]);
        let now = micros(now.saturating_duration_since(self.begun));
        let over =
            places.map(|place| place.load(Ordering::Relaxed)).into_iter().min().unwrap_or(0).max(now) + self.each;
        let allowed = over <= now + micros(BURST);
        if allowed {
            // Each at least to that: what others have used of one place is not this client's.
            for place in places {
                place.fetch_max(over, Ordering::Relaxed);
            }
        }
        allowed
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a moment to begin with")]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn prefixes(text: &[&str]) -> Prefixes {
        Prefixes::of(&text.iter().map(|prefix| prefix.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn a_client_is_refused_beyond_its_limit_and_others_are_not() {
        let clients = Clients::new(2, prefixes(&["192.0.2.53/32"]), 7);
        let check = |at, expected| assert_eq!(clients.enter(address(at)), expected, "{at}");
        check("192.0.2.1", Entry::Counted);
        check("::ffff:192.0.2.1", Entry::Counted);
        check("192.0.2.1", Entry::Refused);
        check("192.0.2.2", Entry::Counted);
        check("2001:db8::1", Entry::Counted);
        check("2001:db8::2", Entry::Counted);
        check("2001:db8::3", Entry::Refused);
        check("2001:db8:0:1::3", Entry::Counted);
        (0..3).for_each(|_| check("192.0.2.53", Entry::Unlimited));
        clients.leave(Client::at(address("192.0.2.1")));
        check("192.0.2.1", Entry::Counted);
        check("192.0.2.1", Entry::Refused);
    }

    #[test]
    fn nothing_is_kept_of_clients_that_have_left() {
        let clients = Clients::new(2, Prefixes::default(), 7);
        let all = || (0..10_000_u32).map(|at| IpAddr::V4((0x0a00_0000 + at).into()));
        assert!(all().all(|at| clients.enter(at) == Entry::Counted));
        assert_eq!(clients.open(), 10_000);
        all().for_each(|at| clients.leave(Client::at(at)));
        assert_eq!(clients.open(), 0);
        assert!(clients.shards.iter().all(|shard| shard.lock().unwrap().capacity() <= KEPT));
    }

    #[test]
    fn a_client_has_its_rate_and_as_many_at_once() {
        let begun = Instant::now();
        let rate = Rate::new(10, 7, begun);
        let allowed = |at: &str, millis| {
            let now = begun + Duration::from_millis(millis);
            (0..100).filter(|_| rate.allows(Client::at(address(at)), now)).count()
        };
        assert_eq!(allowed("192.0.2.1", 0), 10);
        assert_eq!(allowed("192.0.2.1", 99), 0);
        assert_eq!(allowed("192.0.2.1", 100), 1);
        assert_eq!(allowed("192.0.2.1", 600), 5);
        assert_eq!(allowed("192.0.2.2", 600), 10);
        assert_eq!(allowed("192.0.2.1", 60_000), 10);
    }

    #[test]
    fn a_flood_of_clients_holds_few_others_up() {
        let begun = Instant::now();
        let rate = Rate::new(10, 7, begun);
        for flooding in 0..200_u32 {
            let at = Client::at(IpAddr::V4((0xc633_6400 + flooding).into()));
            while rate.allows(at, begun) {}
        }
        let others = (0..1000_u32).map(|at| Client::at(IpAddr::V4((0x0a00_0000 + at).into())));
        let refused = others.filter(|at| !rate.allows(*at, begun)).count();
        assert!(refused < 50, "{refused} of 1,000");
    }
}
