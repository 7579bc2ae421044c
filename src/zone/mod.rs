//! Master files (RFC 1035 5) to the records of a zone, with every problem of a file at once.
//!
//! ```text
//! text ─► lexer ─► reader ─────────────────────► tree ─► check ─► Zone
//!                   │  └─► rdata (one table of formats for every type, both ways)
//!                   └─► directive ($INCLUDE reads on, generate makes records)
//! ```
//!
//! An error costs its logical line only, so that one pass finds all of them; a zone is given out when there is none.
//! Pure: the text is an argument and files to include come from a function that the caller hands in.
//!
//! What the standards leave open is answered as BIND answers it: a `$TTL` in an included file stays in force after it
//! (RFC 2308 4 speaks of what follows, whatever file it is in), a record without any TTL takes that of the record before
//! or the SOA's minimum, and a record outside the zone is ignored with a warning. Unlike BIND, a path in `$INCLUDE` starts
//! at the including file, a TTL above 2^31 - 1 and data below a DNAME or beside a cut are errors, name servers without
//! an address are warned of only, and differing TTLs of an RRset become the lowest. The lists in the integration tests
//! name the rest.
//!
//! Deliberately absent: classes other than IN, rules for host names (an `A` record may stand at `_a`), and any judgement
//! of DNSSEC records beyond their form (a zone that was signed elsewhere loads as it is).

mod check;
mod directive;
mod generate;
mod header;
mod lexer;
mod rdata;
mod reader;
mod report;
pub(crate) mod rrset;
pub(crate) mod store;
mod tree;
mod ttl;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Source};
use crate::dns::{Name, Rtype};

pub use rdata::{RdataError, display_rdata, parse_rdata};

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

/// Reads a master file and checks the zone that it makes. `apex` is the zone's name and the file's first origin.
///
/// `include` reads a file for `$INCLUDE`; it gets the path resolved against the folder of the including file. There is
/// no zone when there is an error among the diagnostics, which are in order of files and lines, at most 1,000 a file.
pub fn read(
    source: Source,
    apex: &Name,
    include: &mut dyn FnMut(&Path) -> std::io::Result<Vec<u8>>,
) -> (Option<Zone>, Vec<Diagnostic>) {
    read_beside_hubs(source, apex, &BTreeSet::new(), include)
}

/// [`read`] where the policy has hubs: a record that points at one is not told that its target has no address.
pub fn read_beside_hubs(
    source: Source,
    apex: &Name,
    hubs: &BTreeSet<Name>,
    include: &mut dyn FnMut(&Path) -> std::io::Result<Vec<u8>>,
) -> (Option<Zone>, Vec<Diagnostic>) {
    let mut content = reader::read(source, apex, include);
    let tree = content.draft.into_tree();
    check::check(&tree, apex, hubs, content.complete, &mut content.report);
    let zone = (!content.report.has_errors()).then(|| Zone {
        apex: apex.clone(),
        nodes: tree.into_nodes(),
        files: content.files.iter().map(|source| source.path.clone()).collect(),
    });
    (zone, content.report.finish(&content.files))
}
