//! Rust sources as trees of tokens, as `proc-macro2` reads them.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// The token tree of `source`.
///
/// # Errors
/// The line, counted from 1, of what is not a token of Rust.
pub(crate) fn parse(source: &str) -> Result<TokenStream, usize> {
    source.parse::<TokenStream>().map_err(|error| error.span().start().line)
}

/// Calls `visit` with every attribute of `stream`, nested ones included: what its brackets hold.
pub(crate) fn attributes(stream: TokenStream, visit: &mut impl FnMut(&Group)) {
    let mut after_hash = false;
    for tree in stream {
        if let TokenTree::Group(group) = &tree {
            if after_hash && group.delimiter() == Delimiter::Bracket {
                visit(group);
            }
            attributes(group.stream(), visit);
        }
        after_hash = is_punct(&tree, '#') || (after_hash && is_punct(&tree, '!'));
    }
}

/// Every identifier of `stream`, in order.
pub(crate) fn identifiers(stream: TokenStream) -> Vec<Ident> {
    let nested = stream.into_iter().flat_map(|tree| match tree {
        TokenTree::Ident(ident) => vec![ident],
        TokenTree::Group(group) => identifiers(group.stream()),
        _ => Vec::new(),
    });
    nested.collect()
}

/// The text of every token of `stream`, brackets included; documentation is left out.
pub(crate) fn texts(stream: TokenStream) -> Vec<String> {
    let mut texts = Vec::new();
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        // `/// text` and `//! text` are read as `#[doc = "text"]` and `#![doc = "text"]`.
        if is_punct(&tree, '#') {
            let bang = trees.next_if(|next| is_punct(next, '!'));
            if trees.next_if(is_documentation).is_none() {
                texts.extend(Some(tree).into_iter().chain(bang).map(|tree| tree.to_string()));
            }
            continue;
        }
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                texts.push(open.to_owned());
                texts.extend(self::texts(group.stream()));
                texts.push(close.to_owned());
            }
            leaf => texts.push(leaf.to_string()),
        }
    }
    texts
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
