//! The maintenance actor: flushes, checkpoints, sweeps and applies by rules at intervals.

use std::time::Duration;

use actix::prelude::*;
use staging_core::DiffStagingLayer;

use super::Plain;
use super::fs::{self, ApplyByRules, FsActor, Sweep};
use super::pool::Pool;
use crate::error::ActorError;
use crate::messages::Stop;

/// How much a power cut may take: what was acknowledged within this.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// How often the length of the store's log is looked at.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(200);

/// How often sets are looked at that rules may approve.
const RULES_EVERY: Duration = Duration::from_millis(100);

/// How long one sweep may take; the next one goes on. An apply waits for it, because both are work
/// of the disk's owner.
const SWEEP_BUDGET: Duration = Duration::from_millis(250);

/// Flushes, checkpoints, sweeps and applies by rules, one at a time.
pub(super) struct MaintenanceActor {
    layer: DiffStagingLayer,
    pool: Pool,
    fs: Addr<FsActor>,
    is_busy: bool,
}

impl MaintenanceActor {
    /// Starts it on the current arbiter.
    pub(super) fn launch(layer: DiffStagingLayer, pool: Pool, fs: Addr<FsActor>) -> Addr<Self> {
        Self { layer, pool, fs, is_busy: false }.start()
    }

    /// Begins a task, unless another one is under way: then it is left to the next time.
    fn perform<F>(
        &mut self,
        context: &mut Context<Self>,
        name: &'static str,
        begin: impl FnOnce(&Self) -> F,
    ) where
        F: Future<Output = Result<(), ActorError>> + 'static,
    {
        if std::mem::replace(&mut self.is_busy, true) {
            return;
        }
        let done = begin(self);
        context.spawn(fut::wrap_future::<_, Self>(done).map(move |done, actor, _| {
            actor.is_busy = false;
            if let Err(error) = done {
                tracing::warn!(%error, name, "tried again later");
            }
        }));
    }

    /// A task on the blocking pool.
    fn run<W>(&self, work: W) -> impl Future<Output = Result<(), ActorError>> + use<W>
    where
        W: FnOnce(&DiffStagingLayer) -> staging_core::Result<()> + Send + 'static,
    {
        self.pool.clone().run(tracing::debug_span!("maintenance"), work)
    }
}

impl Actor for MaintenanceActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(FLUSH_EVERY, |actor, context| {
            if actor.layer.needs_flush() {
                actor.perform(context, "flush", |actor| {
                    actor.run(DiffStagingLayer::flush_beside_work)
                });
            }
        });
        context.run_interval(CHECKPOINT_EVERY, |actor, context| {
            if actor.layer.has_long_log() {
                actor.perform(context, "checkpoint", |actor| {
                    actor.run(DiffStagingLayer::checkpoint_log)
                });
            }
        });
        if !self.layer.options().approval_rules.approve.is_empty() {
            context.run_interval(RULES_EVERY, |actor, context| {
                actor.perform(context, "rules", |actor| fs::ask(&actor.fs, ApplyByRules));
            });
        }
        context.run_interval(self.layer.options().sweep_every, |actor, context| {
            actor.perform(context, "sweep", |actor| {
                let swept = fs::ask(&actor.fs, Sweep { budget: SWEEP_BUDGET });
                async { swept.await.map(drop) }
            });
        });
    }
}

// What is under way is finished, and no more is begun.
handlers! { MaintenanceActor: Plain; Stop -> (), |_actor, context| context.stop(); }
