//! What a request asks for, beside its path. Pure.

use std::time::Duration;

use axum::http::header::{ACCEPT, HeaderMap, HeaderName, IF_NONE_MATCH};

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
        entries(headers, &ACCEPT).any(|entry| {
            let mut parts = entry.split(';').map(str::trim);
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

/// Whether the client has seen this epoch (RFC 9110 13.1.2, weak comparison); `None` when it does not say what it has.
pub(super) fn has_seen(headers: &HeaderMap, epoch: u64) -> Option<bool> {
    let mut tags = entries(headers, &IF_NONE_MATCH).peekable();
    tags.peek()?;
    let tag = format!("\"{epoch}\"");
    Some(tags.any(|entry| entry == "*" || entry.strip_prefix("W/").unwrap_or(entry) == tag))
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
        None => entries(headers, &PREFER).find_map(|entry| {
            let (name, value) = entry.split(';').next()?.split_once('=')?;
            name.trim().eq_ignore_ascii_case("wait").then(|| seconds(value.trim().trim_matches('"')))?
        }),
    };
    Ok(wait.map(|wait| wait.min(LONGEST_WAIT)))
}

/// The comma-separated entries of a field, wherever it stands. (None of these fields has commas in quotes.)
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|entry| !entry.is_empty())
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
            assert_eq!(has_seen(&headers(&IF_NONE_MATCH, values), 42), expected, "{values:?}");
        };
        check(&[], None);
        check(&[r#""42""#], Some(true));
        check(&[r#"W/"42""#], Some(true));
        check(&[r#""41", "42""#], Some(true));
        check(&[r#""41""#, r#"W/"42""#], Some(true));
        check(&["*"], Some(true));
        check(&[r#""41""#], Some(false));
        check(&["42"], Some(false));
        check(&[r#""420""#], Some(false));
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
    }
}
