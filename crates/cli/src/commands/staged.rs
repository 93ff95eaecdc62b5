//! What `propose` and `refresh` staged.

use std::collections::{BTreeSet, HashSet};

use staging_core::{FittedFile, Patch, Proposed, SessionId, placement_remarks};

use super::context::Context;
use super::text::{lines, names};
use crate::console::Console;
use crate::failure::Failure;
#[cfg(target_os = "linux")]
use crate::json::{CopiedView, NotProposedView};
use crate::json::{PatchView, ProposedView};

/// Reports what was staged, with the remarks about it.
pub(super) fn report_staged(
    context: &Context<'_>,
    session: Option<SessionId>,
    proposed: &[Proposed],
    fitted: &[FittedFile],
) -> Result<(), Failure> {
    print_staged(context.console, session, proposed, fitted)?;
    context.remark_staged(&patches_of(proposed));
    Ok(())
}

/// The same without the remarks of the store; the session is none where nothing was stale.
pub(super) fn print_staged(
    console: &Console,
    session: Option<SessionId>,
    proposed: &[Proposed],
    fitted: &[FittedFile],
) -> Result<(), Failure> {
    let others = others_of(proposed);
    if console.json {
        console.object(staged_view(session, proposed, fitted))?;
    } else {
        let mut text = lines(patches_of(proposed));
        if proposed.is_empty() {
            text.push_str("nothing is stale\n");
        } else if proposed.iter().all(|one| one.withdrawn) {
            text.push_str("nothing to stage: the file already has that content\n");
        }
        console.report(&text)?;
    }
    for remark in placement_remarks(fitted) {
        console.remark(&remark);
    }
    for one in proposed {
        let Some(superseded) = one.superseded else { continue };
        console.remark(&match one.withdrawn {
            true => format!("{superseded} is withdrawn"),
            false => format!("it takes the place of {superseded}"),
        });
    }
    if !others.is_empty() {
        let files = if proposed.len() == 1 { "the same file is" } else { "some of the files are" };
        console.remark(&format!("{files} also pending in {}", names(&others)));
    }
    Ok(())
}

/// What was staged, as JSON has it.
pub(super) fn staged_view<'a>(
    session: Option<SessionId>,
    proposed: &'a [Proposed],
    fitted: &'a [FittedFile],
) -> ProposedView<'a> {
    ProposedView {
        session,
        patches: patches_of(proposed).into_iter().map(PatchView::from).collect(),
        also_pending_in: others_of(proposed),
        superseded: proposed.iter().filter_map(|one| one.superseded).collect(),
        fitted,
    }
}

/// The other sessions with a pending patch of the same files.
fn others_of(proposed: &[Proposed]) -> Vec<SessionId> {
    let others: BTreeSet<SessionId> =
        proposed.iter().flat_map(|one| &one.also_pending_in).copied().collect();
    others.into_iter().collect()
}

/// Reports what of a copy was staged.
#[cfg(target_os = "linux")]
pub(super) fn report_copied(
    context: &Context<'_>,
    session: SessionId,
    report: &capture::Report,
) -> Result<(), Failure> {
    let console = context.console;
    let mut patches = patches_of(&report.imported.proposed);
    patches.sort_unstable_by_key(|patch| patch.id);
    if console.json {
        let refused = report.imported.refused.iter();
        let refused = refused.map(|(path, error)| (path.to_string(), error.to_string()));
        let listed =
            report.not_proposed.iter().map(|(path, why)| (path.clone(), (*why).to_owned()));
        let not_proposed = refused.chain(listed);
        let not_proposed: Vec<_> =
            not_proposed.map(|(path, reason)| NotProposedView { path, reason }).collect();
        console.object(CopiedView {
            session,
            patches: patches.iter().copied().map(PatchView::from).collect(),
            not_proposed,
        })?;
    } else if patches.is_empty() {
        console.report("nothing is staged\n")?;
    } else {
        console.report(&lines(patches.iter().copied()))?;
    }
    context.remark_staged(&patches);
    Ok(())
}

/// The patches that were staged, each once. They are not copied: a patch may be over a hundred
/// thousand files.
fn patches_of(proposed: &[Proposed]) -> Vec<&Patch> {
    let mut seen = HashSet::new();
    let all = proposed.iter().flat_map(|one| one.patch.iter().chain(&one.also_changed));
    all.filter(|patch| seen.insert(patch.id)).collect()
}
