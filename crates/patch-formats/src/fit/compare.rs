//! A line as it is compared when some of it may differ.

use std::borrow::Cow;

use crate::model::MatchLevel;

pub(crate) fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

pub(crate) fn without_feed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// A line as it is compared at a level.
pub(crate) fn form(level: MatchLevel, line: &[u8]) -> Cow<'_, [u8]> {
    match level {
        MatchLevel::Exact => Cow::Borrowed(line),
        MatchLevel::LineEndings => Cow::Borrowed(without_return(line)),
        MatchLevel::TrailingBlanks => Cow::Borrowed(line.trim_ascii_end()),
        MatchLevel::Blanks => Cow::Borrowed(line.trim_ascii()),
        MatchLevel::Punctuation if line.is_ascii() => Cow::Borrowed(line.trim_ascii()),
        MatchLevel::Punctuation => Cow::Owned(plain(line).trim_ascii().to_vec()),
    }
}

/// Dashes, quotation marks and spaces of Unicode as those of ASCII; what is not UTF-8 stays.
fn plain(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let letter = match letter {
                '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
                '\u{2018}'..='\u{201b}' => '\'',
                '\u{201c}'..='\u{201f}' => '"',
                '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
                letter => letter,
            };
            out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        out.extend_from_slice(chunk.invalid());
    }
    out
}
