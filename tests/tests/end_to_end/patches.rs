//! Patches over many files, in either format: where they fit, and that a misfit stages nothing.

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::json;

const UNIFIED: &str = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -2,2 +2,2 @@\n two\n-three\n+THREE\n\
    diff --git a/gone.txt b/gone.txt\ndeleted file mode 100644\n--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n\
    diff --git a/old.txt b/dir/new.txt\nrename from old.txt\nrename to dir/new.txt\n\
    diff --git a/added.txt b/added.txt\nnew file mode 100644\n--- /dev/null\n+++ b/added.txt\n@@ -0,0 +1 @@\n+added\n";

const BEGIN: &str = "*** Begin Patch\n*** Update File: a.txt\n@@\n two\n-three\n+THREE\n\
    *** Delete File: gone.txt\n*** Update File: old.txt\n*** Move to: dir/new.txt\n\
    *** Add File: added.txt\n+added\n*** End Patch\n";

fn stage() -> Fixture {
    let stage = Fixture::new();
    stage.write("a.txt", "one\ntwo\nthree\n");
    stage.write("gone.txt", "gone\n");
    stage.write("old.txt", "old\n");
    stage
}

#[rstest]
#[case::unified(UNIFIED)]
#[case::begin_patch(BEGIN)]
fn a_patch_over_many_files_is_staged_and_reaches_the_disk_whole(#[case] patch: &str) {
    let stage = stage();
    let before = stage.tree();
    let ran = stage.run_with(["propose", "--patch", "-", "--json"], patch.as_bytes()).expect(0);
    assert_eq!(stage.tree(), before, "nothing changes before an approval");
    let staged = ran.json();
    assert_eq!(staged["patches"].as_array().map(Vec::len), Some(4), "{staged}");
    let fitted = &staged["fitted"][0];
    assert_eq!((&fitted["path"], &fitted["hunks"][0]["line"]), (&json!("a.txt"), &json!(2)));
    assert_eq!(fitted["hunks"][0]["level"], "exact");
    stage.run(["apply", "--expect", &stage.signature()]).expect(0);
    assert_eq!(stage.read("a.txt"), b"one\ntwo\nTHREE\n");
    assert_eq!(
        (stage.read("dir/new.txt"), stage.read("added.txt")),
        (b"old\n".into(), b"added\n".into())
    );
    assert!(!stage.path("gone.txt").exists() && !stage.path("old.txt").exists());
}

#[rstest]
#[case::unified(&UNIFIED.replace("-gone", "-other"), "`gone.txt`")]
#[case::begin_patch(&BEGIN.replace("-three", "-four"), "`a.txt`")]
fn one_part_that_does_not_fit_stages_nothing(#[case] patch: &str, #[case] file: &str) {
    let stage = stage();
    let before = stage.tree();
    let ran = stage.run_with(["propose", "--patch", "-"], patch.as_bytes()).expect(3);
    assert!(ran.stderr.contains(file) && ran.stderr.contains("hunk 1"), "{}", ran.stderr);
    assert!(ran.stderr.contains("Nothing was staged"), "{}", ran.stderr);
    assert_eq!((stage.pending(), stage.tree()), (0, before));
}

#[rstest]
#[case::cut_off("*** Begin Patch\n*** Delete File: gone.txt\n", 2, "cut off")]
#[case::prose("please delete gone.txt\n", 2, "the patch contains no change")]
#[case::leads_out("*** Begin Patch\n*** Add File: ../x\n+x\n*** End Patch\n", 2, "leads out")]
#[case::protected("*** Begin Patch\n*** Add File: .git/hooks/x\n+x\n*** End Patch\n", 4, ".git")]
#[case::over_a_file("*** Begin Patch\n*** Add File: a.txt\n+x\n*** End Patch\n", 3, "a.txt")]
#[case::moved_over_a_file(
    "*** Begin Patch\n*** Update File: a.txt\n*** Move to: old.txt\n*** End Patch\n",
    3,
    "old.txt"
)]
fn what_a_patch_may_not_do_is_refused(#[case] patch: &str, #[case] code: i32, #[case] words: &str) {
    let stage = stage();
    let before = stage.tree();
    let ran = stage.run_with(["propose", "--patch", "-"], patch.as_bytes()).expect(code);
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    assert_eq!((stage.pending(), stage.tree()), (0, before));
}

#[rstest]
#[case::begin_patch("*** Begin Patch\n*** Update File: f\n-one\n+two\n*** End Patch\n", "dir/f")]
#[case::above("*** Begin Patch\n*** Update File: ../f\n-one\n+two\n*** End Patch\n", "f")]
#[case::unified("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+two\n", "dir/f")]
#[case::git("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+two\n", "f")]
fn names_begin_where_git_apply_has_them_begin(#[case] patch: &str, #[case] file: &str) {
    let stage = stage();
    stage.write("f", "one\n");
    stage.write("dir/f", "one\n");
    std::fs::write(stage.beside("patch"), patch).expect("it is ours");
    let mut command = stage.command(["propose", "--patch"]);
    command.arg(stage.beside("patch")).current_dir(stage.path("dir"));
    let ran: end_to_end::Ran = end_to_end::output(&mut command).into();
    assert_eq!(ran.expect(0).stdout, format!("p1 modify {file} (+1 -1)\n").into_bytes());
}

#[test]
fn added_lines_are_reported_to_be_indented_as_the_file_is() {
    let stage = stage();
    stage.write("b.py", "if x:\n\tgo()\n");
    let patch = "*** Begin Patch\n*** Update File: b.py\n@@\n if x:\n     go()\n+    stay()\n*** End Patch\n";
    let ran = stage.run_with(["propose", "--patch", "-"], patch.as_bytes()).expect(0);
    assert!(ran.stderr.contains("added lines are indented as the file is"), "{}", ran.stderr);
    let session = ["cat", "b.py", "--session", "cli"];
    assert_eq!(stage.run(session).expect(0).stdout, b"if x:\n\tgo()\n\tstay()\n");
}

#[test]
fn how_a_hunk_matched_is_reported() {
    let stage = stage();
    stage.write("b.txt", "if x:\n    go()  \n");
    let patch = "*** Begin Patch\n*** Update File: b.txt\n@@\n if x:\n-    go()\n+    stay()\n*** End Patch\n";
    let ran = stage.run_with(["propose", "--patch", "-"], patch.as_bytes()).expect(0);
    let told = "hunk 1 of `b.txt` fits at line 1, but for blanks at the ends of lines";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    let ran =
        stage.run_with(["propose", "--patch", "-", "--json", "--session", "2"], patch.as_bytes());
    let hunk = json!({"hunk": 1, "line": 1, "offset": null, "level": "trailing_blanks"});
    assert_eq!(
        ran.expect(0).json()["fitted"],
        json!([{"path": "b.txt", "is_base": null, "hunks": [hunk]}])
    );
}

#[test]
fn a_file_that_is_deleted_and_added_anew_is_changed() {
    let stage = stage();
    let patch =
        "*** Begin Patch\n*** Delete File: a.txt\n*** Add File: a.txt\n+anew\n*** End Patch\n";
    let ran = stage.run_with(["propose", "--patch", "-"], patch.as_bytes()).expect(0);
    assert_eq!(ran.stdout, b"p1 modify a.txt (+1 -3)\n");
}
