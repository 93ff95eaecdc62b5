//! Runs blocking work off the event loop, a bounded number of calls at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use staging_core::{DiffStagingLayer, Proposal, Proposed, StageRequest};
use tokio::sync::{Semaphore, oneshot};

use crate::error::ActorError;

/// How many threads stage proposals: one plans while the other one commits. With more of them
/// they would hand the store to each other more often, and share fewer transactions.
const THREADS_MAX: usize = 2;

/// How many requests are staged together.
const BATCH_MAX: usize = 16;

/// A request with more changes, or more bytes of content, is staged by itself: the first of a batch
/// waits for the last.
const CHANGES_MAX: usize = 32;
const BYTES_MAX: usize = 1 << 20;

/// The layer, and how much of it may run at once.
#[derive(Clone)]
pub(super) struct Pool {
    layer: DiffStagingLayer,
    permits: Arc<Semaphore>,
    queue: Arc<Mutex<Queue>>,
}

/// What sessions propose, until a thread stages it. Each session has one request in it at most,
/// since its mailbox pauses until that is answered.
#[derive(Default)]
struct Queue {
    requests: VecDeque<(StageRequest, oneshot::Sender<Staged>)>,
    threads: usize,
    /// How many of the threads are staging. The others are about to look for requests.
    staging: usize,
}

impl Queue {
    /// Whether to begin another thread, which is counted as begun. A thread that is not staging looks for
    /// requests anyway, and waking one on an idle core takes about 20 us.
    fn begins_thread(&mut self) -> bool {
        let begins = self.threads == self.staging && self.threads < THREADS_MAX;
        self.threads += usize::from(begins);
        begins
    }
}

/// The answers to one request.
type Staged = staging_core::Result<Vec<Proposed>>;

impl Pool {
    pub(super) fn new(layer: DiffStagingLayer) -> Self {
        let max = layer.options().proposals_in_flight_max.clamp(1, Semaphore::MAX_PERMITS);
        Self { layer, permits: Arc::new(Semaphore::new(max)), queue: Arc::default() }
    }

    /// Runs work on the blocking pool. What it began is finished even when
    /// nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        self,
        span: tracing::Span,
        work: impl FnOnce(&DiffStagingLayer) -> staging_core::Result<T> + Send + 'static,
    ) -> Result<T, ActorError> {
        let permit = self.permits.acquire_owned().await.map_err(|_| STOPPED)?;
        let layer = self.layer;
        let work = move || {
            let _permit = permit;
            span.in_scope(|| work(&layer))
        };
        let done = tokio::task::spawn_blocking(work).await;
        let done =
            done.map_err(|error| if error.is_panic() { ActorError::Panicked } else { STOPPED });
        Ok(done??)
    }

    /// Stages what a session proposes, together with what others propose meanwhile. What it
    /// began is finished even when nobody waits for it any more.
    pub(super) async fn stage(self, request: StageRequest) -> Result<Vec<Proposed>, ActorError> {
        let bytes: usize = request.proposals.iter().map(Proposal::bytes).sum();
        if request.proposals.len() > CHANGES_MAX || bytes > BYTES_MAX {
            // Nobody else waits for a large one.
            let span = request.span.clone();
            return self
                .run(span, move |layer| {
                    layer.stage(&[request]).pop().expect("one request gives one answer")
                })
                .await;
        }
        let (answer, answered) = oneshot::channel();
        let begin = {
            let mut queue = self.queue();
            queue.requests.push_back((request, answer));
            queue.begins_thread()
        };
        if begin {
            self.begin_thread();
        }
        // The answer is dropped when the work panics.
        Ok(answered.await.map_err(|_| ActorError::Panicked)??)
    }

    fn begin_thread(&self) {
        let pool = self.clone();
        tokio::task::spawn_blocking(move || pool.serve_queue());
    }

    /// Stages what is in the queue, batch after batch, until nothing is.
    fn serve_queue(&self) {
        loop {
            let (begin, (requests, answers)): (_, (Vec<_>, Vec<_>)) = {
                let mut queue = self.queue();
                let count = queue.requests.len().min(BATCH_MAX);
                if count == 0 {
                    queue.threads -= 1;
                    return;
                }
                queue.staging += 1;
                let batch = queue.requests.drain(..count).unzip();
                (!queue.requests.is_empty() && queue.begins_thread(), batch)
            };
            if begin {
                self.begin_thread();
            }
            // As it would be on the blocking pool, a panic is the end of this work alone.
            let staged = catch_unwind(AssertUnwindSafe(|| self.layer.stage(&requests)));
            self.queue().staging -= 1;
            for (answer, staged) in answers.into_iter().zip(staged.into_iter().flatten()) {
                if answer.send(staged).is_err() {
                    tracing::debug!("nobody waits for the answer any more");
                }
            }
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const STOPPED: ActorError = ActorError::Stopped { actor: "blocking pool" };
