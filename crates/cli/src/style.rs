//! Colours of what commands print for a person. The text is escaped before it is coloured, so that
//! nothing but these colours steers the terminal, and without them it is the same.

use std::fmt::Write as _;

pub(crate) const RESET: &str = "\x1b[0m";

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// What the eye looks for first.
    Strong,
    /// What is seldom read.
    Faint,
    /// A name.
    Name,
    Good,
    Bad,
    /// What needs a decision.
    Care,
}

impl Style {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Name => "\x1b[36m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Care => "\x1b[33m",
        }
    }

    /// The text in this style.
    pub(crate) fn paint(self, text: &str) -> String {
        if text.is_empty() { String::new() } else { format!("{}{text}{RESET}", self.code()) }
    }
}

/// The style of what happens to a file.
pub(crate) fn of_operation(word: &str) -> Option<Style> {
    match word {
        "create" | "applied" => Some(Style::Good),
        "delete" | "discarded" | "rejected" => Some(Style::Bad),
        "modify" | "rename" | "mode" | "stale" | "expired" => Some(Style::Care),
        _ => None,
    }
}

/// Counts like `(+64 -41)` at the end of a line, in colours; anything else as it is.
pub(crate) fn counts(text: &str) -> String {
    let mut painted = String::with_capacity(text.len());
    for word in text.split_inclusive(' ') {
        let end = word.trim_end_matches([' ', ')', ',', ':']).len();
        let begin = word[..end].len() - word[..end].trim_start_matches('(').len();
        let number = &word[begin..end];
        let is_count = |sign| {
            let digits = number.strip_prefix(sign).unwrap_or_default();
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        let style = if is_count('+') {
            Some(Style::Good)
        } else if is_count('-') {
            Some(Style::Bad)
        } else {
            None
        };
        match style {
            Some(style) => {
                let (before, behind) = (&word[..begin], &word[end..]);
                let _ = write!(painted, "{before}{}{behind}", style.paint(number));
            }
            None => painted.push_str(word),
        }
    }
    painted
}

/// A line about a patch, `p1 modify src/main.rs (+1 -1)`: its operation and its counts.
pub(crate) fn patch_line(line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    let (Some(id), Some(operation), Some(rest)) = (words.next(), words.next(), words.next()) else {
        return line.to_owned();
    };
    let Some(style) = of_operation(operation) else { return line.to_owned() };
    // A path can have anything but this behind it.
    let (path, numbers) = rest.rsplit_once(" (").map_or((rest, ""), |(path, _)| {
        let at = path.len();
        (path, &rest[at..])
    });
    format!("{} {} {path}{}", Style::Name.paint(id), style.paint(operation), counts(numbers))
}

/// `status`, line by line.
pub(crate) fn status_line(line: &str) -> String {
    let (indent, text) = line.split_at(line.len() - line.trim_start_matches(' ').len());
    if let Some(rest) = text.strip_prefix("risk: ") {
        return format!("{indent}{}{rest}", Style::Care.paint("risk: "));
    }
    if let Some((word, rest)) = text.split_once(": ")
        && let ("stale" | "expired", false) = (word, indent.is_empty())
    {
        return format!("{indent}{}: {}", Style::Bad.paint(word), patch_line(rest));
    }
    if text.starts_with("signature ") || text.starts_with("workspace ") {
        return format!("{indent}{}", Style::Faint.paint(text));
    }
    if !indent.is_empty() {
        return format!("{indent}{}", patch_line(text));
    }
    match text.rsplit_once(": ") {
        Some((_, end)) if text.starts_with('s') && end.ends_with(" pending") => {
            Style::Strong.paint(text)
        }
        Some((head, end)) if text.starts_with("everything pending") => {
            format!("{}: {}", Style::Strong.paint(head), Style::Faint.paint(end))
        }
        _ => text.to_owned(),
    }
}

/// An entry of the log: its number, its time and its event's name, which come in columns.
pub(crate) fn log_line(line: &str) -> String {
    let (indent, text) = line.split_at(line.len() - line.trim_start_matches(' ').len());
    let mut words = text.splitn(4, ' ');
    let (Some(seq), Some(time), Some(name)) = (words.next(), words.next(), words.next()) else {
        return line.to_owned();
    };
    let style = match name {
        "patch_applied" | "apply_committed" => Some(Style::Good),
        "patch_discarded" | "patch_stale" | "apply_rolled_back" | "apply_in_doubt" => {
            Some(Style::Bad)
        }
        "patch_proposed" | "patch_reopened" | "patch_refreshed" => Some(Style::Care),
        _ => None,
    };
    let name = style.map_or_else(|| name.to_owned(), |style| style.paint(name));
    let head = Style::Faint.paint(&format!("{seq} {time}"));
    let rest = words.next().map(|rest| format!(" {rest}")).unwrap_or_default();
    format!("{indent}{head} {name}{rest}")
}

/// A line of the applies, or about what a command has done: its first words and its counts.
pub(crate) fn done_line(line: &str) -> String {
    match line.split_once(' ') {
        Some((word, rest)) if of_operation(word).is_some() => {
            let style = of_operation(word).unwrap_or(Style::Strong);
            format!("{} {}", style.paint(word), counts(rest))
        }
        _ => counts(line),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn shown(painted: &str) -> String {
        let names = [
            ("\x1b[1m", "<strong>"),
            ("\x1b[2m", "<faint>"),
            ("\x1b[36m", "<name>"),
            ("\x1b[32m", "<good>"),
            ("\x1b[31m", "<bad>"),
            ("\x1b[33m", "<care>"),
            (RESET, "</>"),
        ];
        names.iter().fold(painted.to_owned(), |text, (code, name)| text.replace(code, name))
    }

    #[rstest]
    #[case("workspace /w", "<faint>workspace /w</>")]
    #[case("s1 agent-1: 2 patches pending", "<strong>s1 agent-1: 2 patches pending</>")]
    #[case(
        "  p1 modify a (+9 -0) b (+1 -1)",
        "  <name>p1</> <care>modify</> a (+9 -0) b (<good>+1</> <bad>-1</>)"
    )]
    #[case(
        "  p2 create x.sh (+1 -0, mode 755)",
        "  <name>p2</> <good>create</> x.sh (<good>+1</> <bad>-0</>, mode 755)"
    )]
    #[case(
        "  stale: p3 delete a (+0 -4)",
        "  <bad>stale</>: <name>p3</> <bad>delete</> a (<good>+0</> <bad>-4</>)"
    )]
    #[case("risk: hidden (1): `.a`", "<care>risk: </>hidden (1): `.a`")]
    #[case(
        "everything pending, 2 patches: signature ab",
        "<strong>everything pending, 2 patches</>: <faint>signature ab</>"
    )]
    #[case("nothing is pending", "nothing is pending")]
    #[case("", "")]
    fn a_line_of_status(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(shown(&status_line(line)), expected);
    }

    #[rstest]
    #[case(
        "    7 2026-01-01T00:00:00.000Z patch_stale p1 s1 a.txt",
        "    <faint>7 2026-01-01T00:00:00.000Z</> <bad>patch_stale</> p1 s1 a.txt"
    )]
    #[case("    8 t session_closed s1", "    <faint>8 t</> session_closed s1")]
    #[case("odd", "odd")]
    fn an_entry_of_the_log(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(shown(&log_line(line)), expected);
    }

    #[rstest]
    #[case(
        "applied 2 files (+3 -1) as a1; `greenroom undo a1` takes it back",
        "<good>applied</> 2 files (<good>+3</> <bad>-1</>) as a1; `greenroom undo a1` takes it back"
    )]
    #[case("a1 2026 applied 1 file (+3 -1)", "a1 2026 applied 1 file (<good>+3</> <bad>-1</>)")]
    fn a_line_about_what_was_done(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(shown(&done_line(line)), expected);
    }

    proptest::proptest! {
        #[test]
        fn painting_adds_colours_and_changes_nothing_else(line in "[ -~]{0,3}(stale: |risk: |s1 )?[ -~äö]{0,40}") {
            for paint in [status_line, log_line, done_line, patch_line] {
                let painted = paint(&line);
                let plain = painted.split('\x1b').enumerate().map(|(at, part)| match at {
                    0 => part,
                    _ => part.split_once('m').map_or(part, |(_, behind)| behind),
                });
                proptest::prop_assert_eq!(plain.collect::<String>(), line.clone());
            }
        }
    }
}
