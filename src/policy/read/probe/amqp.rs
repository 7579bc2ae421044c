//! `amqp = { … }`.

use super::super::super::{AmqpProbe, ProbeKind, Sasl};
use super::broker::{read_hostname, read_identifier, read_password, read_username, say_in_clear};
use super::keys::TlsKeys;
use crate::diagnostic::Diagnostic;
use crate::document::Value;

/// The words for a mechanism.
#[derive(Clone, Copy, PartialEq)]
enum Mechanism {
    None,
    Anonymous,
    Plain,
    External,
}

const MECHANISMS: [(&str, Mechanism); 4] = [
    ("plain", Mechanism::Plain),
    ("external", Mechanism::External),
    ("anonymous", Mechanism::Anonymous),
    ("none", Mechanism::None),
];

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let mut table = value.table("`amqp`", "`amqp = { port = 5671, tls = true }`", problems)?;
    let port = table.setting("port", problems, Value::port);
    let tls = table.setting("tls", problems, Value::flag).or(false);
    let host = table.setting("host", problems, read_hostname);
    let container_id = table.setting("container_id", problems, read_identifier);
    let sasl = table.setting("sasl", problems, |value, problems| value.word(&MECHANISMS, problems));
    let username = table.setting("username", problems, read_username);
    let password = table.setting("password", problems, read_password);
    let keys = TlsKeys::read(&mut table, problems).named(&mut table, problems);
    table.close(problems);
    let settings = keys.settings(tls, problems);
    if let (Some((5671, place)), Some(false)) = (port.placed(), tls) {
        let problem = Diagnostic::warning(place.clone(), "port 5671 is probed without TLS");
        problems.push(problem.hint("add `tls = true`"));
    }
    say_in_clear(&password, tls, problems);

    let credentials = [("username", username.place()), ("password", password.place())];
    let usual =
        if credentials.iter().any(|(_, place)| place.is_some()) { Mechanism::Plain } else { Mechanism::Anonymous };
    let (place, mechanism) = (sasl.place(), sasl.or(usual)?);
    let mut good = true;
    let mut refuse = |place, message: String, hint: String| {
        problems.push(Diagnostic::error(place, message).hint(hint));
        good = false;
    };
    for (key, written) in credentials {
        match (mechanism, written) {
            (Mechanism::Plain, None) => {
                let beside = place.clone().or(username.place()).or(password.place());
                let place = beside.unwrap_or_else(|| value.place());
                refuse(
                    place,
                    format!("`amqp` has no `{key}`, which the mechanism `plain` needs"),
                    format!("add `{key}`"),
                );
            }
            (Mechanism::Plain, Some(_)) | (_, None) => {}
            (_, Some(place)) => {
                let message = format!("`{key}` has no effect but with the mechanism `plain`");
                refuse(place, message, format!("remove `{key}`, or write `sasl = \"plain\"`"));
            }
        }
    }
    let settings = settings?;
    let shows = settings.as_ref().is_some_and(|settings| settings.client.is_some());
    if let (Mechanism::External, Some(place), false) = (mechanism, place, shows) {
        let message = "the mechanism `external` has no effect without a client certificate";
        refuse(place, message.to_owned(), "add `tls = true`, `cert` and `key`".to_owned());
    }
    if !good {
        return None;
    }
    let sasl = match mechanism {
        Mechanism::None => Sasl::None,
        Mechanism::Anonymous => Sasl::Anonymous,
        Mechanism::External => Sasl::External,
        Mechanism::Plain => Sasl::Plain { username: username.good()?, password: password.good()? },
    };
    Some(ProbeKind::Amqp(AmqpProbe {
        port: port.or(if settings.is_some() { 5671 } else { 5672 })?,
        tls: settings,
        host: host.optional()?,
        container_id: container_id.optional()?,
        sasl,
    }))
}
