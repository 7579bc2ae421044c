//! I/O shell: looks at an `http` gate, and judges what came (pure).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use hyper::header::ACCEPT;
use serde_json::Value;

use super::line;
use crate::health::probe::http::{is_expected, ranges};
use crate::health::probe::request::{Url, Wanted};
use crate::health::probe::{Deadline, Prober};
use crate::policy::{Comparison, HttpGate};

/// Most characters of a value in a sentence.
const LONGEST_VALUE: usize = 64;

/// Whether the gate is open, and what was seen.
pub(super) async fn look(prober: &Arc<Prober>, gate: &HttpGate, timeout: Duration) -> (bool, String) {
    let wanted = |status| match &gate.value {
        Some(_) if is_expected(status, &gate.status) => Wanted::All,
        _ => Wanted::Nothing,
    };
    let reply = async {
        let url = Url::parse(&gate.url)?;
        let request = (Request::get("/").header(ACCEPT, "application/json"), Bytes::new());
        prober.request(&url, gate.ca.as_deref(), request, Deadline::after(timeout), wanted).await
    };
    match reply.await {
        Ok(reply) => judge(gate, reply.status, &reply.body),
        Err(sentence) => (false, sentence),
    }
}

/// What a response says of the gate.
fn judge(gate: &HttpGate, status: u16, body: &[u8]) -> (bool, String) {
    if !is_expected(status, &gate.status) {
        let redirect = if (300..400).contains(&status) { " (redirects are not followed)" } else { "" };
        return (false, format!("{status}, expected {}{redirect}", ranges(&gate.status)));
    }
    let Some((pointer, comparison)) = &gate.value else { return (true, status.to_string()) };
    match judge_value(body, pointer, comparison) {
        Ok(seen) => (true, format!("{status}, {seen}")),
        Err(BadValue::NoJson(error)) => (false, format!("{status}, but the body is no JSON: {error}")),
        Err(BadValue::Other(sentence)) => (false, format!("{status}, {sentence}")),
    }
}

/// Why a body does not hold what it should.
#[derive(Debug)]
pub(crate) enum BadValue {
    /// It cannot be read.
    NoJson(serde_json::Error),
    /// A sentence of what is there, and what was expected.
    Other(String),
}

/// Compares the value at a JSON pointer of a body; what was seen, if it is as wanted.
pub(crate) fn judge_value(body: &[u8], pointer: &str, comparison: &Comparison) -> Result<String, BadValue> {
    let document: Value = serde_json::from_slice(body).map_err(BadValue::NoJson)?;
    let place = if pointer.is_empty() { "the body" } else { pointer };
    let missing = || BadValue::Other(format!("{place} is missing"));
    let found = document.pointer(pointer).ok_or_else(missing)?;
    let seen = format!("{place} is {}", words(found));
    match compare(found, comparison) {
        Ok(()) => Ok(seen),
        Err(expected) => Err(BadValue::Other(format!("{seen}, expected {expected}"))),
    }
}

/// What was expected instead, if the value is not as the gate wants it.
fn compare(found: &Value, comparison: &Comparison) -> Result<(), String> {
    let bounded = |holds: fn(f64, f64) -> bool, bound: f64, words: &str| match found.as_f64() {
        Some(number) if holds(number, bound) => Ok(()),
        Some(_) => Err(format!("{words} {bound}")),
        None => Err("a number".to_owned()),
    };
    match comparison {
        Comparison::Equals(wanted) if equal(found, wanted) => Ok(()),
        Comparison::Equals(wanted) => Err(words(wanted)),
        Comparison::AtMost(bound) => bounded(|number, bound| number <= bound, *bound, "at most"),
        Comparison::AtLeast(bound) => bounded(|number, bound| number >= bound, *bound, "at least"),
    }
}

/// Numbers are equal by their value (`1` is `1.0`), whole ones exactly.
fn equal(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) if found.is_f64() || wanted.is_f64() => {
            found.as_f64() == wanted.as_f64()
        }
        _ => found == wanted,
    }
}

fn words(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        plain => line::shown(&plain.to_string(), LONGEST_VALUE),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn gate(value: Option<(&str, Comparison)>) -> HttpGate {
        HttpGate {
            url: "https://registry.example.net/".to_owned(),
            ca: None,
            status: vec![(200, 200)],
            value: value.map(|(pointer, comparison)| (pointer.to_owned(), comparison)),
        }
    }

    #[test]
    fn without_a_pointer_the_status_decides() {
        let check = |status, open, sentence: &str| {
            assert_eq!(judge(&gate(None), status, b"not read"), (open, sentence.to_owned()));
        };
        check(200, true, "200");
        check(503, false, "503, expected 200");
        check(302, false, "302, expected 200 (redirects are not followed)");
        let several = HttpGate { status: vec![(200, 299), (404, 404)], ..gate(None) };
        assert_eq!(judge(&several, 404, b""), (true, "404".to_owned()));
        assert_eq!(judge(&several, 500, b""), (false, "500, expected 200 to 299, 404".to_owned()));
    }

    #[test]
    fn a_value_is_compared() {
        let check = |pointer: &str, comparison: Comparison, body: &str, open: bool, sentence: &str| {
            let judged = judge(&gate(Some((pointer, comparison))), 200, body.as_bytes());
            assert_eq!(judged, (open, sentence.to_owned()), "{pointer} in {body}");
        };
        use Comparison::{AtLeast, AtMost, Equals};
        let lag = "/lag_seconds";
        check(lag, AtMost(60.0), r#"{"lag_seconds":412}"#, false, "200, /lag_seconds is 412, expected at most 60");
        check(lag, AtMost(60.0), r#"{"lag_seconds":60}"#, true, "200, /lag_seconds is 60");
        check(lag, AtMost(0.5), r#"{"lag_seconds":0.6}"#, false, "200, /lag_seconds is 0.6, expected at most 0.5");
        check(lag, AtMost(60.0), "{}", false, "200, /lag_seconds is missing");
        check(lag, AtMost(60.0), "[1]", false, "200, /lag_seconds is missing");
        check(lag, AtMost(60.0), r#"{"lag_seconds":"x"}"#, false, r#"200, /lag_seconds is "x", expected a number"#);
        check(lag, AtMost(60.0), r#"{"lag_seconds":null}"#, false, "200, /lag_seconds is null, expected a number");
        check(lag, AtMost(60.0), r#"{"lag_seconds":{}}"#, false, "200, /lag_seconds is an object, expected a number");
        check("/a/0", AtLeast(2.0), r#"{"a":[1]}"#, false, "200, /a/0 is 1, expected at least 2");
        check("/a~1b/~0", AtLeast(2.0), r#"{"a/b":{"~":2}}"#, true, "200, /a~1b/~0 is 2");
        check("/merged", Equals(json!(true)), r#"{"merged":true}"#, true, "200, /merged is true");
        check("/merged", Equals(json!(true)), r#"{"merged":false}"#, false, "200, /merged is false, expected true");
        check("/n", Equals(json!(1)), r#"{"n":1.0}"#, true, "200, /n is 1.0");
        check(
            "/n",
            Equals(json!(9_007_199_254_740_993_u64)),
            r#"{"n":9007199254740992}"#,
            false,
            "200, /n is 9007199254740992, expected 9007199254740993",
        );
        check("/s", Equals(json!("done")), r#"{"s":["done"]}"#, false, r#"200, /s is a list, expected "done""#);
        check("", Equals(json!("ok")), r#""ok""#, true, r#"200, the body is "ok""#);
    }

    #[test]
    fn what_a_server_says_is_bounded_and_escaped() {
        let gate = gate(Some(("/s", Comparison::Equals(json!("done")))));
        let (open, sentence) = judge(&gate, 200, format!("{{\"s\":\"{}\"}}", "x".repeat(9_000)).as_bytes());
        assert!(!open && sentence.chars().count() < 128, "{sentence}");
        let (_, sentence) = judge(&gate, 200, "{\"s\":\"a\u{9b}b\\u001b\\n\"}".as_bytes());
        assert_eq!(sentence, r#"200, /s is "a\u{9b}b\u001b\n", expected "done""#);
    }

    #[test]
    fn a_body_that_is_no_json_says_so() {
        let (open, sentence) = judge(&gate(Some(("/s", Comparison::AtMost(1.0)))), 200, b"<html>");
        assert_eq!(
            (open, sentence.as_str()),
            (false, "200, but the body is no JSON: expected value at line 1 column 1",)
        );
    }
}
