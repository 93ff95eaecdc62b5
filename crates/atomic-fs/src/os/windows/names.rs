//! Names that Windows does not keep as they are written.
//!
//! The rules are those of "Naming Files, Paths, and Namespaces" in Microsoft's documentation of
//! Win32. A name is opened beneath a directory by the native call, which knows none of them: it
//! would make a file that Explorer cannot open, or one of another name than was asked for.

/// Why a single name cannot stand for a file on Windows; nothing when it can.
pub(crate) fn fault(name: &[u8]) -> Option<&'static str> {
    let Ok(name) = std::str::from_utf8(name) else {
        return Some("its name is not Unicode, and Windows keeps no other");
    };
    if name.contains(':') {
        return Some("a colon names an alternate stream of a file on Windows");
    }
    if name.chars().any(|character| {
        character.is_ascii_control()
            || matches!(character, '<' | '>' | '"' | '\\' | '|' | '?' | '*')
    }) {
        return Some("it holds a character that Windows takes in no name");
    }
    if name.ends_with(['.', ' ']) {
        return Some("Windows drops a dot or a space at the end of a name");
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let is_device = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
        .iter()
        .any(|device| device.eq_ignore_ascii_case(stem))
        || is_numbered_device(stem);
    is_device.then_some("Windows keeps the name for a device")
}

/// `COM1` and its like; the superscript digits one to three count as digits.
fn is_numbered_device(stem: &str) -> bool {
    let mut characters = stem.chars();
    let port: String = characters.by_ref().take(3).collect();
    let (number, rest) = (characters.next(), characters.next());
    (port.eq_ignore_ascii_case("COM") || port.eq_ignore_ascii_case("LPT"))
        && rest.is_none()
        && number.is_some_and(|number| matches!(number, '0'..='9' | '¹' | '²' | '³'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"a:stream")]
    #[case(b"a::$DATA")]
    #[case(b"a.")]
    #[case(b"a ")]
    #[case(b"...")]
    #[case(b"con")]
    #[case(b"Con.txt")]
    #[case(b"NUL .tar.gz")]
    #[case(b"com1")]
    #[case("LPT³.log".as_bytes())]
    #[case(b"CONOUT$")]
    #[case(b"a?")]
    #[case(b"a\\b")]
    #[case(b"a\x07")]
    #[case(b"a\xff")]
    fn names_that_windows_changes_are_reported(#[case] name: &[u8]) {
        assert!(fault(name).is_some());
    }

    #[rstest]
    #[case(b"a")]
    #[case(b".gitignore")]
    #[case(b"console")]
    #[case(b"com10")]
    #[case(b"com")]
    #[case(b"COMA")]
    #[case(b"a.con")]
    #[case(b"null")]
    #[case("Grüße, 世界".as_bytes())]
    #[case(b" a")]
    fn other_names_are_kept(#[case] name: &[u8]) {
        assert_eq!(fault(name), None);
    }
}
