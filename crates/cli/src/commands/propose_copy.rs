//! `propose --from-tree` and `--from-upper`: stages what a copy of the workspace has changed.

use std::path::{Path, PathBuf};

use capture::{Copy, CopyKind, Report, SessionCapture, Timestamp};

use super::context::Context;
use super::ignored::{general_rules, tracked};
use super::imported::{failure_of, report_not_proposed, report_stale};
use super::propose::{or_unopened, session};
use super::staged::report_copied;
use crate::args::ProposeCopy;
use crate::base_commit::{BaseCommit, worktree_base};
use crate::failure::Failure;
use crate::location::Location;
use crate::paths::shown;

pub(super) fn propose_copy(
    context: &Context<'_>,
    arguments: &ProposeCopy,
    label: &str,
) -> Result<(), Failure> {
    let (named, kind) = match (&arguments.from_tree, &arguments.from_upper) {
        (Some(tree), _) if arguments.no_delete => (tree, CopyKind::PartialTree),
        (Some(tree), _) => (tree, CopyKind::Tree),
        (None, Some(upper)) => (upper, CopyKind::Upper),
        (None, None) => return Err(Failure::usage("name a copy of the workspace")),
    };
    let (location, console) = (&context.location, context.console);
    let directory = directory(location, named)?;
    // What it was made from.
    let revision = match &arguments.base_commit {
        Some(named) => Some(named.clone()),
        None if kind == CopyKind::Upper => None,
        None => worktree_base(&location.root, &directory),
    };
    let mut base = revision.map(|named| BaseCommit::read(&location.root, &named)).transpose()?;
    if base.is_none() && arguments.copied_at.is_none() {
        console.remark(
            "nothing proves what the copy was made from, so that every difference is stale: \
             name it with --base-commit REV or --copied-at TIME",
        );
    }
    let left_out = base.as_ref().map(BaseCommit::repositories).unwrap_or_default();
    let mut read = base.as_mut().map(|base| |path: &[u8]| base.content(path));
    let copy = Copy {
        directory: &directory,
        kind,
        copied_at: arguments.copied_at.map(|time| Timestamp {
            seconds: time.unix_ms().div_euclid(1000),
            nanos: time.unix_ms().rem_euclid(1000) as u32 * 1_000_000,
        }),
        committed: read.as_mut().map(|read| read as _),
        left_out,
        general: general_rules(&location.root),
        tracked: tracked(console, &location.root),
    };
    let session = session(context, label)?;
    let capture = SessionCapture::of(&context.layer, session.id);
    let imported = capture.import_copy(copy).map_err(failure_of);
    let report = or_unopened(context, &session, imported)?;
    let reported = report_copied(context, session.id, &report);
    context.warn_unreported(reported, "the changes are staged");
    report_rest(context, &report);
    // A session that was opened for nothing is of no use.
    if context.layer.close_unused_session(session.id)? {
        capture.remove_ended().map_err(failure_of)?;
    }
    Ok(())
}

/// The directory that is named. It must hold no file that the workspace or Greenroom's state holds.
fn directory(location: &Location, named: &Path) -> Result<PathBuf, Failure> {
    let found = dunce::canonicalize(location.any_file(named)).and_then(|found| {
        if found.is_dir() { Ok(found) } else { Err(std::io::ErrorKind::NotADirectory.into()) }
    });
    let found = found.map_err(|source| {
        Failure::io(format_args!("cannot open the directory `{}`", shown(named)), &source)
    })?;
    let overlaps = |other: &Path| found.starts_with(other) || other.starts_with(&found);
    let base = dunce::canonicalize(&location.base).unwrap_or_else(|_| location.base.clone());
    for (other, what) in [(&location.root, "the workspace"), (&base, "the state directory")] {
        if overlaps(other) {
            let relation = if found == *other {
                "is"
            } else if found.starts_with(other) {
                "is inside"
            } else {
                "holds"
            };
            return Err(Failure::refused(format!("`{}` {relation} {what}", shown(named)))
                .advise("Name a copy of the workspace that lies elsewhere."));
        }
    }
    Ok(found)
}

fn report_rest(context: &Context<'_>, report: &Report) {
    let console = context.console;
    report_not_proposed(console, report);
    report_stale(console, &report.imported.unproven, |path| {
        format!("the workspace may have changed `{path}` since the copy was made")
    });
    for path in &report.imported.withheld {
        console.remark(&format!(
            "not staged: the workspace may have changed `{path}` since the copy was made, and another \
             patch of it is pending: apply or discard that one first"
        ));
    }
    for path in &report.unsettled {
        console.remark(&format!("not staged yet: `{path}` is still being written"));
    }
}
