//! A temporary workspace and the command run in it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{greenroom_binary, without_namespaces};
use crate::tree::{Tree, tree_of};

/// A workspace, a state directory and a home of their own, gone when dropped.
pub struct Fixture {
    dir: TempDir,
    machine: Machine,
}

/// What the machine allows to the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Machine {
    /// What it allows to the tests.
    #[default]
    Own,
    /// No namespaces and no mounts, as in a container of Docker.
    WithoutNamespaces,
}

impl Fixture {
    /// A workspace that is an empty git repository.
    pub fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    /// The same below this directory.
    pub fn new_in(directory: &Path) -> Self {
        let dir = TempDir::with_prefix_in("greenroom-test-", directory);
        let stage = Self { dir: dir.expect("a temporary folder"), machine: Machine::Own };
        for name in ["workspace", "state", "home", "config"] {
            fs::create_dir(stage.beside(name)).expect("the folder is new");
        }
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(stage.beside("state"), private).expect("it is ours");
        git(&stage.workspace(), &["init", "--quiet"]);
        stage
    }

    /// A workspace in which a command can run in a view of this kind, or `without` one, on a machine that
    /// allows none; nothing, visibly, where this machine refuses that.
    pub fn with_view(kind: &str) -> Option<Self> {
        let (machine, kind) = match kind {
            "without" => (Machine::WithoutNamespaces, "auto"),
            kind => (Machine::Own, kind),
        };
        let fixture = Self { machine, ..Self::new() };
        let ran = fixture.run(["run", "--view", kind, "--", "true"]);
        if ran.code == Some(125) {
            println!("skipped: {}", ran.stderr);
            return None;
        }
        ran.expect(0);
        Some(fixture)
    }

    /// What the machine allows to the command.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// The workspace's root, canonical.
    pub fn workspace(&self) -> PathBuf {
        self.beside("workspace")
    }

    /// A name beside the workspace, outside of it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("the folder is there").join(name)
    }

    /// A file of the workspace.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.workspace().join(name)
    }

    /// Writes a file as the user would.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        let _forks = no_forks();
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("it is ours");
        fs::write(path, content).expect("the workspace is ours");
    }

    /// What a file holds.
    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{} must be there: {error}", path.display()))
    }

    /// A file's permission bits.
    pub fn mode(&self, name: impl AsRef<Path>) -> u32 {
        let metadata = fs::metadata(self.path(name)).expect("the file is there");
        metadata.permissions().mode() & 0o7777
    }

    /// Everything in the workspace, `.git` included.
    pub fn tree(&self) -> Tree {
        tree_of(&self.workspace())
    }

    /// The workspace's own state, which the first command makes.
    pub fn state_dir(&self) -> PathBuf {
        let mut dirs = fs::read_dir(self.beside("state")).expect("the folder is there");
        dirs.next().expect("a command has run").expect("readable").path()
    }

    /// Writes the user's configuration.
    pub fn configure(&self, text: &str) {
        let dir = self.beside("config").join("greenroom");
        fs::create_dir_all(&dir).expect("it is ours");
        fs::write(dir.join("config.toml"), text).expect("it is ours");
    }

    /// The command, in the workspace, with nothing of this machine's user.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = match self.machine {
            Machine::Own => Command::new(greenroom_binary()),
            Machine::WithoutNamespaces => {
                let mut command = Command::new(without_namespaces());
                command.arg(greenroom_binary());
                command
            }
        };
        command
            .args(arguments)
            .current_dir(self.workspace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.beside("home"))
            .env("XDG_CONFIG_HOME", self.beside("config"))
            .env("GREENROOM_STATE_DIR", self.beside("state"))
            // A pager waits for a key.
            .env("PAGER", "cat")
            .stdin(Stdio::null());
        command
    }

    /// Runs the command with nothing on standard input.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        output(&mut self.command(arguments)).into()
    }

    /// Runs the command with this on standard input.
    pub fn run_with<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command);
        let mut stdin = child.stdin.take().expect("it is piped");
        // A command that refuses its arguments does not read its input.
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().expect("the command ends").into()
    }

    /// Proposes content and gives the patch's id.
    pub fn propose(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> String {
        let arguments = [OsStr::new("propose"), name.as_ref(), OsStr::new("--json")];
        let ran = self.run_with(arguments, content.as_ref()).expect(0);
        let id = ran.json()["patches"][0]["id"].clone();
        id.as_str().expect("a patch has an id").to_owned()
    }

    /// The signature of everything pending.
    pub fn signature(&self) -> String {
        let status = self.status();
        status["signature"].as_str().expect("a status has a signature").to_owned()
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        self.run(["status", "--json"]).expect(0).json()
    }

    /// The patch in full, whatever its state.
    pub fn patch(&self, id: &str) -> Value {
        self.run(["show", id, "--json"]).expect(0).json()["patch"].clone()
    }

    /// How many patches are pending.
    pub fn pending(&self) -> usize {
        let status = self.status();
        let sessions = status["sessions"].as_array().expect("sessions are a list").clone();
        sessions.iter().map(|s| s["patches"].as_array().map_or(0, Vec::len)).sum()
    }

    /// The names of events that were logged, in order.
    pub fn events(&self) -> Vec<String> {
        let log = self.run(["log", "--json"]).expect(0).json();
        let events = log["events"].as_array().expect("events are a list").clone();
        events.iter().map(|event| event["event"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

/// The result of running the command.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none when it was killed.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), stdout: output.stdout, stderr }
    }
}

impl Ran {
    /// The same, with this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let stderr = &self.stderr;
        assert_eq!(self.code, Some(code), "exit code; output:\n{stdout}\nerrors:\n{stderr}");
        self
    }

    /// Standard output as the one JSON object it must be.
    #[track_caller]
    pub fn json(&self) -> Value {
        let object: Value = serde_json::from_slice(&self.stdout).unwrap_or_else(|error| {
            panic!("{error}: one object, not `{}`", String::from_utf8_lossy(&self.stdout))
        });
        assert_eq!(object["schema"], 1, "every object names its schema");
        object
    }

    /// The kind of the error that `--json` printed.
    #[track_caller]
    pub fn error_kind(&self) -> String {
        self.json()["error"]["kind"].as_str().expect("an error has a kind").to_owned()
    }
}

/// Keeps processes from being started while it is held.
///
/// A process that is just being started has, for a moment, every file open that
/// any thread of the test has. If that is one open for writing, an apply finds it
/// busy, and rightly so.
fn no_forks() -> MutexGuard<'static, ()> {
    static FORKS: Mutex<()> = Mutex::new(());
    FORKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a process; back when it has none of this test's files open.
pub fn spawn(command: &mut Command) -> Child {
    let _forks = no_forks();
    command.spawn().unwrap_or_else(|error| panic!("{command:?} starts: {error}"))
}

/// Runs a process to its end, with what it wrote.
pub fn output(command: &mut Command) -> Output {
    spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
        .wait_with_output()
        .expect("it is our child")
}

/// Runs git without this machine's configuration; its output.
#[track_caller]
pub fn git(dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(dir);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = output(&mut command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {errors}");
    output.stdout
}
