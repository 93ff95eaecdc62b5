//! A proposal reads its file once. Whatever a user saves at any moment is a part of what was read,
//! or makes the patch stale, or the proposal is refused: a save is never reverted.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rstest::rstest;
use staging_core::{
    ApplyRequest, Digest, ErrorKind, Operation, PatchRequest, Proposal, ReadStep, SessionId,
    StagingError,
};

use crate::world::{World, delete, edit, path, rename, set_mode, write};

const OLD: &str = "one\ntwo\nthree\n";
const SAVED: &str = "saved by the user\n";

type Done = Result<(), StagingError>;

fn patch(world: &World, session: SessionId, text: &str) -> Done {
    let request = PatchRequest { text: text.into(), ..PatchRequest::default() };
    world.layer.propose_patch(session, &request).map(drop)
}

fn all(world: &World, session: SessionId, proposals: Vec<Proposal>) -> Done {
    world.layer.propose_all(session, proposals).map(drop)
}

fn expecting(proposal: Proposal) -> Proposal {
    Proposal::Expecting { base: Digest::of(OLD.as_bytes()), proposal: Box::new(proposal) }
}

fn save(file: &Path) {
    let mut file = fs::File::options().append(true).create(true).open(file).expect("the user's");
    file.write_all(SAVED.as_bytes()).expect("saved");
}

/// What the user does meanwhile.
#[derive(Clone, Copy, Debug)]
enum Act {
    Saves,
    Narrows,
    Removes,
}

impl Act {
    fn run(self, file: &Path) {
        match self {
            Self::Saves => save(file),
            Self::Narrows => fs::set_permissions(file, fs::Permissions::from_mode(0o600))
                .expect("the user's own"),
            Self::Removes => fs::remove_file(file).expect("the user's own"),
        }
    }

    /// Whether the user's change is still there; `f` and `g` are one file, which may have moved.
    fn stands(self, world: &World) -> bool {
        let there: Vec<_> = ["f", "g"].iter().filter_map(|name| world.disk(name)).collect();
        let is_narrow = |name: &&str| {
            let there = fs::metadata(world.root().join(name));
            there.is_ok_and(|there| there.permissions().mode() & 0o004 == 0)
        };
        match self {
            Self::Saves => there.concat().contains(SAVED),
            Self::Narrows => ["f", "g"].iter().any(is_narrow),
            Self::Removes => there.is_empty(),
        }
    }
}

/// Proposes once for each step of reading, with an action of the user at that step. Up to the step
/// `taken` the user's change is a part of what was read, and the proposal may replace it.
fn check(taken: ReadStep, opens_max: usize, propose: impl Fn(&World, SessionId) -> Done) {
    for act in [Act::Saves, Act::Narrows, Act::Removes] {
        check_act(act, taken, opens_max, &propose);
    }
}

fn check_act(
    act: Act,
    taken: ReadStep,
    opens_max: usize,
    propose: &impl Fn(&World, SessionId) -> Done,
) {
    for at in 0.. {
        let world = World::new();
        world.put("f", OLD);
        world.chmod("f", 0o644);
        let session = world.session("agent");
        let steps = Arc::new(Mutex::new(Vec::new()));
        let (file, seen) = (world.root().join("f"), Arc::clone(&steps));
        world.layer.observe_reads(Box::new(move |step, name| {
            if *name == path("f") {
                let mut seen = seen.lock().expect("no panic");
                seen.push(step);
                if seen.len() == at + 1 {
                    act.run(&file);
                }
            }
        }));
        let proposed = propose(&world, session);
        let steps = steps.lock().expect("no panic").clone();
        let Some(step) = steps.get(at) else {
            proposed.expect("nobody saved anything");
            let opened = steps.iter().filter(|step| **step == ReadStep::Opens).count();
            assert!(opened <= opens_max && at > 0, "one read for each path and call: {steps:?}");
            return;
        };
        let applied = world.layer.apply(&ApplyRequest::default());
        // The mode is not compared before: it may be removed with the file.
        let is_compared = taken != ReadStep::IsTaken && !matches!(act, Act::Narrows);
        let may_go = *step != ReadStep::IsTaken && !is_compared;
        assert!(
            act.stands(&world) || may_go,
            "{act:?} at {step:?}, {at}: undone: {proposed:?}, {applied:?}"
        );
    }
}

#[rstest]
#[case::edit(|w: &World, s| all(w, s, vec![edit("f", "two", "TWO")]))]
#[case::edits(|w: &World, s| all(w, s, vec![edit("f", "two", "TWO"), edit("f", "one", "ONE")]))]
#[case::edit_that_undoes_itself(|w: &World, s| {
    all(w, s, vec![edit("f", "two", "TWO"), edit("f", "TWO", "two"), edit("f", "one", "ONE")])
})]
#[case::base(|w: &World, s| all(w, s, vec![expecting(write("f", "new\n"))]))]
#[case::base_of_an_edit(|w: &World, s| all(w, s, vec![expecting(edit("f", "two", "TWO"))]))]
#[case::base_of_a_delete(|w: &World, s| all(w, s, vec![expecting(delete("f"))]))]
#[case::base_of_a_rename(|w: &World, s| all(w, s, vec![expecting(rename("f", "g"))]))]
#[case::base_twice(|w: &World, s| all(w, s, vec![expecting(expecting(write("f", "new\n")))]))]
#[case::unified(|w: &World, s| {
    patch(w, s, "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n")
})]
#[case::begin_patch(|w: &World, s| {
    patch(w, s, "*** Begin Patch\n*** Update File: f\n@@\n-two\n+TWO\n*** End Patch\n")
})]
#[case::unified_mode(|w: &World, s| {
    patch(w, s, "diff --git a/f b/f\nold mode 100644\nnew mode 100755\n")
})]
#[case::unified_rename(|w: &World, s| {
    patch(w, s, "diff --git a/f b/g\nrename from f\nrename to g\n--- a/f\n+++ b/g\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n")
})]
#[case::unified_delete(|w: &World, s| {
    patch(w, s, "--- a/f\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\n")
})]
fn a_save_while_a_change_is_staged_is_not_reverted(#[case] propose: fn(&World, SessionId) -> Done) {
    check(ReadStep::Opens, 1, propose);
}

#[rstest]
#[case::write(|w: &World, s| all(w, s, vec![write("f", "new\n")]))]
#[case::delete(|w: &World, s| all(w, s, vec![delete("f")]))]
#[case::mode(|w: &World, s| all(w, s, vec![set_mode("f", 0o600)]))]
#[case::rename(|w: &World, s| all(w, s, vec![rename("f", "g")]))]
#[case::rename_and_write(|w: &World, s| all(w, s, vec![rename("f", "g"), write("f", "new\n")]))]
#[case::begin_patch_delete(|w: &World, s| {
    patch(w, s, "*** Begin Patch\n*** Delete File: f\n*** End Patch\n")
})]
fn a_save_after_the_read_makes_a_whole_change_stale(
    #[case] propose: fn(&World, SessionId) -> Done,
) {
    check(ReadStep::IsTaken, 1, propose);
}

#[rstest]
#[case::edit(|w: &World, s| all(w, s, vec![edit("f", "TWO", "2")]))]
#[case::edits(|w: &World, s| all(w, s, vec![edit("f", "TWO", "2"), edit("f", "one", "1")]))]
#[case::write(|w: &World, s| all(w, s, vec![write("f", "new\n")]))]
#[case::patch(|w: &World, s| {
    patch(w, s, "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n one\n-TWO\n+2\n three\n")
})]
fn a_file_with_a_pending_patch_is_read_once(#[case] propose: fn(&World, SessionId) -> Done) {
    // One read stages the first patch, and another finds that it is not stale.
    check(ReadStep::IsTaken, 2, move |world, session| {
        world.layer.propose(session, edit("f", "two", "TWO"))?;
        propose(world, session)
    });
}

/// A file that appears at the path of a create is the user's.
#[rstest]
#[case::edit(|w: &World, s| all(w, s, vec![edit("n", "", "new\n")]))]
#[case::unified(|w: &World, s| patch(w, s, "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+new\n"))]
#[case::begin_patch(|w: &World, s| {
    patch(w, s, "*** Begin Patch\n*** Add File: n\n+new\n*** End Patch\n")
})]
#[case::rename(|w: &World, s| all(w, s, vec![rename("f", "n")]))]
#[case::moved_create(|w: &World, s| all(w, s, vec![write("m", "new\n"), rename("m", "n")]))]
fn a_file_that_a_user_saves_at_the_path_of_a_create_stays(
    #[case] propose: fn(&World, SessionId) -> Done,
) {
    for at in 0..6 {
        let world = World::new();
        world.put("f", OLD);
        let session = world.session("agent");
        let file = world.root().join("n");
        let seen = AtomicUsize::new(0);
        world.layer.observe_reads(Box::new(move |_, _| {
            if seen.fetch_add(1, Ordering::SeqCst) == at {
                save(&file);
            }
        }));
        let proposed = propose(&world, session);
        if world.disk("n").is_none() {
            save(&world.root().join("n"));
        }
        let _ = world.layer.apply(&ApplyRequest::default());
        let there = world.disk("n").unwrap_or_default();
        assert!(there.contains(SAVED), "step {at}: {there:?}, {proposed:?}");
    }
}

#[test]
fn replacing_nothing_creates_a_file_or_fills_an_empty_one() {
    let world = World::new();
    world.put("empty", "");
    world.chmod("empty", 0o755);
    world.put("full", "x");
    let s = world.session("agent");
    world.layer.propose(s, edit("new", "", "1")).expect("it is absent");
    world.layer.propose(s, edit("empty", "", "2")).expect("it is empty");
    let refused = world.layer.propose(s, edit("full", "", "3")).expect_err("it is not empty");
    assert_eq!(refused.kind(), ErrorKind::Usage, "{refused}");
    assert_eq!(
        (world.read(s, "new"), world.read(s, "empty")),
        (Some("1".into()), Some("2".into()))
    );
    let modes: Vec<_> = world.pending().iter().map(|p| p.staged.expect("content").mode).collect();
    assert_eq!(modes, [0o755, 0o644]);
}

const MIB: usize = 1 << 20;

/// Different lines of so many MiB in total.
fn long(mib: usize) -> String {
    (0..mib * MIB / 16).map(|line| format!("line {line:010}\n")).collect()
}

const HUNK: &str = "@@ -5,3 +5,3 @@\n line 0000000004\n-line 0000000005\n+FIVE\n line 0000000006\n";

#[rstest]
#[case::edit(|w: &World, s| all(w, s, vec![edit("f", "line 0000000005\n", "FIVE\n")]))]
#[case::unified(|w: &World, s| patch(w, s, &format!("--- a/f\n+++ b/f\n{HUNK}")))]
#[case::begin_patch(|w: &World, s| {
    patch(w, s, "*** Begin Patch\n*** Update File: f\n@@\n-line 0000000005\n+FIVE\n*** End Patch\n")
})]
#[case::many_edits(|w: &World, s| {
    // More content than is held in memory for one call.
    let edits = (6..22).map(|n| edit("f", &format!("line {n:010}\n"), &format!("{n}\n")));
    all(w, s, edits.chain([edit("f", "line 0000000005\n", "FIVE\n")]).collect())
})]
fn a_file_that_is_too_long_to_be_compared_can_be_edited_and_patched(
    #[case] propose: fn(&World, SessionId) -> Done,
) {
    let world = World::new();
    world.put("f", long(3));
    let s = world.session("agent");
    propose(&world, s).expect("it fits");
    assert!(world.read(s, "f").expect("there").contains("\nFIVE\n"));
    propose(&world, s).expect_err("what it replaces is replaced in what the session sees");
}

#[test]
fn a_patch_over_more_bytes_than_are_held_in_memory_is_compared() {
    let world = World::new();
    let content = long(1);
    let mut text = String::new();
    for number in 0..18 {
        let name = format!("f{number}");
        // Each file has another content.
        world.put(&name, content.replace("line 0000000100\n", &format!("own {number:011}\n")));
        text.push_str(&format!("--- a/{name}\n+++ b/{name}\n{HUNK}"));
    }
    let s = world.session("agent");
    patch(&world, s, &text).expect("each part fits");
    let pending = world.pending();
    assert_eq!(pending.len(), 18);
    assert!(pending.iter().all(|p| (p.diff.added, p.diff.removed) == (1, 1)), "all are compared");
}

#[test]
fn a_base_beyond_the_limit_is_refused_before_it_is_copied() {
    let world = World::with(|options| {
        options.stored_bytes_max = 20 << 20;
        options.session_bytes_max = 10 << 20;
    });
    let sparse = fs::File::create(world.root().join("sparse")).expect("a file");
    sparse.set_len(200 << 30).expect("a length of 200 GiB without a block");
    let s = world.session("agent");
    for proposal in [
        delete("sparse"),
        rename("sparse", "moved"),
        set_mode("sparse", 0o600),
        edit("sparse", "a", "b"),
        write("sparse", "new\n"),
    ] {
        let refused = world.layer.propose(s, proposal).expect_err("there is no room");
        assert_eq!(refused.kind(), ErrorKind::Limit, "{refused}");
    }
    let many: Vec<_> = (0..30).map(|n| delete(&format!("m{n}"))).collect();
    for n in 0..30 {
        world.put(&format!("m{n}"), format!("{n}").repeat(MIB / 2));
    }
    let refused = world.layer.propose_all(s, many).expect_err("together they have no room");
    assert_eq!(refused.kind(), ErrorKind::Limit, "{refused}");
    assert!(world.content_blocks() < 30 << 20, "hardly more than the limit was ever written");
}

#[test]
fn a_base_that_is_stored_before_does_not_count_again() {
    let world = World::with(|options| options.stored_bytes_max = 5 << 20);
    let content = long(3);
    world.put("a", &content);
    world.put("b", &content);
    let s = world.session("agent");
    world.layer.propose(s, delete("a")).expect("there is room for one");
    world.layer.propose(s, delete("b")).expect("and for the same content again");
    world.put("b2", content.replace("line 0000000100\n", "line 0000000101\n"));
    let refused = world.layer.propose(s, delete("b2")).expect_err("of the same length");
    assert_eq!(refused.kind(), ErrorKind::Limit, "{refused}");
}

#[test]
fn holes_of_a_base_take_no_space_in_the_store() {
    let world = World::new();
    let sparse = fs::File::create(world.root().join("sparse")).expect("a file");
    sparse.set_len(64 << 20).expect("a length");
    drop(sparse);
    let s = world.session("agent");
    world.layer.propose(s, delete("sparse")).expect("there is room");
    assert!(world.content_blocks() < 8 << 20, "zeros are not written");
    world
        .layer
        .apply(&ApplyRequest { confirm_full_replace: true, ..Default::default() })
        .expect("ok");
    world.layer.undo(None).expect("undone");
    let back = fs::read(world.root().join("sparse")).expect("it is back");
    assert!(back.len() == 64 << 20 && back.iter().all(|byte| *byte == 0), "byte by byte");
}

#[rstest]
#[case::delete(|w: &World, s| all(w, s, vec![delete("link")]))]
#[case::begin_patch_delete(|w: &World, s| {
    patch(w, s, "*** Begin Patch\n*** Delete File: link\n*** End Patch\n")
})]
fn deleting_a_link_deletes_the_link_itself_whatever_its_target(
    #[case] propose: fn(&World, SessionId) -> Done,
    #[values("f", "dir", "absent", "../outside", "link")] target: &str,
) {
    let world = linked(target);
    let s = world.session("agent");
    propose(&world, s).expect("staged");
    let pending = world.pending();
    let found: Vec<_> = pending.iter().map(|p| (p.path.to_string(), p.operation)).collect();
    assert_eq!(found, [("link".to_owned(), Operation::Delete)]);
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    assert!(world.root().join("link").symlink_metadata().is_err(), "the link is gone");
    assert_eq!(world.disk("f").as_deref(), Some(OLD), "what is behind it stays");
}

#[rstest]
#[case::rename(|w: &World, s| all(w, s, vec![rename("link", "g")]))]
#[case::unified_rename(|w: &World, s| {
    patch(w, s, "diff --git a/link b/g\nrename from link\nrename to g\n")
})]
#[case::begin_patch_move(|w: &World, s| {
    patch(w, s, "*** Begin Patch\n*** Update File: link\n*** Move to: g\n*** End Patch\n")
})]
fn moving_a_link_moves_the_link_itself_and_may_not_make_it_lead_out(
    #[case] propose: fn(&World, SessionId) -> Done,
    #[values("f", "dir", "absent", "../outside", "link")] target: &str,
) {
    let world = linked(target);
    let s = world.session("agent");
    if matches!(target, "../outside" | "link") {
        let refused = propose(&world, s).expect_err("it leads out, or round in a circle");
        assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
        assert!(world.pending().is_empty());
        return;
    }
    propose(&world, s).expect("staged");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    let moved = fs::read_link(world.root().join("g")).expect("a link");
    assert_eq!(moved, std::path::Path::new(target));
    assert_eq!(world.disk("f").as_deref(), Some(OLD), "what is behind it stays");
}

#[rstest]
#[case::rename_onto(|w: &World, s| all(w, s, vec![rename("other", "link")]), ErrorKind::Conflict)]
#[case::base_and_delete(
    |w: &World, s| all(w, s, vec![expecting(delete("link"))]),
    ErrorKind::Stale
)]
#[case::unified_delete(
    |w: &World, s| patch(w, s, "--- a/link\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\n"),
    ErrorKind::NoMatch
)]
#[case::unified_rename_onto(
    |w: &World, s| patch(w, s, "diff --git a/other b/link\nrename from other\nrename to link\n"),
    ErrorKind::Conflict
)]
fn a_change_of_content_is_refused_for_a_link_that_leads_out(
    #[case] propose: fn(&World, SessionId) -> Done,
    #[case] kind: ErrorKind,
    #[values("f", "dir", "absent", "../outside", "link")] target: &str,
) {
    let world = linked(target);
    let s = world.session("agent");
    let refused = propose(&world, s).expect_err("the link is no such file");
    assert_eq!(refused.kind(), kind, "{refused}");
    assert!(world.pending().is_empty(), "neither the link nor what is behind it");
}

fn linked(target: &str) -> World {
    let world = World::new();
    world.put("f", OLD);
    world.put("dir/f", OLD);
    world.put("other", "");
    symlink(target, world.root().join("link")).expect("a link can be made");
    world
}

#[test]
fn links_among_the_parents_and_written_links_are_followed() {
    let world = World::new();
    world.put("dir/f", OLD);
    world.put("dir/g", OLD);
    symlink("dir", world.root().join("way")).expect("a link can be made");
    symlink("dir/g", world.root().join("link")).expect("a link can be made");
    let s = world.session("agent");
    world.layer.propose(s, delete("way/f")).expect("a file behind a linked directory");
    world.layer.propose(s, write("link", "new\n")).expect("a write goes to the file");
    let paths: Vec<_> = world.pending().iter().map(|patch| patch.path.to_string()).collect();
    assert_eq!(paths, ["dir/f", "dir/g"]);
}

#[test]
fn an_edit_of_utf16_is_refused_with_that_reason() {
    let world = World::new();
    let text: Vec<u8> = "\u{feff}one\ntwo\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    world.put("f", text);
    let s = world.session("agent");
    let text = "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n";
    for refused in [all(&world, s, vec![edit("f", "two", "2")]), patch(&world, s, text)] {
        let refused = refused.expect_err("there is no such text");
        assert_eq!(refused.kind(), ErrorKind::NoMatch);
        assert!(refused.to_string().contains("UTF-16"), "{refused}");
    }
}
