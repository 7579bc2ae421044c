//! `exec = { command = ["PROGRAM", "ARGUMENT"] }`: the same as that of a gate.

use super::super::super::ProbeKind;
use super::super::call;
use crate::diagnostic::Diagnostic;
use crate::document::Value;

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    call::read_exec(value, problems).map(ProbeKind::Exec)
}
