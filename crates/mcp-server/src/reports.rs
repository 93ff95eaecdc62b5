//! Adds the user's decisions to the answers of tools, and records in the store that they were sent.
//!
//! An answer claims the decisions that it contains. It has delivered them once it is written to the client;
//! one that is not written, because the call was cancelled or the client is gone, gives them back. So does
//! one that was written just before the cancellation came: the client ignores it (MCP, *Cancellation*).
//! What a server that was killed had claimed is free again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock, MetaObject, RequestId};
use serde_json::{Value, json};
use staging_core::{
    Decided, DecisionReport, DiffStagingLayer, Result, decision_json, escape_for_display,
    report_lines,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::in_flight::InFlight;
use crate::wait;

/// The tool whose answer begins with the decisions.
const PENDING: &str = "pending";

/// The place of the decisions in an answer that is an error and has no structured content.
const META: &str = "greenroom/decisions";

/// For how many of the last answers with decisions a cancellation that comes late gives them back.
const WRITTEN_MAX: usize = 64;

/// How long an answer waits for decisions to be given back. Where the store is being written to for longer,
/// a later answer reports them.
const RETURN_WAIT: Duration = Duration::from_millis(500);

/// The decisions in the answers of one server.
pub(crate) struct Reports {
    layer: DiffStagingLayer,
    in_flight: InFlight,
    answers: Arc<Mutex<Answers>>,
    /// How many answers are being given back.
    giving_back: Arc<watch::Sender<usize>>,
}

/// The answers with decisions, by their requests.
#[derive(Default)]
struct Answers {
    /// Those that are not written yet.
    claimed: HashMap<RequestId, DecisionReport>,
    /// The last ones that were written, oldest first.
    written: VecDeque<(RequestId, DecisionReport)>,
    /// Those that could not be given back.
    kept: Vec<DecisionReport>,
}

impl Answers {
    /// Takes the answer to a request out, written or not.
    fn take(&mut self, request: &RequestId) -> Option<DecisionReport> {
        let written = self.written.iter().position(|(of, _)| of == request);
        let written = written.and_then(|place| self.written.remove(place));
        self.claimed.remove(request).or(written.map(|(_, report)| report))
    }
}

impl Reports {
    pub(crate) fn new(layer: DiffStagingLayer, in_flight: InFlight) -> Self {
        Self { layer, in_flight, answers: Arc::default(), giving_back: Arc::default() }
    }

    /// Adds to the answer what the agent of sessions of this label has not received.
    pub(crate) async fn add(
        &self,
        request: &RequestId,
        label: String,
        tool: &str,
        result: &mut CallToolResult,
    ) {
        // This answer reports what calls had claimed that were cancelled before.
        self.return_kept();
        let _ = timeout(RETURN_WAIT, self.all_returned()).await;
        // Usually there is nothing, and looking at an index here costs less than another thread.
        if let Ok(false) = self.layer.has_unreported_decisions(&label) {
            return;
        }
        let taken = self.off_the_loop(move |layer| layer.take_decisions(&label)).await;
        let Some(report) = taken.flatten() else { return };
        self.answers().claimed.insert(request.clone(), report.clone());
        if !self.in_flight.borrow().has(request) {
            // The call was cancelled: nothing is written.
            return self.give_back(request);
        }
        add_to(&report, tool, result);
    }

    /// Records what became of the answer to a request.
    pub(crate) async fn sent(&self, request: &RequestId, is_written: bool) {
        let report = {
            let mut answers = self.answers();
            let Some(report) = answers.claimed.remove(request) else { return };
            if is_written {
                answers.written.push_back((request.clone(), report.clone()));
                if answers.written.len() > WRITTEN_MAX {
                    answers.written.pop_front();
                }
            }
            report
        };
        if !is_written {
            return self.begin_return(report);
        }
        self.off_the_loop(move |layer| layer.set_delivered(&report)).await;
    }

    /// Gives back the decisions of the answer to a request, as its client does not read it.
    pub(crate) fn give_back(&self, request: &RequestId) {
        let taken = self.answers().take(request);
        if let Some(report) = taken {
            self.begin_return(report);
        }
    }

    /// Gives back what is left, at the end of the server.
    pub(crate) async fn end(&self) {
        self.all_returned().await;
        self.return_kept();
        self.all_returned().await;
    }

    fn return_kept(&self) {
        let kept = std::mem::take(&mut self.answers().kept);
        kept.into_iter().for_each(|report| self.begin_return(report));
    }

    fn begin_return(&self, report: DecisionReport) {
        let (layer, answers) = (self.layer.clone(), Arc::clone(&self.answers));
        let giving_back = Arc::clone(&self.giving_back);
        giving_back.send_modify(|answers| *answers += 1);
        tokio::spawn(async move {
            let given = tokio::task::spawn_blocking(move || {
                if let Err(error) = layer.set_undelivered(&report) {
                    tracing::warn!(%error, "the decisions are given back with a later call");
                    unpoisoned(&answers).kept.push(report);
                }
            });
            // A panic must not keep later answers waiting.
            drop(given.await);
            giving_back.send_modify(|answers| *answers -= 1);
        });
    }

    async fn all_returned(&self) {
        drop(self.giving_back.subscribe().wait_for(|answers| *answers == 0).await);
    }

    /// Runs a call of the store, whose failure leaves the decisions to a later answer.
    async fn off_the_loop<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DiffStagingLayer) -> Result<T> + Send + 'static,
    ) -> Option<T> {
        let layer = self.layer.clone();
        match tokio::task::spawn_blocking(move || work(&layer)).await {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a later answer reports the decisions");
                None
            }
            Err(_) => None,
        }
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        unpoisoned(&self.answers)
    }
}

fn unpoisoned(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts decisions into an answer: as text in a block of its own, since the first one is often a
/// file's content, and as data.
fn add_to(report: &DecisionReport, tool: &str, result: &mut CallToolResult) {
    let decisions: Value = report.decided.iter().map(decision_json).collect();
    let report = &DecisionReport { decided: unreported(report, tool, result), ..report.clone() };
    let lines = report_lines(report);
    let lines = escape_for_display(lines.as_bytes());
    match &mut result.structured_content {
        Some(structured) if tool == PENDING => {
            let own = structured["content"].as_str().unwrap_or_default();
            let text = format!("{lines}\n{own}");
            structured["content"] = json!(text);
            structured["decisions"] = decisions;
            result.content = vec![ContentBlock::text(text)];
            return;
        }
        Some(structured) => structured["decisions"] = decisions,
        None => {
            let meta = result.meta.get_or_insert_with(MetaObject::new);
            meta.0.insert(META.to_owned(), decisions);
        }
    }
    if lines.is_empty() {
        return;
    }
    let text = format!("Decisions about your patches:\n{}", lines.trim_end());
    result.content.push(ContentBlock::text(text));
}

/// The decisions that the answer does not say by itself.
fn unreported(report: &DecisionReport, tool: &str, result: &CallToolResult) -> Vec<Decided> {
    let patches = result.structured_content.as_ref().filter(|_| tool == wait::TOOL);
    let patches = patches.and_then(|structured| structured["patches"].as_array());
    let says = |decided: &&Decided| {
        // The patch may have been decided since the answer was made.
        let own = decision_json(decided);
        let is_said =
            |patch: &Value| patch["id"] == own["id"] && patch["decision"] == own["decision"];
        patches.is_some_and(|patches| patches.iter().any(is_said))
    };
    report.decided.iter().filter(|decided| !says(decided)).cloned().collect()
}
