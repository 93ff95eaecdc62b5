//! The two agents. Whatever they do to a file goes through their session.

use std::collections::BTreeMap;

use actix::prelude::*;
use orchestrator_adapter::{
    Event, EventDelivery, OpenedSession, ReadThrough, RelPath, SafeDelete, SafeEdit, SafeRename,
    SafeWrite, SessionActor, SessionId, Staging,
};
use tokio::sync::oneshot;

use crate::rewrite::{inlined, module_index, rewritten, with_index};
use crate::story::Story;

/// The files that an agent is to look at; it answers with what it proposed.
pub(crate) struct Work {
    pub(crate) files: Vec<RelPath>,
}

impl Message for Work {
    type Result = Result<Goals, String>;
}

/// By each patch's path, what files are to hold once it is applied; `None` where
/// one is to be gone.
pub(crate) type Goals = BTreeMap<RelPath, Vec<(RelPath, Option<Vec<u8>>)>>;

/// Asks the refactorer what it wants by now.
pub(crate) struct CurrentGoals;

impl Message for CurrentGoals {
    type Result = Goals;
}

/// Reads and proposes in one session.
#[derive(Clone)]
struct SessionClient(Addr<SessionActor>);

impl SessionClient {
    async fn read(&self, path: &RelPath) -> Result<String, String> {
        let read = self.0.send(ReadThrough { path: path.clone() }).await.map_err(say)?;
        let content = read.map_err(say)?.ok_or_else(|| format!("{path} is gone"))?;
        String::from_utf8(content).map_err(say)
    }

    async fn propose<M>(&self, message: M) -> Result<(), String>
    where
        M: Message<
                Result = Result<orchestrator_adapter::Proposed, orchestrator_adapter::ActorError>,
            > + Send
            + 'static,
        SessionActor: Handler<M>,
    {
        self.0.send(message).await.map_err(say)?.map_err(say).map(|_| ())
    }

    async fn write(&self, path: &RelPath, content: &str) -> Result<(), String> {
        let content = content.as_bytes().to_vec();
        self.propose(SafeWrite { path: path.clone(), content, mode: None }).await
    }
}

/// Renames an identifier and a module over the whole tree, and folds a small
/// module into its parent.
pub(crate) struct Refactorer {
    session: SessionId,
    session_client: SessionClient,
    goals: Goals,
}

impl Refactorer {
    pub(crate) async fn start_in(staging: &Staging, opened: &OpenedSession) -> Story<Addr<Self>> {
        let session_client = SessionClient(opened.actor.clone());
        let agent =
            Self { session: opened.session.id, session_client, goals: Goals::new() }.start();
        staging.subscribe(agent.clone().recipient()).await?;
        Ok(agent)
    }
}

impl Actor for Refactorer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(1024);
    }
}

impl Handler<Work> for Refactorer {
    type Result = ResponseActFuture<Self, Result<Goals, String>>;

    fn handle(&mut self, work: Work, _: &mut Self::Context) -> Self::Result {
        let refactored = refactor(self.session_client.clone(), work.files).into_actor(self);
        Box::pin(refactored.map(|goals, agent, _| {
            agent.goals = goals.clone()?;
            goals
        }))
    }
}

impl Handler<EventDelivery> for Refactorer {
    type Result = ();

    /// A patch of its own is stale: it reads the file again and proposes anew.
    fn handle(&mut self, delivery: EventDelivery, context: &mut Self::Context) {
        let Event::PatchStale { session, path, .. } = &delivery.record.event else { return };
        if *session != self.session {
            return;
        }
        let (session_client, path) = (self.session_client.clone(), path.clone());
        let again = async move {
            let content = rewritten(&path, &session_client.read(&path).await?);
            session_client.write(&path, &content).await?;
            Ok::<_, String>((path, content))
        };
        // Nobody is answered before the goals are right again.
        context.wait(again.into_actor(self).map(|done, agent, _| match done {
            Ok((path, content)) => {
                println!("  refactorer: {path} changed under me, I read it again");
                agent.goals.insert(path.clone(), vec![(path, Some(content.into_bytes()))]);
            }
            Err(error) => eprintln!("refactorer: {error}"),
        }));
    }
}

impl Handler<CurrentGoals> for Refactorer {
    type Result = MessageResult<CurrentGoals>;

    fn handle(&mut self, _: CurrentGoals, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.goals.clone())
    }
}

async fn refactor(session_client: SessionClient, files: Vec<RelPath>) -> Result<Goals, String> {
    let mut goals = Goals::new();
    let mut renamed = String::from("# Files in which Refusal became PathRefusal\n\n");
    for path in &files {
        let before = session_client.read(path).await?;
        let after = rewritten(path, &before);
        if after == before {
            continue;
        }
        session_client.write(path, &after).await?;
        goals.insert(path.clone(), vec![(path.clone(), Some(after.into_bytes()))]);
        renamed.push_str(&format!("- {path}\n"));
    }

    let note = parse("docs/path-refusal.md")?;
    session_client.write(&note, &renamed).await?;
    goals.insert(note.clone(), vec![(note, Some(renamed.into_bytes()))]);

    let (from, to) =
        (parse("crates/staging-core/src/time.rs")?, parse("crates/staging-core/src/timestamp.rs")?);
    let moved = session_client.read(&from).await?.into_bytes();
    session_client.propose(SafeRename { path: from.clone(), to: to.clone() }).await?;
    goals.insert(from.clone(), vec![(from, None), (to, Some(moved))]);

    let (parent, module) = (
        parse("crates/orchestrator-adapter/src/lib.rs")?,
        parse("crates/orchestrator-adapter/src/staging.rs")?,
    );
    let (before, body) = (session_client.read(&parent).await?, session_client.read(&module).await?);
    let (old, new) = ("mod staging;\n".to_owned(), inlined("staging", &body));
    let after = before.replacen(&old, &new, 1);
    let (old, new) = (old.into_bytes(), new.into_bytes());
    session_client.propose(SafeEdit { path: parent.clone(), old, new, replace_all: false }).await?;
    session_client.propose(SafeDelete { path: module.clone() }).await?;
    goals.insert(parent.clone(), vec![(parent, Some(after.into_bytes()))]);
    goals.insert(module.clone(), vec![(module, None)]);
    Ok(goals)
}

/// Writes an index of every crate's modules.
pub(crate) struct Documenter {
    session: SessionId,
    session_client: SessionClient,
    rejected_because: Option<oneshot::Sender<String>>,
}

impl Documenter {
    /// The agent, and the reason that it will be given if it is rejected.
    pub(crate) async fn start_in(
        staging: &Staging,
        opened: &OpenedSession,
    ) -> Story<(Addr<Self>, oneshot::Receiver<String>)> {
        let (sender, rejected_because) = oneshot::channel();
        let (session, session_client) = (opened.session.id, SessionClient(opened.actor.clone()));
        let agent = Self { session, session_client, rejected_because: Some(sender) }.start();
        staging.subscribe(agent.clone().recipient()).await?;
        Ok((agent, rejected_because))
    }
}

impl Actor for Documenter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(1024);
    }
}

impl Handler<Work> for Documenter {
    type Result = ResponseFuture<Result<Goals, String>>;

    fn handle(&mut self, work: Work, _: &mut Self::Context) -> Self::Result {
        Box::pin(document(self.session_client.clone(), work.files))
    }
}

impl Handler<EventDelivery> for Documenter {
    type Result = ();

    fn handle(&mut self, delivery: EventDelivery, _: &mut Self::Context) {
        if let Event::PatchDiscarded { session, text: Some(text), .. } = &delivery.record.event
            && *session == self.session
            && let Some(rejected_because) = self.rejected_because.take()
        {
            println!("  documenter: I was rejected, because {text}");
            // The story may not wait for it.
            let _ = rejected_because.send(text.clone());
        }
    }
}

async fn document(session_client: SessionClient, files: Vec<RelPath>) -> Result<Goals, String> {
    let mut goals = Goals::new();
    let mut pages = String::from("# Modules\n");
    for root in files.iter().filter(|path| path.file_name() == b"lib.rs") {
        let mut texts = Vec::new();
        for sibling in files.iter().filter(|path| path.parent() == root.parent() && *path != root) {
            texts.push((sibling.clone(), session_client.read(sibling).await?));
        }
        let index = module_index(&texts);
        if index.is_empty() {
            continue;
        }
        let content = with_index(&session_client.read(root).await?, &index);
        session_client.write(root, &content).await?;
        goals.insert(root.clone(), vec![(root.clone(), Some(content.into_bytes()))]);
        pages.push_str(&format!("\n## {root}\n\n{index}"));
    }
    let page = parse("docs/modules.md")?;
    session_client.write(&page, &pages).await?;
    goals.insert(page.clone(), vec![(page, Some(pages.into_bytes()))]);
    Ok(goals)
}

fn parse(path: &str) -> Result<RelPath, String> {
    RelPath::parse(path.as_bytes()).map_err(say)
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}
