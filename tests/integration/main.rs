//! The real process over real sockets, and the readers against the tools of other name servers.

mod zone_oracle;
