//! Proposals: which patches they make, and that they do not change the disk.

use crate::world::{World, delete, edit, path, rename, set_mode, write};
use rstest::rstest;
use staging_core::{DiscardReason, ErrorKind, Operation, PatchState, Proposal, StagingError};

#[test]
fn proposals_do_not_touch_the_workspace() {
    let world = World::new();
    world.put("kept", "kept\n");
    world.put("gone", "gone\n");
    world.put("moved", "moved\n");
    let before = world.tree();
    let s = world.session("agent");
    for proposal in [
        write("kept", "new\n"),
        write("dir/created", "new\n"),
        delete("gone"),
        rename("moved", "elsewhere"),
        set_mode("elsewhere", 0o755),
    ] {
        world.layer.propose(s, proposal).expect("staged");
    }
    assert_eq!(world.tree(), before, "names, bytes, modes and times are as they were");
    assert_eq!(world.pending().len(), 4);
}

#[test]
fn a_write_to_an_absent_file_is_a_create_with_the_mode_of_new_files() {
    let world = World::with(|options| options.new_file_mode = 0o640);
    let s = world.session("agent");
    let patch = world.write(s, "new", "a\n").patch.expect("pending");
    assert_eq!(patch.operation, Operation::Create);
    assert_eq!((patch.base, patch.staged.map(|staged| staged.mode)), (None, Some(0o640)));
}

#[test]
fn a_second_write_is_a_revision_and_keeps_the_id_and_the_first_base() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    let first = world.write(s, "a", "one\n").patch.expect("pending");
    let second = world.write(s, "a", "two\n");
    assert_eq!(second.superseded, None);
    let second = second.patch.expect("pending");
    assert_eq!((second.id, second.revision, &second.base), (first.id, 2, &first.base));
    let [old] = &world.layer.earlier_revisions(first.id).expect("kept in the history")[..] else {
        panic!("one earlier revision")
    };
    assert_eq!((old.state, old.reason), (PatchState::Discarded, Some(DiscardReason::Superseded)));
    assert_eq!((old.revision, old.revision_of), (1, Some(first.id)));
    assert_eq!((old.signature, old.staged), (first.signature, first.staged));
    assert_eq!(world.read(s, "a").as_deref(), Some("two\n"));
}

#[test]
fn the_same_proposal_twice_is_one_patch() {
    let world = World::new();
    let s = world.session("agent");
    let first = world.write(s, "a", "one\n");
    let second = world.write(s, "a", "one\n");
    assert_eq!((first.patch, None), (second.patch, second.superseded));
}

#[test]
fn proposing_the_content_on_disk_withdraws_the_patch() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    let first = world.write(s, "a", "one\n").patch.expect("pending");
    let back = world.write(s, "a", "base\n");
    assert!(back.withdrawn && back.patch.is_none());
    assert_eq!(back.superseded, Some(first.id));
    assert!(world.pending().is_empty());
    let none = world.write(s, "a", "base\n");
    assert!(none.withdrawn && none.superseded.is_none());
    assert_eq!(world.blobs(), 0, "nothing is kept for patches that are none");
}

/// Runs proposals over `old` = "old\n" and compares a description of what is pending.
fn check(proposals: &[Proposal], expected: &[&str]) {
    let world = World::new();
    world.put("old", "old\n");
    world.put("other", "other\n");
    let s = world.session("agent");
    for proposal in proposals {
        world.layer.propose(s, proposal.clone()).expect("each step is allowed");
    }
    let shown = |world: &World| -> Vec<String> {
        world
            .pending()
            .iter()
            .map(|patch| {
                let to = patch.rename_to.as_ref().map(|to| format!(">{to}")).unwrap_or_default();
                let content = match patch.target() {
                    Some(target) => world.read(s, &target.to_string()).unwrap_or_default(),
                    None => String::new(),
                };
                format!("{} {}{to} {}", patch.operation, patch.path, content.trim())
            })
            .collect()
    };
    assert_eq!(shown(&world), expected, "one after the other");
    // One call gives the same.
    let at_once = World::new();
    at_once.put("old", "old\n");
    at_once.put("other", "other\n");
    let s = at_once.session("agent");
    at_once.layer.propose_all(s, proposals.to_vec()).expect("all are allowed");
    assert_eq!(shown(&at_once), expected, "all at once");
    // An apply makes the tree that the session saw.
    let seen: Vec<_> =
        ["old", "other", "new", "third"].map(|name| (name, at_once.read(s, name))).into();
    if !expected.is_empty() {
        at_once.layer.apply(&Default::default()).expect("what is staged can be applied");
    }
    for (name, content) in seen {
        assert_eq!(at_once.disk(name), content, "`{name}` is what the session saw");
    }
}

#[rstest]
#[case::write_over_create(&[write("new", "1"), write("new", "2")], &["create new 2"])]
#[case::write_over_modify(&[write("old", "1"), write("old", "2")], &["modify old 2"])]
#[case::write_over_delete(&[delete("old"), write("old", "2")], &["modify old 2"])]
#[case::same_over_delete(&[delete("old"), write("old", "old\n")], &[])]
#[case::delete_over_create(&[write("new", "1"), delete("new")], &[])]
#[case::delete_over_modify(&[write("old", "1"), delete("old")], &["delete old "])]
#[case::rename(&[rename("old", "new")], &["rename old>new old"])]
#[case::rename_then_write(&[rename("old", "new"), write("new", "2")], &["rename old>new 2"])]
#[case::write_then_rename(&[write("old", "2"), rename("old", "new")], &["rename old>new 2"])]
#[case::delete_of_a_renamed(&[rename("old", "new"), delete("new")], &["delete old "])]
#[case::rename_of_a_create(&[write("new", "1"), rename("new", "third")], &["create third 1"])]
#[case::rename_twice(&[rename("old", "new"), rename("new", "third")], &["rename old>third old"])]
#[case::rename_and_back(&[rename("old", "new"), rename("new", "old")], &[])]
#[case::rename_write_and_back(
    &[rename("old", "new"), write("new", "2"), rename("new", "old")], &["modify old 2"])]
#[case::rename_onto_deleted(
    &[delete("other"), rename("old", "other")], &["rename old>other old", "delete other "])]
#[case::rename_chain(
    &[rename("other", "new"), rename("old", "other")], &["rename old>other old", "rename other>new other"])]
#[case::rename_create_onto_deleted(
    &[write("new", "1"), delete("other"), rename("new", "other")], &["modify other 1"])]
#[case::write_where_it_was(
    &[rename("old", "new"), write("old", "2")], &["create new old", "modify old 2"])]
#[case::swap(
    &[rename("old", "new"), rename("other", "old"), rename("new", "other")],
    &["rename old>other old", "rename other>old other"])]
#[case::mode(&[set_mode("old", 0o755)], &["mode old old"])]
#[case::mode_and_back(&[set_mode("old", 0o755), set_mode("old", 0o644)], &[])]
#[case::mode_then_write(&[set_mode("old", 0o755), write("old", "2")], &["modify old 2"])]
#[case::edit(&[edit("old", "ld", "lder"), edit("old", "lder", "ldest")], &["modify old oldest"])]
#[case::edit_of_a_renamed(&[rename("old", "new"), edit("new", "o", "O")], &["rename old>new Old"])]
fn proposals_are_combined_into_their_net_change(
    #[case] proposals: &[Proposal],
    #[case] expected: &[&str],
) {
    check(proposals, expected);
}

#[rstest]
#[case::delete_nothing(&[], delete("none"), ErrorKind::NotFound)]
#[case::delete_twice(&[delete("old")], delete("old"), ErrorKind::NotFound)]
#[case::rename_nothing(&[], rename("none", "new"), ErrorKind::NotFound)]
#[case::rename_away_twice(&[rename("old", "new")], rename("old", "third"), ErrorKind::NotFound)]
#[case::rename_onto_file(&[], rename("old", "other"), ErrorKind::Conflict)]
#[case::rename_onto_created(&[write("new", "1")], rename("old", "new"), ErrorKind::Conflict)]
#[case::rename_onto_renamed(&[rename("other", "new")], rename("old", "new"), ErrorKind::Conflict)]
#[case::rename_onto_itself(&[], rename("old", "old"), ErrorKind::Usage)]
#[case::edit_nothing(&[], edit("none", "a", "b"), ErrorKind::NotFound)]
#[case::edit_without_match(&[], edit("old", "x", "b"), ErrorKind::NoMatch)]
#[case::edit_of_emptiness(&[], edit("old", "", "b"), ErrorKind::Usage)]
#[case::below_a_file(&[], write("old/below", "1"), ErrorKind::Refused)]
#[case::below_a_created_file(&[write("new", "1")], write("new/below", "1"), ErrorKind::Conflict)]
#[case::over_what_is_below_a_deleted_file(
    &[delete("old"), write("old/below", "1")], write("old", "1"), ErrorKind::Conflict
)]
#[case::over_what_is_below_a_moved_file(
    &[rename("old", "new"), write("old/below", "1")], write("old", "1"), ErrorKind::Conflict
)]
#[case::over_a_file_that_moved_below_its_own_name(
    &[rename("old", "old/below")], write("old", "1"), ErrorKind::Conflict
)]
#[case::below_a_renamed_file(&[rename("old", "new")], write("new/x", "1"), ErrorKind::Conflict)]
#[case::above_a_created_file(&[write("new/below", "1")], write("new", "1"), ErrorKind::Conflict)]
#[case::above_a_renamed_file(&[rename("old", "new/x")], write("new", "1"), ErrorKind::Conflict)]
#[case::onto_a_directory(&[], write("dir", "1"), ErrorKind::Refused)]
#[case::git(&[], write(".git/config", "1"), ErrorKind::Refused)]
#[case::git_in_other_case(&[], write("x/.GIT/config", "1"), ErrorKind::Refused)]
#[case::rename_into_git(&[], rename("old", ".git/x"), ErrorKind::Refused)]
#[case::through_a_link_out(&[], write("out/x", "1"), ErrorKind::Refused)]
#[case::a_link_out(&[], write("passwd", "1"), ErrorKind::Refused)]
#[case::setuid(&[], set_mode("old", 0o4755), ErrorKind::Refused)]
#[case::more_than_a_mode(&[], set_mode("old", 0o100_644), ErrorKind::Refused)]
#[case::a_hard_link(&[], write("linked", "1"), ErrorKind::Refused)]
fn an_impossible_proposal_is_refused_and_nothing_is_staged(
    #[case] before: &[Proposal],
    #[case] refused: Proposal,
    #[case] kind: ErrorKind,
) {
    let world = World::new();
    world.put("old", "old\n");
    world.put("other", "other\n");
    world.put("dir/x", "x\n");
    world.put("linked", "l\n");
    std::fs::hard_link(world.root().join("linked"), world.root().join("again")).expect("linked");
    std::os::unix::fs::symlink("/tmp", world.root().join("out")).expect("a link out");
    std::os::unix::fs::symlink("/etc/passwd", world.root().join("passwd")).expect("a link out");
    let s = world.session("agent");
    for proposal in before {
        world.layer.propose(s, proposal.clone()).expect("allowed");
    }
    let signatures = |world: &World| -> Vec<_> {
        world.pending().iter().map(|patch| (patch.id, patch.signature)).collect()
    };
    let (pending, tree, blobs) = (signatures(&world), world.tree(), world.blobs());
    let error = world.layer.propose(s, refused.clone()).expect_err("refused");
    assert_eq!(error.kind(), kind, "{error}");
    let with_another = vec![write("fine", "1"), refused];
    world.layer.propose_all(s, with_another).expect_err("all or none");
    assert_eq!(signatures(&world), pending);
    assert_eq!(world.tree(), tree);
    assert_eq!(world.blobs(), blobs, "content that was stored for it is dropped");
}

#[test]
fn an_edit_of_repeated_text_reports_how_often_it_occurs() {
    let world = World::new();
    world.put("a", "x x x");
    let s = world.session("agent");
    let error = world.layer.propose(s, edit("a", "x", "y")).expect_err("ambiguous");
    assert!(matches!(error, StagingError::NoMatch { found: 3, .. }), "{error}");
    let all =
        Proposal::Edit { path: path("a"), old: b"x".into(), new: b"y".into(), replace_all: true };
    world.layer.propose(s, all).expect("all are replaced");
    assert_eq!(world.read(s, "a").as_deref(), Some("y y y"));
}

#[test]
fn a_path_through_a_symlink_is_staged_at_its_target() {
    let world = World::new();
    world.put("real/a", "a\n");
    std::os::unix::fs::symlink("real", world.root().join("link")).expect("a link");
    let s = world.session("agent");
    let patch = world.write(s, "link/a", "b\n").patch.expect("pending");
    assert_eq!(patch.path, path("real/a"));
    assert_eq!(world.read(s, "real/a").as_deref(), Some("b\n"));
}

#[test]
fn content_from_a_file_is_staged_like_content_in_memory() {
    let world = World::new();
    let outside = world.dir.path().join("content");
    std::fs::write(&outside, vec![7; 3 << 20]).expect("a large file");
    let s = world.session("agent");
    let proposal = Proposal::WriteFrom { path: path("big"), file: outside, mode: Some(0o600) };
    let patch = world.layer.propose(s, proposal).expect("staged").patch.expect("pending");
    assert_eq!(patch.staged.map(|staged| (staged.bytes, staged.mode)), Some((3 << 20, 0o600)));
    assert!(patch.diff.full_replace, "nobody can read three megabytes of diff");
    assert_eq!(world.read(s, "big").map(|content| content.len()), Some(3 << 20));
}

#[test]
fn other_sessions_do_not_see_pending_patches() {
    let world = World::new();
    world.put("a", "base\n");
    let (one, two) = (world.session("one"), world.session("two"));
    world.write(one, "a", "one\n");
    assert_eq!(world.read(two, "a").as_deref(), Some("base\n"));
    let answer = world.write(two, "a", "two\n");
    assert_eq!(answer.also_pending_in, vec![one]);
    assert_eq!(world.read(one, "a").as_deref(), Some("one\n"));
}

#[test]
fn exceeding_a_limit_is_an_error_and_earlier_patches_stay_pending() {
    let world = World::with(|options| {
        options.session_patches_max = 2;
        options.session_bytes_max = 10;
    });
    let s = world.session("agent");
    world.write(s, "a", "12345");
    let error = world.layer.propose(s, write("b", "123456")).expect_err("too many bytes together");
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    let error = world.layer.propose(s, write("b", "12345678901")).expect_err("too many at once");
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    world.write(s, "b", "1");
    let error = world.layer.propose(s, write("c", "")).expect_err("too many patches");
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    world.write(s, "a", "1234567");
    assert_eq!(world.pending().len(), 2);
    // A discarded patch does not count.
    world.layer.discard(&[], None).expect("discarded");
    world.write(s, "c", "1234567890");
}

/// A directory's default access control list replaces the umask.
#[cfg(target_os = "linux")]
#[test]
fn a_created_file_has_the_mode_of_its_directorys_default_acl() {
    let world = World::with(|options| options.new_file_mode = 0o600);
    world.put("shared/there", "");
    // Version 2, then owner rwx, group rwx and others r-x: tag, permissions, id.
    let mut list = vec![2, 0, 0, 0];
    for (tag, permissions) in [(1, 7), (4, 7), (32, 5)] {
        list.extend([tag, 0, permissions, 0, 255, 255, 255, 255]);
    }
    let (shared, name) = (world.root().join("shared"), c"system.posix_acl_default");
    let flags = rustix::fs::XattrFlags::empty();
    if let Err(error) = rustix::fs::setxattr(&shared, name, &list, flags) {
        eprintln!("skipped: no access control lists here: {error}");
        return;
    }
    let s = world.session("agent");
    let mode = |name| {
        let patch = world.write(s, name, "a\n").patch.expect("pending");
        patch.staged.map(|staged| staged.mode)
    };
    assert_eq!(mode("shared/new"), Some(0o664));
    assert_eq!(mode("shared/deep/new"), Some(0o664), "new directories inherit the list");
    assert_eq!(mode("new"), Some(0o600));
}

/// Only root can set a file's capabilities.
#[cfg(target_os = "linux")]
#[test]
fn a_program_that_loses_its_capabilities_has_a_remark() {
    let world = World::new();
    world.put("tool", "old\n");
    world.chmod("tool", 0o755);
    // cap_net_raw+ep; capabilities(7), struct vfs_cap_data of revision 2.
    let mut value = (0x0200_0001_u32).to_le_bytes().to_vec();
    value.extend((1_u32 << 13).to_le_bytes());
    value.extend([0; 12]);
    let (tool, flags) = (world.root().join("tool"), rustix::fs::XattrFlags::empty());
    if let Err(error) = rustix::fs::setxattr(&tool, c"security.capability", &value, flags) {
        eprintln!("skipped: no capabilities can be set here: {error}");
        return;
    }
    let s = world.session("agent");
    let changed = world.write(s, "tool", "new\n").patch.expect("pending");
    assert!(
        changed.diff.remarks.iter().any(|remark| remark.contains("capabilities")),
        "{:?}",
        changed.diff.remarks
    );
    world.layer.propose(s, set_mode("tool", 0o700)).expect("staged");
    world.layer.propose(s, write("tool", "old\n")).expect("staged");
    let pending = world.pending();
    assert!(
        pending.iter().all(|patch| patch.diff.remarks.is_empty()),
        "a mode alone keeps them: {pending:?}"
    );
}

#[test]
fn a_change_of_mode_alone_is_refused_for_a_file_with_hard_links() {
    let world = World::with(|options| options.allow_hard_links = true);
    world.put("one", "content\n");
    std::fs::hard_link(world.root().join("one"), world.root().join("two")).expect("one disk");
    let s = world.session("agent");
    let refused = world.layer.propose(s, set_mode("one", 0o600)).expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
    world.write(s, "one", "new content breaks it\n").patch.expect("pending");
}
