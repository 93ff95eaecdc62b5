//! An edit that the user made meanwhile is never lost.

use std::fs;
use std::fs::FileTimes;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use end_to_end::Fixture;
use rstest::rstest;

fn edited(stage: &Fixture) {
    stage.write("a.txt", "one, by hand\ntwo\n");
}
fn removed(stage: &Fixture) {
    fs::remove_file(stage.path("a.txt")).expect("it is there");
}
fn made_executable(stage: &Fixture) {
    fs::set_permissions(stage.path("a.txt"), fs::Permissions::from_mode(0o755)).expect("ours");
}
fn made_a_folder(stage: &Fixture) {
    removed(stage);
    fs::create_dir(stage.path("a.txt")).expect("the name is free");
}
/// The same length and the same times: only the content tells.
fn edited_behind_the_clock(stage: &Fixture) {
    let modified = fs::metadata(stage.path("a.txt")).and_then(|m| m.modified()).expect("there");
    stage.write("a.txt", "ONE\ntwo\n");
    set_modified(stage, modified);
}

fn set_modified(stage: &Fixture, time: SystemTime) {
    // Opened to be read: a file that is open for writing is busy.
    let file = fs::File::open(stage.path("a.txt")).expect("it is there");
    file.set_times(FileTimes::new().set_modified(time)).expect("ours");
}

#[rstest]
#[case::edited(edited)]
#[case::removed(removed)]
#[case::made_executable(made_executable)]
#[case::made_a_folder(made_a_folder)]
#[case::edited_behind_the_clock(edited_behind_the_clock)]
fn a_change_by_hand_stands_and_the_patch_is_stale(
    #[case] change: fn(&Fixture),
    #[values("modify", "delete", "rename")] operation: &str,
) {
    let stage = Fixture::new();
    stage.write("a.txt", "one\ntwo\n");
    match operation {
        "modify" => stage.run_with(["propose", "a.txt"], b"agent\n"),
        "delete" => stage.run(["propose", "a.txt", "--delete"]),
        _ => stage.run(["propose", "a.txt", "--rename-to", "b.txt"]),
    }
    .expect(0);
    let signature = stage.signature();
    change(&stage);
    let by_hand = stage.tree();

    let ran = stage.run(["apply", "--expect", &signature, "--json"]).expect(3);
    assert_eq!(ran.error_kind(), "stale");
    assert_eq!(ran.json()["error"]["path"], "a.txt");
    assert!(ran.stderr.contains("No file was changed."), "{}", ran.stderr);
    assert_eq!(stage.tree(), by_hand, "the hand's edit stands");
    let patch = stage.patch("p1");
    assert_eq!((&patch["state"], &patch["reason"]), (&"discarded".into(), &"stale".into()));
}

#[test]
fn a_file_that_appeared_meanwhile_makes_a_create_stale() {
    let stage = Fixture::new();
    stage.propose("a.txt", "agent\n");
    stage.write("a.txt", "hand\n");
    stage.run(["apply", "--yes"]).expect(3);
    assert_eq!(stage.read("a.txt"), b"hand\n");
}

#[test]
fn one_stale_patch_holds_back_the_whole_set_and_the_rest_stays_pending() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    stage.write("b.txt", "b\n");
    stage.propose("a.txt", "agent\n");
    stage.propose("b.txt", "agent\n");
    stage.write("a.txt", "hand\n");
    stage.run(["apply", "--yes"]).expect(3);
    assert_eq!(stage.read("a.txt"), b"hand\n");
    assert_eq!(stage.read("b.txt"), b"b\n", "all or none");
    assert_eq!(stage.pending(), 1, "b.txt still waits");
    stage.run(["apply", "p2", "--yes"]).expect(0);
    assert_eq!(stage.read("b.txt"), b"agent\n");
}

#[test]
fn a_set_that_lost_a_part_is_not_applied_by_asking_again() {
    let stage = Fixture::new();
    stage.write("lib.txt", "f\n");
    stage.write("app.txt", "f\n");
    let patch = "--- a/lib.txt\n+++ b/lib.txt\n@@ -1 +1 @@\n-f\n+g\n\
                 --- a/app.txt\n+++ b/app.txt\n@@ -1 +1 @@\n-f\n+g\n";
    stage.run_with(["propose", "--patch", "-"], patch.as_bytes()).expect(0);
    stage.write("app.txt", "f\nby hand\n");
    let status = stage.run(["status"]).expect(0);
    let text = String::from_utf8(status.stdout).expect("text");
    assert!(text.contains("  stale: p1 modify app.txt (+1 -1)\n"), "{text}");
    let lapsed = stage.status()["sessions"][0]["lapsed"].clone();
    assert_eq!((&lapsed[0]["id"], &lapsed[0]["reason"]), (&"p1".into(), &"stale".into()));
    let diff = stage.run(["diff", "--json"]).expect(0).json();
    assert_eq!(diff["lapsed"][0]["id"], "p1");
    for ids in [&[][..], &["cli"], &["s1"], &["p2"]] {
        let mut arguments = vec!["apply", "--yes", "--json"];
        arguments.extend(ids);
        let ran = stage.run(arguments).expect(3);
        assert_eq!(ran.error_kind(), "stale");
        assert_eq!(ran.json()["error"]["patches"][0], "p1");
        assert!(ran.stderr.contains("greenroom refresh p1"), "{}", ran.stderr);
        assert!(ran.stderr.contains("--rest"), "{}", ran.stderr);
    }
    stage.run(["apply", "--dry-run"]).expect(3);
    stage.run(["apply", "--expect", &stage.signature()]).expect(3);
    assert_eq!(stage.read("lib.txt"), b"f\n", "no half of it");
    stage.write("app.txt", "f\n");
    let refreshed = stage.run(["refresh", "p1", "--json"]).expect(0).json();
    assert_eq!(refreshed["patches"][0]["id"], "p3");
    stage.run(["apply", "--yes"]).expect(0);
    assert_eq!((stage.read("lib.txt"), stage.read("app.txt")), (b"g\n".into(), b"g\n".into()));
}

#[test]
fn what_is_left_of_a_set_is_applied_when_that_is_reported() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    stage.propose("a.txt", "agent\n");
    stage.propose("b.txt", "agent\n");
    stage.write("a.txt", "hand\n");
    stage.run(["status"]).expect(0);
    stage.run(["apply", "--rest", "--yes"]).expect(0);
    assert_eq!((stage.read("a.txt"), stage.read("b.txt")), (b"hand\n".into(), b"agent\n".into()));
    let text = String::from_utf8(stage.run(["status"]).expect(0).stdout).expect("text");
    assert!(text.contains("stale: p1"), "it stays listed: {text}");
    let text = String::from_utf8(stage.run(["discard", "p1"]).expect(0).stdout).expect("text");
    assert!(text.starts_with("dismissed p1"), "{text}");
    assert!(stage.status()["sessions"][0]["lapsed"].is_null());
}

#[test]
fn the_rest_of_a_set_is_a_set_of_its_own_and_says_what_it_leaves_out() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    stage.propose("a.txt", "agent\n");
    stage.propose("b.txt", "agent\n");
    let whole = stage.signature();
    stage.write("a.txt", "hand\n");
    // This look is the first one that finds it stale.
    let refused = stage.run(["apply", "--yes"]).expect(3);
    assert!(refused.stderr.contains("apply the others with `--rest`"), "{}", refused.stderr);
    stage.write("a.txt", "a\n");
    stage.run(["refresh"]).expect(0);
    stage.write("a.txt", "hand\n");
    let dry = stage.run(["apply", "--rest", "--dry-run", "--json"]).expect(0).json();
    let rest = dry["signature"].as_str().expect("a signature").to_owned();
    assert_eq!(
        (&dry["left_out"][0]["id"], &dry["left_out"][0]["reason"]),
        (&"p3".into(), &"stale".into())
    );
    stage.run(["apply", "--rest", "--expect", &whole]).expect(4);
    stage.run(["apply", "--expect", &rest]).expect(3);
    let applied = stage.run(["apply", "--rest", "--expect", &rest, "--json"]).expect(0);
    assert!(applied.stderr.contains("greenroom refresh p3"), "{}", applied.stderr);
    let applied = applied.json();
    assert_eq!(
        (&applied["signature"], &applied["left_out"][0]["id"]),
        (&rest.into(), &"p3".into())
    );
    assert_eq!((stage.read("a.txt"), stage.read("b.txt")), (b"hand\n".into(), b"agent\n".into()));
    assert_eq!(stage.status()["sessions"][0]["lapsed"][0]["id"], "p3", "it stays listed");
    // Nothing is left of a set that has become stale as a whole.
    assert_eq!(
        stage.run(["apply", "--rest", "--yes", "--json"]).expect(1).error_kind(),
        "not_found"
    );
}

#[test]
fn a_bare_touch_is_no_change() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    stage.propose("a.txt", "agent\n");
    let signature = stage.signature();
    let later = SystemTime::now() + Duration::from_secs(60);
    set_modified(&stage, later);
    stage.run(["apply", "--expect", &signature]).expect(0);
    assert_eq!(stage.read("a.txt"), b"agent\n");
}

#[rstest]
#[case::status(&["status"], 0)]
#[case::diff(&["diff"], 0)]
#[case::diff_of_it(&["diff", "p1"], 3)]
#[case::show(&["show", "p1"], 0)]
fn reading_commands_discard_stale_patches(#[case] look: &[&str], #[case] code: i32) {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    stage.propose("a.txt", "agent\n");
    stage.write("a.txt", "hand\n");
    stage.run(look).expect(code);
    assert_eq!(stage.patch("p1")["reason"], "stale");
    stage.run(["apply", "p1", "--yes"]).expect(3);
    assert_eq!(stage.read("a.txt"), b"hand\n");
}

#[test]
fn two_sessions_on_one_file_are_a_conflict_and_nothing_changes() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    stage.run_with(["propose", "a.txt", "--session", "one"], b"1\n").expect(0);
    let second = stage.run_with(["propose", "a.txt", "--session", "two"], b"2\n").expect(0);
    assert!(second.stderr.contains("also pending in s1"), "{}", second.stderr);
    let ran = stage.run(["apply", "--yes", "--json"]).expect(3);
    assert_eq!(ran.error_kind(), "conflict");
    assert_eq!(stage.read("a.txt"), b"a\n");
    stage.run(["apply", "two", "--yes"]).expect(0);
    assert_eq!(stage.read("a.txt"), b"2\n");
    stage.run(["apply", "one", "--yes"]).expect(3);
    assert_eq!(stage.read("a.txt"), b"2\n", "the other session's patch is stale now");
}

#[test]
fn a_stale_patch_is_refreshed_over_the_users_edit_or_says_which_lines() {
    let stage = Fixture::new();
    stage.write("a.txt", "1\n2\n3\n4\n5\n");
    stage.propose("a.txt", "1\nagent\n3\n4\n5\n");
    stage.write("a.txt", "1\n2\n3\n4\nuser\n");
    let refreshed = stage.run(["refresh", "p1", "--json"]).expect(0).json();
    assert_eq!(refreshed["patches"][0]["id"], "p2");
    assert_eq!(stage.patch("p1")["reason"], "stale");
    stage.write("a.txt", "1\nuser\n3\n4\n5\n");
    let ran = stage.run(["refresh", "p1"]).expect(3);
    assert!(ran.stderr.contains("line 2"), "{}", ran.stderr);
    assert_eq!(stage.read("a.txt"), b"1\nuser\n3\n4\n5\n");
}
