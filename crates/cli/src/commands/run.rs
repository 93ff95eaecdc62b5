//! `run`: runs a command in a view of the workspace, and stages what it writes there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capture::{
    Bytes, CaptureError, Exit, Foreground, Machine, Plan, Remedy, Report, SessionCapture, View,
    ViewError,
};
use staging_core::{DiskOwner, ErrorKind, Operation, Session, StagingOptions, set_signature};

use super::options::options;
use crate::args::{Global, Run};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::paths::shown;

/// The hidden argument by which this program becomes the keeper of a view.
pub(crate) const KEEPER: &str = "__capture";

/// How long processes that the command has left may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// How many paths a remark names.
const NAMED_MAX: usize = 10;

/// Runs the command. The answer is its exit code, or 125 when Greenroom failed before it began.
pub(crate) fn run(run: &Run, global: &Global, console: &Console) -> Result<ExitCode, Failure> {
    let location = Location::find(global)?;
    let mut options = options(global, &location)?;
    options.owns_sessions = true;
    let plan = Plans { masks: masks(&location)?, directory: current()? };
    let owner = DiskOwner::open(options.clone())?;
    let session = owner.open_session(&label(run))?;
    let capture = SessionCapture::of(&owner, session.id);
    let surveyed = capture.prepare(general_rules(&location.root), tracked(&location.root));
    let surveyed = surveyed.map_err(failure_of)?;
    for unreadable in surveyed.unreadable.iter().take(NAMED_MAX) {
        let unreadable = staging_core::escape_bytes(unreadable);
        console.remark(&format!("`{unreadable}` cannot be read: changes in it are not seen"));
    }
    if let Some(foreign) = surveyed.foreign.first() {
        console.remark(&format!(
            "`{}` and {} more belong to another user or group: the command can read them, and \
             cannot write them",
            staging_core::escape_bytes(foreign),
            surveyed.foreign.len() - 1
        ));
    }
    let foreground =
        Foreground::take().map_err(|source| Failure::io("cannot take signals", &source))?;
    let record = |view: &mut View| capture.record(view.identity()).map_err(failure_of);
    let plan = plan.of(&capture, &options, &session);
    let ended = within_view(&plan, &run.command, &foreground, record, |view| {
        settle(console, view);
        capture.import().map_err(failure_of)
    });
    if let Err(error) = foreground.restore() {
        tracing::debug!(%error, "the terminal stays as the command left it");
    }
    let (exit, report) = ended?;
    summarise(console, &owner, &session, &capture, report)?;
    Ok(ExitCode::from(exit.code()))
}

/// Makes the view, runs the command in it, and does the first and the last work while the view lives.
pub(super) fn within_view<T>(
    plan: &Plan,
    command: &[OsString],
    foreground: &Foreground,
    first: impl FnOnce(&mut View) -> Result<(), Failure>,
    last: impl FnOnce(&mut View) -> T,
) -> Result<(Exit, T), Failure> {
    let mut view = View::start(plan, keeper()).map_err(|failure| {
        let advice = advice(Machine::read().remedy(&failure));
        Failure::new(ErrorKind::Unsupported, failure.to_string()).advise(advice)
    })?;
    first(&mut view)?;
    view.run(command.to_vec()).map_err(not_started(command))?;
    let exit = view.wait(Some(foreground), None).map_err(not_started(command))?;
    let exit = exit.unwrap_or(Exit::Code(125));
    Ok((exit, last(&mut view)))
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
            "Raise the limits `user.max_user_namespaces` and `user.max_mnt_namespaces`."
        }
        Remedy::Unmount => "Unmount what is mounted below the workspace.",
        Remedy::MoveState => {
            "Keep the state on a local disk that is no overlay: `--state-dir DIR`."
        }
        Remedy::RedirectStandard => {
            "Standard input, output and error must not be directories: redirect them."
        }
        Remedy::EndOther => "End the other run of this session first.",
        Remedy::Unknown => "`greenroom doctor` tries it on an empty directory.",
    }
}

/// Ends what the command has left running.
pub(super) fn settle(console: &Console, view: &mut View) {
    match view.stop(GRACE) {
        Ok(left) if left.is_empty() => {}
        Ok(left) => {
            let names: Vec<String> =
                left.iter().map(|left| format!("{} ({})", left.name, left.id)).collect();
            console.remark(&format!("ended what was left running: {}", names.join(", ")));
        }
        Err(error) => console.warn(&format!("cannot end what was left running: {error}")),
    }
}

/// What a view is made of, but for the session.
struct Plans {
    masks: Vec<OsString>,
    directory: PathBuf,
}

impl Plans {
    fn of(self, capture: &SessionCapture<'_>, options: &StagingOptions, session: &Session) -> Plan {
        Plan {
            workspace: options.workspace.clone().into(),
            upper: capture.dir().upper().into(),
            work: capture.dir().work().into(),
            layer: None,
            masks: self.masks,
            inside: session.id.to_string(),
            directory: self.directory.into(),
        }
    }
}

/// The directories that the command must not reach: every state, and the user's configuration. One
/// that does not exist is created, because the command could create it.
#[allow(clippy::disallowed_methods, reason = "the user's own directories, outside of a workspace")]
pub(super) fn masks(location: &Location) -> Result<Vec<OsString>, Failure> {
    let config = location.config_file.as_deref().and_then(Path::parent);
    let mut masks = Vec::new();
    for directory in [Some(location.base.as_path()), config].into_iter().flatten() {
        let failed = |source| {
            Failure::io(format_args!("cannot create the directory {}", shown(directory)), &source)
        };
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(directory).map_err(failed)?;
        masks.push(dunce::canonicalize(directory).map_err(failed)?.into());
    }
    Ok(masks)
}

pub(super) fn current() -> Result<PathBuf, Failure> {
    let found = std::env::current_dir().and_then(dunce::canonicalize);
    found.map_err(|source| Failure::io("cannot find the current directory", &source))
}

fn label(run: &Run) -> String {
    run.session.clone().unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("run-{}-{}", std::process::id(), since.as_millis())
    })
}

/// The user's own ignore rules and those of the repository, the weakest first.
pub(super) fn general_rules(root: &Path) -> Vec<Bytes> {
    let own = ignore::gitignore::gitconfig_excludes_path();
    let files = own.into_iter().chain([root.join(".git/info/exclude")]);
    files.filter_map(|file| std::fs::read(file).ok().map(Bytes)).collect()
}

/// The files that git tracks although a rule ignores them. Without git none are.
pub(super) fn tracked(root: &Path) -> BTreeSet<Bytes> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        // No program of the repository's configuration is started.
        .args(["-c", "core.fsmonitor=false", "ls-files", "-z", "-c", "-i", "--exclude-standard"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let listed = listed.map(|listed| listed.stdout).unwrap_or_default();
    listed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| Bytes(path.to_vec()))
        .collect()
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

pub(crate) fn failure_of(error: CaptureError) -> Failure {
    match error {
        CaptureError::Staging(error) => error.into(),
        CaptureError::Live { .. } => Failure::new(ErrorKind::Busy, error.to_string())
            .advise("Wait for them, or end them; what they write is staged then."),
        error => Failure::new(ErrorKind::Io, staging_core::with_causes(&error)),
    }
}

/// Reports on standard error what is staged; standard output belongs to the command.
fn summarise(
    console: &Console,
    owner: &DiskOwner,
    session: &Session,
    capture: &SessionCapture<'_>,
    report: Result<Report, Failure>,
) -> Result<(), Failure> {
    let report = match report {
        Ok(report) => report,
        Err(failure) => {
            console.warn(failure.to_text(None).trim_end());
            console.warn("what the command wrote is kept: `greenroom status` stages it");
            return Ok(());
        }
    };
    let status = owner.status()?;
    let pending = status.sessions.iter().find(|found| found.session.id == session.id);
    let patches = pending.map(|found| found.patches.as_slice()).unwrap_or_default();
    let id = session.id;
    if patches.is_empty() {
        console.remark(&format!("{id}: nothing is pending"));
    } else {
        let count = |operation| patches.iter().filter(|patch| patch.operation == operation).count();
        use Operation::{Create, Delete, Mode, Modify, Rename};
        let counts: Vec<String> = [Create, Modify, Delete, Rename, Mode]
            .iter()
            .map(|operation| (count(*operation), operation.as_str()))
            .filter(|(count, _)| *count > 0)
            .map(|(count, operation)| format!("{count} {operation}"))
            .collect();
        console.remark(&format!(
            "{id}: {} patches pending ({}), signature {}",
            patches.len(),
            counts.join(", "),
            set_signature(patches)
        ));
    }
    report_rest(console, &report);
    let private = capture.private_files().map_err(failure_of)?;
    if private.files > 0 {
        let changed = match private.changed.as_slice() {
            [] => String::new(),
            changed => format!("; changed: {}", changed.join(", ")),
        };
        console.remark(&format!(
            "{} ignored files ({} bytes) stay in the session{changed}",
            private.files, private.bytes
        ));
    }
    if private.git {
        console.remark("changes in .git stay in the session: commits are not proposed, files are");
    }
    if !patches.is_empty() {
        console.remark(&format!("review with `greenroom diff {id}`"));
    }
    Ok(())
}

/// What an import could not stage.
pub(crate) fn report_rest(console: &Console, report: &Report) {
    let imported = &report.imported;
    let refused =
        imported.refused.iter().map(|(path, error)| (path.to_string(), error.to_string()));
    let listed = report.not_proposed.iter().map(|(path, why)| (path.clone(), (*why).to_owned()));
    for (path, why) in refused.chain(listed).take(NAMED_MAX) {
        console.remark(&format!("not proposed: `{path}`: {why}"));
    }
    let more = (imported.refused.len() + report.not_proposed.len()).saturating_sub(NAMED_MAX);
    if more > 0 {
        console.remark(&format!("not proposed: {more} more"));
    }
    for path in &imported.unproven {
        console.remark(&format!(
            "stale: `{path}` changed while the command ran: both versions are kept, \
             `greenroom status` shows the patch"
        ));
    }
    for path in &report.unsettled {
        console.remark(&format!("not staged yet: `{path}` is still being written"));
    }
}
