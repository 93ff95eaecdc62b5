//! `edit`: the staged content in the reviewer's editor.

use std::slice;

use staging_core::{PatchId, Proposed, Selection, Selector, StagingError};

use super::approval::refuse_under_agents;
use super::context::Context;
use super::editor::{self, Draft, keeping};
use super::options::defaults;
use super::staged::report_staged;
use super::text::names;
use crate::args::Edit;
use crate::failure::Failure;
use crate::settings::Settings;

pub(super) fn edit(context: &Context<'_>, arguments: &Edit) -> Result<(), Failure> {
    let patch = only(context, arguments)?;
    let emptied = if arguments.allow_empty { Emptied::Staged } else { Emptied::Refused };
    match revise(context, patch.clone(), emptied)? {
        Revised::Unchanged => {
            if context.console.json {
                report_staged(context, None, &[], &[])?;
            }
            context.console.remark(&format!(
                "{patch} is unchanged: nothing was staged. If the editor returned at once, give it the \
                 option to wait, as in `code --wait`"
            ));
            Ok(())
        }
        Revised::Staged(proposed) => {
            let session = proposed.patch.as_ref().map(|patch| patch.session);
            report_staged(context, session, slice::from_ref(&*proposed), &[])?;
            if let Some(patch) = &proposed.patch {
                context.console.remark(&format!("signature {}", patch.signature));
            }
            Ok(())
        }
    }
}

/// The one patch that is selected, by its id.
fn only(context: &Context<'_>, arguments: &Edit) -> Result<Selector, Failure> {
    let ids = context.resolve(&arguments.selection)?;
    // A patch by its id may be one that is decided, which has an error of its own.
    if let [one @ (Selector::Patch(_) | Selector::Revision(..))] = ids.as_slice() {
        return Ok(one.clone());
    }
    let Selection { patches, stale, .. } = context.layer.select(&ids)?;
    match patches.as_slice() {
        [patch] => Ok(Selector::seen(patch)),
        [] if stale.is_empty() => Err(StagingError::NothingPending.into()),
        [] => Err(StagingError::Stale { patches: stale }.into()),
        several => {
            let several: Vec<PatchId> = several.iter().map(|patch| patch.id).collect();
            Err(Failure::usage(format!("edit takes one patch, not {}", names(&several))))
        }
    }
}

/// What is done with a text of which nothing is left.
#[derive(Clone, Copy)]
pub(super) enum Emptied {
    Staged,
    Refused,
}

/// What became of a patch.
pub(super) enum Revised {
    /// Its text was saved as it was, or not at all.
    Unchanged,
    /// A revision by the reviewer.
    Staged(Box<Proposed>),
}

/// Lets the reviewer edit what a patch stages.
///
/// Nothing happens unless the editor succeeds and the text is another one. A text that cannot be
/// staged is kept, and the failure names its file.
pub(super) fn revise(
    context: &Context<'_>,
    patch: Selector,
    emptied: Emptied,
) -> Result<Revised, Failure> {
    // An agent could give out its own text as the reviewer's.
    refuse_under_agents(&context.location, "edit", "because its result counts as the reviewer's")?;
    let (patch, before) = context.layer.to_edit(patch).map_err(|error| match error {
        StagingError::NotEditable { patch, .. } => Failure::from(error).advise(format!(
            "Reject it with `greenroom discard {patch} --reason TEXT`, which the agent receives."
        )),
        error => error.into(),
    })?;
    let id = patch.id;
    let settings =
        Settings::read(context.location.config_file.as_deref(), defaults(&context.location))?;
    let command = editor::command(settings.editor.as_deref());
    let name = command.to_string_lossy().into_owned();
    let draft = Draft::new(&context.location.state_dir, &patch, &before)
        .map_err(|error| Failure::io("cannot write the text for the editor", &error))?;
    let ended = draft
        .edit(&command, context.console.json)
        .map_err(|error| Failure::io(format_args!("cannot start the editor `{name}`"), &error))?;
    let text = draft.text();
    if !ended.success() {
        let failure = Failure::refused(format!("the editor `{name}` failed: {ended}"));
        return Err(match text.is_ok_and(|text| text == before) {
            false => keeping(draft, failure),
            true => failure.advise(
                "GREENROOM_EDITOR, the key `editor` of the configuration, VISUAL and EDITOR name \
                 another one.",
            ),
        });
    }
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            return Err(keeping(draft, Failure::io("cannot read the edited text", &error)));
        }
    };
    if text == before {
        return Ok(Revised::Unchanged);
    }
    if text.is_empty() && matches!(emptied, Emptied::Refused) {
        return Err(Failure::refused(format!("the edited text of {id} is empty"))
            .advise("Pass --allow-empty to stage an empty file."));
    }
    match context.layer.edit(&patch, &text) {
        Ok(proposed) => Ok(Revised::Staged(Box::new(proposed))),
        Err(error) => Err(keeping(draft, error.into())),
    }
}
