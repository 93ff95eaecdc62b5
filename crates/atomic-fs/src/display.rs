//! Text from agents, written so that a person sees all of it.
//!
//! Unicode has characters that show nothing, that look like a blank, and that reorder or steer what
//! is around them. What an agent writes with them can hide from the person who approves it, so
//! every place that shows text to people passes it through [`escape_for_display`]. The data is
//! Unicode 18.0, from the crate `unicode-properties`.
//!
//! # Limitations
//! Characters that look alike are not told apart, and letters of scripts that are written from
//! right to left are shown as the display orders them. Text that spells `<U+200B>` out by itself is
//! shown as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_properties::{GeneralCategory, UnicodeEmoji as _, UnicodeGeneralCategory as _};

/// So many nonspacing marks may follow one base. Tibetan and Hebrew need up to this many; more of
/// them cover the lines above and below.
const MARKS_MAX: usize = 8;

const ZERO_WIDTH_JOINER: char = '\u{200d}';
const EMOJI_PRESENTATION: char = '\u{fe0f}';
/// What makes a digit a key: the emoji presentation and U+20E3.
const KEYCAP: &str = "\u{fe0f}\u{20e3}";
const BLACK_FLAG: char = '\u{1f3f4}';
const CANCEL_TAG: char = '\u{e007f}';

/// The flags that are written in tag characters: England, Scotland and Wales. Unicode recommends
/// no others for interchange (UTS #51, emoji-sequences.txt).
const TAGGED_FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];

/// Whether a character shows nothing of its own, looks like a blank, or steers what is around it.
///
/// These are the general categories Cc, Cf, Zl, Zp, Co and Cn (unassigned and noncharacters: what
/// they show depends on the font, and is often nothing), every `Default_Ignorable_Code_Point`
/// (fillers, joiners, variation selectors, tags), every space but U+0020 and the wide U+3000, and
/// a few characters whose glyph is blank. Tab and newline are controls, too.
pub fn is_invisible(character: char) -> bool {
    match character {
        ' '..='~' => false,
        // Letters without an exception among them, which most text consists of.
        '\u{ae}'..='\u{34e}' | '\u{3041}'..='\u{3096}' | '\u{4e00}'..='\u{9fff}' => false,
        '\u{ac00}'..='\u{d7a3}' => false,
        character => is_listed(character, character.general_category()),
    }
}

fn is_listed(character: char, category: GeneralCategory) -> bool {
    match category {
        GeneralCategory::Control
        | GeneralCategory::Format
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator
        | GeneralCategory::PrivateUse
        | GeneralCategory::Surrogate
        | GeneralCategory::Unassigned => true,
        GeneralCategory::SpaceSeparator => !matches!(character, ' ' | '\u{3000}'),
        _ => is_default_ignorable(character) || is_blank(character),
    }
}

/// Unicode's `Default_Ignorable_Code_Point`: what a display leaves out that does not know it, and
/// what Linux leaves out of a name before it compares it without regard to case.
pub fn is_default_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Symbols and letters whose glyph is blank: the Braille pattern without dots, the null notehead,
/// the Khitan filler, the blank hieroglyphs, and the place of an object that is not there.
fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\u{2800}' | '\u{fffc}' | '\u{13441}' | '\u{13442}' | '\u{16fe4}' | '\u{1d159}'
    )
}

/// A part of a text, as it is to be shown.
pub(crate) enum Part<'t> {
    /// As it is.
    Shown(&'t str),
    /// Spelled out.
    Hidden(char),
    /// Spelled out: no UTF-8.
    Invalid(u8),
}

/// Hands on a text in parts. Tab and newline are among the hidden ones.
pub(crate) fn parts<'t>(bytes: &'t [u8], mut hand: impl FnMut(Part<'t>)) {
    for chunk in bytes.utf8_chunks() {
        parts_of(chunk.valid(), &mut hand);
        chunk.invalid().iter().for_each(|byte| hand(Part::Invalid(*byte)));
    }
}

fn parts_of<'t>(text: &'t str, hand: &mut impl FnMut(Part<'t>)) {
    let (mut shown_from, mut at, mut marks) = (0, 0, MARKS_MAX);
    while let Some(character) = text[at..].chars().next() {
        let length = match emoji_length(character, &text[at..]) {
            0 => character.len_utf8(),
            length => {
                (at, marks) = (at + length, 0);
                continue;
            }
        };
        // A mark at the beginning would sit on what stands before the text.
        let is_too_much = is_mark(character) && marks == MARKS_MAX;
        if is_too_much || is_invisible(character) {
            if shown_from < at {
                hand(Part::Shown(&text[shown_from..at]));
            }
            hand(Part::Hidden(character));
            (shown_from, marks) = (at + length, MARKS_MAX);
        } else {
            marks = if is_mark(character) { marks + 1 } else { 0 };
        }
        at += length;
    }
    if shown_from < text.len() {
        hand(Part::Shown(&text[shown_from..]));
    }
}

/// Whether a character is drawn over the one before it.
fn is_mark(character: char) -> bool {
    character >= '\u{300}'
        && matches!(
            character.general_category(),
            GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
        )
}

/// The length of the emoji sequence that a text begins with, when invisible characters belong to
/// it; 0 when it begins with none (UTS #51, ED-17).
fn emoji_length(first: char, text: &str) -> usize {
    let behind = text[first.len_utf8()..].chars().next();
    if !behind.is_some_and(|behind| is_default_ignorable(behind) || is_skin_tone(behind)) {
        return 0;
    }
    if matches!(first, '0'..='9' | '#' | '*') {
        return if text[1..].starts_with(KEYCAP) { 1 + KEYCAP.len() } else { 0 };
    }
    if first == BLACK_FLAG
        && let length @ 1.. = flag_length(&text[first.len_utf8()..])
    {
        return first.len_utf8() + length;
    }
    let mut length = emoji_element(text);
    while let Some(rest) = text[length..].strip_prefix(ZERO_WIDTH_JOINER)
        && length > 0
        && let joined @ 1.. = emoji_element(rest)
    {
        length += ZERO_WIDTH_JOINER.len_utf8() + joined;
    }
    length
}

/// The length of one emoji with its modifier, or 0.
fn emoji_element(text: &str) -> usize {
    let mut characters = text.chars();
    let Some(base) = characters.next() else { return 0 };
    let rest = characters.as_str();
    let is_letter_of_a_flag = matches!(base, '\u{1f1e6}'..='\u{1f1ff}');
    if base.is_ascii() || is_letter_of_a_flag || !base.is_emoji_char() {
        return 0;
    }
    let modifier = match rest.chars().next() {
        Some(modifier) if modifier == EMOJI_PRESENTATION || is_skin_tone(modifier) => {
            modifier.len_utf8()
        }
        _ => 0,
    };
    base.len_utf8() + modifier
}

fn is_skin_tone(character: char) -> bool {
    matches!(character, '\u{1f3fb}'..='\u{1f3ff}')
}

/// The length of the tags that make a black flag one of the [`TAGGED_FLAGS`], or 0.
fn flag_length(text: &str) -> usize {
    let Some(end) = text.find(CANCEL_TAG) else { return 0 };
    let is_flag = |name: &&str| {
        let tags = name.bytes().map(|letter| char::from_u32(0xe0000 + u32::from(letter)));
        text[..end].chars().map(Some).eq(tags)
    };
    if TAGGED_FLAGS.iter().any(is_flag) { end + CANCEL_TAG.len_utf8() } else { 0 }
}

/// Lines of text in which nothing hides: what [`is_invisible`] and what is no UTF-8 is spelled out,
/// as `<U+200B>`, `^[` and `<FF>`. Tab and newline stay.
///
/// Emoji stay whole, with the joiners, variation selectors and tags that Unicode gives them
/// (UTS #51). Nonspacing marks are spelled out at the beginning of a text and where more than eight
/// follow each other. No text is cut.
pub fn escape_for_display(bytes: &(impl AsRef<[u8]> + ?Sized)) -> Cow<'_, str> {
    spelled_out(bytes.as_ref(), |control| matches!(control, '\t' | '\n'))
}

/// As [`escape_for_display`], for a text that is to stay on one line: a newline is spelled out.
pub fn escape_line_for_display(bytes: &(impl AsRef<[u8]> + ?Sized)) -> Cow<'_, str> {
    spelled_out(bytes.as_ref(), |control| control == '\t')
}

fn spelled_out(bytes: &[u8], stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') || stays(char::from(*byte));
    if let Ok(text) = std::str::from_utf8(bytes)
        && bytes.iter().all(|byte| byte.is_ascii() && is_plain(byte))
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    parts(bytes, |part| {
        let written = match part {
            Part::Shown(shown) => text.write_str(shown),
            Part::Hidden(control) if stays(control) => text.write_char(control),
            Part::Hidden(control @ ('\0'..='\x1f' | '\x7f')) => {
                write!(text, "^{}", char::from(control as u8 ^ 0x40))
            }
            Part::Hidden(hidden) => write!(text, "<U+{:04X}>", u32::from(hidden)),
            Part::Invalid(byte) => write!(text, "<{byte:02X}>"),
        };
        written.expect("writing to a String cannot fail");
    });
    Cow::Owned(text)
}

/// A line of JSON that a reader cannot split or misread: what [`is_invisible`] is written as
/// `\uXXXX`, which means the same. U+2028, U+2029 and U+0085 end a line for some readers.
///
/// `json` is valid JSON without blanks between its tokens but U+0020.
pub fn escape_json_line(json: String) -> String {
    if json.is_ascii() {
        // JSON has no bare control characters, but it may have U+007F.
        return if json.contains('\x7f') { json.replace('\x7f', "\\u007f") } else { json };
    }
    if !json.chars().any(is_invisible) {
        return json;
    }
    let mut line = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if !is_invisible(character) {
            line.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(line, "\\u{unit:04x}").expect("writing to a String cannot fail");
        }
    }
    line
}

#[cfg(test)]
mod tests;
