//! `diff`: what is pending as one git-style patch.

use std::collections::{BTreeSet, HashSet};

use staging_core::{
    DiffOptions, DiffStagingLayer, ErrorKind, Patch, PatchId, Selection, Selector, SetRisk,
    StagingError, set_signature,
};

use super::context::{Context, remark_stale};
use super::text::{count, names, risks};
use crate::args::Diff;
use crate::console::Console;
use crate::failure::Failure;
use crate::json::{self, SelectionView, TextView};

pub(super) fn diff(context: &Context<'_>, arguments: &Diff) -> Result<(), Failure> {
    let console = context.console;
    let ids = context.resolve(&arguments.selection)?;
    let selection = match earlier(context, &ids)? {
        Some(earlier) => earlier,
        None => context.layer.select(&ids)?,
    };
    let patches = &selection.patches;
    if patches.is_empty() && !selection.stale.is_empty() && !ids.is_empty() {
        return Err(StagingError::Stale { patches: selection.stale }.into());
    }
    if console.json {
        console.object(SelectionView {
            signature: selection.signature,
            risks: SetRisk::of(patches),
            patches: json::patches(patches),
            lapsed: json::patches(&selection.lapsed),
            diff: text_of(&context.layer, patches)?,
        })?;
    } else if arguments.name_only {
        console.page();
        console.read(console.text(&paths_of(patches)))?;
    } else if arguments.stat {
        console.page();
        let above = console.above(&risks(patches));
        console.read(above.and_then(|()| {
            console.stat(|out| {
                context.layer.write_stat(patches, console.columns(), out)?;
                context.layer.write_summary(patches, out)
            })
        }))?;
    } else {
        console.page_diff();
        let options = console.diff_options();
        let above = console.above(&risks(patches));
        console.read(
            above.and_then(|()| {
                console.diff(|out| context.layer.write_diff(patches, &options, out))
            }),
        )?;
    }
    context.remark_patches(patches);
    let listed: HashSet<PatchId> = selection.lapsed.iter().map(|patch| patch.id).collect();
    let is_listed = |patch: &&Patch| listed.contains(&patch.id);
    let others: Vec<Patch> =
        selection.stale.iter().filter(|patch| !is_listed(patch)).cloned().collect();
    remark_stale(console, &others);
    context.remark_lapsed(&selection.lapsed);
    if patches.is_empty() {
        console.remark("nothing is pending");
    } else if patches.iter().any(|patch| patch.revision_of.is_some()) {
        for patch in patches {
            console.remark(&format!("{} is kept, and cannot be applied", revision_of(patch)));
        }
    } else {
        let rewritten: Vec<String> =
            patches.iter().filter(|patch| patch.revision > 1).map(Patch::name).collect();
        if !rewritten.is_empty() {
            console.remark(&format!("rewritten since first proposed: {}", names(&rewritten)));
        }
        let all = count(patches.len(), "patch", "patches");
        console.remark(&format!("{all}\nsignature {}", selection.signature));
    }
    Ok(())
}

/// The earlier revisions of patches, if nothing else is named.
fn earlier(context: &Context<'_>, ids: &[Selector]) -> Result<Option<Selection>, Failure> {
    let mut patches = Vec::new();
    for id in ids.iter().map_while(Selector::patch) {
        let patch = context.layer.patch(id)?;
        if patch.revision_of.is_some() {
            patches.push(patch);
        }
    }
    if patches.is_empty() || patches.len() < ids.len() {
        return Ok(None);
    }
    if let Some(dropped) = patches.iter().find(|patch| !patch.content_kept) {
        let message = format!("the content of {} is no longer kept", revision_of(dropped));
        return Err(Failure::new(ErrorKind::Closed, message).of_patches([dropped.id]));
    }
    let signature = set_signature(&patches);
    Ok(Some(Selection { patches, signature, stale: Vec::new(), lapsed: Vec::new() }))
}

fn revision_of(patch: &Patch) -> String {
    let of = patch.revision_of.map(|of| format!(", revision {} of {of},", patch.revision));
    format!("{}{}", patch.id, of.unwrap_or_default())
}

/// The paths of files, each once and on a line of its own; of a renamed file the new one.
fn paths_of(patches: &[Patch]) -> String {
    let path = |patch: &Patch| patch.rename_to.as_ref().unwrap_or(&patch.path).to_string() + "\n";
    patches.iter().map(path).collect::<BTreeSet<String>>().into_iter().collect()
}

/// The diff for a JSON object.
pub(super) fn text_of(
    layer: &DiffStagingLayer,
    patches: &[Patch],
) -> Result<TextView, StagingError> {
    let mut text = Vec::new();
    layer.write_diff(patches, &DiffOptions::default(), &mut text)?;
    Ok(text.into())
}

/// The diff of nothing.
pub(super) fn print_empty_diff(console: &Console) -> Result<(), Failure> {
    if console.json {
        let (signature, diff) = (set_signature(&[]), TextView::from(Vec::new()));
        let (risks, patches, lapsed) = (Vec::new(), Vec::new(), Vec::new());
        let view = SelectionView { signature, risks, patches, lapsed, diff };
        return console.object(view);
    }
    Ok(())
}
