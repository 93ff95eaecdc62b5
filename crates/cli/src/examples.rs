//! The examples that `--help` shows.

pub(crate) const RUN: &str = "\
Exit codes: the command's own; 125 Greenroom failed before it began; 126 it cannot be executed;
127 it was not found.

Examples:
  greenroom run -- claude
  greenroom run --session agent-1 -- sh -c 'cargo fmt && cargo test'
  greenroom run --propose-ignored 'dist/' -- npm run build";

pub(crate) const EXEC: &str = "\
Exit codes: the command's own; 3 a patch is stale; 125 Greenroom failed before it began;
126 it cannot be executed; 127 it was not found.

Examples:
  greenroom exec -- cargo test          tests everything that is pending
  greenroom exec agent-1 -- make check  tests the patches of a session";

pub(crate) const PROPOSE: &str = "\
Examples:
  greenroom propose notes.txt < new-notes.txt
  greenroom propose src/old.rs --rename-to src/new.rs
  greenroom propose --patch fix.diff --session agent-1
  greenroom propose dist/app.js --from-session agent-1
  greenroom propose --from-tree ../feature-worktree";

pub(crate) const DIFF: &str = "\
Examples:
  greenroom diff              everything that is pending
  greenroom diff p3 p4        two patches
  greenroom diff agent-1      all patches of a session
  greenroom diff src/ '*.toml' --except src/gen/
                              files of every session, but for some";

pub(crate) const SHOW: &str = "\
Examples:
  greenroom show p3           also when it was decided
  greenroom show src/main.rs
  greenroom show a1           an apply";

pub(crate) const CAT: &str = "\
Example:
  greenroom cat src/main.rs --session agent-1";

pub(crate) const REVIEW: &str = "\
One key each, without Enter; `?` lists them. Nothing is applied or rejected before the question at the
end.

Examples:
  greenroom review            everything that is pending
  greenroom review agent-1    the patches of a session";

pub(crate) const EDIT: &str = "\
The editor is the first of GREENROOM_EDITOR, the configuration's `editor`, VISUAL and EDITOR. The
patch stays as it is if the text is saved unchanged or the editor fails.

Examples:
  greenroom edit p3
  GREENROOM_EDITOR='code --wait' greenroom edit p3";

pub(crate) const APPLY: &str = "\
Examples:
  greenroom apply             shows everything that is pending, and asks
  greenroom apply p3 src/     the same with a patch and the files of a directory
  greenroom apply --except p5
  greenroom apply agent-1 --expect 1eb33ebc
                              applies what was reviewed under this signature
  greenroom apply -m 'as agreed on Monday'
  greenroom apply --rest      without what became stale";

pub(crate) const DISCARD: &str = "\
Examples:
  greenroom discard p3 --reason 'use tabs'
  greenroom discard p3 --comment src/main.rs:12 'this can be zero'
  greenroom discard agent-1 docs/";

pub(crate) const UNDO: &str = "\
Examples:
  greenroom undo              the newest apply
  greenroom undo a4           another one
  greenroom undo a4 src/api   what it changed in a directory
  greenroom undo '*.lock'     these files of the newest apply";

pub(crate) const REFRESH: &str = "\
Examples:
  greenroom refresh           everything that is stale or expired
  greenroom refresh p3 src/";

pub(crate) const WATCH: &str = "\
Examples:
  greenroom watch
  greenroom watch --bell
  greenroom watch --exec 'notify-send Greenroom \"$(jq -r .text)\"'
  greenroom watch --since 120 --json";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  greenroom completions bash > ~/.local/share/bash-completion/completions/greenroom
  greenroom completions zsh > ~/.zfunc/_greenroom
  greenroom completions fish > ~/.config/fish/completions/greenroom.fish";

pub(crate) const MAN: &str = "\
Examples:
  greenroom man | man -l -
  greenroom man ~/.local/share/man/man1";

pub(crate) const STATUS: &str = "\
Examples:
  greenroom status
  greenroom status --short    one line, for a prompt or a status bar
  greenroom status --json";

pub(crate) const REDO: &str = "\
Examples:
  greenroom redo              what the newest undo undid
  greenroom redo a4           all that was undone of an apply";

pub(crate) const APPLIES: &str = "\
Examples:
  greenroom applies
  greenroom applies -n 5";

pub(crate) const LOG: &str = "\
Examples:
  greenroom log -n 20         the newest entries
  greenroom log p3 a1         what happened to a patch and in an apply
  greenroom log agent-1       what happened in a session
  greenroom log --verify";

pub(crate) const SESSION_LIST: &str = "\
Examples:
  greenroom session list
  greenroom session list --all";

pub(crate) const SESSION_CLOSE: &str = "\
Examples:
  greenroom session close agent-1
  greenroom session close s3 --reason 'not needed any more' --yes";

pub(crate) const SESSION_COMMITS: &str = "\
Examples:
  greenroom session commits agent-1
  greenroom session commits agent-1 --output ../agent-1.bundle
  greenroom session commits agent-1 --format-patch ../patches";

pub(crate) const PLUGIN_LIST: &str = "\
Example:
  greenroom plugin list";

pub(crate) const PLUGIN_ALLOW: &str = "\
Example:
  greenroom plugin allow ~/.local/lib/greenroom/libparagraphs.so --use";

pub(crate) const PLUGIN_TEST: &str = "\
Example:
  greenroom plugin test target/release/libparagraphs.so";

pub(crate) const RECOVER: &str = "\
Examples:
  greenroom recover           this workspace
  greenroom recover --all     every workspace of yours, as at login
  greenroom recover --acknowledge a3
  greenroom recover --adopt   the state of the directory that was here before";

pub(crate) const DOCTOR: &str = "\
Examples:
  greenroom doctor
  greenroom doctor --quiet    only what is wrong
  greenroom doctor --json";

pub(crate) const SCHEMA: &str = "\
Examples:
  greenroom schema            the events of log and watch
  greenroom schema serve";

pub(crate) const GC: &str = "\
Examples:
  greenroom gc --dry-run
  greenroom gc";

pub(crate) const MCP: &str = "\
`init` writes this into an agent's settings.

Examples:
  greenroom mcp
  greenroom mcp --session agent-1";

pub(crate) const SERVE: &str = "\
Examples:
  greenroom serve
  greenroom serve --workspace ../project";

pub(crate) const HOOK: &str = "\
`init` writes this into an agent's settings.

Examples:
  greenroom hook claude-code < call.json
  greenroom hook claude-code --stop";

pub(crate) const INIT: &str = "\
Examples:
  greenroom init claude-code
  greenroom init claude-code --with-shell
  greenroom init claude-code --remove
  greenroom init codex --user";

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _, Parser as _};

    use crate::args::Arguments;

    /// The examples of every command that people run, with its name.
    fn examples(command: &Command, above: &str, found: &mut Vec<(String, Vec<String>)>) {
        for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            let name = format!("{above}{}", below.get_name());
            if below.has_subcommands() {
                examples(below, &format!("{name} "), found);
                continue;
            }
            let text = below.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines = text.lines().filter_map(|line| line.strip_prefix("  greenroom "));
            found.push((name, lines.map(str::to_owned).collect()));
        }
    }

    /// The words of an example, without what a shell reads and the explanation behind it.
    fn words(example: &str) -> Vec<String> {
        let quoted = example.split('\'').enumerate();
        let one_word = |(at, part): (usize, &str)| match at % 2 {
            0 => part.to_owned(),
            _ => part.replace(' ', "_"),
        };
        let command: String = quoted.map(one_word).collect();
        let command = command.split("  ").next().unwrap_or_default();
        let command = command.split(['<', '>', '|']).next().unwrap_or_default();
        command.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn every_command_has_examples_of_itself() {
        let mut found = Vec::new();
        examples(&Arguments::command(), "", &mut found);
        assert!(found.len() > 25, "only {} commands are found", found.len());
        for (name, examples) in found {
            assert!(!examples.is_empty(), "`{name}` has no example");
            let is_its_own = |line: &String| format!("{line} ").starts_with(&format!("{name} "));
            assert!(examples.iter().all(is_its_own), "`{name}` has {examples:?}");
            for example in examples {
                let words = std::iter::once("greenroom".to_owned()).chain(words(&example));
                if let Err(error) = Arguments::try_parse_from(words) {
                    panic!("`{example}`: {error}");
                }
            }
        }
    }
}
