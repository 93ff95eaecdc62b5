//! The tool that runs a command, on systems where no command has a view.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::CallToolResult;
use rmcp::service::RequestContext;
use serde_json::{Map, Value};
use staging_core::DiffStagingLayer;
use tokio::sync::watch;

use crate::arguments::RunCommand;
use crate::calls;
use crate::command_host::CommandHost;
use crate::failure::Failure;
use crate::paths::Allowed;
use crate::sessions::SessionGuard;

/// The commands of one server.
pub(crate) struct Commands;

impl Commands {
    pub(crate) fn new(_: CommandHost, _: watch::Receiver<bool>) -> Self {
        Self
    }

    pub(crate) async fn run(
        &self,
        arguments: Map<String, Value>,
        _: &SessionGuard,
        _: &DiffStagingLayer,
        _: Arc<Allowed>,
        _: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Failure> {
        let RunCommand { command: _, cwd: _, env: _, timeout_s: _ } =
            calls::arguments(Value::Object(arguments))?;
        Err(Failure::new("commands need Linux: no other system shows them a view of the workspace"))
    }
}
