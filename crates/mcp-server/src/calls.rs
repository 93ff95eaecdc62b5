//! From a tool's name and arguments to its answer.

use std::sync::Arc;

use orchestrator_adapter::{DiscardPatch, StageAll};
use rmcp::model::{CallToolResult, ContentBlock};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use staging_core::{
    DiffStagingLayer, PatchProposed, Proposal, Proposed, StageRequest, escape_for_display,
    placement_remarks,
};
use tracing::Span;

use crate::answers::Answer;
use crate::captured;
use crate::context::Context;
use crate::failure::Failure;
use crate::listing;
use crate::paths::Allowed;
use crate::reading;
use crate::review;
use crate::sessions::SessionGuard;
use crate::writing::{self, Plan, answered};

/// One call of a tool.
pub(crate) struct Call<'c> {
    pub(crate) name: &'c str,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) layer: DiffStagingLayer,
    pub(crate) allowed: Arc<Allowed>,
    pub(crate) is_cancelled: Box<dyn Fn() -> bool + Send>,
}

/// What became of a tool's proposals on the thread that has worked them out.
enum Staged {
    Nothing,
    Done(Vec<Proposed>),
    /// Staging them may have to wait, and is left to the session's actor.
    Left(Vec<Proposal>),
}

impl Staged {
    fn at_once(context: &Context, proposals: Vec<Proposal>) -> Result<Self, Failure> {
        if proposals.is_empty() {
            return Ok(Self::Nothing);
        }
        let (session, span) = (context.session.id, Span::current());
        let request = StageRequest { session, proposals, span };
        // Handing a short proposal to another thread takes longer than staging it.
        Ok(match context.layer.stage_at_once(&request) {
            Some(staged) => Self::Done(staged?),
            None => Self::Left(request.proposals),
        })
    }
}

/// What a tool answers, for the model and for programs.
pub(crate) fn result(block: ContentBlock, structured: Value) -> CallToolResult {
    let mut result = CallToolResult::success(vec![block]);
    result.structured_content = Some(structured);
    result
}

fn text(text: String) -> CallToolResult {
    let structured = json!({"content": &text});
    result(ContentBlock::text(text), structured)
}

/// An answer of one of Greenroom's own tools, which a person may read, too.
fn own(mut answer: Answer, guard: &SessionGuard) -> CallToolResult {
    answer.text = escape_for_display(&answer.text).into_owned();
    let structured = answer.structured(&guard.session.session);
    result(ContentBlock::text(answer.text), structured)
}

impl Call<'_> {
    pub(crate) async fn run(self, guard: &SessionGuard) -> Result<CallToolResult, Failure> {
        match self.name {
            "read_file" | "read_text_file" => self.read(guard, reading::read_text_file).await,
            "read_multiple_files" => self.read(guard, reading::read_multiple_files).await,
            "list_directory" => self.read(guard, listing::list_directory).await,
            "list_directory_with_sizes" => {
                self.read(guard, listing::list_directory_with_sizes).await
            }
            "directory_tree" => self.read(guard, listing::directory_tree).await,
            "search_files" => self.read(guard, listing::search_files).await,
            "get_file_info" => self.read(guard, listing::get_file_info).await,
            "read_media_file" => self.media(guard).await,
            "list_allowed_directories" => Ok(self.allowed_directories()),
            "write_file" => self.stage(guard, writing::write_file).await,
            "edit_file" => self.stage(guard, writing::edit_file).await,
            "create_directory" => self.stage(guard, writing::create_directory).await,
            "move_file" => self.stage(guard, writing::move_file).await,
            "delete_file" => self.stage(guard, writing::delete_file).await,
            "propose" => self.propose(guard).await,
            "pending" => self.list(guard, review::pending).await,
            "diff" => self.list(guard, review::diff).await,
            "discard" => self.discard(guard).await,
            name => Err(Failure::new(format!("the tool `{name}` is not served"))),
        }
    }

    /// A tool that only looks, and answers in words.
    async fn read<A: DeserializeOwned + Send + 'static>(
        self,
        guard: &SessionGuard,
        tool: fn(&Context, &A) -> Result<String, Failure>,
    ) -> Result<CallToolResult, Failure> {
        self.with_context(guard, move |context, arguments: A| tool(context, &arguments))
            .await
            .map(text)
    }

    /// Work that blocks, off the event loop.
    async fn with_context<A, T>(
        self,
        guard: &SessionGuard,
        work: impl FnOnce(&Context, A) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure>
    where
        A: DeserializeOwned + Send + 'static,
        T: Send + 'static,
    {
        let arguments: A = arguments(Value::Object(self.arguments))?;
        let session = guard.session.session.clone();
        let (layer, allowed, is_cancelled) = (self.layer, self.allowed, self.is_cancelled);
        let span = tracing::info_span!("tool", name = self.name, session = %session.id);
        let worked = tokio::task::spawn_blocking(move || {
            span.in_scope(|| {
                captured::import(&layer, session.id)?;
                let view = layer.session_view(session.id)?;
                let context = Context { layer, session, allowed, view, is_cancelled };
                work(&context, arguments)
            })
        });
        match worked.await {
            Ok(worked) => worked,
            Err(_) => Err(Failure::new("the tool panicked: nothing was staged")),
        }
    }

    fn allowed_directories(self) -> CallToolResult {
        let directories = self.allowed.directories();
        let lines: Vec<String> = directories
            .iter()
            .map(|place| {
                let full = self.allowed.full(place);
                staging_core::escape_path(full.as_os_str())
            })
            .collect();
        text(format!("Allowed directories:\n{}", lines.join("\n")))
    }

    async fn media(self, guard: &SessionGuard) -> Result<CallToolResult, Failure> {
        let block = self
            .with_context(guard, |context, path| reading::read_media_file(context, &path))
            .await?;
        let shown = serde_json::to_value(&block)
            .map_err(|error| Failure::new(format!("the file cannot be sent: {error}")))?;
        Ok(result(block, json!({"content": [shown]})))
    }

    /// A tool that proposes: what it wants is worked out first, then staged whole.
    async fn stage<A: DeserializeOwned + Send + 'static>(
        self,
        guard: &SessionGuard,
        tool: impl FnOnce(&Context, A) -> Result<Plan, Failure> + Send + 'static,
    ) -> Result<CallToolResult, Failure> {
        let is_own = self.name == "delete_file";
        let planned = self.with_context(guard, |context, arguments| {
            let Plan { proposals, text } = tool(context, arguments)?;
            Ok((text, Staged::at_once(context, proposals)?))
        });
        let (said, staged) = planned.await?;
        let mut answer = Answer::text(said);
        let proposed = match staged {
            Staged::Nothing => None,
            Staged::Done(proposed) => Some(proposed),
            Staged::Left(proposals) => {
                Some(answered(guard.session.actor.send(StageAll { proposals }).await)?)
            }
        };
        if let Some(proposed) = proposed {
            let staged = Answer::staged(&proposed);
            answer.text.push_str(&staged.text);
            answer.patches = staged.patches;
        }
        if is_own {
            return Ok(own(answer, guard));
        }
        // A person may read it, too.
        Ok(text(escape_for_display(&answer.text).into_owned()))
    }

    async fn propose(self, guard: &SessionGuard) -> Result<CallToolResult, Failure> {
        let allowed = Arc::clone(&self.allowed);
        let message = self.with_context(guard, writing::propose).await?;
        let sent: PatchProposed = answered(guard.session.actor.send(message).await)?;
        let staged = Answer::staged(&sent.proposed);
        // A symlink below an allowed directory may lead to another part of the workspace.
        let strays: Vec<_> = staged
            .patches
            .iter()
            .filter(|patch| patch.paths().any(|path| !allowed.allows(&Some(path.clone()))))
            .collect();
        if let Some(stray) = strays.first() {
            let path = stray.path.clone();
            let ids = staged.patches.iter().map(staging_core::Selector::seen);
            let reason_text = Some("it is outside of the client's roots".to_owned());
            let ids = ids.collect();
            let discard = DiscardPatch { ids, reason_text, ..DiscardPatch::default() };
            answered(guard.session.actor.send(discard).await)?;
            return Err(Failure::new(format!(
                "`{path}` is outside of the allowed directories: nothing of the patch is staged"
            )));
        }
        let remarks = placement_remarks(&sent.fitted).into_iter();
        let remarks: String = remarks.map(|remark| format!("note: {remark}\n")).collect();
        let text = remarks + &staged.text;
        Ok(own(Answer { text, ..staged }, guard))
    }

    /// A tool that lists the session's patches.
    async fn list<A: DeserializeOwned + Send + 'static>(
        self,
        guard: &SessionGuard,
        tool: fn(&Context, &A) -> Result<Answer, Failure>,
    ) -> Result<CallToolResult, Failure> {
        let answer =
            self.with_context(guard, move |context, arguments: A| tool(context, &arguments)).await;
        Ok(own(answer?, guard))
    }

    async fn discard(self, guard: &SessionGuard) -> Result<CallToolResult, Failure> {
        let layer = self.layer.clone();
        let message =
            self.with_context(guard, |context, discard| review::discard(context, &discard)).await?;
        let discarded = answered(guard.session.actor.send(message).await)?;
        let ids: Vec<_> = discarded.iter().map(|patch| patch.id).collect();
        // It is the agent's own doing.
        layer.set_reported(&ids)?;
        Ok(own(review::discarded(&discarded), guard))
    }
}

/// Reads the arguments of a tool.
pub(crate) fn arguments<A: DeserializeOwned>(arguments: Value) -> Result<A, Failure> {
    serde_json::from_value(arguments).map_err(|error| {
        Failure::new(format!("the arguments do not match the tool's schema: {error}"))
    })
}
