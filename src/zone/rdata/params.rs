//! Service parameters of SVCB and HTTPS (RFC 9460 2.1, 7, 8), sorted by key whatever the order they are written in.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::codec::{self, Decoder};
use super::cursor::{Cursor, What, decimal, unescape};
use super::scan::put_u16;
use super::show::{Line, Octets};
use super::{RdataError, printable};
use crate::zone::lexer::{Kind, Token};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;

/// Keys by number (RFC 9460 14.3.2, RFC 9461 5, RFC 9848 3); others are written `keyNNNNN`.
const KEYS: [&str; 8] = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath"];

pub(super) fn scan(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let start = cursor.position();
    let mut params = BTreeMap::new();
    while !cursor.is_empty() {
        let token = cursor.token(what, "`key=value`")?;
        let (key, value) = param(cursor, &token)?;
        if params.insert(key, value).is_some() {
            let message = format!("second value for the parameter `{}`", name(key));
            return Err(RdataError::new(token.span(), message).hint("put all values in one list, joined by commas"));
        }
    }
    if out[..2] == [0, 0] && !params.is_empty() {
        // RFC 9460 2.4.2: recipients ignore them, so they cannot do what their author wants.
        let warning =
            RdataError::new(start..cursor.end(), "parameters beside priority 0 are ignored: it makes an alias");
        cursor.warnings.push(warning.hint("a service has a priority of at least 1"));
    }
    if let Some(problem) = inconsistency(&params) {
        return Err(RdataError::new(start..cursor.end(), problem));
    }
    for (key, value) in params {
        put_u16(key, out);
        let message = || format!("value of `{}` longer than 65535 octets", name(key));
        let length = u16::try_from(value.len()).map_err(|_| RdataError::new(start..cursor.end(), message()))?;
        put_u16(length, out);
        out.extend_from_slice(&value);
    }
    Ok(())
}

/// What the parameters say of each other that cannot be: RFC 9460 8 and 7.1.1.
fn inconsistency(params: &BTreeMap<u16, Vec<u8>>) -> Option<String> {
    if let Some(keys) = params.get(&MANDATORY) {
        let mut keys = keys.chunks_exact(2).map(|key| u16::from_be_bytes([key[0], key[1]]));
        if let Some(absent) = keys.find(|key| !params.contains_key(key)) {
            return Some(format!("the parameter `{}` is said to be mandatory and is not there", name(absent)));
        }
    }
    (params.contains_key(&NO_DEFAULT_ALPN) && !params.contains_key(&ALPN))
        .then(|| "`no-default-alpn` needs the parameter `alpn`".to_owned())
}

fn name(key: u16) -> String {
    KEYS.get(usize::from(key)).map_or_else(|| format!("key{key}"), |name| (*name).to_owned())
}

fn param(cursor: &Cursor<'_>, token: &Token) -> Result<(u16, Vec<u8>), RdataError> {
    let text = cursor.text_of(token);
    let equals = text.iter().position(|octet| *octet == b'=');
    let written = &text[..equals.unwrap_or(text.len())];
    let key = key_number(written).filter(|_| token.kind != Kind::Quoted).ok_or_else(|| {
        let span = token.start..token.start + written.len();
        let message = format!("bad parameter `{}`, expected a key such as `alpn` or `key65400`", printable(written));
        let error = RdataError::new(span, message);
        match cursor.suggest(&String::from_utf8_lossy(written), KEYS) {
            Some(key) if token.kind != Kind::Quoted => error.hint(format!("did you mean `{key}`?")),
            _ => error,
        }
    })?;
    let (raw, at) = match (equals, token.kind) {
        (None, _) => (&[][..], token.end),
        (Some(equals), Kind::Pair) if text[equals + 1] == b'"' => {
            (&text[equals + 2..text.len() - 1], token.start + equals + 2)
        }
        (Some(_), Kind::Pair) => {
            return Err(RdataError::new(
                token.span(),
                "a quote inside a value, expected quotes around the whole value",
            ));
        }
        (Some(equals), _) => (&text[equals + 1..], token.start + equals + 1),
    };
    let mut decoded = Vec::with_capacity(raw.len());
    unescape(raw, at, &mut decoded)?;
    let value = match (equals, KEYS.get(usize::from(key))) {
        (_, Some(_)) if written.starts_with(b"key") => decoded,
        (_, Some(_)) => encode(key, &decoded).ok_or_else(|| bad_value(key, token))?,
        _ => decoded,
    };
    if !is_valid(key, &value) {
        return Err(bad_value(key, token));
    }
    Ok((key, value))
}

fn bad_value(key: u16, token: &Token) -> RdataError {
    let expected = match key {
        MANDATORY => "a list of other keys, each once",
        ALPN => "a list of protocols such as `h2,h3`",
        NO_DEFAULT_ALPN => "no value",
        PORT => "a port from 0 to 65535",
        IPV4HINT => "a list of IPv4 addresses",
        ECH => "base 64",
        IPV6HINT => "a list of IPv6 addresses",
        _ => "a relative URI template with the variable `dns`, such as `/dns-query{?dns}`",
    };
    RdataError::new(token.span(), format!("bad value of `{}`, expected {expected}", name(key)))
}

/// RFC 9460 2.1: lower-case letters, digits and `-`; `keyNNNNN` without leading zeros; 65535 is reserved.
fn key_number(text: &[u8]) -> Option<u16> {
    if let Some(known) = KEYS.iter().position(|key| key.as_bytes() == text) {
        return Some(known as u16);
    }
    let digits = text.strip_prefix(b"key")?;
    let number = decimal(digits).filter(|_| digits == b"0" || !digits.starts_with(b"0"))?;
    u16::try_from(number).ok().filter(|number| *number != u16::MAX)
}

/// The wire form of a value whose escapes are resolved.
fn encode(key: u16, text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match key {
        MANDATORY => {
            let mut keys = split(text)?.iter().map(|key| key_number(key)).collect::<Option<Vec<_>>>()?;
            keys.sort_unstable();
            keys.into_iter().for_each(|key| put_u16(key, &mut out));
        }
        ALPN => {
            for protocol in split(text)? {
                out.push(u8::try_from(protocol.len()).ok()?);
                out.extend_from_slice(&protocol);
            }
        }
        PORT => put_u16(u16::try_from(decimal(text)?).ok()?, &mut out),
        IPV4HINT => {
            for address in std::str::from_utf8(text).ok()?.split(',') {
                out.extend_from_slice(&address.parse::<Ipv4Addr>().ok()?.octets());
            }
        }
        IPV6HINT => {
            for address in std::str::from_utf8(text).ok()?.split(',') {
                out.extend_from_slice(&address.parse::<Ipv6Addr>().ok()?.octets());
            }
        }
        ECH => {
            let mut decoder = Decoder::base64();
            decoder.decode(text, &mut out).filter(|()| decoder.is_complete())?;
        }
        _ => out.extend_from_slice(text),
    }
    Some(out)
}

/// RFC 9460 A.1: items joined by commas, where `\,` and `\\` stand for themselves; none is empty.
fn split(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut items, mut item) = (Vec::new(), Vec::new());
    let mut octets = text.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b',' => items.push(std::mem::take(&mut item)),
            b'\\' => item.push(*octets.next().filter(|octet| matches!(octet, b',' | b'\\'))?),
            other => item.push(*other),
        }
    }
    items.push(item);
    items.iter().all(|item| !item.is_empty()).then_some(items)
}

/// Whether the octets are a value of the key.
fn is_valid(key: u16, value: &[u8]) -> bool {
    match key {
        MANDATORY => {
            let keys: Vec<_> = value.chunks(2).collect();
            !keys.is_empty() && value.len().is_multiple_of(2) && value[..2] != [0, 0] && keys.is_sorted_by(|a, b| a < b)
        }
        ALPN => {
            let mut rest = value;
            while let Some((length, tail)) = rest.split_first() {
                match tail.split_at_checked(usize::from(*length)) {
                    Some((_, tail)) if *length > 0 => rest = tail,
                    _ => return false,
                }
            }
            !value.is_empty()
        }
        NO_DEFAULT_ALPN => value.is_empty(),
        PORT => value.len() == 2,
        IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
        IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
        ECH => !value.is_empty(),
        DOHPATH => value.starts_with(b"/") && std::str::from_utf8(value).is_ok_and(has_dns_variable),
        _ => true,
    }
}

/// RFC 9461 5: a template with the variable `dns`, in any form of expansion.
fn has_dns_variable(template: &str) -> bool {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).any(|(expression, _)| {
        let variables = expression.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        variables.split(',').any(|variable| variable == "dns")
    })
}

pub(super) fn show(octets: &mut Octets<'_>, line: &mut Line) -> Option<()> {
    let mut params = BTreeMap::new();
    while !octets.is_empty() {
        let (key, length) = (octets.u16()?, octets.u16()?);
        let value = octets.take(usize::from(length)).filter(|value| is_valid(key, value))?;
        if key == u16::MAX || params.last_key_value().is_some_and(|(previous, _)| *previous >= key) {
            return None;
        }
        params.insert(key, value.to_vec());
    }
    if inconsistency(&params).is_some() {
        return None;
    }
    for (key, value) in params {
        match value.as_slice() {
            [] => line.word(name(key)),
            value => line.word(format_args!("{}={}", name(key), shown(key, value))),
        }
    }
    Some(())
}

fn shown(key: u16, value: &[u8]) -> String {
    match key {
        MANDATORY => joined(value.chunks(2).map(|key| name(u16::from_be_bytes([key[0], key[1]])))),
        ALPN => quoted(&escaped_list(value)),
        PORT => joined(value.chunks(2).map(|port| u16::from_be_bytes([port[0], port[1]]).to_string())),
        IPV4HINT => joined(value.chunks(4).map(|a| Ipv4Addr::new(a[0], a[1], a[2], a[3]).to_string())),
        IPV6HINT => joined(value.as_chunks::<16>().0.iter().map(|address| Ipv6Addr::from(*address).to_string())),
        ECH => quoted(codec::base64(value).as_bytes()),
        _ => quoted(value),
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

fn quoted(octets: &[u8]) -> String {
    let mut text = String::new();
    codec::quote(octets, &mut text);
    text
}

/// Protocols joined by commas, with the list's own escapes.
fn escaped_list(mut value: &[u8]) -> Vec<u8> {
    let mut list = Vec::new();
    while let Some((length, tail)) = value.split_first() {
        let (protocol, rest) = tail.split_at(usize::from(*length));
        if !list.is_empty() {
            list.push(b',');
        }
        for octet in protocol {
            if matches!(octet, b',' | b'\\') {
                list.push(b'\\');
            }
            list.push(*octet);
        }
        value = rest;
    }
    list
}
