//! What is shown, and that nothing else is.

use icu_properties::CodePointMapData;
use icu_properties::CodePointSetData;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory as Category};
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn all() -> impl Iterator<Item = char> {
    '\0'..=char::MAX
}

/// Text in which every kind of character is likely.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-z \t\n1#*]".prop_map(String::from),
        (0..HARD.len()).prop_map(|at| String::from(HARD[at])),
        (0..EMOJI.len()).prop_map(|at| String::from(EMOJI[at])),
    ];
    proptest::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

/// Characters that only mean something together.
const HARD: [&str; 16] = [
    "\u{fe0f}",
    "\u{fe0e}",
    "\u{200d}",
    "\u{200c}",
    "\u{20e3}",
    "\u{1f3f4}",
    "\u{e0067}",
    "\u{e007f}",
    "\u{1f3fb}",
    "\u{1f1e9}",
    "\u{301}",
    "\u{35f}",
    "1",
    "\u{1f600}",
    "\u{2764}",
    "\u{202e}",
];

/// Whole emoji: with a variation selector, a skin tone, joiners, a keycap, and tags.
const EMOJI: [&str; 8] = [
    "\u{2764}\u{fe0f}",
    "\u{1f44d}\u{1f3fd}",
    "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{1f575}\u{fe0f}\u{200d}\u{2642}\u{fe0f}",
    "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
    "#\u{fe0f}\u{20e3}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "\u{1f1e9}\u{1f1ea}",
];

/// The invisible characters of a text other than tab, newline and parts of emoji.
fn left(shown: &str) -> Vec<char> {
    let characters: Vec<char> = shown.chars().collect();
    let is_emoji = |at: Option<usize>| {
        at.and_then(|at| characters.get(at)).is_some_and(|c| !c.is_ascii() && c.is_emoji_char())
    };
    let follows = |at: usize, what: &[char]| at > 0 && what.contains(&characters[at - 1]);
    let belongs = |at: usize| match characters[at] {
        '\t' | '\n' => true,
        EMOJI_PRESENTATION => {
            let is_keycap = characters.get(at + 1) == Some(&'\u{20e3}');
            is_emoji(at.checked_sub(1)) || is_keycap && follows(at, &['1', '#', '*'])
        }
        ZERO_WIDTH_JOINER => {
            let ends_one = is_emoji(at.checked_sub(1)) || follows(at, &[EMOJI_PRESENTATION]);
            ends_one && is_emoji(Some(at + 1))
        }
        // The one flag among the emoji that has tags.
        tag => "\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}".contains(tag),
    };
    let hidden = (0..characters.len()).filter(|at| is_invisible(characters[*at]));
    hidden.filter(|at| !belongs(*at)).map(|at| characters[at]).collect()
}

#[test]
fn every_character_of_the_list_is_spelled_out_wherever_it_stands() {
    let is_empty_place = |c: char| {
        matches!(c.general_category(), GeneralCategory::PrivateUse | GeneralCategory::Unassigned)
    };
    let listed = all().filter(|c| is_invisible(*c) && !matches!(c, '\t' | '\n'));
    // Most of the list are places without a character, of which some have to do.
    for character in listed.filter(|c| !is_empty_place(*c) || u32::from(*c) % 251 == 0) {
        for text in [format!("{character}"), format!("a{character}b"), format!("漢{character}\n")]
        {
            let shown = escape_for_display(&text);
            assert!(!shown.contains(character), "U+{:04X} is left", u32::from(character));
            assert!(shown.contains('<') || shown.contains('^'), "it is spelled out: {shown}");
        }
    }
}

#[test]
fn the_list_has_what_unicode_says_shows_nothing() {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let categories = CodePointMapData::<Category>::new();
    for character in all() {
        let code = u32::from(character);
        assert_eq!(is_default_ignorable(character), ignorable.contains(character), "U+{code:04X}");
        let hides = matches!(
            categories.get(character),
            Category::Control
                | Category::Format
                | Category::LineSeparator
                | Category::ParagraphSeparator
                | Category::PrivateUse
                | Category::Unassigned
        );
        let is_space = categories.get(character) == Category::SpaceSeparator
            && !matches!(character, ' ' | '\u{3000}');
        let expected = hides || is_space || ignorable.contains(character) || is_blank(character);
        assert_eq!(is_invisible(character), expected, "U+{code:04X}");
    }
}

#[test]
fn the_data_is_of_the_version_that_the_documents_name() {
    assert_eq!(unicode_properties::UNICODE_VERSION, (18, 0, 0));
    assert_eq!(unicode_normalization::UNICODE_VERSION, (18, 0, 0));
}

#[rstest]
#[case::plain("let x = 1;\n\tdone")]
#[case::letters("zoë, Ελλάδα, русский, 漢字、かな, 한국어, हिन्दी, ภาษาไทย, עִבְרִית")]
#[case::decomposed("Zu\u{308}rich, Vie\u{323}\u{302}t")]
#[case::tibetan("\u{f67}\u{f90}\u{fa8}\u{fb3}\u{fba}\u{fbc}\u{fbb}\u{f82}")]
#[case::wide_space("日本\u{3000}語")]
#[case::emoji("👍🏽 ❤️ 1️⃣ 👩‍💻 🏳️‍🌈 🕵🏻‍♂️ 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🇩🇪 ©️")]
fn what_can_be_seen_stays_as_it_is(#[case] text: &str) {
    assert_eq!(escape_for_display(text), text);
}

#[rstest]
#[case::controls(b"\x1b[2Khidden\r\x7f".as_slice(), "^[[2Khidden^M^?")]
#[case::no_utf8(b"a\xff\xed\xa0\x80b", "a<FF><ED><A0><80>b")]
#[case::direction("x\u{202e}y".as_bytes(), "x<U+202E>y")]
#[case::c1("\u{9b}2J".as_bytes(), "<U+009B>2J")]
#[case::no_break_space("rm\u{a0}-r".as_bytes(), "rm<U+00A0>-r")]
#[case::braille_blank("\u{2800}".as_bytes(), "<U+2800>")]
#[case::selector_after_a_letter("a\u{fe0f}".as_bytes(), "a<U+FE0F>")]
#[case::selector_after_a_digit("1\u{fe0f}2".as_bytes(), "1<U+FE0F>2")]
#[case::two_selectors("❤\u{fe0f}\u{fe0f}".as_bytes(), "❤\u{fe0f}<U+FE0F>")]
#[case::text_selector("❤\u{fe0e}".as_bytes(), "❤<U+FE0E>")]
#[case::joiner_before_a_letter("😀\u{200d}a".as_bytes(), "😀<U+200D>a")]
#[case::joiner_before_an_emoji("a\u{200d}😀".as_bytes(), "a<U+200D>😀")]
#[case::tags_of_no_flag("🏴\u{e0063}\u{e007f}".as_bytes(), "🏴<U+E0063><U+E007F>")]
#[case::tags_after_another("😀\u{e0067}".as_bytes(), "😀<U+E0067>")]
#[case::selector_in_a_flag("🇩\u{fe0f}🇪".as_bytes(), "🇩<U+FE0F>🇪")]
#[case::mark_at_the_beginning("\u{338}a".as_bytes(), "<U+0338>a")]
#[case::private_use("\u{e0b0}".as_bytes(), "<U+E0B0>")]
#[case::noncharacter("\u{1fffe}".as_bytes(), "<U+1FFFE>")]
fn what_cannot_be_seen_is_spelled_out(#[case] text: &[u8], #[case] expected: &str) {
    assert_eq!(escape_for_display(text), expected);
}

#[test]
fn marks_beyond_the_eighth_are_spelled_out() {
    let marks = |count: usize| format!("a{}", "\u{301}".repeat(count));
    assert_eq!(escape_for_display(&marks(8)), marks(8));
    assert_eq!(escape_for_display(&marks(9)), marks(8) + "<U+0301>");
    let flood = escape_for_display(&marks(500)).into_owned();
    assert_eq!(flood.matches('\u{301}').count(), 8, "{flood}");
}

#[test]
fn a_newline_is_spelled_out_where_one_line_is_asked_for() {
    assert_eq!(escape_line_for_display("a\nb\tc"), "a^Jb\tc");
    assert_eq!(escape_for_display("a\nb\tc"), "a\nb\tc");
}

#[test]
fn a_line_of_json_means_the_same_and_has_nothing_invisible() {
    let value = all().filter(|c| is_invisible(*c)).collect::<String>() + "äé漢👩‍💻";
    let json = serde_json::to_string(&value).expect("a string is JSON");
    let line = escape_json_line(json);
    assert_eq!(line.chars().find(|c| is_invisible(*c)), None);
    assert_eq!(serde_json::from_str::<String>(&line).expect("it is JSON"), value);
}

proptest! {
    #[test]
    fn nothing_invisible_is_left_but_in_emoji(text in text()) {
        let shown = escape_for_display(&text);
        prop_assert!(left(&shown).is_empty(), "{shown:?}");
    }

    #[test]
    fn what_is_shown_is_shown_again_as_it_is(text in text()) {
        let once = escape_for_display(&text).into_owned();
        prop_assert_eq!(escape_for_display(&once).into_owned(), once);
    }

    #[test]
    fn text_without_anything_of_the_list_is_unchanged(text in text()) {
        let plain: String = text
            .chars()
            .filter(|c| (!is_invisible(*c) || matches!(c, '\t' | '\n')) && !is_mark(*c))
            .collect();
        prop_assert_eq!(escape_for_display(&plain), plain.as_str());
    }

    #[test]
    fn any_bytes_are_shown_as_text(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let shown = escape_for_display(&bytes);
        prop_assert!(left(&shown).is_empty(), "{shown:?}");
    }
}
