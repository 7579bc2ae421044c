//! Fuzzes `concierge::fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| concierge::fuzz::config(octets));
