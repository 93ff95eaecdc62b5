//! A patch as it is shown in a review.

use std::slice;

use staging_core::Patch;

use super::marks::{Item, Mark};
use crate::commands::context::Context;
use crate::commands::text::{line, risks};
use crate::failure::Failure;

/// Shows a patch: which one of how many, its session, its risks, and its diff.
pub(super) fn patch(
    context: &Context<'_>,
    number: usize,
    all: usize,
    item: &Item,
) -> Result<(), Failure> {
    let mut head = format!("\n({number}/{all}) {}", heading(context, &item.patch)?);
    match &item.mark {
        Some(Mark::Approved) => head.push_str("marked: approved\n"),
        Some(Mark::Rejected(None)) => head.push_str("marked: rejected\n"),
        Some(Mark::Rejected(Some(why))) => head.push_str(&format!("marked: rejected: {why}\n")),
        None => {}
    }
    context.console.text(&head)?;
    diff(context, &item.patch)
}

/// Shows patches that are approved together.
pub(super) fn rest(context: &Context<'_>, patches: &[Patch]) -> Result<(), Failure> {
    for patch in patches {
        context.console.text(&format!("\n{}", heading(context, patch)?))?;
        diff(context, patch)?;
    }
    Ok(())
}

/// The same diff in the reviewer's own viewer.
pub(super) fn in_viewer(context: &Context<'_>, patch: &Patch) -> Result<(), Failure> {
    let (patches, options) = (slice::from_ref(patch), context.console.diff_options());
    context.console.view_diff(|out| context.layer.write_diff(patches, &options, out))
}

fn heading(context: &Context<'_>, patch: &Patch) -> Result<String, Failure> {
    let session = context.layer.find_session(&patch.session.to_string())?;
    let by = format!("session {} {}", session.id, session.label);
    Ok(format!("{}\n{by}\n{}", line(patch), risks(slice::from_ref(patch))))
}

fn diff(context: &Context<'_>, patch: &Patch) -> Result<(), Failure> {
    let patches = slice::from_ref(patch);
    let is_long = context.show_in_question(patches)?;
    context.remark_patches(patches);
    // The diff has moved those above it out of the screen.
    if is_long { context.console.text(&risks(patches)) } else { Ok(()) }
}
