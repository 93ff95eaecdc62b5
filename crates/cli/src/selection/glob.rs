//! Globs as they are typed: relative to the current directory, and matched as git matches them.

use std::ffi::OsStr;
use std::path::is_separator;

use globset::{Candidate, GlobBuilder, GlobMatcher};
use staging_core::RelPath;

use crate::failure::Failure;
use crate::location::Location;
use crate::paths::shown;

/// A glob below a directory. `*` matches `/` as well, and what matches a directory matches what is in
/// it.
pub(super) struct PathGlob {
    /// The directory; the root of the workspace when there is none.
    below: Option<RelPath>,
    matcher: GlobMatcher,
    /// It ends in `/`.
    is_of_directories: bool,
}

/// The characters of which one makes a word a glob.
const SPECIAL: [char; 4] = ['*', '?', '[', '{'];

pub(super) fn is_glob(word: &OsStr) -> bool {
    word.to_str().is_some_and(|word| word.contains(SPECIAL))
}

impl PathGlob {
    /// The glob that a word is, if it is one.
    pub(super) fn parse(word: &OsStr, location: &Location) -> Option<Result<Self, Failure>> {
        let text = word.to_str()?;
        let first = text.find(SPECIAL)?;
        let begin = text[..first].rfind(is_separator).map_or(0, |at| at + 1);
        let (directory, pattern) = text.split_at(begin);
        Some(Self::below(directory, pattern, location, word))
    }

    fn below(
        directory: &str,
        pattern: &str,
        location: &Location,
        word: &OsStr,
    ) -> Result<Self, Failure> {
        let below = match directory {
            "" => location.directory()?,
            directory => location.below(OsStr::new(directory))?,
        };
        let glob = pattern.strip_suffix(is_separator).unwrap_or(pattern);
        let built = GlobBuilder::new(glob).build().map_err(|error| {
            Failure::usage(format!("`{}` is not a glob: {}", shown(word), error.kind()))
                .advise("A file of this name can be written with `\\` before each of `*?[{`.")
        })?;
        let is_of_directories = glob.len() < pattern.len();
        Ok(Self { below, matcher: built.compile_matcher(), is_of_directories })
    }

    pub(super) fn matches(&self, path: &RelPath) -> bool {
        let rest = match &self.below {
            Some(below) if path == below || !path.starts_with(below) => return false,
            Some(below) => &path.as_bytes()[below.as_bytes().len() + 1..],
            None => path.as_bytes(),
        };
        let ends = (1..rest.len()).filter(|at| rest[*at] == b'/');
        let whole = Some(rest.len()).filter(|_| !self.is_of_directories);
        ends.chain(whole).any(|end| self.is_match(&rest[..end]))
    }

    fn is_match(&self, name: &[u8]) -> bool {
        self.matcher.is_match_candidate(&Candidate::from_bytes(name))
    }
}
