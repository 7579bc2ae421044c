//! A request of DNS over HTTPS (RFC 8484 4.1): what it asks, and how it is answered. Pure, the same for all versions of HTTP.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use super::TooMany;
use super::allowance::Allowance;
use super::freshness::freshness;
use crate::dns::HEADER;

/// The one path (RFC 8484 has the client configured with it; this is the usual one).
const PATH: &str = "/dns-query";

/// The media type of a message (RFC 8484 6).
const MESSAGE: &str = "application/dns-message";

/// Octets of the largest message.
pub(super) const LARGEST: usize = 65_535;

/// Where the query is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// In the request's head.
    Query(Vec<u8>),
    /// In its body.
    Body,
}

/// Reads the head of a request.
///
/// # Errors
/// The status that says what is wrong with it.
pub(super) fn read(head: &Parts) -> Result<Ask, StatusCode> {
    if head.uri.path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    match head.method {
        Method::GET | Method::HEAD => {
            let queries = head.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("dns="));
            let [query] = queries.collect::<Vec<_>>()[..] else { return Err(StatusCode::BAD_REQUEST) };
            let query = BASE64_URL_SAFE_NO_PAD.decode(query).map_err(|_| StatusCode::BAD_REQUEST)?;
            check_length(query.len())?;
            Ok(Ask::Query(query))
        }
        Method::POST => {
            let media = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let media = media.and_then(|media| media.split(';').next()).unwrap_or_default().trim();
            if !media.eq_ignore_ascii_case(MESSAGE) {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            match head.headers.get(CONTENT_LENGTH).map(|length| length.to_str().unwrap_or_default().parse()) {
                Some(Ok(length)) => check_length(length)?,
                Some(Err(_)) => return Err(StatusCode::BAD_REQUEST),
                None => {}
            }
            Ok(Ask::Body)
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Whether a query may have so many octets.
///
/// # Errors
/// The status that says that it is too long, or too short for a header.
pub(super) fn check_length(octets: usize) -> Result<(), StatusCode> {
    match octets {
        0..HEADER => Err(StatusCode::BAD_REQUEST),
        HEADER..=LARGEST => Ok(()),
        _ => Err(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

/// The response to a query that was answered, whatever its response code (RFC 8484 4.2.1), that deserves no answer, or whose
/// client has sent too many.
pub(super) fn answered(answer: Result<Option<Vec<u8>>, TooMany>) -> Response<Bytes> {
    let answer = match answer {
        Ok(Some(answer)) => answer,
        Ok(None) => return refused(StatusCode::BAD_REQUEST),
        Err(TooMany) => return refused(StatusCode::TOO_MANY_REQUESTS),
    };
    let fresh = format!("max-age={}", freshness(&answer));
    let mut response = Response::new(Bytes::from(answer));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE));
    // Digits are a header's value.
    if let Ok(fresh) = HeaderValue::from_str(&fresh) {
        response.headers_mut().insert(CACHE_CONTROL, fresh);
    }
    response
}

/// The same response, which counts against the allowance until it is sent; or one that says that there is none left.
pub(super) fn held(response: Response<Bytes>, allowance: &Allowance) -> Response<Bytes> {
    let (head, octets) = response.into_parts();
    match allowance.hold(octets) {
        Ok(octets) => Response::from_parts(head, octets),
        Err(_) => refused(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// The same response, as it is sent for a request that wants the head of it alone or all (RFC 9110 9.3.2).
pub(super) fn sent(response: Response<Bytes>, is_head: bool) -> Response<Bytes> {
    let (mut head, octets) = response.into_parts();
    head.headers.insert(CONTENT_LENGTH, octets.len().into());
    Response::from_parts(head, if is_head { Bytes::new() } else { octets })
}

/// The response to a request that is none for this.
pub(super) fn refused(status: StatusCode) -> Response<Bytes> {
    let text = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    }
    response
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn head(method: &str, target: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const POST: (&str, &str) = ("content-type", "application/dns-message");

    #[test]
    fn a_request_is_a_query_or_told_why_not() {
        let query = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 119, 119, 119, 0, 0, 1, 0, 1];
        let encoded = BASE64_URL_SAFE_NO_PAD.encode(query);
        let check = |method, target: &str, fields: &[_], expected: Result<Ask, u16>| {
            let read = read(&head(method, target, fields)).map_err(|status| status.as_u16());
            assert_eq!(read, expected, "{method} {target} {fields:?}");
        };
        let target = format!("/dns-query?dns={encoded}");
        check("GET", &target, &[], Ok(Ask::Query(query.into())));
        check("HEAD", &target, &[], Ok(Ask::Query(query.into())));
        check("GET", &format!("/dns-query?ct&dns={encoded}&x=1"), &[], Ok(Ask::Query(query.into())));
        check("GET", &format!("/dns-query?dns={encoded}=="), &[], Err(400));
        check("GET", &format!("/dns-query?dns={encoded}&dns={encoded}"), &[], Err(400));
        check("GET", "/dns-query?dns=AAA+/AAA", &[], Err(400));
        check("GET", "/dns-query?dns=AAAA", &[], Err(400));
        check("GET", "/dns-query", &[], Err(400));
        check("GET", &format!("/?dns={encoded}"), &[], Err(404));
        check("GET", &format!("/dns-query/?dns={encoded}"), &[], Err(404));
        check("POST", "/dns-query", &[POST], Ok(Ask::Body));
        check("POST", "/dns-query", &[("content-type", "Application/DNS-Message; v=1")], Ok(Ask::Body));
        check("POST", "/dns-query", &[], Err(415));
        check("POST", "/dns-query", &[("content-type", "text/plain")], Err(415));
        check("POST", "/dns-query", &[POST, ("content-length", "65535")], Ok(Ask::Body));
        check("POST", "/dns-query", &[POST, ("content-length", "65536")], Err(413));
        check("POST", "/dns-query", &[POST, ("content-length", "11")], Err(400));
        check("POST", "/dns-query", &[POST, ("content-length", "-1")], Err(400));
        check("POST", "/other", &[POST], Err(404));
        check("PUT", "/dns-query", &[POST], Err(405));
        check("OPTIONS", "/dns-query", &[], Err(405));
    }

    #[test]
    fn a_response_says_what_it_is() {
        let answer = answered(Ok(Some(vec![0; 12])));
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[CONTENT_TYPE], MESSAGE);
        assert_eq!(answer.headers()[CACHE_CONTROL], "max-age=0");
        let (whole, head) = (sent(answer.clone(), false), sent(answer, true));
        assert_eq!((whole.body().len(), head.body().len()), (12, 0));
        assert_eq!(
            (&whole.headers()[CONTENT_LENGTH], &head.headers()[CONTENT_LENGTH]),
            (&"12".parse().unwrap(), &"12".parse().unwrap())
        );
        assert_eq!(answered(Ok(None)).status(), StatusCode::BAD_REQUEST);
        assert_eq!(answered(Err(TooMany)).status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused(StatusCode::METHOD_NOT_ALLOWED).headers()[ALLOW], "GET, HEAD, POST");
    }

    proptest! {
        #[test]
        fn every_query_of_a_get_is_read_as_it_is(query in prop::collection::vec(any::<u8>(), 12..600)) {
            let target = format!("/dns-query?dns={}", BASE64_URL_SAFE_NO_PAD.encode(&query));
            prop_assert_eq!(read(&head("GET", &target, &[])), Ok(Ask::Query(query)));
        }

        #[test]
        fn any_query_string_is_read_without_panic(text in "[ -~]{0,80}") {
            if let Ok(request) = Request::builder().uri(format!("/dns-query?{text}")).body(()) {
                let _ = read(&request.into_parts().0);
            }
        }
    }
}
