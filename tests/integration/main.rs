//! The real process over real sockets.

fn main() {}
