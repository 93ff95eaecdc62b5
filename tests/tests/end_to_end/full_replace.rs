//! What is too large or binary to be compared is replaced as a whole, and only
//! with an explicit confirmation.

use std::fs;

use end_to_end::{Fixture, git};
use rstest::rstest;

fn lines(text: &str, bytes: usize) -> Vec<u8> {
    text.bytes().cycle().take(bytes).collect()
}

#[rstest]
#[case::two_mebibytes(lines("old line\n", 2 << 20), lines("new line\n", 2 << 20))]
#[case::grows_over_the_limit(b"small\n".to_vec(), lines("new line\n", (1 << 20) + 1))]
#[case::shrinks_below_the_limit(lines("old line\n", (1 << 20) + 1), b"small\n".to_vec())]
#[case::binary(b"\0old".to_vec(), b"\0new".to_vec())]
fn a_full_replacement_wants_a_confirmation(#[case] base: Vec<u8>, #[case] staged: Vec<u8>) {
    let stage = Fixture::new();
    stage.write("big.dat", &base);
    let id = stage.propose("big.dat", &staged);
    assert_eq!(stage.patch(&id)["diff"]["full_replace"], true);
    let signature = stage.signature();
    for word in [vec!["--yes"], vec!["--expect", &signature]] {
        let arguments = [vec!["apply", "--json"], word].concat();
        let ran = stage.run(arguments).expect(4);
        assert_eq!(ran.error_kind(), "confirmation_missing");
        assert!(ran.stderr.contains("--confirm-full-replace"), "{}", ran.stderr);
    }
    assert_eq!(stage.read("big.dat"), base, "nothing changed");

    let diff = stage.beside("big.patch");
    fs::write(&diff, stage.run(["diff"]).expect(0).stdout).expect("it is ours");
    git(&stage.workspace(), &["apply", "--check", diff.to_str().expect("a plain path")]);
    stage.run(["apply", "--expect", &signature, "--confirm-full-replace"]).expect(0);
    assert_eq!(stage.read("big.dat"), staged);
}

#[test]
fn a_file_of_a_mebibyte_is_still_compared() {
    let stage = Fixture::new();
    let base = lines("a line of text\n", 1 << 20);
    let mut staged = base.clone();
    staged[..6].copy_from_slice(b"A LINE");
    stage.write("big.txt", &base);
    let id = stage.propose("big.txt", &staged);
    let diff = stage.patch(&id)["diff"].clone();
    assert_eq!((&diff["full_replace"], &diff["added"]), (&false.into(), &1.into()));
    stage.run(["apply", "--yes"]).expect(0);
    assert_eq!(stage.read("big.txt"), staged);
}

#[test]
fn the_limit_is_the_users() {
    let stage = Fixture::new();
    stage.configure("[diff]\nsize_max_bytes = 10\n");
    stage.write("a.txt", "short\n");
    let id = stage.propose("a.txt", "longer than ten bytes\n");
    assert_eq!(stage.patch(&id)["diff"]["full_replace"], true);
}

#[test]
fn content_longer_than_memory_should_hold_comes_through_standard_input() {
    let stage = Fixture::new();
    let content = lines("0123456789abcdef\n", (8 << 20) + 17);
    stage.propose("huge.txt", &content);
    stage.run(["apply", "--yes", "--confirm-full-replace"]).expect(0);
    assert!(stage.read("huge.txt") == content, "the file holds exactly the staged bytes");
}
