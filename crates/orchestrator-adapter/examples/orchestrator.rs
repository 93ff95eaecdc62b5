//! A small multi-agent orchestrator: two agents change a real source tree, a
//! reviewer approves one of them and rejects the other, and the user edits a file
//! in between.
//!
//! `cargo run --example orchestrator -p greenroom-orchestrator-adapter` runs it on a copy of
//! this repository's own sources. It checks everything it says, and fails if
//! anything is off.

#[path = "orchestrator/agents.rs"]
mod agents;
#[path = "orchestrator/events.rs"]
mod events;
#[path = "orchestrator/rewrite.rs"]
mod rewrite;
#[path = "orchestrator/story.rs"]
mod story;
#[path = "orchestrator/user.rs"]
mod user;

use std::process::ExitCode;

use actix::prelude::*;
use orchestrator_adapter::{
    ActorError, ApplyChangeSet, ApplyOutcome, ApplyReport, DiffOptions, DiscardPatch, ErrorKind,
    Event, OpenedSession, RelPath, SessionActor, ShowDiff, ShownDiff, Staging, StagingOptions,
    escape_for_display,
};
use tokio::time::timeout;

use agents::{CurrentGoals, Documenter, Goals, Refactorer, Work};
use events::Heard;
use story::{PATIENCE, Story};
use user::UserFiles;

/// How much of a long diff is printed.
const LINES_SHOWN: usize = 48;

/// A file that the refactorer changes and the user edits meanwhile.
const CONTESTED: &str = "crates/atomic-fs/src/policy.rs";

fn main() -> ExitCode {
    match System::new().block_on(run_story()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe story went wrong: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run_story() -> Story<()> {
    let files = UserFiles::copy_of_our_sources()?;
    println!("A copy of this repository's {} sources is the workspace:", files.list()?.len());
    println!("  {}", files.workspace().display());
    let staging = Staging::open(StagingOptions::new(files.workspace(), files.state())).await?;
    let mut heard = events::listen(&staging).await?;
    let untouched = files.hash()?;

    chapter("Two agents work at once");
    let refactoring = staging.open_session("refactorer").await?;
    let documenting = staging.open_session("documenter").await?;
    let refactorer = Refactorer::start_in(&staging, &refactoring).await?;
    let (documenter, rejected_because) = Documenter::start_in(&staging, &documenting).await?;
    // Both are asked before either is waited for.
    let refactored = refactorer.send(Work { files: files.list()? });
    let documented = documenter.send(Work { files: files.list()? });
    let (goals, pages) = (refactored.await??, documented.await??);
    heard.until_proposed(goals.len() + pages.len()).await?;
    check(files.hash()? == untouched, "no proposal touches the workspace")?;
    println!(
        "They proposed {} and {} patches; the workspace is untouched.",
        goals.len(),
        pages.len()
    );

    chapter("The reviewer rejects the documenter's session");
    let shown = show(&staging, &documenting.actor, 12).await?;
    check(shown.patches.len() == pages.len(), "every proposal is in the diff")?;
    let reason = "the modules already say this themselves".to_owned();
    let reject = DiscardPatch { reason_text: Some(reason.clone()), ..DiscardPatch::default() };
    let rejected = documenting.actor.send(reject).await??;
    let given = timeout(PATIENCE, rejected_because).await??;
    check(given == reason, "the agent is given the reason")?;
    check(rejected.len() == pages.len() && files.hash()? == untouched, "the tree is as it was")?;
    println!("The documenter received the reason; the tree is unchanged, byte for byte.");

    chapter("The user edits a file that the refactorer wants to change");
    let shown = show(&staging, &refactoring.actor, LINES_SHOWN).await?;
    check(shown.patches.len() == goals.len(), "every proposal is in the diff")?;
    files.append(CONTESTED, b"// A note that the user has just made.\n")?;
    let edited = files.hash()?;
    let refused = approve(&refactoring, &shown).await.err().ok_or("the set is stale")?;
    println!("The approval is refused: {refused}");
    // On a busy machine the agent may have read the file again by now, and the set is another one.
    let is_outdated = matches!(refused.kind(), ErrorKind::Stale | ErrorKind::SignatureMismatch);
    check(is_outdated, "the set is refused, since the file changed")?;
    check(files.hash()? == edited, "nothing was applied, and the user's edit stands")?;

    chapter("The refactorer reads the file again; the reviewer approves");
    heard.until_proposed_again(CONTESTED).await?;
    let goals = refactorer.send(CurrentGoals).await?;
    apply_again(staging, &files, heard, &refactoring, &goals).await?;
    println!("\nOne session is on the disk, {} patches, byte for byte as staged;", goals.len());
    println!("the other is gone, and the user's edit in between was kept.");
    Ok(())
}

/// Approves the set in which one patch was proposed anew, and looks at the disk.
async fn apply_again(
    staging: Staging,
    files: &UserFiles,
    mut heard: Heard,
    refactoring: &OpenedSession,
    goals: &Goals,
) -> Story<()> {
    let contested = RelPath::parse(CONTESTED.as_bytes())?;
    let shown = refactoring.actor.send(ShowDiff::default()).await??;
    check(shown.patches.len() == goals.len(), "the set is complete again")?;
    let anew: Vec<_> = shown.patches.iter().filter(|p| p.path == contested).cloned().collect();
    let mut text = Vec::new();
    staging.layer().write_diff(&anew, &DiffOptions::default(), &mut text)?;
    print_lines(&text, 16);
    println!("signature {} of all {} patches", shown.signature, shown.patches.len());
    let before = files.contents()?;
    let report = approve(refactoring, &shown).await?;
    check(report.outcome == ApplyOutcome::Committed, "the set is on the disk")?;
    heard.until(|event| matches!(event, Event::ApplyCommitted { .. })).await?;

    let left = refactoring.actor.send(ShowDiff::default()).await??;
    check(left.patches.is_empty(), "nothing is left to decide")?;
    // What was displaced is removed after the answer; this waits for it.
    staging.shutdown().await?;
    verify(files, before, goals)?;
    let note = files.read(&contested)?.ok_or("the user's file is there")?;
    check(note.ends_with(b"// A note that the user has just made.\n"), "the user's edit is kept")?;
    Ok(())
}

/// Prints a session's diff, the beginning of it when it is long.
async fn show(
    staging: &Staging,
    session: &Addr<SessionActor>,
    lines_shown: usize,
) -> Story<ShownDiff> {
    let shown = session.send(ShowDiff::default()).await??;
    print_lines(&shown.text, lines_shown);
    println!("In short:");
    let mut stat = Vec::new();
    staging.layer().write_stat(&shown.patches, 80, &mut stat)?;
    print_lines(&stat, usize::MAX);
    println!("signature {}", shown.signature);
    Ok(shown)
}

fn print_lines(text: &[u8], at_most: usize) {
    // Agents wrote it, and nothing in it may hide from the reviewer.
    let text = escape_for_display(text);
    for line in text.lines().take(at_most) {
        println!("  | {line}");
    }
    match text.lines().count().saturating_sub(at_most) {
        0 => {}
        more => println!("  | … {more} more lines"),
    }
}

/// Approves exactly what was shown.
async fn approve(session: &OpenedSession, shown: &ShownDiff) -> Result<ApplyReport, ActorError> {
    let approval = ApplyChangeSet { expect: Some(shown.signature), ..Default::default() };
    let stopped = ActorError::Stopped { actor: "session" };
    session.actor.send(approval).await.unwrap_or(Err(stopped))
}

/// The files hold exactly what the agent staged, and all others what they held.
fn verify(files: &UserFiles, mut expected: user::Contents, goals: &Goals) -> Story<()> {
    for (path, content) in goals.values().flatten() {
        match content {
            Some(content) => expected.insert(path.clone(), content.clone()),
            None => expected.remove(path),
        };
    }
    check(files.contents()? == expected, "every file holds exactly the staged bytes")?;
    println!("All {} files of the workspace are exactly what they must be.", expected.len());
    Ok(())
}

fn chapter(title: &str) {
    println!("\n## {title}\n");
}

/// Everything the story says is checked by this.
fn check(holds: bool, claim: &str) -> Story<()> {
    if holds { Ok(()) } else { Err(format!("it does not hold that {claim}").into()) }
}
