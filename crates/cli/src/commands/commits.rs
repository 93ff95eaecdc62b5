//! `session commits`: the commits that a session's commands have made, for the user's repository.

use std::fmt::Write as _;
use std::path::Path;

use capture::SessionCapture;
use serde_json::json;
use staging_core::{ErrorKind, escape_line_for_display};

use super::context::Context;
use super::text::count;
use crate::args::SessionCommits;
use crate::failure::Failure;
use crate::location::check_outside;
use crate::paths::shown;
use crate::private_commits::PrivateCommits;

/// How many digits of a commit's name are shown.
const DIGITS: usize = 12;

pub(super) fn commits(context: &Context<'_>, arguments: &SessionCommits) -> Result<(), Failure> {
    let (console, location) = (context.console, &context.location);
    for path in arguments.output.iter().chain(&arguments.format_patch) {
        let advice = "Name a place outside of the workspace.";
        check_outside(&location.any_file(path), &location.root, "the output", advice)?;
    }
    let session = context.layer.find_session(&arguments.session)?;
    let capture = SessionCapture::of(&context.layer, session.id);
    if !capture.dir().exists() {
        let message = format!("no command was run in session {}", session.id);
        return Err(Failure::new(ErrorKind::NotFound, message));
    }
    let found = PrivateCommits::find(&capture, &location.root)?;
    let failed = |what: &Path| {
        let what = shown(what);
        move |reason| Failure::new(ErrorKind::Io, format!("git cannot write `{what}`: {reason}"))
    };
    let number = count(found.commits.len(), "commit", "commits");
    if !found.commits.is_empty() {
        if let Some(file) = &arguments.output {
            found.bundle(&location.any_file(file)).map_err(failed(file))?;
            console.remark(&format!(
                "{number} in `{0}`: `git fetch {0} 'refs/heads/*:refs/remotes/{1}/*'` takes them over",
                shown(file),
                session.id
            ));
        }
        if let Some(directory) = &arguments.format_patch {
            let written = found.format_patch(&location.any_file(directory));
            let written = count(written.map_err(failed(directory))?, "file", "files");
            console.remark(&format!("{number} as {written} in `{}`", shown(directory)));
        }
    }
    if console.json {
        let commits = found.commits.iter().map(
            |commit| json!({ "id": commit.id, "author": commit.author, "subject": commit.subject }),
        );
        let refs =
            found.refs.iter().map(|(name, commit)| json!({ "name": name, "commit": commit }));
        return console.object(json!({
            "session": session.id,
            "commits": commits.collect::<Vec<_>>(),
            "refs": refs.collect::<Vec<_>>(),
        }));
    }
    let mut text = String::new();
    for commit in &found.commits {
        let subject = escape_line_for_display(&commit.subject);
        let author = escape_line_for_display(&commit.author);
        let id = commit.id.get(..DIGITS).unwrap_or(&commit.id);
        let _ = writeln!(text, "{id} {subject} ({author})");
    }
    for (name, commit) in &found.refs {
        let name = escape_line_for_display(name);
        let _ = writeln!(text, "{name} is {}", commit.get(..DIGITS).unwrap_or(commit));
    }
    if found.commits.is_empty() {
        text.push_str("no commit is only in the session\n");
    }
    console.report(&text)
}
