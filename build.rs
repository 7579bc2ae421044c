//! Tells the linker how the program is laid out: which functions are kept together (`src/resident.ld`), and that the places
//! which a start has to relocate are written down as a bitmap, a thirtieth of the usual list.

#![expect(clippy::disallowed_methods, reason = "a build script is told by its environment")]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/resident.ld");
    // Programs for other systems are linked otherwise, and what is built for tests is not measured.
    let of = |name: &str| env::var(name).unwrap_or_default();
    if of("CARGO_CFG_TARGET_OS") != "linux" || of("PROFILE") != "release" {
        return;
    }
    println!("cargo::rustc-link-arg-bin=concierge=-Wl,-T,{}/src/resident.ld", of("CARGO_MANIFEST_DIR"));
    // Understood by glibc 2.36 and later; a program that was built with it needs no older one anyway.
    if of("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bin=concierge=-Wl,-z,pack-relative-relocs");
    }
}
