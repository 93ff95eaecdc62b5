//! The maintenance actor: flushes, checkpoints and sweeps at intervals.

use std::time::Duration;

use actix::prelude::*;
use staging_core::DiffStagingLayer;

use super::pool::Pool;
use crate::messages::Stop;

/// How much a power cut may take: what was acknowledged within this.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// How often the length of the store's log is looked at.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(200);

/// How long one sweep may take; the next one goes on.
const SWEEP_BUDGET: Duration = Duration::from_millis(500);

/// Flushes, checkpoints and sweeps, one at a time.
pub(super) struct MaintenanceActor {
    layer: DiffStagingLayer,
    pool: Pool,
    is_busy: bool,
}

impl MaintenanceActor {
    /// Starts it on the current arbiter.
    pub(super) fn launch(layer: DiffStagingLayer, pool: Pool) -> Addr<Self> {
        Self { layer, pool, is_busy: false }.start()
    }

    /// Does a task, unless another one is under way: then it is left to the next time.
    fn perform(
        &mut self,
        context: &mut Context<Self>,
        name: &'static str,
        work: impl FnOnce(&DiffStagingLayer) -> staging_core::Result<()> + Send + 'static,
    ) {
        if std::mem::replace(&mut self.is_busy, true) {
            return;
        }
        let done = self.pool.clone().run(tracing::debug_span!("maintenance", name), work);
        context.spawn(fut::wrap_future::<_, Self>(done).map(move |done, actor, _| {
            actor.is_busy = false;
            if let Err(error) = done {
                tracing::warn!(%error, name, "tried again later");
            }
        }));
    }
}

impl Actor for MaintenanceActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(FLUSH_EVERY, |actor, context| {
            if actor.layer.needs_flush() {
                actor.perform(context, "flush", DiffStagingLayer::flush_beside_work);
            }
        });
        context.run_interval(CHECKPOINT_EVERY, |actor, context| {
            if actor.layer.has_long_log() {
                actor.perform(context, "checkpoint", DiffStagingLayer::checkpoint_log);
            }
        });
        context.run_interval(self.layer.options().sweep_every, |actor, context| {
            actor.perform(context, "sweep", |layer| layer.sweep(SWEEP_BUDGET).map(drop));
        });
    }
}

// What is under way is finished, and no more is begun.
impl Handler<Stop> for MaintenanceActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        context.stop();
    }
}
