//! Fuzzes `concierge::fuzz::proxy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| concierge::fuzz::proxy(octets));
