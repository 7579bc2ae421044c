//! `[geo]`: the databases that say where a client is, and the hubs that need them.

use super::super::{GeoFile, GeoSettings};
use super::hub::Draft;
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Setting, Table, Value};

/// `[geo]` of one file, as far as it could be read.
pub(super) struct GeoDraft {
    place: Place,
    database: Setting<GeoFile>,
    asn: Setting<GeoFile>,
}

pub(super) fn read(mut table: Table<'_>, place: Place, problems: &mut Vec<Diagnostic>) -> GeoDraft {
    let file = |value: &Value<'_>, problems: &mut Vec<Diagnostic>| {
        value.path(problems).map(|path| GeoFile { path, place: value.place() })
    };
    let database = table.setting("database", problems, file);
    let asn = table.setting("asn", problems, file);
    if table.lacks(&["database", "asn"]) {
        let problem = Diagnostic::error(place.clone(), "`geo` names no database, expected `database` or `asn`");
        problems.push(problem.hint("add `database = \"GeoLite2-City.mmdb\"`, relative to this file's folder"));
    }
    table.close(problems);
    GeoDraft { place, database, asn }
}

/// The one `[geo]` of all files, and whether the hubs have what they need. `broken`: a file could not be read to its end.
pub(super) fn merge(
    drafts: &[&GeoDraft],
    hubs: &[Draft],
    broken: bool,
    problems: &mut Vec<Diagnostic>,
) -> Option<GeoSettings> {
    if let [first, second, ..] = drafts {
        let problem = Diagnostic::error(second.place.clone(), "`geo` is defined twice, and there is one for all hubs");
        problems.push(problem.related(first.place.clone(), "first defined here").hint("keep one of the two"));
    }
    let first = drafts.first();
    let database = first.map_or(Some(None), |first| first.database.clone().optional());
    let asn = first.map_or(Some(None), |first| first.asn.clone().optional());
    let lacks = |file: &Option<Option<GeoFile>>| !broken && *file == Some(None);
    let needs = || hubs.iter().map(|hub| &hub.needs);
    let missing = |place: &Place, what: &str, key: &str, example: &str| {
        let problem = Diagnostic::error(place.clone(), format!("{what} needs `{key}` in `[geo]`, and there is none"));
        problem.hint(format!("write `[geo]` and `{key} = \"{example}\"`, relative to the file's folder"))
    };
    // The first hub that needs it is enough to say so.
    if let Some((what, place)) = needs().find_map(|needs| needs.database.as_ref()).filter(|_| lacks(&database)) {
        problems.push(missing(place, what, "database", "GeoLite2-City.mmdb"));
    }
    if let Some(place) = needs().find_map(|needs| needs.asn.as_ref()).filter(|_| lacks(&asn)) {
        problems.push(missing(place, "`asn`", "asn", "GeoLite2-ASN.mmdb"));
    }
    if !broken {
        let unused = [
            ("database", &database, needs().all(|needs| needs.database.is_none())),
            ("asn", &asn, needs().all(|needs| needs.asn.is_none())),
        ];
        for (key, file, is_unused) in unused {
            if let (Some(Some(file)), true) = (file, is_unused) {
                let message = format!("`{key}` is read for nothing: no hub selects by it");
                problems.push(Diagnostic::warning(file.place.clone(), message).hint("remove it"));
            }
        }
    }
    Some(GeoSettings { database: database?, asn: asn? })
}
