//! Which values an argument can have, by the name that its help gives them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::sync::Arc;

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use staging_core::{ApplyId, NameableApply, NameablePatch, RelPath, SessionState};

use super::known::{Known, about};

/// How many patches are offered by their ids: nobody reads more.
const PATCHES_MAX: usize = 100;

/// What is offered for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    /// Patches, sessions and paths of what waits.
    Selection(Waiting),
    Sessions,
    /// Files, and paths of what waits.
    Files,
    Applies(Which),
    /// An apply, or paths of one.
    AppliedPaths,
    /// Patches, applies and sessions.
    LogEntries,
    /// A path of what waits, and a line.
    FileAndLine,
}

/// Which patches a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    All,
    Pending,
    Lapsed,
}

/// Which applies a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Any,
    Undoable,
    Redoable,
    InDoubt,
}

/// The command with candidates for the values of its arguments.
pub(super) fn attach(command: Command, known: &Arc<Known>) -> Command {
    let name = command.get_name().to_owned();
    let command = command.mut_args(|arg| with_values(arg, &name, known));
    command.mut_subcommands(|subcommand| attach(subcommand, known))
}

fn with_values(arg: Arg, command: &str, known: &Arc<Known>) -> Arg {
    if let Some(values) = values(&arg, command) {
        return arg.add(ArgValueCompleter::new(Completer { values, known: Arc::clone(known) }));
    }
    match hint(&arg) {
        Some(hint) => arg.value_hint(hint),
        None => arg,
    }
}

fn value_name(arg: &Arg) -> Option<&str> {
    arg.get_value_names()?.first().map(|name| name.as_str())
}

fn values(arg: &Arg, command: &str) -> Option<Values> {
    Some(match (value_name(arg)?, command) {
        ("SELECTION", "apply" | "review" | "exec") => Values::Selection(Waiting::Pending),
        ("SELECTION", "refresh") => Values::Selection(Waiting::Lapsed),
        ("SELECTION", _) => Values::Selection(Waiting::All),
        ("PATH", "cat") => Values::Files,
        ("SESSION" | "LABEL", _) => Values::Sessions,
        ("APPLY|PATH", _) => Values::AppliedPaths,
        ("APPLY", "redo") => Values::Applies(Which::Redoable),
        ("APPLY", "recover") => Values::Applies(Which::InDoubt),
        ("OF", "log") => Values::LogEntries,
        ("FILE:LINE", _) => Values::FileAndLine,
        _ => return None,
    })
}

fn hint(arg: &Arg) -> Option<ValueHint> {
    Some(match value_name(arg)? {
        "DIR" => ValueHint::DirPath,
        "FILE" => ValueHint::FilePath,
        "PATH" | "NEW" | "TARGET" => ValueHint::AnyPath,
        _ => return None,
    })
}

struct Completer {
    values: Values,
    known: Arc<Known>,
}

impl ValueCompleter for Completer {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let known = &self.known;
        let mut found = match self.values {
            Values::Selection(waiting) => self.selection(waiting, current),
            Values::Sessions => self.sessions(),
            Values::Files => self.files(current),
            Values::Applies(which) => self.applies(which),
            Values::AppliedPaths => self.applied(current),
            Values::LogEntries => {
                let patches = self.patches(Waiting::All, current).into_iter();
                patches.chain(self.applies(Which::Any)).chain(self.sessions()).collect()
            }
            Values::FileAndLine => {
                let paths = self.waiting(Waiting::Pending).map(|patch| (&patch.path, None));
                let candidates = known.paths(current, paths).into_iter();
                candidates.map(with_colon).collect()
            }
        };
        // What the line has already is not offered again.
        found.retain(|one| {
            let is_typed = |word| word == one.get_value();
            starts_with(one.get_value(), current) && !known.before.iter().any(is_typed)
        });
        found
    }

    /// The text of a comment is not completed.
    fn complete_at(&self, arg_index: usize, current: &OsStr) -> Vec<CompletionCandidate> {
        match self.values {
            Values::FileAndLine if arg_index > 0 => Vec::new(),
            _ => self.complete(current),
        }
    }
}

impl Completer {
    fn waiting(&self, waiting: Waiting) -> impl Iterator<Item = &NameablePatch> {
        let is_meant = move |patch: &&NameablePatch| match waiting {
            Waiting::All => true,
            Waiting::Pending => !patch.is_lapsed,
            Waiting::Lapsed => patch.is_lapsed,
        };
        self.known.names().patches.iter().filter(is_meant)
    }

    /// What a session sees: its own files come first.
    fn files(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let waiting = self.waiting(Waiting::All);
        let names = waiting.flat_map(|patch| std::iter::once(&patch.path).chain(&patch.rename_to));
        let mut found = self.known.paths(current, names.map(|name| (name, None)));
        let has = |found: &[CompletionCandidate], one: &CompletionCandidate| {
            found.iter().any(|other| other.get_value() == one.get_value())
        };
        for file in PathCompleter::any().complete(current) {
            if !has(&found, &file) {
                found.push(file);
            }
        }
        found
    }

    fn selection(&self, waiting: Waiting, current: &OsStr) -> Vec<CompletionCandidate> {
        let names = self.waiting(waiting).flat_map(|patch| {
            let both = std::iter::once(&patch.path).chain(&patch.rename_to);
            both.map(move |name| (name, Some(patch)))
        });
        let paths = self.known.paths(current, names);
        if self.known.is_behind_dashes {
            return paths;
        }
        let mut found = self.patches(waiting, current);
        found.extend(self.sessions_with(waiting));
        found.extend(paths);
        found
    }

    /// The newest patches whose ids go on as what is typed does.
    fn patches(&self, waiting: Waiting, current: &OsStr) -> Vec<CompletionCandidate> {
        let named = self.waiting(waiting).map(|patch| (patch.id.to_string(), patch));
        let meant = named.filter(|(id, _)| starts_with(id.as_ref(), current)).take(PATCHES_MAX);
        let candidate = |(id, patch): (String, &NameablePatch)| {
            let help = format!("{} {}", about(patch), patch.path);
            CompletionCandidate::new(id).help(Some(help.into()))
        };
        meant.map(candidate).collect()
    }

    /// The labels and ids of the sessions of patches that wait.
    fn sessions_with(&self, waiting: Waiting) -> Vec<CompletionCandidate> {
        let with: HashSet<_> = self.waiting(waiting).map(|patch| patch.session).collect();
        let sessions = self.known.names().sessions.iter();
        sessions.filter(|one| with.contains(&one.id)).flat_map(session).collect()
    }

    /// The labels and ids of open sessions, and of those with pending patches.
    fn sessions(&self) -> Vec<CompletionCandidate> {
        let sessions = self.known.names().sessions.iter();
        let is_current = |one: &&staging_core::NameableSession| {
            one.state == SessionState::Open || one.pending > 0
        };
        sessions.filter(is_current).flat_map(session).collect()
    }

    fn applies(&self, which: Which) -> Vec<CompletionCandidate> {
        let is_meant = |apply: &&NameableApply| match which {
            Which::Any => true,
            Which::Undoable => {
                apply.is_committed && apply.undoes.is_none() && apply.undone_by.is_none()
            }
            Which::Redoable => {
                apply.is_committed && (apply.undoes.is_some() || apply.undone_by.is_some())
            }
            Which::InDoubt => apply.is_in_doubt,
        };
        let candidate = |apply: &NameableApply| {
            let files = match apply.patches {
                1 => "1 file".to_owned(),
                more => format!("{more} files"),
            };
            let help = match (apply.undoes, apply.undone_by) {
                (Some(undone), _) => format!("undid {undone}"),
                (None, Some(undo)) => format!("{files}, undone by {undo}"),
                (None, None) => files,
            };
            CompletionCandidate::new(apply.id.to_string()).help(Some(help.into()))
        };
        self.known.names().applies.iter().filter(is_meant).map(candidate).collect()
    }

    /// Applies, where none is named yet, and paths of the named one or of the newest.
    fn applied(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let mut named = self.known.before.iter().filter_map(|word| word.to_str()?.parse().ok());
        let named: Option<ApplyId> = named.next_back();
        let paths = self.known.paths_of(named);
        let paths = self.known.paths(current, paths.iter().map(|path: &RelPath| (path, None)));
        match named {
            None if !self.known.is_behind_dashes => {
                self.applies(Which::Undoable).into_iter().chain(paths).collect()
            }
            _ => paths,
        }
    }
}

/// A session by its label and by its id.
fn session(session: &staging_core::NameableSession) -> [CompletionCandidate; 2] {
    let pending = match session.pending {
        1 => "1 patch pending".to_owned(),
        more => format!("{more} patches pending"),
    };
    [
        CompletionCandidate::new(session.label.clone())
            .help(Some(format!("{}, {pending}", session.id).into())),
        CompletionCandidate::new(session.id.to_string())
            .help(Some(format!("{}, {pending}", session.label).into())),
    ]
}

/// A path behind which the number of a line follows; a directory stays as it is.
fn with_colon(candidate: CompletionCandidate) -> CompletionCandidate {
    let mut value = candidate.get_value().to_owned();
    if !value.as_encoded_bytes().ends_with(b"/") {
        value.push(":");
    }
    CompletionCandidate::new(value)
}

fn starts_with(value: &OsStr, current: &OsStr) -> bool {
    value.as_encoded_bytes().starts_with(current.as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Arguments;

    /// What nobody can complete: it is the reviewer's own, or is to be read first.
    const FREE: [&str; 14] = [
        "BITS",
        "BLAKE3",
        "COMMAND",
        "COMMANDS",
        "GLOB",
        "MS",
        "N",
        "REV",
        "SECONDS",
        "SEQ",
        "SIGNATURE",
        "TEXT",
        "TIME",
        "WORDS",
    ];

    fn check(command: &Command, seen: &mut usize) {
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            let name = value_name(arg).unwrap_or_default();
            let has_values = !arg.get_possible_values().is_empty();
            let is_completed = values(arg, command.get_name()).is_some() || hint(arg).is_some();
            let is_known = has_values || is_completed || FREE.contains(&name);
            assert!(is_known, "`{}` takes {name}: what is offered for it?", command.get_name());
            *seen += usize::from(is_completed);
        }
        command.get_subcommands().for_each(|subcommand| check(subcommand, seen));
    }

    #[test]
    fn every_value_is_completed_or_is_free_text() {
        let mut seen = 0;
        check(&Arguments::command(), &mut seen);
        assert!(seen > 20, "only {seen} are completed: are the names recognised?");
    }
}
