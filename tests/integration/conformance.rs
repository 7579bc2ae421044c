//! What the RFCs ask of a server of zones: a module an RFC, a function a section, a row a query with the answer that is
//! expected. Every row is asked of the real process, and of Knot, NSD and BIND with the same zones, so that what is expected
//! is not only what we read in the text. Where one of them answers otherwise, the row says so and why; a row that says so
//! of a peer that answers as expected fails.
//!
//! `docs/conformance.md` is the list of what is covered and of what differs; [`table`] holds it against the rows.

mod rfc1034;
mod rfc1035;
mod rfc2181;
mod rfc2308;
mod rfc3597;
mod rfc4343;
mod rfc4592;
mod rfc5001;
mod rfc6672;
mod rfc6891;
mod rfc7766;
mod rfc7828;
mod rfc7871;
mod rfc7873;
mod rfc8020;
mod rfc8482;
mod rfc8906;
mod rfc8914;
mod rfc9018;
mod rfc9210;
mod rfc9619;
mod row;
mod servers;
mod shown;
mod table;
