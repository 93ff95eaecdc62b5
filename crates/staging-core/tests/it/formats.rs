//! Patches over many files: what they stage, and that nothing is staged when a part does not fit.

use rstest::rstest;
use staging_core::{
    Digest, ErrorKind, Operation, PatchNames, PatchRequest, Proposal, StagingError,
};

use crate::world::{World, path, write};

fn request(text: &str) -> PatchRequest {
    PatchRequest { text: text.into(), ..PatchRequest::default() }
}

const MANY: &str = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n\
    diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n\
    diff --git a/old b/gone\nrename from old\nrename to gone\n\
    diff --git a/dir/new b/dir/new\nnew file mode 100755\n--- /dev/null\n+++ b/dir/new\n@@ -0,0 +1 @@\n+new\n\
    diff --git a/run b/run\nold mode 100644\nnew mode 100755\n";

fn world() -> World {
    let world = World::new();
    for (name, content) in [("a", "one\ntwo\n"), ("gone", "gone\n"), ("old", "old\n"), ("run", "")]
    {
        world.put(name, content);
        world.chmod(name, 0o644);
    }
    world
}

#[test]
fn a_patch_stages_every_operation_and_touches_nothing() {
    let world = world();
    let before = world.tree();
    let s = world.session("agent");
    world.layer.propose_patch(s, &request(MANY)).expect("it fits");
    assert_eq!(world.tree(), before, "names, bytes, modes and times are as they were");
    let read = |name| world.read(s, name);
    assert_eq!(read("a").as_deref(), Some("one\nTWO\n"));
    assert_eq!(read("gone").as_deref(), Some("old\n"));
    assert_eq!(read("old"), None);
    assert_eq!(read("dir/new").as_deref(), Some("new\n"));
    let modes: Vec<_> =
        world.pending().into_iter().map(|p| (p.operation, p.staged.map(|s| s.mode))).collect();
    assert!(modes.contains(&(Operation::Mode, Some(0o755))), "{modes:?}");
}

#[test]
fn a_shown_diff_can_be_proposed_again() {
    let world = world();
    let s = world.session("agent");
    world.layer.propose_patch(s, &request(MANY)).expect("it fits");
    let mut text = Vec::new();
    world.layer.write_diff(&world.pending(), &Default::default(), &mut text).expect("a diff");
    let again = world.session("again");
    let request = PatchRequest { text, ..PatchRequest::default() };
    world.layer.propose_patch(again, &request).expect("our own diff is read");
    for name in ["a", "gone", "old", "dir/new", "run"] {
        assert_eq!(world.read(again, name), world.read(s, name), "{name}");
    }
}

#[rstest]
#[case::misfit("--- a/old\n+++ b/old\n@@ -1 +1 @@\n-other\n+x\n", ErrorKind::NoMatch)]
#[case::no_file("--- a/none\n+++ b/none\n@@ -1 +1 @@\n-other\n+x\n", ErrorKind::NotFound)]
#[case::create_over_a_file("--- /dev/null\n+++ b/old\n@@ -0,0 +1 @@\n+x\n", ErrorKind::Conflict)]
#[case::rename_over_a_file(
    "diff --git a/old b/run\nrename from old\nrename to run\n",
    ErrorKind::Conflict
)]
#[case::renames_in_a_circle(
    "diff --git a/old b/run\nrename from old\nrename to run\ndiff --git a/run b/old\nrename from run\nrename to old\n",
    ErrorKind::Usage
)]
#[case::protected("--- /dev/null\n+++ b/.git/config\n@@ -0,0 +1 @@\n+x\n", ErrorKind::Refused)]
#[case::out_of_the_root("--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-a\n+b\n", ErrorKind::Usage)]
#[case::wrong_mode(
    "diff --git a/old b/old\nold mode 100755\nnew mode 100644\n",
    ErrorKind::NoMatch
)]
#[case::setuid("diff --git a/old b/old\nold mode 100644\nnew mode 104755\n", ErrorKind::Refused)]
fn a_patch_with_a_part_that_does_not_fit_stages_nothing(
    #[case] bad: &str,
    #[case] kind: ErrorKind,
) {
    let world = world();
    let s = world.session("agent");
    let good = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n";
    for text in [format!("{good}{bad}"), format!("{bad}{good}")] {
        let error = world.layer.propose_patch(s, &request(&text)).expect_err("it is refused");
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!((world.pending().len(), world.blobs()), (0, 0), "nothing is staged by halves");
    }
}

#[test]
fn two_parts_that_name_one_file_differently_stage_nothing() {
    let world = world();
    std::os::unix::fs::symlink("a", world.root().join("link")).expect("a link can be made");
    let s = world.session("agent");
    let text = "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n-one\n+ONE\n two\n\
        --- a/link\n+++ b/link\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n";
    let refused =
        world.layer.propose_patch(s, &request(text)).expect_err("one would undo the other");
    assert_eq!(refused.kind(), ErrorKind::Usage, "{refused}");
    assert!(world.pending().is_empty());
}

#[test]
fn a_patch_applies_to_what_the_session_sees() {
    let world = world();
    let s = world.session("agent");
    world.write(s, "a", "one\nmine\n");
    let text = "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n one\n-mine\n+yours\n";
    world.layer.propose_patch(s, &request(text)).expect("it fits the staged content");
    assert_eq!(world.read(s, "a").as_deref(), Some("one\nyours\n"));
}

#[test]
fn a_patch_with_an_expected_base_is_refused_over_another_one() {
    let world = world();
    let s = world.session("agent");
    let expecting = |content: &[u8]| Proposal::Expecting {
        base: Digest::of(content),
        proposal: Box::new(write("a", "new\n")),
    };
    let error = world.layer.propose(s, expecting(b"other")).expect_err("it is another file");
    assert!(matches!(error, StagingError::NotTheBase { .. }), "{error}");
    assert_eq!((error.kind(), world.pending().len()), (ErrorKind::Stale, 0));
    world.layer.propose(s, expecting(b"one\ntwo\n")).expect("it is that file");

    let mut request = request("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-new\n+newer\n");
    request.bases.insert(path("a"), Digest::of(b"one\ntwo\n"));
    let error = world.layer.propose_patch(s, &request).expect_err("the session sees its write");
    assert_eq!(error.kind(), ErrorKind::Stale, "{error}");
    request.bases.insert(path("a"), Digest::of(b"new\n"));
    world.layer.propose_patch(s, &request).expect("it is that file");
}

/// The changes of a patch that is proposed in `packages/a`, or the refusal.
fn brought(names: PatchNames, within: &[&str], text: &str) -> Result<Vec<String>, String> {
    let world = World::new();
    for name in ["packages/a/f", "packages/b/f", "f", "packages/a/d/f"] {
        world.put(name, "one\n");
    }
    let s = world.session("agent");
    let root = world.root().to_str().expect("it is text").to_owned();
    let request = PatchRequest {
        directory: Some(path("packages/a")),
        names,
        within: within.iter().map(|name| path(name)).collect(),
        ..request(&text.replace("{root}", &root))
    };
    let staged = world.layer.propose_patch(s, &request);
    assert_eq!(staged.is_ok(), !world.pending().is_empty(), "it is whole or nothing");
    let staged = staged.map_err(|error| error.to_string())?;
    let patches = staged.proposed.into_iter().filter_map(|one| one.patch);
    Ok(patches.map(|patch| patch.rename_to.unwrap_or(patch.path).to_string()).collect())
}

fn updated(name: &str) -> String {
    format!("*** Begin Patch\n*** Update File: {name}\n-one\n+two\n*** End Patch\n")
}

#[rstest]
#[case::beside(&updated("f"), &["packages/a/f"])]
#[case::from_here(&updated("./d//f"), &["packages/a/d/f"])]
#[case::above(&updated("../b/f"), &["packages/b/f"])]
#[case::at_the_root(&updated("../../f"), &["f"])]
#[case::absolute(&updated("{root}/packages/b/f"), &["packages/b/f"])]
#[case::absolute_and_back(&updated("{root}/packages/x/../../f"), &["f"])]
#[case::in_a_directory(&format!("cd ../b && apply_patch <<E\n{}E\n", updated("f")), &["packages/b/f"])]
#[case::in_an_absolute_directory(&format!("cd {{root}} && apply_patch <<E\n{}E\n", updated("f")), &["f"])]
#[case::new("*** Begin Patch\n*** Add File: ../c/n\n+n\n*** End Patch\n", &["packages/c/n"])]
#[case::moved("*** Begin Patch\n*** Update File: f\n*** Move to: ../../g\n*** End Patch\n", &["g"])]
#[case::unified("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+two\n", &["packages/a/f"])]
fn names_are_resolved_from_the_directory_of_the_patch(
    #[case] text: &str,
    #[case] expected: &[&str],
) {
    let found = brought(PatchNames::FromDirectory, &[], text);
    assert_eq!(found, Ok(expected.iter().map(ToString::to_string).collect()));
}

#[rstest]
#[case::above_the_root(&updated("../../../f"), "leads out of the workspace")]
#[case::far_above(&updated("../../../../../../../etc/passwd"), "leads out of the workspace")]
#[case::absolute_elsewhere(&updated("/etc/passwd"), "leads out of the workspace")]
#[case::absolute_and_out(&updated("{root}/../f"), "leads out of the workspace")]
#[case::the_root_itself(&updated("../.."), "is the workspace itself")]
#[case::from_the_root(&updated("packages/b/f"), "packages/a/packages/b/f")]
#[case::one_file_twice(
    "*** Begin Patch\n*** Update File: f\n-one\n+two\n*** Update File: ../a/f\n-one\n+2\n*** End Patch\n",
    "changes `packages/a/f` twice"
)]
#[case::protected("*** Begin Patch\n*** Add File: ../../.git/hooks/x\n+x\n*** End Patch\n", ".git")]
fn names_outside_of_the_workspace_or_without_a_file_are_refused(
    #[case] text: &str,
    #[case] words: &str,
) {
    let refused = brought(PatchNames::FromDirectory, &[], text).expect_err("it is refused");
    assert!(refused.contains(words), "{refused}");
}

#[test]
fn names_outside_of_the_given_directories_are_refused() {
    let within = |text: &str| brought(PatchNames::FromDirectory, &["packages/a"], text);
    assert!(within(&updated("f")).is_ok());
    for name in ["../b/f", "../../f", "{root}/f", "../ab"] {
        let refused = within(&updated(name)).expect_err("it is outside");
        assert!(refused.contains("leads out of the directories"), "{refused}");
    }
}

#[rstest]
#[case::below_gits_header("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+two\n", "f")]
#[case::without_one("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+two\n", "packages/a/f")]
#[case::with_the_whole_path(
    "--- a/packages/a/d/f\n+++ b/packages/a/d/f\n@@ -1 +1 @@\n-one\n+two\n",
    "packages/a/d/f"
)]
#[case::new("--- /dev/null\n+++ b/packages/a/n\n@@ -0,0 +1 @@\n+n\n", "packages/a/n")]
#[case::begin_patch(&updated("../b/f"), "packages/b/f")]
fn names_can_be_resolved_as_git_apply_does(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(brought(PatchNames::AsGitApply, &[], text), Ok(vec![expected.to_owned()]));
}

#[test]
fn files_that_a_session_stages_decide_how_names_are_resolved() {
    let world = world();
    let s = world.session("agent");
    let new = "--- /dev/null\n+++ pkg/n\n@@ -0,0 +1 @@\n+n\n";
    let refused = world.layer.propose_patch(s, &request(new)).expect_err("`pkg` is not there");
    assert!(refused.to_string().contains("may mean `pkg/n` or `n`"), "{refused}");
    world.write(s, "pkg/first", "first\n");
    world.layer.propose_patch(s, &request(new)).expect("`pkg` comes with what is pending");
    assert_eq!(world.read(s, "pkg/n").as_deref(), Some("n\n"));
    // The session alone sees the file `n`, and the name without a stripped prefix does not exist.
    let text = "--- x/pkg/n\n+++ x/pkg/n\n@@ -1 +1 @@\n-n\n+N\n";
    world.layer.propose_patch(s, &request(text)).expect("one file can be meant");
    assert_eq!(world.read(s, "pkg/n").as_deref(), Some("N\n"));
    let text = "--- pkg/a\n+++ pkg/a\n@@ -1,2 +1,2 @@\n-one\n+ONE\n two\n";
    world.write(s, "pkg/a", "one\ntwo\n");
    let refused = world.layer.propose_patch(s, &request(text)).expect_err("two files fit");
    assert!(refused.to_string().contains("may mean `pkg/a` or `a`"), "{refused}");
}
