//! Keeps a command that works in a copy from the real workspace, from repositories that
//! belong to it and from Greenroom's state, by a rule set of
//! Landlock.
//!
//! Landlock only allows, and what it allows for a directory holds for all that is below. So the
//! directories above what is closed are allowed nothing, and what is in them is allowed one by one.
//! Directories can be listed and programs be executed everywhere. Changes of modes, owners, times and
//! attributes are not refused. landlock(7)

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
};
use rustix::fs::FileType;

use super::mounts::{self, Mounts};
use crate::plan::{CopyPlan, Failure, Step, above};

/// The first version that can refuse to cut a file off without opening it: Linux 6.2.
const NEEDED: ABI = ABI::V3;

/// What the rule set decides on.
fn handled() -> BitFlags<AccessFs> {
    AccessFs::from_all(NEEDED) & !(AccessFs::Execute | AccessFs::ReadDir)
}

/// Whether this kernel can keep a command that works in a copy from the real workspace: Landlock of Linux
/// 6.2.
#[must_use]
pub fn can_guard() -> bool {
    ruleset().is_ok()
}

fn ruleset() -> io::Result<RulesetCreated> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(handled())
        .and_then(Ruleset::create)
        .map_err(io::Error::other)
}

/// Writes the rules of a plan.
pub(super) fn rules(plan: &CopyPlan) -> Result<RulesetCreated, Failure> {
    let failed = Failure::at(Step::Guard);
    let table = Mounts::read().map_err(&failed)?;
    let mut shown = BTreeSet::new();
    let mut closed = BTreeSet::new();
    // What may be read of a directory may be read of all that is below.
    let holds_hidden = |git: &&OsString| plan.hidden.iter().any(|path| is_in(path, git));
    let (closed_git, shown_git): (Vec<_>, Vec<_>) = plan.git.iter().partition(holds_hidden);
    let to_show: Vec<&OsString> = shown_git.into_iter().chain([&plan.workspace]).collect();
    let to_close: Vec<&OsString> = closed_git.into_iter().chain(&plan.hidden).collect();
    for (paths, names) in [(to_show, &mut shown), (to_close, &mut closed)] {
        for path in paths.into_iter().map(Path::new) {
            let others = table.other_names(path).map_err(Failure::of(Step::Guard, path))?;
            names.extend(others.into_iter().map(|name| name.path));
            names.insert(path.to_owned());
        }
    }
    let mut rules = ruleset().map_err(&failed)?;
    let needed: BTreeSet<&Path> = shown.iter().chain(&closed).map(PathBuf::as_path).collect();
    let above = above(&needed);
    for directory in &above {
        // What cannot be listed cannot be allowed.
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = directory.join(entry.file_name());
            if !needed.contains(&*path) && !above.contains(&*path) {
                rules = allow(rules, &path, handled()).map_err(&failed)?;
            }
        }
    }
    for path in &shown {
        rules = allow(rules, path, AccessFs::ReadFile.into()).map_err(&failed)?;
    }
    for path in plan.writable.iter().chain([&plan.copy]).map(Path::new) {
        rules = allow(rules, path, handled()).map_err(Failure::of(Step::Guard, path))?;
    }
    Ok(rules)
}

fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> io::Result<RulesetCreated> {
    // It may have vanished, or belong to a file system that lets nobody in.
    let Ok(opened) = mounts::open_path(path) else { return Ok(rules) };
    let access = match kind(&opened)? {
        FileType::Directory => access,
        // A link leads to what has a rule of its own.
        FileType::Symlink => return Ok(rules),
        _ => access & AccessFs::from_file(NEEDED),
    };
    rules.add_rule(PathBeneath::new(opened, access)).map_err(io::Error::other)
}

fn is_in(path: &OsStr, directory: &OsStr) -> bool {
    Path::new(path).starts_with(directory)
}

fn kind(opened: &OwnedFd) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(opened)?.st_mode))
}
