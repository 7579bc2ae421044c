//! A deterministic simulator: the real core, on a simulated clock, in a world that does to it what can be done.
//!
//! ```text
//!  seed ─► history::History ─► world: hosts, probers, operators, files, clock, disk, kills
//!                                 │ Event                    ▲ Effect
//!                                 ▼                          │
//!                              control::State::apply (policy::decide, health::Machine)
//!                                 │ what went in, what came out
//!                                 ▼
//!                              invariants: the books of an independent observer ─► Violation ─► shrink ─► story
//! ```
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`history`] | what happens from outside, as a list of inputs made from a seed |
//! | [`sketch`] | the policy as the simulator thinks of it, and its text |
//! | `world` | the loop: clock, hosts, and the daemon with its crash points |
//! | `probers`, `disk` | simulated probers and store |
//! | `books` | what an observer writes down, and what the rules want |
//! | [`invariants`] | every invariant |
//! | `checker` | looks at what goes in and comes out |
//! | [`story`] | a history as a person reads it |
//! | [`shrink`] | a shorter history that fails alike |
//! | [`dice`] | randomness from a seed |
//!
//! Pure: nothing here reads a clock, a file or a socket. A seed and the program give the same history in every place.
//! Deliberately absent: sockets, threads and what the answer's octets are; those are tested elsewhere, with real ones.

mod books;
mod checker;
pub mod dice;
mod disk;
pub mod drill;
pub mod history;
pub mod invariants;
mod probers;
pub mod shrink;
pub mod sketch;
pub mod story;
mod world;

pub use disk::{Became, Use};
pub use history::History;
pub use invariants::{INVARIANTS, Violation};
pub use world::{Options, Outcome, run};
