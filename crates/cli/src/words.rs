//! The words of other tools for what a command does.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Each command with the words that people try for it.
const WORDS: [(&str, &[&str]); 16] = [
    ("apply", &["accept", "commit", "merge", "ok", "yes", "submit", "push", "land"]),
    ("cat", &["print", "read"]),
    ("diff", &["changes", "compare", "preview", "show-diff", "view"]),
    ("discard", &["decline", "delete", "deny", "dismiss", "drop", "no", "remove", "rm"]),
    ("doctor", &["check", "diagnose", "fsck"]),
    ("edit", &["amend", "modify"]),
    ("exec", &["test", "try", "verify"]),
    ("init", &["config", "configure", "install", "protect", "setup"]),
    ("log", &["events", "history", "reflog"]),
    ("propose", &["add", "put", "stage", "write"]),
    ("refresh", &["rebase", "update"]),
    ("review", &["inspect", "interactive"]),
    ("run", &["sandbox", "shell", "spawn", "start", "wrap"]),
    ("session list", &["agents", "sessions"]),
    ("status", &["inbox", "info", "list", "ls", "pending", "queue", "st", "stat", "waiting"]),
    ("undo", &["reset", "restore", "revert", "rollback"]),
];

/// The error with the command that does what another tool's word means, where an unknown command is
/// one. It replaces the command that is merely spelt like it.
pub(crate) fn with_right_command(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    if let Some(command) = command_for(typed) {
        error.remove(ContextKind::SuggestedSubcommand);
        let tip = format!("`greenroom {command}` does that").into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

fn command_for(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase().replace('_', "-");
    WORDS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(command, _)| *command)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::args::Arguments;

    #[test]
    fn every_word_means_one_command_that_there_is_and_is_none_itself() {
        let commands = Arguments::command();
        let is_command = |word: &str| commands.find_subcommand(word).is_some();
        let mut seen = Vec::new();
        for (command, words) in WORDS {
            assert!(command.split(' ').next().is_some_and(is_command), "{command}");
            for word in words {
                assert!(!is_command(word) && !seen.contains(word), "{word}");
                seen.push(word);
            }
        }
    }

    #[test]
    fn the_right_command_replaces_one_that_is_spelt_alike() {
        let error = Arguments::try_parse_from(["greenroom", "Pending"]).expect_err("no command");
        let text = with_right_command(error).to_string();
        assert!(text.contains("tip: `greenroom status` does that"), "{text}");
        let error = Arguments::try_parse_from(["greenroom", "restore"]).expect_err("no command");
        let text = with_right_command(error).to_string();
        assert!(text.contains("`greenroom undo`") && !text.contains("similar"), "{text}");
        let error = Arguments::try_parse_from(["greenroom", "statsu"]).expect_err("no command");
        let text = with_right_command(error).to_string();
        assert!(text.contains("a similar subcommand exists: 'status'"), "{text}");
    }
}
