//! Master files (RFC 1035 5) to the records of a zone, with every problem of a file at once.
//!
//! ```text
//! file ─► window ─► lexer ─► reader ─► collect ─► store ─► check ─► Zone
//!              └─► plain ─────►│ │                           └─► locate (reads again where the records of a problem are)
//!                             │  └─► rdata (one table of formats for every type, both ways)
//!                             └─► directive ($INCLUDE reads on, generate makes records)
//! ```
//!
//! An error costs its logical line only, so that one pass finds all of them; a zone is given out when there is none.
//! Of a file, a part of 256 KiB is in memory at a time, and of a record nothing but its place in the tree is kept: a
//! problem that only the whole zone shows is given its place by reading the files once more.
//! Pure: files are opened by a function that the caller hands in.
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
mod collect;
mod directive;
mod generate;
mod header;
mod lexer;
mod locate;
mod plain;
mod rdata;
mod reader;
mod report;
pub(crate) mod rrset;
#[cfg(any(test, fuzzing))]
pub(crate) mod sound;
pub(crate) mod store;
mod ttl;
mod window;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::dns::{Name, Rtype};
use check::Files;
use collect::{Collected, Collector};
use store::Tree;

pub use rdata::{RdataError, display_rdata, parse_rdata};

/// Opens a file by its path.
pub type Open<'a> = dyn FnMut(&Path) -> io::Result<Box<dyn Read>> + 'a;

/// A zone as its master file says it, checked.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The name of the zone.
    pub apex: Name,
    /// The master file, then the files that it includes: what [`Position::file`] counts.
    pub files: Vec<Arc<Path>>,
    /// The names with their records.
    pub(crate) tree: Tree,
    /// Where the first record of each type stands, at and above the hubs.
    pub(crate) positions: Positions,
}

/// The records of one owner, class IN and type.
///
/// For RRSIG, records that cover different types stand together here; each has the TTL that its RDATA holds
/// (RFC 4034 3.1.4), and the TTL here is that of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rrset {
    /// The owner as it is written where it comes first.
    pub owner: Name,
    /// The type.
    pub rtype: Rtype,
    /// Seconds, at most 2^31 - 1 (RFC 2181 8): the lowest of the records' (RFC 2181 5.2).
    pub ttl: u32,
    /// The RDATA of each record, uncompressed, without duplicates (RFC 2181 5), in the order of the file.
    pub rdatas: Vec<Box<[u8]>>,
}

/// A line of one of a zone's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Index into [`Zone::files`].
    pub file: u16,
    /// Line, from 1.
    pub line: u32,
}

/// Positions by owner, in lower-case wire form, and type.
pub(crate) type Positions = BTreeMap<Box<[u8]>, BTreeMap<Rtype, Position>>;

impl Zone {
    /// All RRsets, in canonical order of their owners (RFC 4034 6.1), then of their types.
    pub fn rrsets(&self) -> impl Iterator<Item = Rrset> {
        self.tree.canonical().into_iter().flat_map(move |node| {
            let owner = node.name();
            node.rrsets().iter().map(move |rrset| Rrset {
                rtype: rrset.rtype(),
                ttl: rrset.ttl(),
                rdatas: rrset.rdatas(&owner, &self.apex),
                owner: owner.clone(),
            })
        })
    }

    /// A zone of owners, types, TTLs and RDATA, each in a line of its own.
    #[cfg(test)]
    pub(crate) fn of_records(apex: &Name, file: &str, records: &[(Name, Rtype, u32, Box<[u8]>)]) -> Self {
        let (mut builder, mut positions) = (store::Builder::new(apex), Positions::new());
        for (line, (owner, rtype, ttl, rdata)) in (1..).zip(records) {
            builder.add(owner.wire(), &[store::Entry { rtype: *rtype, ttl: *ttl, rdata }]);
            let position = Position { file: 0, line };
            positions.entry(owner.key()).or_default().entry(*rtype).or_insert(position);
        }
        let tree = builder.finish().unwrap();
        Self { apex: apex.clone(), files: vec![Path::new(file).into()], tree, positions }
    }

    /// Where the first record of a type stands, for a name that is a hub of [`read_beside_hubs`] or above one.
    pub fn position(&self, owner: &Name, rtype: Rtype) -> Option<Position> {
        self.positions.get(&*owner.key())?.get(&rtype).copied()
    }
}

/// Reads the master file at `path` and checks the zone that it makes. `apex` is the zone's name and the file's first
/// origin.
///
/// `open` opens `path` itself and the files of `$INCLUDE`, whose paths are resolved against the folder of the including
/// file; a file may be opened several times. There is no zone when there is an error among the diagnostics, which are in
/// order of files and lines, at most 1,000 a file.
pub fn read(path: &Path, apex: &Name, open: &mut Open<'_>) -> (Option<Zone>, Vec<Diagnostic>) {
    read_beside_hubs(path, apex, &BTreeSet::new(), open)
}

/// [`read`] where the policy has hubs: a record that points at one is not told that its target has no address, and
/// where the records at and above each stand is kept.
pub fn read_beside_hubs(
    path: &Path,
    apex: &Name,
    hubs: &BTreeSet<Name>,
    open: &mut Open<'_>,
) -> (Option<Zone>, Vec<Diagnostic>) {
    read_in(reader::FAST, path, apex, hubs, open)
}

fn read_in(
    way: reader::Way,
    path: &Path,
    apex: &Name,
    hubs: &BTreeSet<Name>,
    open: &mut Open<'_>,
) -> (Option<Zone>, Vec<Diagnostic>) {
    let mut collector = Collector::new(apex, hubs);
    let reader::Content { mut report, files, complete } = match reader::read(path, apex, open, &mut collector, way) {
        Ok(content) => content,
        Err((content, error)) => {
            let problem = Diagnostic::without_place(format!("cannot read {}: {error}", path.display()));
            let others = content.report.finish(&content.files, open);
            return (None, [problem].into_iter().chain(others).collect());
        }
    };
    let Collected { tree, positions, uneven } = match collector.finish() {
        Ok(collected) => collected,
        Err(error) => return (None, vec![Diagnostic::without_place(format!("{}: {error}", path.display()))]),
    };
    let findings = check::check(&tree, hubs, Files { complete, has_one: files.len() == 1 }, &uneven);
    locate::report(&tree, findings, path, open, way, &mut report);
    let has_errors = report.has_errors();
    let diagnostics = report.finish(&files, open);
    let zone = (!has_errors).then(|| Zone { apex: apex.clone(), files, tree, positions });
    (zone, diagnostics)
}
