//! Master files (RFC 1035 5) to the records of a zone, with every problem of a file at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::dns::{Name, Rtype};

/// A zone as its master file says it: checked, in canonical order, RDATA in uncompressed wire form.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The name of the zone.
    pub apex: Name,
    /// The records by owner name in canonical order, then by type.
    pub nodes: BTreeMap<Name, BTreeMap<Rtype, Rrset>>,
    /// The master file, then the files that it includes: what [`Position::file`] counts.
    pub files: Vec<Arc<Path>>,
}

/// The records of one owner, class IN and type.
///
/// For RRSIG, records that cover different types stand together here; each then keeps its own TTL in its RDATA only
/// (RFC 4034 3.1.4), and the TTL here is the lowest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rrset {
    /// Seconds, at most 2^31 - 1 (RFC 2181 8).
    pub ttl: u32,
    /// The RDATA of each record, uncompressed, without duplicates (RFC 2181 5), in the order of the file.
    pub rdatas: Vec<Box<[u8]>>,
    /// Where the first of the records stands.
    pub position: Position,
}

/// A line of one of a zone's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Index into [`Zone::files`].
    pub file: u16,
    /// Line, from 1.
    pub line: u32,
}
