//! Values of the network: names, addresses, ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Value, quoted};
use crate::diagnostic::Diagnostic;
use crate::dns::{Name, NameError};

impl Value<'_> {
    /// A port that something listens on.
    pub(crate) fn port(&self, problems: &mut Vec<Diagnostic>) -> Option<u16> {
        self.integer(1..=65_535, problems).and_then(|port| u16::try_from(port).ok())
    }

    /// An absolute domain name.
    pub(crate) fn name(&self, problems: &mut Vec<Diagnostic>) -> Option<Name> {
        let text = self.text("a domain name", "an absolute name such as \"www.example.net.\"", problems)?;
        match absolute_name(self.what(), text) {
            Ok(name) => Some(name),
            Err((message, hint)) => {
                problems.push(self.error(message).hint(hint));
                None
            }
        }
    }

    /// An address that a service can have.
    pub(crate) fn address(&self, problems: &mut Vec<Diagnostic>) -> Option<IpAddr> {
        const EXAMPLE: &str = "such as \"192.0.2.1\" or \"2001:db8::1\"";
        let text = self.text("an IP address", EXAMPLE, problems)?;
        let problem = match text.parse::<IpAddr>() {
            Ok(address) => match unusable(address) {
                None => return Some(address),
                Some((what, hint)) => self.error(format!("{} is {what} {address}", self.what())).hint(hint),
            },
            Err(_) => {
                let problem = self.mismatch("an IP address", EXAMPLE);
                match text.parse::<SocketAddr>() {
                    Ok(socket) => problem.hint(format!("the port belongs to the probe: write \"{}\"", socket.ip())),
                    Err(_) => problem,
                }
            }
        };
        problems.push(problem);
        None
    }

    /// An address with a port; without one, `port` is taken, if there is one.
    pub(crate) fn socket_address(&self, port: Option<u16>, problems: &mut Vec<Diagnostic>) -> Option<SocketAddr> {
        let text = self.text("an address and port", "such as \"127.0.0.1:5300\" or \"[::1]:5300\"", problems)?;
        let bare = text.parse::<IpAddr>().ok();
        let address = text.parse::<SocketAddr>().ok().or(bare.zip(port).map(SocketAddr::from));
        if address.is_none() {
            let example = match bare {
                Some(address) => format!("the port too: \"{}\"", SocketAddr::from((address, 53))),
                None => "such as \"127.0.0.1:5300\" or \"[::1]:5300\"".into(),
            };
            problems.push(self.mismatch("an address and port", &example));
        }
        address
    }
}

/// Reads a name that has to be absolute. `Err` is the sentence and the hint.
pub(crate) fn absolute_name(what: &str, text: &str) -> Result<Name, (String, String)> {
    match Name::parse(text, None) {
        Ok(name) => Ok(name),
        Err(NameError::Relative) if text != "@" => Err((
            format!("{what} {} is a relative name, expected an absolute one", quoted(text)),
            format!("write \"{text}.\""),
        )),
        Err(NameError::Relative) => Err((
            format!("{what} {} has no origin here", quoted(text)),
            "write the zone's name with a final dot".into(),
        )),
        Err(error) => Err((
            format!("{what} {} is not a domain name: {error}", quoted(text)),
            "write an absolute name such as \"www.example.net.\"".into(),
        )),
    }
}

/// Why nothing can be reached at `address`, and what to write instead.
pub(crate) fn unusable(address: IpAddr) -> Option<(&'static str, String)> {
    let hint = || String::from("write the address of the service");
    match address {
        _ if address.is_unspecified() => Some(("the unspecified address", hint())),
        _ if address.is_multicast() => Some(("the multicast address", hint())),
        IpAddr::V4(Ipv4Addr::BROADCAST) => Some(("the broadcast address", hint())),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map(|v4| ("the IPv4-mapped address", format!("write \"{v4}\""))),
        IpAddr::V4(_) => None,
    }
}
