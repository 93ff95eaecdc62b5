//! The keys of the configuration: what each may hold, and where its value goes. Every mistake is
//! found, with its line and column, and what is allowed there.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::time::Duration;

use staging_core::{
    ApprovalRules, ApproveRule, AskGlobs, AskRule, Digest, GlobMistake, Hosting, LabelGlobs,
    Operation, PathGlobs, RiskKind, StagingOptions, TrustedLibrary,
};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::Allowed::{
    AbsolutePath, AbsolutePaths, ApproveRules, AskGlobList, AskRules, Globs, Hash, LabelGlobList,
    Libraries, Operations, PathGlobList, Risks, Strategy, Switch, Table, Text, Time, Whole,
};
use super::duration::parse_duration;
use crate::globs::glob_mistake;
use crate::nearest::nearest;
use crate::paging::Readers;

/// The strategies that need no library.
pub(crate) const BUNDLED: [&str; 4] = ["histogram", "myers", "patience", "full-replace"];

/// A value that is quoted in a message has at most so many characters.
const QUOTED_CHARS_MAX: usize = 40;

/// What the user decides. What the file does not say keeps its default.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The options of the layer.
    pub(crate) options: StagingOptions,
    /// Whether a command that does not ask may change files in an agent's environment.
    pub(crate) allows_yes_under_agents: bool,
    /// The programs in which output and diffs are read.
    pub(crate) readers: Readers,
    /// Whether commands are confined that do not say otherwise.
    pub(crate) confines: bool,
    /// What stays writable when a command is confined, beside the usual places.
    pub(crate) confine_write: Vec<PathBuf>,
    /// Which ignored files that commands write are proposed.
    pub(crate) propose_ignored: Vec<String>,
    /// Which sets a long-lived process with `--apply-policy` applies without asking.
    pub(crate) policy: ApprovalRules,
    /// How much the commands of a session may write, what is not proposed included.
    pub(crate) layer_bytes_max: Option<u64>,
    /// Whether agents may run commands by a tool of the MCP server.
    pub(crate) offers_run_command: bool,
    /// The reviewer's editor, as a command.
    pub(crate) editor: Option<String>,
    approves_by_elicitation: bool,
    elicitation_wait: Duration,
}

impl Settings {
    /// The defaults, with these of the layer.
    pub(crate) fn new(options: StagingOptions) -> Self {
        Self {
            options,
            allows_yes_under_agents: false,
            readers: Readers::default(),
            confines: false,
            confine_write: Vec::new(),
            propose_ignored: Vec::new(),
            policy: ApprovalRules::default(),
            layer_bytes_max: None,
            offers_run_command: false,
            editor: None,
            approves_by_elicitation: false,
            elicitation_wait: Duration::from_secs(5 * 60),
        }
    }

    /// How long a question to the client's user stays open; none unless the user turned such
    /// questions on.
    pub(crate) fn elicitation_wait(&self) -> Option<Duration> {
        self.approves_by_elicitation.then_some(self.elicitation_wait)
    }
}

/// What a key may hold, and what takes its value.
enum Allowed<T: 'static> {
    /// `true` or `false`.
    Switch(fn(&mut T, bool)),
    /// A whole number with its unit, minimum and maximum.
    Whole(&'static str, u64, u64, fn(&mut T, u64)),
    /// A number and a unit of time.
    Time(fn(&mut T, Duration)),
    /// The name of a strategy, bundled or among `strategies`.
    Strategy(fn(&mut T, &str)),
    /// Any text. Like the next two kinds, it cannot be left out.
    Text(fn(&mut T, &str)),
    /// An absolute path.
    AbsolutePath(fn(&mut T, &Path)),
    /// A list of absolute paths.
    AbsolutePaths(fn(&mut T, Vec<PathBuf>)),
    /// A list of globs as in a `.gitignore`.
    Globs(fn(&mut T, Vec<String>)),
    /// A BLAKE3 digest.
    Hash(fn(&mut T, Digest)),
    /// A table with these keys.
    Table(&'static [Key<T>]),
    /// A list of tables, one for each library.
    Libraries(fn(&mut T) -> &mut Vec<TrustedLibrary>),
    /// A list of globs of paths in the workspace.
    PathGlobList(fn(&mut T, PathGlobs)),
    /// A list of globs of labels.
    LabelGlobList(fn(&mut T, LabelGlobs)),
    /// A list of globs of paths that a person is asked about.
    AskGlobList(fn(&mut T, AskGlobs)),
    /// A list of operations.
    Operations(fn(&mut T, Vec<Operation>)),
    /// A list of kinds of risk that a rule may cover.
    Risks(fn(&mut T, Vec<RiskKind>)),
    /// A list of tables, one for each rule that approves.
    ApproveRules(fn(&mut T) -> &mut Vec<ApproveRule>),
    /// A list of tables, one for each rule that keeps a set for a person.
    AskRules(fn(&mut T) -> &mut Vec<AskRule>),
}

type Key<T> = (&'static str, Allowed<T>);

const MAX: u64 = i64::MAX as u64;

const KEYS: &[Key<Settings>] = &[
    ("durable_proposals", Switch(|to, is| to.options.durable_proposals = is)),
    ("allow_yes_under_agents", Switch(|to, is| to.allows_yes_under_agents = is)),
    ("editor", Text(|to, editor| to.editor = Some(editor.to_owned()))),
    ("allow_git", Switch(|to, is| to.options.allow_git = is)),
    ("allow_hard_links", Switch(|to, is| to.options.allow_hard_links = is)),
    ("allow_other_mounts", Switch(|to, is| to.options.allow_other_mounts = is)),
    ("allow_move_aside", Switch(|to, is| to.options.allow_move_aside = is)),
    ("pager", Text(|to, command| to.readers.pager = Some(command.to_owned()))),
    ("strategies", Libraries(|to| &mut to.options.strategies)),
    ("diff", Table(DIFF)),
    ("plugins", Table(PLUGINS)),
    (
        "session",
        Table(&[("expires_after", Time(|to, time| to.options.session_expires_after = time))]),
    ),
    ("history", Table(&[("keep_for", Time(|to, time| to.options.history_keep_for = time))])),
    ("limits", Table(LIMITS)),
    ("mcp", Table(MCP)),
    ("run", Table(RUN)),
    ("policy", Table(POLICY)),
];

const DIFF: &[Key<Settings>] = &[
    ("command", Text(|to, command| to.readers.diff = Some(command.to_owned()))),
    ("strategy", Strategy(|to, name| to.options.diff.strategy = name.to_owned())),
    ("size_max_bytes", Whole("bytes", 0, MAX, |to, bytes| to.options.diff.size_max_bytes = bytes)),
];

const PLUGINS: &[Key<Settings>] = &[
    (
        "deadline_ms",
        Whole("milliseconds", 1, MAX, |to, ms| {
            to.options.diff.deadline = Duration::from_millis(ms)
        }),
    ),
    (
        "memory_max_bytes",
        Whole("bytes", 1, MAX, |to, bytes| to.options.plugin_limits.memory_bytes_max = bytes),
    ),
];

const LIMITS: &[Key<Settings>] = &[
    ("session_bytes_max", Whole("bytes", 0, MAX, |to, bytes| to.options.session_bytes_max = bytes)),
    (
        "session_patches_max",
        Whole("patches", 0, u32::MAX as u64, |to, patches| {
            to.options.session_patches_max = patches as u32
        }),
    ),
    ("layer_bytes_max", Whole("bytes", 1, MAX, |to, bytes| to.layer_bytes_max = Some(bytes))),
    ("stored_bytes_max", Whole("bytes", 0, MAX, |to, bytes| to.options.stored_bytes_max = bytes)),
];

/// What only the user decides about agents that speak the Model Context Protocol. None of it is an
/// option of the command, whose command line may stand in a file of the workspace.
const MCP: &[Key<Settings>] = &[
    ("approve_by_elicitation", Switch(|to, is| to.approves_by_elicitation = is)),
    ("elicitation_wait", Time(|to, time| to.elicitation_wait = time)),
    ("run_command", Switch(|to, is| to.offers_run_command = is)),
];

/// What commands in a view may change outside of the workspace, and what of theirs is proposed.
const RUN: &[Key<Settings>] = &[
    ("confine", Switch(|to, is| to.confines = is)),
    ("confine_write", AbsolutePaths(|to, paths| to.confine_write = paths)),
    ("propose_ignored", Globs(|to, globs| to.propose_ignored = globs)),
];

/// Which sets `watch --apply-policy` applies.
const POLICY: &[Key<Settings>] = &[
    ("quiet_for", Time(|to, time| to.policy.quiet_for = time)),
    ("approve", ApproveRules(|to| &mut to.policy.approve)),
    ("always_ask", AskRules(|to| &mut to.policy.always_ask)),
];

const APPROVE: &[Key<ApproveRule>] = &[
    ("name", Text(|to, name| to.name = name.to_owned())),
    ("paths", PathGlobList(|to, globs| to.paths = globs)),
    ("sessions", LabelGlobList(|to, globs| to.sessions = globs)),
    ("operations", Operations(|to, operations| to.operations = operations)),
    ("risks", Risks(|to, risks| to.risks = risks)),
    ("max_files", Whole("files", 1, MAX, |to, files| to.files_max = Some(files))),
    ("max_lines", Whole("lines", 0, MAX, |to, lines| to.lines_max = Some(lines))),
    ("max_bytes", Whole("bytes", 0, MAX, |to, bytes| to.bytes_max = Some(bytes))),
    ("within", Time(|to, time| to.within = time)),
];

const ALWAYS_ASK: &[Key<AskRule>] = &[
    ("name", Text(|to, name| to.name = name.to_owned())),
    ("paths", AskGlobList(|to, globs| to.paths = globs)),
    ("sessions", LabelGlobList(|to, globs| to.sessions = globs)),
    ("operations", Operations(|to, operations| to.operations = operations)),
];

const LIBRARY: &[Key<TrustedLibrary>] = &[
    ("name", Text(|to, name| to.name = name.to_owned())),
    ("path", AbsolutePath(|to, path| to.path = path.to_owned())),
    ("blake3", Hash(|to, blake3| to.blake3 = blake3)),
    // A crash of the library is then a crash of the command.
    (
        "in_process",
        Switch(|to, is| to.hosting = if is { Hosting::InProcess } else { Hosting::Child }),
    ),
];

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

/// Where a key belongs that stands in a wrong table.
fn elsewhere(name: &str) -> Option<String> {
    KEYS.iter().find_map(|(key, allowed)| match allowed {
        Table(keys) if keys.iter().any(|(inner, _)| *inner == name) => {
            Some(format!("{key}.{name}"))
        }
        _ if *key == name => Some(name.to_owned()),
        _ => None,
    })
}

fn in_words<T>(allowed: &Allowed<T>) -> String {
    match allowed {
        Switch(_) => "true or false".to_owned(),
        Whole(unit, min, max, _) if *max < MAX => {
            format!("a whole number of {unit}, from {min} to {max}")
        }
        Whole(unit, min, ..) => format!("a whole number of {unit}, {min} or more"),
        Time(_) => "text with a whole number above 0 and s, m, h or d, like \"24h\"".to_owned(),
        Strategy(_) => "the name of a strategy, like \"histogram\"".to_owned(),
        Text(_) => "text".to_owned(),
        AbsolutePath(_) => "an absolute path".to_owned(),
        AbsolutePaths(_) => "a list of absolute paths".to_owned(),
        Globs(_) => "a list of globs, as in a .gitignore".to_owned(),
        Hash(_) => "the 64 hex digits of the library's BLAKE3 digest".to_owned(),
        Table(_) => "a table".to_owned(),
        Libraries(_) | ApproveRules(_) | AskRules(_) => "a list of tables".to_owned(),
        PathGlobList(_) | AskGlobList(_) => {
            "a list of globs of paths below the workspace, like [\"docs/**\"]".to_owned()
        }
        LabelGlobList(_) => "a list of globs of labels, like [\"agent:*\"]".to_owned(),
        Risks(_) => {
            let kinds = ApproveRule::COVERABLE.map(|kind| format!("\"{kind}\""));
            format!("a list of {}", kinds.join(", "))
        }
        Operations(_) => {
            "a list of \"create\", \"modify\", \"delete\", \"rename\" or \"mode\"".to_owned()
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
mod tests {
    use rstest::rstest;

    use super::*;

    fn found_in(text: &str) -> Vec<String> {
        mistakes(text, &mut Settings::new(StagingOptions::new("/w", "/s")))
    }

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
    #[case::relative_in_a_list(
        "[run]\nconfine_write = [\"/a\", \"b\"]",
        "line 2, column 17: `run.confine_write` is `[\"/a\", \"b\"]`; expected a list of absolute paths"
    )]
    #[case::no_list_of_paths(
        "run.confine_write = \"/a\"",
        "`run.confine_write` is `\"/a\"`; expected a list of absolute paths"
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
    #[case::a_rule_without_paths(
        "[[policy.approve]]\nname = \"docs\"",
        "`policy.approve[1]` lacks `paths`: a list of globs"
    )]
    #[case::a_rule_without_a_name(
        "[[policy.always_ask]]\npaths = [\"a\"]",
        "`policy.always_ask[1]` lacks `name`: text"
    )]
    #[case::no_glob(
        "[[policy.approve]]\nname = \"x\"\npaths = [\"/etc/**\"]",
        "line 3, column 9: in `policy.approve[1].paths`, `/etc/**` cannot be used as a glob: paths begin"
    )]
    #[case::no_glob_of_what_is_kept(
        "[[policy.always_ask]]\nname = \"x\"\npaths = [\"docs\", \"./x\"]",
        "line 3, column 9: in `policy.always_ask[1].paths`, `./x` cannot be used as a glob: a path has no"
    )]
    #[case::no_glob_of_labels(
        "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\nsessions = [\"[\"]",
        "line 4, column 12: in `policy.approve[1].sessions`, `[` cannot be used as a glob: unclosed"
    )]
    #[case::limits_over_more_than_the_history(
        "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\nmax_files = 1\nwithin = \"8d\"",
        "line 5, column 10: the rule `x` has limits `within` a longer time than `history.keep_for`"
    )]
    #[case::limits_over_more_than_a_short_history(
        "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\nmax_files = 1\n[history]\nkeep_for = \"30m\"",
        "line 1, column 1: the rule `x` has limits `within` a longer time"
    )]
    #[case::no_paths_at_all(
        "[[policy.approve]]\nname = \"x\"\npaths = []",
        "`policy.approve[1].paths` is `[]`; expected a list of globs"
    )]
    #[case::no_operation(
        "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\noperations = [\"chmod\"]",
        "expected a list of \"create\""
    )]
    #[case::a_risk_that_no_rule_covers(
        "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\nrisks = [\"executable\"]",
        "line 4, column 9: `policy.approve[1].risks` is `[\"executable\"]`; expected a list of \"shrunk\""
    )]
    #[case::a_rule_twice(
        "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\n[[policy.approve]]\nname = \"x\"\npaths = [\"b\"]",
        "line 5, column 8: `policy.approve[2].name` is `x`, as another rule is named"
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
        let found = found_in(text);
        assert!(found.iter().any(|mistake| mistake.contains(expected)), "{found:#?}");
    }

    #[test]
    fn a_wrong_name_is_no_strategy() {
        let found = found_in("strategies = [{ name = 1 }, { name = 2 }]\ndiff.strategy = \"x\"");
        assert!(found.iter().all(|mistake| !mistake.contains("another strategy")), "{found:#?}");
        assert!(found.iter().any(|mistake| mistake.ends_with("`full-replace`")), "{found:#?}");
    }

    #[test]
    fn every_mistake_is_named_in_the_order_of_the_file() {
        let found = found_in("[diff]\nstrategy = 1\nsize = 2\n[session]\nexpires_after = true\n");
        let lines: Vec<&str> =
            found.iter().filter_map(|mistake| mistake.split(',').next()).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 5"], "{found:#?}");
    }

    #[test]
    fn a_number_may_be_written_in_every_way_of_toml() {
        for number in ["1_048_576", "0x100000", "+1048576", "0b1", "0o7"] {
            assert_eq!(found_in(&format!("[diff]\nsize_max_bytes = {number}\n")), [""; 0]);
        }
    }
}
