//! The tools that propose changes. Each stages all that it was asked, or nothing.

use orchestrator_adapter::ProposePatch;
use staging_core::{
    DiffOptions, Digest, EditsError, FileKind, PatchRequest, Proposal, RelPath, replace_in_turn,
};

use crate::arguments::{Edit, Move, OnePath, Propose, Write};
use crate::context::Context;
use crate::failure::Failure;
use crate::paths::{Location, shown};
use crate::reading::{READ_BYTES_MAX, no_file, whole};

/// How much of a diff an edit is answered with, and how much of one line of it.
const DIFF_SHOWN_BYTES_MAX: usize = 16 << 10;
const LINE_SHOWN_BYTES_MAX: usize = 1 << 10;

/// What a tool proposes, and what it answers before the patches are listed.
pub(crate) struct Plan {
    /// Staged together; none when nothing has to be changed.
    pub(crate) proposals: Vec<Proposal>,
    pub(crate) text: String,
}

impl Plan {
    fn of(proposal: Proposal) -> Self {
        Self { proposals: vec![proposal], text: String::new() }
    }
}

/// An actor's answer, or that there is none.
pub(crate) fn answered<T, E: Into<Failure>>(
    sent: Result<Result<T, E>, actix::MailboxError>,
) -> Result<T, Failure> {
    match sent {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Failure::new("the session's actor has stopped: start the server again")),
    }
}

/// `write_file`
pub(crate) fn write_file(context: &Context, arguments: Write) -> Result<Plan, Failure> {
    let path = context.file(&arguments.path)?;
    if arguments.content.contains(char::REPLACEMENT_CHARACTER)
        && let Ok(there) = whole(context, &path)
        && std::str::from_utf8(&there).is_err()
    {
        // What the agent read was a rendering: written back, the file's own bytes were lost.
        return Err(Failure::new(format!(
            "`{path}` is not UTF-8, and the content has U+FFFD where its bytes could not be \
             shown: change it with edit_file or propose, which keep the rest as it is"
        )));
    }
    let content = arguments.content.into_bytes();
    Ok(Plan::of(Proposal::Write { path, content, mode: None }))
}

/// `edit_file`
pub(crate) fn edit_file(context: &Context, arguments: Edit) -> Result<Plan, Failure> {
    if arguments.edits.is_empty() {
        return Err(Failure::new("`edits` is empty"));
    }
    let path = context.file(&arguments.path)?;
    let before = whole(context, &path)?;
    let edits: Vec<_> = arguments
        .edits
        .iter()
        .map(|edit| staging_core::Edit {
            old: edit.old_text.as_bytes(),
            new: edit.new_text.as_bytes(),
            all: false,
        })
        .collect();
    let too_long = || Failure::new("the edited file is too long: nothing was staged");
    let after = replace_in_turn(&before, &edits, READ_BYTES_MAX).map_err(|error| {
        let (index, found, near) = match error {
            EditsError::Occurrences { index, found, near } => (index, found, near),
            EditsError::TooLong { .. } => return too_long(),
        };
        let advice = match (found, near) {
            (0, _) if edits[index].old.is_empty() => {
                "it is empty: use write_file to replace a whole file".to_owned()
            }
            (0, Some(near)) => near.to_string(),
            (0, None) => "read the file again".to_owned(),
            _ => "include more of the surrounding lines".to_owned(),
        };
        Failure::new(format!(
            "edit {} of {}: the text to replace occurs {found} times in `{path}`, not once: \
             {advice}. Nothing was staged",
            index + 1,
            edits.len(),
        ))
    })?;
    if after.len() > READ_BYTES_MAX {
        return Err(too_long());
    }
    let mut diff = Vec::new();
    context.layer.write_edit_diff(&path, &before, &after, &DiffOptions::default(), &mut diff)?;
    let text = shown_diff(&diff, arguments.dry_run);
    if arguments.dry_run {
        return Ok(Plan { proposals: Vec::new(), text });
    }
    let base = Digest::of(&before);
    let write = Proposal::Write { path, content: after, mode: None };
    // What the diff shows is what is staged, whoever wrote meanwhile.
    let proposal = Proposal::Expecting { base, proposal: Box::new(write) };
    Ok(Plan { proposals: vec![proposal], text })
}

/// The diff for the answer: whole when it is short. A model that edits one word of a minified file
/// is not sent the file twice.
fn shown_diff(diff: &[u8], is_dry_run: bool) -> String {
    let (shown, left_out) = shortened(&String::from_utf8_lossy(diff));
    if left_out == 0 {
        return fenced(&shown);
    }
    let way = if is_dry_run {
        "without `dryRun` the edit is staged, and the tool `diff` gives it in full"
    } else {
        "the tool `diff` gives it in full"
    };
    format!("{}The diff is {left_out} bytes longer than shown: {way}.\n\n", fenced(&shown))
}

/// A diff without the ends of long lines, and without what is too much; and how many bytes of it
/// were left out.
fn shortened(diff: &str) -> (String, usize) {
    let (mut shown, mut left_out) = (String::new(), 0);
    for line in diff.split_inclusive('\n') {
        if shown.len() + line.len().min(LINE_SHOWN_BYTES_MAX) > DIFF_SHOWN_BYTES_MAX {
            left_out += line.len();
            continue;
        }
        if line.len() <= LINE_SHOWN_BYTES_MAX {
            shown.push_str(line);
            continue;
        }
        let cut = line.floor_char_boundary(LINE_SHOWN_BYTES_MAX);
        let rest = line.len() - cut;
        shown.push_str(&line[..cut]);
        shown.push_str(&format!(" [{rest} bytes more]\n"));
        left_out += rest;
    }
    (shown, left_out)
}

/// A diff between fences that are longer than any in it.
fn fenced(diff: &str) -> String {
    let mut fence = String::from("```");
    while diff.contains(&fence) {
        fence.push('`');
    }
    let newline = if diff.is_empty() || diff.ends_with('\n') { "" } else { "\n" };
    format!("{fence}diff\n{diff}{newline}{fence}\n\n")
}

/// `delete_file`
pub(crate) fn delete_file(context: &Context, arguments: OnePath) -> Result<Plan, Failure> {
    let path = context.name(&arguments.path)?;
    if context.view.status(&path)?.is_none() {
        return Err(no_file(&arguments.path));
    }
    Ok(Plan::of(Proposal::Delete { path }))
}

/// `create_directory`
pub(crate) fn create_directory(context: &Context, arguments: OnePath) -> Result<Plan, Failure> {
    let exists = || {
        let text = format!("The directory {} already exists.", shown(&arguments.path));
        Plan { proposals: Vec::new(), text }
    };
    let Some(path) = context.resolve(&arguments.path)? else {
        return Ok(exists());
    };
    for here in std::iter::successors(Some(path.clone()), RelPath::parent) {
        match context.view.status(&here)? {
            Some(status) if status.kind != FileKind::Directory => {
                return Err(Failure::new(format!("`{here}` is not a directory")));
            }
            Some(_) if here == path => return Ok(exists()),
            // What is above a directory is one.
            Some(_) => break,
            None => {}
        }
    }
    Ok(Plan::of(Proposal::CreateDirectory { path }))
}

/// `move_file`
pub(crate) fn move_file(context: &Context, arguments: Move) -> Result<Plan, Failure> {
    let path = context.name(&arguments.source)?;
    let to = context.name(&arguments.destination)?;
    let status = context.view.status(&path)?.ok_or_else(|| no_file(&arguments.source))?;
    if context.view.status(&to)?.is_some() {
        return Err(Failure::new(format!("`{to}` exists: choose another destination")));
    }
    if status.kind != FileKind::Directory {
        return Ok(Plan::of(Proposal::Rename { path, to }));
    }
    if to.starts_with(&path) {
        return Err(Failure::new(format!("`{path}` cannot move into itself")));
    }
    let proposals = moves_of(context, &arguments.source, &path, &to)?;
    let text = format!("The directory {path} moves to {to}.\n");
    Ok(Plan { proposals, text })
}

/// How many files of a directory move at once.
const MOVES_MAX: usize = 10_000;

fn moves_of(
    context: &Context,
    named: &str,
    directory: &RelPath,
    to: &RelPath,
) -> Result<Vec<Proposal>, Failure> {
    let (mut proposals, mut problem) = (Vec::new(), None);
    // Each directory that nothing was found in, behind its name in the new place.
    let mut empty: Vec<(RelPath, RelPath)> = vec![(directory.clone(), to.clone())];
    let walked = context.walk(named, &mut |found| {
        empty.pop_if(|(last, _)| found.path.starts_with(last));
        match (found.kind, to.join(found.relative)) {
            (FileKind::Directory, Ok(to)) => empty.push((found.path.clone(), to)),
            (FileKind::Regular | FileKind::Symlink, Ok(to)) => {
                proposals.push(Proposal::Rename { path: found.path.clone(), to });
            }
            (FileKind::Other, _) => problem = Some(format!("`{}` is a special file", found.path)),
            (_, Err(error)) => problem = Some(error.to_string()),
        }
        // What is protected is not entered, and would stay behind unsaid.
        if found.kind == FileKind::Directory && context.view.resolve(found.path).is_err() {
            problem = Some(format!("`{}` is protected", found.path));
        }
        problem.is_none()
    })?;
    for (from, to) in empty {
        proposals.push(Proposal::Delete { path: from });
        proposals.push(Proposal::CreateDirectory { path: to });
    }
    debug_assert_eq!(walked.as_ref(), Some(directory), "both were resolved from one path");
    if proposals.len() > MOVES_MAX {
        problem = Some(format!("it has more than {MOVES_MAX} files"));
    }
    match problem {
        Some(problem) => Err(Failure::new(format!("`{directory}` cannot move: {problem}"))),
        None => Ok(proposals),
    }
}

/// `propose`: the message to send, and the directories that it has to stay in.
pub(crate) fn propose(context: &Context, arguments: Propose) -> Result<ProposePatch, Failure> {
    let directory: Location = match &arguments.directory {
        Some(named) => context.resolve(named)?,
        None => match context.allowed.directories().into_iter().next() {
            Some(first) => first,
            None => return Err(Failure::new("the client's roots allow no directory")),
        },
    };
    let request = PatchRequest {
        text: arguments.patch.into_bytes(),
        directory,
        within: context.allowed.directories().into_iter().flatten().collect(),
        ..PatchRequest::default()
    };
    Ok(ProposePatch { request })
}

#[cfg(test)]
mod tests {
    use super::{DIFF_SHOWN_BYTES_MAX, fenced, shortened, shown_diff};

    #[test]
    fn a_short_diff_is_answered_whole() {
        assert_eq!(shown_diff(b"+a\n", false), "```diff\n+a\n```\n\n");
    }

    #[test]
    fn a_long_diff_is_bounded_and_says_how_much_is_left_out() {
        let long_line = format!("+{}\n", "ä".repeat(400_000));
        let many_lines = "+line\n".repeat(100_000);
        for diff in [long_line, many_lines] {
            let (shown, left_out) = shortened(&diff);
            assert!(shown.len() < DIFF_SHOWN_BYTES_MAX + 100, "{}", shown.len());
            let note: usize = shown.matches(" bytes more]").count() * "[".len();
            let kept = shown.split(" [").next().expect("the first part").len();
            let whole = if note > 0 { kept } else { shown.len() };
            assert_eq!(whole + left_out, diff.len(), "nothing is left out unsaid");
            let answer = shown_diff(diff.as_bytes(), false);
            assert!(answer.contains(&format!("{left_out} bytes longer")), "{answer}");
            assert!(answer.contains("the tool `diff` gives it in full"), "{answer}");
        }
    }

    #[test]
    fn a_fence_is_longer_than_any_in_the_diff() {
        assert_eq!(fenced("+a\n"), "```diff\n+a\n```\n\n");
        assert_eq!(fenced("+````\n"), "`````diff\n+````\n`````\n\n");
    }
}
