//! `propose`: stages a change.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use staging_core::{
    PATCH_BYTES_MAX, PatchNames, PatchRequest, Proposal, RelPath, Session, SessionId, Spool,
};

use super::context::Context;
use super::staged::report_staged;
use crate::args::Propose;
use crate::failure::Failure;
use crate::paths::shown;

/// Content that comes in a stream is held in memory up to this, else in a file of the state.
const HELD_BYTES_MAX: u64 = 8 << 20;

pub(super) fn propose(context: &Context<'_>, arguments: &Propose) -> Result<(), Failure> {
    if let Some(patch) = &arguments.patch {
        return propose_patch(context, patch, &arguments.session);
    }
    if arguments.copy.from_tree.is_some() || arguments.copy.from_upper.is_some() {
        return super::propose_copy::propose_copy(context, &arguments.copy, &arguments.session);
    }
    if let Some(session) = &arguments.from_session {
        return super::propose_private::propose_private(context, &arguments.path, session);
    }
    let [path] = &arguments.path[..] else {
        return Err(Failure::usage("name one file; several are taken with --from-session"));
    };
    let path = context.location.file(path)?;
    let (mut proposal, _spooled) = proposal(context, arguments, path)?;
    if let Some(base) = arguments.base {
        proposal = Proposal::Expecting { base, proposal: Box::new(proposal) };
    }
    let session = session(context, &arguments.session)?;
    let proposed = or_unopened(context, &session, context.layer.propose(session.id, proposal))?;
    let reported = report_staged(context, Some(session.id), &[proposed], &[]);
    context.warn_unreported(reported, "the change is staged");
    Ok(())
}

/// Stages a patch over many files.
fn propose_patch(context: &Context<'_>, named: &Path, label: &str) -> Result<(), Failure> {
    let from = Some(named).filter(|named| *named != Path::new("-"));
    let mut text = Vec::new();
    // What is longer than is read anyway is not taken into memory whole.
    let bytes_max = PATCH_BYTES_MAX as u64 + 1;
    match source(context, from)? {
        Source::Stream(mut stream) => stream.by_ref().take(bytes_max).read_to_end(&mut text),
        Source::File(file) => {
            File::open(&file).and_then(|file| file.take(bytes_max).read_to_end(&mut text))
        }
    }
    .map_err(|error| cannot_read("the patch", &error))?;
    let session = session(context, label)?;
    // Outside of the workspace, as with `--workspace`, names begin at its root.
    let directory = context.location.directory().unwrap_or_default();
    let names = PatchNames::AsGitApply;
    let request = PatchRequest { text, directory, names, ..PatchRequest::default() };
    let answer = or_unopened(context, &session, context.layer.propose_patch(session.id, &request))?;
    let reported = report_staged(context, Some(session.id), &answer.proposed, &answer.fitted);
    context.warn_unreported(reported, "the change is staged");
    Ok(())
}

/// What is proposed; content that was gathered has to be kept until it is staged.
fn proposal(
    context: &Context<'_>,
    arguments: &Propose,
    path: RelPath,
) -> Result<(Proposal, Option<Spool>), Failure> {
    if arguments.delete {
        return Ok((Proposal::Delete { path }, None));
    }
    if let Some(to) = &arguments.rename_to {
        let to = context.location.file(to)?;
        return Ok((Proposal::Rename { path, to }, None));
    }
    if let Some(target) = &arguments.symlink {
        let target = target.as_encoded_bytes().to_vec();
        return Ok((Proposal::Symlink { path, target }, None));
    }
    if arguments.directory {
        return Ok((Proposal::CreateDirectory { path }, None));
    }
    let mode = arguments.mode;
    if let (Some(mode), None) = (mode, &arguments.from) {
        return Ok((Proposal::SetMode { path, mode }, None));
    }
    let from = arguments.from.as_deref();
    let mut stream = match source(context, from)? {
        Source::File(file) => return Ok((Proposal::WriteFrom { path, file, mode }, None)),
        Source::Stream(stream) => stream,
    };
    let what = from.filter(|from| *from != Path::new("-"));
    let what =
        what.map_or_else(|| "standard input".to_owned(), |from| format!("`{}`", shown(from)));
    let mut content = Vec::new();
    stream
        .by_ref()
        .take(HELD_BYTES_MAX + 1)
        .read_to_end(&mut content)
        .map_err(|error| cannot_read(&what, &error))?;
    if content.len() as u64 <= HELD_BYTES_MAX {
        return Ok((Proposal::Write { path, content, mode }, None));
    }
    let spooled = context.layer.spool(&mut content.as_slice().chain(stream))?;
    let file = spooled.path().to_owned();
    Ok((Proposal::WriteFrom { path, file, mode }, Some(spooled)))
}

/// Where content or a patch comes from.
enum Source {
    /// A regular file, which can be read again.
    File(PathBuf),
    /// What gives its bytes once, as a named pipe does.
    Stream(Box<dyn Read>),
}

/// The file that is named; standard input when none is.
fn source(context: &Context<'_>, from: Option<&Path>) -> Result<Source, Failure> {
    let Some(named) = from.filter(|from| *from != Path::new("-")) else {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            context.console.remark("reading the new content from the terminal; Ctrl-D ends it");
        }
        return Ok(Source::Stream(Box::new(stdin.lock())));
    };
    let failed = |error: io::Error| cannot_read(&format!("`{}`", shown(named)), &error);
    let file = context.location.any_file(named);
    let opened = File::open(&file).map_err(failed)?;
    let metadata = opened.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Failure::usage(format!("`{}` is a directory", shown(named))));
    }
    Ok(if metadata.is_file() { Source::File(file) } else { Source::Stream(Box::new(opened)) })
}

fn cannot_read(what: &str, error: &io::Error) -> Failure {
    Failure::io(format_args!("cannot read the new content from {what}"), error)
}

/// The session of this id, or the open one of this label, opened if need be.
pub(super) fn session(context: &Context<'_>, named: &str) -> Result<Session, Failure> {
    Ok(match named.parse::<SessionId>() {
        Ok(_) => context.layer.find_session(named)?,
        Err(_) => context.layer.open_session(named)?,
    })
}

/// A session that was opened for a proposal ends with it when that is refused.
pub(super) fn or_unopened<T, E: Into<Failure>>(
    context: &Context<'_>,
    session: &Session,
    outcome: Result<T, E>,
) -> Result<T, Failure> {
    outcome.map_err(|error| {
        if let Err(error) = context.layer.close_unused_session(session.id) {
            tracing::warn!(%error, "the session stays open without a patch");
        }
        error.into()
    })
}
