//! The changes that bring patches to the disk, and those that take them back.

use std::collections::HashMap;

use atomic_fs::{Change, EntryKind, Expected, Fingerprint, Operation as FsOperation, RelPath};

use crate::base::expected;
use crate::patch::{Operation, Patch};
use crate::store::applies::RemovedDir;

/// A patch as atomic-fs takes it. Where a directory takes the place of a file, or makes way for
/// one, that is two changes: one goes, the other comes.
pub(crate) fn changes(patch: &Patch) -> Vec<Change> {
    let change = |expected, operation| Change { path: patch.path.clone(), expected, operation };
    let Some(base) = patch.base else {
        let brought = patch.staged.map(|staged| change(Expected::Absent, bring(staged)));
        return brought.into_iter().collect();
    };
    let found = expected(&base.content);
    let Some(staged) = patch.staged else { return vec![change(found, take_away(base.kind()))] };
    let operation = match (patch.operation, &patch.rename_to) {
        (Operation::Rename, Some(to)) => FsOperation::Rename {
            to: to.clone(),
            staged: Some(staged).filter(|staged| *staged != base.content),
        },
        (Operation::Mode, _) => FsOperation::SetMode { mode: staged.mode },
        _ => return replace(&patch.path, &base.content, staged),
    };
    vec![change(found, operation)]
}

/// Replaces what is at a path. Where one of the two is a directory, that is two changes.
fn replace(path: &RelPath, old: &Fingerprint, new: Fingerprint) -> Vec<Change> {
    let change = |expected, operation| Change { path: path.clone(), expected, operation };
    if [old.kind(), new.kind()].contains(&EntryKind::Directory) {
        let gone = change(expected(old), take_away(old.kind()));
        return vec![gone, change(Expected::Absent, bring(new))];
    }
    vec![change(expected(old), FsOperation::Write(new))]
}

/// Brings what was not there.
fn bring(staged: Fingerprint) -> FsOperation {
    match staged.kind() {
        EntryKind::Directory => FsOperation::MakeDir { mode: Some(staged.permissions()) },
        EntryKind::File | EntryKind::Symlink => FsOperation::Write(staged),
    }
}

/// Takes away what is there.
fn take_away(kind: EntryKind) -> FsOperation {
    match kind {
        EntryKind::Directory => FsOperation::RemoveDir,
        EntryKind::File | EntryKind::Symlink => FsOperation::Delete,
    }
}

/// The changes that bring back what patches changed; `None` when a row lacks what its operation
/// needs. `left` are the directories that the patches made and that nothing will be left in.
pub(crate) fn reverse_all(patches: &[Patch], left: &[RemovedDir]) -> Option<Vec<Change>> {
    let left: HashMap<&RelPath, u32> =
        left.iter().filter_map(|(dir, mode)| Some((dir, (*mode)?))).collect();
    let each: Option<Vec<Vec<Change>>> =
        patches.iter().map(|patch| reverse(patch, &left)).collect();
    Some(each?.into_iter().flatten().collect())
}

fn reverse(patch: &Patch, left: &HashMap<&RelPath, u32>) -> Option<Vec<Change>> {
    let change =
        |path: &RelPath, expected, operation| Change { path: path.clone(), expected, operation };
    let path = &patch.path;
    let (base, staged) = (patch.base.map(|base| base.content), patch.staged);
    let one = match patch.operation {
        Operation::Create if patch.kind() == EntryKind::Directory => match left.get(path) {
            Some(mode) => change(path, Expected::Directory { mode: *mode }, FsOperation::RemoveDir),
            // What lies in it is not the apply's: it stays.
            None => change(path, Expected::Absent, FsOperation::MakeDir { mode: None }),
        },
        Operation::Create => change(path, expected(&staged?), FsOperation::Delete),
        Operation::Modify => return Some(replace(path, &staged?, base?)),
        Operation::Delete => change(path, Expected::Absent, bring(base?)),
        Operation::Mode => {
            change(path, expected(&staged?), FsOperation::SetMode { mode: base?.mode })
        }
        Operation::Rename => {
            let (staged, base) = (staged?, base?);
            let staged_anew = Some(base).filter(|base| *base != staged);
            let operation = FsOperation::Rename { to: path.clone(), staged: staged_anew };
            change(patch.rename_to.as_ref()?, expected(&staged), operation)
        }
    };
    Some(vec![one])
}
