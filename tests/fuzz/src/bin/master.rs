//! Fuzzes `concierge::fuzz::master`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| concierge::fuzz::master(octets));
