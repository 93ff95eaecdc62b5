//! Finds every mistake in the configuration, with its line and column, and what is allowed there.

use std::ops::Range;
use std::path::Path;
use std::string::FromUtf8Error;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration::parse_duration;
use crate::nearest::nearest;

/// The strategies that need no library.
pub(crate) const BUNDLED: [&str; 4] = ["histogram", "myers", "patience", "full-replace"];

/// A value that is quoted in a message has at most so many characters.
const QUOTED_CHARS_MAX: usize = 40;

/// What a key may hold.
#[derive(Clone, Copy)]
enum Allowed {
    /// `true` or `false`.
    Switch,
    /// A whole number with its unit, minimum and maximum.
    Whole(&'static str, u64, u64),
    /// A number and a unit of time.
    Time,
    /// The name of a strategy, bundled or among `strategies`.
    Strategy,
    /// Any text.
    Text,
    /// An absolute path.
    AbsolutePath,
    /// A BLAKE3 digest.
    Digest,
    /// A table with these keys.
    Table(&'static [Key]),
    /// A list of tables that each have these keys.
    Tables(&'static [Key]),
}

struct Key {
    name: &'static str,
    allowed: Allowed,
    /// Whether it has to be there.
    is_required: bool,
}

const fn key(name: &'static str, allowed: Allowed) -> Key {
    Key { name, allowed, is_required: false }
}

const fn required(name: &'static str, allowed: Allowed) -> Key {
    Key { name, allowed, is_required: true }
}

const BYTES: Allowed = Allowed::Whole("bytes", 0, i64::MAX as u64);

const KEYS: &[Key] = &[
    key("durable_proposals", Allowed::Switch),
    key("allow_yes_under_agents", Allowed::Switch),
    key("allow_git", Allowed::Switch),
    key("allow_hard_links", Allowed::Switch),
    key("allow_other_mounts", Allowed::Switch),
    key("allow_move_aside", Allowed::Switch),
    key("strategies", Allowed::Tables(LIBRARY)),
    key(
        "diff",
        Allowed::Table(&[key("strategy", Allowed::Strategy), key("size_max_bytes", BYTES)]),
    ),
    key(
        "plugins",
        Allowed::Table(&[
            key("deadline_ms", Allowed::Whole("milliseconds", 1, i64::MAX as u64)),
            key("memory_max_bytes", Allowed::Whole("bytes", 1, i64::MAX as u64)),
        ]),
    ),
    key("session", Allowed::Table(&[key("expires_after", Allowed::Time)])),
    key("history", Allowed::Table(&[key("keep_for", Allowed::Time)])),
    key(
        "limits",
        Allowed::Table(&[
            key("session_bytes_max", BYTES),
            key("session_patches_max", Allowed::Whole("patches", 0, u32::MAX as u64)),
            key("stored_bytes_max", BYTES),
        ]),
    ),
    key(
        "mcp",
        Allowed::Table(&[
            key("approve_by_elicitation", Allowed::Switch),
            key("elicitation_wait", Allowed::Time),
        ]),
    ),
];

const LIBRARY: &[Key] = &[
    required("name", Allowed::Text),
    required("path", Allowed::AbsolutePath),
    required("blake3", Allowed::Digest),
    key("in_process", Allowed::Switch),
];

/// Every mistake in a text, in its order, a line for each that begins with its place.
pub(super) fn mistakes(text: &str) -> Vec<String> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut found = Found { text, libraries: Vec::new(), mistakes: Vec::new() };
    // What stands behind a mistake of the syntax may only follow from it.
    if let Some(error) = errors.first() {
        let span = error.span().unwrap_or(0..0);
        found.at(span, format!("this is no TOML: {}", error.message()));
    } else {
        let table = document.get_ref();
        found.libraries = names_of_libraries(table);
        found.table(table, KEYS, "");
        found.same_names(table);
    }
    found.mistakes.sort_by_key(|(at, _)| *at);
    found.mistakes.into_iter().map(|(_, mistake)| mistake).collect()
}

/// The mistake of a file that is not UTF-8, with its place.
pub(super) fn no_utf8(error: &FromUtf8Error) -> String {
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let valid = String::from_utf8_lossy(valid);
    let (line, column) = line_and_column(&valid, valid.len());
    format!("line {line}, column {column}: this is not UTF-8")
}

struct Found<'t> {
    text: &'t str,
    /// The names of the strategies that come from libraries.
    libraries: Vec<String>,
    mistakes: Vec<(usize, String)>,
}

impl Found<'_> {
    fn at(&mut self, span: Range<usize>, what: String) {
        let (line, column) = line_and_column(self.text, span.start);
        self.mistakes.push((span.start, format!("line {line}, column {column}: {what}")));
    }

    fn table(&mut self, table: &DeTable<'_>, keys: &'static [Key], prefix: &str) {
        for (name, value) in table {
            let full = format!("{prefix}{}", name.get_ref());
            match keys.iter().find(|key| key.name == name.get_ref().as_ref()) {
                Some(key) => self.value(value, key.allowed, &full),
                None => self.unknown(name.span(), name.get_ref(), keys, prefix),
            }
        }
    }

    fn unknown(&mut self, span: Range<usize>, name: &str, keys: &[Key], prefix: &str) {
        let names = || keys.iter().map(|key| key.name);
        let meant = match (elsewhere(name), nearest(name, names())) {
            (Some(full), _) => format!("did you mean `{full}`?"),
            (None, Some(near)) => format!("did you mean `{prefix}{near}`?"),
            (None, None) => {
                let all: Vec<String> = names().map(|name| format!("`{name}`")).collect();
                format!("known are {}", all.join(", "))
            }
        };
        self.at(span, format!("there is no key `{prefix}{name}`; {meant}"));
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, allowed: Allowed, full: &str) {
        let is_right = match (allowed, value.get_ref()) {
            (Allowed::Table(keys), DeValue::Table(table)) => {
                return self.table(table, keys, &format!("{full}."));
            }
            (Allowed::Tables(keys), DeValue::Array(list)) => {
                for (number, each) in list.iter().enumerate() {
                    let full = format!("{full}[{}]", number + 1);
                    match each.get_ref() {
                        DeValue::Table(table) => self.entry(each.span(), table, keys, &full),
                        _ => self.wrong(each, "a table", &full),
                    }
                }
                return;
            }
            (Allowed::Switch, DeValue::Boolean(_)) => true,
            (Allowed::Whole(_, min, max), DeValue::Integer(number)) => {
                let digits = number.as_str();
                u64::from_str_radix(digits.trim_start_matches('+'), number.radix())
                    .is_ok_and(|number| (min..=max).contains(&number))
            }
            (Allowed::Time, DeValue::String(text)) => parse_duration(text).is_some(),
            (Allowed::Strategy, DeValue::String(name)) => {
                return self.strategy(value.span(), name, full);
            }
            (Allowed::Text, DeValue::String(text)) => !text.is_empty(),
            (Allowed::AbsolutePath, DeValue::String(path)) => {
                Path::new(path.as_ref()).is_absolute()
            }
            (Allowed::Digest, DeValue::String(text)) => {
                text.parse::<staging_core::Digest>().is_ok()
            }
            _ => false,
        };
        if !is_right {
            self.wrong(value, &in_words(allowed), full);
        }
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, expected: &str, full: &str) {
        let span = value.span();
        let there = quoted(&self.text[span.clone()]);
        self.at(span, format!("`{full}` is {there}; expected {expected}"));
    }

    /// One entry of a list of tables.
    fn entry(&mut self, span: Range<usize>, table: &DeTable<'_>, keys: &'static [Key], full: &str) {
        self.table(table, keys, &format!("{full}."));
        for key in keys.iter().filter(|key| key.is_required) {
            if !table.keys().any(|name| name.get_ref() == key.name) {
                let expected = in_words(key.allowed);
                self.at(span.clone(), format!("`{full}` lacks `{}`: {expected}", key.name));
            }
        }
    }

    fn strategy(&mut self, span: Range<usize>, name: &str, full: &str) {
        let known: Vec<&str> =
            BUNDLED.into_iter().chain(self.libraries.iter().map(String::as_str)).collect();
        if known.contains(&name) {
            return;
        }
        let meant = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let all: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                format!("known are {}", all.join(", "))
            }
        };
        let there = quoted(&self.text[span.clone()]);
        self.at(span, format!("`{full}` is {there}, which is no strategy; {meant}"));
    }

    /// Two strategies cannot have the same name.
    fn same_names(&mut self, table: &DeTable<'_>) {
        let mut seen: Vec<String> = BUNDLED.map(str::to_owned).into();
        for (number, entry) in libraries(table).enumerate() {
            let Some(name) = field(entry, "name") else { continue };
            let Some(text) = name.get_ref().as_str() else { continue };
            if seen.iter().any(|seen| seen == text) {
                let there = quoted(text);
                let full = format!("strategies[{}].name", number + 1);
                self.at(name.span(), format!("`{full}` is {there}, as another strategy is named"));
            }
            seen.push(text.to_owned());
        }
    }
}

fn libraries<'d, 'i>(table: &'d DeTable<'i>) -> impl Iterator<Item = &'d DeTable<'i>> {
    let list = field(table, "strategies").and_then(|value| value.get_ref().as_array());
    list.into_iter().flat_map(|list| list.iter()).filter_map(|entry| entry.get_ref().as_table())
}

fn names_of_libraries(table: &DeTable<'_>) -> Vec<String> {
    let name = |entry| Some(field(entry, "name")?.get_ref().as_str()?.to_owned());
    libraries(table).filter_map(name).collect()
}

fn field<'d, 'i>(table: &'d DeTable<'i>, name: &str) -> Option<&'d Spanned<DeValue<'i>>> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
}

/// Where a key belongs that stands in a wrong table.
fn elsewhere(name: &str) -> Option<String> {
    KEYS.iter().find_map(|key| match key.allowed {
        Allowed::Table(keys) if keys.iter().any(|inner| inner.name == name) => {
            Some(format!("{}.{name}", key.name))
        }
        _ if key.name == name => Some(name.to_owned()),
        _ => None,
    })
}

fn in_words(allowed: Allowed) -> String {
    match allowed {
        Allowed::Switch => "true or false".to_owned(),
        Allowed::Whole(unit, min, max) if max < i64::MAX as u64 => {
            format!("a whole number of {unit}, from {min} to {max}")
        }
        Allowed::Whole(unit, min, _) => format!("a whole number of {unit}, {min} or more"),
        Allowed::Time => {
            "text with a whole number above 0 and s, m, h or d, like \"24h\"".to_owned()
        }
        Allowed::Strategy => "the name of a strategy, like \"histogram\"".to_owned(),
        Allowed::Text => "text".to_owned(),
        Allowed::AbsolutePath => "an absolute path".to_owned(),
        Allowed::Digest => "the 64 hex digits of the library's BLAKE3 digest".to_owned(),
        Allowed::Table(_) => "a table".to_owned(),
        Allowed::Tables(_) => "a list of tables".to_owned(),
    }
}

/// What stands in the file, short enough for a message.
fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{}`", shown.replace('\n', " "))
}

/// The line and the column, in characters, both from 1.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    (1 + before.matches('\n').count(), 1 + before[line..].chars().count())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::unknown(
        "colour = true",
        "line 1, column 1: there is no key `colour`; known are `durable"
    )]
    #[case::misspelt("allow-git = true", "there is no key `allow-git`; did you mean `allow_git`?")]
    #[case::in_a_table(
        "\n[diff]\nsize = 1",
        "line 3, column 1: there is no key `diff.size`; did you mean `diff.size_max_bytes`?"
    )]
    #[case::in_the_wrong_table("keep_for = \"1d\"", "did you mean `history.keep_for`?")]
    #[case::dotted(
        "diff.strateyg = \"myers\"",
        "line 1, column 6: there is no key `diff.strateyg`"
    )]
    #[case::no_switch(
        "allow_git = 1",
        "line 1, column 13: `allow_git` is `1`; expected true or false"
    )]
    #[case::text_for_a_switch(
        "allow_git = \"yes\"",
        "`allow_git` is `\"yes\"`; expected true or false"
    )]
    #[case::no_time(
        "[session]\n  expires_after = \"soon\"",
        "line 2, column 19: `session.expires_after` is `\"soon\"`; expected text with"
    )]
    #[case::no_unit(
        "[session]\nexpires_after = 24",
        "`session.expires_after` is `24`; expected text with"
    )]
    #[case::unknown_unit("[history]\nkeep_for = \"2w\"", "is `\"2w\"`; expected text with")]
    #[case::no_time_at_all("[history]\nkeep_for = \"0s\"", "is `\"0s\"`; expected text with")]
    #[case::a_unit_for_bytes(
        "[limits]\nstored_bytes_max = \"1GB\"",
        "expected a whole number of bytes, 0 or more"
    )]
    #[case::negative(
        "[diff]\nsize_max_bytes = -1",
        "`diff.size_max_bytes` is `-1`; expected a whole"
    )]
    #[case::a_fraction("[diff]\nsize_max_bytes = 1.5", "is `1.5`; expected a whole")]
    #[case::too_many("[limits]\nsession_patches_max = 5_000_000_000", "from 0 to 4294967295")]
    #[case::no_deadline("[plugins]\ndeadline_ms = 0", "a whole number of milliseconds, 1 or more")]
    #[case::no_table("diff = \"myers\"", "`diff` is `\"myers\"`; expected a table")]
    #[case::a_list_of_tables("[[diff]]\nstrategy = \"myers\"", "`diff` is")]
    #[case::no_strategy(
        "[diff]\nstrategy = \"patiance\"",
        "line 2, column 12: `diff.strategy` is `\"patiance\"`, which is no strategy; did you mean `patience`?"
    )]
    #[case::no_list("strategies = 1", "`strategies` is `1`; expected a list of tables")]
    #[case::no_entry(
        "strategies = [1]",
        "line 1, column 15: `strategies[1]` is `1`; expected a table"
    )]
    #[case::lacking(
        "strategies = [{ path = \"/x.so\" }]",
        "`strategies[1]` lacks `blake3`: the 64 hex digits"
    )]
    #[case::relative(
        "strategies = [{ path = \"x.so\" }]",
        "line 1, column 24: `strategies[1].path` is `\"x.so\"`; expected an absolute path"
    )]
    #[case::no_digest(
        "[[strategies]]\nblake3 = \"12\"",
        "line 2, column 10: `strategies[1].blake3` is `\"12\"`; expected the 64 hex digits"
    )]
    #[case::a_bundled_name(
        "[[strategies]]\nname = \"myers\"",
        "`strategies[1].name` is `myers`, as another strategy is named"
    )]
    #[case::a_name_twice(
        "[[strategies]]\nname = \"x\"\n[[strategies]]\nname = \"x\"",
        "line 4, column 8: `strategies[2].name` is `x`"
    )]
    #[case::no_toml("allow_git = true\n[diff", "line 2, column ")]
    #[case::no_value("allow_git =\n", "line 1, column ")]
    #[case::twice(
        "allow_git = true\nallow_git = true",
        "line 2, column 1: this is no TOML: duplicate key"
    )]
    #[case::behind_letters_of_several_bytes(
        "[diff]\nstrategy = \"ä\" # ä\n\"ä\" = 1",
        "line 3, column 1: there is no key `diff.ä`"
    )]
    fn a_mistake_is_named_with_its_place_and_what_is_allowed(
        #[case] text: &str,
        #[case] expected: &str,
    ) {
        let found = mistakes(text);
        assert!(found.iter().any(|mistake| mistake.contains(expected)), "{found:#?}");
    }

    #[test]
    fn every_mistake_is_named_in_the_order_of_the_file() {
        let found = mistakes("[diff]\nstrategy = 1\nsize = 2\n[session]\nexpires_after = true\n");
        let lines: Vec<&str> =
            found.iter().filter_map(|mistake| mistake.split(',').next()).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 5"], "{found:#?}");
    }

    #[test]
    fn a_number_may_be_written_in_every_way_of_toml() {
        for number in ["1_048_576", "0x100000", "+1048576", "0b1", "0o7"] {
            assert_eq!(mistakes(&format!("[diff]\nsize_max_bytes = {number}\n")), [""; 0]);
        }
    }
}
