//! How many rows of a terminal output takes.

use std::io::{self, Write};

use unicode_width::UnicodeWidthChar as _;

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
                self.ended += rows_of(&self.line, self.columns);
                self.line.clear();
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The columns from one tab stop to the next.
const TAB: usize = 8;

/// How many rows a line takes on a terminal of so many columns. Its end is not shown, and sequences that
/// colour it take no column. A wide character does not begin in the last column.
fn rows_of(line: &[u8], columns: usize) -> usize {
    let text = String::from_utf8_lossy(line);
    let mut characters = text.trim_end_matches('\n').chars();
    let (mut rows, mut column) = (1, 0);
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => drop(characters.by_ref().find(|character| *character == 'm')),
            // It goes no further than the last column.
            '\t' => column = column.max((column / TAB * TAB + TAB).min(columns - 1)),
            character => {
                let width = character.width().unwrap_or(0);
                if column + width > columns {
                    (rows, column) = (rows + 1, 0);
                }
                column += width;
            }
        }
    }
    rows
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
    #[case("a\u{308}o\u{308}u\u{308}0123456\n", 1)]
    #[case("日本語日本\n", 1)]
    #[case("日本語日本x\n", 2)]
    #[case("x日本語日本\n", 2)]
    #[case("日本語日日本語日日\n", 2)]
    #[case("x日本語日日本語日日x\n", 3)]
    #[case("\tx\n", 1)]
    #[case("0123456\tx0\n", 1)]
    #[case("\tx01\n", 2)]
    #[case("\t\tx\n", 1)]
    #[case("\t\tx0\n", 2)]
    #[case("0123456789\tx\n", 2)]
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
