//! Serves agents over the Model Context Protocol.
//!
//! A server over lines of JSON-RPC that replaces the reference filesystem server. It has the same
//! tools and schemas, but stages their writes. Reading tools show a session its own pending changes.
//! No tool approves. One that asks the user, and one that runs commands in a view of the session, are there
//! when the user has turned them on.
//! It serves the protocol's versions with a handshake (2024-11-05 to 2025-11-25) and the one
//! without (2026-07-28).
//!
//! # Limitations
//! Writes by other means, such as a shell, are not staged.

#![forbid(unsafe_code)]

mod answers;
mod approval;
mod arguments;
mod calls;
mod captured;
mod catalogue;
#[cfg(target_os = "linux")]
mod command;
#[cfg(not(target_os = "linux"))]
#[path = "command_elsewhere.rs"]
mod command;
mod command_host;
mod context;
mod error;
mod failure;
mod form;
mod in_flight;
mod listing;
mod paths;
mod patterns;
mod question;
mod reading;
mod reports;
mod review;
mod server;
mod sessions;
mod top_level_id;
mod transport;
mod wait;
mod writing;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use orchestrator_adapter::{Staging, StagingOptions};
use rmcp::service::{QuitReason, ServerInitializeError, ServiceExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, RwLock};

pub use command_host::{CommandEnded, CommandExit, CommandHost, CommandMessage, CommandRequest};
pub use error::ServeError;
pub use sessions::SessionName;

use approval::Approvals;
use command::Commands;
use in_flight::InFlight;
use paths::Allowed;
use reports::Reports;
use server::Server;
use sessions::Sessions;
use transport::LineTransport;
use wait::Waiting;

/// What the user's own configuration allows beside the tools that read and stage.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    /// How long a question to the client's user stays open, which a tool asks then.
    pub elicitation_wait: Option<Duration>,
    /// How commands are run, which a tool does then. On Linux only.
    pub commands: Option<CommandHost>,
}

/// Serves one client on this process's standard input and output until its input ends.
///
/// Standard output carries the protocol and nothing else. When the input ends, every request
/// that was read is answered first; the session stays open with what is pending in it.
///
/// Without an `elicitation_wait` in `offered` nothing is ever approved here.
///
/// # Errors
/// When the workspace cannot be opened or the client cannot be written to.
pub fn serve_standard_streams(
    options: StagingOptions,
    session: SessionName,
    offered: Offered,
) -> Result<(), ServeError> {
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    actix::System::new().block_on(serve(options, session, offered, input, output))
}

/// Serves one client on these streams; it has to run where an actix system does.
///
/// # Errors
/// As [`serve_standard_streams`].
pub async fn serve<R, W>(
    options: StagingOptions,
    session: SessionName,
    offered: Offered,
    input: R,
    output: W,
) -> Result<(), ServeError>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let path = options.workspace.clone();
    let root =
        dunce::canonicalize(&path).map_err(|source| ServeError::Workspace { path, source })?;
    let staging = Staging::open(options).await?;
    let begun = Arc::new(AtomicBool::new(false));
    let (ending, ended) = tokio::sync::watch::channel(false);
    let in_flight = InFlight::default();
    let reports = Arc::new(Reports::new(staging.layer().clone(), Arc::clone(&in_flight)));
    let (reported, seen) = (Arc::clone(&reports), Arc::clone(&begun));
    let transport = LineTransport::new(input, output, in_flight, reported, seen, ending);
    let waiting = Waiting::new(staging.layer().clone(), ended.clone());
    let Offered { elicitation_wait, commands } = offered;
    let commands = commands.map(|host| Commands::new(host, ended.clone()));
    let approvals = elicitation_wait.map(|wait| Approvals::new(wait, ended)).transpose()?;
    let server = Server {
        sessions: Mutex::new(Sessions::new(staging.clone(), session.clone())),
        staging: staging.clone(),
        allowed: RwLock::new(Allowed::workspace(root)),
        begun,
        approvals,
        commands,
        name: session,
        reports: Arc::clone(&reports),
        waiting,
    };
    let served = match server.serve(transport).await {
        Ok(service) => match service.waiting().await {
            Ok(QuitReason::JoinError(error)) | Err(error) => Err(error.to_string()),
            Ok(_) => Ok(()),
        },
        // A client that leaves before it has asked for anything is a client, too.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    reports.end().await;
    staging.shutdown().await?;
    served.map_err(|reason| ServeError::Client { reason })
}
