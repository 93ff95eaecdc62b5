//! Reading files that somebody else may have put there: regular files only, of bounded size.
//!
//! A settings file of a project can be a FIFO that nobody writes to, a device without an end, or a
//! sparse file that is longer than memory. Symbolic links are followed, as the programs follow them
//! whose settings these are.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use staging_core::open_without_waiting;

/// The longest file of settings that is read, in bytes.
pub(crate) const SETTINGS_BYTES_MAX: u64 = 16 << 20;

/// Opens a regular file to be read, without waiting for the other end of a FIFO.
///
/// # Errors
/// What the system says, and `InvalidInput` for anything but a regular file.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let file = open_without_waiting(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(file)
}

/// Reads a regular file whole.
///
/// # Errors
/// As [`open_regular`], and `FileTooLarge` for a file with more bytes than `bytes_max`, of which
/// nothing is read where its length says so.
pub(crate) fn read_regular(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let too_long = || {
        let reason = format!("it has more than {bytes_max} bytes");
        io::Error::new(io::ErrorKind::FileTooLarge, reason)
    };
    let bytes = file.metadata()?.len();
    if bytes > bytes_max {
        return Err(too_long());
    }
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    // It may grow while it is read.
    file.take(bytes_max + 1).read_to_end(&mut content)?;
    if content.len() as u64 > bytes_max {
        return Err(too_long());
    }
    Ok(content)
}

/// The same of a file of settings, which is text.
///
/// # Errors
/// As [`read_regular`], and `InvalidData` when it is not UTF-8.
pub(crate) fn read_settings(path: &Path) -> io::Result<String> {
    let content = read_regular(path, SETTINGS_BYTES_MAX)?;
    String::from_utf8(content)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(all(test, unix))]
#[allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "content").expect("written");
        std::os::unix::fs::symlink(at("file"), at("link")).expect("linked");
        let fifo = std::process::Command::new("mkfifo").arg(at("fifo")).status();
        assert!(fifo.expect("mkfifo starts").success());
        std::os::unix::fs::symlink(at("fifo"), at("to-fifo")).expect("linked");
        std::os::unix::fs::symlink("/dev/zero", at("device")).expect("linked");
        for name in ["file", "link"] {
            assert_eq!(read_regular(&at(name), 7).expect(name), b"content");
        }
        for name in ["fifo", "to-fifo", "device", "."] {
            let error = read_regular(&at(name), u64::MAX - 1).expect_err(name);
            assert_eq!(error.to_string(), "it is no regular file", "{name}");
        }
        let error = read_regular(&at("absent"), 7).expect_err("absent");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_by_its_length() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("sparse");
        let file = File::create(&path).expect("made");
        file.set_len(1 << 40).expect("a terabyte without a block");
        let error = read_regular(&path, SETTINGS_BYTES_MAX).expect_err("it is too long");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        file.set_len(8).expect("shorter");
        assert_eq!(read_regular(&path, 8).expect("it fits"), [0; 8]);
        assert!(read_regular(&path, 7).is_err());
    }
}
