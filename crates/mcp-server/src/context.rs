//! The surroundings of one call: a session's view of the tree, off the event loop.

use std::sync::Arc;

use staging_core::{
    DiffStagingLayer, FileKind, FileStatus, Listed, RelPath, Session, SessionView, Timestamp,
};

use crate::failure::Failure;
use crate::paths::{Allowed, Location, shown};

/// How many names a tree or a search looks at.
const NAMES_MAX: usize = 200_000;
/// How deep a tree or a search goes.
pub(crate) const DEPTH_MAX: usize = 128;

/// One call's surroundings, for work that blocks.
pub(crate) struct Context {
    pub(crate) layer: DiffStagingLayer,
    pub(crate) session: Session,
    pub(crate) allowed: Arc<Allowed>,
    pub(crate) view: SessionView,
    /// Whether the client does not wait any more.
    pub(crate) is_cancelled: Box<dyn Fn() -> bool + Send>,
}

/// A name found on a walk.
pub(crate) struct Found<'w> {
    pub(crate) path: &'w RelPath,
    /// The path from where the walk began.
    pub(crate) relative: &'w [u8],
    pub(crate) kind: FileKind,
}

impl Context {
    /// The place that a path really concerns, symlinks below the root followed.
    pub(crate) fn resolve(&self, named: &str) -> Result<Location, Failure> {
        let Some(spelled) = self.allowed.spelled(named)? else { return Ok(None) };
        self.within(self.view.resolve(&spelled)?, named).map(Some)
    }

    /// The file that a path really concerns; whether one is there is not said.
    pub(crate) fn file(&self, named: &str) -> Result<RelPath, Failure> {
        self.resolve(named)?.ok_or_else(|| is_root(named))
    }

    /// The name that a path really means, when what is there is to be deleted or moved, or
    /// something else to arrive there. A symlink on the way is followed, one at the end refused.
    pub(crate) fn name(&self, named: &str) -> Result<RelPath, Failure> {
        let spelled = self.allowed.spelled(named)?.ok_or_else(|| is_root(named))?;
        self.within(self.view.resolve_name(&spelled)?, named)
    }

    /// Refuses what a symlink leads to outside of the allowed directories.
    fn within(&self, path: RelPath, named: &str) -> Result<RelPath, Failure> {
        if self.allowed.allows(&Some(path.clone())) {
            return Ok(path);
        }
        let named = shown(named);
        Err(Failure::new(format!("`{named}` leads outside of the allowed directories")))
    }

    /// The names in a directory, by name.
    pub(crate) fn list(&self, named: &str) -> Result<(Location, Vec<Listed>), Failure> {
        let place = self.resolve(named)?;
        match self.view.list(place.as_ref())? {
            Some(entries) => Ok((place, entries)),
            None => Err(Failure::new(format!("there is no directory `{}`", shown(named)))),
        }
    }

    /// Visits everything below a directory, each directory before what it holds, by name.
    /// `visit` says whether a directory is entered. One that cannot be is taken for empty.
    pub(crate) fn walk(
        &self,
        named: &str,
        visit: &mut dyn FnMut(Found<'_>) -> bool,
    ) -> Result<Location, Failure> {
        let (place, entries) = self.list(named)?;
        let start = place.as_ref().map_or(0, |path| path.as_bytes().len() + 1);
        let mut seen = 0;
        let mut open = vec![(place.clone(), entries.into_iter())];
        while let Some((directory, entries)) = open.last_mut() {
            let Some(entry) = entries.next() else {
                open.pop();
                continue;
            };
            seen += 1;
            if seen > NAMES_MAX {
                return Err(Failure::new(format!(
                    "more than {NAMES_MAX} names are below `{}`: name a directory further down, or exclude some",
                    shown(named)
                )));
            }
            if (self.is_cancelled)() {
                return Err(Failure::new("the call was cancelled"));
            }
            let Ok(path) = child(directory, &entry.name) else { continue };
            let relative = path.as_bytes()[start..].to_vec();
            let found = Found { path: &path, relative: &relative, kind: entry.kind };
            if !visit(found) || entry.kind != FileKind::Directory {
                continue;
            }
            if open.len() >= DEPTH_MAX {
                return Err(Failure::new(format!(
                    "`{path}` is deeper than {DEPTH_MAX} directories: name a directory further down"
                )));
            }
            let place = Some(path);
            if let Ok(Some(entries)) = self.view.list(place.as_ref()) {
                open.push((place, entries.into_iter()));
            }
        }
        Ok(place)
    }

    /// The root's own status.
    pub(crate) fn root_status(&self) -> Result<FileStatus, Failure> {
        let metadata = std::fs::metadata(self.allowed.root())
            .map_err(|error| Failure::new(format!("cannot read the workspace: {error}")))?;
        let since =
            metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let modified_at = since
            .and_then(|since| i64::try_from(since.as_nanos()).ok())
            .map(Timestamp::from_unix_ns);
        #[cfg(unix)]
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
        #[cfg(not(unix))]
        let mode = 0o755;
        let (kind, bytes) = (FileKind::Directory, metadata.len());
        Ok(FileStatus { kind, bytes, mode, modified_at, patch: None })
    }
}

fn is_root(named: &str) -> Failure {
    Failure::new(format!("`{}` is the workspace itself: name a file below it", shown(named)))
}

/// A name in a directory as a path.
pub(crate) fn child(directory: &Location, name: &[u8]) -> Result<RelPath, Failure> {
    let joined = match directory {
        Some(directory) => directory.join(name),
        None => RelPath::parse(name),
    };
    joined.map_err(|error| Failure::new(error.to_string()))
}
