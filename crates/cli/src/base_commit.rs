//! The commit from which a copy of the workspace was made, read by git in the workspace's repository.
//!
//! Nothing is read of the repository of a copy, which an agent could have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use capture::{Bytes, Committed};
use staging_core::{ErrorKind, HashingReader, escape_line_for_display};

use crate::failure::Failure;

/// The files of a commit.
pub(crate) struct BaseCommit {
    entries: BTreeMap<Box<[u8]>, Entry>,
    git: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// A file, a link or a repository in a commit.
struct Entry {
    mode: u32,
    /// The name of its content.
    object: String,
}

impl BaseCommit {
    /// Reads which files a revision has below the workspace's root.
    pub(crate) fn read(root: &Path, revision: &str) -> Result<Self, Failure> {
        let commit = format!("{revision}^{{commit}}");
        let found = git(root).args(["rev-parse", "--verify", "--end-of-options", &commit]).output();
        let found = answer(found).map_err(|reason| {
            let revision = escape_line_for_display(revision);
            Failure::new(ErrorKind::NotFound, format!("git knows no commit `{revision}`: {reason}"))
        })?;
        let commit = String::from_utf8_lossy(&found).trim_end().to_owned();
        let failed = |reason| {
            Failure::new(ErrorKind::Io, format!("git cannot read the commit {commit}: {reason}"))
        };
        let listed = git(root).args(["ls-tree", "-r", "-z", &commit]).output();
        let listed = answer(listed).map_err(failed)?;
        let entries = listed.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        let entries: Option<BTreeMap<_, _>> = entries.map(entry).collect();
        let entries = entries.ok_or_else(|| failed("its list is not understood".to_owned()))?;
        let start = || -> io::Result<_> {
            let mut command = git(root);
            command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut git = command.stderr(Stdio::null()).spawn()?;
            let (input, output) = (git.stdin.take(), git.stdout.take());
            let (Some(input), Some(output)) = (input, output) else {
                return Err(io::ErrorKind::BrokenPipe.into());
            };
            Ok((git, input, BufReader::new(output)))
        };
        let (git, input, output) = start().map_err(|error| failed(error.to_string()))?;
        Ok(Self { entries, git, input, output })
    }

    /// The paths of repositories in the repository.
    pub(crate) fn repositories(&self) -> BTreeSet<Bytes> {
        let links = self.entries.iter().filter(|(_, entry)| entry.mode == 0o160_000);
        links.map(|(path, _)| Bytes(path.to_vec())).collect()
    }

    /// What the commit has at a path.
    pub(crate) fn content(&mut self, path: &[u8]) -> io::Result<Committed> {
        let Some(Entry { mode, object }) = self.entries.get(path) else {
            return Ok(Committed::Nothing);
        };
        writeln!(self.input, "{object}")?;
        let mut header = String::new();
        self.output.read_line(&mut header)?;
        let missing = || io::Error::new(io::ErrorKind::NotFound, header.trim_end().to_owned());
        let bytes: u64 = match header.trim_end().split(' ').collect::<Vec<_>>()[..] {
            [_, "blob", bytes] => bytes.parse().map_err(|_| missing())?,
            _ => return Err(missing()),
        };
        let mut content = (&mut self.output).take(bytes);
        let committed = if *mode == 0o120_000 {
            let mut target = Vec::new();
            content.read_to_end(&mut target)?;
            Committed::Symlink(target)
        } else {
            let mut hashing = HashingReader::new(&mut content);
            let read = io::copy(&mut hashing, &mut io::sink())?;
            if read != bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Committed::File { digest: hashing.digest(), bytes, is_executable: mode & 0o100 != 0 }
        };
        self.output.read_exact(&mut [0])?;
        Ok(committed)
    }
}

impl Drop for BaseCommit {
    fn drop(&mut self) {
        let _ = self.git.kill();
        let _ = self.git.wait();
    }
}

/// The merge base of the workspace and of a worktree of its repository; none if the directory is no
/// such worktree.
pub(crate) fn worktree_base(root: &Path, directory: &Path) -> Option<String> {
    let listed = answer(git(root).args(["worktree", "list", "--porcelain", "-z"]).output()).ok()?;
    let mut lines = listed.split(|byte| *byte == 0);
    let is_named = |line: &[u8]| {
        let path = line.strip_prefix(b"worktree ").map(|path| Path::new(OsStr::from_bytes(path)));
        path.and_then(|path| dunce::canonicalize(path).ok()).as_deref() == Some(directory)
    };
    lines.find(|line| is_named(line))?;
    let head = lines.next()?.strip_prefix(b"HEAD ")?;
    let head = std::str::from_utf8(head).ok()?;
    let base = answer(git(root).args(["merge-base", "HEAD", head]).output()).ok()?;
    Some(String::from_utf8_lossy(&base).trim_end().to_owned())
}

/// Git in the workspace's repository. It starts no program of the configuration, fetches nothing, and
/// writes nothing.
pub(crate) fn git(root: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["--no-pager", "-c", "core.fsmonitor=false"]);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        git.env_remove(variable);
    }
    git.envs([
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ]);
    git.stdin(Stdio::null());
    git
}

/// What git printed, or its message.
pub(crate) fn answer(ended: io::Result<std::process::Output>) -> Result<Vec<u8>, String> {
    match ended {
        Ok(ended) if ended.status.success() => Ok(ended.stdout),
        Ok(ended) => {
            let text = String::from_utf8_lossy(&ended.stderr).trim_end().to_owned();
            Err(escape_line_for_display(&text).into_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A line of `git ls-tree`: `MODE TYPE OBJECT`, a tab, and the path.
fn entry(line: &[u8]) -> Option<(Box<[u8]>, Entry)> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let head = std::str::from_utf8(&line[..tab]).ok()?;
    let mut words = head.split(' ');
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let object = words.nth(1)?.to_owned();
    Some((line[tab + 1..].into(), Entry { mode, object }))
}
