//! Comments for single lines of what patches stage.

use std::collections::HashMap;

use crate::comment::{LineComment, NewComment};
use crate::error::{Result, StagingError};
use crate::ids::PatchId;
use crate::layer::Inner;
use crate::patch::Patch;
use crate::stage::view::View;

/// How many comments one rejection may have.
const COMMENTS_MAX: usize = 100;
/// How long a comment may be, in bytes.
const COMMENT_BYTES_MAX: usize = 4000;
/// How much of a line is kept with its comment, in bytes.
const LINE_BYTES_MAX: usize = 500;

/// The comments of each patch, in the order in which they were given.
pub(crate) type ByPatch = HashMap<PatchId, Vec<LineComment>>;

impl Inner {
    /// Finds the patch of each comment among those that are rejected, and the line in what it stages.
    pub(crate) fn located(&self, rejected: &[Patch], comments: &[NewComment]) -> Result<ByPatch> {
        if comments.len() > COMMENTS_MAX {
            let reason = format!("at most {COMMENTS_MAX} lines can be commented at once");
            return Err(StagingError::usage(reason));
        }
        let mut placed = ByPatch::new();
        for new in comments {
            let (id, comment) = self.located_one(rejected, new)?;
            placed.entry(id).or_default().push(comment);
        }
        Ok(placed)
    }

    fn located_one(&self, rejected: &[Patch], new: &NewComment) -> Result<(PatchId, LineComment)> {
        let NewComment { path, line, comment } = new;
        let refused = |why: String| {
            StagingError::usage(format!("line {line} of `{path}` cannot be commented: {why}"))
        };
        if comment.trim().is_empty() {
            return Err(refused("the comment is empty".to_owned()));
        }
        if comment.len() > COMMENT_BYTES_MAX {
            return Err(refused(format!("the comment has more than {COMMENT_BYTES_MAX} bytes")));
        }
        let mut of_file =
            rejected.iter().filter(|patch| patch.target().unwrap_or(&patch.path) == path);
        let patch = of_file.next().ok_or_else(|| {
            refused("none of the patches that are rejected stages this file".to_owned())
        })?;
        if let Some(other) = of_file.find(|other| other.id != patch.id) {
            let ids = format!("{} and {}", patch.id, other.id);
            return Err(refused(format!("{ids} both stage this file: reject one of them alone")));
        }
        let staged = patch.staged.filter(|_| patch.content_kept);
        let staged = staged.ok_or_else(|| refused(format!("{} stages no content", patch.id)))?;
        let content = View::new(self, patch.session).content(path, &staged.digest)?;
        let text = line_at(&content, *line)
            .map_err(|lines| refused(format!("what {} stages has {lines} lines", patch.id)))?;
        let (path, line, comment) = (path.clone(), *line, comment.clone());
        Ok((patch.id, LineComment { path, line, text, comment }))
    }
}

/// A line of a content as text, or how many lines there are.
fn line_at(content: &[u8], line: u64) -> std::result::Result<String, usize> {
    let lines = || content.split_inclusive(|byte| *byte == b'\n');
    let at = usize::try_from(line).ok().and_then(|line| line.checked_sub(1));
    let Some(found) = at.and_then(|at| lines().nth(at)) else { return Err(lines().count()) };
    let found = found.strip_suffix(b"\n").unwrap_or(found);
    let found = found.strip_suffix(b"\r").unwrap_or(found);
    let cut = &found[..found.len().min(LINE_BYTES_MAX)];
    Ok(String::from_utf8_lossy(cut).into_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"one\ntwo\r\nthree", 1, Ok("one"))]
    #[case(b"one\ntwo\r\nthree", 2, Ok("two"))]
    #[case(b"one\ntwo\r\nthree", 3, Ok("three"))]
    #[case(b"one\ntwo\r\nthree", 4, Err(3))]
    #[case(b"one\n", 2, Err(1))]
    #[case(b"one\n", 0, Err(1))]
    #[case(b"", 1, Err(0))]
    #[case(b"\xff", 1, Ok("\u{fffd}"))]
    fn lines_are_counted_as_editors_count_them(
        #[case] content: &[u8],
        #[case] line: u64,
        #[case] expected: std::result::Result<&str, usize>,
    ) {
        assert_eq!(line_at(content, line).as_deref().map_err(|lines| *lines), expected);
    }
}
