//! The indentation of lines that are added to a file whose indentation differs from the patch's.
//!
//! The lines that a hunk keeps and removes show how the patch and the file indent the same line. An
//! added line gets the indentation that the file has on lines with the same indentation in the patch;
//! if there are none, the one that every rule gives that agrees with all of those lines. If the rules
//! give different ones, it is unknown.

use std::borrow::Cow;
use std::collections::HashMap;

/// How the indentation of a patch maps to that of a file.
#[derive(Default)]
pub(crate) struct Indentation<'a> {
    /// The file's indentation for each of the patch's; `None` if there are several.
    known: HashMap<&'a [u8], Option<&'a [u8]>>,
    rules: Vec<Rule<'a>>,
}

#[derive(Clone, Copy)]
enum Rule<'a> {
    /// The file's indentation is this and then the patch's.
    Longer(&'a [u8]),
    /// The patch's indentation is this and then the file's.
    Shorter(&'a [u8]),
    /// Each level is one of these units in the patch and one of those in the file.
    Levels { patch: Unit, file: Unit },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Tab,
    Blanks(usize),
}

const UNITS: [Unit; 5] =
    [Unit::Tab, Unit::Blanks(2), Unit::Blanks(3), Unit::Blanks(4), Unit::Blanks(8)];

impl Unit {
    /// How many units an indentation has.
    fn levels(self, indent: &[u8]) -> Option<usize> {
        let (byte, width) = match self {
            Self::Tab => (b'\t', 1),
            Self::Blanks(width) => (b' ', width),
        };
        let is_whole = indent.iter().all(|b| *b == byte) && indent.len().is_multiple_of(width);
        is_whole.then_some(indent.len() / width)
    }

    fn write(self, levels: usize) -> Vec<u8> {
        match self {
            Self::Tab => vec![b'\t'; levels],
            Self::Blanks(width) => vec![b' '; levels * width],
        }
    }
}

impl Rule<'_> {
    /// The file's indentation for one of the patch's; `None` if the rule gives none.
    fn apply(self, indent: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Longer(head) => Some([head, indent].concat()),
            Self::Shorter(head) => indent.strip_prefix(head).map(<[u8]>::to_vec),
            Self::Levels { patch, file } => patch.levels(indent).map(|levels| file.write(levels)),
        }
    }
}

impl<'a> Indentation<'a> {
    /// Compares pairs of lines, each the patch's and the file's.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let is_blank = |line: &[u8]| indent(line).len() == line.trim_ascii_end().len();
        let pairs: Vec<(&[u8], &[u8])> = pairs
            .into_iter()
            .filter(|(patch, _)| !is_blank(patch))
            .map(|(patch, file)| (indent(patch), indent(file)))
            .collect();
        let mut known: HashMap<&[u8], Option<&[u8]>> = HashMap::new();
        for (patch, file) in &pairs {
            let entry = known.entry(patch).or_insert(Some(file));
            if *entry != Some(file) {
                *entry = None;
            }
        }
        let mut rules = Vec::new();
        let is_same = pairs.iter().all(|(patch, file)| patch == file);
        if let (Some((patch, file)), false) = (pairs.first(), is_same) {
            rules.extend(file.strip_suffix(*patch).map(Rule::Longer));
            rules.extend(patch.strip_suffix(*file).map(Rule::Shorter));
            let units = UNITS.into_iter().flat_map(|patch| UNITS.map(|file| (patch, file)));
            rules.extend(units.map(|(patch, file)| Rule::Levels { patch, file }));
            let agrees = |rule: &Rule<'_>, (patch, file): &(&[u8], &[u8])| {
                rule.apply(patch).is_some_and(|indent| indent == *file)
            };
            rules.retain(|rule| pairs.iter().all(|pair| agrees(rule, pair)));
        } else {
            rules.push(Rule::Longer(b""));
        }
        Self { known, rules }
    }

    /// An added line as the file indents it; `None` if that is unknown.
    pub(crate) fn indented<'l>(&self, line: &'l [u8]) -> Option<Cow<'l, [u8]>> {
        let old = indent(line);
        let rest = &line[old.len()..];
        if rest.trim_ascii().is_empty() {
            return Some(Cow::Borrowed(line));
        }
        let new = match self.known.get(old) {
            Some(known) => (*known)?.to_vec(),
            None => {
                let mut found = self.rules.iter().filter_map(|rule| rule.apply(old));
                let first = found.next()?;
                found.all(|other| other == first).then_some(first)?
            }
        };
        if new == old {
            return Some(Cow::Borrowed(line));
        }
        Some(Cow::Owned([&new, rest].concat()))
    }
}

/// The blanks at the beginning of a line, those of Unicode included.
fn indent(line: &[u8]) -> &[u8] {
    let mut rest = line;
    loop {
        rest = match rest {
            [b' ' | b'\t' | 0x0b | 0x0c, rest @ ..]
            | [0xc2, 0xa0, rest @ ..]
            | [0xe2, 0x80, 0x82..=0x8a | 0xaf, rest @ ..]
            | [0xe2, 0x81, 0x9f, rest @ ..]
            | [0xe3, 0x80, 0x80, rest @ ..] => rest,
            _ => return &line[..line.len() - rest.len()],
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// An added line under pairs of lines that the patch and the file have.
    fn indented(pairs: &[(&str, &str)], line: &str) -> Option<String> {
        let pairs = pairs.iter().map(|(patch, file)| (patch.as_bytes(), file.as_bytes()));
        let line = Indentation::of(pairs).indented(line.as_bytes())?.into_owned();
        Some(String::from_utf8(line).expect("it is text"))
    }

    #[rstest]
    #[case::as_a_line_beside_it(&[("        a", "\t\ta")], "        b", Some("\t\tb"))]
    #[case::a_level_deeper(&[("        a", "\t\ta")], "            b", Some("\t\t\tb"))]
    #[case::a_level_higher(&[("        a", "\t\ta")], "    b", Some("\tb"))]
    #[case::at_the_margin(&[("        a", "\t\ta")], "b", Some("b"))]
    #[case::between_levels(&[("        a", "\t\ta")], "      b", None)]
    #[case::tabs_for_blanks(&[("\ta", "    a")], "\t\tb", Some("        b"))]
    #[case::two_for_four(&[("a", "a"), ("  a", "    a")], "      b", Some("            b"))]
    #[case::four_for_two(&[("a", "a"), ("    a", "  a")], "        b", Some("    b"))]
    #[case::two_for_four_or_two_more(&[("  a", "    a")], "    b", None)]
    #[case::an_offset(&[("a", "    a"), ("    a", "        a")], "        b", Some("            b"))]
    #[case::an_offset_of_tabs(&[("a", "\ta"), ("\ta", "\t\ta")], "\t\tb", Some("\t\t\tb"))]
    #[case::an_offset_the_other_way(&[("    a", "a"), ("      a", "  a")], "        b", Some("    b"))]
    #[case::above_an_offset(&[("    a", "a"), ("      a", "  a")], "  b", None)]
    #[case::two_ways(&[("  a", "    a"), ("  a", "      a")], "  b", None)]
    #[case::two_ways_elsewhere(&[("  a", "    a"), ("  a", "      a"), ("a", "a")], "b", Some("b"))]
    #[case::nothing_differs(&[("  a", "  a")], "      b", Some("      b"))]
    #[case::nothing_is_shown(&[("", "  ")], "      b", Some("      b"))]
    #[case::a_blank_line_stays(&[("  a", "\ta")], "   ", Some("   "))]
    #[case::wide_blanks_are_blanks(&[("\u{a0}\u{a0}a", "  a")], "\u{a0}\u{a0}b", Some("  b"))]
    fn an_added_line_is_indented_as_the_lines_around_show(
        #[case] pairs: &[(&str, &str)],
        #[case] line: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(indented(pairs, line).as_deref(), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is known of levels, what comes of a line is at its own level in the file.
        #[test]
        fn levels_stay_levels(
            units in (0..UNITS.len(), 0..UNITS.len()),
            shown in prop::collection::vec(0..6usize, 1..6),
            level in 0..8usize,
        ) {
            let (patch, file) = (UNITS[units.0], UNITS[units.1]);
            prop_assume!(patch != file);
            let line = |unit: Unit, level: usize| [unit.write(level).as_slice(), b"x"].concat();
            let pairs: Vec<_> = shown.iter().map(|l| (line(patch, *l), line(file, *l))).collect();
            let pairs = pairs.iter().map(|(p, f)| (p.as_slice(), f.as_slice()));
            let added = line(patch, level);
            match Indentation::of(pairs).indented(&added) {
                Some(found) if shown.iter().any(|l| *l > 0) => {
                    prop_assert_eq!(found.into_owned(), line(file, level));
                }
                Some(_) => {}
                None => prop_assert!(!shown.contains(&level), "a line of its level is shown"),
            }
        }
    }
}
