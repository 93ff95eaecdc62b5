//! What is compared, what is replaced as a whole, and which remarks it gets.

use diff_engine::{DiffEngine, Policy, Remark, Side, is_binary};
use rstest::rstest;

fn engine() -> DiffEngine {
    DiffEngine::bundled(Policy::default())
}

const MIB: usize = 1 << 20;

#[test]
fn a_mebibyte_is_compared_and_a_byte_more_is_not() {
    let content = vec![b'\n'; MIB + 1];
    let (at, over) = (Side::Text(&content[..MIB]), Side::Text(&content[..]));
    let small = Side::Text(b"a\n");
    assert!(!engine().diff(small, at).is_whole_file());
    for (old, new) in [(small, over), (over, small), (Side::Absent, over), (over, Side::Absent)] {
        let diff = engine().diff(old, new);
        assert!(diff.is_whole_file() && diff.script.is_none() && !diff.binary);
        assert!(diff.remarks.contains(&Remark::ReplacedTooLarge { limit_bytes: 1 << 20 }));
    }
    assert!(engine().over_limit(0, MIB as u64 + 1) && engine().over_limit(MIB as u64 + 1, 0));
    assert!(!engine().over_limit(MIB as u64, MIB as u64));
}

#[test]
fn content_that_was_not_loaded_is_replaced() {
    let diff = engine().diff(Side::TooLarge { bytes: 9 << 20 }, Side::Text(b"a\n"));
    assert!(diff.is_whole_file());
    assert_eq!(diff.added, 1);
}

#[rstest]
#[case::old(b"\0", b"a")]
#[case::new(b"a", b"\0")]
fn a_binary_side_makes_both_replaced(#[case] old: &[u8], #[case] new: &[u8]) {
    let diff = engine().diff(Side::Text(old), Side::Text(new));
    assert!(diff.is_whole_file() && diff.binary && diff.script.is_none());
    assert_eq!(diff.remarks, [Remark::ReplacedBinary]);
}

#[test]
fn binary_is_a_nul_among_the_first_8000_bytes() {
    let mut content = vec![b'a'; 9000];
    content[8000] = 0;
    assert!(!is_binary(&content));
    content[7999] = 0;
    assert!(is_binary(&content));
}

#[rstest]
#[case::create(Side::Absent, Side::Text(b"a\nb"), 2, 0)]
#[case::delete(Side::Text(b"a\nb"), Side::Absent, 0, 2)]
fn text_that_comes_or_goes_is_compared(
    #[case] old: Side<'_>,
    #[case] new: Side<'_>,
    #[case] added: u64,
    #[case] removed: u64,
) {
    let diff = engine().diff(old, new);
    assert_eq!((diff.added, diff.removed, diff.is_whole_file()), (added, removed, false));
    assert_eq!(diff.remarks, []);
}

#[test]
fn equal_contents_are_unchanged_whatever_they_are() {
    let large = vec![b'a'; 2 * MIB];
    for content in [&b"\0"[..], b"", b"a\n", &large] {
        let diff = engine().diff(Side::Text(content), Side::Text(content));
        assert!(diff.script.is_some_and(|script| script.is_unchanged()));
    }
}

#[rstest]
#[case::to_crlf(b"a\nb\nc\n", b"a\r\nb\r\nc\n", &["line endings flipped from LF to CRLF"])]
#[case::to_lf(b"a\r\nb\r\n", b"a\nb\n", &["line endings flipped from CRLF to LF"])]
#[case::one_line_end(b"a\nb\nc\n", b"a\r\nb\nc\n", &[])]
#[case::encoding(b"a\n", b"\xff\n", &["no longer valid UTF-8"])]
#[case::encoding_before(b"\xff\n", b"\xfe\n", &[])]
fn what_a_reader_should_not_miss_gets_a_remark(
    #[case] old: &[u8],
    #[case] new: &[u8],
    #[case] expected: &[&str],
) {
    let diff = engine().diff(Side::Text(old), Side::Text(new));
    let said: Vec<_> = diff.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(said, expected);
}

const MARKED: &[u8] = b"\xef\xbb\xbfa\nb\n";
const UTF16: &[u8] = b"\xff\xfea\0\n\0";
const UTF32: &[u8] = b"\xff\xfe\0\0a\0\0\0\n\0\0\0";

#[rstest]
#[case::mark_lost(MARKED, b"a\nc\n", &["lost its byte order mark (BOM)"])]
#[case::mark_gained(b"a\nc\n", MARKED, &["gained a byte order mark (BOM)"])]
#[case::mark_kept(MARKED, b"\xef\xbb\xbfa\nc\n", &[])]
#[case::mark_of_nothing(b"", MARKED, &[])]
#[case::emptied(b"\xef\xbb\xbfa", b"", &[])]
#[case::latin1_to_utf8(b"gr\xfc\xdfe\n", "gr\u{fc}\u{df}e\n".as_bytes(), &["became valid UTF-8"])]
#[case::utf8_to_latin1("gr\u{fc}\u{df}e\n".as_bytes(), b"gr\xfc\xdfe\n", &["no longer valid UTF-8"])]
#[case::latin1_stays(b"gr\xfc\n", b"gr\xfcn\n", &[])]
#[case::from_utf16(UTF16, b"a\nb\n", &["the content is binary", "encoding changed from UTF-16"])]
#[case::from_utf32(UTF32, b"a\nb\n", &["the content is binary", "encoding changed from UTF-32"])]
#[case::utf16_to_utf32(UTF16, UTF32, &["the content is binary", "encoding changed to UTF-32", "encoding changed from UTF-16"])]
#[case::to_utf16(MARKED, UTF16, &["the content is binary", "encoding changed to UTF-16"])]
#[case::utf16_stays(UTF16, b"\xff\xfeb\0\n\0", &["the content is binary"])]
#[case::mark_and_encoding(
    MARKED,
    b"gr\xfc\n",
    &["lost its byte order mark (BOM)", "no longer valid UTF-8"]
)]
fn a_mark_or_an_encoding_that_changes_gets_a_remark(
    #[case] old: &[u8],
    #[case] new: &[u8],
    #[case] expected: &[&str],
) {
    let engine = DiffEngine::bundled(Policy::default());
    let diff = engine.diff(Side::Text(old), Side::Text(new));
    let said: Vec<_> = diff.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(said, expected);
}

#[rstest]
fn inputs_too_hard_are_compared_coarsely_with_a_remark(
    #[values("histogram", "myers", "patience")] strategy: &str,
) {
    let engine = DiffEngine::bundled(Policy { strategy: strategy.to_owned(), ..Policy::default() });
    // Two-byte lines of a few kinds, in no order: the shape that every algorithm takes minutes for.
    let content = |step: u32| -> Vec<u8> {
        let letters = (0..200_000_u32).map(|n| b'a' + (n.wrapping_mul(step) >> 13) as u8 % 4);
        letters.flat_map(|letter| [letter, b'\n']).collect()
    };
    let (old, new) = (content(2_654_435_761), content(2_246_822_519));
    let diff = engine.diff(Side::Text(&old), Side::Text(&new));
    assert!(diff.degraded && !diff.is_whole_file());
    let degraded = Remark::Degraded { strategy: strategy.to_owned() };
    assert_eq!(diff.remarks, [degraded]);
}
