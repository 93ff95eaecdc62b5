//! Reads a patch, whole.

use std::collections::HashSet;

use crate::error::PatchError;
use crate::limits::{PATCH_BYTES_MAX, PATCH_LINES_MAX};
use crate::model::{FilePatch, Format, PatchText};
use crate::printable::escaped;
use crate::readings::Readings;

mod begin_patch;
mod envelope;
mod git;
mod hunks;
mod part;
mod unified;

impl<'p> PatchText<'p> {
    /// Reads a patch, whole.
    ///
    /// # Errors
    /// [`PatchError`] names the line that cannot be read.
    pub fn parse(text: &'p [u8]) -> Result<Self, PatchError> {
        if text.len() > PATCH_BYTES_MAX {
            return Err(PatchError::TooLarge { bytes: text.len() as u64 });
        }
        if memchr::memchr_iter(b'\n', text).nth(PATCH_LINES_MAX).is_some() {
            return Err(PatchError::TooManyLines { max: PATCH_LINES_MAX });
        }
        let (format, files) = if begin_patch::begins(text)? {
            (Format::BeginPatch, begin_patch::parse(text)?)
        } else {
            (Format::Unified, unified::parse(text)?)
        };
        if files.is_empty() {
            return Err(begin_patch::stray(text).unwrap_or(PatchError::NoPatch));
        }
        refuse_twice(&files)?;
        Ok(Self { format, files })
    }
}

fn refuse_twice(files: &[FilePatch<'_>]) -> Result<(), PatchError> {
    let (mut sources, mut targets) = (HashSet::new(), HashSet::new());
    // If the existing files decide about names, the caller that resolves them finds duplicates.
    let is_sure = |file: &&FilePatch<'_>| file.readings.as_ref().is_none_or(Readings::is_sure);
    for file in files.iter().filter(is_sure) {
        let source = file.change.source().filter(|name| !sources.insert(*name));
        let target = file.change.target().filter(|name| !targets.insert(*name));
        if let Some(name) = source.or(target) {
            return Err(PatchError::NamedTwice { line: file.line, name: escaped(name) });
        }
    }
    Ok(())
}
