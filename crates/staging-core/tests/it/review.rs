//! Reviews: selections, diffs, and rejecting.

use std::io::Write as _;
use std::process::{Command, Stdio};

use rstest::rstest;
use staging_core::{DiscardReason, ErrorKind, Patch, Proposal, Selector, set_signature};

use crate::world::{World, delete, path, rename, set_mode, write};

#[test]
fn rejecting_leaves_the_tree_unchanged_and_nothing_pending() {
    let world = World::new();
    world.put("a", "a\n");
    world.put("b", "b\n");
    let before = world.tree();
    let s = world.session("agent");
    let all = vec![write("a", "1\n"), write("new/c", "2\n"), delete("b"), set_mode("a", 0o755)];
    world.layer.propose_all(s, all).expect("staged");
    let discarded = world.layer.discard(&[], Some("not like this")).expect("rejected");
    assert_eq!(discarded.len(), 3);
    assert!(discarded.iter().all(|patch| {
        patch.reason == Some(DiscardReason::Rejected)
            && patch.reason_text.as_deref() == Some("not like this")
    }));
    assert_eq!(world.tree(), before);
    assert_eq!(world.read(s, "a").as_deref(), Some("a\n"));
    let error = world.layer.discard(&[Selector::Patch(discarded[0].id)], None);
    assert_eq!(error.expect_err("decided already").kind(), ErrorKind::Closed);
    assert!(world.pending().is_empty());
}

#[test]
fn a_rejected_patch_can_be_shown_while_its_history_is_kept() {
    let world = World::new();
    let s = world.session("agent");
    world.write(s, "a", "rejected\n");
    let discarded = world.layer.discard(&[], None).expect("rejected");
    let mut shown = Vec::new();
    world
        .layer
        .write_diff(&discarded, &Default::default(), &mut shown)
        .expect("its content is kept");
    assert!(String::from_utf8_lossy(&shown).contains("+rejected\n"));
}

#[test]
fn without_a_history_the_content_is_removed_when_its_patch_is_rejected() {
    let world = World::with(|options| options.history_keep_for = std::time::Duration::ZERO);
    let s = world.session("agent");
    world.write(s, "a", "rejected\n");
    let discarded = world.layer.discard(&[], None).expect("rejected");
    assert_eq!(world.blobs(), 0, "no content is kept");
    let error = world.layer.write_diff(&discarded, &Default::default(), &mut Vec::new());
    assert_eq!(error.expect_err("its content is gone").kind(), ErrorKind::Closed);
}

#[test]
fn content_that_two_sessions_stage_stays_when_one_patch_is_rejected() {
    let world = World::new();
    let (one, two) = (world.session("one"), world.session("two"));
    world.write(one, "a", "same\n");
    world.write(two, "b", "same\n");
    world.layer.discard(&[Selector::Session(one)], None).expect("rejected");
    assert_eq!(world.read(two, "b").as_deref(), Some("same\n"));
}

#[test]
fn selectors_name_patches_sessions_and_labels() {
    let world = World::new();
    let (one, two) = (world.session("one"), world.session("two"));
    let a = world.write(one, "a", "1").patch.expect("pending").id;
    let b = world.write(one, "b", "1").patch.expect("pending").id;
    let c = world.write(two, "c", "1").patch.expect("pending").id;
    let select = |texts: &[&str]| -> Vec<_> {
        let ids: Vec<Selector> = texts.iter().map(|text| text.parse().expect("any text")).collect();
        let selection = world.layer.select(&ids).expect("all exist");
        assert_eq!(selection.signature, set_signature(&selection.patches));
        selection.patches.iter().map(|patch| patch.id).collect()
    };
    assert_eq!(select(&[]), [a, b, c]);
    assert_eq!(select(&["one"]), [a, b]);
    assert_eq!(select(&[&two.to_string(), &b.to_string(), &b.to_string()]), [b, c]);
    for unknown in ["p99", "s99", "nobody"] {
        let error = world.layer.select(&[unknown.parse().expect("any text")]);
        assert_eq!(error.expect_err("there is none").kind(), ErrorKind::NotFound);
    }
}

/// `git apply` of the diff makes the same tree as an apply of the patches.
#[rstest]
#[case::crlf(Some(b"a\r\nb\r\n".as_slice()), Some(b"a\r\nc\r\n".as_slice()))]
#[case::no_final_newline(Some(b"a".as_slice()), Some(b"b".as_slice()))]
#[case::emptied(Some(b"a\n".as_slice()), Some(b"".as_slice()))]
#[case::filled(Some(b"".as_slice()), Some(b"a\n".as_slice()))]
#[case::binary(Some(b"a\0b".as_slice()), Some(b"a\0c\nd".as_slice()))]
#[case::invalid_utf8(Some(b"\xff\n".as_slice()), Some(b"\xfe\n".as_slice()))]
#[case::created(None, Some(b"new\n".as_slice()))]
#[case::created_empty(None, Some(b"".as_slice()))]
#[case::deleted(Some(b"old\n".as_slice()), None)]
fn git_apply_writes_exactly_the_staged_bytes(
    #[case] base: Option<&[u8]>,
    #[case] staged: Option<&[u8]>,
    #[values("plain", "with space", "tab\there", "quo\"te", "ä/ö")] name: &str,
) {
    let world = World::new();
    if let Some(base) = base {
        world.put(name, base);
    }
    let s = world.session("agent");
    let proposal = match staged {
        Some(content) => {
            Proposal::Write { path: path(name), content: content.into(), mode: Some(0o755) }
        }
        None => delete(name),
    };
    world.layer.propose(s, proposal).expect("staged");
    let before = world.tree();
    git_apply(&world, &world.pending());
    assert_eq!(std::fs::read(world.root().join(name)).ok().as_deref(), staged);
    // Back to the base, and the same with Greenroom.
    let base_tree = before.keys().map(|path| path.to_owned()).collect::<Vec<_>>();
    let root = world.root();
    // The root itself stays: another directory would be another workspace.
    for entry in std::fs::read_dir(&root).expect("a workspace") {
        let entry = entry.expect("an entry").path();
        let is_dir = entry.is_dir();
        let cleared = if is_dir { std::fs::remove_dir_all } else { std::fs::remove_file }(&entry);
        cleared.expect("cleared");
    }
    for entry in base_tree {
        let (content, mode, ..) = &before[&entry];
        let name = entry.strip_prefix(&root).expect("below it").to_string_lossy().into_owned();
        if mode & 0o170_000 == 0o100_000 {
            world.put(&name, content);
            world.chmod(&name, mode & 0o7777);
        }
    }
    let again = world.again();
    let request = staging_core::ApplyRequest { confirm_full_replace: true, ..Default::default() };
    again.apply(&request).expect("the same set");
    assert_eq!(std::fs::read(world.root().join(name)).ok().as_deref(), staged);
}

#[test]
fn git_apply_accepts_a_set_with_renames_onto_deleted_names() {
    let world = World::new();
    for name in ["a", "b", "c", "d", "x", "y", "k", "l"] {
        world.put(name, format!("{name}\n{name}\n"));
    }
    let s = world.session("agent");
    let all = vec![
        delete("b"),
        rename("a", "b"),
        rename("c", "moved/c"),
        write("moved/c", "c\nC\n"),
        set_mode("d", 0o755),
        rename("x", "t"),
        rename("y", "x"),
        rename("t", "y"),
        rename("l", "last"),
        rename("k", "l"),
    ];
    world.layer.propose_all(s, all).expect("staged");
    git_apply(&world, &world.pending());
    assert_eq!(world.disk("a"), None);
    assert_eq!(world.disk("b").as_deref(), Some("a\na\n"));
    assert_eq!(world.disk("moved/c").as_deref(), Some("c\nC\n"));
    assert_eq!(world.disk("x").as_deref(), Some("y\ny\n"), "exchanged");
    assert_eq!(world.disk("y").as_deref(), Some("x\nx\n"), "exchanged");
    assert_eq!(world.disk("l").as_deref(), Some("k\nk\n"), "moved up");
    assert_eq!(world.disk("last").as_deref(), Some("l\nl\n"), "moved up");
}

fn git_apply(world: &World, patches: &[Patch]) {
    let mut git = Command::new("git")
        .args(["apply", "-"])
        .current_dir(world.root())
        .env("GIT_CEILING_DIRECTORIES", world.dir.path())
        .stdin(Stdio::piped())
        .spawn()
        .expect("git is there");
    let mut out = Vec::new();
    world.layer.write_diff(patches, &Default::default(), &mut out).expect("a diff");
    git.stdin.take().expect("piped").write_all(&out).expect("git reads");
    let status = git.wait().expect("git ends");
    assert!(status.success(), "git refuses\n{}", String::from_utf8_lossy(&out));
}

#[test]
fn the_diffstat_counts_lines() {
    let world = World::new();
    world.put("a", "1\n2\n");
    let s = world.session("agent");
    world.write(s, "a", "1\n3\n4\n");
    let mut out = Vec::new();
    world.layer.write_stat(&world.pending(), 80, &mut out).expect("a stat");
    let text = String::from_utf8(out).expect("plain text");
    assert!(text.contains("1 file changed, 2 insertions(+), 1 deletion(-)"), "{text}");
}

#[test]
fn displaced_edits_are_listed_until_they_are_removed() {
    let world = World::new();
    assert!(world.layer.status().expect("a status").kept.is_empty());
    let file = world.state().join("conflicts").join("greenroom-a1-0.notes.txt");
    std::fs::write(&file, "a user's words").expect("the state is ours");
    let kept = world.layer.status().expect("a status").kept;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].file_name(), file.file_name());
    std::fs::remove_file(&file).expect("taken away");
    assert!(world.layer.status().expect("a status").kept.is_empty());
}
