//! `tcp = { … }`.

use super::super::super::{ProbeKind, TcpProbe};
use crate::diagnostic::Diagnostic;
use crate::document::Value;

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let mut table = value.table("`tcp`", "`tcp = { port = 8883 }`", problems)?;
    let port = table.setting("port", problems, Value::port);
    if !port.is_written() {
        table.missing("port", "add `port = 8883`", problems);
    }
    table.close(problems);
    Some(ProbeKind::Tcp(TcpProbe { port: port.good()? }))
}
