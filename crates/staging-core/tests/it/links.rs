//! Symbolic links and directories as changes: proposed, shown, applied, undone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use rstest::rstest;
use staging_core::{
    ApplyRequest, DiffOptions, EntryKind, ErrorKind, FileKind, Operation, PatchRequest, Proposal,
    SessionId, SetRisk, StagingError,
};

use crate::world::{World, delete, edit, path, rename, write};

fn link(name: &str, target: &str) -> Proposal {
    Proposal::Symlink { path: path(name), target: target.as_bytes().to_vec() }
}

fn directory(name: &str) -> Proposal {
    Proposal::CreateDirectory { path: path(name) }
}

/// The entries of a tree, by path: a file's content and mode, a link's target, or a directory.
type Shape = BTreeMap<String, String>;

fn shape(root: &Path) -> Shape {
    let (mut shape, mut left) = (Shape::new(), vec![root.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let full = entry.expect("an entry").path();
            let name = full.strip_prefix(root).expect("below").to_str().expect("UTF-8").to_owned();
            let metadata = full.symlink_metadata().expect("it is there");
            let mode = metadata.permissions().mode() & 0o7777;
            let what = if metadata.is_symlink() {
                format!("-> {}", fs::read_link(&full).expect("a link").display())
            } else if metadata.is_dir() {
                left.push(full);
                format!("directory {mode:o}")
            } else {
                format!("{mode:o} {}", fs::read_to_string(&full).expect("a file"))
            };
            shape.insert(name, what);
        }
    }
    shape
}

/// A tree without its directories, which git does not store.
fn without_directories(shape: &Shape) -> Shape {
    let files = shape.iter().filter(|(_, what)| !what.starts_with("directory "));
    files.map(|(name, what)| (name.clone(), what.clone())).collect()
}

/// The tree as the session sees it.
fn seen(world: &World, session: SessionId) -> Shape {
    let view = world.layer.session_view(session).expect("the session is open");
    let (mut shape, mut left) = (Shape::new(), vec![None]);
    while let Some(dir) = left.pop() {
        for listed in view.list(dir.as_ref()).expect("listed").unwrap_or_default() {
            let here = match &dir {
                Some(dir) => dir.join(&listed.name).expect("a path"),
                None => staging_core::RelPath::parse(&listed.name).expect("a path"),
            };
            let status = view.status(&here).expect("looked at").expect("it was listed");
            assert_eq!(status.kind, listed.kind, "{here}");
            let what = match status.kind {
                FileKind::Directory => {
                    left.push(Some(here.clone()));
                    format!("directory {:o}", status.mode)
                }
                FileKind::Symlink => {
                    let target = view.read_link(&here).expect("read").expect("a link");
                    format!("-> {}", String::from_utf8_lossy(&target))
                }
                _ => {
                    let content = world.layer.read_through(session, &here).expect("read");
                    let content = String::from_utf8(content.expect("a file")).expect("UTF-8");
                    format!("{:o} {content}", status.mode)
                }
            };
            shape.insert(here.to_string(), what);
        }
    }
    shape
}

fn apply(world: &World) {
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    world.layer.tidy().expect("tidied");
}

fn undo(world: &World) {
    world.layer.undo(None).expect("undone");
    world.layer.tidy().expect("tidied");
}

fn diff(world: &World) -> Vec<u8> {
    let mut text = Vec::new();
    let pending = world.pending();
    world.layer.write_diff(&pending, &DiffOptions::default(), &mut text).expect("a diff");
    text
}

/// A copy of the workspace, with links and empty directories.
fn copied(world: &World) -> std::path::PathBuf {
    let copy = world.dir.path().join("by-git");
    if copy.exists() {
        fs::remove_dir_all(&copy).expect("the last one");
    }
    let status = Command::new("cp").arg("-a").arg(world.root()).arg(&copy).status();
    assert!(status.expect("cp runs").success());
    copy
}

fn git_apply(tree: &Path, patch: &[u8]) {
    let mut git = Command::new("git")
        .args(["apply", "--allow-empty", "--whitespace=nowarn", "-"])
        .current_dir(tree)
        .env("GIT_CEILING_DIRECTORIES", tree.parent().expect("it has one"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("git is there");
    std::io::Write::write_all(&mut git.stdin.take().expect("piped"), patch).expect("git reads");
    let output = git.wait_with_output().expect("git ends");
    let (patch, error) = (String::from_utf8_lossy(patch), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{error}\n{patch}");
}

/// Checks the promises about pending patches: the session sees the tree that an apply makes, the
/// diff makes the same tree with `git apply` and when it is proposed, and an undo restores the tree.
fn check(world: &World, session: SessionId) {
    let old = shape(&world.root());
    let seen = seen(world, session);
    if world.pending().is_empty() {
        assert_eq!(seen, old, "nothing is to change");
        return;
    }
    let text = diff(world);
    let by_git = copied(world);
    git_apply(&by_git, &text);
    let by_git = shape(&by_git);
    apply(world);
    let new = shape(&world.root());
    let shown = String::from_utf8_lossy(&text);
    assert_eq!(seen, new, "the session saw what is on the disk now\n{shown}");
    assert_eq!(
        without_directories(&by_git),
        without_directories(&new),
        "git apply makes the same\n{shown}"
    );
    undo(world);
    assert_eq!(shape(&world.root()), old, "undone\n{shown}");
    apply(world);
    assert_eq!(shape(&world.root()), new, "applied again\n{shown}");
    undo(world);
    world.layer.discard(&[], None).expect("discarded");
    if !text.is_empty() {
        let other = world.session("other");
        let request = PatchRequest { text: text.clone(), ..PatchRequest::default() };
        world.layer.propose_patch(other, &request).expect("its own diff is read");
        let again = diff(world);
        assert_eq!(String::from_utf8_lossy(&again), shown, "proposed by its own diff");
        apply(world);
        assert_eq!(shape(&world.root()), new, "applied from its own diff\n{shown}");
        undo(world);
    }
    assert_eq!(shape(&world.root()), old, "undone in the end");
    world.layer.discard(&[], None).expect("discarded");
}

/// A workspace with files, directories and links of every kind.
fn world() -> World {
    let world = World::new();
    world.put("f", "file\n");
    world.put("d/a", "in d\n");
    world.put("d/sub/b", "deep\n");
    fs::create_dir(world.root().join("empty")).expect("a directory");
    world.chmod("empty", 0o750);
    for (target, name) in [("f", "l"), ("d", "ld"), ("../f", "d/up"), ("absent", "broken")] {
        symlink(target, world.root().join(name)).expect("a link");
    }
    world
}

#[rstest]
#[case::a_link(vec![link("new", "f")])]
#[case::a_link_to_a_directory(vec![link("new", "d"), write("new/x", "through it\n")])]
#[case::a_link_up(vec![link("d/sub/new", "../../f"), edit("d/sub/new", "file", "other")])]
#[case::a_link_to_what_is_absent(vec![link("new", "nowhere/at/all")])]
#[case::a_link_to_what_comes(vec![write("n/x", "x\n"), link("m", "n"), write("m/y", "y\n")])]
#[case::a_link_behind_a_link(vec![link("m", "ld"), write("m/x", "x\n"), edit("m/a", "in", "on")])]
#[case::another_target(vec![link("l", "d/a"), edit("l", "in", "on")])]
#[case::a_link_for_a_file(vec![link("f", "d/a")])]
#[case::a_file_for_a_link(vec![delete("l"), write("l", "no link\n")])]
#[case::a_file_for_a_link_to_a_directory(vec![delete("ld"), write("ld", "no link\n")])]
#[case::a_directory_for_a_link(vec![delete("ld"), write("ld/x", "no link\n")])]
#[case::an_empty_directory_for_a_link(vec![delete("ld"), directory("ld")])]
#[case::a_link_goes(vec![delete("l"), delete("broken")])]
#[case::a_link_moves(vec![rename("l", "moved"), rename("d/up", "d/sub/up")])]
#[case::a_link_moves_and_leads_elsewhere(vec![rename("l", "moved"), link("moved", "d/a")])]
#[case::a_file_moves_away_for_a_link(vec![rename("f", "g"), link("f", "g")])]
#[case::a_moved_file_makes_way_for_a_link(vec![rename("f", "g"), link("g", "d")])]
#[case::a_directory(vec![directory("n")])]
#[case::directories(vec![directory("n/m/o"), directory("n/p"), write("n/p/x", "x\n")])]
#[case::a_directory_and_what_is_in_it(vec![directory("n"), write("n/x", "x\n"), link("n/l", "x")])]
#[case::a_directory_goes(vec![delete("empty")])]
#[case::a_directory_goes_and_stays(vec![delete("empty"), write("empty/x", "x\n")])]
#[case::a_link_for_a_directory_whose_file_moves(
    vec![rename("d/sub/b", "n"), rename("broken", "d/sub")]
)]
#[case::a_directory_is_emptied_and_made_and_filled(
    vec![delete("d/sub/b"), directory("d/sub"), write("d/sub/b", "again\n")]
)]
#[case::a_directory_goes_and_comes(vec![delete("empty"), directory("empty")])]
#[case::a_directory_goes_with_its_files(
    vec![delete("d/sub/b"), delete("d/sub"), delete("d/a"), delete("d/up"), delete("d")]
)]
#[case::a_file_for_a_directory(vec![delete("empty"), write("empty", "a file\n")])]
#[case::a_link_for_a_directory(vec![delete("empty"), link("empty", "d")])]
#[case::a_link_for_a_directory_with_files(
    vec![delete("d/sub/b"), delete("d/a"), delete("d/up"), link("d", "empty")]
)]
#[case::a_directory_for_a_file(vec![delete("f"), directory("f")])]
#[case::a_directory_for_a_file_with_files(vec![delete("f"), directory("f"), write("f/x", "x\n")])]
#[case::a_directory_moves_out_from_under_a_link(
    vec![rename("d/a", "e/a"), rename("d/sub/b", "e/sub/b"), delete("d/up"), delete("ld"), link("ld", "e")]
)]
fn each_proposal_is_seen_shown_applied_and_undone(#[case] proposals: Vec<Proposal>) {
    let world = world();
    let session = world.session("agent");
    for proposal in proposals.clone() {
        world.layer.propose(session, proposal).expect("staged");
    }
    check(&world, session);
    let session = world.session("together");
    world.layer.propose_all(session, proposals).expect("staged at once");
    check(&world, session);
}

fn proposals() -> impl Strategy<Value = Vec<Proposal>> {
    const NAMES: [&str; 14] = [
        "f", "l", "ld", "broken", "empty", "d/a", "d/sub/b", "d/up", "d/sub", "d", "n", "n/x",
        "ld/y", "empty/z",
    ];
    const TARGETS: [&str; 7] = ["f", "d", "d/sub", "n", "n/x", "./empty", "nowhere"];
    let name = || prop::sample::select(&NAMES[..]);
    let one = prop_oneof![
        3 => (name(), 0..3_u8).prop_map(|(name, n)| write(name, &format!("{n}\n"))),
        3 => name().prop_map(delete),
        2 => (name(), name()).prop_map(|(from, to)| rename(from, to)),
        3 => (name(), prop::sample::select(&TARGETS[..])).prop_map(|(name, to)| link(name, to)),
        2 => name().prop_map(directory),
    ];
    prop::collection::vec(one, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn random_proposals_are_seen_shown_applied_and_undone(proposals in proposals()) {
        let world = world();
        let session = world.session("agent");
        for proposal in proposals {
            // Many proposals do not fit the tree: they are refused, and change nothing.
            let before = world.pending();
            if world.layer.propose(session, proposal.clone()).is_err() {
                prop_assert_eq!(world.pending(), before, "{:?}", proposal);
            }
        }
        if !world.pending().is_empty() {
            check(&world, session);
        }
    }
}

#[rstest]
#[case("..")]
#[case("../outside")]
#[case("/etc/passwd")]
#[case("d/../../outside")]
#[case("ld/../../x")]
#[case(".git/hooks")]
#[case("absent/../x")]
fn a_link_out_of_the_workspace_or_to_a_protected_path_is_refused(#[case] target: &str) {
    let world = world();
    let session = world.session("agent");
    let refused = world.layer.propose(session, link("new", target)).expect_err("refused");
    assert!(matches!(refused, StagingError::Fs(_)), "{refused}");
    assert!(world.pending().is_empty());
}

#[test]
fn links_that_lead_out_only_in_combination_are_refused() {
    let world = world();
    let session = world.session("agent");
    world.layer.propose(session, link("d/sub/root", "../..")).expect("the root itself");
    let out = link("out", "d/sub/root/../x");
    world.layer.propose(session, out).expect_err("behind the first link it leads out");
    // In the other order the second link alone is right, because it is checked on its own.
    let other = world.session("other");
    world.layer.propose(other, link("in", "d/sub/b2/../x")).expect_err("nobody knows what b2 is");
}

#[test]
fn nothing_is_created_below_a_file_that_has_moved_to_the_place_of_a_directory() {
    let world = world();
    let session = world.session("agent");
    world.layer.propose(session, rename("d/sub/b", "n")).expect("staged");
    world.layer.propose(session, rename("f", "d/sub")).expect("staged");
    for below in [directory("d/sub/b"), write("d/sub/b", "x"), link("d/sub/b", "n")] {
        let error = world.layer.propose(session, below).expect_err("a file is above it");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    check(&world, session);
}

#[test]
fn a_link_that_would_lead_out_after_a_move_is_refused() {
    let world = world();
    let session = world.session("agent");
    world.layer.propose(session, rename("d/up", "up")).expect_err("`../f` leads out of the root");
    world.layer.propose(session, rename("d/up", "d/sub/up")).expect("it leads to d/f there");
}

#[test]
fn a_patch_of_a_link_has_a_risk_that_names_its_target() {
    let world = world();
    let session = world.session("agent");
    world.layer.propose(session, link("f", "d/a")).expect("staged");
    world.layer.propose(session, link("l", "d/a/long/target")).expect("staged");
    world.layer.propose(session, directory("n")).expect("staged");
    let text = String::from_utf8(diff(&world)).expect("UTF-8");
    for part in [
        "deleted file mode 100644\n--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-file\n",
        "new file mode 120000\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+d/a\n\\ No newline",
        " 120000\n--- a/l\n+++ b/l\n",
        "create mode 040755 n/\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let pending = world.pending();
    let lines: Vec<String> = SetRisk::of(&pending).iter().map(SetRisk::line).collect();
    let expected = [
        "risk: removed and created again (1): `f` (file replaced by symbolic link to `d/a`)",
        "risk: symbolic link (2): `f` (to `d/a`), `l` (to `d/a/long/target`)",
    ];
    assert_eq!(lines, expected);
    let kinds: Vec<EntryKind> = pending.iter().map(|patch| patch.kind()).collect();
    assert_eq!(kinds, [EntryKind::Symlink, EntryKind::Symlink, EntryKind::Directory]);
    assert_eq!(pending[2].operation, Operation::Create);
}

#[test]
fn a_directory_that_is_not_empty_is_not_deleted() {
    let world = world();
    let session = world.session("agent");
    let refused = world.layer.propose(session, delete("d")).expect_err("it holds files");
    assert!(matches!(refused, StagingError::DirectoryNotEmpty { .. }), "{refused}");
    world.write(session, "empty/x", "x\n");
    let refused = world.layer.propose(session, delete("empty")).expect_err("x comes into it");
    assert!(matches!(refused, StagingError::DirectoryNotEmpty { .. }), "{refused}");
}

#[test]
fn a_users_file_in_a_directory_to_remove_stays() {
    let world = world();
    let session = world.session("agent");
    world.layer.propose(session, delete("empty")).expect("staged");
    world.put("empty/mine", "a user's\n");
    world.layer.apply(&ApplyRequest::default()).expect_err("it is not empty any more");
    assert_eq!(world.disk("empty/mine").as_deref(), Some("a user's\n"));
}

#[test]
fn a_directory_that_a_user_created_meanwhile_stays_after_an_undo() {
    let world = world();
    let session = world.session("agent");
    world.layer.propose(session, directory("n")).expect("staged");
    fs::create_dir(world.root().join("n")).expect("the user is faster");
    apply(&world);
    undo(&world);
    assert!(world.root().join("n").is_dir(), "it is not ours");
}

#[test]
fn a_users_file_in_a_new_directory_survives_an_undo() {
    let world = world();
    let session = world.session("agent");
    world.layer.propose(session, directory("n")).expect("staged");
    apply(&world);
    world.put("n/mine", "a user's\n");
    undo(&world);
    assert_eq!(world.disk("n/mine").as_deref(), Some("a user's\n"));
}

#[test]
fn a_link_that_a_user_changed_makes_the_patch_stale_and_its_refresh_a_conflict() {
    let world = world();
    let session = world.session("agent");
    let patch = world.layer.propose(session, link("l", "d/a")).expect("staged").patch;
    let patch = patch.expect("it changes something").id;
    fs::remove_file(world.root().join("l")).expect("the user's");
    symlink("d/sub/b", world.root().join("l")).expect("the user's");
    let refused = world.layer.apply(&ApplyRequest::default()).expect_err("the user's stays");
    assert!(matches!(refused, StagingError::Stale { .. }), "{refused}");
    let refused = world.layer.refresh(patch).expect_err("both changed it");
    assert!(matches!(refused, StagingError::MergeConflict { .. }), "{refused}");
    assert_eq!(fs::read_link(world.root().join("l")).expect("a link"), Path::new("d/sub/b"));
}

#[test]
fn a_link_that_was_only_touched_is_not_stale() {
    let world = world();
    let session = world.session("agent");
    world.layer.propose(session, link("l", "d/a")).expect("staged");
    fs::remove_file(world.root().join("l")).expect("the user's");
    symlink("f", world.root().join("l")).expect("the same target");
    apply(&world);
    assert_eq!(fs::read_link(world.root().join("l")).expect("a link"), Path::new("d/a"));
}

#[test]
fn part_of_a_set_that_needs_another_part_is_incomplete() {
    let world = world();
    let session = world.session("agent");
    world.layer.propose(session, delete("f")).expect("staged");
    world.layer.propose(session, directory("f")).expect("staged");
    let file = world.write(session, "f/x", "x\n").patch.expect("a patch").id;
    let only = |id| ApplyRequest {
        ids: vec![staging_core::Selector::Patch(id)],
        ..ApplyRequest::default()
    };
    let refused = world.layer.apply(&only(file)).expect_err("f is a file");
    assert!(matches!(refused, StagingError::Incomplete { .. }), "{refused}");
    for name in ["d/sub/b", "d/sub", "d/a"] {
        world.layer.propose(session, delete(name)).expect("staged");
    }
    let dir = world.pending().into_iter().find(|patch| patch.path == path("d/sub"));
    let refused = world.layer.apply(&only(dir.expect("pending").id)).expect_err("b is in it");
    assert!(matches!(refused, StagingError::Incomplete { .. }), "{refused}");
}

#[test]
fn an_edit_of_a_link_changes_its_target_file_and_a_link_has_no_mode() {
    let world = world();
    let session = world.session("agent");
    world.layer.propose(session, edit("l", "file", "edited")).expect("staged");
    let mode = Proposal::SetMode { path: path("l"), mode: 0o755 };
    world.layer.propose(session, mode).expect("staged");
    let pending = world.pending();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].path, path("f"));
    assert_eq!(pending[0].staged.expect("content").mode, 0o755);
}

fn propose_patch(world: &World, text: &str) -> Result<(), StagingError> {
    let session = world.session("agent");
    let request = PatchRequest { text: text.into(), ..PatchRequest::default() };
    world.layer.propose_patch(session, &request).map(drop)
}

#[rstest]
#[case::to_a_directory(
    "--- a/ld\n+++ /dev/null\n@@ -1 +0,0 @@\n-d\n\\ No newline at end of file\n",
    "ld"
)]
#[case::to_nothing(
    "--- a/broken\n+++ /dev/null\n@@ -1 +0,0 @@\n-absent\n\\ No newline at end of file\n",
    "broken"
)]
fn a_deletion_by_a_patch_without_a_mode_deletes_the_link(#[case] text: &str, #[case] name: &str) {
    let world = world();
    propose_patch(&world, text).expect("the link is a name");
    apply(&world);
    assert!(world.root().join(name).symlink_metadata().is_err(), "the link is gone");
    assert!(world.root().join("d").is_dir(), "what it leads to stays");
}

#[test]
fn a_patch_that_moves_a_link_and_changes_its_target_is_checked_with_the_new_target() {
    let world = world();
    let text = "diff --git a/d/up b/up\nsimilarity index 0%\nrename from d/up\nrename to up\nindex 1234567..2345678 120000\n--- a/d/up\n+++ b/up\n@@ -1 +1 @@\n-../f\n\\ No newline at end of file\n+f\n\\ No newline at end of file\n";
    propose_patch(&world, text).expect("`f` does not lead out of the root");
    apply(&world);
    assert_eq!(fs::read_link(world.root().join("up")).expect("a link"), Path::new("f"));
    let text = text.replace("d/up", "up").replace("b/up\n", "b/g\n").replace("to up", "to g");
    let out = text.replace("-../f", "-f").replace("+f\n", "+../f\n");
    propose_patch(&world, &out).expect_err("`../f` leads out");
}

#[test]
fn a_file_that_a_patch_deletes_and_creates_is_a_new_file() {
    let world = world();
    world.chmod("f", 0o755);
    let text = "diff --git a/f b/f\ndeleted file mode 100755\n--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-file\ndiff --git a/f b/f\nnew file mode 100644\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+new\n";
    propose_patch(&world, text).expect("it fits");
    let staged = world.pending()[0].staged.expect("content");
    assert_eq!(staged.mode & 0o111, 0, "not executable any more: {:o}", staged.mode);
}

#[rstest]
#[case("../outside")]
#[case("/etc/passwd")]
#[case("d/sub/../../f")]
fn an_undo_restores_a_link_that_no_patch_may_stage(#[case] target: &str) {
    let world = world();
    symlink(target, world.root().join("theirs")).expect("a user's link");
    let session = world.session("agent");
    let gone = ["theirs", "d/sub/b", "d/a", "d/up"].map(delete);
    world.layer.propose_all(session, gone.into()).expect("staged");
    apply(&world);
    assert!(world.root().join("theirs").symlink_metadata().is_err(), "it is gone");
    undo(&world);
    assert_eq!(fs::read_link(world.root().join("theirs")).expect("a link"), Path::new(target));
    assert_eq!(world.disk("d/sub/b").as_deref(), Some("deep\n"));
}
