//! What a shell's script asks for.

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory as _, ValueEnum as _};

use super::line::{Line, Quotes};
use crate::args::Arguments;
use crate::shells::Shell;

/// A command line with a cursor.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) shell: Shell,
    /// The words of the line; the first is the command.
    pub(super) words: Vec<OsString>,
    /// Which of them is at the cursor.
    pub(super) index: usize,
    /// In bash: the quotes that are open there.
    pub(super) quotes: Quotes,
    /// In bash: how many characters of the word stay before what is replaced.
    pub(super) kept: usize,
}

impl Request {
    /// Reads `bash LINE BREAKS`, or `SHELL INDEX WORD…`.
    pub(super) fn read(arguments: &[OsString]) -> Option<Self> {
        let (shell, rest) = arguments.split_first()?;
        let shell = Shell::from_str(shell.to_str()?, false).ok()?;
        if shell == Shell::Bash {
            let [line, breaks] = rest else { return None };
            let Line { words, quotes, kept } = Line::split(line.to_str()?, breaks.to_str()?);
            let index = words.len() - 1;
            let words = words.into_iter().map(OsString::from).collect();
            return Some(Self { shell, words, index, quotes, kept });
        }
        let (index, words) = rest.split_first()?;
        let index: usize = index.to_str()?.parse().ok()?;
        let mut words = words.to_vec();
        words.truncate(index + 1);
        // Some shells leave out an empty word.
        if words.len() == index {
            words.push(OsString::new());
        }
        let is_whole = index > 0 && words.len() == index + 1;
        is_whole.then_some(Self { shell, words, index, quotes: Quotes::None, kept: 0 })
    }

    /// The word at the cursor.
    pub(super) fn current(&self) -> &OsStr {
        &self.words[self.index]
    }

    /// The words between the command and the cursor.
    pub(super) fn before(&self) -> &[OsString] {
        self.words.get(1..self.index).unwrap_or_default()
    }

    /// Whether everything at the cursor is a path.
    pub(super) fn is_behind_dashes(&self) -> bool {
        self.before().iter().any(|word| word == "--")
    }

    /// Where the command line of another command begins: behind the `--` of `run` and `exec`.
    pub(super) fn inner_command(&self) -> Option<usize> {
        let dashes = self.before().iter().position(|word| word == "--")?;
        let is_inner = matches!(self.subcommand()?, "run" | "exec");
        is_inner.then_some(dashes + 2)
    }

    /// The first word that is neither an option nor its value.
    fn subcommand(&self) -> Option<&str> {
        let command = Arguments::command();
        let takes_value = |word: &str| {
            let named = |arg: &clap::Arg| arg.get_long() == word.strip_prefix("--");
            command.get_arguments().any(|arg| named(arg) && arg.get_action().takes_values())
        };
        let mut words = self.before().iter().filter_map(|word| word.to_str());
        while let Some(word) = words.next() {
            match word {
                option if option.starts_with('-') => {
                    if takes_value(option) {
                        words.next();
                    }
                }
                subcommand => return Some(subcommand),
            }
        }
        None
    }

    /// The value of an option of every command, where the line has it.
    pub(super) fn option(&self, name: &str) -> Option<OsString> {
        let words = self.before();
        words.iter().enumerate().find_map(|(at, word)| {
            if word == name {
                return words.get(at + 1).cloned();
            }
            let value = word.to_str()?.strip_prefix(name)?.strip_prefix('=')?;
            Some(value.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn request(words: &[&str]) -> Request {
        let index = (words.len() - 1).to_string();
        let arguments = ["zsh", &index].into_iter().chain(words.iter().copied());
        let arguments: Vec<OsString> = arguments.map(OsString::from).collect();
        Request::read(&arguments).expect("it can be read")
    }

    #[rstest]
    #[case(&["greenroom", "run", "--", "car"], Some(3))]
    #[case(&["greenroom", "--workspace", "exec", "exec", "s1", "--", "cargo", "t"], Some(6))]
    #[case(&["greenroom", "diff", "--", "run"], None)]
    #[case(&["greenroom", "run", "--se"], None)]
    fn another_command_begins_behind_the_dashes_of_run_and_exec(
        #[case] words: &[&str],
        #[case] expected: Option<usize>,
    ) {
        assert_eq!(request(words).inner_command(), expected);
    }

    #[test]
    fn the_options_of_the_line_are_read() {
        let line = request(&["greenroom", "--workspace=/w", "diff", "--state-dir", "/s", ""]);
        assert_eq!(line.option("--workspace"), Some("/w".into()));
        assert_eq!(line.option("--state-dir"), Some("/s".into()));
        assert_eq!(line.option("--color"), None);
    }

    #[test]
    fn what_no_script_asks_is_not_answered() {
        for arguments in
            [&["zsh"][..], &["zsh", "x", "greenroom"], &["ksh", "1", "a"], &["bash", "a"]]
        {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            assert!(Request::read(&arguments).is_none(), "{arguments:?}");
        }
    }
}
