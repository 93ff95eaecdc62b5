//! The arguments of the tools, as in their schemas. Other arguments are refused.

use std::collections::BTreeMap;

use serde::Deserialize;

macro_rules! arguments {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $kind:ty,)* })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Deserialize)]
            #[serde(deny_unknown_fields, rename_all = "camelCase")]
            pub(crate) struct $name { $($(#[$attribute])* pub(crate) $field: $kind,)* }
        )+
    };
}

arguments! {
    /// Of every tool that takes one path.
    OnePath { path: String, }
    /// `read_file`, `read_text_file`
    ReadText { path: String, #[serde(default)] tail: Option<f64>, #[serde(default)] head: Option<f64>, }
    /// `read_multiple_files`
    ReadMultiple { paths: Vec<String>, }
    /// `write_file`
    Write { path: String, content: String, }
    /// `edit_file`
    Edit { path: String, edits: Vec<OneEdit>, #[serde(default)] dry_run: bool, }
    /// One replacement.
    OneEdit { old_text: String, new_text: String, }
    /// `list_directory_with_sizes`
    ListWithSizes { path: String, #[serde(default)] sort_by: SortBy, }
    /// `directory_tree`
    Tree { path: String, #[serde(default)] exclude_patterns: Vec<String>, }
    /// `move_file`
    Move { source: String, destination: String, }
    /// `search_files`
    Search { path: String, pattern: String, #[serde(default)] exclude_patterns: Vec<String>, }
    /// `propose`
    Propose { patch: String, #[serde(default)] directory: Option<String>, }
    /// `diff`
    Diff { #[serde(default)] ids: Option<Vec<String>>, }
    /// `discard`
    Discard { #[serde(default)] ids: Option<Vec<String>>, #[serde(default)] reason: Option<String>, }
    /// `wait_for_decision`
    Wait { #[serde(default)] patches: Option<Vec<String>>, #[serde(default, rename = "timeout_s")] timeout_s: Option<f64>, }
    /// `pending`
    Nothing {}
    /// `run_command`
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "commands run on Linux only"))]
    RunCommand {
        command: CommandLine,
        #[serde(default)] cwd: Option<String>,
        #[serde(default)] env: BTreeMap<String, String>,
        #[serde(default, rename = "timeout_s")] timeout_s: Option<f64>,
    }
}

/// What a command is.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "no command is run there"))]
pub(crate) enum CommandLine {
    /// A text for the shell.
    Shell(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

/// How sizes are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SortBy {
    #[default]
    Name,
    Size,
}
