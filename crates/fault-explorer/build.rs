//! Copies atomic-fs and puts the broken variants of `mutants.toml` into the copy.

#![allow(clippy::disallowed_methods, reason = "it writes below OUT_DIR")]

#[cfg(feature = "mutants")]
#[path = "build/copy.rs"]
mod copy;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "mutants")]
    copy::run();
}
