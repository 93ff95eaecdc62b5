//! Applies a part of a patch to a file's bytes.

use sha1::{Digest as _, Sha1};

use crate::error::MisfitError;
use crate::model::{Body, Change, EntryKind, FilePatch, Fitted};

mod compare;
mod indent;
mod locate;
mod match_level;
pub(crate) mod near_miss;
mod refusal;
mod search;

impl FilePatch<'_> {
    /// Applies the change to a file's content, which is empty if the file is created.
    ///
    /// `is_base` means that the patch is known to be made from this content: only then may a hunk
    /// without any context be applied at the line in its header.
    ///
    /// # Errors
    /// [`MisfitError`] names the hunk that does not fit.
    pub fn fit(&self, content: &[u8], is_base: bool) -> Result<Fitted, MisfitError> {
        let is_base = is_base || self.names_base(content) == Some(true);
        let fitted = match &self.body {
            Body::Nothing => Fitted { content: content.to_vec(), placements: Vec::new() },
            Body::Hunks { hunks, from_crlf } if self.kind == Some(EntryKind::Symlink) => {
                locate::fit_target(hunks, *from_crlf, content, is_base)?
            }
            Body::Hunks { hunks, from_crlf } => locate::fit(hunks, *from_crlf, content, is_base)?,
            Body::Chunks { chunks, from_crlf } => match_level::fit(chunks, *from_crlf, content)?,
            Body::Whole(whole) => Fitted { content: whole.clone(), placements: Vec::new() },
        };
        if matches!(self.change, Change::Delete { .. }) && !fitted.content.is_empty() {
            return Err(MisfitError::NotEmptied { bytes: fitted.content.len() });
        }
        Ok(fitted)
    }

    /// Whether this is the content that the patch names as its base; `None` if it names none, or
    /// does not name it by git's SHA-1.
    pub fn names_base(&self, content: &[u8]) -> Option<bool> {
        let named = self.base_blob.as_deref()?;
        let is_name = (SHORTEST_ID..=40).contains(&named.len());
        if !is_name || self.change.source().is_none() {
            return None;
        }
        let mut sha1 = Sha1::new();
        sha1.update(format!("blob {}\0", content.len()));
        sha1.update(content);
        Some(format!("{:x}", sha1.finalize()).as_bytes().starts_with(named))
    }
}

/// Git abbreviates to seven digits or more by default; fewer do not identify a content.
const SHORTEST_ID: usize = 7;
