//! Rust sources as tokens, as `proc-macro2` reads them; comments and documentation are none.

use std::ops::Range;

use proc_macro2::{Delimiter, LexError, Span, TokenStream, TokenTree};

/// A token that holds no others: a word, a literal, a character of punctuation, or a bracket.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Where it lies in the source, in bytes.
    pub(crate) range: Range<usize>,
}

/// The tokens of `source`, in order.
///
/// # Errors
/// When something in it is no token of Rust.
pub(crate) fn of(source: &str) -> Result<Vec<Token>, LexError> {
    let mut tokens = Vec::new();
    add(source.parse()?, &mut tokens);
    Ok(tokens)
}

fn add(stream: TokenStream, tokens: &mut Vec<Token>) {
    let push = |tokens: &mut Vec<Token>, text, span: Span| {
        tokens.push(Token { text, range: span.byte_range() })
    };
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let bang =
            is_punct(&tree, '#').then(|| trees.next_if(|next| is_punct(next, '!'))).flatten();
        // `/// text` and `//! text` are read as `#[doc = "text"]` and `#![doc = "text"]`.
        if is_punct(&tree, '#') && trees.next_if(is_documentation).is_some() {
            continue;
        }
        for tree in [Some(tree), bang].into_iter().flatten() {
            match tree {
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::None => ("", ""),
                    };
                    push(tokens, open.to_owned(), group.span_open());
                    add(group.stream(), tokens);
                    push(tokens, close.to_owned(), group.span_close());
                }
                leaf => push(tokens, leaf.to_string(), leaf.span()),
            }
        }
    }
}

/// Whether a tree is the `[doc = …]` of an attribute.
fn is_documentation(tree: &TokenTree) -> bool {
    let TokenTree::Group(group) = tree else { return false };
    let mut inner = group.stream().into_iter();
    group.delimiter() == Delimiter::Bracket
        && matches!(inner.next(), Some(TokenTree::Ident(name)) if name == "doc")
        && inner.next().is_some_and(|tree| is_punct(&tree, '='))
}

pub(crate) fn is_punct(tree: &TokenTree, character: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == character)
}
