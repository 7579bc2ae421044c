//! Record sets that do not depend on anything: a master file.

use std::fmt::Write as _;

use super::sets::{Set, Zone};

/// The first lines of the file.
pub(super) fn head(zone: &Zone) -> String {
    format!(
        "; {} from Route 53. Its SOA and NS records name Route 53's servers: write the new ones before the delegation moves.\n\
         $ORIGIN {}\n",
        zone.apex, zone.apex
    )
}

/// The records of a set; types whose names may be relative are absolute already, or are made so.
pub(super) fn records(name: &str, set: &Set) -> String {
    let mut text = String::new();
    let ttl = set.ttl.unwrap_or(300);
    for value in &set.values {
        let _ = writeln!(text, "{name} {ttl} IN {} {}", set.rtype, rdata(&set.rtype, value));
    }
    text
}

/// RDATA with its names made absolute: Route 53 takes a name without its final dot for an absolute one.
pub(super) fn rdata(rtype: &str, value: &str) -> String {
    // Which of the words is a name.
    let name_at = match rtype {
        "CNAME" | "NS" | "PTR" => 0,
        "MX" => 1,
        "SRV" => 3,
        _ => return value.into(),
    };
    let words = value.split_whitespace().enumerate().map(|(at, word)| match word.ends_with('.') {
        false if at == name_at => format!("{word}."),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}
