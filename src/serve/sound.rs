//! What holds for the octets in front of and around queries, whatever they are: for the fuzzers. Panics where something does
//! not hold.

use super::proxy::Header;

pub(crate) use super::web::sound::hold as hold_request;

/// A header of the PROXY protocol is told from its start, whole or not, and nothing behind it is looked at.
pub(crate) fn hold_header(octets: &[u8]) {
    let read = Header::read(octets);
    match read {
        Header::Whole { octets: length, client } => {
            assert!(length <= octets.len());
            assert_eq!(Header::read(&octets[..length]), read, "what is behind it makes no difference");
            assert!(
                (0..length).all(|end| Header::read(&octets[..end]) == Header::Partial),
                "every part is the start of it"
            );
            assert!(client.is_none_or(|client| client == client.to_canonical()));
        }
        Header::Partial => {
            assert!((0..octets.len()).all(|end| Header::read(&octets[..end]) == Header::Partial));
        }
        Header::Malformed => {
            // Nothing that comes later mends it.
            let longer = [octets, &[0; 64]].concat();
            assert_eq!(Header::read(&longer), Header::Malformed);
        }
    }
}
