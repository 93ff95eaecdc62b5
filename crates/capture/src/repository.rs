//! Finds the directories in which git keeps a repository, as git does: read as data, without git and
//! without the repository's configuration.
//!
//! A `.git` is a directory, or a file that names one, as in a linked worktree and in a submodule. That
//! directory may name a second one that it shares with others. Nothing is followed further.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// Where git keeps the repository of a directory: gitrepository-layout(5). Both are canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The worktree's own: `HEAD` and the index.
    pub git_dir: PathBuf,
    /// What worktrees share: objects and references.
    pub common_dir: PathBuf,
}

impl Repository {
    /// The repository whose worktree begins at a directory, by the `.git` in it; none where git finds
    /// none.
    #[must_use]
    pub fn at(directory: &Path) -> Option<Self> {
        let dot_git = directory.join(".git");
        let git_dir = if fs::metadata(&dot_git).ok()?.is_dir() {
            fs::canonicalize(dot_git).ok()?
        } else {
            named_in(&dot_git, b"gitdir: ", directory)?
        };
        let common_dir = match fs::symlink_metadata(git_dir.join("commondir")) {
            Ok(_) => named_in(&git_dir.join("commondir"), b"", &git_dir)?,
            Err(_) => git_dir.clone(),
        };
        // `git-new-workdir` makes links to what is shared.
        let objects = fs::canonicalize(common_dir.join("objects")).ok()?;
        let linked = objects.parent().filter(|dir| is_store(dir)).map(Path::to_owned);
        let common_dir = linked.unwrap_or(common_dir);
        let is_one = is_head(&git_dir) && is_store(&common_dir);
        is_one.then_some(Self { git_dir, common_dir })
    }
}

/// The directories outside of the workspace in which git writes for the repositories of these `.git`, paths
/// below the workspace. None is in another one.
pub(crate) fn outside<'p>(
    workspace: &Path,
    dot_git: impl IntoIterator<Item = &'p [u8]>,
) -> Vec<PathBuf> {
    let repositories = dot_git.into_iter().filter_map(|path| {
        let path = workspace.join(OsStr::from_bytes(path));
        Repository::at(path.parent()?)
    });
    let all: BTreeSet<PathBuf> = repositories
        .flat_map(|found| [found.git_dir, found.common_dir])
        .filter(|directory| !directory.starts_with(workspace))
        .collect();
    let is_outermost =
        |directory: &&PathBuf| !directory.ancestors().skip(1).any(|above| all.contains(above));
    all.iter().filter(is_outermost).cloned().collect()
}

/// The directory that a small file names after this word, relative to `base`.
fn named_in(file: &Path, word: &[u8], base: &Path) -> Option<PathBuf> {
    /// A path has at most 4,096 bytes.
    const BYTES_MAX: u64 = 8192;
    // A FIFO gives no answer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut opened = File::from(rustix::fs::open(file, flags, Mode::empty()).ok()?);
    let found = opened.metadata().ok()?;
    if !found.is_file() || found.len() > BYTES_MAX {
        return None;
    }
    let mut named = Vec::new();
    opened.by_ref().take(BYTES_MAX).read_to_end(&mut named).ok()?;
    let named = named.strip_prefix(word)?;
    let end = named.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'))?;
    let directory = fs::canonicalize(base.join(OsStr::from_bytes(&named[..=end]))).ok()?;
    directory.is_dir().then_some(directory)
}

fn is_head(directory: &Path) -> bool {
    fs::symlink_metadata(directory.join("HEAD")).is_ok_and(|found| !found.is_dir())
}

fn is_store(directory: &Path) -> bool {
    directory.join("objects").is_dir() && directory.join("refs").is_dir()
}
