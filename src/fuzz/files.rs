//! The texts that people write: master files, policies, configurations. Each is read or refused, what is said of it points
//! into it and can be shown, and what is read can be worked with.

use std::path::Path;
use std::sync::Arc;

use crate::answer::compile::compile;
use crate::answer::snapshot::{Choice, Snapshot, What};
use crate::cli::render::render;
use crate::diagnostic::{Diagnostic, Place, Source, has_errors};
use crate::dns::Name;
use crate::policy::{Hub, usable};
use crate::zone::Zone;
use crate::zone::sound::{INCLUDED, MAIN, hold, hold_any_way};
use crate::{config as configuration, policy as policies, zone};

/// Longer texts are left alone: what is wrong with them can be said with less.
const LONGEST: usize = 64 << 10;

/// What policies of the corpus are for.
const ZONES: [(&str, &str); 2] = [
    ("example.net.", include_str!("../../zones/example.net.zone")),
    ("example.org.", "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.80\nalias CNAME www\n"),
];

/// A master file of `example.net.`, whose included files all hold the same record.
///
/// # Panics
/// Where what is read is not what is written, or depends on the way in which it is read, or a problem's place is not there.
pub fn master(octets: &[u8]) {
    if octets.len() > LONGEST || generates_much(octets) {
        return;
    }
    let diagnostics = hold(octets);
    can_be_shown(&diagnostics, |path| {
        Some(if path == Path::new(MAIN) { octets.to_vec() } else { INCLUDED.as_bytes().to_vec() })
    });
    hold_any_way(octets);
}

/// Whether a `$GENERATE` may make more records than are worth the time: a million is what a zone may have of them.
fn generates_much(text: &[u8]) -> bool {
    let generates = text.windows(9).any(|window| window.eq_ignore_ascii_case(b"$generate"));
    generates && text.split(|octet| !octet.is_ascii_digit()).any(|number| number.len() > 3)
}

/// A policy file.
///
/// # Panics
/// Where the policy that is read cannot be answered from, or a problem's place is not there.
pub fn policy(octets: &[u8]) {
    if octets.len() > LONGEST {
        return;
    }
    let sources = [Source::new("zones/hubs.toml", octets)];
    let hubs = policies::hub_names(&sources);
    let mut zones: Vec<Zone> = Vec::new();
    for (apex, text) in ZONES {
        let (path, apex) = (format!("zones/{apex}zone"), Name::parse(apex, None).expect("a name"));
        let (zone, problems) =
            zone::read_beside_hubs(Path::new(&path), &apex, &hubs, &mut |_| Ok(Box::new(text.as_bytes())));
        zones.push(zone.unwrap_or_else(|| panic!("{problems:?}")));
    }
    let (policy, problems) = policies::read(&sources, &zones);
    assert_eq!(policy.is_none(), has_errors(&problems), "{problems:?}");
    can_be_shown(&problems, |path| {
        let zone = || ZONES.iter().find(|(apex, _)| path == Path::new(&format!("zones/{apex}zone")));
        if *path == *sources[0].path { Some(octets.to_vec()) } else { Some(zone()?.1.as_bytes().to_vec()) }
    });
    let Some(policy) = policy else { return };
    for hub in policy.hubs.keys() {
        assert!(hubs.contains(hub), "{hub} is a hub, and was not seen as one");
    }
    // What is too much for the server is refused here, and not by the reader.
    let Ok(content) = compile(zones.into_iter().map(|zone| zone.tree).collect(), &policy) else { return };
    let choice = |hub: &Arc<Hub>| match hub.selection.is_stateless() {
        true => Choice::of(What::Among(usable::every(hub.endpoints.len()))),
        false => Choice::endpoint(0),
    };
    let choices = policy.hubs.values().map(choice).collect();
    let snapshot = Snapshot::new(1, Arc::new(content), choices).unwrap_or_else(|refused| panic!("{refused:?}"));
    for at in 0..policy.hubs.len() {
        assert!(snapshot.full_ttl(at).is_some(), "hub {at}");
    }
}

/// A configuration file.
///
/// # Panics
/// Where a problem's place is not there.
pub fn config(octets: &[u8]) {
    if octets.len() > LONGEST {
        return;
    }
    let source = Source::new("config/concierge.toml", octets);
    let (config, problems) = configuration::read(&source);
    assert_eq!(config.is_none(), has_errors(&problems), "{problems:?}");
    can_be_shown(&problems, |path| (*path == *source.path).then(|| octets.to_vec()));
    if let Some(config) = config {
        assert_eq!(configuration::zones(&source), Some(config.zones));
    }
}

/// Every place is one of a file, and the terminal can show it.
fn can_be_shown(diagnostics: &[Diagnostic], text_of: impl Fn(&Path) -> Option<Vec<u8>>) {
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.is_empty(), "{diagnostic:?}");
        let related = diagnostic.related.iter().map(|(place, _)| place);
        for place in diagnostic.place.iter().chain(related) {
            let text = text_of(&place.path).unwrap_or_else(|| panic!("no such file: {diagnostic:?}"));
            is_inside(place, &text);
        }
    }
    let shown = render(diagnostics, false);
    assert_eq!(shown.is_empty(), diagnostics.is_empty());
}

fn is_inside(place: &Place, text: &[u8]) {
    let Some(line) = text.split(|octet| *octet == b'\n').nth(place.line - 1) else {
        panic!("no line {} in {:?}: {place:?}", place.line, String::from_utf8_lossy(text));
    };
    let line = String::from_utf8_lossy(line);
    assert!(place.text.is_empty() || place.text == line.trim_end(), "{place:?} is not {line:?}");
    // The end of a line can be meant, too.
    let characters = line.chars().count();
    assert!(place.column <= characters + 1, "{place:?} in {line:?}");
    assert!(place.column - 1 + place.width <= characters.max(place.column), "{place:?} in {line:?}");
}
