//! Blocking work off the event loop, so much of it at once and no more.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use super::ActorError;
use crate::layer::{DiffStagingLayer, Proposed, SessionProposals};

/// How many threads stage proposals: one plans while the other one commits. With more of them
/// they would hand the store to each other more often, and share fewer transactions.
const STAGING_THREADS_MAX: usize = 2;

/// How many sessions' proposals are staged together.
const SESSIONS_TOGETHER_MAX: usize = 16;

/// The layer, and how much of it may run at once.
#[derive(Clone)]
pub(super) struct Pool {
    layer: DiffStagingLayer,
    permits: Arc<Semaphore>,
    proposals: Arc<Mutex<Proposals>>,
}

/// What sessions propose, until a thread stages it. It holds no more than each session has in
/// hand, since a session waits for its answers.
#[derive(Default)]
struct Proposals {
    waiting: VecDeque<(SessionProposals, oneshot::Sender<Answers>)>,
    threads: usize,
}

/// What one session's proposals came to.
type Answers = Vec<crate::Result<Proposed>>;

impl Pool {
    pub(super) fn new(layer: DiffStagingLayer) -> Self {
        let max = layer.options().proposals_in_flight_max.clamp(1, Semaphore::MAX_PERMITS);
        Self { layer, permits: Arc::new(Semaphore::new(max)), proposals: Arc::default() }
    }

    /// Runs work that may fail.
    pub(super) async fn run<T: Send + 'static>(
        self,
        span: tracing::Span,
        work: impl FnOnce(&DiffStagingLayer) -> crate::Result<T> + Send + 'static,
    ) -> Result<T, ActorError> {
        Ok(self.perform(span, work).await??)
    }

    /// Runs work on the blocking pool. What it began is finished even when
    /// nobody waits for it any more.
    pub(super) async fn perform<T: Send + 'static>(
        self,
        span: tracing::Span,
        work: impl FnOnce(&DiffStagingLayer) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let permit = self.permits.acquire_owned().await.map_err(|_| Lost::Stopped)?;
        let layer = self.layer;
        let work = move || {
            let _permit = permit;
            span.in_scope(|| work(&layer))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| if error.is_panic() { Lost::Panicked } else { Lost::Stopped })
    }

    /// Stages what a session proposes, together with what others propose meanwhile. What it
    /// began is finished even when nobody waits for it any more.
    pub(super) async fn propose(&self, asked: SessionProposals) -> Result<Answers, Lost> {
        let (tell, told) = oneshot::channel();
        let begin = {
            let mut proposals = self.proposals();
            proposals.waiting.push_back((asked, tell));
            let begin = proposals.threads < STAGING_THREADS_MAX;
            proposals.threads += usize::from(begin);
            begin
        };
        if begin {
            let pool = self.clone();
            tokio::task::spawn_blocking(move || pool.stage_what_waits());
        }
        // Whoever had it in hand panicked.
        told.await.map_err(|_| Lost::Panicked)
    }

    /// Stages until nothing waits.
    fn stage_what_waits(&self) {
        loop {
            let (asked, tell): (Vec<_>, Vec<_>) = {
                let mut proposals = self.proposals();
                let count = proposals.waiting.len().min(SESSIONS_TOGETHER_MAX);
                if count == 0 {
                    proposals.threads -= 1;
                    return;
                }
                proposals.waiting.drain(..count).unzip()
            };
            // As it would be on the blocking pool, a panic is the end of this work alone.
            let staged = catch_unwind(AssertUnwindSafe(|| self.layer.propose_each(&asked)));
            for (tell, answers) in tell.into_iter().zip(staged.into_iter().flatten()) {
                if tell.send(answers).is_err() {
                    tracing::debug!("nobody waits for the answers any more");
                }
            }
        }
    }

    fn proposals(&self) -> std::sync::MutexGuard<'_, Proposals> {
        self.proposals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no outcome.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lost {
    Panicked,
    Stopped,
}

impl From<Lost> for ActorError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Panicked => Self::Panicked,
            Lost::Stopped => Self::Stopped { actor: "blocking pool" },
        }
    }
}
