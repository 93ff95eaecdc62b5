//! Decisions in words for the agent.

use atomic_fs::escape_line_for_display;
use serde_json::{Value, json};

use crate::comment::LineComment;
use crate::decision::{Decided, Decision};
use crate::patch::PatchState;
use crate::sessions::decisions::DecisionReport;

/// How many patches of one decision are named.
const NAMED_MAX: usize = 20;

/// Decisions for their agent, a line for all patches with the same one: with the reviewer's reason
/// and the next step. Names and reasons are as they are; escape the text before it is shown.
pub fn decision_lines(decided: &[Decided]) -> String {
    let mut groups: Vec<((String, String), Vec<&Decided>)> = Vec::new();
    for one in decided {
        let words = words(one);
        match groups.iter_mut().find(|(of, _)| *of == words) {
            Some((_, patches)) => patches.push(one),
            None => groups.push((words, vec![one])),
        }
    }
    groups.iter().map(|((one, several), patches)| line(patches, one, several)).collect()
}

/// A decision for programs and models. `message` is what an agent needs that reads no other text.
pub fn decision_json(decided: &Decided) -> Value {
    let patch = &decided.patch;
    let message = decision_lines(std::slice::from_ref(decided));
    json!({
        "id": patch.id.to_string(),
        "path": patch.path.to_string(),
        "revision": patch.revision,
        "decision": decided.decision,
        "reason": patch.reason_text,
        "replaced_by": decided.replaced_by.map(|id| id.to_string()),
        "comments": patch.comments,
        "message": atomic_fs::escape_for_display(message.trim_end()),
    })
}

/// What an answer reports to an agent, as [`decision_lines`] has it, with how much is left.
pub fn report_lines(report: &DecisionReport) -> String {
    let mut text = decision_lines(&report.decided);
    if report.left > 0 {
        text.push_str(&format!("and {} more, in the next answers\n", report.left));
    }
    text
}

/// A comment below the decision that it belongs to.
fn comment_line(comment: &LineComment) -> String {
    let LineComment { path, line, text, comment } = comment;
    let [text, comment] = [text, comment].map(|text| escape_line_for_display(text));
    format!("\n  {path}:{line} `{text}`: {comment}")
}

fn line(patches: &[&Decided], one: &str, several: &str) -> String {
    let name = |decided: &&Decided| format!("{} {}", decided.patch.name(), decided.patch.path);
    let names: Vec<String> = patches.iter().take(NAMED_MAX).map(name).collect();
    let names = names.join(", ");
    match patches.len() {
        1 => format!("{names} {one}\n"),
        number if number > NAMED_MAX => {
            format!("{names} and {} more {several}\n", number - NAMED_MAX)
        }
        _ => format!("{names} {several}\n"),
    }
}

/// What follows the name of one patch, and the names of several.
fn words(decided: &Decided) -> (String, String) {
    let why = decided.patch.reason_text.as_ref().map(|text| format!(": {text}"));
    let comments: String = decided.patch.comments.iter().map(comment_line).collect();
    let why = why.unwrap_or_default() + &comments;
    let is_pending = decided.patch.state == PatchState::Pending;
    // The last decision may hide that it was edited before.
    let edited = match decided.patch.edited {
        true => ", as the user has edited it; read the file before another proposal",
        false => "",
    };
    let both = |rest: String| (format!("is {rest}"), format!("are {rest}"));
    let was = |rest: String| (format!("was {rest}"), format!("were {rest}"));
    match decided.decision {
        Decision::Applied => both(format!("applied{edited}")),
        Decision::Redone => both(format!("applied again{edited}")),
        Decision::Rejected => both(format!("discarded (rejected){why}")),
        Decision::Stale => {
            both(format!("discarded (stale){why}; read the file again before another proposal"))
        }
        Decision::Expired => both(format!(
            "discarded (the session expired){why}; propose it again if it is still needed"
        )),
        Decision::Dismissed => both(format!("dismissed by the user{why}")),
        Decision::Refreshed => match decided.replaced_by {
            Some(by) => was(format!(
                "proposed again by the user as {by}, merged with the file as it is now; read the \
                 file before another proposal"
            )),
            None => both("no longer needed: the file has the change already".to_owned()),
        },
        Decision::Edited if decided.replaced_by.is_none() && !decided.patch.edited => {
            was("edited by the user; what you have proposed since replaces the edit".to_owned())
        }
        Decision::Edited => {
            let by = decided.replaced_by.map(|by| format!(" as {by}")).unwrap_or_default();
            was(format!(
                "edited by the user and is pending{by}{why}; read the file before another proposal"
            ))
        }
        Decision::Undone if is_pending => {
            was("undone: the file is as it was before, and the patch is pending again".to_owned())
        }
        Decision::Undone => was("undone: the file is as it was before".to_owned()),
        Decision::Superseded => was("replaced".to_owned()),
    }
}
