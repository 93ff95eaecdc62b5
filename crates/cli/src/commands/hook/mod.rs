//! `hook AGENT`: stands between an agent's own editing tools and the disk.
//!
//! The agent's harness runs the command before each call of a tool, with the call as JSON on
//! standard input. A write is staged and answered with a denial that says so: the agent's own write
//! does not happen. Whatever goes wrong ends with exit code 2, which denies as well: in front of a
//! write, no answer would be a yes.

mod payload;
mod reading;

use std::collections::HashSet;
use std::io::{self, Read as _, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use staging_core::{
    Decision, DiffStagingLayer, ErrorKind, Patch, PatchRequest, Proposal, RelPath, Session,
    escape_for_display, escape_json_line, set_signature,
};

use self::payload::{Call, Payload};
use super::{line, names, options};
use crate::args::{Global, Harness, Hook};
use crate::failure::Failure;
use crate::place::Place;
use crate::recovery;

/// The longest call that is read: a file that may be edited, with room for JSON's escapes.
const INPUT_BYTES_MAX: u64 = 128 << 20;

/// The longest name of a session that a harness gives.
const CLAIMED_BYTES_MAX: usize = 120;

/// So many patches are named one by one in a command for the user.
const NAMED_MAX: usize = 20;

/// Harnesses take this for a denial, and its reason from standard error; any other code but 0 they
/// take for a hook that is broken, and write.
const DENIED: u8 = 2;

/// Answers one call. The exit code is 0 or [`DENIED`], and nothing else.
pub(crate) fn run(hook: &Hook, global: &Global) -> ExitCode {
    // Whoever sets it gives the one answer.
    let answered = Arc::new(AtomicBool::new(false));
    if let Err(error) = watch(&answered, Duration::from_millis(hook.deadline_ms)) {
        return denied(&format!("cannot keep time: {error}"));
    }
    let answer = guarded(|| answer(hook.agent, global));
    if answered.swap(true, Ordering::SeqCst) {
        // The time is up, and the process is ending.
        loop {
            thread::park();
        }
    }
    match answer {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(object)) => {
            let mut out = io::stdout();
            match writeln!(out, "{}", escape_json_line(object)).and_then(|()| out.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => denied(&format!("cannot write the answer: {error}")),
            }
        }
        Err(failure) => {
            let mut text =
                failure.to_text(None).trim_start_matches("greenroom: ").trim_end().to_owned();
            if failure.is_stale() {
                text.push_str(". Read the file again and propose anew.");
            }
            denied(&text)
        }
    }
}

fn denied(reason: &str) -> ExitCode {
    // With standard error gone, the exit code still denies.
    let reason = escape_for_display(reason);
    let _ = writeln!(io::stderr(), "greenroom: the call is denied: {reason}");
    ExitCode::from(DENIED)
}

/// Denies when there is no answer in time: a harness that grows tired of waiting writes.
fn watch(answered: &Arc<AtomicBool>, deadline: Duration) -> io::Result<()> {
    let answered = Arc::clone(answered);
    let keeper = thread::Builder::new().name("deadline".to_owned());
    keeper.spawn(move || {
        thread::sleep(deadline);
        if !answered.swap(true, Ordering::SeqCst) {
            denied("Greenroom took too long; whether it was staged, `greenroom status` says");
            process::exit(DENIED.into());
        }
    })?;
    Ok(())
}

/// Turns a panic into a failure.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Failure::new(ErrorKind::Io, "Greenroom failed in a way that it should not have"))
    })
}

/// The object for the harness; none when the call may go on.
fn answer(agent: Harness, global: &Global) -> Result<Option<String>, Failure> {
    let mut input = Vec::new();
    let mut stdin = io::stdin().lock().take(INPUT_BYTES_MAX + 1);
    stdin
        .read_to_end(&mut input)
        .map_err(|error| Failure::io("cannot read the call from standard input", &error))?;
    if input.len() as u64 > INPUT_BYTES_MAX {
        let reason = format!("the call has more than {INPUT_BYTES_MAX} bytes");
        return Err(Failure::usage(reason).advise("Write the file in smaller steps."));
    }
    let payload = Payload::parse(&input)?;
    drop(input);
    let call = match agent {
        Harness::ClaudeCode => payload::of_claude_code(&payload)?,
        Harness::Codex => payload::of_codex(&payload)?,
    };
    if matches!(call, Call::Other) {
        return Ok(None);
    }
    let Some(door) = Door::open(agent, global, &payload, &call)? else { return Ok(None) };
    let reason = match call {
        Call::Other => None,
        Call::Read { path, from, count } => reading::look(&door, &path, from, count)?,
        Call::Write(change) => Some(door.stage(change)?),
    };
    let decided = if reason.is_some() { door.decided()? } else { Vec::new() };
    let told: Vec<_> = decided.iter().map(|patch| patch.id).collect();
    let answer = reason.map(|reason| {
        let mut reason = reason;
        if !decided.is_empty() {
            reason.push_str("\nDecided about your patches since:");
        }
        for patch in decided.iter().take(NAMED_MAX) {
            reason.push_str(&format!("\n{}", Decision::sentence(patch)));
        }
        if decided.len() > NAMED_MAX {
            reason.push_str(&format!("\nand {} more", decided.len() - NAMED_MAX));
        }
        let output = json!({
            "hookEventName": "PreToolUse",
            "permissionDecision": "deny",
            "permissionDecisionReason": reason,
        });
        json!({ "hookSpecificOutput": output }).to_string()
    });
    if let Err(error) = door.layer.set_reported(&told) {
        tracing::warn!(%error, "the agent is told once more");
    }
    Ok(answer)
}

/// Claude Code looks at the disk before it asks a hook, and refuses an edit of text that is only
/// staged.
const CLAUDE_CODE_ADVICE: &str = "To change it again, give the whole file with Write: Edit looks \
    for its text on the disk.";

/// The workspace, and who writes into it.
struct Door {
    agent: Harness,
    place: Place,
    layer: DiffStagingLayer,
    label: String,
}

impl Door {
    /// None where the call only reads, and nothing was staged yet that it could have to see.
    fn open(
        agent: Harness,
        global: &Global,
        payload: &Payload,
        call: &Call,
    ) -> Result<Option<Self>, Failure> {
        let here = std::env::current_dir()
            .map_err(|source| Failure::io("cannot find the current directory", &source))?;
        // The workspace is the project's, wherever in it or outside of it the agent has gone.
        let project = match agent {
            Harness::ClaudeCode => std::env::var_os("CLAUDE_PROJECT_DIR").map(PathBuf::from),
            Harness::Codex => None,
        };
        let project = project.filter(|dir| dir.is_absolute()).unwrap_or_else(|| here.clone());
        let current = payload.cwd.clone().filter(|dir| dir.is_absolute()).unwrap_or(here);
        let current = dunce::canonicalize(&current)
            .map_err(|source| Failure::io("cannot find the agent's directory", &source))?;
        let place = Place::find_from(global, &project)?.standing_in(current);
        if matches!(call, Call::Read { .. }) && !place.has_state() {
            return Ok(None);
        }
        let layer = DiffStagingLayer::open(options(global, &place)?)?;
        for line in recovery::lines(&layer.take_recovered(), false) {
            let _ = writeln!(io::stderr(), "{}", escape_for_display(&line));
        }
        let label = label(payload.session_id.as_deref().unwrap_or(agent.name()))?;
        Ok(Some(Self { agent, place, layer, label }))
    }

    fn file(&self, named: &str) -> Result<RelPath, Failure> {
        if named.starts_with('~') {
            let reason = format!("`{named}` begins with `~`: name the file in full");
            return Err(Failure::usage(reason));
        }
        self.place.file(named.as_ref())
    }

    /// Stages a change and says so to the agent.
    fn stage(&self, change: payload::Change) -> Result<String, Failure> {
        match change {
            payload::Change::Write { path, content } => {
                let path = self.file(&path)?;
                let write = Proposal::Write { path, content: content.into(), mode: None };
                self.propose(vec![write])
            }
            payload::Change::Edits { path, edits } => {
                let path = self.file(&path)?;
                let proposals = edits.into_iter().map(|edit| Proposal::Edit {
                    path: path.clone(),
                    old: edit.old.into_bytes(),
                    new: edit.new.into_bytes(),
                    replace_all: edit.replace_all,
                });
                self.propose(proposals.collect())
            }
            payload::Change::Patch { text } => {
                let session = self.layer.open_session(&self.label)?;
                let directory = self.place.directory()?;
                let request = PatchRequest { text: text.into(), directory, ..Default::default() };
                let answer = self.layer.propose_patch(session.id, &request)?;
                let remarks = super::propose::placement_remarks(&answer.fitted);
                Ok(self.staged(&session, &answer.proposed, remarks))
            }
        }
    }

    /// What the agent has to know to go on, behind a sentence.
    fn advice(&self) -> String {
        match self.agent {
            Harness::ClaudeCode => format!(" {CLAUDE_CODE_ADVICE}"),
            Harness::Codex => String::new(),
        }
    }

    /// What was decided about the agent's patches that it does not see on the disk by itself.
    fn decided(&self) -> Result<Vec<Patch>, Failure> {
        let decided = self.layer.unreported_decisions(&self.label)?.into_iter();
        Ok(decided.filter(|patch| Decision::of(patch) != Decision::Applied).collect())
    }

    fn propose(&self, proposals: Vec<Proposal>) -> Result<String, Failure> {
        let session = self.layer.open_session(&self.label)?;
        let proposed = self.layer.propose_all(session.id, proposals)?;
        Ok(self.staged(&session, &proposed, Vec::new()))
    }

    /// What the agent is told of what it staged.
    fn staged(
        &self,
        session: &Session,
        proposed: &[staging_core::Proposed],
        mut remarks: Vec<String>,
    ) -> String {
        // Of several edits of one file, what the last one came to.
        let all = proposed.iter().flat_map(|one| one.patch.iter().chain(&one.also_changed));
        let all: Vec<&Patch> = all.collect();
        let mut seen = HashSet::new();
        let mut patches: Vec<&Patch> =
            all.into_iter().rev().filter(|patch| seen.insert(patch.id)).collect();
        patches.reverse();
        if patches.is_empty() {
            return "Greenroom staged nothing: the file on the disk is already as you want it. \
                    This is no error; go on."
                .to_owned();
        }
        let owned: Vec<Patch> = patches.iter().map(|patch| (*patch).clone()).collect();
        let signature = set_signature(&owned);
        let ids: Vec<_> = owned.iter().map(|patch| patch.id).collect();
        let mut text = String::from(
            "Staged in Greenroom, where it waits for the user's approval. That this tool call is \
             denied is meant so and no error: the file on the disk stays as it is until then. Do \
             not write it again and not in another way; go on as if it were written.",
        );
        text.push_str(&self.advice());
        text.push('\n');
        for patch in &owned {
            text.push_str(&line(patch));
            text.push('\n');
            let of_patch = patch.diff.remarks.iter();
            remarks
                .extend(of_patch.map(|remark| format!("{} `{}`: {remark}", patch.id, patch.path)));
        }
        for others in proposed.iter().map(|one| &one.also_pending_in).filter(|ids| !ids.is_empty())
        {
            remarks.push(format!("the same file is also pending in {}", names(others)));
        }
        remarks.extend(self.layer.take_strategy_warnings());
        for remark in remarks {
            text.push_str(&format!("note: {remark}\n"));
        }
        let named = if ids.len() <= NAMED_MAX {
            ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        } else {
            session.id.to_string()
        };
        text.push_str(&format!("signature {signature}\n"));
        text.push_str(&format!(
            "The user reads it with `greenroom diff {named}` and decides in a terminal of their own. \
             You cannot approve it yourself.",
        ));
        text
    }
}

/// The label of the session that a harness names. That is what it says of itself: a name for people
/// to read, and no more. The prefix keeps it apart from the labels that people give, so that no agent
/// can name its way into their sessions; `greenroom mcp` makes the same of the same name.
fn label(claimed: &str) -> Result<String, Failure> {
    let is_plain = !claimed.is_empty()
        && claimed.len() <= CLAIMED_BYTES_MAX
        && claimed.chars().all(|letter| !letter.is_control() && !letter.is_whitespace());
    if is_plain {
        return Ok(format!("agent:{claimed}"));
    }
    let reason = format!("`session_id` has to be 1 to {CLAIMED_BYTES_MAX} bytes without spaces");
    Err(Failure::usage(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_like_any_other() {
        let outcome: Result<(), Failure> = guarded(|| panic!("the test panics"));
        assert!(outcome.is_err_and(|failure| failure.message().contains("failed")));
    }
}
