//! `run`: runs a command in a view of the workspace, and stages what it writes there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capture::{
    Bytes, CaptureError, Confined, Exit, Foreground, Machine, Plan, PrivateFiles, Remedy, Report,
    SessionCapture, Survey, View, ViewError,
};
use staging_core::{DiskOwner, ErrorKind, Operation, Session, set_signature};

use super::attend::Attendant;
use super::confine::{confine, remark_scopes};
use super::make_view::{is_foreign, make_view};
use super::options::settings;
use crate::args::{Global, Run, ViewKind};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::{Location, usual_states};
use crate::paths::shown;
use crate::private_commits::PrivateCommits;

/// The hidden argument by which this program becomes the keeper of a view.
pub(crate) const KEEPER: &str = "__capture";

/// How long processes that the command has left may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// How many paths a remark names.
const NAMED_MAX: usize = 10;

/// With more files of other users and groups than this, the command gets a copy of the workspace.
const FOREIGN_MAX: usize = 10;

/// Runs the command. The answer is its exit code, or 125 when Greenroom failed before it began.
pub(crate) fn run(run: &Run, global: &Global, console: &Console) -> Result<ExitCode, Failure> {
    let location = Location::find(global)?;
    let settings = settings(global, &location)?;
    let (masks, directory) = (masks(&location)?, current()?);
    let confine = confine(&run.confine, &settings, &location, &masks)?;
    if confine.is_some() {
        remark_scopes(console);
    }
    let mut options = settings.options;
    options.owns_sessions = true;
    let owner = DiskOwner::open(options)?;
    super::import_first(&owner, console, false);
    let session = owner.open_session(&label(run))?;
    let capture = SessionCapture::of(&owner, session.id);
    let start = || {
        let joined = match capture.live_view().map_err(failure_of)? {
            Some(identity) => {
                check_joined(identity.confined, Confined::of(confine.as_ref()))?;
                let workspace = location.root.clone().into();
                // Its keeper may just be ending.
                View::join(identity, workspace, directory.clone().into(), keeper()).ok()
            }
            None => None,
        };
        let view = match joined {
            Some(view) => {
                console.remark(&format!("{}: joins the view of its other command", session.id));
                view
            }
            None => {
                let tracked = tracked(console, &location.root);
                let prepared = capture.prepare(general_rules(&location.root), tracked);
                let surveyed = prepared.map_err(failure_of)?;
                let is_foreign = surveyed.foreign.len() > FOREIGN_MAX || is_foreign(&location.root);
                let is_copied = run.view == ViewKind::Copy || is_foreign;
                remark_survey(console, &surveyed, is_copied);
                let plan = Plan {
                    workspace: location.root.clone().into(),
                    copy: None,
                    upper: capture.dir().upper().into(),
                    work: capture.dir().work().into(),
                    layer: None,
                    masks,
                    inside: session.id.to_string(),
                    directory: directory.into(),
                    confine,
                };
                make_view(console, plan, run.view, &capture, is_foreign)?
            }
        };
        capture.record(view.identity()).map_err(failure_of)?;
        Ok(view)
    };
    let mut attendant = Attendant::new(console, &owner, &capture, session.id);
    let ended = in_view(start, &run.command, Some(&mut attendant), |view| {
        let is_over = settle(console, view);
        let report = capture.import().map_err(failure_of);
        if is_over {
            capture.record_end(view.identity()).map_err(failure_of)?;
        }
        report
    });
    let private = capture.private_files().map_err(failure_of)?;
    let done = ended.and_then(|(exit, mut report)| {
        if let Ok(report) = &mut report {
            attendant.complete(report);
        }
        summarise(console, &owner, &session, report, &private)?;
        Ok(ExitCode::from(exit.code()))
    });
    // A session that nobody has named and that has nothing is of no use.
    let has_nothing = run.session.is_none()
        && private == PrivateFiles::default()
        && capture.import().is_ok()
        && capture.processes().map_err(failure_of)?.is_empty();
    if has_nothing && owner.close_unused_session(session.id)? {
        capture.remove_ended().map_err(failure_of)?;
    }
    done
}

/// A command that is to be confined cannot join a view that is less so.
fn check_joined(view: Confined, wanted: Confined) -> Result<(), Failure> {
    if view >= wanted {
        return Ok(());
    }
    let missing = match wanted {
        Confined::FilesAndNetwork => "--no-network",
        Confined::Files | Confined::Not => "--confine",
    };
    let message = format!("the other command of this session runs without `{missing}`");
    Err(Failure::new(ErrorKind::Busy, message)
        .advise("Wait for its end, or give this command another session.")
        .exits_with(125))
}

/// What a command in the view cannot change, unless it gets a copy, or what of it is not seen.
fn remark_survey(console: &Console, surveyed: &Survey, is_copied: bool) {
    for unreadable in surveyed.unreadable.iter().take(NAMED_MAX) {
        let unreadable = staging_core::escape_bytes(unreadable);
        console.remark(&format!("`{unreadable}` cannot be read: changes in it are not seen"));
    }
    if let Some(foreign) = surveyed.foreign.first().filter(|_| !is_copied) {
        let first = staging_core::escape_bytes(foreign);
        let more = match surveyed.foreign.len() {
            1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        console.remark(&format!(
            "of another user or group, so that the command cannot write it: `{first}`{more}"
        ));
    }
}

/// Runs the command in the view that `start` makes. The attendant works while it runs, and `end` is
/// called when it has ended.
pub(super) fn in_view<T>(
    start: impl FnOnce() -> Result<View, Failure>,
    command: &[OsString],
    mut attendant: Option<&mut Attendant<'_>>,
    end: impl FnOnce(&mut View) -> T,
) -> Result<(Exit, T), Failure> {
    let foreground =
        Foreground::take().map_err(|source| Failure::io("cannot take signals", &source))?;
    let ended = || {
        let mut view = start()?;
        view.run(command.to_vec()).map_err(not_started(command))?;
        loop {
            let timeout = attendant.as_deref_mut().map(|attendant| attendant.attend(&mut view));
            let other = attendant.as_deref().and_then(Attendant::descriptor);
            let waited = view.wait_with(Some(&foreground), other, timeout);
            if let Some(exit) = waited.map_err(not_started(command))? {
                return Ok((exit, end(&mut view)));
            }
        }
    };
    let ended = ended();
    if let Err(error) = foreground.restore() {
        tracing::debug!(%error, "the terminal stays as the command left it");
    }
    ended
}

/// A view could not be made: what failed, and what the user can do.
pub(super) fn no_view(failure: capture::Failure) -> Failure {
    let advice = advice(Machine::read().remedy(&failure));
    Failure::new(ErrorKind::Unsupported, failure.to_string()).advise(advice)
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

/// Creates directories that only the user can read, with those above them.
#[allow(clippy::disallowed_methods, reason = "the user's own directories, outside of a workspace")]
fn private_directories() -> std::fs::DirBuilder {
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true);
    builder
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

/// The files that git tracks although a rule ignores them. Without a repository none are.
pub(super) fn tracked(console: &Console, root: &Path) -> BTreeSet<Bytes> {
    if !root.join(".git").exists() {
        return BTreeSet::new();
    }
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        // No program of the repository's configuration is started.
        .args(["-c", "core.fsmonitor=false", "ls-files", "-z", "-c", "-i", "--exclude-standard"])
        .stdin(Stdio::null())
        .output();
    let reason = match &listed {
        Ok(listed) if listed.status.success() => None,
        Ok(listed) => Some(String::from_utf8_lossy(&listed.stderr).trim_end().to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = reason {
        let reason = staging_core::escape_line_for_display(&reason).into_owned();
        console.warn(&format!(
            "git does not say which files it tracks, so that those that a rule ignores are not \
             proposed: {reason}"
        ));
    }
    let listed = listed.map(|listed| listed.stdout).unwrap_or_default();
    let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    paths.map(|path| Bytes(path.to_vec())).collect()
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
        CaptureError::Expired { .. } => Failure::new(ErrorKind::Conflict, error.to_string())
            .advise("Take what you need from there, and remove its directory."),
        CaptureError::Elsewhere { .. } => Failure::new(ErrorKind::Unsupported, error.to_string())
            .advise("Mount the overlay, and pass what it shows to `--from-tree`."),
        CaptureError::NoCopy { .. } => Failure::refused(error.to_string())
            .advise("With --no-delete, its files are staged and no deletion."),
        error => Failure::new(ErrorKind::Io, staging_core::with_causes(&error)),
    }
}

/// Reports on standard error what is staged; standard output belongs to the command.
fn summarise(
    console: &Console,
    owner: &DiskOwner,
    session: &Session,
    report: Result<Report, Failure>,
    private: &PrivateFiles,
) -> Result<(), Failure> {
    let report = match report {
        Ok(report) => report,
        Err(failure) => {
            console.warn(failure.to_text(None).trim_end());
            console.warn(if failure.kind == ErrorKind::Closed {
                "what the command wrote since is not staged"
            } else {
                "what the command wrote is kept: the next `greenroom` command stages it"
            });
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
            "{id}: {} pending ({}), signature {}",
            super::text::count(patches.len(), "patch", "patches"),
            counts.join(", "),
            set_signature(patches)
        ));
    }
    report_rest(console, &report);
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
        let capture = SessionCapture::of(owner, id);
        match PrivateCommits::find(&capture, &owner.options().workspace) {
            Ok(found) if !found.commits.is_empty() => {
                let number = super::text::count(found.commits.len(), "commit", "commits");
                console.remark(&format!(
                    "{number} in the session: `greenroom session commits {id} --output FILE` writes \
                     a bundle"
                ));
            }
            Ok(_) => {}
            Err(failure) => tracing::warn!(error = failure.message, "commits are not counted"),
        }
    }
    if !patches.is_empty() {
        console.remark(&format!("review with `greenroom diff {id}`"));
    }
    Ok(())
}

/// What an import could not stage.
pub(crate) fn report_rest(console: &Console, report: &Report) {
    report_not_proposed(console, report);
    for path in &report.edited {
        console.remark(&format!(
            "you changed `{path}` while the command ran, and the command changed it after that: check \
             that the patch keeps your lines"
        ));
    }
    let imported = &report.imported;
    for path in &imported.unproven {
        console.remark(&format!(
            "stale: `{path}` changed while the command ran: both versions are kept, \
             `greenroom status` shows the patch"
        ));
    }
    for path in &imported.withheld {
        console.remark(&format!(
            "not staged: `{path}` changed while the command ran, and another patch of it is pending: \
             apply or discard that one first"
        ));
    }
    for path in &report.unsettled {
        console.remark(&format!("not staged yet: `{path}` is still being written"));
    }
}

/// What cannot be proposed, and why.
pub(super) fn report_not_proposed(console: &Console, report: &Report) {
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
}
