//! What parts of a unified diff with git's headers and parts without them share.

use crate::error::PatchError;
use crate::model::{Body, Change, FilePatch};
use crate::names;
use crate::printable::shown;
use crate::reader::Reader;
use crate::readings::Readings;

pub(crate) fn binary(line: usize) -> PatchError {
    let what = "binary patches are not supported: propose the whole file";
    PatchError::Unsupported { line, what }
}

/// A name, and the rest of its line.
pub(crate) type Label<'p> = (Vec<u8>, &'p [u8]);
/// The contents of the `---` and `+++` lines.
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

/// Refuses a name whose quotes do not end or contain an escape that C does not have.
pub(crate) fn bad_quotes(text: &[u8], line: usize) -> PatchError {
    let reason = format!("the name in {} is not quoted correctly", shown(text));
    PatchError::malformed(line, reason)
}

pub(crate) const NOTHING: &[u8] = b"/dev/null";

/// Checks the rules that every file's part has to follow.
pub(crate) fn finish(file: FilePatch<'_>) -> Result<FilePatch<'_>, PatchError> {
    let names = [file.change.source(), file.change.target()];
    let readings = file.readings.iter().flat_map(Readings::all);
    for name in names.into_iter().flatten().chain(readings) {
        names::check(name, file.line)?;
    }
    let Body::Hunks { hunks, .. } = &file.body else { return Ok(file) };
    let reason = match file.change {
        Change::Create { .. } if hunks.iter().any(|hunk| hunk.old.count > 0) => {
            "a file that is created cannot have old lines"
        }
        Change::Delete { .. } if hunks.iter().any(|hunk| hunk.new.count > 0) => {
            "a file that is deleted cannot keep lines"
        }
        _ => return Ok(file),
    };
    Err(PatchError::malformed(file.line, reason))
}
