//! Makes the view in which `run` and `exec` start a command: an overlay over the workspace, or over a
//! copy of it where that is not possible.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use capture::{CaptureError, Obstacle, Plan, SessionCapture, Step, Trial, View};

use super::run::{failure_of, keeper, no_view};
use crate::args::ViewKind;
use crate::console::Console;
use crate::failure::Failure;

/// Why a command gets a copy of what it could not write.
const FOREIGN: &str = "its files belong to another user or group";

/// What can hold a copy of the workspace.
pub(super) trait Copies {
    /// The directory of the copy.
    fn directory(&self) -> std::path::PathBuf;
    /// Whether an earlier view had one.
    fn has_copy(&self) -> bool;
    /// Makes or renews it; returns what cannot be read.
    fn make(&self) -> Result<Vec<String>, CaptureError>;
}

impl Copies for SessionCapture<'_> {
    fn directory(&self) -> std::path::PathBuf {
        self.dir().copy()
    }

    fn has_copy(&self) -> bool {
        self.has_copy()
    }

    fn make(&self) -> Result<Vec<String>, CaptureError> {
        self.copy_workspace()
    }
}

impl Copies for Trial<'_> {
    fn directory(&self) -> std::path::PathBuf {
        self.dir().copy()
    }

    fn has_copy(&self) -> bool {
        self.has_copy()
    }

    fn make(&self) -> Result<Vec<String>, CaptureError> {
        self.copy_workspace()
    }
}

/// Makes the view of a plan that has no copy yet. `is_foreign` says that the command could not write
/// most of the workspace, because it belongs to others.
pub(super) fn make_view(
    console: &Console,
    mut plan: Plan,
    kind: ViewKind,
    copies: &dyn Copies,
    is_foreign: bool,
) -> Result<View, Failure> {
    let reason = match kind {
        ViewKind::Overlay => None,
        ViewKind::Copy => Some("as asked".to_owned()),
        ViewKind::Auto if copies.has_copy() => Some("as before".to_owned()),
        ViewKind::Auto if is_foreign => Some(FOREIGN.to_owned()),
        ViewKind::Auto => None,
    };
    let reason = match reason {
        Some(reason) => reason,
        None => match View::start(&plan, keeper()) {
            Ok(view) => return Ok(view),
            Err(failure)
                if kind == ViewKind::Auto
                    && matches!(failure.step, Step::Mounts | Step::Create) =>
            {
                failure.detail
            }
            Err(failure) => return Err(no_view(failure)),
        },
    };
    console.remark(&format!("the command gets a copy of the workspace: {reason}"));
    let unreadable = copies.make().map_err(failure_of)?;
    if let Some(first) = unreadable.first() {
        let more = match unreadable.len() {
            1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        console.remark(&format!("not in the copy, because it cannot be read: `{first}`{more}"));
    }
    plan.copy = Some(copies.directory().into());
    View::start(&plan, keeper()).map_err(no_view)
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
fn needs_copy(failure: &capture::Failure) -> bool {
    matches!(failure.step, Step::Mounts | Step::Create)
}

/// Whether the root of the workspace belongs to another user or group than this process, so that a
/// command in an overlay over it could not write there. Root can.
pub(super) fn is_foreign(workspace: &Path) -> bool {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let owner = std::fs::metadata(workspace).map(|found| (found.uid(), found.gid()));
    !user.is_root() && owner.is_ok_and(|owner| owner != (user.as_raw(), group.as_raw()))
}
