//! Windows, which replaces a file by a call of its own instead of exchanging two names.

use std::io;

use crate::apply::intent::Unit;
use crate::apply::swap_record::SwapRecord;
use crate::error::FsError;
use crate::fallback::move_aside;
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, is_unsupported};
use crate::rel_path::RelPath;

/// Exchanges the slot with the file by the system's own call that replaces a file and
/// keeps the old one, `ReplaceFileW`.
///
/// That call can fail half-way, and its documentation and its copies disagree on what
/// each code leaves. So the code decides nothing: the three names are looked at, and what
/// was begun is finished, or taken back. A crash in it leaves one of the same states, and
/// [`move_aside::settle`] finds it.
///
/// # Errors
/// As [`move_aside::exchange`].
pub(crate) fn exchange<D: Disk>(
    cache: &DirCache<'_, D>,
    record: &SwapRecord<D>,
    unit: &Unit,
    parent: &D::Dir,
) -> Result<(), FsError> {
    // Between the two steps the file is at no name but the one that is given to it.
    record.note_moved_aside(cache)?;
    let aside = unit.aside();
    let (target, slot) = (unit.path.file_name(), unit.slot.file_name());
    // The call overwrites what has the name that it is to give the old file, and that may
    // be what an earlier one took out and a user has put another file before.
    match cache.stat(&aside) {
        Ok(None) => {}
        Ok(Some(_)) => return Err(replaced_by_another(unit)),
        Err(error) => return Err(error),
    }
    let answer = cache.disk.replace(parent, target, slot, aside.file_name());
    finish(cache, record, unit, &aside, answer)
}

fn finish<D: Disk>(
    cache: &DirCache<'_, D>,
    record: &SwapRecord<D>,
    unit: &Unit,
    aside: &RelPath,
    answer: io::Result<()>,
) -> Result<(), FsError> {
    let is_there = |path: &RelPath| Ok::<_, FsError>(cache.stat(path)?.is_some());
    let failed = |kind: io::ErrorKind| {
        let error = answer.as_ref().err().map_or_else(|| kind.into(), copied);
        FsError::io("swap", &unit.path)(error)
    };
    match (is_there(&unit.path)?, is_there(&unit.slot)?, is_there(aside)?) {
        // Replaced; if the path is free, the user has removed the new file already.
        (_, false, true) => cache.rename_to_own(aside, &unit.slot),
        // The file is moved aside, and the slot has not arrived.
        (false, true, true) => {
            if let Err(error) = cache.rename_own_to(&unit.slot, &unit.path) {
                if !error.is(io::ErrorKind::AlreadyExists) {
                    cache.rename_own_to(aside, &unit.path)?;
                }
                return Err(error);
            }
            cache.rename_to_own(aside, &unit.slot)
        }
        // The same, and the user has put another file in its place: theirs stays.
        (true, true, true) => Err(replaced_by_another(unit)),
        // Nothing has changed. Where the call is not supported, renames do the same.
        (true, true, false) => match &answer {
            Err(error) if is_unsupported(error) => move_aside::exchange(cache, record, unit),
            _ => Err(failed(io::ErrorKind::Other)),
        },
        (false, _, false) => Err(FsError::io("swap", &unit.path)(io::ErrorKind::NotFound.into())),
        // Somebody has removed what was moved aside, or the slot.
        (true, false, false) => Err(failed(io::ErrorKind::Other)),
    }
}

fn replaced_by_another(unit: &Unit) -> FsError {
    FsError::io("swap", &unit.path)(io::ErrorKind::AlreadyExists.into())
}

/// An error of the system's once more.
fn copied(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}
