//! The tools that are offered, with their schemas.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use rmcp::model::Tool;
use serde_json::{Value, json};

/// Names, descriptions, schemas and annotations. The first fourteen have the names and schemas
/// of the reference filesystem server, so that agents that know it know these.
const TOOLS: &str = include_str!("tools.json");

const WAITING_TOOL: &str = include_str!("wait_tool.json");

const ASKING_TOOL: &str = include_str!("asking_tool.json");

const COMMAND_TOOL: &str = include_str!("command_tool.json");

/// The name of the tool that runs commands.
pub(crate) const RUN_COMMAND: &str = "run_command";

/// The decisions that any answer may have.
const DECISIONS: &str = include_str!("decisions_schema.json");

/// Every tool, in the order in which they are listed.
pub(crate) fn tools() -> &'static [Tool] {
    static CATALOGUE: OnceLock<Vec<Tool>> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let mut values: Vec<Value> =
            serde_json::from_str(TOOLS).expect("the file is JSON, as tested");
        values.push(serde_json::from_str(WAITING_TOOL).expect("the file is JSON, as tested"));
        let read = |value| serde_json::from_value(value).expect("each is a tool, as tested");
        values.into_iter().map(read).map(reporting_decisions).collect()
    })
}

/// The tool of this name.
pub(crate) fn find(name: &str) -> Option<&'static Tool> {
    tools().iter().find(|tool| tool.name == Cow::Borrowed(name))
}

/// The tool that asks the client's user; offered only where the user turned it on.
pub(crate) fn asking_tool() -> &'static Tool {
    static TOOL: OnceLock<Tool> = OnceLock::new();
    TOOL.get_or_init(|| {
        let tool = serde_json::from_str(ASKING_TOOL).expect("the file is a tool, as tested");
        reporting_decisions(tool)
    })
}

/// The tool with the decisions that its answers may have in the schema of its output.
fn reporting_decisions(mut tool: Tool) -> Tool {
    let Some(output) = tool.output_schema.as_mut().map(Arc::make_mut) else { return tool };
    let decisions: Value = serde_json::from_str(DECISIONS).expect("the file is JSON, as tested");
    let properties = output.entry("properties").or_insert_with(|| json!({}));
    if let Some(lapsed) = properties.get_mut("lapsed") {
        lapsed["items"] = decisions["items"].clone();
    }
    properties["decisions"] = decisions;
    tool
}

/// The tool that runs commands; offered only where the user turned it on.
pub(crate) fn command_tool() -> &'static Tool {
    static TOOL: OnceLock<Tool> = OnceLock::new();
    TOOL.get_or_init(|| {
        let tool = serde_json::from_str(COMMAND_TOOL).expect("the file is a tool, as tested");
        reporting_decisions(tool)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_staged_write_is_annotated_as_not_destructive() {
        for tool in tools().iter().chain([command_tool()]) {
            let annotations = tool.annotations.as_ref().expect("each tool says what it does");
            let read_only = annotations.read_only_hint == Some(true);
            assert_ne!(annotations.destructive_hint, Some(true), "{}", tool.name);
            assert!(read_only || annotations.destructive_hint == Some(false), "{}", tool.name);
        }
    }

    #[test]
    fn no_tool_approves() {
        let names: Vec<&str> = tools().iter().map(|tool| tool.name.as_ref()).collect();
        assert_eq!(names.len(), 20);
        assert!(!names.contains(&RUN_COMMAND) && command_tool().name == RUN_COMMAND);
        for word in ["apply", "approve", "undo", "accept"] {
            assert!(names.iter().all(|name| !name.contains(word)), "{names:?}");
        }
    }

    #[test]
    fn every_tool_refuses_arguments_that_it_does_not_know() {
        for tool in tools().iter().chain([command_tool(), asking_tool()]) {
            let known = tool.input_schema.get("additionalProperties");
            // The reference server's one tool without arguments says nothing of others.
            assert!(
                known == Some(&json!(false)) || tool.name == "list_allowed_directories",
                "{}",
                tool.name
            );
        }
    }
}
