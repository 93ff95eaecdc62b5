//! `mcp`: serves an agent over the Model Context Protocol.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use mcp_server::{CommandHost, Offered, ServeError, SessionName};
use orchestrator_adapter::ActorError;
use staging_core::{DiskOwner, ErrorKind, StagingOptions, WaitObserver, agent_label};

use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::settings::Settings;

/// What Claude Code calls its session, in the environment of the servers that it starts.
const CLAUDE_CODE_SESSION: &str = "CLAUDE_CODE_SESSION_ID";

/// Decides what a dead process left before the server starts, and says so where the user's client
/// keeps what a server says.
pub(super) fn recover_first(options: &StagingOptions, console: &Console) {
    // What keeps it from opening, the server says.
    if let Ok(layer) = DiskOwner::open(options.clone()) {
        console.report_recovery(layer.take_recovered());
    }
}

pub(super) fn serve(
    settings: Settings,
    session: Option<&str>,
    location: &Location,
) -> Result<(), Failure> {
    // Elsewhere no command has a view.
    let offers_commands = settings.offers_run_command && cfg!(target_os = "linux");
    let offered = Offered {
        elicitation_wait: settings.elicitation_wait(),
        commands: offers_commands.then(|| command_host(location)),
    };
    let mut options = settings.options;
    // It serves the session until it ends, so a session whose server is gone is orphaned.
    options.owns_sessions = true;
    options.wait_observer = WaitObserver::default();
    let name = match session.filter(|label| !label.is_empty()) {
        Some(label) => SessionName::Fixed(label.to_owned()),
        None => SessionName::PerCall { otherwise: default_label() },
    };
    mcp_server::serve_standard_streams(options, name, offered).map_err(|error| match error {
        ServeError::Staging(ActorError::Staging(error)) => error.into(),
        error => Failure::new(ErrorKind::Io, error.to_string()),
    })
}

/// This program as the process that runs a command.
fn command_host(location: &Location) -> CommandHost {
    let (workspace, state) = (location.root.clone(), location.base.clone());
    let arguments = vec![
        "--workspace".into(),
        workspace.into(),
        "--state-dir".into(),
        state.into(),
        "__run-command".into(),
    ];
    // What runs now, also after an update.
    CommandHost { program: "/proc/self/exe".into(), arguments }
}

/// The session that the client is in, by its own word; else one for this process.
fn default_label() -> String {
    let claimed = env::var(CLAUDE_CODE_SESSION).ok();
    claimed.as_deref().and_then(agent_label).unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("mcp-{}-{}", std::process::id(), since.as_millis())
    })
}
