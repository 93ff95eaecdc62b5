//! Splits Rust source into words, literals and punctuation; comments and whitespace fall away.
//!
//! Just enough of the language to tell code from what is written in strings and comments.
//!
//! # Limitations
//! Punctuation comes one character at a time, a lifetime as a `'` and a word, a float as two
//! words and a dot. The lexer never fails: what is not closed runs to the end of the source.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Literal,
    Punctuation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'source> {
    pub(crate) text: &'source str,
    pub(crate) kind: Kind,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// The tokens of `source`, in order.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = next(rest, first);
        let (text, after) = rest.split_at(length);
        if let Some(kind) = kind {
            tokens.push(Token { text, kind, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The kind and length in bytes of what `rest` begins with; no kind for what falls away.
fn next(rest: &str, first: char) -> (Option<Kind>, usize) {
    if first.is_whitespace() {
        (None, first.len_utf8())
    } else if rest.starts_with("//") {
        (None, rest.find('\n').unwrap_or(rest.len()))
    } else if rest.starts_with("/*") {
        (None, block_comment_length(rest))
    } else if let Some(length) = literal_length(rest) {
        (Some(Kind::Literal), length)
    } else if is_word(first) {
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        (Some(Kind::Word), length)
    } else {
        (Some(Kind::Punctuation), first.len_utf8())
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Block comments nest.
fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string or character literal that `rest` begins with, if it does.
fn literal_length(rest: &str) -> Option<usize> {
    for prefix in ["br", "cr", "r"] {
        if let Some(body) = rest.strip_prefix(prefix) {
            let hashes = body.len() - body.trim_start_matches('#').len();
            if body[hashes..].starts_with('"') {
                let close = format!("\"{}", "#".repeat(hashes));
                let open_length = prefix.len() + hashes + 1;
                let content = &rest[open_length..];
                let end = content.find(&close).map(|at| open_length + at + close.len());
                return Some(end.unwrap_or(rest.len()));
            }
        }
    }
    for prefix in ["b", "c", ""] {
        match rest.strip_prefix(prefix).map(str::as_bytes) {
            Some([b'"', ..]) => return Some(quoted_length(rest, prefix.len(), b'"')),
            Some([b'\'', ..]) if is_character(&rest[prefix.len()..]) => {
                return Some(quoted_length(rest, prefix.len(), b'\''));
            }
            _ => {}
        }
    }
    None
}

/// Whether the `'` that `rest` begins with opens a character rather than a lifetime.
fn is_character(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

fn quoted_length(rest: &str, open_at: usize, quote: u8) -> usize {
    let bytes = rest.as_bytes();
    let mut at = open_at + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &[&str]) {
        let found: Vec<&str> = tokens(source).iter().map(|token| token.text).collect();
        assert_eq!(found, expected, "the tokens of {source:?}");
    }

    #[test]
    fn comments_and_whitespace_fall_away() {
        check("a // b\n/* c /* d */ e */ f\t\n//! g", &["a", "f"]);
        check("/* never closed", &[]);
    }

    #[test]
    fn strings_hide_what_looks_like_code() {
        check(r#"x("// \" todo!()")"#, &["x", "(", r#""// \" todo!()""#, ")"]);
        check(r##"r#"a " b"# c"##, &[r##"r#"a " b"#"##, "c"]);
        check(r#"b"/*" c"*/""#, &[r#"b"/*""#, r#"c"*/""#]);
        check("\"never closed", &["\"never closed"]);
        check("\"ends in \\", &["\"ends in \\"]);
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        check(r"'\'' 'é' b'/'", &[r"'\''", "'é'", "b'/'"]);
        check("&'a str", &["&", "'", "a", "str"]);
    }

    #[test]
    fn raw_identifiers_are_not_strings() {
        check("r#type", &["r", "#", "type"]);
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let source = "/*\n*/ \"\n\" here";
        let last = tokens(source).last().map(|token| (token.text, token.line));
        assert_eq!(last, Some(("here", 3)));
    }
}
