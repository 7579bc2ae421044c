//! The words of the domain name system (RFC 1035, RFC 9499): names, record types, response codes.
//!
//! Pure. Nothing here knows about zones, policy or sockets.

pub(crate) mod hash;
mod name;
mod rtype;

pub use name::{Labels, Name, NameError};
pub use rtype::{Class, Opcode, Rcode, Rtype};

/// Largest legal UDP or TCP message (RFC 1035 4.2.2), octets.
pub const MAX_MESSAGE: usize = 65_535;

/// Octets of the fixed message header (RFC 1035 4.1.1).
pub const HEADER: usize = 12;
