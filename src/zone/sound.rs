//! What holds for every master file of `example.net.`, whatever its octets: for the properties and the fuzzer. Panics where
//! something does not hold.

use std::io;
use std::path::Path;

use super::reader::{FAST, Way};
use super::window::Sizes;
use super::{Open, Rrset, Zone, display_rdata, read, read_in};
use crate::diagnostic::{Diagnostic, has_errors};
use crate::dns::Name;

/// The file that is read; every other that it includes is [`INCLUDED`].
pub(crate) const MAIN: &str = "a.zone";

/// The text of every other file.
pub(crate) const INCLUDED: &str = "i A 192.0.2.1\n";

fn name(text: &str) -> Name {
    Name::parse(text, None).expect("a name")
}

fn opening<'a>(text: &'a [u8]) -> impl FnMut(&Path) -> io::Result<Box<dyn io::Read>> + 'a {
    |path| Ok(Box::new(io::Cursor::new(if path == MAIN { text.to_vec() } else { INCLUDED.into() })))
}

/// There is a zone or an error, and a zone survives being written. Returns what is said of the file.
pub(crate) fn hold(text: &[u8]) -> Vec<Diagnostic> {
    let apex = name("example.net.");
    let (zone, diagnostics) = read(Path::new(MAIN), &apex, &mut opening(text));
    assert_eq!(zone.is_none(), has_errors(&diagnostics));
    for place in diagnostics.iter().filter_map(|diagnostic| diagnostic.place.as_ref()) {
        assert!(place.line >= 1 && place.column >= 1 && place.width >= 1);
    }
    let Some(zone) = zone else { return diagnostics };
    // Written out and read again, it is the same zone.
    let mut written = String::new();
    for Rrset { owner, rtype, ttl, rdatas } in zone.rrsets() {
        for rdata in rdatas {
            written += &format!("{owner} {ttl} {rtype} {}\n", display_rdata(rtype, &rdata));
        }
    }
    let open: &mut Open<'_> = &mut |path| match path.to_str() {
        Some("b.zone") => Ok(Box::new(io::Cursor::new(written.clone()))),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let (again, problems) = read(Path::new("b.zone"), &apex, open);
    let again = again.unwrap_or_else(|| panic!("{written}\n{problems:?}"));
    let records = |zone: &Zone| zone.rrsets().map(|rrset| (rrset.owner.to_string(), rrset)).collect::<Vec<_>>();
    assert_eq!(records(&zone), records(&again));
    diagnostics
}

/// Octet by octet and word by word, files are read as they are fast.
pub(crate) fn hold_any_way(text: &[u8]) {
    let hubs = ["a.example.net.", "b.c.example.net."].map(name).into();
    let read = |way| {
        let (zone, diagnostics) = read_in(way, Path::new(MAIN), &name("example.net."), &hubs, &mut opening(text));
        (zone.map(|zone| (zone.positions.clone(), zone.rrsets().collect::<Vec<_>>())), diagnostics)
    };
    let fast = read(FAST);
    for (first, next, plain) in [(1, 1, false), (3, 40, true)] {
        assert_eq!(fast, read(Way { sizes: Sizes { first, next }, plain }));
    }
}
