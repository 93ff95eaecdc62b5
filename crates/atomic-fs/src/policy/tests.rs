//! Which names are taken for the repository's own and for Greenroom's.

use rstest::rstest;

use super::*;
use crate::display::is_default_ignorable;

#[rstest]
#[case(b".git")]
#[case(b".GIT")]
#[case(b".Git. .")]
#[case(b"git~1")]
#[case(b"GIT~4")]
#[case(b"gi7D29~1")]
#[case(b".git::$INDEX_ALLOCATION")]
#[case(b".git. ::$INDEX_ALLOCATION")]
#[case(b".git\\config")]
#[case(b"a\\.git.\\hooks")]
#[case(".g\u{200c}it".as_bytes())]
#[case("\u{200b}.git".as_bytes())]
#[case(".git\u{fe0f}.".as_bytes())]
#[case(".g\u{131}t".as_bytes())]
#[case(".G\u{130}T".as_bytes())]
#[case(".gi\u{307}t".as_bytes())]
#[case("\u{ff0e}\u{ff47}\u{ff49}\u{ff54}".as_bytes())]
#[case("\u{2024}git".as_bytes())]
fn spellings_of_dot_git_are_recognised(#[case] name: &[u8]) {
    assert!(may_be_git(name));
}

#[test]
fn no_character_that_a_file_system_leaves_out_hides_dot_git_or_a_slot() {
    for character in ('\0'..=char::MAX).filter(|character| is_default_ignorable(*character)) {
        let code = u32::from(character);
        for at in 0..=4 {
            let (head, tail) = ".git".split_at(at);
            let name = format!("{head}{character}{tail}");
            assert!(may_be_git(name.as_bytes()), "U+{code:04X} at {at}");
        }
        let name = format!(".greenroom-{character}a1-0.tmp");
        assert!(may_be_slot_name(name.as_bytes()), "U+{code:04X}");
    }
}

#[rstest]
#[case(b".gitignore")]
#[case(b".github")]
#[case(b"git")]
#[case(b"a.git")]
#[case(b".gitmodules")]
#[case(b"git~")]
#[case(b"git~10")]
#[case(b"gizmos~1")]
#[case(b"~1")]
#[case(b"")]
#[case(b".g\xffit")]
#[case(".g\u{ef}t".as_bytes())]
fn names_that_only_resemble_it_pass(#[case] name: &[u8]) {
    assert!(!may_be_git(name));
}

#[rstest]
#[case(b".greenroom-a1-0.tmp")]
#[case(b".GREENROOM-a1-0.TMP")]
#[case(b".greenroom-a1-0.tmp. ")]
#[case(b".greenroom-a1-0.tmp:stream")]
#[case(".gr\u{ad}eenroom-a1-0.tmp".as_bytes())]
#[case(".greenroom-a1-0.t\u{ff4d}p".as_bytes())]
fn spellings_of_a_slot_are_recognised(#[case] name: &[u8]) {
    assert!(may_be_slot_name(name));
}

#[rstest]
#[case(b".greenroom.toml")]
#[case(b"greenroom-a1-0.tmp")]
#[case(b".greenroom-notes.txt")]
fn names_that_only_resemble_a_slot_pass(#[case] name: &[u8]) {
    assert!(!may_be_slot_name(name));
}

#[rstest]
#[case("state", true)]
#[case("State/store.sqlite", true)]
#[case("\u{17f}tate/x", true)]
#[case("st\u{200b}ate", true)]
#[case("states", false)]
#[case("a/state", false)]
fn the_state_directory_is_refused_however_it_is_spelled(#[case] path: &str, #[case] refused: bool) {
    let own_state = Some(RelPath::parse(b"state").expect("it is a path"));
    let policy = Policy { options: Options::default(), own_state, root_path: "/w".into() };
    let path = RelPath::parse(path.as_bytes()).expect("it is a path");
    assert_eq!(policy.check_path(&path).is_err(), refused, "{path}");
}
