//! Commands in a view, with the workspace on one file system and what they write on another.

use std::fs;
use std::path::Path;
use std::process::Command;

use miette::{IntoDiagnostic as _, Result, miette};

use crate::tree::{self, Tree};
use crate::trial::Fixture;
use crate::volume::{self, Volume};

/// What a command does to its files in the ways that differ between file systems.
const SCRIPT: &str = "set -e
    echo two >> appended; sed -i s/one/two/ edited; rm removed; rm -r gone; rm -r again; mkdir again
    echo new > again/new; mkdir -p deep/er; echo new > deep/er/new; mv moved elsewhere; chmod 755 mode
    rm kind; mkdir kind; echo new > kind/inner; mv directory other; ln appended linked; : > emptied
    dd if=/dev/zero of=sparse bs=1 count=1 seek=1000000 2> /dev/null; touch touched; rm linked";

const FILES: &[&str] = &[
    "appended",
    "edited",
    "removed",
    "gone/a",
    "gone/deep/b",
    "again/a",
    "moved",
    "mode",
    "kind",
    "directory/f",
    "emptied",
    "touched",
];

/// Every pair with this file system below: the workspace stays as it is, and what is applied is what
/// the script makes of the same files without Greenroom.
pub(super) fn run(greenroom: &Path, scratch: &Path, lower: &Volume) -> Result<()> {
    if !lower.inner.is_empty() {
        println!("{}: a view cannot show what is mounted below it", lower.name);
        return Ok(());
    }
    let bare = lower.folder.join("bare");
    fill(&bare)?;
    volume::run(Command::new("sh").args(["-c", SCRIPT]).current_dir(&bare))
        .map_err(|reason| miette!("the script: {reason}"))?;
    let expected = tree::read(&bare).into_diagnostic()?;
    for (kind, upper) in volume::some(&["ext4", "xfs", "btrfs", "tmpfs"], &scratch.join("upper")) {
        let case = format!("{} below {kind}", lower.name);
        match upper {
            Err(reason) => println!("{case}: skipped, {reason}"),
            Ok(upper) => check(greenroom, lower, &upper, &expected, &case)?,
        }
    }
    Ok(())
}

fn fill(root: &Path) -> Result<()> {
    for name in FILES {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap_or(root)).into_diagnostic()?;
        fs::write(&file, format!("one {name}\n")).into_diagnostic()?;
    }
    Ok(())
}

fn check(
    greenroom: &Path,
    lower: &Volume,
    upper: &Volume,
    expected: &Tree,
    case: &str,
) -> Result<()> {
    let fixture = Fixture::with_state_in(&upper.folder, greenroom, lower)?;
    tree::clear(&fixture.tree).into_diagnostic()?;
    fill(&fixture.tree)?;
    let before = tree::stamps(&fixture.tree).into_diagnostic()?;
    let run = ["run", "--view", "overlay", "--session", "agent", "--", "sh", "-c"];
    let output = fixture.greenroom(&[&run[..], &[SCRIPT]].concat())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(125) {
        println!("{case}: skipped, {said}");
        return Ok(());
    }
    let is_kept = tree::stamps(&fixture.tree).into_diagnostic()? == before;
    if !output.status.success() || !is_kept || said.contains("stale") {
        return Err(miette!("{case}: exit {}, kept: {is_kept}: {said}", output.status));
    }
    // The session goes on with what it has, and has nothing new.
    let patches = fixture.pending()?;
    fixture.must(&[&run[..], &["cat elsewhere deep/er/new"]].concat())?;
    if fixture.pending()? != patches {
        return Err(miette!("{case}: {patches} patches became {}", fixture.pending()?));
    }
    fixture.must(&["exec", "--", "test", "-e", "kind/inner"])?;
    fixture.must(&["apply", "--require-exec", "--yes", "--confirm-full-replace"])?;
    let applied = tree::read(&fixture.tree).into_diagnostic()?;
    if applied != *expected {
        let differing = applied.keys().filter(|path| applied.get(*path) != expected.get(*path));
        let missing = expected.keys().filter(|path| !applied.contains_key(*path));
        let paths: Vec<_> = differing.chain(missing).collect();
        return Err(miette!("{case}: applied is not what the script makes: {paths:?}"));
    }
    println!("{case}: {patches} patches, applied as without Greenroom");
    Ok(())
}
