//! Serves agents over the Model Context Protocol.
//!
//! A server over lines of JSON-RPC that replaces the reference filesystem server. It has the same
//! tools and schemas, but stages their writes. Reading tools show a session its own pending changes.
//! No tool approves; one that asks the user is there when the user has turned it on.
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
mod context;
mod error;
mod failure;
mod listing;
mod paths;
mod patterns;
mod question;
mod reading;
mod review;
mod server;
mod sessions;
mod top_level_id;
mod transport;
mod writing;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use orchestrator_adapter::{Staging, StagingOptions};
use rmcp::service::{QuitReason, ServerInitializeError, ServiceExt as _};
use tokio::io::{AsyncRead, AsyncWrite};

pub use error::ServeError;
pub use sessions::SessionName;

use approval::Approvals;
use paths::Allowed;
use server::Server;
use transport::LineTransport;

/// Serves one client on this process's standard input and output until its input ends.
///
/// Standard output carries the protocol and nothing else. When the input ends, every request
/// that was read is answered first; the session stays open with what is pending in it.
///
/// With an `elicitation_wait` a tool may ask the client's user to approve; a question stays open
/// for that time. Without one nothing is ever approved here.
///
/// # Errors
/// When the workspace cannot be opened or the client cannot be written to.
pub fn serve_standard_streams(
    options: StagingOptions,
    session: SessionName,
    elicitation_wait: Option<Duration>,
) -> Result<(), ServeError> {
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    actix::System::new().block_on(serve(options, session, elicitation_wait, input, output))
}

/// Serves one client on these streams; it has to run where an actix system does.
///
/// # Errors
/// As [`serve_standard_streams`].
pub async fn serve<R, W>(
    options: StagingOptions,
    session: SessionName,
    elicitation_wait: Option<Duration>,
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
    let transport = LineTransport::new(input, output, Arc::clone(&begun), ending);
    let approvals = elicitation_wait.map(|wait| Approvals::new(wait, ended)).transpose()?;
    let server = Server::new(staging.clone(), session, Allowed::workspace(root), begun, approvals);
    let served = match server.serve(transport).await {
        Ok(service) => match service.waiting().await {
            Ok(QuitReason::JoinError(error)) | Err(error) => Err(error.to_string()),
            Ok(_) => Ok(()),
        },
        // A client that leaves before it has asked for anything is a client, too.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    staging.shutdown().await?;
    served.map_err(|reason| ServeError::Client { reason })
}
