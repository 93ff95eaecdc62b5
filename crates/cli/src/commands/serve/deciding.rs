//! What reviewers decide.

use std::rc::Rc;

use staging_core::{
    ApplyId, ApplyRequest, Approval, ApprovalMeans, DiffStagingLayer, NewComment, PatchId,
    RedoRequest, Reversible, Selector, UndoRequest,
};

use super::params::{Apply, Comment, Discard, Redo, Refresh, Undo};
use super::selecting::{file, selectors};
use super::server::{Answer, Answered, Server};
use crate::commands::approval::unasked;
use crate::commands::staged::staged_view;
use crate::commands::undo_paths::selected;
use crate::failure::Failure;
use crate::json::{AppliedView, DiscardedView, RecoverView, RedoneView, UndoneView, patches};

impl Server {
    /// The approval of the client, which is a program with rules of its own.
    ///
    /// # Errors
    /// `Refused` in the environment of an agent, unless the user's configuration allows it.
    fn approval(&self, method: &str) -> Result<Approval, Failure> {
        let command = format!("{method}, called over serve,");
        unasked(&self.location, ApprovalMeans::Library, &command)
    }

    pub(super) async fn apply(self: &Rc<Self>, params: Apply) -> Answered {
        let Apply { session, ids, expect, confirm_full_replace, rest, dry_run, message, request } =
            params;
        let approval = match dry_run {
            true => Approval::default(),
            false => self.approval("apply")?,
        };
        self.import_all().await;
        let ids = selectors(session, ids)?;
        let request = ApplyRequest {
            ids,
            expect,
            confirm_full_replace,
            dry_run,
            rest,
            request,
            message: message.filter(|message| !message.trim().is_empty()),
            approval,
            ..ApplyRequest::default()
        };
        let report = self.staging.apply(request).await?;
        // Any other outcome is an error.
        let outcome = if dry_run { "dry_run" } else { "committed" };
        Ok(Answer::of(&AppliedView::new(&report, outcome)))
    }

    pub(super) async fn discard(&self, params: Discard) -> Answered {
        let Discard { session, ids, reason, comments } = params;
        self.import_all().await;
        let ids = selectors(session, ids)?;
        let comments = comments.into_iter().map(|comment| new_comment(comment.0));
        let comments = comments.collect::<Result<_, _>>()?;
        let discarded = self.staging.discard_commented(ids, reason, comments).await?;
        Ok(Answer::of(&DiscardedView { patches: patches(&discarded) }))
    }

    pub(super) async fn refresh(&self, Refresh { session, ids }: Refresh) -> Answered {
        self.import_all().await;
        let ids = selectors(session, ids)?;
        let proposed = self.staging.refresh(ids).await?;
        let staged =
            proposed.iter().find_map(|one| one.patch.iter().chain(&one.also_changed).next());
        let session = staged.map(|patch| patch.session).or(session);
        Ok(Answer::of(&staged_view(session, &proposed, &[])))
    }

    pub(super) async fn undo(&self, Undo { session: _, apply, ids }: Undo) -> Answered {
        let approval = self.approval("undo")?;
        let mut request = UndoRequest { apply, approval, ..UndoRequest::default() };
        // The session is the queue that the call waits in. It does not select.
        let ids = selectors(None, ids)?;
        if !ids.is_empty() {
            let (apply, chosen) = self.blocking(move |layer| part(layer, apply, &ids)).await?;
            (request.apply, request.patches) = (Some(apply), chosen);
        }
        let report = self.staging.undo_part(request).await?;
        Ok(Answer::of(&UndoneView::from(&report)))
    }

    pub(super) async fn redo(&self, Redo { apply, expect, .. }: Redo) -> Answered {
        let approval = self.approval("redo")?;
        let request = RedoRequest { apply, expect, approval };
        let report = self.staging.redo(request).await?;
        Ok(Answer::of(&RedoneView::from(&report)))
    }

    pub(super) async fn recover(&self) -> Answered {
        let report = self.staging.recover().await?;
        Ok(Answer::of(&RecoverView::from(&report)))
    }
}

/// The apply, and those of its patches that are selected.
fn part(
    layer: &DiffStagingLayer,
    apply: Option<ApplyId>,
    ids: &[Selector],
) -> Result<(ApplyId, Vec<PatchId>), Failure> {
    let Reversible { apply, patches, .. } = layer.undoable(apply)?;
    let chosen = selected(layer, apply, patches, ids)?;
    Ok((apply, chosen.iter().map(|patch| patch.id).collect()))
}

fn new_comment(Comment { path, line, comment }: Comment) -> Result<NewComment, Failure> {
    Ok(NewComment { path: file(&path)?, line, comment })
}
