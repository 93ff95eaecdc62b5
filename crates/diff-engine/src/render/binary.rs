//! Writes git's binary patches: both contents, deflated and in base 85.
//!
//! `git apply` reverts and checks them by git's ids of the contents.
//!
//! # Limitations
//!
//! A repository with SHA-256 object ids refuses these patches; `patch` does not read them at all.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::content::{Content, for_each_piece, object_id};

/// Writes the index line and both contents, each with its size in bytes; `None` is a file that does
/// not exist.
pub(crate) fn write_binary_patch(
    (mut old, old_bytes): (Option<&mut dyn Content>, u64),
    (mut new, new_bytes): (Option<&mut dyn Content>, u64),
    out: &mut dyn Write,
) -> io::Result<()> {
    let (old_id, new_id) = (object_id(&mut old, old_bytes)?, object_id(&mut new, new_bytes)?);
    write!(out, "index {old_id}..{new_id}\nGIT binary patch\n")?;
    write_literal(&mut new, new_bytes, out)?;
    write_literal(&mut old, old_bytes, out)
}

fn write_literal(
    content: &mut Option<&mut dyn Content>,
    bytes: u64,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "literal {bytes}")?;
    let lines = Base85Lines { out: &mut *out, line: Vec::with_capacity(LINE_BYTES) };
    let mut encoder = ZlibEncoder::new(lines, Compression::default());
    for_each_piece(content, |piece| encoder.write_all(piece))?;
    encoder.finish()?.write_line()?;
    out.write_all(b"\n")
}

/// How many bytes one line holds.
const LINE_BYTES: usize = 52;

const ALPHABET: &[u8; 85] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/// Encodes bytes as git's base-85 lines.
struct Base85Lines<'a> {
    out: &'a mut dyn Write,
    line: Vec<u8>,
}

impl Base85Lines<'_> {
    fn write_line(&mut self) -> io::Result<()> {
        let length = self.line.len() as u8;
        let length_letter = match length {
            0 => return Ok(()),
            1..=26 => b'A' + length - 1,
            _ => b'a' + length - 27,
        };
        let mut text = vec![length_letter];
        for group in self.line.chunks(4) {
            let mut four = [0; 4];
            four[..group.len()].copy_from_slice(group);
            let mut value = u32::from_be_bytes(four);
            let mut five = [0; 5];
            for digit in five.iter_mut().rev() {
                *digit = ALPHABET[(value % 85) as usize];
                value /= 85;
            }
            text.extend(five);
        }
        text.push(b'\n');
        self.line.clear();
        self.out.write_all(&text)
    }
}

impl Write for Base85Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let take = bytes.len().min(LINE_BYTES - self.line.len());
        self.line.extend_from_slice(&bytes[..take]);
        if self.line.len() == LINE_BYTES {
            self.write_line()?;
        }
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
