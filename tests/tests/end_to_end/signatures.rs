//! An approval names what was shown, and nothing else.

use end_to_end::Fixture;
use rstest::rstest;

fn another_content(stage: &Fixture) {
    stage.propose("a.txt", "evil\n");
}
fn another_mode(stage: &Fixture) {
    stage.run(["propose", "a.txt", "--mode", "755"]).expect(0);
}
fn another_file(stage: &Fixture) {
    stage.propose("b.txt", "b\n");
}
fn a_delete_instead(stage: &Fixture) {
    stage.run(["propose", "a.txt", "--delete"]).expect(0);
}
fn a_patch_less(stage: &Fixture) {
    stage.run(["discard", "p2"]).expect(0);
}

#[rstest]
#[case::another_content(another_content)]
#[case::another_mode(another_mode)]
#[case::another_file(another_file)]
#[case::a_delete_instead(a_delete_instead)]
#[case::a_patch_less(a_patch_less)]
fn an_old_signature_is_refused_and_nothing_changes(#[case] change: fn(&Fixture)) {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    stage.propose("a.txt", "good\n");
    stage.propose("c.txt", "c\n");
    let old = stage.signature();
    change(&stage);
    let before = stage.tree();
    let pending = stage.pending();
    let ran = stage.run(["apply", "--expect", &old, "--json"]).expect(4);
    assert_eq!(ran.error_kind(), "signature_mismatch");
    assert_eq!(stage.tree(), before, "nothing changed");
    assert_eq!(stage.pending(), pending, "and everything stays pending");
    stage.run(["apply", "--expect", &stage.signature()]).expect(0);
}

#[test]
fn an_old_signature_is_refused_for_a_patch_that_was_replaced() {
    let stage = Fixture::new();
    let old_id = stage.propose("a.txt", "good\n");
    let old = stage.signature();
    stage.propose("a.txt", "evil\n");
    stage.run(["apply", &old_id, "--expect", &old]).expect(4);
    assert!(!stage.path("a.txt").exists(), "nothing changed");
}

#[test]
fn the_same_change_proposed_anew_has_the_same_signature() {
    let stage = Fixture::new();
    stage.propose("a.txt", "good\n");
    let signature = stage.signature();
    stage.propose("a.txt", "other\n");
    stage.propose("a.txt", "good\n");
    assert_eq!(stage.signature(), signature);
    let remark = stage.run(["diff"]).expect(0).stderr;
    assert!(remark.contains(&signature), "the diff names what an approval needs: {remark}");
}

#[test]
fn each_session_has_a_signature_of_its_own() {
    let stage = Fixture::new();
    stage.run_with(["propose", "a.txt", "--session", "one"], b"1\n").expect(0);
    stage.run_with(["propose", "b.txt", "--session", "two"], b"2\n").expect(0);
    let status = stage.status();
    let signature = status["sessions"][0]["signature"].as_str().expect("it has one");
    stage.run(["apply", "one", "--expect", signature]).expect(0);
    assert_eq!(stage.read("a.txt"), b"1\n");
    assert!(!stage.path("b.txt").exists(), "the other session was not approved");
}

#[test]
fn the_signature_that_is_printed_with_a_patch_approves_it() {
    let stage = Fixture::new();
    let ran = stage.run_with(["propose", "a.txt", "--json"], b"a\n").expect(0).json();
    let proposed = ran["patches"][0]["signature"].as_str().expect("it has one").to_owned();
    stage.propose("b.txt", "b\n");
    assert_eq!(stage.patch("p1")["signature"], proposed.as_str());
    let diff = stage.run(["diff", "p1", "--json"]).expect(0).json();
    assert_eq!(diff["signature"], proposed.as_str(), "a set of one has its patch's signature");
    stage.run(["apply", "p1", "--expect", &proposed]).expect(0);
    assert_eq!(stage.read("a.txt"), b"a\n");
}

#[test]
fn the_first_digits_name_a_signature_if_it_is_what_is_pending() {
    let stage = Fixture::new();
    stage.propose("a.txt", "a\n");
    let signature = stage.signature();
    stage.run(["apply", "--expect", &signature[..7]]).expect(2);
    let other = if signature.starts_with('0') { "1" } else { "0" };
    for wrong in
        [format!("{other}{}", &signature[1..8]), format!("{}{other}{other}", &signature[..62])]
    {
        let ran = stage.run(["apply", "--expect", &wrong, "--json"]);
        if signature.starts_with(&wrong) {
            continue;
        }
        assert_eq!(ran.expect(4).error_kind(), "signature_mismatch");
    }
    stage.run(["apply", "--expect", &signature[..8].to_uppercase()]).expect(0);
    assert_eq!(stage.read("a.txt"), b"a\n");
}

#[test]
fn without_a_word_from_the_reviewer_nothing_is_applied() {
    let stage = Fixture::new();
    stage.propose("a.txt", "x\n");
    let ran = stage.run(["apply", "--json"]).expect(4);
    assert_eq!(ran.error_kind(), "confirmation_missing");
    assert!(ran.stderr.contains("--expect"), "it says what to do: {}", ran.stderr);
    assert!(!stage.path("a.txt").exists());
}

#[test]
fn a_dry_run_checks_everything_and_changes_nothing() {
    let stage = Fixture::new();
    stage.propose("a.txt", "x\n");
    let before = stage.tree();
    let report = stage.run(["apply", "--dry-run", "--json"]).expect(0).json();
    assert_eq!(
        (&report["apply"], &report["outcome"]),
        (&serde_json::Value::Null, &"dry_run".into())
    );
    let wrong = "0".repeat(64);
    stage.run(["apply", "--dry-run", "--expect", &wrong]).expect(4);
    assert_eq!(stage.tree(), before);
    assert_eq!(stage.pending(), 1);
}
