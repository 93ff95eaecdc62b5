//! Cuts lines into words and gives equal words equal ids.

use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its bytes in the line.
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters, digits and underscores, or one ideograph.
    Word,
    Space,
    /// One character of punctuation.
    Sign,
    /// The end of a line, which takes none of its bytes.
    End,
}

/// The id of a line's end. A sign of ASCII has its code as its id, and words have higher ones.
const END_ID: u32 = b'\n' as u32;
const FIRST_WORD_ID: u32 = 128;

/// The lines of one side of a change.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) tokens: Vec<Token>,
    pub(crate) ids: Vec<u32>,
    /// Where the tokens of each line begin, and where the last ones end.
    starts: Vec<usize>,
}

impl Side {
    pub(crate) fn of<'l>(lines: &[&'l str], ids: &mut Ids<'l>) -> Self {
        let bytes: usize = lines.iter().map(|line| line.len()).sum();
        let mut side = Self {
            tokens: Vec::with_capacity(bytes / 3 + lines.len()),
            ids: Vec::with_capacity(bytes / 3 + lines.len()),
            starts: Vec::with_capacity(lines.len() + 1),
        };
        for line in lines {
            side.starts.push(side.tokens.len());
            let mut at = 0;
            while at < line.len() {
                let (len, kind) = first_token(&line[at..]);
                let range = at..at + len;
                side.ids.push(ids.of(&line[range.clone()]));
                side.tokens.push(Token { range, kind });
                at += len;
            }
            side.ids.push(END_ID);
            side.tokens.push(Token { range: at..at, kind: Kind::End });
        }
        side.starts.push(side.tokens.len());
        side
    }

    pub(crate) fn line_count(&self) -> usize {
        self.starts.len() - 1
    }

    /// The tokens of a line, its end among them, by their indexes.
    pub(crate) fn line(&self, index: usize) -> Range<usize> {
        self.starts[index]..self.starts[index + 1]
    }
}

/// The ids of words.
#[derive(Debug, Default)]
pub(crate) struct Ids<'l>(HashMap<&'l str, u32, RandomState>);

impl<'l> Ids<'l> {
    /// No id is as high.
    pub(crate) fn count(&self) -> usize {
        FIRST_WORD_ID as usize + self.0.len()
    }

    fn of(&mut self, word: &'l str) -> u32 {
        match word.as_bytes() {
            [byte] if byte.is_ascii() => u32::from(*byte),
            _ => {
                let next = FIRST_WORD_ID + self.0.len() as u32;
                *self.0.entry(word).or_insert(next)
            }
        }
    }
}

/// How long the first token of a text is, and what it is. A mark that belongs to the character before
/// it stays with that.
fn first_token(text: &str) -> (usize, Kind) {
    let bytes = text.as_bytes();
    let kind = kind_of_ascii(bytes[0]);
    let len = match kind {
        Kind::Word => bytes.iter().take_while(|byte| kind_of_ascii(**byte) == Kind::Word).count(),
        Kind::Space => bytes.iter().take_while(|byte| kind_of_ascii(**byte) == Kind::Space).count(),
        Kind::Sign | Kind::End => 1,
    };
    // Most lines are of ASCII, in which no character belongs to the one before it.
    match bytes.get(len) {
        _ if !bytes[0].is_ascii() => first_of_any(text),
        Some(next) if !next.is_ascii() => first_of_any(text),
        _ => (len, kind),
    }
}

/// What a byte of ASCII is; any other is called a sign.
fn kind_of_ascii(byte: u8) -> Kind {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => Kind::Word,
        b' ' | b'\t' | b'\r' | 0x0b | 0x0c => Kind::Space,
        _ => Kind::Sign,
    }
}

fn first_of_any(text: &str) -> (usize, Kind) {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else { return (0, Kind::End) };
    let kind = kind(first);
    let is_same = |next: char| match kind {
        _ if is_mark(next) => true,
        Kind::Word => !is_ideograph(first) && is_word(next) && !is_ideograph(next),
        Kind::Space => next.is_whitespace(),
        Kind::Sign | Kind::End => false,
    };
    let len = characters.find(|(_, next)| !is_same(*next)).map_or(text.len(), |(at, _)| at);
    (len, kind)
}

fn kind(character: char) -> Kind {
    match character {
        character if is_word(character) => Kind::Word,
        character if character.is_whitespace() => Kind::Space,
        _ => Kind::Sign,
    }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || character == '_'
        || (!character.is_ascii() && character.is_alphanumeric())
}

/// Neither letter nor punctuation of its own: marks over letters, joiners, variation selectors and
/// skin tones are beyond ASCII and none of the above.
fn is_mark(character: char) -> bool {
    !character.is_ascii()
        && matches!(character,
            '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5c7}'
            | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{93a}'..='\u{94f}'
            | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}'
            | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{200c}'..='\u{200d}'
            | '\u{20d0}'..='\u{20ff}' | '\u{302a}'..='\u{302f}' | '\u{3099}'..='\u{309a}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{1f3fb}'..='\u{1f3ff}'
            | '\u{e0100}'..='\u{e01ef}')
}

/// Of a script that has no spaces between its words.
fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("let a_1 = b;", &["let", " ", "a_1", " ", "=", " ", "b", ";"])]
    #[case("x  \ty", &["x", "  \t", "y"])]
    #[case("self.root->len()", &["self", ".", "root", "-", ">", "len", "(", ")"])]
    #[case("zo\u{308}e größer", &["zo\u{308}e", " ", "größer"])]
    #[case("a.\u{338}b", &["a", ".\u{338}", "b"])]
    #[case("设置文件", &["设", "置", "文", "件"])]
    #[case("ok 👍\u{1f3fb}!", &["ok", " ", "👍\u{1f3fb}", "!"])]
    #[case("", &[])]
    fn a_line_is_cut_into_words_spaces_and_signs(#[case] line: &str, #[case] expected: &[&str]) {
        let side = Side::of(&[line], &mut Ids::default());
        let words = side.tokens.iter().filter(|token| token.kind != Kind::End);
        let words: Vec<&str> = words.map(|token| &line[token.range.clone()]).collect();
        assert_eq!(words, expected);
    }

    #[test]
    fn equal_words_have_equal_ids_and_others_have_not() {
        let line = "one two one + - + größer größe größer";
        let side = Side::of(&[line], &mut Ids::default());
        for (a, a_id) in side.tokens.iter().zip(&side.ids) {
            for (b, b_id) in side.tokens.iter().zip(&side.ids) {
                let is_end = |token: &Token| token.kind == Kind::End;
                let texts = (&line[a.range.clone()], &line[b.range.clone()]);
                assert_eq!(a_id == b_id, texts.0 == texts.1 && is_end(a) == is_end(b));
            }
        }
    }
}
