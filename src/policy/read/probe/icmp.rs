//! `icmp = {}`.

use super::super::super::ProbeKind;
use crate::diagnostic::Diagnostic;
use crate::document::Value;

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    for entry in value.table("`icmp`", "`icmp = {}`", problems)?.named() {
        let message = format!("`icmp` has no keys, and so no `{}`", crate::document::escaped(entry.key));
        problems.push(Diagnostic::error(entry.place(), message).hint("write `icmp = {}`"));
    }
    Some(ProbeKind::Icmp)
}
