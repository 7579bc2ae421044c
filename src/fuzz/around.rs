//! What is around a query: the header of a proxy, a request of HTTP.

use crate::answer::sound::answer;
use crate::serve::sound::{hold_header, hold_request};

/// The start of a connection or a datagram of a proxy.
///
/// # Panics
/// Where a header is not told from what is none, or from what is behind it.
pub fn proxy(octets: &[u8]) {
    hold_header(octets);
}

/// A request of DNS over HTTPS: a line with method and target, lines with fields up to an empty one, and a body.
///
/// # Panics
/// Where a response is none that RFC 8484 has, or no message.
pub fn https(octets: &[u8]) {
    hold_request(octets, answer);
}
