//! A workspace with its state directory, and ways to run commands in a view of it.
#![allow(dead_code, reason = "each file of tests uses another part of it")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use capture::{Changes, Entry, Kind, Plan, Snapshot, TICK_NANOS, View, read_upper, survey};

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

type Upper = BTreeMap<Box<[u8]>, Entry>;

/// The program that is the keeper, and a process that runs a command as `greenroom run` will.
pub(crate) const HELPER: &str = env!("CARGO_BIN_EXE_capture-helper");

/// A workspace and a state directory, removed at the end.
pub(crate) struct Fixture {
    directory: tempfile::TempDir,
    pub(crate) workspace: PathBuf,
    pub(crate) state: PathBuf,
}

impl Fixture {
    /// Makes one with the files; none, visibly, if this machine refuses an overlay to this user.
    pub(crate) fn new(files: &[(&str, &str)]) -> Result<Option<Self>, Box<dyn Error>> {
        Self::named(OsStr::new("workspace"), files)
    }

    pub(crate) fn named(
        name: &OsStr,
        files: &[(&str, &str)],
    ) -> Result<Option<Self>, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        // Nothing on the way may be a link.
        let root = directory.path().canonicalize()?;
        if let Some(reason) = refusal(&root)? {
            println!("skipped: this machine refuses an overlay to this user: {reason}");
            return Ok(None);
        }
        let fixture = Self { workspace: root.join(name), state: root.join("state"), directory };
        for made in ["upper", "work"] {
            fs::create_dir_all(fixture.state.join(made))?;
        }
        fs::create_dir(&fixture.workspace)?;
        for (name, content) in files {
            let path = fixture.workspace.join(name);
            fs::create_dir_all(path.parent().ok_or("a file is in a directory")?)?;
            fs::write(path, content)?;
        }
        Ok(Some(fixture))
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan {
            workspace: self.workspace.clone().into(),
            upper: self.state.join("upper").into(),
            work: self.state.join("work").into(),
            layer: None,
            copy: None,
            masks: vec![self.state.clone().into()],
            inside: "s1\n".to_owned(),
            directory: self.workspace.clone().into(),
            git: Vec::new(),
            confine: None,
        }
    }

    pub(crate) fn start(&self) -> Result<View, Box<dyn Error>> {
        Ok(View::start(&self.plan(), keeper())?)
    }

    /// What starts a command in a view as another process does.
    pub(crate) fn helper(&self, command: &[&str]) -> Command {
        let mut helper = Command::new(HELPER);
        helper.arg("run").arg(&self.state).arg(&self.workspace).arg("--").args(command);
        helper.current_dir(&self.workspace).stdin(Stdio::null());
        helper
    }

    /// Runs a shell script in a view, by the helper.
    pub(crate) fn script(&self, script: &str) -> Result<Output, Box<dyn Error>> {
        Ok(self.helper(&["sh", "-c", script]).output()?)
    }

    /// Runs a shell script that must exit with 0 in a view, and returns what it printed.
    pub(crate) fn shell(&self, script: &str) -> Result<String, Box<dyn Error>> {
        let output = self.script(script)?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {error}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, Box<dyn Error>> {
        let root = File::open(&self.workspace)?;
        Ok(survey(root.as_fd(), &mut |_, _| false)?.snapshot)
    }

    pub(crate) fn upper(&self) -> Result<Upper, Box<dyn Error>> {
        let upper = File::open(self.state.join("upper"))?;
        Ok(read_upper(upper.as_fd(), &mut |_, _: Kind| false)?)
    }

    pub(crate) fn changes(&self, seen: &Snapshot) -> Result<Changes, Box<dyn Error>> {
        Ok(Changes::new(&self.upper()?, seen))
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.workspace.join(name)).unwrap_or_else(|error| error.to_string())
    }

    pub(crate) fn read_upper(&self, name: &str) -> String {
        let path = self.state.join("upper").join(name);
        fs::read_to_string(path).unwrap_or_else(|error| error.to_string())
    }

    /// A place outside of the workspace that the view does not hide.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

pub(crate) fn keeper() -> Command {
    let mut keeper = Command::new(HELPER);
    keeper.arg("__keeper");
    keeper
}

pub(crate) fn words(command: &[&str]) -> Vec<OsString> {
    command.iter().map(OsString::from).collect()
}

pub(crate) fn lines(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output).lines().map(str::to_owned).collect()
}

/// How a process ended, as a shell reports it.
pub(crate) fn code(output: &Output) -> Option<i32> {
    output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal))
}

/// Waits until something is true, which must happen soon.
pub(crate) fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < Duration::from_secs(60), "in a minute, not: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the clock of file systems has moved on: what comes before and after can be told
/// apart.
pub(crate) fn tick() {
    thread::sleep(Duration::from_nanos(u64::from(2 * TICK_NANOS)));
}

/// Why this machine refuses an overlay to this user, none if it allows one: asked without any code
/// of this crate, so that a fault in it makes a test fail rather than be skipped.
fn refusal(directory: &Path) -> Result<Option<String>, Box<dyn Error>> {
    let script =
        "mkdir l u w m && mount -t overlay -o userxattr,lowerdir=l,upperdir=u,workdir=w o m";
    let probe = tempfile::tempdir_in(directory)?;
    let tried = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .current_dir(probe.path())
        .output();
    let refusal = match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    };
    // Without permissions, which would keep the directory from being removed.
    let _ = fs::remove_dir(probe.path().join("w/work"));
    Ok(refusal)
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.state.join("work/work"));
    }
}
