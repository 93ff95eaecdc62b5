//! Approval by a question that the client asks its user, where the user turned that on.
//!
//! A client's word is weaker than a reviewer's at the terminal: whether a person saw the question,
//! only the client knows. So it approves less (`staging_core::check_client_approval`), only what the question
//! showed in full, and the log names the client. A question is answered once: it is forgotten
//! with its first answer, after its time, and with the server.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use orchestrator_adapter::{ApplyChangeSet, DiscardPatch};
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ContentBlock, ElicitRequest, ElicitRequestParams,
    ElicitResult, InputRequest, InputRequiredResult, InputResponses, RequestStateCodec,
    SealOptions,
};
use rmcp::service::{RequestContext, ServiceError};
use serde_json::{Value, json};
use staging_core::{ClientApproval, DiffStagingLayer, PatchId, Selector, escape_for_display};
use tokio::sync::watch;

use crate::arguments::Diff;
use crate::calls;
use crate::captured;
use crate::error::ServeError;
use crate::failure::Failure;
use crate::form::{self, Verdict};
use crate::question::{self, Question, Shown};
use crate::sessions::SessionGuard;
use crate::writing::answered;

/// How many questions may be open at once.
const OPEN_MAX: usize = 16;
/// The name of the one question in an answer that asks for input.
const QUESTION: &str = "approval";
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
                let form = form::form(question.message, &question.shown)?;
                (question.shown, self.wait_for(form, context).await?)
            }
        };
        match form::verdict(&result, &shown)? {
            Verdict::Approve(ids) => apply(&shown, ids, guard, layer, context).await,
            Verdict::Reject(ids, reason) => {
                reject(&shown, ids, reason, guard, layer, context).await
            }
            Verdict::Keep => {
                let text = "The user did not approve. The patches stay pending, and the disk is \
                            unchanged.";
                let ids: Vec<PatchId> = shown.patches.iter().map(|patch| patch.id).collect();
                Ok(said(text.to_owned(), "kept", &shown, &ids))
            }
        }
    }

    /// The question as an answer that the client comes back from (protocol 2026-07-28).
    fn hand_over(&self, question: Question, bound_to: &[u8]) -> Result<CallToolResponse, Failure> {
        let name = random().map_err(|reason| Failure::new(format!("no question: {reason}")))?;
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let form = form::form(question.message, &question.shown)?;
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
        let asked = InputRequest::Elicitation(ElicitRequest::new(form));
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
        form: ElicitRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<ElicitResult, Failure> {
        let _place = self.waiting.try_acquire().map_err(|_| too_many())?;
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
}

/// Applies what the user approved.
async fn apply(
    shown: &Shown,
    ids: Vec<PatchId>,
    guard: &SessionGuard,
    layer: &DiffStagingLayer,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, Failure> {
    let message = ApplyChangeSet {
        ids: ids.iter().copied().map(Selector::Patch).collect(),
        expect: Some(shown.signature_of(&ids)),
        client_approved: Some(client_approval(context)),
        ..ApplyChangeSet::default()
    };
    let report = answered(guard.session.actor.send(message).await)?;
    say_once(layer, &report.patches);
    let by = report.apply.map(|apply| format!(" as {apply}")).unwrap_or_default();
    let mut text = format!("The user approved: {} is applied{by}.", names(&report.patches));
    text.push_str(&rest(shown, &ids));
    for warning in report.warnings.iter().chain(&report.kept) {
        text.push_str(&format!("\nnote: {warning}"));
    }
    Ok(said(text, "approved", shown, &ids))
}

/// Rejects what the user does not want. The log names the client, as with an approval.
async fn reject(
    shown: &Shown,
    ids: Vec<PatchId>,
    reason: Option<String>,
    guard: &SessionGuard,
    layer: &DiffStagingLayer,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, Failure> {
    let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let ClientApproval { client, version } = client_approval(context);
    let rejected = shown.patches.iter().filter(|patch| ids.contains(&patch.id));
    let message = DiscardPatch {
        ids: rejected.map(Selector::seen).collect(),
        reason_text: Some(format!("rejected through the client {client} {version}{why}")),
        comments: Vec::new(),
    };
    answered(guard.session.actor.send(message).await)?;
    say_once(layer, &ids);
    let text = format!("The user rejected {}{why}.{}", names(&ids), rest(shown, &ids));
    Ok(said(text, "rejected", shown, &ids))
}

/// Records that the answer reports the decision.
fn say_once(layer: &DiffStagingLayer, ids: &[PatchId]) {
    if let Err(error) = layer.set_reported(ids) {
        tracing::warn!(%error, "the next answer reports it again");
    }
}

/// What the user has decided nothing about.
fn rest(shown: &Shown, ids: &[PatchId]) -> String {
    let all = shown.patches.iter().map(|patch| patch.id);
    let rest: Vec<PatchId> = all.filter(|id| !ids.contains(id)).collect();
    match rest.len() {
        0 => String::new(),
        1 => format!(" {} stays pending.", names(&rest)),
        _ => format!(" {} stay pending.", names(&rest)),
    }
}

fn names(ids: &[PatchId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The answer to the agent; `ids` are the patches that were decided, or were to be.
fn said(text: String, decision: &str, shown: &Shown, ids: &[PatchId]) -> CallToolResponse {
    let text = escape_for_display(&text).into_owned();
    let structured = json!({
        "content": &text,
        "applied": decision == "approved",
        "decision": decision,
        "signature": shown.signature_of(ids).to_string(),
        "patches": ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    calls::result(ContentBlock::text(text), structured).into()
}

fn too_many() -> Failure {
    Failure::new(format!("{OPEN_MAX} questions are already open: wait until some are answered"))
}

fn answer_in(mut responses: InputResponses) -> Result<ElicitResult, Failure> {
    let answer = responses.remove(QUESTION).filter(|_| responses.is_empty());
    answer
        .and_then(|answer| serde_json::from_value(answer).ok())
        .ok_or_else(|| Failure::new("the answer belongs to another question: nothing is applied"))
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
