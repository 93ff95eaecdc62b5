//! Blocking work off the event loop, so much of it at once and no more.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::ActorError;
use crate::layer::DiffStagingLayer;

/// The layer, and how much of it may run at once.
#[derive(Clone)]
pub(super) struct Pool {
    layer: DiffStagingLayer,
    permits: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(layer: DiffStagingLayer) -> Self {
        let max = layer.options().proposals_in_flight_max.clamp(1, Semaphore::MAX_PERMITS);
        Self { layer, permits: Arc::new(Semaphore::new(max)) }
    }

    /// Runs work on the blocking pool. What it began is finished even when
    /// nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        self,
        span: tracing::Span,
        work: impl FnOnce(&DiffStagingLayer) -> crate::Result<T> + Send + 'static,
    ) -> Result<T, ActorError> {
        let permit = self
            .permits
            .acquire_owned()
            .await
            .map_err(|_| ActorError::Stopped { actor: "blocking pool" })?;
        let layer = self.layer;
        let work = move || {
            let _permit = permit;
            span.in_scope(|| work(&layer))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => Ok(outcome?),
            Err(error) if error.is_panic() => Err(ActorError::Panicked),
            Err(_) => Err(ActorError::Stopped { actor: "blocking pool" }),
        }
    }
}
