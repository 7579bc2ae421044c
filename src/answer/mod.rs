//! The compiled snapshot of all answers; a query in, a response out.
//!
//! [`snapshot`] is what every worker reads: zone data and the answers of every hub for every region, compiled once at
//! load by [`compile`], and beside it the small table of choices that a switch replaces. [`publish`] holds the one swap
//! of the program. [`respond`] turns a query's octets into a response's; [`lookup`] takes the same walk for one name and
//! says what happened at every step.
//!
//! Own code over wire octets, and not a library's: an answer is one hash look-up and one copy, and a hub is a name like
//! any other until its RRsets are taken.

pub mod compile;
#[cfg(test)]
mod conformance;
mod cursor;
mod edns;
mod hubs;
pub mod lookup;
mod names;
#[cfg(test)]
mod properties;
pub mod publish;
mod query;
mod refusal;
mod render;
pub mod respond;
mod rrset;
pub mod snapshot;
#[cfg(test)]
mod testing;
mod walk;

pub use refusal::Refused;
