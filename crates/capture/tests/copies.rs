//! What a copy of the workspace has changed, by random changes of the copy and of the workspace.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use capture::{Committed, Copy, CopyKind, Report, SessionCapture};
use proptest::prelude::*;
use staging_core::{ApplyRequest, Digest, DiskOwner, StagingError, StagingOptions};

/// A file: its content, and whether it is executable.
type Content = (String, bool);
type Tree = BTreeMap<String, Content>;

const NAMES: [&str; 6] = ["a", "b", "d", "d/a", "d/e/f", "n"];

/// What somebody does to a tree.
#[derive(Clone, Debug)]
enum Edit {
    Write(usize, String),
    Remove(usize),
    SetExecutable(usize, bool),
    Rename(usize, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let name = || 0..NAMES.len();
    let edit = prop_oneof![
        (name(), "[xyz]{1,2}").prop_map(|(at, text)| Edit::Write(at, text)),
        name().prop_map(Edit::Remove),
        (name(), any::<bool>()).prop_map(|(at, is)| Edit::SetExecutable(at, is)),
        (name(), name()).prop_map(|(from, to)| Edit::Rename(from, to)),
    ];
    prop::collection::vec(edit, 0..5)
}

/// Does what is possible.
fn perform(root: &Path, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Write(at, text) => {
                let path = root.join(NAMES[*at]);
                if path.is_dir() {
                    let _ = fs::remove_dir_all(&path);
                }
                if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
                    let _ = fs::remove_file(parent);
                    let _ = fs::remove_file(root.join("d"));
                    let _ = fs::create_dir_all(parent);
                }
                let _ = fs::write(path, text);
            }
            Edit::Remove(at) => {
                let _ = fs::remove_file(root.join(NAMES[*at]));
            }
            Edit::SetExecutable(at, is) => {
                let path = root.join(NAMES[*at]);
                let mode = if *is { 0o755 } else { 0o644 };
                if path.is_file() {
                    let _ = fs::set_permissions(path, Permissions::from_mode(mode));
                }
            }
            Edit::Rename(from, to) => {
                let _ = fs::rename(root.join(NAMES[*from]), root.join(NAMES[*to]));
            }
        }
    }
}

/// The files of a tree.
fn tree(root: &Path) -> Result<Tree, Box<dyn Error>> {
    let (mut found, mut waiting) = (Tree::new(), vec![root.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                waiting.push(path);
                continue;
            }
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            // What an apply has replaced, until it is removed.
            if name.contains(".greenroom-") {
                continue;
            }
            let mode = fs::metadata(&path)?.permissions().mode();
            found.insert(name, (fs::read_to_string(&path)?, mode & 0o100 != 0));
        }
    }
    Ok(found)
}

/// A workspace with some files, and a copy of it.
struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Result<Self, Box<dyn Error>> {
        let fixture = Self { directory: tempfile::tempdir()? };
        for name in ["workspace", "copy"] {
            fs::create_dir_all(fixture.at(name)?.join("d/e"))?;
            for file in ["a", "b", "d/a", "d/e/f"] {
                fs::write(fixture.at(name)?.join(file), format!("{file}\n"))?;
            }
        }
        fs::create_dir(fixture.at("state")?)?;
        fs::set_permissions(fixture.at("state")?, Permissions::from_mode(0o700))?;
        Ok(fixture)
    }

    fn at(&self, name: &str) -> Result<std::path::PathBuf, Box<dyn Error>> {
        Ok(self.directory.path().canonicalize()?.join(name))
    }

    fn layer(&self) -> Result<DiskOwner, Box<dyn Error>> {
        Ok(DiskOwner::open(StagingOptions::new(self.at("workspace")?, self.at("state")?))?)
    }

    fn import(&self, layer: &DiskOwner, base: &Tree) -> Result<Report, Box<dyn Error>> {
        let session = layer.open_session("copy")?;
        let directory = self.at("copy")?;
        let mut committed = |path: &[u8]| {
            Ok(match base.get(&*String::from_utf8_lossy(path)) {
                None => Committed::Nothing,
                Some((content, is_executable)) => Committed::File {
                    digest: Digest::of(content.as_bytes()),
                    bytes: content.len() as u64,
                    is_executable: *is_executable,
                },
            })
        };
        let copy = Copy {
            directory: &directory,
            kind: CopyKind::Tree,
            copied_at: None,
            committed: Some(&mut committed),
            left_out: BTreeSet::new(),
            general: Vec::new(),
            tracked: BTreeSet::new(),
        };
        Ok(SessionCapture::of(layer, session.id).import_copy(copy)?)
    }
}

/// Applies what is pending; returns whether all of it could be. A file of the copy cannot take the
/// place of a directory in which the user has changed something.
fn apply(layer: &DiskOwner) -> Result<bool, Box<dyn Error>> {
    let request =
        ApplyRequest { rest: true, confirm_full_replace: true, ..ApplyRequest::default() };
    if layer.status()?.sessions.iter().all(|session| session.patches.is_empty()) {
        return Ok(true);
    }
    match layer.apply(&request) {
        Ok(_) => Ok(true),
        Err(
            StagingError::Stale { .. }
            | StagingError::Conflict { .. }
            | StagingError::RolledBack { .. },
        ) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Both sides change; what is pending is applied, twice with more changes of the copy.
fn check(rounds: &[(Vec<Edit>, Vec<Edit>)]) -> Result<(), Box<dyn Error>> {
    let fixture = Fixture::new()?;
    let (workspace, copy) = (fixture.at("workspace")?, fixture.at("copy")?);
    let base = tree(&workspace)?;
    // What the workspace would be if the copy did not exist.
    let mut is_only_copy = true;
    for (of_user, of_copy) in rounds {
        // As a process of its own: the last one has removed what its apply replaced.
        let layer = fixture.layer()?;
        let before = tree(&workspace)?;
        perform(&workspace, of_user);
        perform(&copy, of_copy);
        let (ours, theirs) = (tree(&workspace)?, tree(&copy)?);
        if theirs.is_empty() {
            // Refused, unless the workspace is empty as well.
            return Ok(());
        }
        let users: BTreeSet<&String> = ours
            .keys()
            .chain(before.keys())
            .filter(|name| ours.get(*name) != before.get(*name))
            .collect();
        is_only_copy &= users.is_empty();
        let report = fixture.import(&layer, &base)?;
        let stale: BTreeSet<String> =
            report.imported.unproven.iter().map(ToString::to_string).collect();
        let is_applied = apply(&layer)?;
        let result = tree(&workspace)?;
        // What the user has just written is there, in its place or moved with a rename of the copy.
        for name in &users {
            let Some(content) = ours.get(*name) else { continue };
            let is_reverted =
                theirs.get(*name) != ours.get(*name) && base.get(*name) == Some(content);
            let is_kept = result.get(*name) == Some(content);
            assert!(is_kept || is_reverted, "`{name}` is lost, stale are {stale:?}: {rounds:#?}");
        }
        if is_only_copy {
            assert_eq!(result, theirs, "stale are {stale:?}: {rounds:#?}");
            assert_eq!((is_applied, stale), (true, BTreeSet::new()), "{rounds:#?}");
        }
        // What neither has is from nowhere.
        for (name, content) in &result {
            let is_known = ours.get(name) == Some(content) || theirs.get(name) == Some(content);
            assert!(is_known, "`{name}` is neither version: {rounds:#?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_of_the_user_is_lost_and_a_copy_alone_is_reproduced(
        first in (edits(), edits()),
        second in edits(),
        third in (edits(), edits()),
    ) {
        check(&[first, (Vec::new(), second), third]).expect("every step succeeds");
    }

    #[test]
    fn a_copy_that_alone_changes_is_reproduced(rounds in prop::collection::vec(edits(), 1..4)) {
        let rounds: Vec<_> = rounds.into_iter().map(|copy| (Vec::new(), copy)).collect();
        check(&rounds).expect("every step succeeds");
    }
}

/// Git knows no directories, so that the commit does not say whether one was there.
#[test]
fn an_empty_directory_that_the_copy_has_kept_and_then_replaced_is_replaced() {
    use Edit::{Remove, Write};
    let text = |text: &str| text.to_owned();
    let rounds =
        [vec![Remove(4)], vec![Write(5, text("z"))], vec![Remove(3), Write(2, text("xz"))]];
    check(&rounds.map(|copy| (Vec::new(), copy))).expect("every step succeeds");
}
