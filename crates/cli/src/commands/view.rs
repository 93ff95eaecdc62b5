//! What `run` and `exec` need to start a command in a view, and to end it there.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use capture::{
    CaptureError, Exit, Foreground, GitWrites, Machine, Obstacle, Plan, Remedy, Step, View,
    ViewError,
};
use staging_core::{CaptureDir, ErrorKind};

use super::attend::{Attendant, GRACE};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::{Location, usual_states};
use crate::paths::shown;

/// The hidden argument by which this program becomes the keeper of a view.
pub(crate) const KEEPER: &str = "__capture";

/// Why a command gets a copy of what it could not write.
pub(super) const FOREIGN: &str = "its files belong to another user or group";

/// The copies of the workspace that a session or a trial keeps.
pub(super) trait Copies {
    /// Where they are.
    fn dir(&self) -> &CaptureDir;

    /// Makes or renews the copy that a view shows, and returns what cannot be read.
    fn copy_workspace(&self) -> Result<Vec<String>, CaptureError>;

    /// Makes or renews the copy in which a command works, and returns what cannot be read.
    fn renew_working_copy(&self) -> Result<Vec<String>, CaptureError>;

    /// Whether what commands have written is in the working copy, which the next one has to go on with.
    fn is_bound_to_working_copy(&self) -> bool;
}

pub(super) fn remark_unreadable(console: &Console, unreadable: &[String]) {
    if let Some(first) = unreadable.first() {
        let more = match unreadable.len() {
            1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        console.remark(&format!("not in the copy, because it cannot be read: `{first}`{more}"));
    }
}

/// Starts the view. Where a layer over one of git's directories is not possible, all of them are read-only.
pub(super) fn start(console: &Console, plan: &mut Plan) -> Result<View, capture::Failure> {
    let started = match View::start(plan, keeper()) {
        Err(failure) if failure.step == Step::Git => {
            for git in &mut plan.git {
                if matches!(git.writes, GitWrites::Layer { .. }) {
                    git.writes = GitWrites::Refused { reason: failure.detail.clone() };
                }
            }
            View::start(plan, keeper())
        }
        started => started,
    };
    let view = started?;
    for git in &plan.git {
        if let GitWrites::Refused { reason } = &git.writes {
            remark_repository(console, Path::new(&git.directory), reason);
        }
    }
    Ok(view)
}

pub(super) fn remark_repository(console: &Console, directory: &Path, reason: &str) {
    console.remark(&format!(
        "the command can read the repository in `{}`, and cannot write to it: {reason}",
        shown(directory)
    ));
}

/// Why a command would get a copy of the workspace, if it would; `probe` makes a view of it.
pub(super) fn copy_reason(
    workspace: &Path,
    probe: impl FnOnce() -> Result<(), Obstacle>,
) -> Option<String> {
    if is_foreign(workspace) {
        return Some(FOREIGN.to_owned());
    }
    let failure = probe().err()?.failure;
    needs_copy(&failure).then_some(failure.detail)
}

/// Whether what is mounted below the workspace, or its file system, is in the way.
pub(super) fn needs_copy(failure: &capture::Failure) -> bool {
    // A machine that refuses mounts refuses those over a copy as well.
    let is_denied = matches!(failure.errno, Some(libc::EPERM | libc::EACCES));
    matches!(failure.step, Step::Mounts | Step::Create) && !is_denied
}

/// Whether this machine refuses what a view is made of.
pub(super) fn is_refusal(failure: &capture::Failure) -> bool {
    match failure.step {
        Step::Namespaces
        | Step::Map
        | Step::Propagation
        | Step::Pins
        | Step::Mounts
        | Step::Layers
        | Step::Create
        | Step::Attach
        | Step::Git
        | Step::Masks => true,
        Step::Keeper
        | Step::Plan
        | Step::Descriptors
        | Step::Lock
        | Step::Network
        | Step::Confine
        | Step::Directory
        | Step::Join
        | Step::Guard => false,
    }
}

/// Whether the root of the workspace belongs to another user or group than this process, so that a
/// command in an overlay over it could not write there. Root can.
pub(super) fn is_foreign(workspace: &Path) -> bool {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let owner = std::fs::metadata(workspace).map(|found| (found.uid(), found.gid()));
    !user.is_root() && owner.is_ok_and(|owner| owner != (user.as_raw(), group.as_raw()))
}

/// What runs in a view: a program with its arguments, and the variables that its environment has beside
/// those of this process.
#[derive(Clone, Copy)]
pub(super) struct Program<'a> {
    pub(super) command: &'a [OsString],
    pub(super) environment: &'a [(OsString, OsString)],
}

impl<'a> Program<'a> {
    pub(super) fn new(command: &'a [OsString]) -> Self {
        Self { command, environment: &[] }
    }
}

/// Runs the program in the view that `start` makes. The attendant works while it runs, and `end` is
/// called when it has ended.
pub(super) fn in_view<T>(
    start: impl FnOnce(&Foreground) -> Result<View, Failure>,
    program: Program<'_>,
    mut attendant: Option<&mut Attendant<'_>>,
    end: impl FnOnce(&mut View) -> T,
) -> Result<(Exit, T), Failure> {
    let foreground =
        Foreground::take().map_err(|source| Failure::io("cannot take signals", &source))?;
    let ended = || {
        let mut view = start(&foreground)?;
        check_uninterrupted(&foreground)?;
        let Program { command, environment } = program;
        view.run_with(command.to_vec(), environment.to_vec()).map_err(not_started(command))?;
        loop {
            let timeout = attendant.as_deref_mut().map(|attendant| attendant.attend(&mut view));
            let others = attendant.as_deref().map(Attendant::descriptors).unwrap_or_default();
            let waited = view.wait_with(Some(&foreground), &others, timeout);
            if let Some(exit) = waited.map_err(not_started(command))? {
                return Ok((exit, end(&mut view)));
            }
        }
    };
    let ended = ended();
    if ended.is_err() {
        // Where the keeper was killed, what it has left has this process as its parent.
        if let Err(error) = capture::end_descendants(GRACE) {
            tracing::warn!(%error, "what the command has left is not ended");
        }
    }
    if let Err(error) = foreground.restore() {
        tracing::debug!(%error, "the terminal stays as the command left it");
    }
    ended
}

/// Fails as a shell reports a command that a signal has ended, where one came before the command began:
/// walking a large workspace takes seconds.
pub(super) fn check_uninterrupted(foreground: &Foreground) -> Result<(), Failure> {
    let Some(signal) = foreground.interrupted_by() else { return Ok(()) };
    let failure = Failure::new(ErrorKind::Usage, "interrupted before the command began");
    Err(failure.exits_with(128 | u8::try_from(signal).unwrap_or_default()))
}

fn not_started(command: &[OsString]) -> impl Fn(ViewError) -> Failure {
    let name = command.first().map(|name| name.to_string_lossy().into_owned());
    move |error| {
        let name = name.as_deref().unwrap_or_default();
        let code = error.code();
        let message = staging_core::with_causes(&error);
        let failure = Failure::new(ErrorKind::Io, format!("`{name}`: {message}"));
        failure.exits_with(code)
    }
}

/// A view could not be made: what failed, and what the user can do.
pub(super) fn no_view(failure: capture::Failure) -> Failure {
    if failure.step == Step::Directory {
        let advice = "Start it in a directory that the command sees.";
        return Failure::usage(failure.to_string()).advise(advice);
    }
    let advice = advice(Machine::read().remedy(&failure));
    let kind = if failure.step == Step::Lock { ErrorKind::Busy } else { ErrorKind::Unsupported };
    Failure::new(kind, failure.to_string()).advise(advice)
}

/// This program as the keeper of a view.
pub(super) fn keeper() -> Command {
    let mut keeper = Command::new("/proc/self/exe");
    keeper.arg(KEEPER);
    keeper
}

/// What the user can do so that a view is possible.
pub(super) fn advice(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::AllowUserNamespaces => {
            "Allow user namespaces: `sysctl kernel.unprivileged_userns_clone=1`."
        }
        Remedy::AllowInAppArmor => {
            "Install an AppArmor profile that allows `userns` to the greenroom program."
        }
        Remedy::LiftFilter => {
            "A seccomp filter forbids it, as in a Docker container: start the container with \
             `--security-opt seccomp=unconfined`."
        }
        Remedy::RaiseLimit => {
            "Raise the limits `user.max_user_namespaces`, `user.max_mnt_namespaces` and \
             `user.max_net_namespaces`."
        }
        Remedy::Unmount => "Unmount what is mounted below the workspace, or use `--view copy`.",
        Remedy::MoveState => {
            "Keep the state on a local disk that is no overlay: `--state-dir DIR`."
        }
        Remedy::RedirectStandard => {
            "Standard input, output and error must not be directories: redirect them."
        }
        Remedy::EndOther => "Another run of this session has just begun: start the command again.",
        Remedy::NewerKernel => {
            "The kernel is older than Linux 5.12: run the command without `--confine`."
        }
        Remedy::Unknown => "`greenroom doctor` tries it on an empty directory.",
    }
}

/// Ends what the command has left running; returns whether nothing is left.
pub(super) fn settle(console: &Console, view: &mut View) -> bool {
    match view.stop(GRACE) {
        Ok(left) if left.is_empty() => true,
        Ok(left) => {
            let names: Vec<String> =
                left.iter().map(|left| format!("{} ({})", left.name, left.id)).collect();
            console.remark(&format!("ended what was left running: {}", names.join(", ")));
            true
        }
        Err(error) => {
            console.warn(&format!("cannot end what was left running: {error}"));
            false
        }
    }
}

/// The directories that the command must not reach: the states of all workspaces, also those in the
/// usual place when another one is used, and the user's configuration. They are created where they are
/// missing, because the command could create them.
pub(super) fn masks(location: &Location) -> Result<Vec<OsString>, Failure> {
    let config = location.config_file.as_deref().and_then(Path::parent);
    let mut masks: Vec<OsString> = Vec::new();
    for directory in [Some(location.base.as_path()), config].into_iter().flatten() {
        let failed = |source| {
            Failure::io(format_args!("cannot create the directory {}", shown(directory)), &source)
        };
        private_directories().create(directory).map_err(failed)?;
        masks.push(dunce::canonicalize(directory).map_err(failed)?.into());
    }
    let usual = usual_states().and_then(|usual| {
        // Where it cannot be created, the command cannot do it either.
        let _ = private_directories().create(&usual);
        dunce::canonicalize(usual).ok()
    });
    let usual = usual.filter(|usual| !location.root.starts_with(usual)).map(OsString::from);
    masks.extend(usual.filter(|usual| !masks.contains(usual)));
    Ok(masks)
}

/// Creates directories that only the user can read, with those above them.
#[allow(clippy::disallowed_methods, reason = "the user's own directories, outside of a workspace")]
pub(super) fn private_directories() -> std::fs::DirBuilder {
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true);
    builder
}

pub(super) fn current() -> Result<PathBuf, Failure> {
    let found = std::env::current_dir().and_then(dunce::canonicalize);
    found.map_err(|source| Failure::io("cannot find the current directory", &source))
}
