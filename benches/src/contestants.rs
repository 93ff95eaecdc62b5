//! The ways of bringing N files to the disk that are measured side by side.

use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use atomic_fs::{
    Change, ChangeSet, ContentSource, Digest, EmptiedDirs, Expected, Fingerprint, Operation,
    Options, Outcome, RelPath, Workspace,
};
use miette::{IntoDiagnostic as _, Result, miette};

/// One file to replace: its path below the tree, what it holds and what it is to hold.
pub(super) struct Replacement {
    pub path: PathBuf,
    pub old: Vec<u8>,
    pub new: Vec<u8>,
}

/// What a contestant needed: until it answered, and for what it tidied afterwards.
pub(super) struct Spent {
    pub answer: Duration,
    pub tidying: Duration,
}

/// A way of replacing files.
pub(super) type Contestant = fn(&Path, &[Replacement]) -> Result<Spent>;

pub(super) const ALL: [(&str, Contestant); 6] = [
    ("greenroom", greenroom),
    ("bare, durable", bare_durable),
    ("atomic-write-file", atomic_write_file),
    ("tempfile + syncs", tempfile_with_syncs),
    ("git apply (no syncs)", git_apply),
    ("bare, no syncs", bare_without_syncs),
];

/// Staged content as the store keeps it: one file for each digest.
struct Blobs(PathBuf);

impl ContentSource for Blobs {
    fn open(&self, digest: &Digest) -> std::io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(File::open(self.0.join(digest.to_string()))?))
    }
}

/// One change set: journal, verified swaps, undo data, two barriers.
fn greenroom(folder: &Path, files: &[Replacement]) -> Result<Spent> {
    let (tree, state, blobs) = (folder.join("tree"), folder.join("state"), folder.join("blobs"));
    for dir in [&state, &blobs] {
        fs::create_dir_all(dir).into_diagnostic()?;
    }
    let mut changes = Vec::with_capacity(files.len());
    for file in files {
        let staged = Digest::of(&file.new);
        fs::write(blobs.join(staged.to_string()), &file.new).into_diagnostic()?;
        let base = Fingerprint::file(Digest::of(&file.old), file.old.len() as u64, 0o644);
        let staged = Fingerprint::file(staged, file.new.len() as u64, 0o644);
        changes.push(Change {
            path: RelPath::from_path(&file.path).into_diagnostic()?,
            expected: Expected::Matches(base),
            operation: Operation::Write(staged),
        });
    }
    let workspace = Workspace::open(&tree, &state, Options::default()).into_diagnostic()?;
    let set = ChangeSet { id: "bench".to_owned(), changes, emptied_dirs: EmptiedDirs::default() };
    let source = Blobs(blobs);
    let begun = Instant::now();
    let lock = workspace.lock().into_diagnostic()?;
    let applied = workspace.apply(&lock, &set, &source);
    let answer = begun.elapsed();
    let Outcome::Committed = applied.outcome else { return Err(miette!("{:?}", applied.outcome)) };
    let tidying = Instant::now();
    if let Some(unfinished) = applied.unfinished {
        workspace.clean_up(&lock, &unfinished).into_diagnostic()?;
        workspace.forget(&lock, unfinished).into_diagnostic()?;
    }
    Ok(Spent { answer, tidying: tidying.elapsed() })
}

fn each(
    folder: &Path,
    files: &[Replacement],
    replace: impl Fn(&Path, &[u8]) -> std::io::Result<()>,
) -> Result<Spent> {
    let tree = folder.join("tree");
    let begun = Instant::now();
    for file in files {
        replace(&tree.join(&file.path), &file.new).into_diagnostic()?;
    }
    Ok(Spent { answer: begun.elapsed(), tidying: Duration::ZERO })
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Create, write, sync, rename, sync the directory: the least a single file needs.
fn bare_durable(folder: &Path, files: &[Replacement]) -> Result<Spent> {
    each(folder, files, |path, content| {
        let beside = path.with_extension("tmp");
        let mut file = File::create_new(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(parent(path))?.sync_all()
    })
}

fn atomic_write_file(folder: &Path, files: &[Replacement]) -> Result<Spent> {
    each(folder, files, |path, content| {
        let mut file = atomic_write_file::AtomicWriteFile::open(path)?;
        file.write_all(content)?;
        file.commit()
    })
}

fn tempfile_with_syncs(folder: &Path, files: &[Replacement]) -> Result<Spent> {
    each(folder, files, |path, content| {
        let mut file = tempfile::NamedTempFile::new_in(parent(path))?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|failed| failed.error)?;
        File::open(parent(path))?.sync_all()
    })
}

fn bare_without_syncs(folder: &Path, files: &[Replacement]) -> Result<Spent> {
    each(folder, files, |path, content| {
        let beside = path.with_extension("tmp");
        fs::write(&beside, content)?;
        fs::rename(&beside, path)
    })
}

/// The whole process, its start-up included, over a patch made beforehand.
fn git_apply(folder: &Path, files: &[Replacement]) -> Result<Spent> {
    let mut patch = Vec::new();
    for file in files {
        write_patch(&mut patch, file).into_diagnostic()?;
    }
    let begun = Instant::now();
    let mut git = Command::new("git")
        .arg("apply")
        .current_dir(folder.join("tree"))
        // Inside a repository it would skip what lies outside of the current directory.
        .env("GIT_CEILING_DIRECTORIES", folder)
        .stdin(Stdio::piped())
        .spawn()
        .into_diagnostic()?;
    git.stdin
        .take()
        .ok_or_else(|| miette!("git has no input"))?
        .write_all(&patch)
        .into_diagnostic()?;
    if !git.wait().into_diagnostic()?.success() {
        return Err(miette!("git apply failed"));
    }
    Ok(Spent { answer: begun.elapsed(), tidying: Duration::ZERO })
}

/// The files of the bench differ in their first line.
fn write_patch(patch: &mut Vec<u8>, file: &Replacement) -> std::io::Result<()> {
    let name = file.path.display();
    let lines = |content: &[u8]| -> Vec<Vec<u8>> {
        content.split_inclusive(|byte| *byte == b'\n').take(4).map(<[u8]>::to_vec).collect()
    };
    let (old, new) = (lines(&file.old), lines(&file.new));
    write!(patch, "diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -1,4 +1,4 @@\n-")?;
    patch.extend_from_slice(&old[0]);
    patch.push(b'+');
    patch.extend_from_slice(&new[0]);
    for line in &old[1..] {
        patch.push(b' ');
        patch.extend_from_slice(line);
    }
    Ok(())
}
