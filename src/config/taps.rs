//! `[dnstap]` and `[query_log]`: what is shown of the messages that pass.

use super::edns::text;
use super::{Dnstap, QueryLog};
use crate::diagnostic::Diagnostic;
use crate::document::Table;

/// One message in so many, at most.
const MOST_SAMPLE: i64 = 1_000_000_000;

/// Octets of a name that a receiver is told.
const MOST_IDENTITY: usize = 255;

pub(super) fn read_dnstap(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Dnstap> {
    let socket = table.setting("socket", problems, |value, problems| value.path(problems));
    let file = table.setting("file", problems, |value, problems| value.path(problems));
    let identity = table.setting("identity", problems, |value, problems| text(value, MOST_IDENTITY, problems));
    let sample = sample(table, 1, problems);
    Some(Dnstap {
        socket: socket.optional()?,
        file: file.optional()?,
        identity: identity.or(String::new())?,
        sample: sample?,
    })
}

pub(super) fn read_query_log(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<QueryLog> {
    let file = table.setting("file", problems, |value, problems| value.path(problems));
    let sample = sample(table, 100, problems);
    Some(QueryLog { file: file.optional()?, sample: sample? })
}

fn sample(table: &mut Table<'_>, default: i64, problems: &mut Vec<Diagnostic>) -> Option<u32> {
    let sample = table.setting("sample", problems, |value, problems| value.integer(1..=MOST_SAMPLE, problems));
    u32::try_from(sample.or(default)?).ok()
}
