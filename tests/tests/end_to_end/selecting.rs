//! What commands are about: ids, labels, paths and globs, the same in each of them.

use std::fs;
use std::path::Path;

use end_to_end::{Fixture, Ran, output};
use rstest::rstest;

/// p1 to p7, by two sessions, with a rename and a file that is named like a glob.
fn stage() -> Fixture {
    let stage = Fixture::new();
    stage.write("old.rs", "moved\n");
    fs::create_dir_all(stage.path("src/deep")).expect("it is new");
    stage.propose("Cargo.toml", "1\n");
    stage.propose("src/a.rs", "2\n");
    stage.propose("src/deep/b.rs", "3\n");
    stage.propose("src/deep/Cargo.toml", "4\n");
    stage.run(["propose", "old.rs", "--rename-to", "src/new.rs"]).expect(0);
    stage.propose("web/[id].tsx", "6\n");
    stage.run_with(["propose", "web/i.tsx", "--session", "robot"], b"7\n").expect(0);
    stage
}

/// What the command says from a directory of the workspace.
fn run_in(stage: &Fixture, directory: &str, arguments: &[&str]) -> Ran {
    output(stage.command(arguments).current_dir(stage.path(directory))).into()
}

/// The ids of the patches that `diff` selects.
fn selected(ran: &Ran) -> Vec<String> {
    let patches = ran.json()["patches"].as_array().expect("a list").clone();
    let mut ids: Vec<String> =
        patches.iter().map(|patch| patch["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

#[rstest]
#[case::everything("", &[], &["p1", "p2", "p3", "p4", "p5", "p6", "p7"])]
#[case::the_root("", &["."], &["p1", "p2", "p3", "p4", "p5", "p6", "p7"])]
#[case::an_id("", &["p2"], &["p2"])]
#[case::a_number("", &["2"], &["p2"])]
#[case::a_capital_letter("", &["P2"], &["p2"])]
#[case::a_session("", &["s2"], &["p7"])]
#[case::a_label("", &["robot"], &["p7"])]
#[case::a_file("", &["src/a.rs"], &["p2"])]
#[case::an_absolute_path("", &["/src/a.rs"], &["p2"])]
#[case::a_directory("", &["src"], &["p2", "p3", "p4", "p5"])]
#[case::a_directory_with_a_slash("", &["src/deep/"], &["p3", "p4"])]
#[case::the_old_name("", &["old.rs"], &["p5"])]
#[case::the_new_name("", &["src/new.rs"], &["p5"])]
#[case::a_glob("", &["*.toml"], &["p1", "p4"])]
#[case::a_glob_in_a_directory("", &["src/*.rs"], &["p2", "p3", "p5"])]
#[case::a_glob_of_a_directory("", &["src/d*p"], &["p3", "p4"])]
#[case::a_glob_of_directories("", &["*e*/"], &["p3", "p4", "p6", "p7"])]
#[case::alternatives("", &["{old,nothing}.rs"], &["p5"])]
#[case::a_file_that_looks_like_a_glob("", &["web/[id].tsx"], &["p6", "p7"])]
#[case::only_that_file("", &["web/\\[id\\].tsx"], &["p6"])]
#[case::several("", &["p1", "robot", "src/deep"], &["p1", "p3", "p4", "p7"])]
#[case::below("src", &["a.rs"], &["p2"])]
#[case::below_itself("src", &["."], &["p2", "p3", "p4", "p5"])]
#[case::above("src/deep", &["../a.rs"], &["p2"])]
#[case::the_root_from_below("src", &[".."], &["p1", "p2", "p3", "p4", "p5", "p6", "p7"])]
#[case::a_glob_below("src", &["*.toml"], &["p4"])]
#[case::a_glob_above("src", &["../*.toml"], &["p1", "p4"])]
#[case::but_for_a_path("", &["--except", "src"], &["p1", "p6", "p7"])]
#[case::but_for_several("", &["src", "--except", "p2", "--except", "*.toml"], &["p3", "p5"])]
#[case::but_for_a_label("", &["web", "--except", "robot"], &["p6"])]
#[case::behind_dashes("", &["p1", "--", "src/a.rs"], &["p1", "p2"])]
fn words_select_patches(
    #[case] directory: &str,
    #[case] words: &[&str],
    #[case] expected: &[&str],
) {
    let stage = stage();
    let root = stage.workspace();
    let words: Vec<String> = words
        .iter()
        .map(|word| {
            word.strip_prefix("/").map_or((*word).to_owned(), |rest| {
                root.join(rest).to_str().expect("a plain path").to_owned()
            })
        })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let shown = run_in(&stage, directory, &[&["--json", "diff"], &words[..]].concat()).expect(0);
    assert_eq!(selected(&shown), expected);
    // `show` shows these, and an apply by the words is one by the ids.
    let signature = shown.json()["signature"].as_str().expect("a signature").to_owned();
    let dry = [&["apply", "--dry-run", "--expect", &signature][..], &words].concat();
    run_in(&stage, directory, &dry).expect(0);
    let by_id = [&["apply", "--dry-run", "--expect", &signature][..], expected].concat();
    stage.run(&by_id).expect(0);
    let shown = run_in(&stage, directory, &[&["show"], &words[..]].concat()).expect(0).stdout;
    let shown = String::from_utf8(shown).expect("text");
    assert_eq!(
        shown.lines().filter(|line| line.starts_with("diff --git ")).count(),
        expected.len()
    );
}

#[test]
fn every_command_takes_a_selection() {
    let stage = stage();
    let applied = stage.run(["approve", "*.toml", "--except", "src/", "--yes"]).expect(0);
    assert_eq!(
        String::from_utf8_lossy(&applied.stdout),
        "applied 1 file (+1 -0) as a1; `greenroom undo a1` takes it back\n"
    );
    let rejected = stage.run(["reject", "src/deep/", "--reason", "no"]).expect(0);
    let said = String::from_utf8_lossy(&rejected.stdout).into_owned();
    assert_eq!(said.matches("discarded p").count(), 2, "{said}");
    stage.write("web/i.tsx", "by hand\n");
    let stale = stage.run(["diff", "web/i.tsx"]).expect(3);
    assert!(stale.stderr.contains("greenroom refresh p7"), "{}", stale.stderr);
    let ran = stage.run(["apply", "web/", "--yes"]).expect(3);
    assert!(ran.stderr.contains("apply the others with `--rest`"), "{}", ran.stderr);
    stage.run(["apply", "web/", "--yes", "--except", "web/i.tsx", "--dry-run"]).expect(0);
    fs::remove_file(stage.path("web/i.tsx")).expect("the user's");
    let refreshed = stage.run(["refresh", "web/"]).expect(0);
    assert!(String::from_utf8_lossy(&refreshed.stdout).contains("create web/i.tsx"));
    assert_eq!(stage.pending(), 4);
}

#[test]
fn exec_applies_what_is_selected() {
    let Some(stage) = Fixture::with_view("overlay") else { return };
    stage.propose("src/a.txt", "a\n");
    stage.propose("src/b.txt", "b\n");
    let ran = stage.run(["exec", "src/", "--except", "src/b.txt", "--", "ls", "src"]).expect(0);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "a.txt\n");
    let ran = stage.run(["exec", "scr/", "--", "true"]).expect(125);
    assert!(ran.stderr.contains("Did you mean `src`?"), "{}", ran.stderr);
}

#[rstest]
#[case::a_label(
    "agnet-1",
    1,
    "`agnet-1` is no patch, no session and no path of a pending patch\n",
    "Did you mean `agent-1`?"
)]
#[case::a_patch("p77", 1, "there is no patch p77", "Pending are p1, p2, p3.")]
#[case::a_number("12", 1, "there is no patch p12", "Did you mean `p1`?")]
#[case::a_session("s9", 1, "there is no session `s9`", "")]
#[case::a_file(
    "src/jsn.rs",
    1,
    "nothing is pending at `src/jsn.rs`",
    "Did you mean `src/json.rs`?"
)]
#[case::a_directory("scr/", 1, "nothing is pending at `scr/`", "Did you mean `src`?")]
#[case::only_the_name("json.rs", 1, "`json.rs` is no patch", "Did you mean `src/json.rs`?")]
#[case::a_file_without_a_patch("done.txt", 1, "nothing is pending at `done.txt`", "")]
#[case::a_link(
    "link",
    1,
    "nothing is pending at `link`, a symbolic link, which is not followed",
    ""
)]
#[case::a_glob("*.py", 1, "`*.py` matches no path of a pending patch", "")]
#[case::no_glob("src/[a", 2, "`src/[a` is not a glob: ", "")]
#[case::outside("../x", 4, "`../x` is outside of the workspace", "")]
#[case::both("docs", 2, "`docs` is a path and the label of a session", "Write `./docs` or `s2`.")]
#[case::a_number_and_a_path("3", 2, "`3` is a patch and a path", "Write `p3` or `./3`.")]
fn a_word_that_selects_nothing_or_two_things_is_refused_before_anything_is_asked(
    #[case] word: &str,
    #[case] code: i32,
    #[case] message: &str,
    #[case] advice: &str,
    #[values(&["diff"], &["show"], &["apply", "--yes"], &["discard"], &["refresh"], &["diff", "--except"])]
    command: &[&str],
) {
    let stage = Fixture::new();
    stage.write("done.txt", "done\n");
    fs::create_dir(stage.path("src")).expect("it is new");
    std::os::unix::fs::symlink("src", stage.path("link")).expect("it is new");
    stage.run_with(["propose", "src/json.rs", "--session", "agent-1"], b"1\n").expect(0);
    stage.run_with(["propose", "docs/x.md", "--session", "docs"], b"2\n").expect(0);
    stage.run_with(["propose", "3", "--session", "docs"], b"3\n").expect(0);
    let ran = stage.run([command, &[word]].concat()).expect(code);
    assert!(ran.stderr.starts_with(&format!("greenroom: {message}")), "{}", ran.stderr);
    assert!(ran.stderr.contains(advice), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
    assert_eq!(stage.pending(), 3);
}

#[test]
fn a_name_of_two_things_is_told_apart_by_how_it_is_written() {
    let stage = Fixture::new();
    stage.run_with(["propose", "docs/x.md", "--session", "docs"], b"1\n").expect(0);
    stage.run_with(["propose", "other", "--session", "docs"], b"2\n").expect(0);
    stage.run_with(["propose", "2", "--session", "robot"], b"3\n").expect(0);
    for (words, expected) in [
        (&["./docs"][..], &["p1"][..]),
        (&["--", "docs"], &["p1"]),
        (&["docs/"], &["p1"]),
        (&["s1"], &["p1", "p2"]),
        (&["./2"], &["p3"]),
        (&["p2"], &["p2"]),
    ] {
        let ran = stage.run([&["--json", "diff"], words].concat()).expect(0);
        assert_eq!(selected(&ran), expected, "{words:?}");
    }
    // A session that has ended and left nothing names nothing beside a path.
    stage.run(["session", "close", "docs", "--yes"]).expect(0);
    stage.run_with(["propose", "docs/y.md", "--session", "robot"], b"4\n").expect(0);
    assert_eq!(selected(&stage.run(["--json", "diff", "docs"]).expect(0)), ["p4"]);
}

#[test]
fn a_file_that_begins_with_a_dash_is_named_behind_two_of_them() {
    let stage = Fixture::new();
    stage.run_with(["propose", "--session", "robot", "--", "-x.txt"], b"1\n").expect(0);
    stage.propose("y.txt", "2\n");
    assert_eq!(selected(&stage.run(["--json", "diff", "--", "-x.txt"]).expect(0)), ["p1"]);
    stage.run(["discard", "--", "-x.txt"]).expect(0);
    assert_eq!(stage.pending(), 1);
}

#[test]
fn exceptions_that_leave_nothing_are_an_error() {
    let stage = stage();
    for words in
        [&["--except", "."][..], &["src/a.rs", "--except", "src"], &["p1", "--except", "1"]]
    {
        for command in [&["diff"][..], &["apply", "--yes"], &["discard"], &["show"]] {
            let ran = stage.run([command, words].concat()).expect(1);
            let expected = "greenroom: the exceptions leave nothing of what is selected\n";
            assert!(ran.stderr.starts_with(expected), "{words:?}: {}", ran.stderr);
        }
    }
    assert_eq!(stage.pending(), 7);
}

#[test]
fn everything_but_for_exceptions_is_not_rejected_unasked() {
    let stage = stage();
    for words in [&["--except", "p1"][..], &["."]] {
        let ran = stage.run([&["discard"], words].concat()).expect(4);
        assert!(ran.stderr.contains("needs confirmation"), "{}", ran.stderr);
    }
    stage.run(["discard", "--except", "p1", "--yes"]).expect(0);
    assert_eq!(stage.pending(), 1);
}

#[test]
fn a_workspace_in_which_nothing_was_staged_has_nothing_to_select() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    for command in ["diff", "show", "apply", "discard", "refresh"] {
        for (words, said) in [
            (&["a.txt"][..], "`a.txt` is no patch, no session and no path of a pending patch"),
            (&["p1"], "there is no patch p1"),
            (&["7"], "there is no patch p7"),
            (&["s1"], "there is no session `s1`"),
            (&["--except", "*.rs"], "`*.rs` is no patch"),
        ] {
            let ran = stage.run([&[command], words].concat()).expect(1);
            assert!(ran.stderr.contains(said), "{command} {words:?}: {}", ran.stderr);
        }
    }
    stage.run(["diff", "."]).expect(0);
    assert!(!Path::new(&stage.beside("state")).read_dir().expect("it is ours").any(|_| true));
}

#[rstest]
#[case("pending", "status")]
#[case("list", "status")]
#[case("ls", "status")]
#[case("accept", "apply")]
#[case("commit", "apply")]
#[case("show-diff", "diff")]
#[case("revert", "undo")]
fn the_word_of_another_tool_is_answered_with_the_command(
    #[case] word: &str,
    #[case] command: &str,
) {
    let ran = Fixture::new().run([word]).expect(2);
    let tip = format!("tip: `greenroom {command}` does that");
    assert!(ran.stderr.contains(&tip) && !ran.stderr.contains("similar"), "{}", ran.stderr);
}
