//! The `.tmp` beside the target: written, and given its metadata.

use std::io::{self, Read};

use crate::apply::intent::{Action, Unit};
use crate::content::{ContentSource, Digest, EntryKind, Fingerprint, HashingReader};
use crate::error::FsError;
use crate::holes::{data_runs, has_hole};
use crate::os::dir_cache::DirCache;
use crate::os::disk::write_all;
use crate::os::disk::{Carried, Disk, LinkLike};
use crate::refusal::Refusal;
use crate::rel_path::RelPath;

const PIECE_BYTES: u64 = 256 * 1024;

/// Writes a unit's slot, hashing the bytes on their way.
///
/// # Durability
/// Nothing is durable before the caller has synced the file that is returned, or, for a symbolic
/// link, which is no file, the directory. A file's name need not be: recovery takes a missing slot
/// for a set that was not swapped.
///
/// # Errors
/// [`FsError::DamagedContent`] when the source yields anything but the approved
/// bytes; the slot may be left behind in part and is the caller's to remove.
pub(crate) fn write<D: Disk>(
    cache: &DirCache<'_, D>,
    unit: &Unit,
    staged: &Fingerprint,
    source: &dyn ContentSource,
) -> Result<Option<D::File>, FsError> {
    let continues = match &unit.action {
        Action::Replace { base, .. } if base.kind() != staged.kind() => None,
        Action::Replace { .. } => Some(&unit.path),
        Action::Create { like, .. } => like.as_ref(),
        _ => None,
    };
    let new = NewFile {
        own: &unit.slot,
        path: &unit.path,
        content: staged,
        continues,
        stamp: Some(unit.stamp),
    };
    let known = match &unit.action {
        Action::Replace { base, .. } if base.digest == staged.digest => Some(Carried::Same),
        Action::Replace { .. } => Some(Carried::New),
        _ => None,
    };
    new.write(cache, known, source)
}

/// A file of Greenroom's own that is to be written beside a user's.
pub(crate) struct NewFile<'u> {
    /// Its name.
    pub own: &'u RelPath,
    /// The user's file that it is for.
    pub path: &'u RelPath,
    pub content: &'u Fingerprint,
    /// The file whose owner and attributes it gets.
    pub continues: Option<&'u RelPath>,
    /// The time of modification that it gets.
    pub stamp: Option<i64>,
}

impl NewFile<'_> {
    /// Writes it, hashing the bytes on their way. Whether the file that it continues has the same
    /// content is looked at where it is not `known`.
    ///
    /// # Errors
    /// As [`write`].
    pub(crate) fn write<D: Disk>(
        &self,
        cache: &DirCache<'_, D>,
        known: Option<Carried>,
        source: &dyn ContentSource,
    ) -> Result<Option<D::File>, FsError> {
        match self.content.kind() {
            EntryKind::Symlink => self.make_symlink(cache, source).map(|()| None),
            // A change set makes directories by an operation of their own.
            EntryKind::File | EntryKind::Directory => {
                self.write_file(cache, known, source).map(Some)
            }
        }
    }

    fn make_symlink<D: Disk>(
        &self,
        cache: &DirCache<'_, D>,
        source: &dyn ContentSource,
    ) -> Result<(), FsError> {
        let Self { own, path, content, .. } = *self;
        let target = read_target(path, content, source)?;
        let dir = cache.parent(own)?;
        let old = match self.continues {
            Some(old) => cache.stat(old)?,
            None => None,
        };
        let owner = old.map(|old| (old.uid, old.gid));
        let modified_ns = self.stamp;
        cache
            .disk
            .create_symlink(&dir, own.file_name(), &target, LinkLike { owner, modified_ns })
            .map_err(FsError::io("make a symlink beside", path))
    }

    fn write_file<D: Disk>(
        &self,
        cache: &DirCache<'_, D>,
        known: Option<Carried>,
        source: &dyn ContentSource,
    ) -> Result<D::File, FsError> {
        let Self { own, path, content, .. } = *self;
        let disk = cache.disk;
        let dir = cache.parent(own)?;
        let continues = self.continues;
        let original = continues.map(|old| cache.open_file(old)).transpose()?;
        let file =
            disk.create_file(&dir, own.file_name()).map_err(FsError::io("write beside", path))?;
        if let (Some(old), Some(original)) = (continues, &original) {
            // Before the first byte, since some flags are taken by an empty file only.
            disk.copy_flags(original, &file).map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => FsError::refused(old, Refusal::Immutable),
                _ => FsError::io("keep the flags of", old)(error),
            })?;
        }
        fill(disk, &file, path, content, source)?;
        match (continues, original) {
            (Some(old), Some(original)) => {
                let carried = known.map_or_else(|| carried(cache, content, &original), Ok);
                carried
                    .and_then(|it| disk.copy_metadata(&original, &file, content.mode, it))
                    .map_err(FsError::io("keep the owner and attributes of", old))?;
            }
            _ => {
                disk.set_mode(&file, content.mode).map_err(FsError::io("set the mode of", path))?;
            }
        }
        if let Some(stamp) = self.stamp {
            disk.set_modified(&file, stamp)
                .map_err(FsError::io("set the time of modification of", path))?;
        }
        Ok(file)
    }
}

/// The target of a symbolic link that is to be made.
///
/// # Errors
/// [`FsError::DamagedContent`] when the source yields another one than was approved.
pub(crate) fn read_target(
    path: &RelPath,
    link: &Fingerprint,
    source: &dyn ContentSource,
) -> Result<Vec<u8>, FsError> {
    let failed = || FsError::io("read the target of the symlink", path);
    let mut target = Vec::new();
    let reader = source.open(&link.digest).map_err(failed())?;
    reader.take(link.bytes + 1).read_to_end(&mut target).map_err(failed())?;
    let found = Digest::of(&target);
    if found != link.digest {
        return Err(FsError::DamagedContent { path: path.clone(), expected: link.digest, found });
    }
    Ok(target)
}

/// Whether the file that a new one continues has its content.
fn carried<D: Disk>(
    cache: &DirCache<'_, D>,
    content: &Fingerprint,
    original: &D::File,
) -> io::Result<Carried> {
    let is_same = cache.disk.file_stat(original)?.bytes == content.bytes
        && cache.open_file_state(original)?.content() == Some(content.content());
    Ok(if is_same { Carried::Same } else { Carried::New })
}

/// Writes the content, with holes where it has some, and makes room for it first where it has none.
fn fill<D: Disk>(
    disk: &D,
    file: &D::File,
    path: &RelPath,
    staged: &Fingerprint,
    source: &dyn ContentSource,
) -> Result<(), FsError> {
    let failed = || FsError::io("write the new content of", path);
    let read_failed = || FsError::io("read the staged content of", path);
    let reader = source.open(&staged.digest).map_err(read_failed())?;
    let mut reader = HashingReader::new(reader.take(staged.bytes + 1));
    let mut piece = Vec::new();
    let mut next = |piece: &mut Vec<u8>| {
        piece.clear();
        reader.by_ref().take(PIECE_BYTES).read_to_end(piece).map_err(read_failed())
    };
    let mut count = next(&mut piece)?;
    let is_sparse = match staged.bytes < PIECE_BYTES {
        true => has_hole(&piece),
        false => source.is_sparse(&staged.digest),
    };
    if !is_sparse {
        disk.reserve(file, staged.bytes).map_err(FsError::io("make room for", path))?;
    }
    let (mut offset, mut written) = (0, 0);
    while count > 0 {
        let whole = 0..count;
        let runs = if is_sparse { data_runs(&piece, offset) } else { vec![whole] };
        for run in runs {
            write_all(disk, file, &piece[run.clone()], offset + run.start as u64)
                .map_err(failed())?;
            written = offset + run.end as u64;
        }
        offset += count as u64;
        count = next(&mut piece)?;
    }
    let found = reader.digest();
    let is_approved = found == staged.digest && offset == staged.bytes;
    if !is_approved {
        return Err(FsError::DamagedContent { path: path.clone(), expected: staged.digest, found });
    }
    if written < offset {
        disk.lengthen(file, offset).map_err(failed())?;
    }
    Ok(())
}
