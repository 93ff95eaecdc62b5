//! The FsActor: the one owner of every disk swap.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actix::prelude::*;
use staging_core::{
    ApplyReport, DiskOwner, RecoverReport, RedoReport, RuleOutcome, RuleRunner, SweepReport,
    UndoReport,
};

use super::Plain;
use crate::error::ActorError;
use crate::messages::{PerformApply, Recover, RedoApply, Stop, UndoApply};

/// Removes what the last apply left, after its answer.
struct Tidy;

impl Message for Tidy {
    type Result = ();
}

/// Applies the sets that rules approve.
pub(super) struct ApplyByRules;

impl Message for ApplyByRules {
    type Result = Done<()>;
}

/// Sweeps for as long as `budget`.
pub(super) struct Sweep {
    pub(super) budget: Duration,
}

impl Message for Sweep {
    type Result = Done<SweepReport>;
}

/// Owns the disk, on a thread of its own, so that its handlers may block.
pub(super) struct FsActor {
    owner: DiskOwner,
    rules: RuleRunner,
}

impl FsActor {
    /// Starts it on a thread of its own.
    pub(super) fn launch(owner: DiskOwner) -> (Addr<Self>, Arbiter) {
        let arbiter = Arbiter::new();
        let rules = RuleRunner::new(owner.options().approval_rules.clone());
        let addr = Self::start_in_arbiter(&arbiter.handle(), |_| Self { owner, rules });
        (addr, arbiter)
    }

    fn tidy(&self) {
        match self.owner.tidy() {
            Ok(kept) => {
                for kept in kept {
                    let file = kept.file.display().to_string();
                    tracing::warn!(path = %kept.path, file, "a user's edit was kept beside");
                }
            }
            Err(error) => tracing::warn!(%error, "recovery tidies what the apply left"),
        }
    }
}

/// Sends a message to the actor, and gives its answer.
pub(super) fn ask<M, T>(
    fs: &Addr<FsActor>,
    message: M,
) -> impl Future<Output = Result<T, ActorError>> + use<M, T>
where
    M: Message<Result = Result<T, ActorError>> + Send + 'static,
    T: Send + 'static,
    FsActor: Handler<M>,
{
    let answered = fs.send(message);
    async { answered.await.unwrap_or(Err(ActorError::Stopped { actor: "FsActor" })) }
}

/// What rules decided is in the log; what they could not do is reported here alone.
fn report(outcome: &RuleOutcome) {
    match outcome {
        RuleOutcome::Applied { session, rule, report } => {
            tracing::info!(%session, rule, apply = ?report.apply, "applied by a rule");
        }
        RuleOutcome::Failed { session, rule, error } => {
            tracing::warn!(%session, rule, %error, "a rule's apply failed");
        }
        RuleOutcome::Asks { session, reason } => {
            tracing::info!(%session, reason, "left to the reviewer");
        }
        RuleOutcome::Waits { session, reason } => {
            tracing::info!(%session, reason, "waits until its rule approves again");
        }
        _ => {}
    }
}

/// A panic ends this call, not the actor: the layer's locks and transactions take back
/// what it had begun, and recovery decides the rest before the next call.
fn catch_panic<T>(work: impl FnOnce() -> staging_core::Result<T>) -> Result<T, ActorError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(ActorError::Panicked),
    }
}

impl Actor for FsActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.owner.options().mailbox_capacity.max(1));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.tidy();
    }
}

type Done<T> = Result<T, ActorError>;

// A notification is handled after the answer has gone out.
handlers! { FsActor: Done;
    PerformApply { request } -> ApplyReport, |actor, context| {
        let _span = tracing::info_span!("perform_apply", named = request.ids.len()).entered();
        context.notify(Tidy);
        catch_panic(|| actor.owner.apply(&request))
    };
    UndoApply { request } -> UndoReport, |actor, context| {
        let _span = tracing::info_span!("undo_apply").entered();
        context.notify(Tidy);
        catch_panic(|| actor.owner.undo_part(&request))
    };
    RedoApply { request } -> RedoReport, |actor, context| {
        let _span = tracing::info_span!("redo_apply").entered();
        context.notify(Tidy);
        catch_panic(|| actor.owner.redo(&request))
    };
    ApplyByRules -> (), |actor, context| {
        context.notify(Tidy);
        let outcomes = catch_panic(|| actor.rules.run(&actor.owner))?;
        outcomes.iter().for_each(report);
        Ok(())
    };
    Sweep { budget } -> SweepReport, |actor, _| {
        let _span = tracing::debug_span!("sweep").entered();
        catch_panic(|| actor.owner.sweep(budget))
    };
    Recover -> RecoverReport, |actor, _| {
        let _span = tracing::info_span!("recover").entered();
        catch_panic(|| actor.owner.recover())
    };
}

handlers! { FsActor: Plain;
    Tidy -> (), |actor, _| actor.tidy();
    Stop -> (), |actor, context| {
        actor.tidy();
        context.stop();
    };
}
