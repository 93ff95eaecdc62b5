//! The smallest program that serves plugins to its host, as an embedder would ship one.

use std::process::ExitCode;

fn main() -> ExitCode {
    diff_engine::serve_plugin()
}
