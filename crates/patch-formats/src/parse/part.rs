//! What files' parts of a unified diff have in common, with git's headers and without.

use crate::error::PatchError;
use crate::model::{Body, Change, FilePatch};
use crate::names;
use crate::printable::shown;
use crate::reader::Reader;
use crate::readings::Readings;

pub(crate) fn binary(line: usize) -> PatchError {
    let what = "binary patches are not read: propose the file whole";
    PatchError::Unsupported { line, what }
}

/// A name, and what stands behind it.
pub(crate) type Label<'p> = (Vec<u8>, &'p [u8]);
/// What the `---` and `+++` lines say.
pub(crate) type Labels<'p> = [Label<'p>; 2];

/// Reads both lines, by [`names::label`] or [`names::traditional_label`].
pub(crate) fn labels<'p>(
    reader: &mut Reader<'p>,
    label: fn(&'p [u8]) -> Option<Label<'p>>,
) -> Result<Labels<'p>, PatchError> {
    let mut read = || {
        let line = reader.line();
        let text = reader.peek_header().unwrap_or_default();
        reader.next();
        label(text.get(4..).unwrap_or_default()).ok_or_else(|| bad_quotes(text, line))
    };
    Ok([read()?, read()?])
}

/// Refuses a name in quotes that do not end, or that hold what C does not know.
pub(crate) fn bad_quotes(text: &[u8], line: usize) -> PatchError {
    let reason = format!("the name in {} is not quoted as it should be", shown(text));
    PatchError::malformed(line, reason)
}

pub(crate) const NOTHING: &[u8] = b"/dev/null";

/// Checks what holds for every file's part.
pub(crate) fn finish(file: FilePatch<'_>) -> Result<FilePatch<'_>, PatchError> {
    let names = [file.change.source(), file.change.target()];
    let readings = file.readings.iter().flat_map(Readings::all);
    for name in names.into_iter().flatten().chain(readings) {
        names::check(name, file.line)?;
    }
    let Body::Hunks { hunks, .. } = &file.body else { return Ok(file) };
    let sides = match file.change {
        Change::Create { .. } => hunks.iter().any(|hunk| hunk.old.count > 0).then_some("has"),
        Change::Delete { .. } => hunks.iter().any(|hunk| hunk.new.count > 0).then_some("keeps"),
        _ => None,
    };
    let Some(verb) = sides else { return Ok(file) };
    let reason = format!("a file that is created or deleted {verb} lines it cannot have");
    Err(PatchError::malformed(file.line, reason))
}
