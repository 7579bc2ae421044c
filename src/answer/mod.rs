//! The compiled snapshot of all answers; a query in, a response out.
//!
//! [`snapshot`] is what every worker reads: zone data and the answers of every hub for every region, compiled once at
//! load by [`compile`], and beside it the small table of choices that a switch replaces. [`publish`] holds the one swap
//! of the program. [`respond`] turns a query's octets into a response's; [`lookup`] takes the same walk for one name and
//! says what happened at every step. [`client`] is who asks, as far as that is any matter of the answer: a hub may give
//! each resolver a TTL of its own. [`class`] is which responses are counted together where they are limited. [`select`] is how a hub comes to an endpoint where that depends on who asks. `text` is what a hub says of itself at
//! `_concierge.HUB`, and `identity` what the server says of itself. `edns` reads and writes the OPT record, with [`cookie`],
//! `subnet` and `extended` for what stands in it.
//!
//! Own code over wire octets, and not a library's: an answer is one look-up by hash and a copy of octets that were made
//! when the zone was read, and a hub is a name like any other until its RRsets are taken. `quick` answers what nearly
//! every query asks, in some four hundred instructions, and leaves all else to the general way.

pub mod class;
pub mod client;
pub mod compile;
#[cfg(test)]
mod conformance;
pub mod cookie;
mod cursor;
pub mod cut;
pub mod edns;
mod extended;
mod hubs;
mod identity;
pub mod lookup;
#[cfg(test)]
mod properties;
pub mod publish;
mod query;
mod quick;
mod refusal;
mod render;
pub mod respond;
pub mod select;
pub mod snapshot;
#[cfg(any(test, fuzzing))]
pub(crate) mod sound;
mod subnet;
#[cfg(any(test, fuzzing))]
mod testing;
mod text;
mod walk;

pub use identity::Identity;
pub use refusal::Refused;
