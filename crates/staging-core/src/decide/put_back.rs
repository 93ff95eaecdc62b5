//! Making the patches of an undone set pending again.

use std::collections::HashSet;

use atomic_fs::RelPath;

use crate::decide::discard::{discard_one, log_discarded};
use crate::error::{Result, StagingError};
use crate::event::Event;
use crate::ids::{ApplyId, SessionId};
use crate::patch::{DiscardReason, Operation, Patch};
use crate::store::write::Write;
use crate::store::{applies, patches};

/// Makes the patches of an apply pending again that were just taken back. What is pending on top
/// of them is stale; what they cannot be pending beside stays, and they are discarded as undone.
pub(crate) fn put_back(write: &mut Write<'_>, target: ApplyId, undone: Vec<Patch>) -> Result<()> {
    let frees = |patch: &&Patch| matches!(patch.operation, Operation::Delete | Operation::Rename);
    let freed: HashSet<(SessionId, &RelPath)> =
        undone.iter().filter(frees).map(|patch| (patch.session, &patch.path)).collect();
    for patch in &undone {
        for other in displaced(write, patch, &freed)? {
            let reason = match patches::was_undone(write, other.id)? {
                true => DiscardReason::Undone,
                false => DiscardReason::Stale,
            };
            discard_one(write, &other, reason, None, true)?;
        }
    }
    let is_own = applies::is_own(write, target)?;
    for patch in undone {
        if is_own || in_the_way(write, &patch)?.is_some() {
            patches::discard_undone(write, patch.id)?;
            log_discarded(write, &patch, DiscardReason::Undone, None)?;
        } else {
            reopen(write, &patch)?;
        }
    }
    Ok(())
}

/// Makes a patch pending that an undo took off the disk.
///
/// # Errors
/// `NotRefreshable` when something else is pending in its place.
pub(crate) fn reopen(write: &mut Write<'_>, patch: &Patch) -> Result<()> {
    if let Some(other) = in_the_way(write, patch)? {
        let reason = format!("{} is pending on the same file", other.id);
        return Err(StagingError::NotRefreshable { patch: patch.id, reason });
    }
    patches::reopen(write, patch.id)?;
    let (session, path) = (patch.session, patch.path.clone());
    write.log(Event::PatchReopened { patch: patch.id, session, path })
}

/// A pending patch of its session beside which it cannot be pending.
fn in_the_way(write: &Write<'_>, patch: &Patch) -> Result<Option<Patch>> {
    let (session, path) = (patch.session, &patch.path);
    let mut other = patches::at_path(write, session, path)?;
    if other.is_none() && patch.base.is_none() {
        other = patches::at_target(write, session, path)?;
    }
    if let (None, Some(to)) = (&other, &patch.rename_to) {
        other = patches::at_target(write, session, to)?;
        if other.is_none() {
            other = patches::at_path(write, session, to)?.filter(|there| !there.frees(to));
        }
    }
    Ok(other)
}

/// The pending patches that do not fit what the undo of a patch leaves on the disk; `freed` has the
/// paths that patches of the undone set take files away from.
fn displaced(
    write: &Write<'_>,
    patch: &Patch,
    freed: &HashSet<(SessionId, &RelPath)>,
) -> Result<Vec<Patch>> {
    let before = patch.base.as_ref().map(|base| (base.content.digest, base.content.mode));
    let mut displaced = Vec::new();
    for (path, left) in
        std::iter::once((&patch.path, before)).chain(patch.rename_to.as_ref().map(|to| (to, None)))
    {
        for other in patches::on_path(write, path)? {
            let fits = if other.path == *path {
                other.base.as_ref().map(|base| (base.content.digest, base.content.mode)) == left
            } else {
                left.is_none()
                    || freed.contains(&(other.session, path))
                    || patches::at_path(write, other.session, path)?
                        .is_some_and(|one| one.frees(path))
            };
            if !fits && other.apply.is_none() {
                displaced.push(other);
            }
        }
    }
    Ok(displaced)
}
