//! `__complete`: what a shell offers for the word at the cursor.
//!
//! The scripts of `greenroom completions` run it. It reads the state without opening it, so that no
//! key that a person presses makes a state, waits for a lock, or changes anything. Where something
//! cannot be read it offers less, and it prints nothing but what it offers.
//!
//! What agents have chosen, paths and labels, is offered only as text that the shell takes as one
//! word and the terminal shows as it is.

mod candidates;
mod known;
mod line;
mod quoting;
mod request;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::panic;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::engine::{CompletionCandidate, complete as candidates_of};
use staging_core::escape_line_for_display;

use self::known::Known;
use self::quoting::quoted;
use self::request::Request;
use crate::args::Arguments;
use crate::shells::Shell;

/// The name by which the scripts ask for candidates.
pub(crate) const COMPLETE: &str = "__complete";

/// How many candidates are offered: nobody reads more.
const CANDIDATES_MAX: usize = 500;

/// Answers a script. The first line says what follows: `values` and the candidates, a line each, or
/// that another command line begins behind so many words.
pub(crate) fn complete(arguments: &[OsString]) -> ExitCode {
    panic::set_hook(Box::new(|_| {}));
    let answer = panic::catch_unwind(|| Request::read(arguments).map(|request| answer(&request)));
    let Ok(Some(answer)) = answer else { return ExitCode::FAILURE };
    let mut out = io::stdout().lock();
    match out.write_all(answer.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer(request: &Request) -> String {
    if let Some(at) = request.inner_command() {
        return match request.shell {
            Shell::Bash => "command\n".to_owned(),
            _ => format!("command {at}\n"),
        };
    }
    let known = Known::of(request);
    let mut command = candidates::attach(Arguments::command(), &known);
    let current_dir = std::env::current_dir().ok();
    let found =
        candidates_of(&mut command, request.words.clone(), request.index, current_dir.as_deref());
    let found = found.unwrap_or_default();
    let mut text = "values\n".to_owned();
    for line in wanted(found, request).filter_map(|one| line(&one, request)).take(CANDIDATES_MAX) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Options only where one is begun, or where nothing else is possible.
fn wanted(
    found: Vec<CompletionCandidate>,
    request: &Request,
) -> impl Iterator<Item = CompletionCandidate> {
    let is_option =
        |one: &CompletionCandidate| one.get_value().as_encoded_bytes().starts_with(b"-");
    let begins_one = request.current().as_encoded_bytes().starts_with(b"-");
    let has_others = found.iter().any(|one| !is_option(one));
    found.into_iter().filter(move |one| begins_one || !has_others || !is_option(one))
}

/// A candidate as the script reads it; none for what a shell cannot be given as a word, or a terminal
/// would not show.
fn line(candidate: &CompletionCandidate, request: &Request) -> Option<String> {
    let value = candidate.get_value().to_str()?;
    if value.contains('\t') || escape_line_for_display(value) != value {
        return None;
    }
    let word = quoted(value, request)?;
    if request.shell == Shell::Bash {
        return Some(word);
    }
    let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
    match help.lines().next().map(|help| escape_line_for_display(help).replace('\t', " ")) {
        Some(help) if !help.is_empty() => Some(format!("{word}\t{help}")),
        _ => Some(word),
    }
}
