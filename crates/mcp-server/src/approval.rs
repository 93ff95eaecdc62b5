//! Approval by a question that the client asks its user, where the user turned that on.
//!
//! A client's word is weaker than a reviewer's at the terminal: whether a person saw the question,
//! only the client knows. So it approves less (`staging_core::check_client_approval`), only what the question
//! showed in full, and the log names the client. A question is answered once: it is forgotten
//! with its first answer, after its time, and with the server.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use orchestrator_adapter::ApplyChangeSet;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ContentBlock, ElicitRequest, ElicitRequestParams,
    ElicitResult, ElicitationAction, ElicitationSchema, EnumSchema, InputRequest,
    InputRequiredResult, InputResponses, PrimitiveSchemaDefinition, RequestStateCodec, SealOptions,
};
use rmcp::service::{RequestContext, ServiceError};
use serde_json::{Value, json};
use staging_core::{ClientApproval, DiffStagingLayer, Selector};
use tokio::sync::watch;

use crate::arguments::Diff;
use crate::calls;
use crate::captured;
use crate::error::ServeError;
use crate::failure::Failure;
use crate::question::{self, Question, Shown};
use crate::sessions::SessionGuard;
use crate::writing::answered;

/// How many questions may be open at once.
const OPEN_MAX: usize = 16;
/// The name of the one question in an answer that asks for input.
const QUESTION: &str = "approval";
/// The field of the form, and what it may hold.
const DECISION: &str = "decision";
const APPROVE: &str = "approve";
const KEEP: &str = "keep pending";

/// The questions of one server.
pub(crate) struct Approvals {
    wait: Duration,
    codec: RequestStateCodec,
    /// By what their state holds; those that a client may come back to.
    open: Mutex<HashMap<String, (Instant, Shown)>>,
    /// Questions that the protocol's older versions wait for.
    waiting: tokio::sync::Semaphore,
    ended: watch::Receiver<bool>,
}

/// A call of the tool, as it is read before anybody is asked.
pub(crate) enum Request {
    /// A question to be put; with what the state is bound to.
    Question { question: Question, bound_to: Vec<u8> },
    /// A client came back with an answer.
    Answer { shown: Shown, result: ElicitResult },
}

impl Approvals {
    pub(crate) fn new(wait: Duration, ended: watch::Receiver<bool>) -> Result<Self, ServeError> {
        let key = random().map_err(|reason| ServeError::Key { reason })?;
        let codec = RequestStateCodec::try_new(key)
            .map_err(|error| ServeError::Key { reason: error.to_string() })?;
        let waiting = tokio::sync::Semaphore::new(OPEN_MAX);
        Ok(Self { wait, codec, open: Mutex::default(), waiting, ended })
    }

    /// Reads what is asked for, or the answer that a client came back with.
    pub(crate) async fn take(
        &self,
        request: CallToolRequestParams,
        guard: &SessionGuard,
        layer: &DiffStagingLayer,
    ) -> Result<Request, Failure> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let bound_to = format!("{}\n{arguments}", guard.session.session.id).into_bytes();
        let arguments: Diff = calls::arguments(arguments)?;
        match (request.request_state, request.input_responses) {
            (None, None) => {
                let (layer, session) = (layer.clone(), guard.session.session.clone());
                let asked = tokio::task::spawn_blocking(move || {
                    captured::import(&layer, session.id)?;
                    question::of(&layer, &session, arguments.ids.as_deref())
                });
                let question = asked
                    .await
                    .map_err(|_| Failure::new("the tool panicked: nothing is applied"))??;
                Ok(Request::Question { question, bound_to })
            }
            (Some(state), Some(responses)) => {
                let shown = self.reopen(&state, &bound_to)?;
                Ok(Request::Answer { shown, result: answer_in(responses)? })
            }
            _ => Err(Failure::new("an answer needs the state of its question: nothing is applied")),
        }
    }

    /// Puts the question, and does what the answer says.
    pub(crate) async fn conclude(
        &self,
        asked: Request,
        guard: &SessionGuard,
        layer: &DiffStagingLayer,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, Failure> {
        let (shown, result) = match asked {
            Request::Answer { shown, result } => (shown, result),
            Request::Question { question, bound_to } => {
                let capabilities = context.client_capabilities();
                let elicitation = capabilities.and_then(|all| all.elicitation);
                // One that names neither kind has forms, as in the version without the others.
                if elicitation.is_none_or(|kinds| kinds.form.is_none() && kinds.url.is_some()) {
                    return Err(Failure::new(format!(
                        "this client cannot ask its user; the user approves in a terminal, with \
                         `{}`",
                        question.command
                    )));
                }
                let has_initialize =
                    context.protocol_version().is_none_or(|version| version.has_initialize());
                if !has_initialize {
                    return self.hand_over(question, &bound_to);
                }
                let result = self.wait_for(question.message, context).await?;
                (question.shown, result)
            }
        };
        if !approves(&result)? {
            let text = "The user did not approve. The patches stay pending, and the disk is \
                        unchanged.";
            return Ok(said(text.to_owned(), &shown, false));
        }
        self.apply(shown, guard, layer, context).await
    }

    /// The question as an answer that the client comes back from (protocol 2026-07-28).
    fn hand_over(&self, question: Question, bound_to: &[u8]) -> Result<CallToolResponse, Failure> {
        let name = random().map_err(|reason| Failure::new(format!("no question: {reason}")))?;
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let now = Instant::now();
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.retain(|_, (until, _)| *until > now);
            if open.len() >= OPEN_MAX {
                return Err(too_many());
            }
            open.insert(name.clone(), (now + self.wait, question.shown));
        }
        let options = SealOptions::new().associated_data(bound_to).ttl(self.wait);
        let state = self.codec.seal_with(name.as_bytes(), &options);
        let asked = InputRequest::Elicitation(ElicitRequest::new(form(question.message)?));
        let requests = std::iter::once((QUESTION.to_owned(), asked)).collect();
        Ok(InputRequiredResult::new(Some(requests), Some(state)).into())
    }

    /// The question of a state, which nobody can answer again.
    fn reopen(&self, state: &str, bound_to: &[u8]) -> Result<Shown, Failure> {
        let gone = |why: &str| {
            Failure::new(format!("{why}: nothing is applied; call `request_approval` again"))
        };
        let name = self
            .codec
            .open_with(state, bound_to)
            .map_err(|error| gone(&format!("the question's state is not accepted ({error})")))?;
        let name = String::from_utf8(name).map_err(|_| gone("the question is not known"))?;
        let taken = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        match taken {
            Some((until, shown)) if until > Instant::now() => Ok(shown),
            Some(_) => Err(gone("the question has expired")),
            None => Err(gone("the question was answered already, or is not known")),
        }
    }

    /// The question as a request of the server's own (protocols with a handshake).
    async fn wait_for(
        &self,
        message: String,
        context: &RequestContext<RoleServer>,
    ) -> Result<ElicitResult, Failure> {
        let _place = self.waiting.try_acquire().map_err(|_| too_many())?;
        let form = form(message)?;
        let mut ended = self.ended.clone();
        let asked = context.peer.create_elicitation_with_timeout(form, Some(self.wait));
        let answer = tokio::select! {
            biased;
            () = context.ct.cancelled() => {
                return Err(Failure::new("the call was cancelled: nothing is applied"));
            }
            _ = ended.wait_for(|ended| *ended) => {
                return Err(Failure::new("the client disconnected without an answer: nothing is applied"));
            }
            answer = asked => answer,
        };
        answer.map_err(|error| match error {
            ServiceError::Timeout { .. } => Failure::new(
                "the user did not answer in time: nothing is applied, everything stays pending",
            ),
            error => Failure::new(format!(
                "the client could not ask its user ({error}): nothing is applied"
            )),
        })
    }

    async fn apply(
        &self,
        shown: Shown,
        guard: &SessionGuard,
        layer: &DiffStagingLayer,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, Failure> {
        let message = ApplyChangeSet {
            ids: shown.patches.iter().copied().map(Selector::Patch).collect(),
            expect: Some(shown.signature),
            client_approved: Some(client_approval(context)),
            ..ApplyChangeSet::default()
        };
        let report = answered(guard.session.actor.send(message).await)?;
        // The answer says it.
        if let Err(error) = layer.set_reported(&report.patches) {
            tracing::warn!(%error, "`pending` reports it again");
        }
        let ids: Vec<String> = report.patches.iter().map(ToString::to_string).collect();
        let by = report.apply.map(|apply| format!(" as {apply}")).unwrap_or_default();
        let mut text = format!("The user approved: {} is applied{by}.", ids.join(", "));
        for warning in report.warnings.iter().chain(&report.kept) {
            text.push_str(&format!("\nnote: {warning}"));
        }
        Ok(said(text, &shown, true))
    }
}

fn said(text: String, shown: &Shown, applied: bool) -> CallToolResponse {
    let ids: Vec<String> = shown.patches.iter().map(ToString::to_string).collect();
    let structured = json!({
        "content": &text,
        "applied": applied,
        "signature": shown.signature.to_string(),
        "patches": ids,
    });
    calls::result(ContentBlock::text(text), structured).into()
}

fn too_many() -> Failure {
    Failure::new(format!("{OPEN_MAX} questions are already open: wait until some are answered"))
}

/// The form wants a choice, and has no default: a client that accepts it empty approves nothing.
fn form(message: String) -> Result<ElicitRequestParams, Failure> {
    let choice = EnumSchema::builder(vec![APPROVE.to_owned(), KEEP.to_owned()])
        .title("Decision")
        .description("Approving applies exactly what is shown; anything else leaves it pending")
        .build();
    let requested_schema = ElicitationSchema::builder()
        .required_property(DECISION, PrimitiveSchemaDefinition::Enum(choice))
        .build()
        .map_err(|reason| Failure::new(format!("no question: {reason}")))?;
    Ok(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema })
}

fn answer_in(mut responses: InputResponses) -> Result<ElicitResult, Failure> {
    let answer = responses.remove(QUESTION).filter(|_| responses.is_empty());
    answer
        .and_then(|answer| serde_json::from_value(answer).ok())
        .ok_or_else(|| Failure::new("the answer belongs to another question: nothing is applied"))
}

/// Whether an answer is the word that was asked for, and not only an acceptance.
fn approves(result: &ElicitResult) -> Result<bool, Failure> {
    if result.action != ElicitationAction::Accept {
        return Ok(false);
    }
    match result.content.as_ref().and_then(|content| content[DECISION].as_str()) {
        Some(APPROVE) => Ok(true),
        Some(KEEP) => Ok(false),
        _ => Err(Failure::new(format!(
            "the answer is not `{APPROVE}` or `{KEEP}`: nothing is applied"
        ))),
    }
}

/// What the client says of itself, as far as a line of the log can bear it.
fn client_approval(context: &RequestContext<RoleServer>) -> ClientApproval {
    const LETTERS_MAX: usize = 80;
    let plain = |text: &str| -> String {
        let letters = text.chars().take(LETTERS_MAX);
        letters.map(|letter| if letter.is_ascii_graphic() { letter } else { '_' }).collect()
    };
    let info = context.client_info();
    let (client, version) = match &info {
        Some(info) => (plain(&info.name), plain(&info.version)),
        None => (String::new(), String::new()),
    };
    let client = if client.is_empty() { "unnamed".to_owned() } else { client };
    ClientApproval { client, version }
}

fn random() -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}
