//! The commits that a command has made in the repository of its view.
//!
//! A command wrote everything in there, and git runs as the reviewer here. So git gets a repository of
//! its own, with its own configuration and no hooks, which holds the command's objects, reads the
//! workspace's, and has the references that were checked. Nothing of the user's configuration is read:
//! attributes in a commit could choose programs that it names.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use capture::{Repository, SessionCapture};
use staging_core::ErrorKind;
use tempfile::TempDir;

use crate::base_commit::{answer, git};
use crate::commands::capture_failure;
use crate::failure::Failure;

/// How many references are looked at.
const REFS_MAX: usize = 1000;

/// The commits of a session, in a repository that is removed with this value.
pub(crate) struct PrivateCommits {
    directory: TempDir,
    /// The references that lead to new commits, and their commits.
    pub(crate) refs: Vec<(String, String)>,
    /// The new commits, the newest first.
    pub(crate) commits: Vec<Commit>,
    /// The commits of the workspace from which the new ones were made.
    from: Vec<String>,
}

/// A commit; its texts are as the command wrote them.
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) author: String,
    pub(crate) subject: String,
}

impl PrivateCommits {
    /// Finds the commits of a session that are not in the workspace's repository. The latter is only
    /// read.
    pub(crate) fn find(capture: &SessionCapture<'_>, root: &Path) -> Result<Self, Failure> {
        let failed = |reason: String| {
            Failure::new(ErrorKind::Io, format!("cannot read the commits of the session: {reason}"))
        };
        let directory = TempDir::with_prefix_in("commits-", capture.dir().path());
        let directory = directory.map_err(|error| failed(error.to_string()))?;
        let mut found = Self { directory, refs: Vec::new(), commits: Vec::new(), from: Vec::new() };
        let Some(repository) = Repository::at(root) else { return Ok(found) };
        let format = answer(git(root).args(["rev-parse", "--show-object-format"]).output());
        let format = String::from_utf8_lossy(&format.map_err(failed)?).trim_end().to_owned();
        let mut init = found.git();
        init.args(["init", "--quiet", "--bare", "--template=", "--object-format", &format]);
        answer(init.output()).map_err(failed)?;
        found.share(&repository.common_dir).map_err(|error| failed(error.to_string()))?;
        let private = capture.private_commits(&found.path().join("objects"));
        let private = private.map_err(capture_failure)?;
        if private.has_other_format {
            return Err(Failure::new(
                ErrorKind::Unsupported,
                "the repository keeps its references in reftables, which are not read",
            ));
        }
        let listed = ["for-each-ref", "--format=%(objectname)"];
        let known = answer(git(root).args(listed).output()).map_err(failed)?;
        let head = answer(git(root).args(["rev-parse", "--verify", "--quiet", "HEAD"]).output());
        let known = [known, head.unwrap_or_default()].concat();
        let known = String::from_utf8_lossy(&known).into_owned();
        let known: BTreeSet<&str> = known.lines().collect();
        let new = private.refs.into_iter().filter(|(_, object)| !known.contains(object.as_str()));
        for (name, object) in new.take(REFS_MAX) {
            found.add(name, &object);
        }
        found.list(&known).map_err(failed)?;
        Ok(found)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("repository.git")
    }

    /// Git in the repository of its own.
    fn git(&self) -> Command {
        let mut git = Command::new("git");
        git.env_clear().current_dir(self.directory.path());
        git.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        git.envs([
            ("GIT_DIR", self.path().as_os_str()),
            ("HOME", self.directory.path().as_os_str()),
        ]);
        git.envs([
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("LC_ALL", "C"),
        ]);
        git.args(["--no-pager", "-c", "core.commitGraph=false", "-c", "core.multiPackIndex=false"]);
        git.stdin(Stdio::null());
        git
    }

    /// Lets it read the objects of the workspace's repository.
    #[allow(clippy::disallowed_methods, reason = "a temporary directory of its own")]
    fn share(&self, git: &Path) -> std::io::Result<()> {
        let objects = git.join("objects").into_os_string();
        let objects = objects.as_encoded_bytes();
        if objects.contains(&b'\n') {
            return Err(std::io::ErrorKind::InvalidFilename.into());
        }
        let info = self.path().join("objects/info");
        std::fs::create_dir_all(&info)?;
        std::fs::write(info.join("alternates"), [objects, b"\n"].concat())?;
        if let Ok(shallow) = std::fs::read(git.join("shallow")) {
            std::fs::write(self.path().join("shallow"), shallow)?;
        }
        Ok(())
    }

    /// Adds a reference, if it is one to a commit.
    fn add(&mut self, name: String, object: &str) {
        let name = if name == "HEAD" { "refs/heads/detached-HEAD".to_owned() } else { name };
        let commit = format!("{object}^{{commit}}");
        let checked = self.git().args(["check-ref-format", &name]).output();
        let is_plain = name.starts_with("refs/") && answer(checked).is_ok();
        let verify = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        let Some(commit) = answer(self.git().args(verify).output()).ok().filter(|_| is_plain)
        else {
            return;
        };
        let commit = String::from_utf8_lossy(&commit).trim_end().to_owned();
        if answer(self.git().args(["update-ref", &name, object]).output()).is_ok() {
            self.refs.push((name, commit));
        }
    }

    /// Lists the commits that the workspace does not have.
    fn list(&mut self, known: &BTreeSet<&str>) -> Result<(), String> {
        if self.refs.is_empty() {
            return Ok(());
        }
        let new = self.refs.iter().map(|(_, commit)| format!("{commit}\n"));
        let old = known.iter().map(|commit| format!("^{commit}\n"));
        let input: String = new.chain(old).collect();
        let mut git = self.git();
        git.args(["log", "--stdin", "--topo-order", "--boundary", "--no-show-signature"]);
        git.args(["-z", "--format=%m%H%n%an%n%s", "--ignore-missing"]);
        git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let listed = git.spawn().and_then(|mut git| {
            if let Some(mut stdin) = git.stdin.take() {
                // Git may end before it has read all of it.
                let _ = stdin.write_all(input.as_bytes());
            }
            git.wait_with_output()
        });
        let listed = answer(listed)?;
        for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let entry = String::from_utf8_lossy(entry);
            let mut lines = entry.split('\n').map(str::to_owned);
            let (mark, id) = match lines.next() {
                Some(first) if first.len() > 1 => (first[..1].to_owned(), first[1..].to_owned()),
                _ => continue,
            };
            let (author, subject) =
                (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
            match mark.as_str() {
                "-" => self.from.push(id),
                _ => self.commits.push(Commit { id, author, subject }),
            }
        }
        // A reference that leads to no new commit is of no use.
        let new: BTreeSet<&str> = self.commits.iter().map(|commit| commit.id.as_str()).collect();
        self.refs.retain(|(_, commit)| new.contains(commit.as_str()));
        Ok(())
    }

    /// What follows from the workspace's commits.
    fn range(&self, mut git: Command) -> Command {
        git.args(self.from.iter().map(|commit| format!("^{commit}")));
        git
    }

    /// Writes the commits to a bundle, which `git fetch` reads.
    pub(crate) fn bundle(&self, file: &Path) -> Result<(), String> {
        let mut git = self.git();
        git.args(["bundle", "create", "--quiet"]).arg(file);
        git.args(self.refs.iter().map(|(name, _)| name));
        answer(self.range(git).output()).map(drop)
    }

    /// Writes a file for each commit to a directory, which `git am` reads; returns how many.
    pub(crate) fn format_patch(&self, directory: &Path) -> Result<usize, String> {
        let mut git = self.git();
        git.args(["format-patch", "--no-ext-diff", "--no-textconv", "--binary", "--full-index"]);
        git.arg("--output-directory").arg(directory);
        git.args(self.refs.iter().map(|(_, commit)| commit));
        let written = answer(self.range(git).output())?;
        Ok(written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count())
    }
}
