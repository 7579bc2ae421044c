//! The real process over real sockets, with other people's servers as peers and oracles.
//!
//! Every test has loopback addresses of its own (`127.x.y.0/24`), so that all of them can run at once with fixed ports.
//! Nothing is skipped: a peer that is not installed fails its test and names its Debian package. The exceptions need what an
//! account may not have, a namespace or port 53 (interfaces that come and go, resolvers as clients), and say so.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests of a process, from outside")]

mod abuse;
mod answers;
mod audit;
mod brokers;
mod clients;
mod command_line;
mod conformance;
mod crash;
mod demo;
mod descriptors;
mod differential;
mod drill;
mod edns;
mod failover;
mod fleet;
mod floods;
mod full_disk;
mod grace;
mod import;
mod interfaces;
mod load;
mod marks;
mod moves;
mod observability;
mod operation;
mod overload;
mod policies;
mod public;
mod refusals;
mod reload;
mod service;
mod timing;
mod told;
mod transport_floods;
mod transports;
mod unbound;
mod upgrade;
mod web;
mod zone_oracle;

mod process;
