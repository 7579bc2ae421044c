//! `grpc = { … }`.

use super::super::super::{GrpcProbe, ProbeKind};
use super::broker::read_identifier;
use super::keys::{TlsKeys, read_host};
use crate::diagnostic::Diagnostic;
use crate::document::Value;

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let mut table = value.table("`grpc`", "`grpc = { port = 50051 }`", problems)?;
    let port = table.setting("port", problems, Value::port);
    let service = table.setting("service", problems, read_identifier);
    let tls = table.setting("tls", problems, Value::flag).or(false);
    let host = table.setting("host", problems, read_host);
    let keys = TlsKeys::read(&mut table, problems);
    if !port.is_written() {
        table.missing("port", "add `port = 50051`", problems);
    }
    table.close(problems);
    let settings = keys.settings(tls, problems);
    Some(ProbeKind::Grpc(GrpcProbe {
        port: port.good()?,
        tls: settings?,
        host: host.optional()?,
        service: service.or(String::new())?,
    }))
}
