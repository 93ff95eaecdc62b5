//! Why a file does not have the text of an edit, but nearly does.

use std::borrow::Cow;
use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use crate::fit::compare::form;
use crate::lines::LfText;
use crate::model::MatchLevel;

/// The difference between a text and what a file has instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NearMiss {
    /// The file is UTF-16, in which no UTF-8 text can be found.
    Utf16,
    /// The file is UTF-32, in which no UTF-8 text can be found.
    Utf32,
    /// The ends of lines.
    LineEnds,
    /// Blanks at the ends of lines.
    TrailingBlanks,
    /// Blanks at both ends of lines, so the indentation.
    Indentation,
    /// Dashes, quotation marks or spaces of Unicode.
    Punctuation,
    /// Letters and accents: one code point in one (NFC), several in the other (NFD).
    Composition,
}

impl NearMiss {
    /// What differs in the file; for UTF-16 and UTF-32, the encoding of the file.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Utf16 => "UTF-16",
            Self::Utf32 => "UTF-32",
            Self::LineEnds => "other line ends",
            Self::TrailingBlanks => "other blanks at the ends of lines",
            Self::Indentation => "other blanks at the beginnings or ends of lines",
            Self::Punctuation => "other dashes, quotation marks or spaces of Unicode",
            Self::Composition => "accents composed in another way (NFC or NFD)",
        }
    }
}

impl fmt::Display for NearMiss {
    /// The difference and the remedy, for the text after a colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what();
        match self {
            Self::Utf16 | Self::Utf32 => write!(
                f,
                "the file is {what}, in which the text of an edit or patch cannot be found: write the whole file"
            ),
            _ => write!(f, "the file has it with {what}: copy it from the file"),
        }
    }
}

/// The difference between a text that is not in a content and what the content has instead; `None`
/// if the content has nothing like it, or has the text itself.
///
/// Takes time proportional to both lengths.
pub fn near_miss(content: &[u8], text: &[u8]) -> Option<NearMiss> {
    if let Some(wide) = wide(content, text) {
        return Some(wide);
    }
    let has = |content: &[u8], text: &[u8]| {
        !text.is_empty() && memchr::memmem::find(content, text).is_some()
    };
    if text.is_empty() || has(content, text) {
        return None;
    }
    let lines = |level: MatchLevel| {
        let folded = |text: &[u8]| -> Vec<u8> {
            let lines = text.split(|byte| *byte == b'\n').map(|line| form(level, line));
            lines.collect::<Vec<Cow<'_, [u8]>>>().join(&b'\n')
        };
        has(&folded(content), &folded(text))
    };
    let one_end = |text: &[u8]| -> Vec<u8> {
        let folded = LfText::of(text).text.into_owned();
        folded.into_iter().map(|byte| if byte == b'\r' { b'\n' } else { byte }).collect()
    };
    let composed =
        |text: &[u8]| -> Option<String> { Some(std::str::from_utf8(text).ok()?.nfc().collect()) };
    if has(&one_end(content), &one_end(text)) {
        return Some(NearMiss::LineEnds);
    }
    for (level, near) in [
        (MatchLevel::TrailingBlanks, NearMiss::TrailingBlanks),
        (MatchLevel::Blanks, NearMiss::Indentation),
        (MatchLevel::Punctuation, NearMiss::Punctuation),
    ] {
        if lines(level) {
            return Some(near);
        }
    }
    let (content, text) = (composed(content)?, composed(text)?);
    has(content.as_bytes(), text.as_bytes()).then_some(NearMiss::Composition)
}

/// Whether a content is UTF-16 or UTF-32, by its byte order mark or because it has the text encoded
/// so.
fn wide(content: &[u8], text: &[u8]) -> Option<NearMiss> {
    if content.starts_with(b"\xff\xfe\0\0") || content.starts_with(b"\0\0\xfe\xff") {
        return Some(NearMiss::Utf32);
    }
    if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
        return Some(NearMiss::Utf16);
    }
    // Many binary files contain one letter and a NUL.
    let text = std::str::from_utf8(text).ok().filter(|text| text.chars().nth(1).is_some())?;
    // Either order of bytes; a mark was recognized above.
    let units = || text.encode_utf16();
    let letters = || text.chars().map(u32::from);
    let has = |wide: Vec<u8>| memchr::memmem::find(content, &wide).is_some();
    if has(letters().flat_map(u32::to_le_bytes).collect())
        || has(letters().flat_map(u32::to_be_bytes).collect())
    {
        return Some(NearMiss::Utf32);
    }
    let is_utf16 = has(units().flat_map(u16::to_le_bytes).collect())
        || has(units().flat_map(u16::to_be_bytes).collect());
    is_utf16.then_some(NearMiss::Utf16)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[rstest]
    #[case::utf16(&[b"\xff\xfe", &utf16("a\n")[..]].concat(), "b", Some(NearMiss::Utf16))]
    #[case::utf16_without_a_mark(&utf16("one\ntwo\n"), "two", Some(NearMiss::Utf16))]
    #[case::utf16_the_other_way(b"\0o\0n\0e", "one", Some(NearMiss::Utf16))]
    #[case::utf32(b"\xff\xfe\0\0a\0\0\0", "b", Some(NearMiss::Utf32))]
    #[case::utf32_without_a_mark(b"\0\0\0a\0\0\0b", "ab", Some(NearMiss::Utf32))]
    #[case::ends(b"a\r\nb\n", "a\rb", Some(NearMiss::LineEnds))]
    #[case::old_ends(b"a\rb\r", "a\nb", Some(NearMiss::LineEnds))]
    #[case::blanks(b"a  \nb\n", "a\nb", Some(NearMiss::TrailingBlanks))]
    #[case::tabs(b"\ta\n\tb\n", "    a\n    b", Some(NearMiss::Indentation))]
    #[case::quotes("x \u{201c}a\u{201d}\n".as_bytes(), "\"a\"", Some(NearMiss::Punctuation))]
    #[case::no_break(b"a\xc2\xa0b\n", "a b", Some(NearMiss::Punctuation))]
    #[case::composed("x e\u{301}y\n".as_bytes(), "\u{e9}", Some(NearMiss::Composition))]
    #[case::decomposed("x \u{e9}y\n".as_bytes(), "e\u{301}", Some(NearMiss::Composition))]
    #[case::nothing_like_it(b"a\n", "b", None)]
    #[case::itself(b"a\n", "a", None)]
    #[case::nothing(b"a\n", "", None)]
    #[case::a_blank(b"a\n", " ", None)]
    #[case::no_text(b"\xff\xffe\n", "\u{e9}", None)]
    fn what_differs_is_named(
        #[case] content: &[u8],
        #[case] text: &str,
        #[case] expected: Option<NearMiss>,
    ) {
        assert_eq!(near_miss(content, text.as_bytes()), expected);
    }
}
