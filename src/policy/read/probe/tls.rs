//! `tls = { … }`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::super::{ProbeKind, TlsProbe};
use super::keys::TlsKeys;
use crate::diagnostic::Diagnostic;
use crate::document::{Value, show_duration};

const EXPIRY: RangeInclusive<Duration> = Duration::from_hours(1)..=Duration::from_hours(24 * 365);
const DEFAULT_WARN: Duration = Duration::from_hours(24 * 14);

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let mut table = value.table("`tls`", "`tls = { port = 8883 }`", problems)?;
    let port = table.setting("port", problems, Value::port);
    let keys = TlsKeys::read(&mut table, problems).named(&mut table, problems);
    let fail = table.setting("expiry_fail", problems, |value, problems| value.duration(EXPIRY, problems));
    let warn = table.setting("expiry_warn", problems, |value, problems| value.duration(EXPIRY, problems));
    table.close(problems);
    if let (Some((fail, _)), Some((warn, place))) = (fail.placed(), warn.placed())
        && fail >= warn
    {
        let (fail, warn) = (show_duration(*fail), show_duration(*warn));
        let message = format!("`expiry_warn` is {warn}, not longer than the `expiry_fail` of {fail}");
        let hint = format!("write more than \"{fail}\", for a warning that comes too late is none");
        problems.push(Diagnostic::error(place.clone(), message).hint(hint));
    }
    let settings = keys.settings(Some(true), problems);
    let expiry_fail = fail.optional()?;
    Some(ProbeKind::Tls(TlsProbe {
        port: port.or(443)?,
        settings: settings??,
        expiry_fail,
        expiry_warn: warn.or(DEFAULT_WARN.max(expiry_fail.unwrap_or_default()))?,
    }))
}
