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
  greenroom watch --since 120 --json";

pub(crate) const INIT: &str = "\
Examples:
  greenroom init claude-code
  greenroom init claude-code --with-shell
  greenroom init claude-code --remove
  greenroom init codex --user";

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Arguments;

    #[test]
    fn every_example_is_a_command() {
        let texts =
            [PROPOSE, DIFF, SHOW, CAT, REVIEW, EDIT, APPLY, DISCARD, UNDO, REFRESH, WATCH, INIT];
        let lines: Vec<&str> = texts
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(|line| line.strip_prefix("  greenroom "))
            .collect();
        assert_eq!(lines.len(), 37);
        for line in lines {
            // What it does stands behind the command; a shell reads the rest.
            let command = line.split("  ").next().unwrap_or_default();
            let command =
                command.split(" < ").next().unwrap_or_default().replace("'use tabs'", "x");
            let command = command.replace("'as agreed on Monday'", "x");
            let command = command.replace("'this can be zero'", "x");
            let words = std::iter::once("greenroom").chain(command.split_whitespace());
            assert!(Arguments::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
