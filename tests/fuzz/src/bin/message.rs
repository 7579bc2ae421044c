//! Fuzzes `concierge::fuzz::message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| concierge::fuzz::message(octets));
