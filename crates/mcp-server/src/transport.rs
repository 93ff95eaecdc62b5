//! Messages as lines: their length is bounded, and every one that cannot be read is answered.
//!
//! The SDK's own transport drops what it cannot read or finds too long, which leaves a client
//! waiting for good, and ends with requests unanswered when the input ends. This one answers
//! with JSON-RPC errors (JSON-RPC 2.0, section 5.1), reads on, and lets every request that it
//! took be answered before it says that the input has ended.

use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, JsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use staging_core::escape_json_line;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{Mutex, watch};

use crate::in_flight::{InFlight, Unanswered};
use crate::reports::Reports;
use crate::top_level_id::{TopLevelId, can_be_id};

/// The longest line that is read.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 20;

/// How many requests of one batch are refused under their own ids.
const BATCH_IDS_MAX: usize = 1000;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

/// Lines in, lines out.
pub(crate) struct LineTransport<R, W> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// The rest of a line that is too long, and what is known of its id.
    skipping: Option<TopLevelId>,
    line_bytes_max: usize,
    output: Arc<Mutex<W>>,
    in_flight: InFlight,
    reports: Arc<Reports>,
    /// Whether the handler has been reached. What needs no answer and comes before that
    /// is left out: the SDK would take it for the end of a client that cannot be served.
    begun: Arc<AtomicBool>,
    /// Receives that no answer of the client comes any more.
    ending: watch::Sender<bool>,
}

/// The result of reading a line.
enum Read {
    Line,
    TooLong(Option<Value>),
    End,
}

impl<R, W> LineTransport<R, W>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    pub(crate) fn new(
        input: R,
        output: W,
        in_flight: InFlight,
        reports: Arc<Reports>,
        begun: Arc<AtomicBool>,
        ending: watch::Sender<bool>,
    ) -> Self {
        Self {
            input: BufReader::with_capacity(64 * 1024, input),
            line: Vec::new(),
            skipping: None,
            line_bytes_max: LINE_BYTES_MAX,
            output: Arc::new(Mutex::new(output)),
            in_flight,
            reports,
            begun,
            ending,
        }
    }

    /// Reads one line into `self.line`. What was read stays there when this is dropped
    /// half-way, as the SDK does.
    async fn read(&mut self) -> io::Result<Read> {
        loop {
            let available = self.input.fill_buf().await?;
            let is_end = available.is_empty();
            if is_end && self.line.is_empty() && self.skipping.is_none() {
                return Ok(Read::End);
            }
            let newline = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..newline.unwrap_or(available.len())];
            match &mut self.skipping {
                Some(id) => id.feed(part),
                None if self.line.len() + part.len() > self.line_bytes_max => {
                    let mut id = TopLevelId::default();
                    id.feed(&self.line);
                    id.feed(part);
                    self.skipping = Some(id);
                    self.line = Vec::new();
                }
                None => self.line.extend_from_slice(part),
            }
            let consumed = part.len() + usize::from(newline.is_some());
            self.input.consume(consumed);
            // A last line without its end is one all the same.
            if is_end || newline.is_some() {
                return Ok(match self.skipping.take() {
                    Some(id) => Read::TooLong(id.found()),
                    None => Read::Line,
                });
            }
        }
    }

    /// Answers what the SDK is not shown.
    fn refuse(&self, id: Option<Value>, code: i32, message: &str) {
        let error = json!({"code": code, "message": message});
        let line = json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string();
        let mut line = escape_json_line(line);
        line.push('\n');
        let (output, in_flight) = (Arc::clone(&self.output), Arc::clone(&self.in_flight));
        in_flight.send_modify(|unanswered| unanswered.errors += 1);
        // A task of its own, so that it is written whole whatever becomes of the reading.
        tokio::spawn(async move {
            if let Err(error) = write(&output, line.as_bytes()).await {
                tracing::debug!(%error, "the client does not read any more");
            }
            in_flight.send_modify(|unanswered| unanswered.errors -= 1);
        });
    }

    /// The message in the line, unless it is answered here or needs no answer.
    fn message(&mut self) -> Option<ClientJsonRpcMessage> {
        // A byte order mark in front belongs to how the text was sent.
        let line = self.line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.line).trim_ascii();
        if line.is_empty() {
            return None;
        }
        let value: Value = match serde_json::from_slice(line) {
            Ok(value) => value,
            Err(error) => {
                // The client waits for an answer under the id, whatever else it got wrong.
                let mut id = TopLevelId::default();
                id.feed(line);
                let hint = match error.to_string() {
                    text if text.contains("surrogate") || text.contains("hex escape") => {
                        ": half of a surrogate pair is not a character; send both halves or U+FFFD"
                    }
                    _ => "",
                };
                let message = format!("this line is not valid JSON ({error}){hint}");
                self.refuse(id.found(), PARSE_ERROR, &message);
                return None;
            }
        };
        let Value::Object(object) = &value else {
            let reason = "a message is one JSON object; batches are not supported: send each message on \
                          its own line";
            let asked = ids_of_batch(&value);
            if asked.is_empty() {
                self.refuse(None, INVALID_REQUEST, reason);
            }
            // Whoever sent them waits for each.
            for id in asked {
                self.refuse(Some(id), INVALID_REQUEST, reason);
            }
            return None;
        };
        let id = object.get("id").cloned();
        let is_request = id.is_some() && object.contains_key("method");
        match serde_json::from_value::<ClientJsonRpcMessage>(value) {
            Ok(message) => self.admitted(message),
            Err(error) if is_request => {
                let message = format!("the request cannot be read: {error}");
                // An id that can be none is not repeated.
                self.refuse(id.filter(can_be_id), INVALID_REQUEST, &message);
                None
            }
            // Notifications and responses are never answered.
            Err(_) => None,
        }
    }

    fn admitted(&mut self, message: ClientJsonRpcMessage) -> Option<ClientJsonRpcMessage> {
        match &message {
            JsonRpcMessage::Request(request) => {
                let id = request.id.clone();
                let bytes = self.line.len();
                let is_new = self.in_flight.send_if_modified(|unanswered| {
                    match unanswered.requests.entry(id) {
                        Entry::Occupied(_) => false,
                        Entry::Vacant(place) => {
                            place.insert(bytes);
                            true
                        }
                    }
                });
                if !is_new {
                    let id = serde_json::to_value(&request.id).ok();
                    self.refuse(id, INVALID_REQUEST, "a request with this id is being answered");
                    return None;
                }
            }
            _ if !self.begun.load(Ordering::Acquire) => return None,
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    // The SDK answers it no more.
                    self.in_flight.send_modify(|unanswered| {
                        unanswered.requests.remove(id);
                    });
                    self.reports.give_back(id);
                }
            }
            _ => {}
        }
        Some(message)
    }
}

/// The ids of the requests in a batch.
fn ids_of_batch(value: &Value) -> Vec<Value> {
    let messages = value.as_array().into_iter().flatten().filter_map(Value::as_object);
    let requests = messages.filter(|message| message.contains_key("method"));
    requests
        .filter_map(|request| request.get("id").cloned())
        .filter(can_be_id)
        .take(BATCH_IDS_MAX)
        .collect()
}

impl<R, W> Transport<RoleServer> for LineTransport<R, W>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (output, in_flight) = (Arc::clone(&self.output), Arc::clone(&self.in_flight));
        let reports = Arc::clone(&self.reports);
        async move {
            let answered = match &message {
                JsonRpcMessage::Response(response) => Some(response.id.clone()),
                JsonRpcMessage::Error(error) => error.id.clone(),
                _ => None,
            };
            let line = serde_json::to_string(&message).map(escape_json_line);
            drop(message);
            let written = match line {
                Ok(mut line) => {
                    line.push('\n');
                    write(&output, line.as_bytes()).await
                }
                Err(error) => Err(io::Error::other(error)),
            };
            if let Some(id) = answered {
                reports.sent(&id, written.is_ok()).await;
                in_flight.send_modify(|unanswered| {
                    unanswered.requests.remove(&id);
                });
            }
            written
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            drop(self.in_flight.subscribe().wait_for(Unanswered::has_room).await);
            match self.read().await {
                Ok(Read::Line) => {
                    let message = self.message();
                    // One long line does not keep its memory.
                    self.line = Vec::new();
                    if message.is_some() {
                        return message;
                    }
                }
                Ok(Read::TooLong(id)) => {
                    let message = format!(
                        "the message is longer than {} bytes: send less at once",
                        self.line_bytes_max
                    );
                    self.refuse(id, INVALID_REQUEST, &message);
                }
                Ok(Read::End) => break,
                Err(error) => {
                    tracing::warn!(%error, "standard input cannot be read any more");
                    break;
                }
            }
        }
        // Whoever waits for the client itself would otherwise wait for good.
        self.ending.send_replace(true);
        drop(self.in_flight.subscribe().wait_for(|unanswered| unanswered.count() == 0).await);
        None
    }

    async fn close(&mut self) -> io::Result<()> {
        self.output.lock().await.flush().await
    }
}

async fn write<W: AsyncWrite + Unpin>(output: &Mutex<W>, line: &[u8]) -> io::Result<()> {
    let mut output = output.lock().await;
    output.write_all(line).await?;
    output.flush().await
}
