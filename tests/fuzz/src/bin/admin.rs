//! Fuzzes `concierge::fuzz::admin`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| concierge::fuzz::admin(octets));
