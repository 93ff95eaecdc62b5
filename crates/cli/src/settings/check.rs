//! Checks what a configuration says. Every mistake is found, with its line and column, and what is
//! allowed there.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use staging_core::{
    ApproveRule, AskGlobs, AskRule, Digest, GlobMistake, Hosting, LabelGlobs, Operation, PathGlobs,
    RiskKind, TrustedLibrary,
};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration::parse_duration;
use super::keys::Allowed::{
    self, AbsolutePath, AbsolutePaths, ApproveRules, AskGlobList, AskRules, Globs, Hash,
    LabelGlobList, Libraries, Operations, PathGlobList, Risks, Strategy, Switch, Table, Text, Time,
    Whole,
};
use super::keys::{ALWAYS_ASK, APPROVE, KEYS, Key, LIBRARY, elsewhere, in_words};
use super::values::{BUNDLED, Settings};
use crate::globs::glob_mistake;
use crate::nearest::nearest;

/// A value that is quoted in a message has at most so many characters.
const QUOTED_CHARS_MAX: usize = 40;

/// Puts what a text says into the settings. Every mistake, in the order of the text, a line for each
/// that begins with its place; with one, the settings are of no use.
pub(super) fn mistakes(text: &str, settings: &mut Settings) -> Vec<String> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut found = Found { text, chosen: None, limited: Vec::new(), mistakes: Vec::new() };
    // What stands behind a mistake of the syntax may only follow from it.
    if let Some(error) = errors.first() {
        let span = error.span().unwrap_or(0..0);
        found.at(span, format!("this is no TOML: {}", error.message()));
    } else {
        found.table(document.get_ref(), KEYS, "", settings);
        found.strategy(settings);
        found.times_of_limits(settings);
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
    /// The place of the chosen strategy, which may be one of a library further on.
    chosen: Option<Range<usize>>,
    /// The places of the times within which the limits of each rule hold: the history, in which they are
    /// counted, may be further on.
    limited: Vec<Range<usize>>,
    mistakes: Vec<(usize, String)>,
}

impl Found<'_> {
    fn at(&mut self, span: Range<usize>, what: String) {
        let (line, column) = line_and_column(self.text, span.start);
        self.mistakes.push((span.start, format!("line {line}, column {column}: {what}")));
    }

    fn table<T>(&mut self, table: &DeTable<'_>, keys: &[Key<T>], prefix: &str, to: &mut T) {
        for (name, value) in table {
            let full = format!("{prefix}{}", name.get_ref());
            match keys.iter().find(|(key, _)| key == name.get_ref()) {
                Some((_, allowed)) => self.value(value, allowed, &full, to),
                None => self.unknown(name.span(), name.get_ref(), keys, prefix),
            }
        }
    }

    fn unknown<T>(&mut self, span: Range<usize>, name: &str, keys: &[Key<T>], prefix: &str) {
        let names = keys.iter().map(|(key, _)| *key);
        let meant = match elsewhere(name) {
            Some(full) => format!("did you mean `{full}`?"),
            None => meant(name, names, prefix),
        };
        self.at(span, format!("there is no key `{prefix}{name}`; {meant}"));
    }

    fn value<T>(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        allowed: &Allowed<T>,
        full: &str,
        to: &mut T,
    ) {
        let taken = match (allowed, value.get_ref()) {
            (Table(keys), DeValue::Table(table)) => {
                return self.table(table, keys, &format!("{full}."), to);
            }
            (Libraries(libraries), DeValue::Array(list)) => {
                for (number, each) in list.iter().enumerate() {
                    self.library(each, &format!("{full}[{}]", number + 1), libraries(to));
                }
                return;
            }
            (ApproveRules(rules), DeValue::Array(list)) => {
                let new = || ApproveRule::new("", PathGlobs::default());
                self.limited = list.iter().filter_map(place_of_time).collect();
                return self.rules(list, full, APPROVE, rules(to), new, |rule| &rule.name);
            }
            (AskRules(rules), DeValue::Array(list)) => {
                return self.rules(list, full, ALWAYS_ASK, rules(to), ask_rule, |rule| &rule.name);
            }
            (PathGlobList(set), DeValue::Array(list)) => texts(list).map(|globs| {
                let globs = PathGlobs::parse(globs);
                if let Some(globs) = self.globs(value, full, globs) {
                    set(to, globs);
                }
            }),
            (AskGlobList(set), DeValue::Array(list)) => texts(list).map(|globs| {
                let globs = AskGlobs::parse(globs);
                if let Some(globs) = self.globs(value, full, globs) {
                    set(to, globs);
                }
            }),
            (LabelGlobList(set), DeValue::Array(list)) => texts(list).map(|globs| {
                let globs = LabelGlobs::parse(globs);
                if let Some(globs) = self.globs(value, full, globs) {
                    set(to, globs);
                }
            }),
            (Operations(set), DeValue::Array(list)) => {
                let parse =
                    |texts: Vec<&str>| texts.into_iter().map(|text| text.parse().ok()).collect();
                let operations: Option<Vec<Operation>> = texts(list).and_then(parse);
                operations.map(|operations| set(to, operations))
            }
            (Risks(set), DeValue::Array(list)) => {
                let is_coverable = |kind: &RiskKind| ApproveRule::COVERABLE.contains(kind);
                let parse = |text: &str| text.parse().ok().filter(is_coverable);
                let risks: Option<Vec<RiskKind>> =
                    texts(list).and_then(|texts| texts.into_iter().map(parse).collect());
                risks.map(|risks| set(to, risks))
            }
            (Switch(set), DeValue::Boolean(is)) => Some(*is).map(|is| set(to, is)),
            (Whole(_, min, max, set), DeValue::Integer(number)) => {
                let digits = number.as_str().trim_start_matches('+');
                let number = u64::from_str_radix(digits, number.radix()).ok();
                number.filter(|number| (min..=max).contains(&number)).map(|number| set(to, number))
            }
            (Time(set), DeValue::String(text)) => parse_duration(text).map(|time| set(to, time)),
            (Strategy(set), DeValue::String(name)) => {
                self.chosen = Some(value.span());
                Some(name).map(|name| set(to, name))
            }
            (Text(set), DeValue::String(text)) => {
                Some(text).filter(|text| !text.is_empty()).map(|text| set(to, text))
            }
            (AbsolutePath(set), DeValue::String(path)) => {
                let path = Path::new(path.as_ref());
                path.is_absolute().then(|| set(to, path))
            }
            (AbsolutePaths(set), DeValue::Array(list)) => {
                let path = |each: &Spanned<DeValue<'_>>| match each.get_ref() {
                    DeValue::String(path) => Some(PathBuf::from(path.as_ref())),
                    _ => None,
                };
                let paths: Option<Vec<PathBuf>> =
                    list.iter().map(|each| path(each).filter(|path| path.is_absolute())).collect();
                paths.map(|paths| set(to, paths))
            }
            (Globs(set), DeValue::Array(list)) => {
                let glob = |each: &Spanned<DeValue<'_>>| match each.get_ref() {
                    DeValue::String(glob) => Some(glob.clone().into_owned()),
                    _ => None,
                };
                let is_glob = |glob: &String| glob_mistake(glob).is_none();
                let globs: Option<Vec<String>> =
                    list.iter().map(|each| glob(each).filter(is_glob)).collect();
                globs.map(|globs| set(to, globs))
            }
            (Hash(set), DeValue::String(text)) => text.parse().ok().map(|digest| set(to, digest)),
            _ => None,
        };
        if taken.is_none() {
            self.wrong(value, &in_words(allowed), full);
        }
    }

    /// Globs, or their mistake.
    fn globs<G>(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        full: &str,
        globs: Result<G, GlobMistake>,
    ) -> Option<G> {
        globs.map_err(|mistake| self.at(value.span(), format!("in `{full}`, {mistake}"))).ok()
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, expected: &str, full: &str) {
        let span = value.span();
        let there = quoted(&self.text[span.clone()]);
        self.at(span, format!("`{full}` is {there}; expected {expected}"));
    }

    /// A list of rules, each with a name of its own and with paths.
    fn rules<R>(
        &mut self,
        list: &[Spanned<DeValue<'_>>],
        full: &str,
        keys: &[Key<R>],
        rules: &mut Vec<R>,
        new: impl Fn() -> R,
        name: impl Fn(&R) -> &str,
    ) {
        for (number, value) in list.iter().enumerate() {
            let full = format!("{full}[{}]", number + 1);
            let DeValue::Table(table) = value.get_ref() else {
                self.wrong(value, "a table", &full);
                continue;
            };
            let mut rule = new();
            self.table(table, keys, &format!("{full}."), &mut rule);
            for (key, allowed) in keys.iter().filter(|(key, _)| ["name", "paths"].contains(key)) {
                if !table.contains_key(*key) {
                    let expected = in_words(allowed);
                    self.at(value.span(), format!("`{full}` lacks `{key}`: {expected}"));
                }
            }
            if let Some(span) = table.get("name").map(Spanned::span)
                && rules.iter().any(|known| name(known) == name(&rule))
            {
                let there = quoted(name(&rule));
                self.at(span, format!("`{full}.name` is {there}, as another rule is named"));
            }
            rules.push(rule);
        }
    }

    /// One entry of the list of libraries.
    fn library(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        full: &str,
        libraries: &mut Vec<TrustedLibrary>,
    ) {
        let DeValue::Table(table) = value.get_ref() else {
            return self.wrong(value, "a table", full);
        };
        let (blake3, hosting) = (Digest::of(b""), Hosting::Child);
        let mut library =
            TrustedLibrary { name: String::new(), path: PathBuf::new(), blake3, hosting };
        self.table(table, LIBRARY, &format!("{full}."), &mut library);
        for (name, allowed) in LIBRARY {
            let is_required = matches!(allowed, Text(_) | AbsolutePath(_) | Hash(_));
            if is_required && !table.contains_key(*name) {
                let expected = in_words(allowed);
                self.at(value.span(), format!("`{full}` lacks `{name}`: {expected}"));
            }
        }
        if let Some(name) = table.get("name")
            && strategies(libraries).any(|known| known == library.name)
        {
            let there = quoted(&library.name);
            let what = format!("`{full}.name` is {there}, as another strategy is named");
            self.at(name.span(), what);
        }
        libraries.push(library);
    }

    /// The limits of a rule are counted in the history.
    fn times_of_limits(&mut self, settings: &Settings) {
        let keep_for = settings.options.history_keep_for;
        for (rule, span) in settings.policy.approve.iter().zip(std::mem::take(&mut self.limited)) {
            let limits = [rule.files_max, rule.lines_max, rule.bytes_max];
            if rule.within > keep_for && limits.iter().any(Option::is_some) {
                let what = format!(
                    "the rule `{}` has limits `within` a longer time than `history.keep_for`, and \
                     what it has approved is counted in the history",
                    rule.name
                );
                self.at(span, what);
            }
        }
    }

    /// The chosen strategy has to be one.
    fn strategy(&mut self, settings: &Settings) {
        let Some(span) = self.chosen.clone() else { return };
        let name = &settings.options.diff.strategy;
        let known = || strategies(&settings.options.strategies);
        if !known().any(|known| known == name) {
            let there = quoted(&self.text[span.clone()]);
            let meant = meant(name, known(), "");
            let what = format!("`diff.strategy` is {there}, which is no strategy; {meant}");
            self.at(span, what);
        }
    }
}

/// The place of a rule's `within`, or of the rule.
fn place_of_time(rule: &Spanned<DeValue<'_>>) -> Option<Range<usize>> {
    let DeValue::Table(table) = rule.get_ref() else { return None };
    Some(table.get("within").map_or_else(|| rule.span(), Spanned::span))
}

/// The texts of a list of texts that is not empty.
fn texts<'v>(list: &'v [Spanned<DeValue<'_>>]) -> Option<Vec<&'v str>> {
    let text = |each: &'v Spanned<DeValue<'_>>| match each.get_ref() {
        DeValue::String(text) => Some(text.as_ref()),
        _ => None,
    };
    list.iter().map(text).collect::<Option<Vec<&str>>>().filter(|texts| !texts.is_empty())
}

fn ask_rule() -> AskRule {
    let (paths, sessions) = (AskGlobs::default(), LabelGlobs::default());
    AskRule { name: String::new(), paths, sessions, operations: Vec::new() }
}

/// The names of all strategies; a library whose name is wrong has none.
fn strategies(libraries: &[TrustedLibrary]) -> impl Iterator<Item = &str> + Clone {
    let names = BUNDLED.into_iter().chain(libraries.iter().map(|library| library.name.as_str()));
    names.filter(|name| !name.is_empty())
}

/// What an unknown name may mean, or which ones are known.
fn meant<'n>(name: &str, known: impl Iterator<Item = &'n str> + Clone, prefix: &str) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{prefix}{near}`?"),
        None => {
            let all: Vec<String> = known.map(|name| format!("`{name}`")).collect();
            format!("known are {}", all.join(", "))
        }
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
mod tests;
