//! What a request asks for, beside its path. Pure.

use std::time::Duration;

use axum::http::Version;
use axum::http::header::{ACCEPT, HOST, HeaderMap, HeaderName, IF_NONE_MATCH};
use axum::http::uri::Authority;

use super::tag::{Seen, Tag};
use crate::document::parse_duration;

/// Longest wait for a switch; a longer one is shortened to it.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// In what form a hub's document is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// As server-sent events.
    pub(super) stream: bool,
    /// As JWS Compact Serialization.
    pub(super) jose: bool,
}

/// The form that a client accepts: JSON, unless it names another.
pub(super) fn form(headers: &HeaderMap) -> Form {
    let accepts = |wanted: &str| {
        entries(headers, &ACCEPT, Quotes::Escaping).any(|entry| {
            let mut parts = split(entry, ';', Quotes::Escaping);
            parts.next().is_some_and(|range| range.eq_ignore_ascii_case(wanted))
                && !parts.any(|parameter| parameter.split_once('=').is_some_and(|(name, value)| is_zero(name, value)))
        })
    };
    Form { stream: accepts("text/event-stream"), jose: accepts("application/jose") }
}

/// A weight of 0 is "not acceptable" (RFC 9110 12.4.2).
fn is_zero(name: &str, value: &str) -> bool {
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0)
}

/// What the client has (RFC 9110 13.1.2, weak comparison), beside the document with this tag.
pub(super) fn has_seen(headers: &HeaderMap, tag: &Tag) -> Seen {
    let seen = entries(headers, &IF_NONE_MATCH, Quotes::Plain).map(|entry| {
        let opaque =
            entry.strip_prefix("W/").unwrap_or(entry).strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match (entry, opaque) {
            ("*", _) => Seen::Same,
            (_, Some(opaque)) => tag.seen(opaque),
            (_, None) => Seen::Other,
        }
    });
    seen.max().unwrap_or(Seen::Other)
}

/// Whether a request names its host as RFC 9112 3.2 wants it: once and validly, in HTTP/1.1 always.
pub(super) fn names_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => host.to_str().is_ok_and(is_host),
        (Some(_), Some(_)) => false,
    }
}

/// `uri-host [ ":" port ]`, which may be empty (RFC 9110 7.2).
fn is_host(text: &str) -> bool {
    let is_port = |rest: &str| {
        rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|octet| octet.is_ascii_digit()))
    };
    let is_authority = |authority: Authority| text.strip_prefix(authority.host()).is_some_and(is_port);
    text.is_empty() || text.parse().is_ok_and(is_authority)
}

/// How long the client wants to wait for a switch: `wait` of the query, or else of Prefer (RFC 7240 4.3), which is seconds.
///
/// # Errors
/// A sentence when `wait` of the query is no length of time.
pub(super) fn wait(query: Option<&str>, headers: &HeaderMap) -> Result<Option<Duration>, String> {
    let seconds = |text: &str| text.parse().ok().map(Duration::from_secs);
    let wait = match query {
        Some(text) => Some(
            parse_duration(text)
                .or_else(|| seconds(text))
                .ok_or("wait is no length of time, expected one such as 30s")?,
        ),
        // A preference that is not understood is ignored (RFC 7240 2).
        None => entries(headers, &PREFER, Quotes::Escaping).find_map(|entry| {
            let (name, value) = split(entry, ';', Quotes::Escaping).next()?.split_once('=')?;
            name.trim().eq_ignore_ascii_case("wait").then(|| seconds(value.trim().trim_matches('"')))?
        }),
    };
    Ok(wait.map(|wait| wait.min(LONGEST_WAIT)))
}

/// What a backslash between quotes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// A character as others: entity tags (RFC 9110 8.8.3).
    Plain,
    /// It takes the meaning of the next one away: quoted strings (RFC 9110 5.6.4).
    Escaping,
}

/// The comma-separated entries of a field, wherever it stands.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName, quotes: Quotes) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(move |value| split(value, ',', quotes)).filter(|entry| !entry.is_empty())
}

/// Splits where the separator stands outside quotes.
fn split(text: &str, separator: char, quotes: Quotes) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = move |found: char| {
        if escaped {
            escaped = false;
        } else if quoted && found == '\\' && quotes == Quotes::Escaping {
            escaped = true;
        } else if found == '"' {
            quoted = !quoted;
        }
        found == separator && !quoted
    };
    text.split(separates).map(str::trim)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn json_unless_another_form_is_accepted() {
        let check = |values: &[&str], stream, jose| {
            assert_eq!(form(&headers(&ACCEPT, values)), Form { stream, jose }, "{values:?}");
        };
        check(&[], false, false);
        check(&["*/*"], false, false);
        check(&["application/json"], false, false);
        check(&["application/jose"], false, true);
        check(&["text/html, Application/JOSE;q=0.5"], false, true);
        check(&["application/jose;q=0"], false, false);
        check(&["text/event-stream"], true, false);
        check(&["text/event-stream", "application/jose"], true, true);
    }

    #[test]
    fn what_a_client_has_seen() {
        let check = |values: &[&str], expected| {
            let tag = Tag::new("42-00c0ffee".to_owned(), 7);
            assert_eq!(has_seen(&headers(&IF_NONE_MATCH, values), &tag), expected, "{values:?}");
        };
        check(&[], Seen::Other);
        check(&[r#""42-00c0ffee-7""#], Seen::Same);
        check(&[r#"W/"42-00c0ffee-7""#], Seen::Same);
        check(&[r#""41", "42-00c0ffee-7""#], Seen::Same);
        check(&[r#""42-00c0ffee-6""#, r#"W/"42-00c0ffee-7""#], Seen::Same);
        check(&[r#""42-00c0ffee-7", "42-00c0ffee-6""#], Seen::Same);
        check(&["*"], Seen::Same);
        check(&[r#""42-00c0ffee-6""#], Seen::Passing);
        check(&[r#""42-00c0ffee-5""#], Seen::Other);
        check(&[r#""42-00c0fffe-7""#], Seen::Other);
        check(&[r#""42""#], Seen::Other);
        check(&["42-00c0ffee-7"], Seen::Other);
        check(&[r#"w/"42-00c0ffee-7""#], Seen::Other);
        // A comma between quotes does not separate, and a backslash there is one character of an entity tag.
        check(&[r#""x,*,y""#], Seen::Other);
        check(&[r#""x, "42-00c0ffee-7"#], Seen::Other);
        check(&[r#""x\", "42-00c0ffee-7""#], Seen::Same);
        check(&[r#""a,b", W/"42-00c0ffee-7""#], Seen::Same);
    }

    #[test]
    fn a_request_names_its_host_once() {
        let check = |version, hosts: &[&str], expected| {
            assert_eq!(names_host(version, &headers(&HOST, hosts)), expected, "{version:?} {hosts:?}");
        };
        check(Version::HTTP_10, &[], true);
        check(Version::HTTP_11, &[], false);
        for host in ["localhost", "127.0.0.1:8053", "[2001:db8::1]", "[2001:db8::1]:8053", "hub.example.", "a:", ""] {
            check(Version::HTTP_11, &[host], true);
        }
        check(Version::HTTP_11, &["localhost", "localhost"], false);
        check(Version::HTTP_10, &["localhost", "other"], false);
        for host in ["a b", "user@a", "a:b", "a/b", "a,b:c", "[2001:db8::1", "http://a"] {
            check(Version::HTTP_11, &[host], false);
        }
    }

    #[test]
    fn how_long_a_client_waits() {
        let check = |query, prefer: &[&str], expected: Result<Option<u64>, ()>| {
            let found = wait(query, &headers(&PREFER, prefer)).map_err(drop);
            assert_eq!(found, expected.map(|wait| wait.map(Duration::from_secs)), "{query:?} {prefer:?}");
        };
        check(None, &[], Ok(None));
        check(Some("30s"), &[], Ok(Some(30)));
        check(Some("30"), &["wait=5"], Ok(Some(30)));
        check(Some("1m30s"), &[], Ok(Some(90)));
        check(Some("1d"), &[], Ok(Some(300)));
        check(Some("99999999999999"), &[], Ok(Some(300)));
        check(Some("soon"), &[], Err(()));
        check(Some(""), &[], Err(()));
        check(None, &["wait=30"], Ok(Some(30)));
        check(None, &["respond-async, Wait = \"10\"; a=b"], Ok(Some(10)));
        check(None, &["wait=soon"], Ok(None));
        check(None, &["wait"], Ok(None));
        check(None, &[r#"foo="bar, wait=5""#], Ok(None));
        check(None, &[r#"foo="a\", wait=5, ", wait=7"#], Ok(Some(7)));
        check(None, &[r#"foo; bar="; wait=5", wait=7"#], Ok(Some(7)));
    }
}
