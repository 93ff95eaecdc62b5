//! From a tool's name and arguments to its answer.

use std::sync::Arc;

use rmcp::model::ContentBlock;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use staging_core::{DiffStagingLayer, PatchProposed, escape_for_display};

use crate::answers::Answer;
use crate::arguments::Nothing;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::listing;
use crate::paths::Allowed;
use crate::reading::{self, Media};
use crate::review;
use crate::sessions::Seat;
use crate::writing::{self, Prepared, answered};

/// One call of a tool.
pub(crate) struct Call<'c> {
    pub(crate) name: &'c str,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) layer: DiffStagingLayer,
    pub(crate) allowed: Arc<Allowed>,
    pub(crate) is_cancelled: Box<dyn Fn() -> bool + Send>,
}

/// What a tool answers, as the protocol has it.
pub(crate) struct Outcome {
    pub(crate) content: Vec<ContentBlock>,
    pub(crate) structured: Value,
}

impl Outcome {
    fn text(text: String) -> Self {
        let structured = json!({"content": &text});
        Self { content: vec![ContentBlock::text(text)], structured }
    }

    /// What is said of patches: a person may read it, too.
    fn about_patches(text: &str) -> Self {
        Self::text(escape_for_display(text).into_owned())
    }

    fn own(mut answer: Answer, seat: &Seat) -> Self {
        answer.text = escape_for_display(&answer.text).into_owned();
        let structured = answer.structured(&seat.session.session);
        Self { content: vec![ContentBlock::text(answer.text)], structured }
    }
}

impl Call<'_> {
    pub(crate) async fn run(self, seat: &Seat) -> Result<Outcome, Failure> {
        match self.name {
            "read_file" | "read_text_file" => self.look(seat, reading::read_text_file).await,
            "read_multiple_files" => self.look(seat, reading::read_multiple_files).await,
            "list_directory" => self.look(seat, listing::list_directory).await,
            "list_directory_with_sizes" => {
                self.look(seat, listing::list_directory_with_sizes).await
            }
            "directory_tree" => self.look(seat, listing::directory_tree).await,
            "search_files" => self.look(seat, listing::search_files).await,
            "get_file_info" => self.look(seat, listing::get_file_info).await,
            "read_media_file" => self.media(seat).await,
            "list_allowed_directories" => Ok(self.allowed_directories()),
            "write_file" => self.stage(seat, writing::write_file).await,
            "edit_file" => self.stage(seat, |desk, edit| writing::edit_file(desk, &edit)).await,
            "create_directory" => {
                self.stage(seat, |desk, path| writing::create_directory(desk, &path)).await
            }
            "move_file" => self.stage(seat, |desk, moved| writing::move_file(desk, &moved)).await,
            "delete_file" => self.stage(seat, |desk, path| writing::delete_file(desk, &path)).await,
            "propose" => self.propose(seat).await,
            "pending" => self.pending(seat).await,
            "diff" => self.diff(seat).await,
            "discard" => self.discard(seat).await,
            name => Err(Failure::new(format!("the tool `{name}` is not served"))),
        }
    }

    /// A tool that only looks, and answers in words.
    async fn look<A: DeserializeOwned + Send + 'static>(
        self,
        seat: &Seat,
        tool: fn(&Desk, &A) -> Result<String, Failure>,
    ) -> Result<Outcome, Failure> {
        self.at_desk(seat, move |desk, arguments: A| tool(desk, &arguments))
            .await
            .map(Outcome::text)
    }

    /// Work that blocks, off the event loop.
    async fn at_desk<A, T>(
        self,
        seat: &Seat,
        work: impl FnOnce(&Desk, A) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure>
    where
        A: DeserializeOwned + Send + 'static,
        T: Send + 'static,
    {
        let arguments: A = arguments(self.arguments)?;
        let session = seat.session.session.id;
        let (layer, allowed, is_cancelled) = (self.layer, self.allowed, self.is_cancelled);
        let span = tracing::info_span!("tool", name = self.name, %session);
        let worked = tokio::task::spawn_blocking(move || {
            span.in_scope(|| {
                let view = layer.session_view(session)?;
                let desk = Desk { layer, session, allowed, view, is_cancelled };
                work(&desk, arguments)
            })
        });
        match worked.await {
            Ok(worked) => worked,
            Err(_) => Err(Failure::new("the tool failed inside: nothing was staged")),
        }
    }

    fn allowed_directories(self) -> Outcome {
        let directories = self.allowed.directories();
        let lines: Vec<String> = directories
            .iter()
            .map(|place| {
                let full = self.allowed.full(place);
                staging_core::escape_path(full.as_os_str())
            })
            .collect();
        Outcome::text(format!("Allowed directories:\n{}", lines.join("\n")))
    }

    async fn media(self, seat: &Seat) -> Result<Outcome, Failure> {
        let media = self.at_desk(seat, |desk, path| reading::read_media_file(desk, &path)).await?;
        let Media { block } = media;
        let shown = serde_json::to_value(&block)
            .map_err(|error| Failure::new(format!("the file cannot be sent: {error}")))?;
        Ok(Outcome { structured: json!({"content": [shown]}), content: vec![block] })
    }

    /// A tool that proposes: what it wants is worked out first, then staged whole.
    async fn stage<A: DeserializeOwned + Send + 'static>(
        self,
        seat: &Seat,
        tool: impl FnOnce(&Desk, A) -> Result<Prepared, Failure> + Send + 'static,
    ) -> Result<Outcome, Failure> {
        let is_own = self.name == "delete_file";
        let Prepared { wish, text } = self.at_desk(seat, tool).await?;
        let mut answer = Answer::text(text);
        if let Some(wish) = wish {
            let proposed = wish.send(&seat.session.actor).await?;
            let staged = Answer::staged(&seat.session.session, &proposed);
            answer.text.push_str(&staged.text);
            answer.patches = staged.patches;
        }
        Ok(if is_own { Outcome::own(answer, seat) } else { Outcome::about_patches(&answer.text) })
    }

    async fn propose(self, seat: &Seat) -> Result<Outcome, Failure> {
        let allowed = Arc::clone(&self.allowed);
        let message = self.at_desk(seat, writing::propose).await?;
        let sent: PatchProposed = answered(seat.session.actor.send(message).await)?;
        let staged = Answer::staged(&seat.session.session, &sent.proposed);
        // A symlink below an allowed directory may lead to another part of the workspace.
        let strays: Vec<_> = staged
            .patches
            .iter()
            .filter(|patch| {
                let paths = std::iter::once(&patch.path).chain(&patch.rename_to);
                paths.into_iter().any(|path| !allowed.allows(&Some(path.clone())))
            })
            .collect();
        if let Some(stray) = strays.first() {
            let path = stray.path.clone();
            let ids = staged.patches.iter().map(|patch| staging_core::Selector::Patch(patch.id));
            let reason_text = Some("it leads out of the client's roots".to_owned());
            let discard = orchestrator_adapter::DiscardPatch { ids: ids.collect(), reason_text };
            answered(seat.session.actor.send(discard).await)?;
            return Err(Failure::new(format!(
                "`{path}` lies outside of the allowed directories: nothing of the patch is staged"
            )));
        }
        let text = writing::fitted(&sent) + &staged.text;
        Ok(Outcome::own(Answer { text, ..staged }, seat))
    }

    async fn pending(self, seat: &Seat) -> Result<Outcome, Failure> {
        let session = seat.session.session.clone();
        let answer =
            self.at_desk(seat, move |desk, Nothing {}| review::pending(desk, &session)).await?;
        Ok(Outcome::own(answer, seat))
    }

    async fn diff(self, seat: &Seat) -> Result<Outcome, Failure> {
        let session = seat.session.session.clone();
        let answer =
            self.at_desk(seat, move |desk, diff| review::diff(desk, &session, &diff)).await?;
        Ok(Outcome::own(answer, seat))
    }

    async fn discard(self, seat: &Seat) -> Result<Outcome, Failure> {
        let (session, layer) = (seat.session.session.clone(), self.layer.clone());
        let message = self
            .at_desk(seat, move |desk, discard| review::discard(desk, &session, &discard))
            .await?;
        let discarded = answered(seat.session.actor.send(message).await)?;
        let ids: Vec<_> = discarded.iter().map(|patch| patch.id).collect();
        // It is the agent's own doing.
        layer.set_reported(&ids)?;
        Ok(Outcome::own(review::discarded(&discarded), seat))
    }
}

fn arguments<A: DeserializeOwned>(arguments: Map<String, Value>) -> Result<A, Failure> {
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| Failure::new(format!("the arguments are not those of the tool: {error}")))
}
