//! Every diff of the corpus, applied by the tools that people use.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use diff_engine::{FileChange, FileHeader, RenderOptions, Side};
use miette::{IntoDiagnostic as _, Result, miette};

use super::engines::engine_with;
use super::pairs::Pair;

/// So many files go into one patch.
const FILES_AT_ONCE: usize = 100;

/// Applies the diffs of all pairs, by `git apply` and by `patch`, and compares every byte.
///
/// # Errors
///
/// The first file that is not what was staged.
pub(super) fn check(folder: &Path, strategy: &str, pairs: &[Pair]) -> Result<()> {
    for pairs in pairs.chunks(FILES_AT_ONCE) {
        let mut patch = Vec::new();
        for (index, pair) in pairs.iter().enumerate() {
            write_patch(strategy, index, pair, &mut patch)?;
        }
        for tool in [&["git", "apply", "--whitespace=nowarn", "../patch"][..], PATCH] {
            check_with(tool, folder, strategy, &patch, pairs)?;
        }
    }
    Ok(())
}

const PATCH: &[&str] =
    &["patch", "-p1", "--binary", "--batch", "--forward", "--fuzz=0", "--silent", "-i", "../patch"];

fn write_patch(strategy: &str, index: usize, pair: &Pair, patch: &mut Vec<u8>) -> Result<()> {
    let engine = engine_with(strategy);
    let name = format!("f{index}");
    let header = FileHeader::new(FileChange::Modify { path: name.as_bytes() });
    let (old, new) = (Side::Text(&pair.old), Side::Text(&pair.new));
    let diff = engine.diff(old, new);
    engine.render(&header, &diff, old, new, &RenderOptions::default(), patch).into_diagnostic()
}

fn check_with(
    tool: &[&str],
    folder: &Path,
    strategy: &str,
    patch: &[u8],
    pairs: &[Pair],
) -> Result<()> {
    let tree = folder.join("tree");
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(&tree).into_diagnostic()?;
    for (index, pair) in pairs.iter().enumerate() {
        fs::write(tree.join(format!("f{index}")), &pair.old).into_diagnostic()?;
    }
    fs::write(folder.join("patch"), patch).into_diagnostic()?;
    if patch.is_empty() {
        return Ok(());
    }
    let output = Command::new(tool[0])
        .args(&tool[1..])
        .current_dir(&tree)
        .env("GIT_CEILING_DIRECTORIES", folder)
        .stdin(Stdio::null())
        .output()
        .into_diagnostic()?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(miette!("{} refused: {}", tool[0], String::from_utf8_lossy(&said)));
    }
    for (index, pair) in pairs.iter().enumerate() {
        let applied = fs::read(tree.join(format!("f{index}"))).into_diagnostic()?;
        if applied != pair.new {
            return Err(miette!(
                "the {strategy} diff of {} does not give the new content by {}",
                pair.name,
                tool[0]
            ));
        }
    }
    Ok(())
}
