//! The keys of the configuration: what each may hold, and where its value goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use staging_core::{
    ApproveRule, AskGlobs, AskRule, Digest, Hosting, LabelGlobs, Operation, PathGlobs, RiskKind,
    TrustedLibrary,
};

use self::Allowed::{
    AbsolutePath, AbsolutePaths, ApproveRules, AskGlobList, AskRules, Globs, Hash, LabelGlobList,
    Libraries, Operations, PathGlobList, Risks, Strategy, Switch, Table, Text, Time, Whole,
};
use super::values::Settings;

/// What a key may hold, and what takes its value.
pub(super) enum Allowed<T: 'static> {
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

/// A key, and what it may hold.
pub(super) type Key<T> = (&'static str, Allowed<T>);

const MAX: u64 = i64::MAX as u64;

/// The keys at the top.
pub(super) const KEYS: &[Key<Settings>] = &[
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

/// The keys of a rule that approves.
pub(super) const APPROVE: &[Key<ApproveRule>] = &[
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

/// The keys of a rule that keeps a set for a person.
pub(super) const ALWAYS_ASK: &[Key<AskRule>] = &[
    ("name", Text(|to, name| to.name = name.to_owned())),
    ("paths", AskGlobList(|to, globs| to.paths = globs)),
    ("sessions", LabelGlobList(|to, globs| to.sessions = globs)),
    ("operations", Operations(|to, operations| to.operations = operations)),
];

/// The keys of a library.
pub(super) const LIBRARY: &[Key<TrustedLibrary>] = &[
    ("name", Text(|to, name| to.name = name.to_owned())),
    ("path", AbsolutePath(|to, path| to.path = path.to_owned())),
    ("blake3", Hash(|to, blake3| to.blake3 = blake3)),
    // A crash of the library is then a crash of the command.
    (
        "in_process",
        Switch(|to, is| to.hosting = if is { Hosting::InProcess } else { Hosting::Child }),
    ),
];

/// Where a key belongs that stands in a wrong table.
pub(super) fn elsewhere(name: &str) -> Option<String> {
    KEYS.iter().find_map(|(key, allowed)| match allowed {
        Table(keys) if keys.iter().any(|(inner, _)| *inner == name) => {
            Some(format!("{key}.{name}"))
        }
        _ if *key == name => Some(name.to_owned()),
        _ => None,
    })
}

/// What a key may hold, for a message.
pub(super) fn in_words<T>(allowed: &Allowed<T>) -> String {
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
