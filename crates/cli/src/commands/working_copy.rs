//! Where no view is possible: the command works in a copy of the workspace at another path, and is kept from
//! writing to the workspace itself.

use std::fmt;
use std::path::{Path, PathBuf};

use capture::{CopyPlan, Difference, Guard, Obstacle, Plan, View, can_guard};
use staging_core::{CaptureDir, ErrorKind};

use super::imported::failure_of;
use super::view::{
    Copies, advice, is_refusal, keeper, no_view, remark_repository, remark_unreadable,
};
use crate::console::Console;
use crate::failure::Failure;
use crate::paths::shown;

/// How many paths a remark names.
const NAMED_MAX: usize = 10;

/// Whether to run a command that nothing keeps from writing to the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unguarded {
    Refused,
    Allowed,
}

/// Begins a command in the working copy of `copies`, made or renewed for it; `reason` says why it gets no
/// view.
pub(super) fn work_in_copy(
    console: &Console,
    plan: &Plan,
    reason: impl fmt::Display,
    unguarded: Unguarded,
    copies: &dyn Copies,
) -> Result<View, Failure> {
    let guard = guard(plan, &reason, unguarded)?;
    let dir = copies.dir();
    let at = dir.working_copy();
    console.remark(&format!("the command works in a copy at `{}`: {reason}", shown(&at)));
    let unreadable = copies.renew_working_copy().map_err(failure_of)?;
    remark_unreadable(console, &unreadable);
    let git: Vec<PathBuf> = plan.git.iter().map(|git| PathBuf::from(&git.directory)).collect();
    if guard == Guard::Landlock {
        for directory in &git {
            remark_repository(console, directory, "it works in a copy");
        }
    }
    begin(console, plan, git, dir, guard, None)
}

/// Begins a command in the working copy in which another command of the session runs, which has this
/// mark; `git` are git's directories outside of the workspace.
pub(super) fn join_copy(
    console: &Console,
    plan: &Plan,
    git: Vec<PathBuf>,
    unguarded: Unguarded,
    dir: &CaptureDir,
    mark: u64,
) -> Result<View, Failure> {
    let guard = guard(plan, &"as the other command of the session", unguarded)?;
    begin(console, plan, git, dir, guard, Some(mark))
}

fn begin(
    console: &Console,
    plan: &Plan,
    git: Vec<PathBuf>,
    dir: &CaptureDir,
    guard: Guard,
    mark: Option<u64>,
) -> Result<View, Failure> {
    let workspace = Path::new(&plan.workspace);
    let directory = match Path::new(&plan.directory).strip_prefix(workspace) {
        // An empty path would end it with a slash.
        Ok(below) => dir.working_copy().components().chain(below.components()).collect(),
        Err(_) => PathBuf::from(&plan.directory),
    };
    let mut plan = CopyPlan {
        workspace: plan.workspace.clone(),
        copy: dir.working_copy().into(),
        git: git.into_iter().map(Into::into).collect(),
        hidden: plan.masks.clone(),
        writable: Vec::new(),
        directory: directory.into(),
        guard,
    };
    let mut keeper = keeper();
    match guard {
        Guard::Nothing => console.warn(
            "nothing keeps the command from writing to the workspace itself, and from approving",
        ),
        Guard::Landlock => {
            let closed = remark_closed(console, &plan);
            // Temporary files are made where nothing else can be made.
            let temporary = dunce::canonicalize(std::env::temp_dir()).unwrap_or_default();
            if closed.contains(&temporary) {
                let own = dir.create_temporary()?;
                keeper.env("TMPDIR", &own);
                plan.writable.push(own.into());
            }
        }
    }
    View::work_in_copy(&plan, mark, keeper).map_err(no_view)
}

/// What keeps the command from the workspace. Refuses what is possible in a view alone.
fn guard(plan: &Plan, reason: &impl fmt::Display, unguarded: Unguarded) -> Result<Guard, Failure> {
    let refused = |message: String| Failure::new(ErrorKind::Unsupported, message);
    if plan.confine.is_some() {
        let message = format!("a command can only be confined in a view: {reason}");
        return Err(refused(message).advise("Run it with `--no-confine`."));
    }
    match unguarded {
        Unguarded::Allowed => Ok(Guard::Nothing),
        Unguarded::Refused if can_guard() => Ok(Guard::Landlock),
        Unguarded::Refused => Err(refused(format!(
            "no view is possible, and nothing would keep a command in a copy from writing to the \
             workspace itself (Landlock, Linux 6.2): {reason}"
        ))
        .advise("`--unguarded` runs it all the same, and names what it has changed there.")),
    }
}

/// What `doctor` says of a machine that refuses a view.
pub(super) fn report_refusal(obstacle: &Obstacle) -> String {
    let advice = advice(obstacle.remedy);
    let failure = &obstacle.failure;
    if !is_refusal(failure) {
        format!("not possible here: {failure}. {advice}")
    } else if can_guard() {
        format!(
            "commands work in a copy of the workspace at another path, and Landlock keeps them from the \
             workspace itself: {failure}. {advice}"
        )
    } else {
        format!(
            "commands only run with `--unguarded`, in a copy of the workspace at another path; nothing \
             keeps them from the workspace itself (Landlock, Linux 6.2): {failure}. {advice}"
        )
    }
}

/// Names the directories in which the command can make nothing although its user can, and returns them.
fn remark_closed(console: &Console, plan: &CopyPlan) -> Vec<PathBuf> {
    let writes = rustix::fs::Access::WRITE_OK;
    let mut closed = plan.above();
    closed.retain(|path| rustix::fs::access(path, writes).is_ok());
    if !closed.is_empty() {
        let named: Vec<String> = closed.iter().map(|path| format!("`{}`", shown(path))).collect();
        console.remark(&format!(
            "it can change what is in these directories, and neither make nor remove anything directly in \
             them: {}",
            named.join(", ")
        ));
    }
    closed
}

/// Reports what of the workspace itself is not what it was when the command began: what nothing keeps the
/// command from changing. What the user has done meanwhile is among it.
pub(super) fn report_differences(
    console: &Console,
    unguarded: Unguarded,
    differences: &[(String, Difference)],
) {
    for (kind, what) in [
        (Difference::Content, "content"),
        (Difference::Mode, "mode"),
        (Difference::Times, "time of modification"),
        (Difference::Attributes, "owner, attributes or hard links"),
    ] {
        if kind == Difference::Content && unguarded == Unguarded::Refused {
            continue;
        }
        let changed = differences.iter().filter(|(_, difference)| *difference == kind);
        let paths: Vec<String> = changed.map(|(path, _)| format!("`{path}`")).collect();
        if paths.is_empty() {
            continue;
        }
        let more = match paths.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = paths.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>();
        console.warn(&format!(
            "changed in the workspace itself while the command ran: the {what} of {}{more}",
            named.join(", ")
        ));
    }
}
