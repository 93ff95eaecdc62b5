//! File names in the headers of a patch.

use crate::error::{PatchError, escaped};

/// What git writes in front of names, by pairs: git-diff(1), `diff.mnemonicPrefix`.
const PREFIXES: [(&[u8], &[u8]); 7] = [
    (b"a/", b"b/"),
    (b"i/", b"w/"),
    (b"c/", b"i/"),
    (b"c/", b"w/"),
    (b"o/", b"w/"),
    (b"1/", b"2/"),
    (b"b/", b"a/"),
];

/// The name on a `---` or `+++` line, and what stands behind it.
///
/// A quoted name ends at its quote, any other at a tab. A name that holds a carriage return is in
/// quotes.
pub(crate) fn label(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if text.starts_with(b"\"") {
        return unquote(text);
    }
    let end = memchr::memchr(b'\t', text).unwrap_or(text.len());
    Some((plain(&text[..end])?, &text[end..]))
}

/// A name that fills its line.
pub(crate) fn whole(text: &[u8]) -> Option<Vec<u8>> {
    if !text.starts_with(b"\"") {
        return plain(text);
    }
    let (name, rest) = unquote(text)?;
    rest.is_empty().then_some(name)
}

/// A name without quotes.
fn plain(text: &[u8]) -> Option<Vec<u8>> {
    (!text.contains(&b'\r')).then(|| text.to_vec())
}

/// The name in double quotes with C escapes at the head of a text, and the rest.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut name = Vec::new();
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((name, rest)),
            b'\\' => {
                let (&letter, after) = rest.split_first()?;
                rest = after;
                name.push(match letter {
                    b'a' => 0x07,
                    b'b' => 0x08,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 0x0b,
                    b'f' => 0x0c,
                    b'r' => b'\r',
                    b'"' | b'\\' => letter,
                    b'0'..=b'3' => {
                        let (digits, after) = rest.split_at_checked(2)?;
                        rest = after;
                        let octal = |digit: &u8| (b'0'..=b'7').contains(digit);
                        if !digits.iter().all(octal) {
                            return None;
                        }
                        (letter - b'0') * 64 + (digits[0] - b'0') * 8 + (digits[1] - b'0')
                    }
                    _ => return None,
                });
            }
            _ => name.push(byte),
        }
    }
}

/// The two names of a `diff --git` line, as they stand there; nothing where names without quotes
/// differ, because nobody can tell then where the first one ends.
pub(crate) fn git_pair(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if text.starts_with(b"\"") {
        let (old, rest) = unquote(text)?;
        return Some((old, whole(rest.strip_prefix(b" ")?)?));
    }
    if text.ends_with(b"\"") {
        let at = memchr::memmem::find(text, b" \"")?;
        return Some((plain(&text[..at])?, whole(&text[at + 1..])?));
    }
    // Prefixes of a pair are equally long, so equal names leave the space in the middle.
    let middle = text.len() / 2;
    let is_middle = text.get(middle) == Some(&b' ');
    is_middle.then(|| Some((plain(&text[..middle])?, plain(&text[middle + 1..])?))).flatten()
}

/// The one name that both of a pair stand for, with git's prefixes or without any.
pub(crate) fn common(old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let stripped = PREFIXES.iter().find_map(|(before, after)| {
        let (old, new) = (old.strip_prefix(*before)?, new.strip_prefix(*after)?);
        (old == new).then(|| old.to_vec())
    });
    stripped.or_else(|| (old == new).then(|| old.to_vec()))
}

/// Whether a label stands for a name, with or without a prefix.
pub(crate) fn stands_for(label: &[u8], name: &[u8]) -> bool {
    let prefixed = |prefix: &[u8]| label.strip_prefix(prefix) == Some(name);
    label == name || PREFIXES.iter().any(|(old, new)| prefixed(old) || prefixed(new))
}

/// Refuses a name that is no file's below a root.
pub(crate) fn check(name: &[u8], line: usize) -> Result<(), PatchError> {
    let reason = if name.is_empty() {
        "which is empty"
    } else if name.contains(&0) {
        "which holds a NUL"
    } else if name.starts_with(b"/") {
        "which is absolute: names are relative to the workspace"
    } else if name.split(|byte| *byte == b'/').any(|part| part == b"..") {
        "which leads out of its folder"
    } else if name.split(|byte| *byte == b'/').any(|part| part.is_empty() || part == b".") {
        "which has an empty part or a `.`: write it plainly"
    } else {
        return Ok(());
    };
    Err(PatchError::BadName { line, name: escaped(name), reason })
}
