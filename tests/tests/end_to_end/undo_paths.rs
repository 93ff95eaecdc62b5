//! Files of an applied set are taken back by their paths, and applies are listed and shown.

use end_to_end::Fixture;
use rstest::rstest;

fn applied() -> Fixture {
    let stage = Fixture::new();
    for name in ["a.txt", "src/b.txt", "src/deep/c.txt", "old.txt"] {
        stage.write(name, "old\n");
    }
    for name in ["a.txt", "src/b.txt", "src/deep/c.txt"] {
        stage.propose(name, "new\n");
    }
    stage.run(["propose", "old.txt", "--rename-to", "moved.txt"]).expect(0);
    stage.run(["apply", "--yes", "-m", "two words\nand a line"]).expect(0);
    stage
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("it is text")
}

#[rstest]
#[case::a_file(&["a.txt"], &["p1"])]
#[case::a_directory(&["src"], &["p2", "p3"])]
#[case::with_a_slash(&["src/deep/"], &["p3"])]
#[case::a_rename_by_its_old_name(&["old.txt"], &["p4"])]
#[case::a_rename_by_its_new_name(&["moved.txt"], &["p4"])]
#[case::both_names(&["a1", "moved.txt", "old.txt"], &["p4"])]
#[case::several(&["a1", "a.txt", "src/b.txt"], &["p1", "p2"])]
#[case::behind_dashes(&["a1", "--", "a.txt"], &["p1"])]
#[case::a_patch(&["p2"], &["p2"])]
#[case::a_glob(&["*.txt", "--"], &["p1", "p4", "p2", "p3"])]
#[case::a_glob_in_a_directory(&["src/*/*.txt"], &["p3"])]
fn only_the_files_at_the_paths_are_undone(#[case] paths: &[&str], #[case] patches: &[&str]) {
    let stage = applied();
    let arguments = ["undo", "--json"].iter().chain(paths);
    let undone = stage.run(arguments).expect(0).json();
    assert_eq!(undone["patches"], serde_json::json!(patches), "{undone}");
    let remaining = undone["remaining"].as_array().expect("a list").len();
    assert_eq!(remaining, 4 - patches.len());
    assert_eq!(undone["files"][0]["patch"], patches[0]);
    assert_eq!(undone["signature"], stage.signature(), "they are all that is pending");
    assert_eq!(stage.pending(), patches.len());
    stage.run(["redo", "--yes"]).expect(0);
    assert_eq!(stage.read("src/b.txt"), b"new\n");
    assert!(stage.path("moved.txt").exists() && !stage.path("old.txt").exists());
}

#[test]
fn a_path_is_relative_to_the_current_directory() {
    let stage = applied();
    let mut command = stage.command(["undo", "b.txt", "../a.txt"]);
    command.current_dir(stage.path("src"));
    assert!(command.output().expect("it runs").status.success());
    assert_eq!((stage.read("src/b.txt"), stage.read("a.txt")), (b"old\n".into(), b"old\n".into()));
    assert_eq!(stage.read("src/deep/c.txt"), b"new\n");
}

#[test]
fn a_path_that_cannot_be_undone_is_refused_with_the_next_step() {
    let stage = applied();
    let before = stage.tree();
    let unknown = stage.run(["undo", "a.txt", "nowhere.txt", "--json"]).expect(1);
    assert_eq!(unknown.error_kind(), "not_found");
    assert!(unknown.stderr.contains("a1 has no file at `nowhere.txt`"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("greenroom show a1"), "{}", unknown.stderr);
    assert_eq!(stage.tree(), before, "not even the other file is undone");
    stage.run(["undo", "a.txt"]).expect(0);
    let again = stage.run(["undo", "a.txt", "--json"]).expect(1);
    assert_eq!(again.error_kind(), "closed");
    assert!(again.stderr.contains("`a.txt` of a1 was undone by a2"), "{}", again.stderr);
    // Another apply has it.
    stage.propose("other.txt", "");
    stage.run(["apply", "p5", "--yes"]).expect(0);
    let elsewhere = stage.run(["undo", "src/b.txt"]).expect(1);
    assert!(elsewhere.stderr.contains("greenroom undo a1 src/b.txt"), "{}", elsewhere.stderr);
}

#[test]
fn applies_are_listed_and_shown_with_their_message_and_what_was_undone() {
    let stage = applied();
    stage.run(["undo", "src"]).expect(0);
    let listed = text(stage.run(["applies"]).expect(0).stdout);
    let lines: Vec<&str> = listed.lines().collect();
    let [undo, apply, first, second] = lines.as_slice() else { panic!("{listed}") };
    assert!(
        undo.starts_with("a2 ")
            && undo.ends_with(" undid 2 files (+2 -2) of a1, approved by --yes"),
        "{undo}"
    );
    assert!(apply.starts_with("a1 "), "{apply}");
    assert!(
        apply.ends_with(" applied 4 files (+3 -3): 2 of 4 undone, approved by --yes"),
        "{apply}"
    );
    assert_eq!([*first, *second], ["    two words", "    and a line"]);
    assert_eq!(text(stage.run(["applies", "-n", "1"]).expect(0).stdout).lines().count(), 1);
    let json = stage.run(["applies", "--json"]).expect(0).json();
    let entry = &json["applies"][1];
    assert_eq!((&entry["undone"], &entry["totals"]["files"]), (&2.into(), &4.into()));
    assert_eq!(
        (&entry["message"], &entry["undone_by"]),
        (&"two words\nand a line".into(), &().into())
    );

    let shown = text(stage.run(["show", "a1"]).expect(0).stdout);
    assert!(shown.starts_with("a1 4 files (+3 -3)\n  state      2 of 4 undone\n"), "{shown}");
    assert!(shown.contains("  message    two words\n             and a line\n"), "{shown}");
    assert!(shown.contains("  patch      p2 modify src/b.txt (+1 -1), undone by a2\n"), "{shown}");
    assert!(shown.contains("\n+++ b/a.txt\n"), "{shown}");
    let json = stage.run(["show", "a1", "--json"]).expect(0).json();
    assert_eq!(
        (&json["patches"][3]["id"], &json["patches"][3]["undone_by"]),
        (&"p3".into(), &"a2".into())
    );
    let undo = stage.run(["show", "a2", "--json"]).expect(0).json();
    assert_eq!(
        (&undo["undoes"], undo["patches"].as_array().map(Vec::len)),
        (&"a1".into(), Some(2))
    );
    assert_eq!(stage.run(["show", "a9", "--json"]).expect(1).error_kind(), "not_found");
    let log = text(stage.run(["log", "a1"]).expect(0).stdout);
    assert!(log.contains("apply_undone a1 a2 remaining=2\n"), "{log}");
    assert!(log.contains(r#" approved by --yes message "two words\nand a line""#), "{log}");
}

#[test]
fn where_nothing_was_applied_none_is_listed() {
    let stage = Fixture::new();
    assert_eq!(text(stage.run(["applies"]).expect(0).stdout), "");
    assert_eq!(stage.run(["applies", "--json"]).expect(0).json()["applies"], serde_json::json!([]));
    assert_eq!(stage.run(["show", "a1", "--json"]).expect(1).error_kind(), "not_found");
}
