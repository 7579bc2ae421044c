//! Fuzzes `concierge::fuzz::https`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| concierge::fuzz::https(octets));
