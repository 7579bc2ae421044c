//! The compiled snapshot of all answers; a query in, a response out.
//!
//! [`snapshot`] is what every worker reads: zone data and the answers of every hub for every region, compiled once at
//! load, and beside it the small table of choices that a switch replaces. [`publish`] holds the one swap of the program.

pub mod publish;
pub mod snapshot;
