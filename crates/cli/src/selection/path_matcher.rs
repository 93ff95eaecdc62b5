//! Paths and globs of what is not pending.

use std::ffi::OsStr;

use staging_core::RelPath;

use super::glob::PathGlob;
use crate::failure::Failure;
use crate::location::Location;

/// What a word matches as a path, a directory or a glob, as in a selection. A glob is also the name of
/// the file that is named so.
pub(crate) struct PathMatcher {
    /// None for the workspace itself.
    path: Option<RelPath>,
    glob: Option<PathGlob>,
}

impl PathMatcher {
    /// # Errors
    /// `Refused` for a path outside of the workspace; `Usage` for a glob that is none.
    pub(crate) fn parse(word: &OsStr, location: &Location) -> Result<Self, Failure> {
        Ok(Self { path: location.below(word)?, glob: PathGlob::parse(word, location).transpose()? })
    }

    pub(crate) fn matches(&self, path: &RelPath) -> bool {
        let is_below = self.path.as_ref().is_none_or(|above| path.starts_with(above));
        is_below || self.glob.as_ref().is_some_and(|glob| glob.matches(path))
    }
}
