//! Keys that several kinds of probe have.

use std::path::PathBuf;

use super::super::super::{ClientCertificate, DialFrom, Secret, TlsSettings};
use super::MOST_TEXT;
use crate::diagnostic::Diagnostic;
use crate::dns::Name;
use crate::document::{Setting, Table, Value};

/// The keys of [`TlsSettings`], of a table that may have them whether TLS is spoken or not.
pub(super) struct TlsKeys {
    ca: Setting<PathBuf>,
    cert: Setting<PathBuf>,
    key: Setting<PathBuf>,
    name: Option<Setting<String>>,
}

impl TlsKeys {
    /// `ca`, `cert` and `key`.
    pub(super) fn read(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Self {
        Self {
            ca: table.setting("ca", problems, Value::path),
            cert: table.setting("cert", problems, Value::path),
            key: table.setting("key", problems, Value::path),
            name: None,
        }
    }

    /// And `name`.
    pub(super) fn named(self, table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Self {
        Self { name: Some(table.setting("name", problems, read_host)), ..self }
    }

    /// The settings if TLS is spoken, and nothing if it is not; `None` when something is wrong. Without TLS each key is an
    /// error, and so is half a client certificate.
    pub(super) fn settings(self, tls: Option<bool>, problems: &mut Vec<Diagnostic>) -> Option<Option<TlsSettings>> {
        let places = [
            ("ca", self.ca.place()),
            ("cert", self.cert.place()),
            ("key", self.key.place()),
            ("name", self.name.as_ref().and_then(Setting::place)),
        ];
        if !tls? {
            let mut good = true;
            for (key, place) in places {
                let Some(place) = place else { continue };
                let sentence = format!("`{key}` has no effect without TLS, expected `tls = true` beside it");
                let hint = format!("add `tls = true`, or remove `{key}`");
                problems.push(Diagnostic::error(place, sentence).hint(hint));
                good = false;
            }
            return good.then_some(None);
        }
        let halves = [("cert", "key", self.cert.place()), ("key", "cert", self.key.place())];
        if let [(here, other, Some(place)), (_, _, None)] | [(_, _, None), (here, other, Some(place))] = &halves {
            let sentence = format!("`{here}` has no effect without `{other}`: a client certificate is both");
            let hint = format!("add `{other}`, or remove `{here}`");
            problems.push(Diagnostic::error(place.clone(), sentence).hint(hint));
            return None;
        }
        let client = match (self.cert.optional()?, self.key.optional()?) {
            (Some(cert), Some(key)) => Some(ClientCertificate { cert, key }),
            _ => None,
        };
        let name = self.name.map_or(Some(None), Setting::optional)?;
        Some(Some(TlsSettings { ca: self.ca.optional()?, client, name }))
    }
}

/// A host name without the final dot (RFC 6066 3), or an address.
pub(super) fn read_host(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "a host name without port and final dot, or an address";
    const EXAMPLE: &str = "such as \"hub.example.net\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    let host_name = Name::parse(text, Some(&Name::root())).is_ok()
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_'))
        && !text.ends_with('.');
    if !host_name && text.parse::<std::net::IpAddr>().is_err() {
        let problem = value.mismatch(EXPECTED, EXAMPLE);
        problems.push(match text.strip_suffix('.') {
            Some(name) if !name.is_empty() => problem.hint(format!("write \"{}\"", crate::document::escaped(name))),
            _ => problem,
        });
        return None;
    }
    Some(text.into())
}

/// A text of 1 to 2048 octets.
pub(super) fn read_text(
    value: &Value<'_>,
    expected: &str,
    example: &str,
    problems: &mut Vec<Diagnostic>,
) -> Option<String> {
    let text = value.text(expected, example, problems)?;
    if text.is_empty() || text.len() > MOST_TEXT {
        problems.push(value.mismatch(expected, example));
        return None;
    }
    Some(text.into())
}

/// `{ file = "…" }` or `{ env = "…" }`: a secret itself is refused, and not repeated.
pub(super) fn read_secret(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Secret> {
    let hint = "write `{ file = \"secret.txt\" }` or `{ env = \"NAME\" }`";
    if !value.is_table() {
        let sentence = format!("{} is to say where the secret stands, not what it is", value.what());
        problems.push(value.error(sentence).hint(hint));
        return None;
    }
    let mut table = value.table(value.what(), "", problems)?;
    let file = table.setting("file", problems, Value::path);
    let env = table.setting("env", problems, read_variable);
    let secret = match (file.is_written(), env.is_written()) {
        (false, false) => {
            table.missing_one(&["file", "env"], "place of the secret", hint, problems);
            None
        }
        (true, true) => {
            let sentence = format!("{} has two places, `file` and `env`, expected exactly one", value.what());
            problems.push(value.error(sentence).hint("remove one"));
            None
        }
        _ => file.good().map(Secret::File).or(env.good().map(Secret::Env)),
    };
    table.close(problems);
    secret
}

pub(super) fn read_variable(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "the name of an environment variable";
    const EXAMPLE: &str = "such as \"PROBE_PASSWORD\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    let good = text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_');
    if text.is_empty() || !good {
        problems.push(value.mismatch(EXPECTED, EXAMPLE));
        return None;
    }
    Some(text.into())
}

/// An address of this machine, or `{ interface = "eth1" }`.
pub(super) fn read_source(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<DialFrom> {
    const EXPECTED: &str = "an address of this machine, or an interface";
    const EXAMPLE: &str = "such as \"192.0.2.7\" or `{ interface = \"eth1\" }`";
    if value.is_table() {
        let mut table = value.table("`source`", EXAMPLE, problems)?;
        let interface = table.setting("interface", problems, read_interface);
        if !interface.is_written() {
            table.missing("interface", "add `interface = \"eth1\"`", problems);
        }
        table.close(problems);
        return interface.good().map(DialFrom::Interface);
    }
    let address = value.as_text().and_then(|text| text.parse().ok());
    if address.is_none() {
        problems.push(value.mismatch(EXPECTED, EXAMPLE));
    }
    address.map(DialFrom::Address)
}

fn read_interface(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "the name of a network interface, of 1 to 15 octets";
    const EXAMPLE: &str = "such as \"eth1\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    let good = text.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'/');
    if !(1..=15).contains(&text.len()) || !good {
        problems.push(value.mismatch(EXPECTED, EXAMPLE));
        return None;
    }
    Some(text.into())
}
