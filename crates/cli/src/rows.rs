//! How many rows of a terminal output takes.

use std::io::{self, Write};

/// Counts the rows of what is written through it.
pub(crate) struct Rows<W> {
    out: W,
    columns: usize,
    ended: usize,
    line: Vec<u8>,
}

impl<W: Write> Rows<W> {
    /// For a terminal of so many columns.
    pub(crate) fn new(out: W, columns: usize) -> Self {
        Self { out, columns: columns.max(1), ended: 0, line: Vec::new() }
    }

    /// The rows of the lines that have ended.
    pub(crate) fn count(&self) -> usize {
        self.ended
    }
}

impl<W: Write> Write for Rows<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        for part in bytes[..written].split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.ended += width(&self.line).div_ceil(self.columns).max(1);
                self.line.clear();
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// How many characters of a line are shown: not its end, and no sequence that colours it.
fn width(line: &[u8]) -> usize {
    let text = String::from_utf8_lossy(line);
    let mut parts = text.trim_end_matches('\n').split('\x1b');
    let first = parts.next().unwrap_or_default().chars().count();
    let behind = parts.map(|part| part.split_once('m').map_or(part, |(_, behind)| behind));
    first + behind.map(|part| part.chars().count()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", 0)]
    #[case("one\n", 1)]
    #[case("\n\n", 2)]
    #[case("0123456789\n", 1)]
    #[case("0123456789x\n", 2)]
    #[case("\x1b[31m0123456789\x1b[0m\n", 1)]
    #[case("äöüäöüäöüä\n", 1)]
    fn a_long_line_takes_several_rows_and_a_colour_none(
        #[case] text: &str,
        #[case] expected: usize,
    ) {
        for size in [1, 3, 100] {
            let mut rows = Rows::new(Vec::new(), 10);
            text.as_bytes().chunks(size).for_each(|part| rows.write_all(part).expect("memory"));
            assert_eq!(rows.count(), expected);
            assert_eq!(rows.out, text.as_bytes());
        }
    }
}
