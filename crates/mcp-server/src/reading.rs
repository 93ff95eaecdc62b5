//! The tools that read files.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{ContentBlock, ResourceContents};
use staging_core::{RelPath, StagingError};

use crate::arguments::{OnePath, ReadMultiple, ReadText};
use crate::context::Context;
use crate::failure::Failure;
use crate::paths::shown;

/// How much one call reads.
pub(crate) const READ_BYTES_MAX: usize = 32 << 20;
/// How many files one call reads.
const PATHS_MAX: usize = 10_000;

/// `read_file`, `read_text_file`
pub(crate) fn read_text_file(context: &Context, arguments: &ReadText) -> Result<String, Failure> {
    let (head, tail) = (lines(arguments.head, "head")?, lines(arguments.tail, "tail")?);
    let path = context.file(&arguments.path)?;
    let bytes = match (head, tail) {
        (Some(_), Some(_)) => return Err(Failure::new("pass `head` or `tail`, not both")),
        (Some(count), None) => {
            let head = Head { left: count, bytes: Vec::new() };
            read(context, &path, head, |head| head.left == 0)?.bytes
        }
        (None, Some(count)) => read(context, &path, Tail::last(count), |_| false)?.bytes(),
        (None, None) => whole(context, &path)?,
    };
    Ok(text(bytes))
}

/// A count of lines; zero is none, as with the reference server.
fn lines(count: Option<f64>, name: &str) -> Result<Option<usize>, Failure> {
    match count {
        None => Ok(None),
        Some(count) if count >= 0.0 && count.fract() == 0.0 => {
            // Larger than any file has lines is as good as all of them.
            Ok(Some(count as usize).filter(|count| *count > 0))
        }
        Some(_) => Err(Failure::new(format!("`{name}` must be a whole number of lines"))),
    }
}

/// `read_multiple_files`
pub(crate) fn read_multiple_files(
    context: &Context,
    arguments: &ReadMultiple,
) -> Result<String, Failure> {
    if arguments.paths.is_empty() || arguments.paths.len() > PATHS_MAX {
        return Err(Failure::new(format!("name 1 to {PATHS_MAX} paths")));
    }
    let (mut parts, mut total) = (Vec::with_capacity(arguments.paths.len()), 0);
    for named in &arguments.paths {
        let part = match context.file(named).and_then(|path| whole(context, &path)) {
            Ok(content) => format!("{named}:\n{}\n", text(content)),
            Err(failure) => format!("{named}: Error - {}", failure.message),
        };
        total += part.len();
        if total > READ_BYTES_MAX {
            return Err(Failure::new(format!(
                "the files are longer than {READ_BYTES_MAX} bytes together: read fewer at once"
            )));
        }
        parts.push(part);
    }
    Ok(parts.join("\n---\n"))
}

/// `read_media_file`
pub(crate) fn read_media_file(
    context: &Context,
    arguments: &OnePath,
) -> Result<ContentBlock, Failure> {
    let path = context.file(&arguments.path)?;
    let data = STANDARD.encode(whole(context, &path)?);
    let mime = mime_type(path.file_name());
    Ok(if mime.starts_with("image/") {
        ContentBlock::image(data, mime)
    } else if mime.starts_with("audio/") {
        ContentBlock::audio(data, mime)
    } else {
        let full = context.allowed.full(&Some(path));
        ContentBlock::resource(ResourceContents::BlobResourceContents {
            uri: file_uri(full.as_os_str().as_encoded_bytes()),
            mime_type: Some(mime.to_owned()),
            blob: data,
            meta: None,
        })
    })
}

fn mime_type(name: &[u8]) -> &'static str {
    let extension = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    match extension.to_ascii_lowercase().as_slice() {
        _ if extension.len() == name.len() => "application/octet-stream",
        b"png" => "image/png",
        b"jpg" | b"jpeg" => "image/jpeg",
        b"gif" => "image/gif",
        b"webp" => "image/webp",
        b"bmp" => "image/bmp",
        b"svg" => "image/svg+xml",
        b"mp3" => "audio/mpeg",
        b"wav" => "audio/wav",
        b"ogg" => "audio/ogg",
        b"flac" => "audio/flac",
        _ => "application/octet-stream",
    }
}

/// A path as a URI (RFC 8089), with everything but unreserved characters encoded.
fn file_uri(path: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut uri = String::from("file://");
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    uri
}

/// A file's whole content as the session sees it.
pub(crate) fn whole(context: &Context, path: &RelPath) -> Result<Vec<u8>, Failure> {
    Ok(read(context, path, Bounded::new(READ_BYTES_MAX), |_| false)?.bytes)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Takes what it wants of a file as it goes by; an error means nothing once it has enough.
fn read<T: Write>(
    context: &Context,
    path: &RelPath,
    mut taker: T,
    has_enough: fn(&T) -> bool,
) -> Result<T, Failure> {
    match context.layer.copy_through(context.session.id, path, &mut taker) {
        Ok(Some(_)) => Ok(taker),
        Ok(None) => Err(Failure::new(format!("there is no file `{path}`"))),
        Err(StagingError::Output { .. }) if has_enough(&taker) => Ok(taker),
        Err(StagingError::Output { .. }) => Err(Failure::new(format!(
            "`{path}` is longer than {READ_BYTES_MAX} bytes: read a part of it with `head` or `tail`"
        ))),
        Err(error) => Err(error.into()),
    }
}

fn too_long() -> io::Error {
    io::Error::from(io::ErrorKind::FileTooLarge)
}

/// Bytes up to a number of them, and an error beyond it.
pub(crate) struct Bounded {
    pub(crate) bytes: Vec<u8>,
    bytes_max: usize,
}

impl Bounded {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            return Err(too_long());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first lines, without the end of the last one.
struct Head {
    left: usize,
    bytes: Vec<u8>,
}

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.left == 0 || self.bytes.len() + line.len() > READ_BYTES_MAX {
                return Err(too_long());
            }
            self.bytes.extend_from_slice(line);
            if line.ends_with(b"\n") {
                self.left -= 1;
                if self.left == 0 {
                    self.bytes.pop();
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The last lines, with their ends.
struct Tail {
    count: usize,
    /// What is kept begins at `start`.
    bytes: Vec<u8>,
    start: usize,
    /// How many ends of lines are kept.
    ends: usize,
}

impl Tail {
    fn last(count: usize) -> Self {
        Self { count, bytes: Vec::new(), start: 0, ends: 0 }
    }

    fn bytes(mut self) -> Vec<u8> {
        self.bytes.drain(..self.start);
        self.bytes
    }

    fn lines(&self) -> usize {
        let goes_on = self.start < self.bytes.len() && self.bytes.last() != Some(&b'\n');
        self.ends + usize::from(goes_on)
    }
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        self.ends += bytes.iter().filter(|byte| **byte == b'\n').count();
        while self.lines() > self.count {
            let line = self.bytes[self.start..].iter().position(|byte| *byte == b'\n');
            self.start += line.map_or(0, |end| end + 1);
            self.ends -= 1;
        }
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        if self.bytes.len() - self.start > READ_BYTES_MAX {
            return Err(too_long());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a path is called when the file is asked for and none is there.
pub(crate) fn no_file(named: &str) -> Failure {
    Failure::new(format!("there is no file `{}`", shown(named)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn in_pieces(taker: &mut dyn Write, text: &str, piece_bytes: usize) {
        for piece in text.as_bytes().chunks(piece_bytes) {
            if taker.write_all(piece).is_err() {
                return;
            }
        }
    }

    #[rstest]
    #[case("a\nb\nc\n", 2, "a\nb", "b\nc\n")]
    #[case("a\nb\nc", 2, "a\nb", "b\nc")]
    #[case("a\r\nb\r\nc\r\n", 1, "a\r", "c\r\n")]
    #[case("a\n", 5, "a\n", "a\n")]
    #[case("", 5, "", "")]
    #[case("\n\n\n", 2, "\n", "\n\n")]
    fn the_first_and_the_last_lines_are_taken(
        #[case] text: &str,
        #[case] count: usize,
        #[case] first: &str,
        #[case] last: &str,
    ) {
        for piece_bytes in [1, 2, 1000] {
            let mut head = Head { left: count, bytes: Vec::new() };
            in_pieces(&mut head, text, piece_bytes);
            assert_eq!(String::from_utf8_lossy(&head.bytes), first, "head by {piece_bytes}");
            let mut tail = Tail::last(count);
            in_pieces(&mut tail, text, piece_bytes);
            assert_eq!(String::from_utf8_lossy(&tail.bytes()), last, "tail by {piece_bytes}");
        }
    }

    #[rstest]
    #[case(b"a.PNG".as_slice(), "image/png")]
    #[case(b"a.tar.gz", "application/octet-stream")]
    #[case(b"png", "application/octet-stream")]
    fn a_type_is_known_by_the_end_of_the_name(#[case] name: &[u8], #[case] expected: &str) {
        assert_eq!(mime_type(name), expected);
    }
}
