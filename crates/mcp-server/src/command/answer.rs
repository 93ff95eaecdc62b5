//! What the tool answers when the command has ended: data for programs, and the same in words.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};
use staging_core::{
    DiffStagingLayer, Patch, PatchId, Session, SetRisk, Signature, escape_for_display,
    set_signature,
};

use super::output::Outputs;
use super::pending;
use crate::answers::{how_to_approve, line, patch_json, risks};
use crate::calls;
use crate::captured;
use crate::command_host::{CommandEnded, CommandExit};
use crate::failure::Failure;

/// How many patches an answer has.
const PATCHES_MAX: usize = 100;
/// How many of them are named in words.
const NAMED_MAX: usize = 20;

/// What is known of the command.
pub(super) struct Facts {
    pub(super) ended: CommandEnded,
    pub(super) is_timed_out: bool,
    pub(super) timeout: Duration,
    /// What was pending before.
    pub(super) before: Vec<Patch>,
}

/// The answer, with what is pending in the session now.
pub(super) fn answer(
    layer: &DiffStagingLayer,
    session: &Session,
    facts: &Facts,
    outputs: &Outputs,
) -> Result<CallToolResult, Failure> {
    let mut notes = facts.ended.notes.clone();
    let patches = captured::import(layer, session.id).and_then(|()| pending(layer, session.id));
    let patches = match patches {
        Ok(patches) => patches,
        Err(mut failure) if failure.session_ended => {
            failure.message = format!("the command has run and ended, and {}", failure.message);
            return Err(failure);
        }
        // The command has run, whatever is known of its patches.
        Err(failure) => {
            notes.push(format!("call `pending` to see what is staged: {}", failure.message));
            Vec::new()
        }
    };
    let known: HashSet<(PatchId, Signature)> =
        facts.before.iter().map(|patch| (patch.id, patch.signature)).collect();
    let (changed, others): (Vec<&Patch>, Vec<&Patch>) =
        patches.iter().partition(|patch| !known.contains(&(patch.id, patch.signature)));
    let [(output, output_left_out), (error, error_left_out)] = outputs.texts();
    let (output, error) = (escape_for_display(&output), escape_for_display(&error));
    let text = text(facts, &output, &error, &changed, &patches, &notes);

    let listed = changed.iter().map(|patch| (patch, true));
    let listed = listed.chain(others.iter().map(|patch| (patch, false))).take(PATCHES_MAX);
    let listed: Vec<Value> = listed
        .map(|(patch, is_changed)| {
            let mut object = patch_json(patch);
            object["changed"] = json!(is_changed);
            object
        })
        .collect();
    let (code, signal) = match facts.ended.exit {
        CommandExit::Code(code) => (Some(code), None),
        CommandExit::Signal(number) => (None, Some(number)),
    };
    let signature = (!patches.is_empty()).then(|| set_signature(&patches).to_string());
    let structured = json!({
        "session": session.id.to_string(),
        "exit_code": code,
        "signal": signal,
        "timed_out": facts.is_timed_out,
        "elapsed_ms": facts.ended.elapsed_ms,
        "stdout": output,
        "stdout_left_out_bytes": output_left_out,
        "stderr": error,
        "stderr_left_out_bytes": error_left_out,
        "signature": signature,
        "risks": SetRisk::of(&patches),
        "patches_pending": patches.len(),
        "patches": listed,
        "notes": notes,
    });
    Ok(calls::result(ContentBlock::text(escape_for_display(&text)), structured))
}

fn text(
    facts: &Facts,
    output: &str,
    error: &str,
    changed: &[&Patch],
    pending: &[Patch],
    notes: &[String],
) -> String {
    let seconds = Duration::from_millis(facts.ended.elapsed_ms).as_secs_f64();
    let exit = match facts.ended.exit {
        CommandExit::Code(code) => format!("exit code {code}"),
        CommandExit::Signal(number) => format!("ended by signal {number}"),
    };
    let mut text = match facts.is_timed_out {
        true => format!("stopped after {} s (timeout_s), {exit}\n", facts.timeout.as_secs_f64()),
        false => format!("{exit} after {seconds:.1} s\n"),
    };
    for (name, stream) in [("stdout", output), ("stderr", error)] {
        if !stream.is_empty() {
            let end = if stream.ends_with('\n') { "" } else { "\n" };
            let _ = write!(text, "--- {name} ---\n{stream}{end}");
        }
    }
    if !(output.is_empty() && error.is_empty()) {
        text.push_str("---\n");
    }
    for patch in changed.iter().take(NAMED_MAX) {
        let _ = writeln!(text, "Staged {}.", line(patch));
    }
    if let more @ 1.. = changed.len().saturating_sub(NAMED_MAX) {
        let _ = writeln!(text, "Staged {more} more; `pending` lists them.");
    }
    for note in notes {
        let _ = writeln!(text, "note: {note}");
    }
    match (pending.len(), changed.is_empty()) {
        (0, _) => text.push_str("Nothing is pending in this session."),
        (1, true) => text.push_str("1 patch is pending as before."),
        (all, true) => {
            let _ = write!(text, "{all} patches are pending as before.");
        }
        (_, false) => text.push_str(&(risks(pending) + &how_to_approve(pending))),
    }
    text
}
