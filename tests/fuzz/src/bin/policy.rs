//! Fuzzes `concierge::fuzz::policy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| concierge::fuzz::policy(octets));
