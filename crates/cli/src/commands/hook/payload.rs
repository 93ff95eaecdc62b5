//! The call of a tool as a harness describes it, and its effect on files.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;

/// One call of a tool, as Claude Code and Codex describe it.
#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    pub(super) session_id: Option<String>,
    pub(super) cwd: Option<PathBuf>,
    hook_event_name: String,
    tool_name: String,
    tool_input: Value,
}

/// What a call is about to do.
#[derive(Debug, PartialEq)]
pub(super) enum Call {
    /// Nothing to files, as far as it is known.
    Other,
    /// Look at a file.
    Read(Read),
    /// Change files.
    Write(Change),
}

#[derive(Debug, PartialEq)]
pub(super) enum Change {
    Write(Write),
    Edits(Edits),
    Patch(Patch),
}

#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Read {
    #[serde(rename = "file_path")]
    pub(super) path: String,
    /// The first line, counted from 1.
    pub(super) offset: Option<u64>,
    /// So many lines at most.
    pub(super) limit: Option<u64>,
}

#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Write {
    #[serde(rename = "file_path")]
    pub(super) path: String,
    pub(super) content: String,
}

#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Edits {
    #[serde(rename = "file_path")]
    pub(super) path: String,
    pub(super) edits: Vec<Edit>,
}

#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Edit {
    #[serde(rename = "old_string")]
    pub(super) old: String,
    #[serde(rename = "new_string")]
    pub(super) new: String,
    #[serde(default)]
    pub(super) replace_all: bool,
}

#[derive(Deserialize)]
struct OneEdit {
    #[serde(rename = "file_path")]
    path: String,
    #[serde(flatten)]
    edit: Edit,
}

#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Patch {
    #[serde(rename = "command")]
    pub(super) text: String,
}

/// Tools of Claude Code that change no file of a workspace by themselves. Agents that they start
/// come by here with their own calls.
const HARMLESS_IN_CLAUDE_CODE: [&str; 29] = [
    "Agent",
    "AskUserQuestion",
    "BashOutput",
    "EnterPlanMode",
    "ExitPlanMode",
    "Glob",
    "Grep",
    "KillBash",
    "KillShell",
    "LS",
    "LSP",
    "ListMcpResourcesTool",
    "NotebookRead",
    "ReadMcpResourceTool",
    "SendMessage",
    "Skill",
    "SlashCommand",
    "Task",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskOutput",
    "TaskStop",
    "TaskUpdate",
    "TodoRead",
    "TodoWrite",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
];

/// The tools of Greenroom's own server, which stage what they write.
const OUR_SERVER: &str = "mcp__greenroom__";

impl Payload {
    pub(super) fn parse(input: &[u8]) -> Result<Self, Failure> {
        let payload: Self = serde_json::from_slice(input)
            .map_err(|error| Failure::usage(format!("the call cannot be read: {error}")))?;
        if payload.hook_event_name != "PreToolUse" {
            let event = payload.hook_event_name.escape_debug();
            let reason = format!("the hook was run for `{event}`; it supports only `PreToolUse`");
            return Err(Failure::usage(reason));
        }
        Ok(payload)
    }

    fn input<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.tool_input).map_err(|error| {
            let tool = self.tool_name.escape_debug();
            Failure::usage(format!("the input of `{tool}` cannot be read: {error}"))
        })
    }

    /// A tool that may write in ways that are not seen here.
    fn unknown(&self) -> Failure {
        let tool = self.tool_name.escape_debug();
        Failure::refused(format!("a hook cannot stage what `{tool}` writes"))
            .advise("Use Write or Edit, or the tools of `greenroom mcp`: their changes are staged.")
    }
}

pub(super) fn of_claude_code(payload: &Payload) -> Result<Call, Failure> {
    Ok(match payload.tool_name.as_str() {
        "Write" => Call::Write(Change::Write(payload.input()?)),
        "Edit" => {
            let OneEdit { path, edit } = payload.input()?;
            Call::Write(Change::Edits(Edits { path, edits: vec![edit] }))
        }
        "MultiEdit" => {
            let edits: Edits = payload.input()?;
            if edits.edits.is_empty() {
                return Err(Failure::usage("the call has no edits"));
            }
            Call::Write(Change::Edits(edits))
        }
        "NotebookEdit" => {
            return Err(Failure::refused("edits of notebook cells are not staged")
                .advise("Change the notebook as a JSON file, with Edit or Write."));
        }
        "Read" => Call::Read(payload.input()?),
        tool if HARMLESS_IN_CLAUDE_CODE.contains(&tool) || tool.starts_with(OUR_SERVER) => {
            Call::Other
        }
        _ => return Err(payload.unknown()),
    })
}

pub(super) fn of_codex(payload: &Payload) -> Result<Call, Failure> {
    match payload.tool_name.as_str() {
        "apply_patch" => Ok(Call::Write(Change::Patch(payload.input()?))),
        tool if tool.starts_with(OUR_SERVER) => Ok(Call::Other),
        _ => Err(payload.unknown()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn claude(tool: &str, input: Value) -> Result<Call, String> {
        let event = json!({"session_id": "x", "hook_event_name": "PreToolUse",
            "tool_name": tool, "tool_input": input, "new_field": [1]});
        let payload = Payload::parse(event.to_string().as_bytes());
        let call = payload.and_then(|payload| of_claude_code(&payload));
        call.map_err(|failure| failure.message.clone())
    }

    #[rstest]
    #[case("Write", json!({"file_path": "/a", "content": "x"}), true)]
    #[case("Edit", json!({"file_path": "/a", "old_string": "x", "new_string": "y"}), true)]
    #[case("MultiEdit", json!({"file_path": "/a", "edits": [{"old_string": "x", "new_string": "y", "replace_all": true}]}), true)]
    #[case("Read", json!({"file_path": "/a"}), true)]
    #[case("Grep", json!({"pattern": "x"}), true)]
    #[case("mcp__greenroom__write_file", json!({}), true)]
    #[case("Write", json!({"file_path": "/a"}), false)]
    #[case("Write", json!({"file_path": "/a", "content": 1}), false)]
    #[case("Edit", json!({"file_path": "/a", "old_string": "x"}), false)]
    #[case("MultiEdit", json!({"file_path": "/a", "edits": []}), false)]
    #[case("NotebookEdit", json!({"notebook_path": "/a", "new_source": ""}), false)]
    #[case("Bash", json!({"command": "ls"}), false)]
    #[case("mcp__other__write_file", json!({}), false)]
    #[case("WriteSomethingNew", json!({}), false)]
    fn what_is_not_known_to_be_harmless_or_staged_is_refused(
        #[case] tool: &str,
        #[case] input: Value,
        #[case] passes: bool,
    ) {
        let call = claude(tool, input);
        assert_eq!(call.is_ok(), passes, "{call:?}");
    }

    #[rstest]
    #[case("")]
    #[case("null")]
    #[case("[]")]
    #[case("{}")]
    #[case("{\"hook_event_name\":\"PreToolUse\",\"tool_name\":\"Write\"")]
    #[case("{\"hook_event_name\":\"PostToolUse\",\"tool_name\":\"Write\",\"tool_input\":{}}")]
    #[case("{\"hook_event_name\":\"PreToolUse\",\"tool_name\":1,\"tool_input\":{}}")]
    fn what_cannot_be_read_is_refused(#[case] input: &str) {
        assert!(Payload::parse(input.as_bytes()).is_err());
    }

    #[test]
    fn depth_without_end_is_refused() {
        let deep = format!(
            "{{\"hook_event_name\":\"PreToolUse\",\"tool_name\":\"Write\",\"tool_input\":{}",
            "[".repeat(1_000_000)
        );
        assert!(Payload::parse(deep.as_bytes()).is_err());
    }
}
