//! An authoritative DNS server that answers a fleet's hub hostname with the region that is active.
//!
//! ```text
//!  config/*.toml ─► config ─┐                       health::run ──probes──► endpoints
//!  zones/*.zone ──► zone ───┤                            │ Event::Observations
//!  zones/*.toml ──► policy  │   ┌────────────────────────▼──────────────┐
//!                           └──►│ control: one loop, one writer         │◄── Event::Command ── admin ◄── cli
//!                               │   State::apply -> policy::decide      │──► store (redb): marks, epochs, audit
//!                               └───────────────┬───────────────────────┘
//!                                               ▼
//!                               ArcSwap<Snapshot>   (answer::publish: the only one in the program)
//!                                  ▲ one load per batch of datagrams, never a lock
//!  clients ◄──► serve::udp, serve::tcp ── answer::respond
//! ```
//!
//! | module | what it holds | I/O |
//! | --- | --- | --- |
//! | [`dns`] | names, record types, response codes: the words of RFC 1035 | pure |
//! | [`diagnostic`] | a problem in a file: place, sentence, hint | pure |
//! | `document` | a TOML file as a tree with places, read with every problem at once | pure |
//! | [`config`] | how the daemon runs: TOML text to validated settings | pure |
//! | [`zone`] | master files to records with positions; semantic checks | pure |
//! | [`policy`] | regions, hubs and probes as configured; `decide` | pure |
//! | [`gate`] | gates and fences: what is asked around a switch | shell, its values pure |
//! | [`geo`] | an address to the class that a hub's map has for it | pure but for reading a database |
//! | [`health`] | observations to health; the probers | machine and schedule pure, probes shell |
//! | [`control`] | the one writer: events in, effects out; the store | core pure, loop and store shell |
//! | [`answer`] | the compiled snapshot; a query in, a response out | pure but for `publish` |
//! | [`serve`] | sockets | shell |
//! | `tap` | messages for dnstap and the query log | shell |
//! | [`evidence`] | the public read-only HTTP listener: signed answers, long polls | shell, its documents pure |
//! | [`admin`] | the operators' HTTP API and the metrics | shell |
//! | [`process`] | sockets passed, the service manager, privileges, the sandbox | shell, its `liveness` pure |
//! | [`daemon`] | start and stop of the parts | shell |
//! | [`cli`] | one file a subcommand | shell |
//!
//! # Invariants
//!
//! 1. One writer. Whatever can change an answer enters [`control`] as an event; an acknowledged command is on disk.
//! 2. One swap. A switch, of however many hubs, is one exchange of one pointer, and it is acknowledged when no
//!    worker can still answer from the older snapshot.
//! 3. A query never fails because of control: a bad reload leaves the old snapshot in place.
//! 4. Pure modules take time and randomness as arguments; `.clippy.toml` bans clocks, sockets and files, and a module
//!    that needs them says so in its first lines.

pub mod admin;
pub mod answer;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod diagnostic;
pub mod dns;
mod document;
pub mod evidence;
pub mod gate;
pub mod geo;
pub mod health;
pub mod import;
pub mod policy;
pub mod process;
pub mod schema;
pub mod serve;
pub mod simulate;
mod tap;
pub mod time;
pub mod zone;
