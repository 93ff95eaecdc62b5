//! `log`: which entries it shows, and how they are written.

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::Value;

/// Two patches in a session of each of two labels; the first one's are applied and undone.
fn stage() -> Fixture {
    let stage = Fixture::new();
    for (label, file) in [("one", "a"), ("two", "b"), ("one", "c"), ("two", "d")] {
        stage.run_with(["propose", file, "--session", label], b"x\n").expect(0);
    }
    stage.run(["apply", "s1", "--yes"]).expect(0);
    stage.run(["undo", "--yes"]).expect(0);
    stage
}

fn entries(stage: &Fixture, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["log", "--json"], arguments].concat();
    let log = stage.run(arguments).expect(0).json();
    log["events"].as_array().expect("a list").clone()
}

fn names(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["event"].as_str().expect("a name")).collect()
}

#[test]
fn the_last_entries_are_those_that_the_whole_log_ends_with() {
    let stage = stage();
    let all = entries(&stage, &[]);
    for count in 0..all.len() + 2 {
        let last = entries(&stage, &["-n", &count.to_string()]);
        assert_eq!(last, all[all.len().saturating_sub(count)..], "the last {count}");
        let arguments = ["log", "-n", &count.to_string()];
        let text = stage.run(arguments).expect(0).stdout;
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), last.len());
    }
}

#[rstest]
#[case::patch(&["p2"], &["patch_proposed"])]
#[case::session(&["s2"], &["session_opened", "patch_proposed", "patch_proposed"])]
#[case::label(&["two"], &["session_opened", "patch_proposed", "patch_proposed"])]
#[case::apply(&["a1"], &[
    "apply_started", "patch_applied", "patch_applied", "apply_committed", "apply_started",
    "apply_undone",
])]
#[case::several(&["p2", "p4"], &["patch_proposed", "patch_proposed"])]
#[case::the_last_of_them(&["-n", "1", "two", "p1"], &["patch_reopened"])]
#[case::none(&["p99"], &[])]
fn entries_of_a_patch_a_session_or_an_apply_are_shown_alone(
    #[case] arguments: &[&str],
    #[case] expected: &[&str],
) {
    let stage = stage();
    let found = entries(&stage, arguments);
    assert_eq!(names(&found), expected, "{found:?}");
    let text = stage.run([&["log"], arguments].concat()).expect(0).stdout;
    let text = String::from_utf8(text).expect("it is text");
    assert_eq!(text.lines().count(), expected.len(), "{text}");
}

#[test]
fn a_session_that_there_is_not_is_an_error_and_so_are_entries_to_be_verified() {
    let stage = stage();
    let refused = stage.run(["log", "--json", "nobody"]).expect(1);
    assert_eq!(refused.error_kind(), "not_found");
    stage.run(["log", "--verify", "p1"]).expect(2);
    stage.run(["log", "--verify", "-n", "1"]).expect(2);
}

#[test]
fn a_revision_is_answered_with_its_patch() {
    let stage = stage();
    let refused = stage.run(["log", "p1@1"]).expect(2);
    assert!(refused.stderr.contains("`greenroom log p1`"), "{}", refused.stderr);
}

#[test]
fn an_object_with_a_list_is_written_as_any_other() {
    let stage = Fixture::new();
    // Characters that are written as escapes, in a name and in a reason.
    stage.run_with(["propose", "a\u{2028}b"], b"x\n").expect(0);
    stage.run(["discard", "p1", "--reason", "say \"no\"\u{2029}\u{7f} ä"]).expect(0);
    let log = stage.run(["log", "--json"]).expect(0);
    let text = String::from_utf8(log.stdout.clone()).expect("it is UTF-8");
    assert!(text.ends_with("}\n") && text.lines().count() == 1);
    for hidden in ['\u{2028}', '\u{2029}', '\u{7f}'] {
        assert!(!text.contains(hidden), "{text}");
    }
    assert!(text.contains("\\u2028") && text.contains("ä"), "{text}");
    let last = &log.json()["events"][2];
    assert_eq!(last["text"], "say \"no\"\u{2029}\u{7f} ä");
}
