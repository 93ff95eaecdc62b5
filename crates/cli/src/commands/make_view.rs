//! Decides which view a command of `run` or `exec` gets, by trying, and makes it.

use capture::{Machine, Plan, View};
use staging_core::ErrorKind;

use super::imported::failure_of;
use super::view::{
    Copies, FOREIGN, advice, is_refusal, needs_copy, no_view, remark_unreadable, start,
};
use super::working_copy::{Unguarded, work_in_copy};
use crate::args::ViewKind;
use crate::console::Console;
use crate::failure::Failure;

/// What a command is to see in place of the workspace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) kind: ViewKind,
    /// The command could not write most of the workspace, because it belongs to others.
    pub(super) is_foreign: bool,
    pub(super) unguarded: Unguarded,
}

/// Makes the view of a plan that has no copy yet, or begins in a working copy where this machine allows no
/// view.
pub(super) fn make_view(
    console: &Console,
    plan: Plan,
    wanted: Wanted,
    copies: &dyn Copies,
) -> Result<View, Failure> {
    if copies.is_bound_to_working_copy() {
        if wanted.kind == ViewKind::Overlay {
            let message = "the commands of this session work in a copy";
            return Err(Failure::new(ErrorKind::Unsupported, message)
                .advise("Give this command another session."));
        }
        return work_in_copy(console, &plan, "as before", wanted.unguarded, copies);
    }
    match overlay(console, plan.clone(), wanted, copies)? {
        Ok(view) => Ok(view),
        Err(failure) if wanted.kind != ViewKind::Overlay && is_refusal(&failure) => {
            let advice = advice(Machine::read().remedy(&failure));
            let reason = format!("{failure}. {advice}");
            work_in_copy(console, &plan, reason, wanted.unguarded, copies)
        }
        Err(failure) => Err(no_view(failure)),
    }
}

/// Makes an overlay over the workspace, or over a copy of it.
fn overlay(
    console: &Console,
    mut plan: Plan,
    wanted: Wanted,
    copies: &dyn Copies,
) -> Result<Result<View, capture::Failure>, Failure> {
    let dir = copies.dir();
    let reason = match wanted.kind {
        ViewKind::Overlay => None,
        ViewKind::Copy => Some("as asked".to_owned()),
        ViewKind::Auto if dir.has_copy() => Some("as before".to_owned()),
        ViewKind::Auto if wanted.is_foreign => Some(FOREIGN.to_owned()),
        ViewKind::Auto => None,
    };
    let reason = match (reason, start(console, &mut plan)) {
        (None, Err(failure)) if wanted.kind == ViewKind::Auto && needs_copy(&failure) => {
            failure.detail
        }
        (None, made) => return Ok(made),
        // A copy would be of no use.
        (Some(_), Err(failure)) if is_refusal(&failure) && !needs_copy(&failure) => {
            return Ok(Err(failure));
        }
        (Some(reason), _) => reason,
    };
    console.remark(&format!("the command gets a copy of the workspace: {reason}"));
    remark_unreadable(console, &copies.copy_workspace().map_err(failure_of)?);
    plan.copy = Some(dir.copy().into());
    Ok(start(console, &mut plan))
}
