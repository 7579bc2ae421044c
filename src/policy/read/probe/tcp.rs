//! `tcp = { … }`.

use super::super::super::{ProbeKind, TcpProbe};
use super::keys::read_text;
use crate::diagnostic::Diagnostic;
use crate::document::Value;

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let mut table = value.table("`tcp`", "`tcp = { port = 8883 }`", problems)?;
    let port = table.setting("port", problems, Value::port);
    if !port.is_written() {
        table.missing("port", "add `port = 8883`", problems);
    }
    let send = table.setting("send", problems, read_send);
    let expect = table.setting("expect", problems, read_expect);
    table.close(problems);
    Some(ProbeKind::Tcp(TcpProbe { port: port.good()?, send: send.optional()?, expect: expect.optional()? }))
}

fn read_send(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    read_text(value, "a text of 1 to 2048 octets that is sent", "such as \"PING\\r\\n\", or leave `send` out", problems)
}

fn read_expect(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "a text of 1 to 2048 octets that the peer must send";
    read_text(value, EXPECTED, "such as \"PONG\", or leave `expect` out", problems)
}
