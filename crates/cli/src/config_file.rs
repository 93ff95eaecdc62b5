//! Writing the user's configuration.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// Replaces the text of the file: the file itself, where its name is a link to it.
///
/// # Durability
///
/// The file is replaced whole, by a rename, and is on the disk on return.
#[allow(
    clippy::disallowed_methods,
    reason = "the user asked for this change of their configuration"
)]
pub(crate) fn replace(file: &Path, text: &str) -> io::Result<()> {
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    if let Ok(old) = fs::metadata(&target) {
        new.as_file().set_permissions(old.permissions())?;
    }
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(&target)?;
    fs::File::open(folder)?.sync_all()
}
