//! What agents do: propose changes, and read the files as their session sees them.

use orchestrator_adapter::{ProposePatch as Patch, StageAll};
use staging_core::{ErrorKind, PatchNames, PatchRequest, Proposed, SessionId};

use super::at_once::has_capture;
use super::params::{Propose, ProposePatch, Read};
use super::protocol::body;
use super::selecting::file;
use super::server::{Answer, Answered, Server, sent};
use crate::commands::import_captures;
use crate::commands::staged::staged_view;
use crate::failure::Failure;
use crate::json::ContentView;

impl Server {
    pub(super) async fn propose(&self, params: Propose) -> Answered {
        let session = params.session;
        let actor = self.actor(session)?;
        self.import(session).await?;
        let proposals = params.into_proposals()?;
        let proposed: Vec<Proposed> = sent(actor.send(StageAll { proposals }).await)?;
        Ok(Answer::of(&staged_view(Some(session), &proposed, &[])))
    }

    pub(super) async fn propose_patch(&self, params: ProposePatch) -> Answered {
        let ProposePatch { session, patch, directory, bases } = params;
        let actor = self.actor(session)?;
        self.import(session).await?;
        let directory = directory.as_deref().map(file).transpose()?;
        let bases = bases.iter().map(|(path, base)| Ok((file(path)?, *base)));
        let bases = bases.collect::<Result<_, Failure>>()?;
        let (text, names) = (patch.into(), PatchNames::AsGitApply);
        let request = PatchRequest { text, directory, names, bases, ..PatchRequest::default() };
        let proposed = sent(actor.send(Patch { request }).await)?;
        Ok(Answer::of(&staged_view(Some(session), &proposed.proposed, &proposed.fitted)))
    }

    pub(super) async fn read(&self, Read { session, path }: Read) -> Answered {
        let path = file(&path)?;
        self.actor(session)?;
        self.import(session).await?;
        self.reading(move |layer| {
            let missing = || {
                Failure::new(ErrorKind::NotFound, format!("{session} sees no file `{path}`"))
                    .about(path.to_escaped())
            };
            let content = layer.read_through(session, &path)?.ok_or_else(missing)?;
            Ok(body(&ContentView::new(session, &path, content)))
        })
        .await
    }

    /// Stages what commands of `run` have written in this session so far.
    #[cfg(target_os = "linux")]
    pub(super) async fn import(&self, session: SessionId) -> Result<(), Failure> {
        use crate::commands::capture_failure;
        if !has_capture(self.staging.layer(), session) {
            return Ok(());
        }
        let import = move |layer: &_| {
            capture::SessionCapture::of(layer, session).import().map_err(capture_failure)
        };
        self.blocking(import).await.map(drop)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) async fn import(&self, _: SessionId) -> Result<(), Failure> {
        Ok(())
    }

    /// The same of all sessions. One that cannot be read keeps no other from working.
    pub(super) async fn import_all(&self) {
        let import = |layer: &_| {
            import_captures(layer, |_| {}, |warning| tracing::warn!(warning, "not all is staged"));
            Ok(())
        };
        // It has no failure of its own.
        let _ = self.blocking(import).await;
    }
}
