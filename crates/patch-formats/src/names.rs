//! File names in the headers of a patch.

use crate::error::PatchError;
use crate::printable::escaped;

/// The prefixes that git writes, in pairs: git-diff(1), `diff.mnemonicPrefix`.
const PREFIXES: [(&[u8], &[u8]); 7] = [
    (b"a/", b"b/"),
    (b"i/", b"w/"),
    (b"c/", b"i/"),
    (b"c/", b"w/"),
    (b"o/", b"w/"),
    (b"1/", b"2/"),
    (b"b/", b"a/"),
];

/// The name on a `---` or `+++` line below `diff --git`, and the rest of the line.
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

/// The same for a diff without git's header, where a time may follow the name: after a tab as
/// `diff -u` writes it, or after blanks if the tab was lost.
pub(crate) fn traditional_label(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    match time_behind(text).filter(|_| !text.starts_with(b"\"")) {
        Some(end) => Some((plain(&text[..end])?, &text[end..])),
        None => label(text),
    }
}

/// Where the blanks before a time at the end of a text begin: `2010-07-05 19:41:17`, with or without
/// a fraction and a zone, as `git apply` reads it.
fn time_behind(text: &[u8]) -> Option<usize> {
    let mut rest = text;
    for zone in [&b" +dddd"[..], b" -dddd", b" +dd:dd", b" -dd:dd"] {
        if let Some(before) = without_tail(rest, zone) {
            rest = before;
            break;
        }
    }
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 && rest.len() > digits && rest[rest.len() - digits - 1] == b'.' {
        rest = &rest[..rest.len() - digits - 1];
    }
    rest = without_tail(rest, b" dd:dd:dd")?;
    rest = without_tail(rest, b"dddd-dd-dd").or_else(|| without_tail(rest, b"dd-dd-dd"))?;
    match rest.last()? {
        b'\t' => Some(rest.len() - 1),
        b' ' => Some(rest.iter().rposition(|byte| *byte != b' ')? + 1),
        _ => None,
    }
}

/// A text without a tail of this form, in which `d` is any digit.
fn without_tail<'t>(text: &'t [u8], form: &[u8]) -> Option<&'t [u8]> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(form.len())?)?;
    let is_alike = |(byte, form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        form => byte == form,
    };
    tail.iter().zip(form).all(is_alike).then_some(rest)
}

/// A name that is the whole line.
pub(crate) fn whole(text: &[u8]) -> Option<Vec<u8>> {
    if !text.starts_with(b"\"") {
        return plain(text);
    }
    let (name, rest) = unquote(text)?;
    rest.is_empty().then_some(name)
}

/// A name without quotes. Git ends it at a carriage return, a vertical tab or a form feed; a name
/// that contains one is in quotes.
fn plain(text: &[u8]) -> Option<Vec<u8>> {
    (!text.iter().any(|byte| matches!(byte, b'\r' | 0x0b | 0x0c))).then(|| text.to_vec())
}

/// The name in double quotes with C escapes at the beginning of a text, and the rest.
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

/// The two names of a `diff --git` line, as they are written; `None` if they do not name one file,
/// with or without prefixes, because then the end of the first name is unknown.
pub(crate) fn git_pair(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (old, new) = split_pair(text)?;
    let is_one = old == new || (without_first(&old)? == without_first(&new)?);
    is_one.then_some((old, new))
}

fn split_pair(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if text.starts_with(b"\"") {
        let (old, rest) = unquote(text)?;
        return Some((old, whole(rest.strip_prefix(b" ")?)?));
    }
    if text.ends_with(b"\"") {
        let at = memchr::memmem::find(text, b" \"")?;
        return Some((plain(&text[..at])?, whole(&text[at + 1..])?));
    }
    let at = separator(text).unwrap_or(text.len() / 2);
    let is_blank = matches!(text.get(at), Some(b' ' | b'\t'));
    is_blank.then(|| Some((plain(&text[..at])?, plain(&text[at + 1..])?))).flatten()
}

/// The blank between two names that are equal after their first parts.
fn separator(text: &[u8]) -> Option<usize> {
    let first = memchr::memchr(b'/', text)?;
    let mut slash = first;
    for at in memchr::memchr2_iter(b' ', b'\t', text).skip_while(|at| *at < first) {
        if slash < at {
            slash = at + memchr::memchr(b'/', &text[at..])?;
        }
        // Each blank makes the first name longer and not the second: they have equal length once.
        let (old, new) = (&text[first + 1..at], &text[slash + 1..]);
        if old.len() == new.len() && old == new {
            return Some(at);
        }
    }
    None
}

/// A name without its first part; `None` if it has only one.
pub(crate) fn without_first(name: &[u8]) -> Option<&[u8]> {
    memchr::memchr(b'/', name).map(|slash| &name[slash + 1..])
}

/// Whether the first part of a name is one of git's prefixes.
pub(crate) fn has_prefix(name: &[u8]) -> bool {
    PREFIXES.iter().any(|(old, new)| name.starts_with(old) || name.starts_with(new))
}

/// Refuses a name that no file can have.
pub(crate) fn check_spelling(name: &[u8], line: usize) -> Result<(), PatchError> {
    let reason = if name.is_empty() {
        "which is empty"
    } else if name.contains(&0) {
        "which holds a NUL"
    } else {
        return Ok(());
    };
    Err(PatchError::BadName { line, name: escaped(name), reason })
}

/// Refuses a name that no file below a root can have.
pub(crate) fn check(name: &[u8], line: usize) -> Result<(), PatchError> {
    check_spelling(name, line)?;
    let reason = if name.starts_with(b"/") {
        "which is absolute: names are relative to the workspace"
    } else if name.split(|byte| *byte == b'/').any(|part| part == b"..") {
        "which leads out of its directory"
    } else if name.split(|byte| *byte == b'/').any(|part| part.is_empty() || part == b".") {
        "which has an empty part or a `.`: remove that part"
    } else {
        return Ok(());
    };
    Err(PatchError::BadName { line, name: escaped(name), reason })
}
