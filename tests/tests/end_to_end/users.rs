//! Tests of what a command in a view can do, as the user of the tests and as an ordinary one.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use end_to_end::{Fixture, Ran, output};

/// An ordinary user, as whom root runs the command.
const USER: u32 = 1234;

/// A fixture that belongs to a user.
pub(crate) struct Someone {
    pub(crate) fixture: Fixture,
    user: u32,
}

impl Someone {
    fn new(below: &Path, user: u32) -> Self {
        Self { fixture: Fixture::new_in(below), user }
    }

    /// Whether it is the user of the tests.
    pub(crate) fn is_own(&self) -> bool {
        self.user == rustix::process::getuid().as_raw()
    }

    /// Gives the user what the test has written.
    pub(crate) fn give(&self) {
        if !self.is_own() {
            give(&self.fixture.beside(""), self.user);
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        as_user(&self.fixture.command(arguments), self.user)
    }

    pub(crate) fn greenroom(&self, arguments: &[&str]) -> Ran {
        output(&mut self.command(arguments)).into()
    }

    /// Runs the command by another program, whose arguments end with the command line.
    pub(crate) fn started_by(&self, program: &[&str], arguments: &[&str]) -> Ran {
        let plain = self.fixture.command(arguments);
        let mut starter = Command::new(program[0]);
        starter.args(&program[1..]).arg(plain.get_program()).args(plain.get_args());
        output(&mut as_user(&copy(&plain, &mut starter), self.user)).into()
    }

    /// Runs a script in a view with these options.
    pub(crate) fn shell(&self, options: &[&str], script: &str) -> Ran {
        let run = ["run", "--session", "agent"];
        self.greenroom(&[&run, options, &["--", "sh", "-c", script]].concat())
    }
}

/// Makes a test as each user that there is, with a fixture below this directory; says for whom this
/// machine has no view.
pub(crate) fn as_everyone(below: &Path, test: impl Fn(&Someone)) {
    for user in users() {
        let someone = Someone::new(below, user);
        someone.give();
        let tried = someone.greenroom(&["run", "--view", "overlay", "--", "true"]);
        if tried.code == Some(0) {
            test(&someone);
        } else {
            println!("skipped for user {user}: {:?} {}", tried.code, tried.stderr);
        }
    }
}

/// The same command, started as this user.
pub(crate) fn as_user(command: &Command, user: u32) -> Command {
    if user == rustix::process::getuid().as_raw() {
        let mut same = Command::new(command.get_program());
        return copy(command, same.args(command.get_args()));
    }
    let number = user.to_string();
    let mut other = Command::new("setpriv");
    other.args(["--reuid", &number, "--regid", &number, "--clear-groups", "--bounding-set=-all"]);
    copy(command, other.arg(command.get_program()).args(command.get_args()))
}

/// Gives a command what another one has beside its program and arguments.
pub(crate) fn copy(from: &Command, to: &mut Command) -> Command {
    let mut copied = Command::new(to.get_program());
    copied.args(to.get_args()).env_clear().stdin(Stdio::null());
    copied.envs(from.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = from.get_current_dir() {
        copied.current_dir(directory);
    }
    copied
}

/// Gives everything below a path to the user.
pub(crate) fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).expect("root gives it away");
    if fs::symlink_metadata(path).expect("there").is_dir() {
        for entry in fs::read_dir(path).expect("readable") {
            give(&entry.expect("readable").path(), user);
        }
    }
}

pub(crate) fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// As whom a test runs: the user of the tests and, if that is root, an ordinary one too.
pub(crate) fn users() -> Vec<u32> {
    let own = rustix::process::getuid().as_raw();
    if own == 0 { vec![own, USER] } else { vec![own] }
}

/// Where a home directory can be that is in no temporary directory, which stays writable.
pub(crate) fn home() -> Option<&'static Path> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let is_temporary =
        ["/tmp", "/var/tmp", "/dev"].iter().any(|temporary| dir.starts_with(temporary));
    if is_temporary {
        println!("skipped: {} is in a temporary directory", dir.display());
    }
    (!is_temporary).then_some(dir)
}

/// Whether these programs are there; says which is missing.
pub(crate) fn has_programs(programs: &[&str]) -> bool {
    let missing = programs
        .iter()
        .find(|program| !std::env::split_paths(&path()).any(|dir| dir.join(program).is_file()));
    if let Some(missing) = missing {
        println!("skipped: there is no `{missing}`");
    }
    missing.is_none()
}
