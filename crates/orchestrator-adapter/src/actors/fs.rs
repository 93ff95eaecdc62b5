//! The FsActor: the one owner of every disk swap.

use std::panic::{AssertUnwindSafe, catch_unwind};

use actix::prelude::*;

use staging_core::{
    ApplyId, ApplyReport, ApplyRequest, Approval, DiffStagingLayer, RecoverReport, RedoReport,
    RedoRequest, UndoReport,
};

use super::error::ActorError;

/// Brings an approved set to the disk.
#[derive(Clone, Debug)]
pub struct PerformApply {
    /// What was approved.
    pub request: ApplyRequest,
}

impl Message for PerformApply {
    type Result = Result<ApplyReport, ActorError>;
}

/// Takes an applied set back; its patches are pending again.
#[derive(Clone, Debug, Default)]
pub struct UndoApply {
    /// Which; the newest on the disk when not given.
    pub apply: Option<ApplyId>,
    /// How it was approved, for the log.
    pub approval: Approval,
}

impl Message for UndoApply {
    type Result = Result<UndoReport, ActorError>;
}

/// Applies an undone set again.
#[derive(Clone, Debug, Default)]
pub struct RedoApply {
    /// Which, and what was approved.
    pub request: RedoRequest,
}

impl Message for RedoApply {
    type Result = Result<RedoReport, ActorError>;
}

/// Finishes or undoes what a dead process left.
#[derive(Clone, Copy, Debug)]
pub struct Recover;

impl Message for Recover {
    type Result = Result<RecoverReport, ActorError>;
}

/// Removes what the last apply left, after its answer.
struct Tidy;

impl Message for Tidy {
    type Result = ();
}

/// Stops once everything before it is done.
pub(super) struct Stop;

impl Message for Stop {
    type Result = ();
}

/// Owns every disk swap of this process, on a thread of its own, so that its
/// handlers may block.
pub(super) struct FsActor {
    layer: DiffStagingLayer,
}

impl FsActor {
    /// Starts it on a thread of its own.
    pub(super) fn launch(layer: DiffStagingLayer) -> (Addr<Self>, Arbiter) {
        let arbiter = Arbiter::new();
        let addr = Self::start_in_arbiter(&arbiter.handle(), |_| Self { layer });
        (addr, arbiter)
    }

    fn tidy(&self) {
        match self.layer.tidy() {
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
        context.set_mailbox_capacity(self.layer.options().mailbox_capacity.max(1));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.tidy();
    }
}

impl Handler<PerformApply> for FsActor {
    type Result = Result<ApplyReport, ActorError>;

    fn handle(&mut self, message: PerformApply, context: &mut Self::Context) -> Self::Result {
        let _span =
            tracing::info_span!("perform_apply", named = message.request.ids.len()).entered();
        let outcome = catch_panic(|| self.layer.apply(&message.request));
        // The answer goes out before this is handled.
        context.notify(Tidy);
        outcome
    }
}

impl Handler<UndoApply> for FsActor {
    type Result = Result<UndoReport, ActorError>;

    fn handle(&mut self, message: UndoApply, context: &mut Self::Context) -> Self::Result {
        let _span = tracing::info_span!("undo_apply").entered();
        let outcome = catch_panic(|| self.layer.undo_by(message.apply, &message.approval));
        context.notify(Tidy);
        outcome
    }
}

impl Handler<RedoApply> for FsActor {
    type Result = Result<RedoReport, ActorError>;

    fn handle(&mut self, message: RedoApply, context: &mut Self::Context) -> Self::Result {
        let _span = tracing::info_span!("redo_apply").entered();
        let outcome = catch_panic(|| self.layer.redo(&message.request));
        context.notify(Tidy);
        outcome
    }
}

impl Handler<Recover> for FsActor {
    type Result = Result<RecoverReport, ActorError>;

    fn handle(&mut self, _: Recover, _: &mut Self::Context) -> Self::Result {
        let _span = tracing::info_span!("recover").entered();
        catch_panic(|| self.layer.recover())
    }
}

impl Handler<Tidy> for FsActor {
    type Result = ();

    fn handle(&mut self, _: Tidy, _: &mut Self::Context) {
        self.tidy();
    }
}

impl Handler<Stop> for FsActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.tidy();
        context.stop();
    }
}
