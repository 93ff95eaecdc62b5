//! What the commands of sessions have written, and what of it is given back.

use std::fmt::Write as _;
use std::path::Path;

use capture::{LayerSize, SessionCapture};
use staging_core::{CaptureDir, DiffStagingLayer, Finding, Health, SessionId};

use super::context::Context;
use super::imported::failure_of;
use super::text::{bytes, count};
use crate::failure::Failure;
use crate::json::LayerView;

/// What was measured last of each session; one that holds nothing is left out.
pub(super) fn recorded(layer: &DiffStagingLayer) -> Result<Vec<LayerView>, Failure> {
    let size = |session| SessionCapture::of(layer, session).recorded_size();
    listed(layer.captures()?.into_iter().map(|session| Ok((session, size(session)?))))
}

/// What each session holds now; everything is walked.
pub(super) fn measured(state_dir: &Path) -> Result<Vec<LayerView>, Failure> {
    let all = CaptureDir::all_in(state_dir)?.into_iter();
    listed(all.map(|(session, dir)| Ok((session, Some(LayerSize::measure(&dir)?)))))
}

type Sized = (SessionId, Option<LayerSize>);

fn listed(
    all: impl Iterator<Item = Result<Sized, capture::CaptureError>>,
) -> Result<Vec<LayerView>, Failure> {
    let mut layers = Vec::new();
    for found in all {
        let (session, size) = found.map_err(failure_of)?;
        let size = size.filter(|size| *size != LayerSize::default());
        layers.extend(size.map(|LayerSize { files, bytes, copy_bytes }| LayerView {
            session,
            files,
            bytes,
            copy_bytes,
        }));
    }
    Ok(layers)
}

/// With less than this a session is not worth a line.
const SHOWN_MIN: u64 = 1_000_000;

/// A line for each layer that is large.
pub(super) fn text(layers: &[LayerView]) -> String {
    let mut text = String::new();
    let is_large = |layer: &&LayerView| layer.bytes + layer.copy_bytes >= SHOWN_MIN;
    for layer in layers.iter().filter(is_large) {
        let (session, files) = (layer.session, count(layer.files, "file", "files"));
        let _ = write!(
            text,
            "{session} holds {} in {files} that its commands wrote",
            bytes(layer.bytes)
        );
        if layer.copy_bytes > 0 {
            let _ = write!(text, ", and a copy of the workspace, {}", bytes(layer.copy_bytes));
        }
        text.push('\n');
    }
    text
}

/// What all layers hold, for `doctor`.
pub(super) fn finding(state_dir: &Path) -> Option<Finding> {
    let finding = |health, text| Some(Finding { name: "layers", health, text });
    let layers = match measured(state_dir) {
        Ok(layers) => layers,
        Err(failure) => return finding(Health::Notice, failure.message),
    };
    if layers.is_empty() {
        return None;
    }
    let all = layers.iter().map(|layer| layer.bytes + layer.copy_bytes).sum();
    let sessions = count(layers.len() as u64, "session", "sessions");
    finding(
        Health::Good,
        format!(
            "{} of {sessions}: `greenroom session close` gives back what a session holds",
            bytes(all)
        ),
    )
}

/// Removes what the commands of a closed session have written, and reports it.
pub(super) fn give_back(context: &Context<'_>, session: SessionId) -> Result<(), Failure> {
    let capture = SessionCapture::of(&context.layer, session);
    if !capture.dir().exists() {
        return Ok(());
    }
    let size = LayerSize::measure(capture.dir()).map_err(failure_of)?;
    let is_removed = capture.remove_ended().map_err(failure_of)?;
    let held = bytes(size.bytes + size.copy_bytes);
    context.console.remark(&if is_removed {
        format!("removed what its commands wrote: {held}")
    } else {
        format!("its commands wrote {held}, which are removed when the last of them ends")
    });
    Ok(())
}
