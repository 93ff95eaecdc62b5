//! The handler of the protocol: finds the tool and the session of a request, and sends the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use orchestrator_adapter::Staging;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
    CustomResult, ErrorCode, Implementation, InitializeRequestParams, InitializeResult,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{NotificationContext, Peer, RequestContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;
use staging_core::escape_for_display;
use tokio::sync::{Mutex, RwLock};

use crate::approval::Approvals;
use crate::calls;
use crate::catalogue;
use crate::command::Commands;
use crate::failure::Failure;
use crate::paths::{Allowed, shown};
use crate::reports::Reports;
use crate::sessions::{SessionGuard, SessionName, Sessions};
use crate::wait::{self, Waiting};

/// How long a client may take to say what its roots are.
const ROOTS_WAIT: Duration = Duration::from_secs(5);

const INSTRUCTIONS: &str = "Greenroom stages file changes: every write waits outside the \
    workspace until the user approves it. Reading tools show your own pending changes; programs \
    that you run in a shell do not see them. Tell the user which patches are pending; the user \
    approves them with `greenroom apply` in a terminal. No tool approves. Every answer reports the \
    user's decisions since the last one, with the reasons, as `decisions`; `wait_for_decision` waits \
    for one.";

/// What more there is to know where commands are run.
const COMMANDS: &str = "`run_command` runs programs that do see them, and stages what they write: use \
    it for builds and tests in place of a shell.";

/// What to do where they are not.
const NO_COMMANDS: &str = "commands are not run here: the user allows them with `run_command = true` \
    under `[mcp]` in their own configuration (`greenroom init AGENT --with-shell` does it), and starts \
    this server again";

/// Serves one client.
pub(crate) struct Server {
    pub(crate) staging: Staging,
    /// One call has it at a time, in the order in which they came, so that a call sees what the
    /// ones before it staged.
    pub(crate) sessions: Mutex<Sessions>,
    /// Held for writing while the client is asked for its roots, so that no call overtakes them.
    pub(crate) allowed: RwLock<Allowed>,
    pub(crate) begun: Arc<AtomicBool>,
    /// There when the user wants to be asked through the client.
    pub(crate) approvals: Option<Approvals>,
    /// There when the user lets agents run commands.
    pub(crate) commands: Option<Commands>,
    pub(crate) name: SessionName,
    pub(crate) reports: Arc<Reports>,
    pub(crate) waiting: Waiting,
}

impl Server {
    fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Narrows what may be looked at to the client's roots, if it has any.
    #[expect(deprecated, reason = "clients of the protocol's older versions have roots")]
    async fn ask_for_roots(&self, peer: &Peer<RoleServer>) {
        let has_roots = peer.peer_info().is_some_and(|info| info.capabilities.roots.is_some());
        if !has_roots {
            return;
        }
        let mut allowed = self.allowed.write().await;
        let asked = tokio::time::timeout(ROOTS_WAIT, peer.list_roots()).await;
        match asked {
            Ok(Ok(listed)) => {
                let uris: Vec<String> = listed.roots.into_iter().map(|root| root.uri).collect();
                allowed.narrow(&uris);
                tracing::debug!(roots = uris.len(), "the client said what its roots are");
            }
            Ok(Err(error)) => tracing::warn!(%error, "the client does not say its roots"),
            Err(_) => tracing::warn!("the client does not say its roots in time"),
        }
    }

    /// The tools that are offered beside the usual ones.
    fn more_tools(&self) -> impl Iterator<Item = &'static Tool> {
        let asking = self.approvals.is_some().then(catalogue::asking_tool);
        asking.into_iter().chain(self.commands.is_some().then(catalogue::command_tool))
    }

    /// The tool of this name, if it is offered.
    fn tool(&self, name: &str) -> Option<&'static Tool> {
        self.more_tools().find(|tool| tool.name == name).or_else(|| catalogue::find(name))
    }

    /// Asks the client's user, or takes the answer. No other call waits for it: the set is
    /// worked out in turn, and its signature tells whether it is still the same.
    async fn ask(
        &self,
        approvals: &Approvals,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, Failure> {
        let claimed = claimed(context)?;
        let mut sessions = self.sessions.lock().await;
        let guard = sessions.guard(claimed).await?;
        let asked = approvals.take(request, &guard, self.staging.layer()).await?;
        drop(sessions);
        approvals.conclude(asked, &guard, self.staging.layer(), context).await
    }

    /// Waits for a decision, while other calls are answered.
    async fn wait(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Failure> {
        let guard = self.sessions.lock().await.guard(claimed(context)?).await?;
        self.waiting.wait(request, &guard, context).await
    }

    async fn call(
        &self,
        name: &str,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Failure> {
        let claimed = claimed(context)?;
        let mut sessions = self.sessions.lock().await;
        let allowed = Arc::new(self.allowed.read().await.clone());
        let guard = sessions.guard(claimed).await?;
        let cancelled = context.ct.clone();
        let is_cancelled = move || cancelled.is_cancelled();
        let call = calls::Call {
            name,
            arguments: request.arguments.unwrap_or_default(),
            layer: self.staging.layer().clone(),
            allowed,
            is_cancelled: Box::new(is_cancelled),
        };
        match call.run(&guard).await {
            Err(failure) => Err(in_next_session(&mut sessions, &guard, failure).await),
            outcome => outcome,
        }
    }

    /// Runs a command. Other calls do not wait for it.
    async fn run_command(
        &self,
        commands: &Commands,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Failure> {
        let claimed = claimed(context)?;
        let guard = self.sessions.lock().await.guard(claimed).await?;
        let allowed = Arc::new(self.allowed.read().await.clone());
        let arguments = request.arguments.unwrap_or_default();
        match commands.run(arguments, &guard, self.staging.layer(), allowed, context).await {
            Err(failure) => {
                Err(in_next_session(&mut *self.sessions.lock().await, &guard, failure).await)
            }
            outcome => outcome,
        }
    }
}

/// Opens another session where a call has failed because its session was closed by the user, or its time
/// ran out. What the agent built on is gone, so it has to know before it continues.
async fn in_next_session(
    sessions: &mut Sessions,
    guard: &SessionGuard,
    failure: Failure,
) -> Failure {
    if !failure.session_ended {
        return failure;
    }
    match sessions.replace(guard).await {
        Ok(next) => Failure::new(format!(
            "{}. What was pending in it is discarded. Session {} is open now: read the files again, \
             then repeat the call",
            failure.message, next.session.session.id
        )),
        Err(failure) => failure,
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let server = Implementation::new("greenroom", env!("CARGO_PKG_VERSION"));
        let instructions = match self.commands {
            Some(_) => format!("{INSTRUCTIONS} {COMMANDS}"),
            None => INSTRUCTIONS.to_owned(),
        };
        ServerConfig::new(capabilities).with_server_info(server).with_instructions(instructions)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        self.begin();
        context.peer.set_peer_info(request.clone());
        self.negotiate_initialize(&request)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.ask_for_roots(&context.peer).await;
    }

    async fn on_roots_list_changed(&self, context: NotificationContext<RoleServer>) {
        self.ask_for_roots(&context.peer).await;
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.begin();
        let mut tools = catalogue::tools().to_vec();
        tools.extend(self.more_tools().cloned());
        Ok(ListToolsResult::with_all_items(tools))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tool(name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.begin();
        let Some(tool) = self.tool(&request.name) else {
            if request.name == catalogue::RUN_COMMAND {
                return Ok(refusal(Failure::new(NO_COMMANDS)).into());
            }
            let message = format!("there is no tool `{}`", shown(&request.name));
            return Err(ErrorData::invalid_params(message, None));
        };
        let is = |other: &Tool| tool.name == other.name;
        let approvals = self.approvals.as_ref().filter(|_| is(catalogue::asking_tool()));
        let commands = self.commands.as_ref().filter(|_| is(catalogue::command_tool()));
        let answered = match (approvals, commands) {
            (Some(approvals), _) => self.ask(approvals, request, &context).await,
            (_, Some(commands)) => {
                self.run_command(commands, request, &context).await.map(CallToolResponse::from)
            }
            _ if tool.name == wait::TOOL => {
                self.wait(request, &context).await.map(CallToolResponse::from)
            }
            _ => self.call(&tool.name, request, &context).await.map(CallToolResponse::from),
        };
        let mut answer = answered.unwrap_or_else(|failure| refusal(failure).into());
        if let CallToolResponse::Complete(result) = &mut answer
            && let Ok(label) = claimed(&context).and_then(|claimed| self.name.label(claimed))
        {
            self.reports.add(&context.id, label, &tool.name, result).await;
        }
        Ok(answer)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        // What the SDK could not read as one of the protocol's own lands here, too.
        if matches!(request.method.as_str(), "tools/call" | "tools/list" | "initialize") {
            let message =
                format!("the parameters of `{}` do not match the protocol", request.method);
            return Err(ErrorData::invalid_params(message, None));
        }
        let data = Some(json!({"method": shown(&request.method)}));
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "there is no such method", data))
    }
}

fn refusal(failure: Failure) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(escape_for_display(&shortened(failure.message)))])
}

/// The session that the client says the call belongs to.
fn claimed(context: &RequestContext<RoleServer>) -> Result<Option<&str>, Failure> {
    let Some(id) = context.meta.0.get("sessionId") else { return Ok(None) };
    id.as_str().map(Some).ok_or_else(|| Failure::new("`_meta.sessionId` must be a string"))
}

/// A message that a model can bear, whatever it was made of.
fn shortened(mut message: String) -> String {
    const MESSAGE_BYTES_MAX: usize = 4096;
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push('…');
    }
    message
}
