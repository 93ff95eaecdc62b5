//! `refresh`: proposes stale, expired and rejected patches again.

use staging_core::Selector;

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
        (None, Some(Selector::Patch(id))) => Some(context.layer.patch(*id)?.session),
        (None, _) => None,
    };
    context.warn_unreported(
        report_staged(context, session, &proposed, &[]),
        "the patches are staged again",
    );
    Ok(())
}
