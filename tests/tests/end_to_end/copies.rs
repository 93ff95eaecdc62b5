//! `propose --from-tree` and `--from-upper`: what was changed elsewhere becomes patches.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use end_to_end::{Fixture, Ran, git, output};
use rstest::rstest;

use crate::running::pending;

/// A workspace with a commit of some files.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let files = [
        (".gitignore", "target/\n"),
        ("a", "one\n"),
        ("b", "one\n"),
        ("d/e", "one\n"),
        ("s/f", "f\n"),
    ];
    for (name, content) in files {
        fixture.write(name, content);
    }
    symlink("a", fixture.path("link")).expect("it is new");
    commit(&fixture.workspace());
    fixture
}

fn commit(directory: &Path) {
    git(directory, &["add", "-A"]);
    let commit = "-c user.name=a -c user.email=a@b commit --quiet -m commit";
    git(directory, &commit.split(' ').collect::<Vec<_>>());
}

fn worktree(fixture: &Fixture) -> PathBuf {
    let copy = fixture.beside("copy");
    let path = copy.to_str().expect("a plain path");
    git(&fixture.workspace(), &["worktree", "add", "--quiet", path]);
    copy
}

/// A copy with all attributes, and a time before it was made.
fn copied(fixture: &Fixture) -> (PathBuf, String) {
    // What was written in the tick before is never proven.
    thread::sleep(Duration::from_millis(50));
    let copy = fixture.beside("copy");
    let time = sh(fixture, "date --iso-8601=ns | tr , .");
    sh(fixture, &format!("cp -a . {}", copy.display()));
    (copy, String::from_utf8_lossy(&time).trim_end().to_owned())
}

/// Runs a script in the workspace as a user; its output.
fn sh(fixture: &Fixture, script: &str) -> Vec<u8> {
    let ran = output(Command::new("sh").args(["-ec", script]).current_dir(fixture.workspace()));
    assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
    ran.stdout
}

fn propose(fixture: &Fixture, options: &[&str]) -> Ran {
    let copy = fixture.beside("copy");
    let copy = copy.to_str().expect("a plain path");
    fixture
        .run([&["propose", "--session", "copy", "--from-tree", copy], options].concat())
        .expect(0)
}

/// The paths of the stale patches.
fn stale(fixture: &Fixture) -> Vec<String> {
    let status = fixture.status();
    let sessions = status["sessions"].as_array().expect("a list");
    let lapsed = sessions.iter().filter_map(|session| session["lapsed"].as_array()).flatten();
    let mut paths: Vec<String> =
        lapsed.map(|patch| patch["path"].as_str().unwrap_or_default().to_owned()).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn a_worktree_s_changes_are_patches_and_the_user_s_edits_are_not() {
    let fixture = fixture();
    let copy = worktree(&fixture);
    sh(
        &fixture,
        &format!(
            "cd {}; echo two >> a; git rm --quiet b; git mv s/f moved; rmdir s; chmod +x d/e; ln -sf d/e link
            mkdir empty target; echo x > target/o; mkfifo fifo; ln -s /etc/passwd out
            printf 'new/\\n' >> .gitignore; mkdir new; echo x > new/n
            git -c user.name=a -c user.email=a@b commit --quiet -am work",
            copy.display()
        ),
    );
    // Since then the user has edited, created and removed.
    fixture.write("u", "user\n");
    fixture.write("d/user", "user\n");
    let before = fixture.tree();
    let ran = propose(&fixture, &[]);
    assert_eq!(fixture.tree(), before);
    let expected = [
        "create empty",
        "create new/n",
        "delete b",
        "mode d/e",
        "modify .gitignore",
        "modify a",
        "modify link",
        "rename s/f",
    ];
    assert_eq!(pending(&fixture.status()), expected);
    assert_eq!(stale(&fixture), [""; 0]);
    for part in ["not proposed: `fifo`: a socket", "not proposed: `out`: "] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("a"), b"one\ntwo\n");
    assert_eq!(fixture.read("moved"), b"f\n");
    assert_eq!((fixture.read("u"), fixture.read("d/user")), (b"user\n".into(), b"user\n".into()));
    assert_eq!(fixture.mode("d/e"), 0o755);
    assert!(!fixture.path("b").exists() && !fixture.path("fifo").exists());
    // Everything is there: nothing is left to propose, but for what cannot be.
    propose(&fixture, &[]);
    assert_eq!(pending(&fixture.status()), [""; 0]);
}

#[test]
fn what_both_have_changed_is_stale_and_what_only_the_user_has_changed_is_left_alone() {
    let fixture = fixture();
    let copy = worktree(&fixture);
    fs::write(copy.join("a"), "agent\n").expect("it is ours");
    fs::remove_file(copy.join("b")).expect("it is there");
    fixture.write("a", "user\n");
    fixture.write("b", "user\n");
    fixture.write("d/e", "user\n");
    fs::remove_file(fixture.path("s/f")).expect("it is there");
    let ran = propose(&fixture, &[]);
    assert_eq!(pending(&fixture.status()), [""; 0]);
    assert_eq!(stale(&fixture), ["a", "b"]);
    assert!(ran.stderr.contains("stale: the workspace may have changed `a`"), "{}", ran.stderr);
    assert_eq!(fixture.read("a"), b"user\n");
    assert!(!fixture.path("s/f").exists());
}

#[test]
fn of_many_stale_files_a_few_are_named() {
    let fixture = fixture();
    let copy = worktree(&fixture);
    for number in 10..23 {
        fs::write(copy.join(format!("new{number}")), "agent\n").expect("it is ours");
        fixture.write(format!("new{number}"), "user\n");
    }
    let ran = propose(&fixture, &[]);
    let remarks: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("stale: ")).collect();
    assert_eq!(remarks.len(), 11, "{}", ran.stderr);
    assert!(remarks[9].contains("`new19`"), "{}", ran.stderr);
    assert_eq!(remarks[10], "stale: 3 more: `greenroom status` shows the patches");
    assert_eq!(stale(&fixture).len(), 13);
}

#[test]
fn the_next_import_follows_the_copy() {
    let fixture = fixture();
    let copy = worktree(&fixture);
    let write =
        |name: &str, content: &str| fs::write(copy.join(name), content).expect("it is ours");
    write("a", "two\n");
    write("n", "new\n");
    propose(&fixture, &[]);
    assert_eq!(pending(&fixture.status()), ["create n", "modify a"]);
    // What the copy takes back is withdrawn.
    fs::remove_file(copy.join("n")).expect("it is there");
    write("a", "three\n");
    propose(&fixture, &[]);
    assert_eq!(pending(&fixture.status()), ["modify a"]);
    fixture.run(["apply", "--yes"]).expect(0);
    propose(&fixture, &[]);
    // It goes on from what was applied.
    write("a", "four\n");
    propose(&fixture, &[]);
    assert_eq!(
        (pending(&fixture.status()), stale(&fixture)),
        (vec!["modify a".to_owned()], vec![])
    );
    // What was rejected comes back only when the copy changes it again.
    fixture.run(["discard", "copy", "--yes"]).expect(0);
    propose(&fixture, &[]);
    assert_eq!(fixture.pending(), 0);
    write("a", "five\n");
    propose(&fixture, &[]);
    assert_eq!(pending(&fixture.status()), ["modify a"]);
    // What was applied and is taken back is a change.
    fixture.run(["apply", "--yes"]).expect(0);
    write("a", "one\n");
    propose(&fixture, &[]);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("a"), b"one\n");
}

#[test]
fn the_time_of_a_copy_proves_what_has_not_changed_since() {
    let fixture = fixture();
    fixture.write("uncommitted", "one\n");
    let (copy, time) = copied(&fixture);
    let write =
        |name: &str, content: &str| fs::write(copy.join(name), content).expect("it is ours");
    write("uncommitted", "two\n");
    write("d/e", "two\n");
    write("s/f", "two\n");
    write("s/new", "new\n");
    // An edit in place, and one by a rename, which leaves every file in `s` in doubt.
    fixture.write("d/e", "user\n");
    sh(&fixture, "echo user > s/t; mv s/t s/other; rm b");
    propose(&fixture, &["--copied-at", &time]);
    assert_eq!(pending(&fixture.status()), ["modify uncommitted"]);
    assert_eq!(stale(&fixture), ["b", "d/e", "s/f", "s/new", "s/other"]);
    // A commit proves more.
    fixture.run(["discard", "copy", "--yes"]).expect(0);
    propose(&fixture, &["--copied-at", &time, "--base-commit", "HEAD"]);
    let expected = ["create s/new", "modify s/f"];
    assert_eq!(pending(&fixture.status()), expected);
    fixture.run(["apply", "--yes", "--rest"]).expect(0);
    assert_eq!(fixture.read("d/e"), b"user\n");
    assert_eq!(fixture.read("s/other"), b"user\n");
    assert!(!fixture.path("b").exists());
}

#[rstest]
#[case::a_directory_exchanged_for_another("mv s t; mkdir s; echo other > s/f; mv t u", &["s/f"])]
#[case::one_that_was_there_all_the_time("mkdir k; mv s k/s; mv o s", &["s/f"])]
fn a_time_proves_nothing_below_a_directory_that_took_the_place_of_another(
    #[case] script: &str,
    #[case] expected: &[&str],
) {
    let fixture = fixture();
    fixture.write("o/f", "other\n");
    let (copy, time) = copied(&fixture);
    fs::write(copy.join("s/f"), "two\n").expect("it is ours");
    sh(&fixture, script);
    propose(&fixture, &["--copied-at", &time]);
    let stale = stale(&fixture);
    assert!(expected.iter().all(|path| stale.iter().any(|stale| stale == path)), "{stale:?}");
    let pending = pending(&fixture.status());
    assert!(pending.iter().all(|patch| !patch.ends_with("s/f")), "{pending:?}");
}

#[test]
fn without_a_proof_every_difference_is_stale_and_a_refresh_takes_it() {
    let fixture = fixture();
    let (copy, _) = copied(&fixture);
    fs::write(copy.join("a"), "two\n").expect("it is ours");
    fs::write(copy.join("n"), "new\n").expect("it is ours");
    fs::remove_file(copy.join("b")).expect("it is there");
    let ran = propose(&fixture, &[]);
    assert!(ran.stderr.contains("nothing proves what the copy was made from"), "{}", ran.stderr);
    assert_eq!((fixture.pending(), stale(&fixture)), (0, vec!["a".into(), "b".into(), "n".into()]));
    fixture.run(["refresh"]).expect(0);
    assert_eq!(pending(&fixture.status()), ["create n", "delete b", "modify a"]);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("a"), b"two\n");
}

#[test]
fn a_part_of_the_files_deletes_nothing() {
    let fixture = fixture();
    let copy = fixture.beside("copy");
    fs::create_dir(&copy).expect("it is new");
    fs::write(copy.join("a"), "two\n").expect("it is ours");
    propose(&fixture, &["--no-delete", "--base-commit", "HEAD"]);
    assert_eq!(
        (pending(&fixture.status()), stale(&fixture)),
        (vec!["modify a".to_owned()], vec![])
    );
    fs::remove_file(copy.join("a")).expect("it is there");
    let arguments = ["propose", "--from-tree", copy.to_str().expect("plain")];
    let refused = fixture.run(arguments).expect(4);
    assert!(refused.stderr.contains("holds no file"), "{}", refused.stderr);
}

#[test]
fn a_copy_without_a_change_leaves_no_session() {
    let fixture = fixture();
    worktree(&fixture);
    propose(&fixture, &[]);
    assert_eq!(fixture.status()["sessions"], serde_json::json!([]));
}

#[rstest]
#[case::the_workspace(".", 4)]
#[case::inside("d", 4)]
#[case::above("..", 4)]
#[case::the_state("../state", 4)]
#[case::by_a_link("../to-workspace", 4)]
#[case::a_file("../file", 1)]
#[case::nothing("../nothing", 1)]
fn a_directory_that_is_no_copy_is_refused(#[case] named: &str, #[case] code: i32) {
    let fixture = fixture();
    symlink(fixture.workspace(), fixture.beside("to-workspace")).expect("it is new");
    fs::write(fixture.beside("file"), "").expect("it is ours");
    for option in ["--from-tree", "--from-upper"] {
        fixture.run(["propose", option, named]).expect(code);
    }
    assert_eq!(fixture.status()["sessions"], serde_json::json!([]));
}

#[test]
fn a_link_in_a_copy_leads_nowhere() {
    let fixture = fixture();
    let copy = worktree(&fixture);
    fs::create_dir(fixture.beside("secret")).expect("it is new");
    fs::write(fixture.beside("secret/e"), "secret\n").expect("it is ours");
    fs::remove_dir_all(copy.join("d")).expect("it is there");
    symlink("../secret", copy.join("d")).expect("it is new");
    fs::remove_file(copy.join("a")).expect("it is there");
    symlink("../secret/e", copy.join("a")).expect("it is new");
    let ran = propose(&fixture, &[]);
    assert!(ran.stderr.contains("not proposed: `a`"), "{}", ran.stderr);
    let diff = fixture.run(["diff"]).expect(0);
    assert!(!String::from_utf8_lossy(&diff.stdout).contains("secret\n"), "{diff:?}");
}

/// Mounts an overlay over the workspace in namespaces of its own and runs a script there; false,
/// visibly, where this machine refuses that.
fn in_overlay(fixture: &Fixture, root: bool, script: &str) -> bool {
    let (workspace, upper) = (fixture.workspace(), fixture.beside("upper"));
    for name in ["upper", "work"] {
        fs::create_dir_all(fixture.beside(name)).expect("it is ours");
    }
    let (workspace, upper) = (workspace.display(), upper.display());
    let work = fixture.beside("work");
    let attributes = if root { "" } else { ",userxattr" };
    let options =
        format!("lowerdir={workspace},upperdir={upper},workdir={}{attributes}", work.display());
    let script = format!(
        "mount -t overlay overlay -o {options} {workspace} || exit 9; cd {workspace}; set -e; {script}"
    );
    let namespaces: &[&str] = if root { &["-m"] } else { &["-U", "-r", "-m"] };
    let ran = output(Command::new("unshare").args(namespaces).args(["sh", "-c", &script]));
    if ran.status.code() != Some(0) {
        let reason = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(matches!(ran.status.code(), Some(1 | 9)), "{reason}");
        println!("skipped: this machine refuses an overlay: {reason}");
        return false;
    }
    true
}

#[rstest]
#[case::of_a_user(false)]
#[case::of_root(true)]
fn the_upper_directory_of_an_overlay_is_patches(#[case] root: bool) {
    let fixture = fixture();
    fixture.write("target/o", "one\n");
    thread::sleep(Duration::from_millis(50));
    let time = sh(&fixture, "date --iso-8601=ns | tr , .");
    let script = "echo two >> a; rm b; rm -r d; mkdir d; echo new > d/n; chmod 600 s/f
        ln -s a l; mkdir empty; echo two > target/o; touch .gitignore";
    if !in_overlay(&fixture, root, script) {
        return;
    }
    let upper = fixture.beside("upper");
    let time = String::from_utf8_lossy(&time).trim_end().to_owned();
    let arguments = ["propose", "--from-upper", upper.to_str().expect("plain")];
    fixture.run([&arguments[..], &["--copied-at", &time]].concat()).expect(0);
    let expected = [
        "create d/n",
        "create empty",
        "create l",
        "delete b",
        "delete d/e",
        "mode s/f",
        "modify a",
    ];
    assert_eq!(
        (pending(&fixture.status()), stale(&fixture)),
        (expected.map(String::from).into(), vec![])
    );
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("a"), b"one\ntwo\n");
    assert_eq!(fixture.mode("s/f"), 0o600);
}

#[test]
fn the_marks_of_fuse_overlayfs_are_deletions() {
    let fixture = fixture();
    fixture.write("d/f", "one\n");
    commit(&fixture.workspace());
    let upper = fixture.beside("upper");
    for (name, content) in
        [("d/.wh..wh..opq", ""), ("d/n", "new\n"), (".wh.b", ""), (".wh.file", "x")]
    {
        let path = upper.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is ours");
        fs::write(path, content).expect("it is ours");
    }
    fs::set_permissions(upper.join("d"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let arguments = ["propose", "--from-upper", upper.to_str().expect("plain")];
    fixture.run([&arguments[..], &["--base-commit", "HEAD"]].concat()).expect(0);
    let expected = ["create .wh.file", "create d/n", "delete b", "delete d/e", "delete d/f"];
    assert_eq!(pending(&fixture.status()), expected);
}

#[test]
fn an_overlay_with_renamed_directories_is_refused() {
    let fixture = fixture();
    let upper = fixture.beside("upper");
    fs::create_dir_all(upper.join("moved")).expect("it is ours");
    let set = rustix::fs::setxattr(
        upper.join("moved"),
        "user.overlay.redirect",
        b"/d",
        rustix::fs::XattrFlags::empty(),
    );
    if let Err(error) = set {
        println!("skipped: this file system has no such attributes: {error}");
        return;
    }
    let ran = fixture.run(["propose", "--from-upper", upper.to_str().expect("plain")]).expect(1);
    assert!(ran.stderr.contains("`moved` was renamed"), "{}", ran.stderr);
    assert_eq!(fixture.pending(), 0);
}
