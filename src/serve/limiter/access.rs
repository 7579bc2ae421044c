//! Who is answered at all.
//!
//! Pure.

use ipnet::IpNet;

use crate::answer::client::Client;
use crate::config::{self, Denial};

/// Prefixes, the longest first.
#[derive(Debug)]
pub(super) struct Access {
    /// With whether its clients are answered.
    prefixes: Box<[(IpNet, bool)]>,
    /// Whether those in none of them are.
    otherwise: bool,
    /// What becomes of the queries of others.
    pub(super) denial: Denial,
}

impl Access {
    /// As configured; `None` where everybody is answered.
    pub(super) fn of(access: &config::Access) -> Option<Self> {
        let config::Access { allow, deny, denial } = access;
        let allowed = allow.iter().map(|prefix| (*prefix, true));
        let mut prefixes: Vec<_> = deny.iter().map(|prefix| (*prefix, false)).chain(allowed).collect();
        // Stable: what is both denied and allowed is denied.
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.prefix_len()));
        let some = !prefixes.is_empty();
        some.then(|| Self { prefixes: prefixes.into(), otherwise: allow.is_empty(), denial: *denial })
    }

    /// Whether a client is answered.
    pub(super) fn allows(&self, client: Client) -> bool {
        let address = client.ip();
        let found = self.prefixes.iter().find(|(prefix, _)| prefix.contains(&address));
        found.map_or(self.otherwise, |(_, allowed)| *allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(allow: &[&str], deny: &[&str]) -> Option<Access> {
        let prefixes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Access::of(&config::Access { allow: prefixes(allow), deny: prefixes(deny), denial: Denial::Refuse })
    }

    #[test]
    fn the_longest_prefix_decides_and_without_one_whether_any_are_allowed() {
        let check = |allow: &[&str], deny: &[&str], expected: &[(&str, bool)]| {
            let access = access(allow, deny).unwrap();
            for (address, allowed) in expected {
                assert_eq!(access.allows(Client::at(address.parse().unwrap())), *allowed, "{address}");
            }
        };
        check(&[], &["192.0.2.0/24"], &[("192.0.2.1", false), ("192.0.3.1", true), ("2001:db8::1", true)]);
        check(&["192.0.2.0/24"], &[], &[("192.0.2.1", true), ("::ffff:192.0.2.1", true), ("2001:db8::1", false)]);
        check(&["10.1.0.0/16"], &["10.0.0.0/8"], &[("10.1.2.3", true), ("10.2.2.3", false), ("192.0.2.1", false)]);
        check(&["10.0.0.0/8"], &["10.1.0.0/16"], &[("10.1.2.3", false), ("10.2.2.3", true)]);
        check(&["10.0.0.0/8"], &["10.0.0.0/8"], &[("10.1.2.3", false)]);
        check(&[], &["2001:db8::53/128"], &[("2001:db8::53", false), ("2001:db8::54", true)]);
        assert!(access(&[], &[]).is_none());
    }
}
