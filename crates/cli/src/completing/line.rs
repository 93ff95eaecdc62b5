//! Bash's command line up to the cursor, as words.

/// The quotes that are open at the cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Quotes {
    #[default]
    None,
    Single,
    Double,
}

/// A command line up to the cursor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Its words; the last one is the one at the cursor, which may be empty.
    pub(super) words: Vec<String>,
    /// The quotes that are open at the cursor.
    pub(super) quotes: Quotes,
    /// How many characters of the last word stay before what bash replaces.
    pub(super) kept: usize,
}

impl Line {
    /// Splits a line as bash does, without expanding anything. Bash replaces what is behind the last
    /// of its `breaks` in the word, or behind an open quote.
    pub(super) fn split(text: &str, breaks: &str) -> Self {
        let mut line = Self::default();
        let mut word = String::new();
        let mut is_word = false;
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match (line.quotes, letter) {
                (Quotes::None, ' ' | '\t' | '\n') => {
                    if is_word {
                        line.words.push(std::mem::take(&mut word));
                    }
                    (is_word, line.kept) = (false, 0);
                    continue;
                }
                (Quotes::None, '\'') => line.open(Quotes::Single, &word),
                (Quotes::None, '"') => line.open(Quotes::Double, &word),
                (Quotes::Single, '\'') | (Quotes::Double, '"') => line.quotes = Quotes::None,
                (Quotes::None, '\\') => word.extend(letters.next()),
                (Quotes::Double, '\\') => match letters.next() {
                    Some(next @ ('$' | '`' | '"' | '\\')) => word.push(next),
                    next => {
                        word.push('\\');
                        word.extend(next);
                    }
                },
                (quotes, letter) => {
                    word.push(letter);
                    if quotes == Quotes::None && breaks.contains(letter) {
                        line.kept = word.chars().count();
                    }
                }
            }
            is_word = true;
        }
        line.words.push(word);
        let is_assignment = |word: &String| {
            let name = word.split_once('=').map(|(name, _)| name);
            name.is_some_and(|name| {
                !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            })
        };
        let before = line.words.iter().take_while(|word| is_assignment(word)).count();
        line.words.drain(..before.min(line.words.len() - 1));
        line
    }

    fn open(&mut self, quotes: Quotes, word: &str) {
        self.quotes = quotes;
        self.kept = word.chars().count();
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    #[rstest]
    #[case("greenroom ", &["greenroom", ""], 0, Quotes::None)]
    #[case("greenroom  diff p", &["greenroom", "diff", "p"], 0, Quotes::None)]
    #[case("A=1 B=2 greenroom diff", &["greenroom", "diff"], 0, Quotes::None)]
    #[case("greenroom diff a\\ b", &["greenroom", "diff", "a b"], 0, Quotes::None)]
    #[case("greenroom diff agent:x", &["greenroom", "diff", "agent:x"], 6, Quotes::None)]
    #[case("greenroom cat --session=a", &["greenroom", "cat", "--session=a"], 10, Quotes::None)]
    #[case("greenroom diff 'a b", &["greenroom", "diff", "a b"], 0, Quotes::Single)]
    #[case("greenroom diff \"a\\\"b:\\x", &["greenroom", "diff", "a\"b:\\x"], 0, Quotes::Double)]
    #[case("greenroom diff 'a b' ", &["greenroom", "diff", "a b", ""], 0, Quotes::None)]
    #[case("greenroom diff '' x", &["greenroom", "diff", "", "x"], 0, Quotes::None)]
    #[case("greenroom diff src/'a b", &["greenroom", "diff", "src/a b"], 4, Quotes::Single)]
    #[case("", &[""], 0, Quotes::None)]
    #[case("A=1", &["A=1"], 2, Quotes::None)]
    fn a_line_is_split_as_bash_splits_it(
        #[case] text: &str,
        #[case] words: &[&str],
        #[case] kept: usize,
        #[case] quotes: Quotes,
    ) {
        let line = Line::split(text, BREAKS);
        assert_eq!(line.words, words);
        assert_eq!((line.kept, line.quotes), (kept, quotes));
    }
}
