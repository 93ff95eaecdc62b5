//! Names that some file system takes for one name.
//!
//! Each file system that ignores case has rules of its own: ext4, F2FS and tmpfs leave out every
//! `Default_Ignorable_Code_Point` and compare canonical decompositions under full case folding
//! (Linux, `include/linux/unicode.h`, `fs/unicode`), HFS+ leaves out sixteen code points, APFS
//! decomposes and folds, ZFS can compare compatibility decompositions, and Samba and NTFS map
//! single letters, among them the dotless and the dotted I. What is folded here is folded by at
//! least one of them, so two names that fold differently are two names everywhere, and some that
//! fold alike are two names on most file systems.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use crate::display::is_default_ignorable;

/// The form of a name in which it is compared: without regard to case and composition, and without
/// the characters that a file system may leave out. Bytes that are no UTF-8 stay.
pub fn folded_name(name: &[u8]) -> Cow<'_, [u8]> {
    if name.is_ascii() {
        return match name.iter().any(u8::is_ascii_uppercase) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        };
    }
    let mut folded = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        folded.extend_from_slice(folded_text(chunk.valid()).as_bytes());
        folded.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(folded)
}

/// Whether some file system takes two names in one directory for one.
pub fn folds_alike(one: &[u8], other: &[u8]) -> bool {
    one == other || folded_name(one) == folded_name(other)
}

fn folded_text(text: &str) -> String {
    let decomposed: String = text.nfkd().filter(|letter| !is_default_ignorable(*letter)).collect();
    // Through both cases, so that letters meet that have only one of them in common: the long s,
    // the Kelvin sign, the sharp s, the final sigma.
    let cased = |letter: char| letter.to_lowercase().flat_map(char::to_uppercase);
    let lower: String = decomposed.chars().flat_map(cased).flat_map(char::to_lowercase).collect();
    let lower: String = lower.nfkd().filter(|letter| !is_default_ignorable(*letter)).collect();
    // What full folding makes of the dotted I, where simple folding makes an i.
    lower.replace("i\u{307}", "i")
}

/// A folded name without what Windows leaves out at the end of one: a stream, dots and spaces.
pub fn folded_stem(name: &[u8]) -> Vec<u8> {
    let folded = folded_name(name);
    let stem = folded.split(|byte| *byte == b':').next().unwrap_or_default();
    let end = stem.iter().rposition(|byte| !matches!(byte, b'.' | b' ')).map_or(0, |last| last + 1);
    stem[..end].to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::case(b"README.md", b"readme.MD")]
    #[case::composition("Häuschen".as_bytes(), "ha\u{308}uschen".as_bytes())]
    #[case::ignorable("a\u{200b}\u{ad}b\u{e0041}".as_bytes(), b"ab")]
    #[case::long_s("ſtate".as_bytes(), b"STATE")]
    #[case::kelvin("\u{212a}elvin".as_bytes(), b"kelvin")]
    #[case::angstrom("\u{212b}".as_bytes(), "å".as_bytes())]
    #[case::sharp_s("straße".as_bytes(), "STRASSE".as_bytes())]
    #[case::capital_sharp_s("STRA\u{1e9e}E".as_bytes(), "strasse".as_bytes())]
    #[case::final_sigma("ΣΊΣΥΦΟΣ".as_bytes(), "σίσυφος".as_bytes())]
    #[case::ligature("\u{fb01}le".as_bytes(), b"file")]
    #[case::wide("\u{ff47}\u{ff49}\u{ff54}".as_bytes(), b"git")]
    #[case::dotted_i("\u{130}".as_bytes(), b"i")]
    #[case::dotless_i("\u{131}".as_bytes(), b"I")]
    #[case::iota_subscript("\u{1f80}".as_bytes(), "\u{1f00}\u{3b9}".as_bytes())]
    #[case::cherokee("\u{ab70}".as_bytes(), "\u{13a0}".as_bytes())]
    fn names_that_one_file_system_takes_for_one_fold_alike(
        #[case] one: &[u8],
        #[case] other: &[u8],
    ) {
        assert!(folds_alike(one, other));
    }

    #[rstest]
    #[case(b"a", b"b")]
    #[case("ä".as_bytes(), b"a")]
    #[case(b"a\xff", b"a\xfe")]
    #[case(b"a.", b"a")]
    fn names_that_no_file_system_takes_for_one_fold_apart(
        #[case] one: &[u8],
        #[case] other: &[u8],
    ) {
        assert!(!folds_alike(one, other));
    }

    #[test]
    fn letters_fold_with_their_other_case_and_composition() {
        // Hangul and ideographs have no case, and there are too many of them.
        let is_cased = |letter: &char| {
            letter.is_alphabetic() && *letter < '\u{3000}'
                || ('\u{a640}'..'\u{ac00}').contains(letter)
                || ('\u{f900}'..'\u{20000}').contains(letter) && letter.is_alphabetic()
        };
        for letter in ('\0'..'\u{20000}').filter(is_cased) {
            let folded = folded_name(letter.to_string().as_bytes()).into_owned();
            let forms: [String; 5] = [
                letter.to_lowercase().collect(),
                letter.to_uppercase().collect(),
                letter.nfc().collect(),
                letter.nfd().collect(),
                format!("{letter}\u{200b}"),
            ];
            for form in forms {
                let code = u32::from(letter);
                assert_eq!(*folded_name(form.as_bytes()), *folded, "U+{code:04X} and {form:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn folding_a_folded_name_changes_nothing(
            name in proptest::collection::vec(any::<u8>(), 0..20),
            text in any::<String>(),
        ) {
            for name in [name, text.into_bytes()] {
                let once = folded_name(&name).into_owned();
                prop_assert_eq!(folded_name(&once).into_owned(), once);
            }
        }
    }
}
