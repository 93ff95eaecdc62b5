//! `refresh`: proposes stale, expired and rejected patches again.

use staging_core::Selector;

use super::context::Context;
use super::staged::report_staged;
use crate::failure::Failure;

pub(super) fn refresh(context: &Context<'_>, ids: &[Selector]) -> Result<(), Failure> {
    let proposed = context.layer.refresh_all(ids)?;
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
