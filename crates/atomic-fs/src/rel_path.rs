//! Paths relative to the workspace's root, checked before anything opens them.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::display::{Part, parts};

/// The longest path accepted, in bytes: Linux's `PATH_MAX` less its terminator.
pub const PATH_BYTES_MAX: usize = 4095;
/// The longest component accepted, in bytes: `NAME_MAX` of every file system
/// that Greenroom knows, less the room that a slot's name needs beside it.
pub const NAME_BYTES_MAX: usize = 255;

/// A normalised path below the workspace's root.
///
/// Bytes with `/` between components: never empty, never absolute, no `.`, no
/// `..`, no empty component, no NUL. On Unix the bytes are the file name's own;
/// on Windows they are UTF-8.
///
/// serde and [`RelPath::to_escaped`] use a lossless escape for programs: valid UTF-8
/// without control characters and backslashes stands for itself, every other
/// byte is `\xNN`. [`Display`](fmt::Display) is for people: it writes what
/// [`is_invisible`](crate::is_invisible) in the same way, so that no two paths look alike
/// for it. Its [`FromStr`] reads both.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Box<[u8]>);

impl RelPath {
    /// Checks and normalises a relative path: `./a//b/` becomes `a/b`.
    ///
    /// # Errors
    /// [`PathError`] when the path is empty, absolute, has `..`, holds a NUL, or
    /// is longer than the system takes.
    pub fn parse(bytes: &[u8]) -> Result<Self, PathError> {
        let shown = || escape_shown(bytes);
        if bytes.contains(&0) {
            return Err(PathError::Nul { path: shown() });
        }
        if bytes.first() == Some(&b'/') {
            return Err(PathError::Absolute { path: shown() });
        }
        let mut normal = Vec::with_capacity(bytes.len());
        for component in bytes.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(PathError::ParentComponent { path: shown() }),
                name if name.len() > NAME_BYTES_MAX => {
                    return Err(PathError::TooLong { path: shown() });
                }
                name => {
                    if !normal.is_empty() {
                        normal.push(b'/');
                    }
                    normal.extend_from_slice(name);
                }
            }
        }
        if normal.is_empty() {
            return Err(PathError::Empty);
        }
        if normal.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong { path: shown() });
        }
        Ok(Self(normal.into_boxed_slice()))
    }

    /// The same from an operating system's path.
    ///
    /// # Errors
    /// As [`RelPath::parse`]; on Windows also when the path is not Unicode.
    pub fn from_path(path: &Path) -> Result<Self, PathError> {
        Self::parse(&os_bytes(path.as_os_str())?)
    }

    /// The path for programs; see [`RelPath`].
    pub fn to_escaped(&self) -> String {
        escape_bytes(&self.0)
    }

    /// The path's bytes, `/` between components.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as the operating system takes it, still relative.
    pub fn to_path_buf(&self) -> PathBuf {
        PathBuf::from(os_string(&self.0))
    }

    /// The last component.
    pub fn file_name(&self) -> &[u8] {
        self.components().last().unwrap_or(&self.0)
    }

    /// A name in a directory, or at the root where none is given.
    ///
    /// # Errors
    /// As [`RelPath::parse`].
    pub(crate) fn in_dir(dir: Option<&RelPath>, name: &[u8]) -> Result<Self, PathError> {
        dir.map_or_else(|| Self::parse(name), |dir| dir.join(name))
    }

    /// The directories that it lies in, innermost first.
    pub(crate) fn dirs_above(&self) -> impl Iterator<Item = RelPath> + use<> {
        std::iter::successors(self.parent(), RelPath::parent)
    }

    /// The path without its last component, or `None` for a name at the root.
    pub fn parent(&self) -> Option<RelPath> {
        let end = self.0.iter().rposition(|byte| *byte == b'/')?;
        Some(Self(self.0[..end].into()))
    }

    /// This path with one more component.
    ///
    /// # Errors
    /// As [`RelPath::parse`].
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        Self::parse(&[&self.0, b"/".as_slice(), name].concat())
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/')
    }

    /// Whether `self` is `ancestor` or lies below it.
    pub fn starts_with(&self, ancestor: &RelPath) -> bool {
        self.0.strip_prefix(&*ancestor.0).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

/// Reads back what [`RelPath::to_escaped`] or [`Display`](fmt::Display) wrote. Fails as
/// [`RelPath::parse`], and with [`PathError::BadEscape`].
impl FromStr for RelPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(&unescape(text)?)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_shown(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({self})")
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_escaped())
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Escapes bytes losslessly for people: as [`escape_bytes`], and what is invisible in the same way.
fn escape_shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    parts(bytes, |part| match part {
        Part::Shown(shown) => text.push_str(&shown.replace('\\', "\\x5c")),
        Part::Hidden(hidden) => {
            let bytes = hidden.encode_utf8(&mut [0; 4]).bytes().collect::<Vec<_>>();
            bytes.into_iter().for_each(|byte| push_escaped(&mut text, byte));
        }
        Part::Invalid(byte) => push_escaped(&mut text, byte),
    });
    text
}

/// Escapes bytes losslessly for programs; see [`RelPath`].
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    push_escaped(&mut text, byte);
                }
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            push_escaped(&mut text, *byte);
        }
    }
    text
}

/// Escapes a system's own path for programs; see [`RelPath`]. On
/// Windows a backslash stands for itself: it is in no name there.
pub fn escape_path(path: &OsStr) -> String {
    let text = path.as_encoded_bytes();
    if cfg!(windows) {
        let parts: Vec<String> = text.split(|byte| *byte == b'\\').map(escape_bytes).collect();
        return parts.join("\\");
    }
    escape_bytes(text)
}

fn push_escaped(text: &mut String, byte: u8) {
    use fmt::Write as _;
    write!(text, "\\x{byte:02x}").expect("writing to a String cannot fail");
}

/// Reads back what [`escape_bytes`] wrote.
fn unescape(text: &str) -> Result<Vec<u8>, PathError> {
    let bad = || PathError::BadEscape { path: text.to_owned() };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let hex = rest[at..].strip_prefix("\\x").and_then(|tail| tail.get(..2)).ok_or_else(bad)?;
        bytes.push(u8::from_str_radix(hex, 16).map_err(|_| bad())?);
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(unix)]
fn os_bytes(os: &OsStr) -> Result<Vec<u8>, PathError> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(os.as_bytes().to_vec())
}

#[cfg(unix)]
pub(crate) fn os_string(bytes: &[u8]) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStrExt as _;
    OsStr::from_bytes(bytes).to_owned()
}

#[cfg(not(unix))]
fn os_bytes(os: &OsStr) -> Result<Vec<u8>, PathError> {
    let text = os
        .to_str()
        .ok_or_else(|| PathError::NotUnicode { path: os.to_string_lossy().into_owned() })?;
    Ok(text.replace('\\', "/").into_bytes())
}

#[cfg(not(unix))]
pub(crate) fn os_string(bytes: &[u8]) -> std::ffi::OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// A path that is no path below a workspace's root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing is left after normalising.
    #[error("the path is empty: name a file below the workspace")]
    Empty,
    /// It starts at the system's root.
    #[error("`{path}` is absolute: name it relative to the workspace")]
    Absolute {
        /// The path, escaped.
        path: String,
    },
    /// It climbs.
    #[error("`{path}` holds `..`, which could lead out of the workspace")]
    ParentComponent {
        /// The path, escaped.
        path: String,
    },
    /// It holds a NUL byte.
    #[error("`{path}` holds a NUL byte")]
    Nul {
        /// The path, escaped.
        path: String,
    },
    /// It is longer than the system takes.
    #[error("`{path}` is longer than the system takes")]
    TooLong {
        /// The path, escaped.
        path: String,
    },
    /// It is not Unicode where it has to be.
    #[error("`{path}` is not valid Unicode")]
    NotUnicode {
        /// The path, lossily.
        path: String,
    },
    /// An escaped path that [`RelPath`]'s `Display` cannot have written.
    #[error("`{path}` holds a broken `\\xNN` escape")]
    BadEscape {
        /// The text.
        path: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"./a//b/", "a/b")]
    #[case(b"a\tb", "a\\x09b")]
    #[case(b"a\\b", "a\\x5cb")]
    #[case(b"\xff", "\\xff")]
    #[case("ä ö".as_bytes(), "ä ö")]
    #[case("a\u{200b}b".as_bytes(), "a\\xe2\\x80\\x8bb")]
    #[case("👩‍💻\u{fe0f}".as_bytes(), "👩‍💻\u{fe0f}")]
    fn paths_normalise_and_escape(#[case] bytes: &[u8], #[case] shown: &str) {
        assert_eq!(RelPath::parse(bytes).expect("valid").to_string(), shown);
    }

    #[rstest]
    #[case(b"")]
    #[case(b"/a")]
    #[case(b"a/../b")]
    #[case(b"..")]
    #[case(b"a\0b")]
    #[case(b"./.")]
    fn paths_that_could_lead_out_are_refused(#[case] bytes: &[u8]) {
        assert!(RelPath::parse(bytes).is_err());
    }

    #[rstest]
    #[case("./a//b/", Ok("a/b"))]
    #[case("a\\x09b", Ok("a\\x09b"))]
    #[case("a\\q", Err("`a\\q` holds a broken `\\xNN` escape"))]
    #[case("../a", Err("`../a` holds `..`, which could lead out of the workspace"))]
    fn text_parses_as_bytes_do(#[case] text: &str, #[case] expected: Result<&str, &str>) {
        let parsed = text.parse::<RelPath>();
        let shown = parsed.map(|path| path.to_string()).map_err(|error| error.to_string());
        assert_eq!(shown.as_deref().map_err(String::as_str), expected);
    }

    proptest! {
        #[test]
        fn the_escape_is_lossless(bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
            if let Ok(path) = RelPath::parse(&bytes) {
                prop_assert_eq!(path.to_string().parse::<RelPath>().expect("own output"), path.clone());
                prop_assert_eq!(path.to_escaped().parse::<RelPath>().expect("own output"), path);
            }
        }

        #[test]
        fn a_path_for_people_shows_everything_and_reads_back(text in any::<String>()) {
            if let Ok(path) = RelPath::parse(text.as_bytes()) {
                let shown = path.to_string();
                prop_assert_eq!(&crate::escape_line_for_display(&shown), &shown);
                prop_assert_eq!(shown.parse::<RelPath>().expect("own output"), path);
            }
        }

        #[test]
        fn a_path_for_programs_is_exact_but_for_controls_and_backslashes(text in "[^\\pC\\\\/.]{1,20}") {
            let path = RelPath::parse(text.as_bytes()).expect("a plain name is a path");
            prop_assert_eq!(path.to_escaped(), text);
        }
    }
}
