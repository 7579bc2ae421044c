//! A line of the query log: a JSON object a message.

use serde::Serialize;

use super::Entry;
use crate::dns::{Class, HEADER, Name, Rtype};

/// What a line says. What cannot be read of a message is left out.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// RFC 3339, UTC.
    time: String,
    client: String,
    port: Option<u16>,
    transport: &'static str,
    id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    rtype: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    query_octets: usize,
    /// `null` where nothing was sent.
    rcode: Option<String>,
    response_octets: usize,
    truncated: bool,
    /// Records in the answer section.
    answers: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    hub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
}

impl Line {
    pub(super) fn of(entry: &Entry) -> Self {
        let query = &*entry.query;
        let response = entry.response.as_ref().map(|(_, octets)| &**octets);
        let (name, rtype, class) = question(query).map_or((None, None, None), |(name, rtype, class)| {
            (Some(name.to_string()), Some(rtype.to_string()), Some(words(class)))
        });
        let (hub, region, epoch) = match &entry.hub {
            Some(told) => (Some(told.hub.clone()), told.region.clone(), Some(told.epoch)),
            None => (None, None, None),
        };
        let octet = |at: usize| response.and_then(|octets| octets.get(at)).copied().unwrap_or_default();
        Self {
            time: jiff::Timestamp::try_from(entry.at).map(|time| format!("{time:.6}")).unwrap_or_default(),
            client: entry.client.to_string(),
            port: entry.port,
            transport: entry.via.word(),
            id: query.first_chunk().map(|octets| u16::from_be_bytes(*octets)),
            name,
            rtype,
            class,
            query_octets: query.len(),
            rcode: entry.response.as_ref().map(|(rcode, _)| rcode.to_string()),
            response_octets: response.map_or(0, <[u8]>::len),
            truncated: octet(2) & 0x02 != 0,
            answers: u16::from_be_bytes([octet(6), octet(7)]),
            hub,
            region,
            epoch,
        }
    }
}

fn words(class: Class) -> String {
    match class {
        Class::IN => "IN".into(),
        Class(3) => "CH".into(),
        Class(255) => "ANY".into(),
        Class(other) => format!("CLASS{other}"),
    }
}

/// The question, where there is exactly one.
fn question(query: &[u8]) -> Option<(Name, Rtype, Class)> {
    let rest = query.get(HEADER..).filter(|_| query[4..6] == [0, 1])?;
    let (name, length) = Name::from_wire_prefix(rest).ok()?;
    let [a, b, c, d] = *rest.get(length..)?.first_chunk()?;
    Some((name, Rtype(u16::from_be_bytes([a, b])), Class(u16::from_be_bytes([c, d]))))
}
