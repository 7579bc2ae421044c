//! What holds for every request of DNS over HTTPS, whatever its octets: for the fuzzer. Panics where something does not hold.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Request, StatusCode};

use super::freshness::freshness;
use super::records::records;
use super::request::{Ask, LARGEST, answered, check_length, read, refused};
use crate::dns::HEADER;

/// A line with method and target, lines with fields up to an empty one, and a body; `answer` says what comes of a query.
pub(crate) fn hold(octets: &[u8], answer: impl FnOnce(&[u8]) -> Option<Vec<u8>>) {
    let Some((head, body)) = parsed(octets) else { return };
    let query = match read(&head) {
        Ok(Ask::Query(query)) => Ok(query),
        Ok(Ask::Body) => check_length(body.len()).map(|()| body.to_vec()),
        Err(status) => Err(status),
    };
    let response = match query {
        Ok(query) => {
            assert!((HEADER..=LARGEST).contains(&query.len()));
            answered(Ok(answer(&query)))
        }
        Err(status) => {
            assert!(status.is_client_error(), "{status}");
            refused(status)
        }
    };
    let field = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if response.status() == StatusCode::OK {
        assert_eq!(field(CONTENT_TYPE), Some("application/dns-message"));
        let message = response.body();
        assert_eq!(field(CACHE_CONTROL), Some(&*format!("max-age={}", freshness(message))));
        // A message of ours has all the records that it counts.
        let counted: usize =
            [6, 8, 10].map(|at| usize::from(u16::from_be_bytes([message[at], message[at + 1]]))).iter().sum();
        assert_eq!(records(message).count(), counted, "{message:02x?}");
    } else {
        assert!(field(CACHE_CONTROL).is_none());
    }
    // Whatever the octets are, they may be looked into.
    freshness(octets);
}

fn parsed(octets: &[u8]) -> Option<(http::request::Parts, &[u8])> {
    let end = octets.windows(2).position(|pair| pair == b"\n\n")?;
    let mut lines = std::str::from_utf8(&octets[..end]).ok()?.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let request = lines
        .filter_map(|line| line.split_once(": "))
        .fold(Request::builder().method(method).uri(target), |request, (name, value)| request.header(name, value));
    Some((request.body(()).ok()?.into_parts().0, &octets[end + 2..]))
}
