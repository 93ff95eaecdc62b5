//! `review`: one patch after the other on a terminal, then one set, one question and one apply.

mod conclude;
mod marks;
mod show;

use std::io;

use staging_core::{Patch, Selection, Selector, SessionId};

use self::conclude::{Concluded, conclude};
use self::marks::{Change, Mark, Marks};
use super::approval::missing;
use super::context::{Context, remark_stale};
use super::edit::{Emptied, Revised, revise};
use crate::args::Review;
use crate::failure::Failure;
use crate::keys::{self, Key};

/// What the keys do.
const HELP: &str = "\
y  approve this patch
n  reject it
r  reject it with a reason, which the agent receives
e  edit it in your editor, then decide about your text
s  skip it: it stays pending
b  go back to the patch before
v  open its diff in your viewer or pager
a  approve it and all unmarked that follow; full replacements need a y each
d  done: decide with what is marked
q  quit: nothing is applied or rejected
At the end one question decides: answer it with y and Enter.
";

pub(super) fn review(context: &Context<'_>, arguments: &Review) -> Result<(), Failure> {
    if !context.console.can_ask {
        let elsewhere = "Read with `greenroom diff`, then decide with `greenroom apply` and \
                         `greenroom discard`.";
        return Err(Failure::usage("review needs a terminal, and prints no JSON").advise(elsewhere));
    }
    let ids = context.resolve(&arguments.selection)?;
    let selection = context.layer.select(&ids)?;
    let Selection { patches, lapsed, .. } = selection.whole(arguments.rest)?;
    remark_stale(context.console, &lapsed);
    if patches.is_empty() {
        context.console.remark("nothing is pending");
        return Ok(());
    }
    let mut marks = Marks::new(patches);
    loop {
        renew(context, &mut marks)?;
        if marks.current().is_some() {
            match answer(context, &mut marks)? {
                Answered::Goes => continue,
                Answered::Quit => return Err(quit()),
            }
        }
        // What is marked has to be what is pending, or it is shown again.
        if renew(context, &mut marks)? {
            continue;
        }
        match conclude(context, &marks, arguments.rest)? {
            Concluded::Done => return Ok(()),
            // An agent was faster than the answer.
            Concluded::Changed(failure) => {
                context.console.warn(&failure.message);
                if !renew(context, &mut marks)? {
                    return Err(failure);
                }
            }
        }
    }
}

/// Whether the review goes on.
enum Answered {
    Goes,
    Quit,
}

fn quit() -> Failure {
    missing("review was left").advise("Nothing was applied or rejected.")
}

/// Compares the marks with what is pending now, and reports what an agent has changed meanwhile;
/// whether there was anything.
fn renew(context: &Context<'_>, marks: &mut Marks) -> Result<bool, Failure> {
    let mut sessions: Vec<SessionId> =
        marks.items().iter().map(|item| item.patch.session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    let sessions: Vec<Selector> = sessions.into_iter().map(Selector::Session).collect();
    let pending = match sessions.is_empty() {
        true => Vec::new(),
        false => context.layer.select(&sessions)?.patches,
    };
    let changes = marks.renew(&pending);
    for change in &changes {
        match change {
            Change::Rewritten { patch, revision, was_marked } => {
                let mark = if *was_marked { ", its mark is gone" } else { "" };
                context.console.warn(&format!(
                    "{patch} was rewritten and is at revision {revision}{mark}: it is shown again"
                ));
            }
            Change::Replaced { old, new, was_marked } => {
                let mark = if *was_marked { ", its mark is gone" } else { "" };
                context
                    .console
                    .warn(&format!("{old} was replaced by {new}{mark}: it is shown again"));
            }
            Change::Gone(id) => {
                let patch = context.layer.patch(*id)?;
                let why = patch.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                context.console.warn(&format!(
                    "{id} `{}` is no longer pending: it is {}{why}",
                    patch.path, patch.state
                ));
            }
        }
    }
    Ok(!changes.is_empty())
}

/// Shows the current patch and does what the key says.
fn answer(context: &Context<'_>, marks: &mut Marks) -> Result<Answered, Failure> {
    let failed = |source: io::Error| Failure::io("cannot ask", &source);
    let Some((number, item)) = marks.current() else { return Ok(Answered::Goes) };
    let patch = item.patch.clone();
    show::patch(context, number, marks.items().len(), item)?;
    let question = format!("({number}/{}) Approve? [y,n,r,e,s,b,v,a,d,q,?] ", marks.items().len());
    loop {
        let key = keys::ask(&question).map_err(failed)?;
        let Key::Character(key) = key else {
            context.console.warn(if key == Key::Quit { "quit" } else { "`?` lists the keys" });
            if key == Key::Quit {
                return Ok(Answered::Quit);
            }
            continue;
        };
        // One word for each key, as its echo.
        match key {
            'y' => {
                context.console.warn("approved");
                marks.mark(Some(Mark::Approved));
            }
            'n' => {
                context.console.warn("rejected");
                marks.mark(Some(Mark::Rejected(None)));
            }
            'r' => match context.console.ask_line("reject\nReason, for the agent: ")? {
                Some(reason) => marks.mark(Some(Mark::Rejected(Some(reason)))),
                None => {
                    context.console.warn("not rejected: there is no reason");
                    continue;
                }
            },
            'e' => {
                context.console.warn("edit");
                edit(context, &patch);
            }
            's' => {
                context.console.warn("skipped");
                marks.mark(None);
            }
            'b' => {
                context.console.warn("back");
                marks.back();
            }
            'v' => {
                context.console.warn("view");
                show::in_viewer(context, &patch)?;
                continue;
            }
            'a' => {
                context.console.warn("approve all");
                let rest: Vec<Patch> =
                    marks.rest().filter(|it| it.id != patch.id).cloned().collect();
                show::rest(context, &rest)?;
                marks.approve_rest();
            }
            'd' => {
                context.console.warn("done");
                marks.end();
            }
            'q' => {
                context.console.warn("quit");
                return Ok(Answered::Quit);
            }
            '?' => {
                context.console.warn("help");
                context.console.text(HELP)?;
                continue;
            }
            _ => {
                context.console.warn("`?` lists the keys");
                continue;
            }
        }
        return Ok(Answered::Goes);
    }
}

/// Edits a patch. The review goes on whatever comes of it: the new revision takes the patch's place.
fn edit(context: &Context<'_>, patch: &Patch) {
    match revise(context, patch.id.into(), Emptied::Refused) {
        Ok(Revised::Staged(_)) => {}
        Ok(Revised::Unchanged) => {
            context.console.warn(&format!("{} is unchanged: nothing was staged", patch.id));
        }
        Err(failure) => context.console.warn(failure.to_text(None).trim_end()),
    }
}
