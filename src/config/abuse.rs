//! `[rate_limit]` and `[access]`: how much is answered, and to whom.

use crate::diagnostic::Diagnostic;
use crate::document::Table;

use super::read::{narrow, prefixes};
use super::units::octets;
use super::{Access, Denial, RateLimit};

/// Octets of the table of networks, by default and at most.
const TABLE: u32 = 1 << 20;
const TABLES: std::ops::RangeInclusive<u32> = 64 << 10..=1 << 30;

pub(super) fn read_rate_limit(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<RateLimit> {
    let mut number = |key, range| table.setting(key, problems, |value, problems| value.integer(range, problems));
    let per_second = number("responses_per_second", 0..=100_000);
    let burst = number("burst", 1..=1_000_000);
    let slip = number("slip", 0..=10);
    let ipv4_prefix = number("ipv4_prefix", 1..=32);
    let ipv6_prefix = number("ipv6_prefix", 1..=64);
    let exempt = table.setting("exempt", problems, prefixes);
    let octets = table.setting("table", problems, |value, problems| octets(value, TABLES, problems));
    let per_second = narrow(per_second.or(0))?;
    Some(RateLimit {
        responses_per_second: per_second,
        burst: match burst.optional()? {
            Some(burst) => narrow(Some(burst))?,
            None => per_second,
        },
        slip: narrow(slip.or(2))?,
        ipv4_prefix: narrow(ipv4_prefix.or(24))?,
        ipv6_prefix: narrow(ipv6_prefix.or(56))?,
        exempt: exempt.or(Vec::new())?,
        table: octets.or(TABLE)?,
    })
}

pub(super) fn read_access(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Access> {
    const DENIALS: [(&str, Denial); 2] = [("refuse", Denial::Refuse), ("drop", Denial::Drop)];
    let allow = table.setting("allow", problems, prefixes);
    let deny = table.setting("deny", problems, prefixes);
    let denial = table.setting("action", problems, |value, problems| value.word(&DENIALS, problems));
    Some(Access { allow: allow.or(Vec::new())?, deny: deny.or(Vec::new())?, denial: denial.or(Denial::Refuse)? })
}
