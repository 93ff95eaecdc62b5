//! `refresh`: proposes stale, expired and rejected patches again.

use std::collections::BTreeSet;

use staging_core::{Proposed, Selector, SessionId};

use super::context::Context;
use super::text::{line, names};
use crate::console::Console;
use crate::failure::Failure;
use crate::json::{self, ProposedView};

pub(super) fn refresh(context: &Context<'_>, ids: &[Selector]) -> Result<(), Failure> {
    let proposed = context.layer.refresh_all(ids)?;
    context
        .warn_unreported(report_refreshed(context, ids, &proposed), "the patches are staged again");
    Ok(())
}

const NOTHING_STALE: &str = "nothing is stale\n";

pub(super) fn print_nothing_stale(console: &Console) -> Result<(), Failure> {
    if !console.json {
        return console.report(NOTHING_STALE);
    }
    let (patches, fitted) = (Vec::new(), Vec::new());
    console.object(ProposedView { session: None, patches, also_pending_in: &[], fitted })
}

fn report_refreshed(
    context: &Context<'_>,
    ids: &[Selector],
    proposed: &[Proposed],
) -> Result<(), Failure> {
    let console = context.console;
    let all = proposed.iter().flat_map(|one| one.patch.iter().chain(&one.also_changed));
    let patches: Vec<_> = all.cloned().collect();
    if console.json {
        let session = match (patches.first(), ids.first()) {
            (Some(patch), _) => Some(patch.session),
            (None, Some(Selector::Patch(id))) => Some(context.layer.patch(*id)?.session),
            (None, _) => None,
        };
        let others: BTreeSet<SessionId> =
            proposed.iter().flat_map(|one| &one.also_pending_in).copied().collect();
        let others: Vec<SessionId> = others.into_iter().collect();
        let (patches, fitted) = (json::patches(&patches), Vec::new());
        return console.object(ProposedView { session, patches, also_pending_in: &others, fitted });
    }
    let mut text: String = patches.iter().map(|patch| line(patch) + "\n").collect();
    if proposed.is_empty() {
        text.push_str(NOTHING_STALE);
    } else if patches.is_empty() {
        text.push_str("nothing to stage: the file already has that content\n");
    }
    console.report(&text)?;
    for one in proposed.iter().filter(|one| !one.also_pending_in.is_empty()) {
        let others = names(&one.also_pending_in);
        console.remark(&format!("the same file is also pending in {others}"));
    }
    context.remark_patches(&patches);
    Ok(())
}
