//! What reviewers decide.

use std::rc::Rc;

use staging_core::{ApplyRequest, Approval, ApprovalMeans, RedoRequest};

use super::calls::{Apply, Discard, Redo, Refresh, Undo};
use super::selecting::selectors;
use super::server::{Answer, Answered, Server};
use crate::commands::approval::unasked;
use crate::commands::staged::staged_view;
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
        let Apply { session, ids, expect, confirm_full_replace, rest, dry_run, request } = params;
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
            approval,
            ..ApplyRequest::default()
        };
        let report = self.staging.apply(request).await?;
        // Any other outcome is an error.
        let outcome = if dry_run { "dry_run" } else { "committed" };
        Ok(Answer::of(&AppliedView::new(&report, outcome)))
    }

    pub(super) async fn discard(&self, params: Discard) -> Answered {
        let Discard { session, ids, reason } = params;
        self.import_all().await;
        let ids = selectors(session, ids)?;
        let discarded = self.staging.discard(ids, reason).await?;
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

    pub(super) async fn undo(&self, Undo { apply, .. }: Undo) -> Answered {
        let approval = self.approval("undo")?;
        let report = self.staging.undo(apply, approval).await?;
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
