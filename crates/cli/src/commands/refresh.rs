//! `refresh`: proposes stale, expired and rejected patches again.

use staging_core::{PatchId, Proposed, Selector};

use super::context::Context;
use super::staged::report_staged;
use crate::failure::Failure;
use crate::selection_args::SelectionArgs;

pub(super) fn refresh(context: &Context<'_>, selection: &SelectionArgs) -> Result<(), Failure> {
    let ids = context.resolve(selection)?;
    let proposed = context.layer.refresh_all(&ids)?;
    let staged = proposed.iter().find_map(|one| one.patch.iter().chain(&one.also_changed).next());
    let session = match (staged, ids.first()) {
        (Some(patch), _) => Some(patch.session),
        (None, first) => match first.and_then(Selector::patch) {
            Some(id) => Some(context.layer.patch(id)?.session),
            None => None,
        },
    };
    context.warn_unreported(
        report_staged(context, session, &proposed, &[]),
        "the patches are staged again",
    );
    remark_unseen(context, &proposed);
    Ok(())
}

/// What was staged is not what the agent wrote, but that merged with what the files have become: a
/// reviewer has not seen it yet.
fn remark_unseen(context: &Context<'_>, proposed: &[Proposed]) {
    let ids: Vec<PatchId> =
        proposed.iter().filter_map(|one| Some(one.patch.as_ref()?.id)).collect();
    match ids.as_slice() {
        [] => {}
        [one] => context.console.remark(&format!(
            "proposed again for the file as it is now: `greenroom review {one}` shows it"
        )),
        _ => context
            .console
            .remark("proposed again for the files as they are now: `greenroom review` shows them"),
    }
}
