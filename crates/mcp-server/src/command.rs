//! The tool that runs a command in the session's view, where the user turned that on.
//!
//! A process of its own runs the command ([`CommandHost`]); this side reads what it prints, and calls it off.
//! The commands of a session run one after the other, so that each sees what was staged before it.

mod answer;
mod output;
mod process;
mod progress;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::CallToolResult;
use rmcp::service::RequestContext;
use serde_json::{Map, Value};
use staging_core::{DiffStagingLayer, Patch, Selector, Session, SessionId};
use tokio::sync::{OwnedMutexGuard, Semaphore, watch};

use crate::arguments::{CommandLine, RunCommand};
use crate::calls;
use crate::captured;
use crate::command_host::{CommandHost, CommandRequest};
use crate::context::Context;
use crate::failure::Failure;
use crate::paths::{Allowed, shown};
use crate::sessions::SessionGuard;

use self::output::Outputs;
use self::process::{Outcome, Process};
use self::progress::Progress;

/// How long a command may run that does not say it, and how long any may. The schema says the same.
const TIMEOUT: Duration = Duration::from_secs(120);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// How many calls may run or wait at once: each of them is a request that is not answered yet, and with too
/// many of those the server does not read that one is cancelled.
const CALLS_MAX: usize = 16;

/// The commands of one server.
pub(crate) struct Commands {
    places: Semaphore,
    host: CommandHost,
    /// Held while a command of the session runs.
    slots: Mutex<HashMap<SessionId, Arc<tokio::sync::Mutex<()>>>>,
    ended: watch::Receiver<bool>,
}

/// Why a command is ended before it ends itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Cancelled,
    Disconnected,
    TimedOut,
}

/// What a call asks for.
struct Wanted {
    command: Vec<String>,
    directory: String,
    environment: BTreeMap<String, String>,
    timeout: Duration,
}

impl Commands {
    pub(crate) fn new(host: CommandHost, ended: watch::Receiver<bool>) -> Self {
        Self { places: Semaphore::new(CALLS_MAX), host, slots: Mutex::default(), ended }
    }

    /// Runs the command of a call to its end.
    pub(crate) async fn run(
        &self,
        arguments: Map<String, Value>,
        guard: &SessionGuard,
        layer: &DiffStagingLayer,
        allowed: Arc<Allowed>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Failure> {
        let wanted = read(calls::arguments(Value::Object(arguments))?)?;
        let _place = self.places.try_acquire().map_err(|_| {
            Failure::new(format!("{CALLS_MAX} commands run or wait already: let one of them end"))
        })?;
        let (timeout, session) = (wanted.timeout, guard.session.session.clone());
        let outputs = Outputs::default();
        let progress = Progress::start(context, outputs.clone());
        let ran = async {
            let _slot = tokio::select! {
                slot = self.slot(session.id) => slot,
                stop = self.called_off(context) => return Err(not_run(stop)),
            };
            let (layer, session, outputs) = (layer.clone(), session.clone(), outputs.clone());
            let host = self.host.clone();
            let begin = move || {
                let (request, before) = begin(layer, session, allowed, wanted)?;
                Ok::<_, Failure>((Process::start(&host, &request, &outputs)?, before))
            };
            let (process, before) = off_the_loop(begin).await??;
            let (outcome, stop) = process.attend(timeout, self.called_off(context)).await;
            Ok((outcome, stop, before))
        };
        let ran = ran.await;
        // No notification comes after the answer.
        progress.stop().await;
        let (outcome, stop, before) = ran?;
        let ended = match (outcome, stop) {
            (Outcome::Failed(_), Some(stop @ (Stop::Cancelled | Stop::Disconnected))) => {
                return Err(not_run(stop));
            }
            (Outcome::Ended(_), Some(stop @ (Stop::Cancelled | Stop::Disconnected))) => {
                return Err(ended_by(stop));
            }
            (Outcome::Ended(ended), _) => ended,
            (Outcome::Failed(reason), _) => return Err(Failure::new(reason)),
            (Outcome::Gone, _) => {
                return Err(Failure::new(
                    "the process that ran the command was killed, and the command with it; what it \
                     wrote is staged by the next call",
                ));
            }
        };
        let is_timed_out = stop == Some(Stop::TimedOut);
        let layer = layer.clone();
        off_the_loop(move || {
            let facts = answer::Facts { ended, is_timed_out, timeout, before };
            answer::answer(&layer, &session, &facts, &outputs)
        })
        .await?
    }

    /// Waits until no other command of the session runs.
    async fn slot(&self, session: SessionId) -> OwnedMutexGuard<()> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
            Arc::clone(slots.entry(session).or_default())
        };
        slot.lock_owned().await
    }

    /// Waits until the client does not want the answer any more.
    async fn called_off(&self, context: &RequestContext<RoleServer>) -> Stop {
        let mut ended = self.ended.clone();
        tokio::select! {
            () = context.ct.cancelled() => Stop::Cancelled,
            _ = ended.wait_for(|ended| *ended) => Stop::Disconnected,
        }
    }
}

/// Checks the arguments of a call.
fn read(arguments: RunCommand) -> Result<Wanted, Failure> {
    let RunCommand { command, cwd, env, timeout_s } = arguments;
    let is_empty = match &command {
        CommandLine::Shell(text) => text.trim().is_empty(),
        CommandLine::Words(words) => words.first().is_none_or(String::is_empty),
    };
    if is_empty {
        return Err(Failure::new("the command is empty"));
    }
    let command = match command {
        CommandLine::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text],
        CommandLine::Words(words) => words,
    };
    for name in env.keys() {
        if name.is_empty() || name.contains('=') {
            return Err(Failure::new(format!("`{}` cannot name a variable", shown(name))));
        }
    }
    let texts = command.iter().chain(env.keys()).chain(env.values());
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err(Failure::new("a NUL character can be in no command and in no variable"));
    }
    let timeout = match timeout_s {
        None => TIMEOUT,
        Some(seconds) => Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|timeout| !timeout.is_zero() && *timeout <= TIMEOUT_MAX)
            .ok_or_else(|| {
                let max = TIMEOUT_MAX.as_secs();
                Failure::new(format!("`timeout_s` must be more than 0 and at most {max}"))
            })?,
    };
    Ok(Wanted {
        command,
        directory: cwd.unwrap_or_else(|| ".".to_owned()),
        environment: env,
        timeout,
    })
}

/// The request for a call, and what is pending before its command.
fn begin(
    layer: DiffStagingLayer,
    session: Session,
    allowed: Arc<Allowed>,
    wanted: Wanted,
) -> Result<(CommandRequest, Vec<Patch>), Failure> {
    captured::import(&layer, session.id)?;
    let before = pending(&layer, session.id)?;
    let id = session.id.to_string();
    let view = layer.session_view(session.id)?;
    let context = Context { layer, session, allowed, view, is_cancelled: Box::new(|| false) };
    let directory = match wanted.directory.as_str() {
        // The client's roots may not hold the workspace's root.
        "." => context.allowed.directories().into_iter().next().flatten(),
        named => context.resolve(named)?,
    };
    let directory = directory.map(|path| OsString::from(path.to_path_buf())).unwrap_or_default();
    let Wanted { command, environment, .. } = wanted;
    Ok((CommandRequest { session: id, command, environment, directory }, before))
}

/// What is pending in a session.
fn pending(layer: &DiffStagingLayer, session: SessionId) -> Result<Vec<Patch>, Failure> {
    Ok(layer.select(&[Selector::Session(session)])?.patches)
}

/// Work that blocks, off the event loop.
async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Failure::new("the tool panicked; `pending` shows what is staged"))
}

fn not_run(stop: Stop) -> Failure {
    Failure::new(format!("{}: the command was not run", reason(stop)))
}

fn ended_by(stop: Stop) -> Failure {
    Failure::new(format!("{}: the command was ended, and what it wrote is staged", reason(stop)))
}

fn reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Cancelled => "the call was cancelled",
        Stop::Disconnected => "the client disconnected",
        Stop::TimedOut => "the time is over",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn check(arguments: Value) -> Result<Wanted, Failure> {
        read(calls::arguments(arguments)?)
    }

    #[test]
    fn a_text_is_for_the_shell_and_a_list_is_run_as_it_is() {
        let shell = check(json!({"command": "a | b"})).expect("a command");
        assert_eq!(shell.command, ["/bin/sh", "-c", "a | b"]);
        assert_eq!((shell.timeout, shell.directory.as_str()), (TIMEOUT, "."));
        let words = check(json!({"command": ["a", "b c"], "timeout_s": 3600})).expect("a command");
        assert_eq!((words.command, words.timeout), (vec!["a".into(), "b c".into()], TIMEOUT_MAX));
    }

    #[rstest]
    #[case::empty(json!({"command": " "}), "is empty")]
    #[case::no_words(json!({"command": []}), "is empty")]
    #[case::an_empty_program(json!({"command": ["", "a"]}), "is empty")]
    #[case::nothing(json!({}), "schema")]
    #[case::a_number(json!({"command": 1}), "schema")]
    #[case::unknown(json!({"command": "a", "shell": "b"}), "schema")]
    #[case::nul(json!({"command": "a\0b"}), "NUL")]
    #[case::nul_in_a_variable(json!({"command": "a", "env": {"A": "\0"}}), "NUL")]
    #[case::no_name(json!({"command": "a", "env": {"": "b"}}), "name a variable")]
    #[case::no_such_name(json!({"command": "a", "env": {"A=B": "b"}}), "name a variable")]
    #[case::no_time(json!({"command": "a", "timeout_s": 0}), "at most 3600")]
    #[case::negative(json!({"command": "a", "timeout_s": -1}), "at most 3600")]
    #[case::too_long(json!({"command": "a", "timeout_s": 3600.5}), "at most 3600")]
    #[case::endless(json!({"command": "a", "timeout_s": 1e300}), "at most 3600")]
    fn what_cannot_be_run_is_refused(#[case] arguments: Value, #[case] expected: &str) {
        let refused = check(arguments).err().expect("it is refused").message;
        assert!(refused.contains(expected), "{refused}");
    }
}
