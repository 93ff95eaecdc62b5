//! Writes files that are replaced as a whole: a description, or the contents in pieces.

use std::io::{self, Write};

use crate::content::{Content, SNIFF_BYTES, for_each_piece};
use crate::lines::first_line_end;
use crate::render::binary::write_binary_patch;
use crate::render::header::FileHeader;
use crate::render::unified::{BinaryMode, NO_NEWLINE, hunk_range};

/// What is known of a content after reading it once.
#[derive(Clone, Copy, Debug, Default)]
struct Measure {
    bytes: u64,
    lines: u64,
    binary: bool,
}

/// Writes the patch of one file without comparing, in constant memory.
pub(crate) fn write_whole_file(
    header: &FileHeader<'_>,
    mut old: Option<&mut dyn Content>,
    mut new: Option<&mut dyn Content>,
    mode: BinaryMode,
    out: &mut dyn Write,
) -> io::Result<()> {
    let old_measure = measure(&mut old)?;
    let new_measure = measure(&mut new)?;
    let binary = old_measure.binary || new_measure.binary;
    if mode == BinaryMode::Describe {
        let bytes = |content: &Option<&mut dyn Content>, measure: Measure| {
            content.is_some().then_some(measure.bytes)
        };
        let sizes = (bytes(&old, old_measure), bytes(&new, new_measure));
        return write_description(header, binary, sizes, out);
    }
    if binary && mode == BinaryMode::Sizes {
        let size = |content: &Option<&mut dyn Content>, measure: Measure| {
            content.is_some().then(|| readable(measure.bytes))
        };
        let sizes = (size(&old, old_measure), size(&new, new_measure));
        header.write_extended(0, false, out)?;
        return match sizes {
            (Some(old), Some(new)) => writeln!(out, "Binary files differ: {old} -> {new}"),
            (None, Some(new)) => writeln!(out, "Binary file is created: {new}"),
            (Some(old), None) => writeln!(out, "Binary file is deleted: {old}"),
            (None, None) => Ok(()),
        };
    }
    if binary {
        header.write_extended(0, false, out)?;
        return write_binary_patch((old, old_measure.bytes), (new, new_measure.bytes), out);
    }
    let has_lines = old_measure.lines + new_measure.lines > 0;
    header.write_extended(0, has_lines, out)?;
    if !has_lines {
        return header.write_empty_index(out);
    }
    header.write_names(out)?;
    let (old_range, new_range) =
        (hunk_range(0, old_measure.lines), hunk_range(0, new_measure.lines));
    writeln!(out, "@@ -{old_range} +{new_range} @@")?;
    write_lines(b'-', &mut old, out)?;
    write_lines(b'+', &mut new, out)
}

/// Describes a file that is replaced: its sizes and digests.
///
/// Git marks a patch without its content by this line, so that `git apply` refuses it instead of
/// silently skipping the file.
pub(crate) fn write_description(
    header: &FileHeader<'_>,
    binary: bool,
    (old_bytes, new_bytes): (Option<u64>, Option<u64>),
    out: &mut dyn Write,
) -> io::Result<()> {
    header.write_extended(0, false, out)?;
    let (old_label, new_label) = header.labels();
    let files: &[u8] = if binary { b"Binary files " } else { b"Files " };
    out.write_all(&[files, &old_label, b" and ", &new_label, b" differ\n"].concat())?;
    for (side, bytes, digest) in
        [("old", old_bytes, header.old_digest), ("new", new_bytes, header.new_digest)]
    {
        if let Some(bytes) = bytes {
            write!(out, "# {side}: {bytes} bytes")?;
            if let Some(digest) = digest {
                write!(out, ", blake3 {digest}")?;
            }
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}

/// A number of bytes for people: `812 bytes`, `1.2 KiB`.
fn readable(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut fitting = None;
    let mut size = bytes as f64;
    for unit in units {
        // What would be rounded up to 1024.0 is one of the next unit.
        if size < 1023.95 {
            break;
        }
        size /= 1024.0;
        fitting = Some(unit);
    }
    match fitting {
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
        Some(unit) => format!("{size:.1} {unit}"),
    }
}

fn measure(content: &mut Option<&mut dyn Content>) -> io::Result<Measure> {
    let mut measure = Measure::default();
    let mut unfinished = false;
    for_each_piece(content, |piece| {
        let sniffed = (SNIFF_BYTES as u64).saturating_sub(measure.bytes) as usize;
        measure.binary |= memchr::memchr(0, &piece[..sniffed.min(piece.len())]).is_some();
        measure.lines += memchr::memchr_iter(b'\n', piece).count() as u64;
        measure.bytes += piece.len() as u64;
        unfinished = !piece.ends_with(b"\n");
        Ok(())
    })?;
    measure.lines += u64::from(unfinished);
    Ok(measure)
}

/// Writes every line after a sign, in pieces, so that lines can have any length.
fn write_lines(
    sign: u8,
    content: &mut Option<&mut dyn Content>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut at_start = true;
    for_each_piece(content, |mut piece| {
        while !piece.is_empty() {
            let (line, rest) = piece.split_at(first_line_end(piece));
            if at_start {
                out.write_all(&[sign])?;
            }
            out.write_all(line)?;
            at_start = line.ends_with(b"\n");
            piece = rest;
        }
        Ok(())
    })?;
    if at_start { Ok(()) } else { out.write_all(NO_NEWLINE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_readable() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1229, "1.2 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
        ] {
            assert_eq!(readable(bytes), expected);
        }
    }
}
