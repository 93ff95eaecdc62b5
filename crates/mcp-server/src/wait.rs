//! `wait_for_decision`: returns when the user has decided.
//!
//! Processes hear each other by the store: the system reports that its log was written, and this
//! looks whether that was a decision. Where the system reports nothing, it looks every so often.

use std::sync::OnceLock;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, ProgressNotificationParam};
use rmcp::service::RequestContext;
use serde_json::{Value, json};
use staging_core::{
    Decided, DiffStagingLayer, Patch, PatchId, Selector, Session, StoreWatch, decision_json,
    decision_lines, escape_for_display,
};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, interval, sleep_until};

use crate::arguments::Wait;
use crate::calls;
use crate::captured;
use crate::failure::Failure;
use crate::review;
use crate::sessions::SessionGuard;

/// The tool's name.
pub(crate) const TOOL: &str = "wait_for_decision";

/// How many calls may wait at once: each of them is a request that is not answered yet.
const WAITING_MAX: usize = 16;
/// How long a call waits when it does not say, in seconds: less than the minute after which several
/// clients give a call up.
const DEFAULT_S: f64 = 45.0;
const MAX_S: f64 = 3600.0;
/// How often a client that asked for it receives that the call goes on.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// When it looks after the store was written: a commit can be read a moment later.
const LOOK_AFTER: [Duration; 3] =
    [Duration::from_millis(1), Duration::from_millis(4), Duration::from_millis(15)];
/// How often it looks where every write is reported.
const LOOK_SELDOM: Duration = Duration::from_secs(1);
/// How often it looks where no write is reported.
const LOOK_OFTEN: Duration = Duration::from_millis(20);

/// The waiting calls of one server.
pub(crate) struct Waiting {
    layer: DiffStagingLayer,
    places: Semaphore,
    ended: watch::Receiver<bool>,
    /// Counts the changes of the store, from the first call on.
    changes: OnceLock<Changes>,
}

struct Changes {
    counted: watch::Receiver<u64>,
    /// Without one, nothing is counted.
    watch: Option<StoreWatch>,
}

/// What a call waits for.
#[derive(Clone)]
enum Awaited {
    /// A decision about one of these.
    Named(Vec<PatchId>),
    /// A decision about anything in the session, which has these pending.
    Session(Vec<PatchId>),
}

impl Awaited {
    fn ids(&self) -> &[PatchId] {
        let (Self::Named(ids) | Self::Session(ids)) = self;
        ids
    }
}

/// Why a call no longer waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    Decided,
    /// There is nothing to wait for.
    Nothing,
    TimedOut,
}

impl Waiting {
    pub(crate) fn new(layer: DiffStagingLayer, ended: watch::Receiver<bool>) -> Self {
        let (places, changes) = (Semaphore::new(WAITING_MAX), OnceLock::new());
        Self { layer, places, ended, changes }
    }

    /// Waits for a decision about what the call names. No other call waits for it.
    pub(crate) async fn wait(
        &self,
        request: CallToolRequestParams,
        guard: &SessionGuard,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Failure> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let Wait { patches, timeout_s } = calls::arguments(arguments)?;
        let timeout = timeout(timeout_s)?;
        let _place = self.places.try_acquire().map_err(|_| {
            Failure::new(format!("{WAITING_MAX} calls are already waiting: let one of them end"))
        })?;
        let session = guard.session.session.clone();
        // Before the first look, so that no decision falls in between.
        let changes = self.changes();
        let of = session.clone();
        let awaited =
            self.off_the_loop(move |layer| awaited(layer, &of, patches.as_deref())).await?;
        let mut patient =
            Patient { waiting: self, awaited: &awaited, label: &guard.label, timeout, changes };
        let woken = patient.wait(context).await?;
        let answer = move |layer: &DiffStagingLayer| answer(layer, &session, &awaited, woken);
        self.off_the_loop(answer).await
    }

    fn changes(&self) -> (watch::Receiver<u64>, bool) {
        let changes = self.changes.get_or_init(|| {
            let (sender, counted) = watch::channel(0);
            let watch = self.layer.watch_store(move || sender.send_modify(|count| *count += 1));
            Changes { counted, watch }
        });
        (changes.counted.clone(), changes.watch.is_some())
    }

    async fn off_the_loop<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DiffStagingLayer) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let layer = self.layer.clone();
        match tokio::task::spawn_blocking(move || work(&layer)).await {
            Ok(worked) => worked,
            Err(_) => Err(Failure::new("the tool panicked: `pending` shows what is staged")),
        }
    }
}

/// A call while it waits.
struct Patient<'w> {
    waiting: &'w Waiting,
    awaited: &'w Awaited,
    label: &'w str,
    timeout: Duration,
    changes: (watch::Receiver<u64>, bool),
}

impl Patient<'_> {
    async fn wait(&mut self, context: &RequestContext<RoleServer>) -> Result<Woken, Failure> {
        let began = Instant::now();
        let deadline = began + self.timeout;
        let mut ended = self.waiting.ended.clone();
        let mut progress = interval(PROGRESS_EVERY);
        let idle = if self.changes.1 { LOOK_SELDOM } else { LOOK_OFTEN };
        let mut soon = LOOK_AFTER[..0].iter();
        loop {
            if let Some(woken) = self.recheck().await? {
                return Ok(woken);
            }
            if Instant::now() >= deadline {
                return Ok(Woken::TimedOut);
            }
            // Between two looks that follow a change, further changes are not counted as new ones:
            // many proposals do not make it look at each of them.
            let next = soon.next().copied();
            let until = (Instant::now() + next.unwrap_or(idle)).min(deadline);
            loop {
                tokio::select! {
                    biased;
                    () = context.ct.cancelled() => {
                        return Err(Failure::new("the call was cancelled"));
                    }
                    // The input has ended: it is answered now.
                    () = has_ended(&mut ended) => return Ok(Woken::TimedOut),
                    _ = progress.tick() => report_progress(context, began, self.timeout).await,
                    Ok(()) = self.changes.0.changed(), if next.is_none() => {
                        soon = LOOK_AFTER.iter();
                        break;
                    }
                    () = sleep_until(until) => break,
                }
            }
        }
    }

    async fn recheck(&self) -> Result<Option<Woken>, Failure> {
        let (awaited, label) = (self.awaited.clone(), self.label.to_owned());
        let look = move |layer: &DiffStagingLayer| {
            Ok(match &awaited {
                Awaited::Session(ids) if ids.is_empty() => Some(Woken::Nothing),
                Awaited::Session(_) if layer.has_unreported_decisions(&label)? => {
                    Some(Woken::Decided)
                }
                awaited => layer.is_any_decided(awaited.ids())?.then_some(Woken::Decided),
            })
        };
        self.waiting.off_the_loop(look).await
    }
}

/// Returns when the client sends no more.
async fn has_ended(ended: &mut watch::Receiver<bool>) {
    // A sender that is gone says the same.
    drop(ended.wait_for(|ended| *ended).await);
}

/// Keeps a client from giving the call up, if it has asked to hear of its progress.
async fn report_progress(context: &RequestContext<RoleServer>, began: Instant, timeout: Duration) {
    let Some(token) = context.meta.get_progress_token() else { return };
    let progress = ProgressNotificationParam::new(token, began.elapsed().as_secs_f64())
        .with_total(timeout.as_secs_f64())
        .with_message("waiting for the user's decision");
    if let Err(error) = context.peer.notify_progress(progress).await {
        tracing::debug!(%error, "the client does not receive that the call goes on");
    }
}

fn timeout(seconds: Option<f64>) -> Result<Duration, Failure> {
    let seconds = seconds.unwrap_or(DEFAULT_S);
    match (0.0..=MAX_S).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(Failure::new(format!("`timeout_s` must be from 0 to {MAX_S} seconds"))),
    }
}

/// What to wait for: patches of the session, or whatever is pending in it.
fn awaited(
    layer: &DiffStagingLayer,
    session: &Session,
    ids: Option<&[String]>,
) -> Result<Awaited, Failure> {
    captured::import(layer, session.id)?;
    if ids.is_some() {
        let named = review::own(layer, session, ids)?;
        return Ok(Awaited::Named(named.iter().filter_map(Selector::patch).collect()));
    }
    let selection = layer.select(&[Selector::Session(session.id)])?;
    Ok(Awaited::Session(selection.patches.iter().map(|patch| patch.id).collect()))
}

/// Each patch as it is now.
fn answer(
    layer: &DiffStagingLayer,
    session: &Session,
    awaited: &Awaited,
    woken: Woken,
) -> Result<CallToolResult, Failure> {
    let found = layer.last_decisions(awaited.ids())?;
    let decided: Vec<Decided> = found.iter().filter_map(|(_, decided)| decided.clone()).collect();
    let pending = found.iter().filter(|(_, decided)| decided.is_none()).map(|(patch, _)| patch);
    let mut text = decision_lines(&decided);
    for patch in pending {
        text.push_str(&format!("{} {} is pending\n", patch.name(), patch.path));
    }
    match woken {
        Woken::Decided => {}
        Woken::Nothing => text.push_str("Nothing is pending in this session.\n"),
        Woken::TimedOut => text.push_str(
            "The user has not decided yet. Go on with other work, and wait again later.\n",
        ),
    }
    let text = escape_for_display(text.trim_end()).into_owned();
    let patches: Vec<Value> = found.iter().map(patch_json).collect();
    let structured = json!({
        "content": &text,
        "session": session.id.to_string(),
        "timed_out": woken == Woken::TimedOut,
        "patches": patches,
    });
    Ok(calls::result(ContentBlock::text(text), structured))
}

/// A patch with its state, and with the decision about it where there is one.
fn patch_json((patch, decided): &(Patch, Option<Decided>)) -> Value {
    let mut object = match decided {
        Some(decided) => decision_json(decided),
        None => json!({
            "id": patch.id.to_string(),
            "path": patch.path.to_string(),
            "revision": patch.revision,
            "decision": null,
            "reason": null,
            "replaced_by": null,
            "comments": [],
            "message": null,
        }),
    };
    object["state"] = json!(patch.state);
    object
}
