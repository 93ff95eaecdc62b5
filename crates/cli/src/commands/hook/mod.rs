//! `hook AGENT`: stages the writes of an agent's own editing tools.
//!
//! The agent's harness runs the command before each call of a tool, with the call as JSON on
//! standard input. A write is staged and answered with a denial that says so: the agent's own write
//! does not happen. Whatever goes wrong ends with exit code 2, which denies as well: in front of a
//! write, no answer would be a yes.

mod context;
mod decided;
mod payload;
mod reading;
mod stop;

use std::io::{self, Read as _, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use staging_core::{ErrorKind, escape_json_line};

use self::context::HookContext;
use self::decided::Decided;
use self::payload::{Call, Payload};
use crate::args::{Global, Harness, Hook};
use crate::console::say;
use crate::failure::Failure;
use crate::location::{inside, states_of};

/// The longest call that is read: a file that may be edited, with room for JSON's escapes.
const INPUT_BYTES_MAX: u64 = 128 << 20;

/// Harnesses take this for a denial, and its reason from standard error; any other code but 0 they
/// take for a hook that is broken, and write.
const DENIED: u8 = 2;

/// Answers one call. The exit code is 0 or [`DENIED`], and nothing else.
pub(crate) fn run(hook: &Hook, global: &Global) -> ExitCode {
    if hook.stop {
        return stop::run(hook.agent, global);
    }
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
        Ok(Some(Answer { object, decided })) => {
            let mut out = io::stdout();
            let written = writeln!(out, "{}", escape_json_line(object)).and_then(|()| out.flush());
            decided.conclude(written.is_ok());
            match written {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => denied(&format!("cannot write the answer: {error}")),
            }
        }
        Err(failure) => {
            let mut text =
                failure.to_text(None).trim_start_matches("greenroom: ").trim_end().to_owned();
            if failure.kind == ErrorKind::Stale {
                text.push_str(". Read the file again and propose the change again.");
            }
            denied(&text)
        }
    }
}

fn denied(reason: &str) -> ExitCode {
    // With standard error gone, the exit code still denies.
    say(&format!("greenroom: the call is denied: {reason}"));
    ExitCode::from(DENIED)
}

/// Denies when there is no answer in time: a harness that grows tired of waiting writes.
fn watch(answered: &Arc<AtomicBool>, deadline: Duration) -> io::Result<()> {
    let answered = Arc::clone(answered);
    let keeper = thread::Builder::new().name("deadline".to_owned());
    keeper.spawn(move || {
        thread::sleep(deadline);
        if !answered.swap(true, Ordering::SeqCst) {
            denied(
                "Greenroom took too long; `greenroom status` shows whether the change was staged",
            );
            process::exit(DENIED.into());
        }
    })?;
    Ok(())
}

/// Turns a panic into a failure.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Failure::new(ErrorKind::Io, "Greenroom has a bug: the hook panicked"))
    })
}

/// What the harness is answered.
struct Answer {
    object: String,
    /// The decisions that it reports to the agent.
    decided: Decided,
}

/// The answer to the harness; none when the call may go on and nothing is to be reported.
fn answer(agent: Harness, global: &Global) -> Result<Option<Answer>, Failure> {
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
    // What the agent writes there is staged without its help.
    if inside(&states_of(global)?).is_some() {
        return Ok(None);
    }
    let call = match agent {
        Harness::ClaudeCode => payload::of_claude_code(&payload)?,
        Harness::Codex => payload::of_codex(&payload)?,
    };
    if matches!(call, Call::Other) {
        return Ok(None);
    }
    let Some(context) = HookContext::open(agent, global, &payload, &call)? else { return Ok(None) };
    let reason = match call {
        Call::Other => None,
        Call::Read(read) => reading::shown_in_place_of_disk(&context, &read)?,
        Call::Write(change) => Some(context.stage(change)?),
    };
    let decided = Decided::take(context);
    let output = match (reason, decided.text()) {
        (None, None) => return Ok(None),
        (Some(mut reason), text) => {
            reason.extend(text.map(|text| format!("\n{text}")));
            json!({
                "hookEventName": "PreToolUse",
                "permissionDecision": "deny",
                "permissionDecisionReason": reason,
            })
        }
        // The harness decides about the call by its own rules.
        (None, Some(text)) => json!({"hookEventName": "PreToolUse", "additionalContext": text}),
    };
    let object = json!({ "hookSpecificOutput": output }).to_string();
    Ok(Some(Answer { object, decided }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_like_any_other() {
        let outcome: Result<(), Failure> = guarded(|| panic!("the test panics"));
        assert!(outcome.is_err_and(|failure| failure.message.contains("the hook panicked")));
    }
}
