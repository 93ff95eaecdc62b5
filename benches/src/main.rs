//! Times Greenroom beside its peers, in one run, as ratios: `cargo xtask bench`.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use miette::{Result, miette};

mod apply;
mod capture;
mod contestants;
mod diff;
mod programs;
mod stage;
mod table;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench",
    bin_name = "cargo xtask bench",
    about = "Times Greenroom beside its peers"
)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

/// What is measured.
#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Change sets of 1 to 10,000 files, and one file of 1 GiB
    Apply(apply::Scope),
    /// The file of 1 GiB alone, in a process of its own so that its peak memory is its own
    #[command(hide = true)]
    LargeFile,
    /// Proposals through the actors, reviewing with 10,000 pending patches, and start-up
    Stage(stage::Scope),
    /// Commands in a view of a large tree, beside the bare command and other overlays
    Capture(capture::Scope),
    /// The diff strategies on real, AI-shaped and adversarial pairs
    Diff(diff::Scope),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if cfg!(debug_assertions) {
        return Err(miette!(
            help = "run `cargo xtask bench`, or pass `--release` to cargo",
            "a debug build measures the compiler's defaults"
        ));
    }
    let root = root();
    match arguments.benchmark {
        Benchmark::Apply(scope) => apply::run(&root, &scope),
        Benchmark::LargeFile => apply::run_large_file(&root),
        Benchmark::Stage(scope) => stage::run(&root, &scope),
        Benchmark::Capture(scope) => capture::run(&root, &scope),
        Benchmark::Diff(scope) => diff::run(&root, &scope),
    }
}

/// The root of the workspace, in whose target folder reports are written.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benches_and_their_flags_are_understood_as_documented() {
        for line in [
            "apply",
            "apply --files 10 --in /mnt",
            "stage",
            "stage --propose durable",
            "capture --files 1000 --rounds 1 --only status",
            "diff",
            "diff --only few2 --ours-only --without-applying",
            "diff --words-only",
            "large-file",
        ] {
            let words = ["bench"].into_iter().chain(line.split(' '));
            let understood = Arguments::try_parse_from(words);
            assert!(understood.is_ok(), "`bench {line}`: {understood:?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for line in ["", "everything", "apply --files many", "apply --fast", "diff --fast"] {
            let words = ["bench"].into_iter().chain(line.split_whitespace());
            assert!(Arguments::try_parse_from(words).is_err(), "`bench {line}`");
        }
    }
}
