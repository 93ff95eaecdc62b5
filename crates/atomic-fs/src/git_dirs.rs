//! Directories that git takes for its own, whatever they are called.
//!
//! In a layout of worktrees `.git` is a file that names another directory, `gitdir: ./.bare`, and
//! `commondir` in that one may name a third (gitrepository-layout(5)). A hook that is written
//! there runs like one in `.git`. Such a directory is known by what it holds, as git itself knows
//! it, and by the `.git` files of the directories above the path in question.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::beneath::below_root;
use crate::error::FsError;
use crate::git_facts::GitFacts;
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind};
use crate::os::file_reader::FileReader;
use crate::rel_path::RelPath;

/// Longer files name no directory.
const BYTES_MAX: u64 = 8192;

impl<D: Disk> DirCache<'_, D> {
    /// Whether a file at this path would lie in a directory of git's.
    pub(crate) fn is_in_git_dir(&self, root: &Path, path: &RelPath) -> Result<bool, FsError> {
        for dir in path.dirs_above().map(Some).chain([None]) {
            let facts = self.git_facts(root, dir.as_ref())?;
            if facts.is_git_dir || facts.named.iter().any(|named| path.may_lie_below(named)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn git_facts(&self, root: &Path, dir: Option<&RelPath>) -> Result<Arc<GitFacts>, FsError> {
        let key = dir.cloned();
        if let Some(facts) = self.git_dirs().get(&key) {
            return Ok(facts.clone());
        }
        let facts = Arc::new(GitFacts {
            is_git_dir: self.looks_like_a_git_dir(dir)?,
            named: self.named_by_dot_git(root, dir)?,
        });
        Ok(self.git_dirs().entry(key).or_insert(facts).clone())
    }

    /// As `is_git_directory` of git's setup.c, and a directory of a linked worktree.
    fn looks_like_a_git_dir(&self, dir: Option<&RelPath>) -> Result<bool, FsError> {
        let kind = |name: &[u8]| {
            let stat = self.stat(&RelPath::in_dir(dir, name)?)?;
            Ok::<_, FsError>(stat.map(|stat| stat.kind))
        };
        if !matches!(kind(b"HEAD")?, Some(FileKind::Regular | FileKind::Symlink)) {
            return Ok(false);
        }
        let is_there = |name| Ok::<_, FsError>(kind(name)?.is_some());
        Ok(is_there(b"commondir")? || (is_there(b"objects")? && is_there(b"refs")?))
    }

    fn named_by_dot_git(
        &self,
        root: &Path,
        dir: Option<&RelPath>,
    ) -> Result<Vec<RelPath>, FsError> {
        let dot_git = RelPath::in_dir(dir, b".git")?;
        let target = match self.stat(&dot_git)?.map(|stat| stat.kind) {
            Some(FileKind::Regular) => {
                let text = self.first_line(&dot_git);
                text.and_then(|text| text.strip_prefix(b"gitdir:").map(<[u8]>::to_vec))
            }
            Some(FileKind::Symlink) => {
                let parent = self.parent(&dot_git)?;
                self.disk.read_link(&parent, dot_git.file_name()).ok()
            }
            _ => None,
        };
        let mut named = Vec::new();
        let target = target.and_then(|target| joined(root, dir, target.trim_ascii()));
        if let Some(git_dir) = target {
            let common = self.first_line(&git_dir.join(b"commondir")?);
            named.extend(common.and_then(|common| joined(root, Some(&git_dir), &common)));
            named.push(git_dir);
        }
        Ok(named)
    }

    /// What git cannot read names nothing to git either.
    fn first_line(&self, path: &RelPath) -> Option<Vec<u8>> {
        let stat = self.stat(path).ok()??;
        if stat.kind != FileKind::Regular || stat.bytes > BYTES_MAX {
            return None;
        }
        let file = self.open_file(path).ok()?;
        let mut text = Vec::new();
        let reader = FileReader { disk: self.disk, file: &file, offset: 0 };
        reader.take(BYTES_MAX).read_to_end(&mut text).ok()?;
        Some(text.split(|byte| *byte == b'\n').next()?.trim_ascii().to_vec())
    }
}

/// A path that is relative to a directory, as a path below the root; `None` for one outside, and
/// for the root itself.
fn joined(root: &Path, dir: Option<&RelPath>, target: &[u8]) -> Option<RelPath> {
    let (mut parts, target): (Vec<Vec<u8>>, _) = match target.first() {
        Some(b'/') => (Vec::new(), below_root(root, target)?),
        _ => {
            let dir = dir.into_iter().flat_map(|dir| dir.components().map(<[u8]>::to_vec));
            (dir.collect(), target.to_vec())
        }
    };
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            part => parts.push(part.to_vec()),
        }
    }
    RelPath::parse(&parts.join(&b'/')).ok()
}
