//! Discarding a patch with its event.

use crate::decision::Decision;
use crate::error::{Result, StagingError};
use crate::event::Event;
use crate::patch::{DiscardReason, Patch};
use crate::store::patches::Needs;
use crate::store::write::Write;
use crate::store::{decisions, patches};

/// Discards a patch with its event; `None` when it was decided or rewritten, or is held by an
/// apply.
pub(crate) fn discard_one(
    write: &mut Write<'_>,
    patch: &Patch,
    reason: DiscardReason,
    text: Option<&str>,
    keep: bool,
) -> Result<Option<Patch>> {
    let needs = if keep { Needs::Stay } else { Needs::End { taken_over: &[] } };
    if !patches::discard(write, patch, reason, text, needs)? {
        return Ok(None);
    }
    let id = patch.id;
    let patch = patches::find(write, id)?.ok_or(StagingError::PatchNotFound { patch: id })?;
    log_discarded(write, &patch, reason, text)?;
    Ok(Some(patch))
}

/// Logs that a patch was discarded.
pub(crate) fn log_discarded(
    write: &mut Write<'_>,
    patch: &Patch,
    reason: DiscardReason,
    text: Option<&str>,
) -> Result<()> {
    let comments = patch.comments.clone();
    let (patch, session, path) = (patch.id, patch.session, patch.path.clone());
    let text = text.map(str::to_owned);
    write.log(match reason {
        DiscardReason::Stale => Event::PatchStale { patch, session, path },
        reason => Event::PatchDiscarded { patch, session, path, reason, text, comments },
    })
}

/// Dismisses a lapsed patch, with its event; `None` when it is not lapsed any more.
pub(crate) fn dismiss(
    write: &mut Write<'_>,
    patch: &Patch,
    text: Option<&str>,
) -> Result<Option<Patch>> {
    if !patches::settle(write, patch.id, text)? {
        return Ok(None);
    }
    decisions::note(write, patch.id, Decision::Dismissed, None)?;
    let dismissed = patches::find(write, patch.id)?;
    write.log(Event::PatchDismissed {
        patch: patch.id,
        session: patch.session,
        path: patch.path.clone(),
        text: text.map(str::to_owned),
        comments: dismissed.as_ref().map(|patch| patch.comments.clone()).unwrap_or_default(),
    })?;
    Ok(dismissed)
}
