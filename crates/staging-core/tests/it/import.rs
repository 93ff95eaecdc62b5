//! Importing what a command wrote in a view of its own.

use std::os::unix::fs::MetadataExt as _;

use staging_core::{
    ApplyRequest, Digest, ErrorKind, FileStamp, Fingerprint, Gone, ImportItem, Imported, Proof,
    Proposal, SessionId,
};

use crate::world::{World, delete, path, write};

/// What a command saw at a path, as it is on the disk now.
fn seen(world: &World, name: &str) -> Proof {
    Proof::Made(std::fs::symlink_metadata(world.root().join(name)).ok().map(|found| FileStamp {
        inode: found.ino(),
        bytes: found.len(),
        modified_ns: found.mtime() * 1_000_000_000 + found.mtime_nsec(),
        changed_ns: found.ctime() * 1_000_000_000 + found.ctime_nsec(),
    }))
}

/// Nothing that is on the disk.
fn unknown() -> Proof {
    Proof::OneOf(Vec::new())
}

/// What a file with this text is.
fn text(content: &str) -> Option<Fingerprint> {
    let content = content.as_bytes();
    Some(Fingerprint::file(Digest::of(content), content.len() as u64, 0o644))
}

fn import(
    world: &World,
    session: SessionId,
    items: &[(Proposal, Proof)],
    gone: &[&str],
) -> Imported {
    let items: Vec<ImportItem> = items
        .iter()
        .map(|(proposal, proof)| ImportItem { proposal: proposal.clone(), proof: proof.clone() })
        .collect();
    let gone = gone.iter().map(|name| Gone { path: path(name), staged: None });
    let gone: Vec<_> = gone.collect();
    world.layer.import(session, &items, &gone).expect("imported")
}

fn lapsed(world: &World) -> Vec<String> {
    let status = world.layer.status().expect("a status");
    let lapsed = status.sessions.into_iter().flat_map(|session| session.lapsed);
    lapsed.map(|patch| patch.path.to_string()).collect()
}

fn pending(world: &World) -> Vec<String> {
    world.pending().into_iter().map(|patch| patch.path.to_string()).collect()
}

#[test]
fn a_change_of_what_the_command_saw_is_pending_and_one_of_something_unknown_is_stale() {
    let world = World::new();
    world.put("known", "one\n");
    world.put("unknown", "one\n");
    let session = world.session("run");
    let items = [
        (write("known", "two\n"), seen(&world, "known")),
        (write("new", "two\n"), Proof::Made(None)),
        (write("unknown", "two\n"), unknown()),
        (delete("unknown"), unknown()),
    ];
    let imported = import(&world, session, &items[..3], &[]);
    assert_eq!(imported.unproven, [path("unknown")]);
    assert_eq!(pending(&world), ["known", "new"]);
    assert_eq!(lapsed(&world), ["unknown"]);
    let status = world.layer.status().expect("a status");
    let stale = status.sessions[0].lapsed[0].id;
    let mut shown = Vec::new();
    let patch = world.layer.patch(stale).expect("found");
    assert!(patch.content_kept, "the command's version is kept");
    world.layer.write_diff(&[patch], &Default::default(), &mut shown).expect("shown");
    assert!(String::from_utf8_lossy(&shown).contains("-one\n+two\n"));
    assert_eq!(world.disk("unknown").as_deref(), Some("one\n"));
}

#[test]
fn the_same_import_again_changes_nothing() {
    let world = World::new();
    world.put("known", "one\n");
    world.put("removed", "one\n");
    let session = world.session("run");
    let items = [
        (delete("removed"), seen(&world, "removed")),
        (write("known", "two\n"), seen(&world, "known")),
    ];
    import(&world, session, &items, &[]);
    let events = world.events();
    let again = import(&world, session, &items, &[]);
    assert!(again.refused.is_empty(), "{again:?}");
    assert_eq!(world.events(), events);
}

#[test]
fn a_file_that_was_saved_between_the_proof_and_the_import_is_stale() {
    let world = World::new();
    world.put("f", "one\n");
    let session = world.session("run");
    let proof = seen(&world, "f");
    world.put("f", "the user's\n");
    let imported = import(&world, session, &[(write("f", "two\n"), proof)], &[]);
    assert_eq!(imported.unproven, [path("f")]);
    assert_eq!(pending(&world), [""; 0]);
    let created = import(&world, session, &[(write("f", "two\n"), Proof::Made(None))], &[]);
    assert_eq!(created.unproven, [path("f")], "the user has created it as well");
}

#[test]
fn a_change_of_what_had_one_of_some_contents_is_proven_while_the_file_has_it() {
    let world = World::new();
    world.put("f", "one\n");
    world.chmod("f", 0o644);
    let session = world.session("run");
    let first = import(&world, session, &[(write("f", "two\n"), seen(&world, "f"))], &[]);
    assert_eq!(first.made_from, [(path("f"), text("one\n"))]);
    // A bare touch is no change.
    world.put("f", "one\n");
    let proof = Proof::OneOf(vec![None, text("one\n")]);
    let later = import(&world, session, &[(write("f", "three\n"), proof.clone())], &[]);
    assert!(later.unproven.is_empty() && later.withheld.is_empty(), "{later:?}");
    assert_eq!(world.read(session, "f").as_deref(), Some("three\n"));
    world.put("f", "the user's\n");
    let stale = import(&world, session, &[(write("f", "four\n"), proof.clone())], &[]);
    assert_eq!(stale.unproven, [path("f")]);
    assert_eq!(world.disk("f").as_deref(), Some("the user's\n"));
    world.put("f", "one\n");
    world.chmod("f", 0o600);
    let mode = import(&world, session, &[(write("f", "five\n"), proof)], &[]);
    assert_eq!(mode.unproven, [path("f")], "the user has changed the mode");
}

#[test]
fn a_patch_that_is_not_the_command_s_is_left_alone_by_a_change_without_proof() {
    let world = World::new();
    world.put("f", "one\n");
    let session = world.session("run");
    import(&world, session, &[(write("f", "two\n"), unknown())], &[]);
    let status = world.layer.status().expect("a status");
    let refreshed = world.layer.refresh(status.sessions[0].lapsed[0].id).expect("refreshed");
    let imported = import(&world, session, &[(write("f", "three\n"), unknown())], &[]);
    assert_eq!(imported.withheld, [path("f")]);
    let pending = world.pending();
    assert_eq!(pending[0].id, refreshed.patch.expect("pending").id);
    // It is not what an import has staged, so it is not withdrawn either.
    let other = Gone { path: path("f"), staged: Some(text("three\n")) };
    world.layer.import(session, &[], &[other]).expect("imported");
    assert_eq!(world.pending().len(), 1);
}

#[test]
fn what_the_command_has_taken_back_is_withdrawn() {
    let world = World::new();
    world.put("f", "one\n");
    let session = world.session("run");
    let new = (write("new", "two\n"), Proof::Made(None));
    import(&world, session, &[new, (write("f", "two\n"), seen(&world, "f"))], &[]);
    let restored = (write("f", "one\n"), seen(&world, "f"));
    let imported = import(&world, session, &[restored], &["new", "never-there"]);
    assert!(imported.refused.is_empty() && imported.unproven.is_empty(), "{imported:?}");
    assert_eq!(pending(&world), [""; 0]);
}

#[test]
fn what_cannot_be_a_patch_is_named_and_the_rest_is_staged() {
    let world = World::new();
    world.put("d/kept", "one\n");
    let session = world.session("run");
    let link = Proposal::Symlink { path: path("out"), target: b"../../outside".to_vec() };
    let setuid =
        Proposal::Write { path: path("setuid"), content: b"x".to_vec(), mode: Some(0o4755) };
    let items = [
        (write(".git/config", "x"), Proof::Made(None)),
        (link, Proof::Made(None)),
        (setuid, Proof::Made(None)),
        (delete("d"), unknown()),
        // What was pending when the command began may be rejected when it removes it.
        (delete("never-there"), Proof::Made(None)),
        (write("fine", "x"), Proof::Made(None)),
    ];
    let imported = import(&world, session, &items, &[]);
    let refused = imported.refused.iter().map(|(path, error)| (path.to_string(), error.kind()));
    let expected = [
        (".git/config", ErrorKind::Refused),
        ("out", ErrorKind::Refused),
        ("setuid", ErrorKind::Refused),
        ("d", ErrorKind::Conflict),
    ];
    let expected = expected.map(|(path, kind)| (path.to_owned(), kind));
    assert_eq!(refused.collect::<Vec<_>>(), expected);
    assert_eq!(pending(&world), ["fine"]);
}

#[test]
fn no_symbolic_link_is_followed() {
    let world = World::new();
    world.put("d/f", "one\n");
    std::os::unix::fs::symlink("d", world.root().join("l")).expect("linked");
    let session = world.session("run");
    let through = (write("l/f", "two\n"), Proof::Made(None));
    let imported = import(&world, session, &[through], &[]);
    assert_eq!(imported.refused.len(), 1, "{imported:?}");
    // The command has replaced the link by a directory.
    let items = [(delete("l"), seen(&world, "l")), (write("l/f", "two\n"), Proof::Made(None))];
    let imported = import(&world, session, &items, &[]);
    assert!(imported.refused.is_empty() && imported.unproven.is_empty(), "{imported:?}");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    assert_eq!(world.disk("l/f").as_deref(), Some("two\n"));
    assert_eq!(world.disk("d/f").as_deref(), Some("one\n"));
}

#[test]
fn what_was_applied_is_no_change_any_more() {
    let world = World::new();
    world.put("f", "one\n");
    world.put("removed", "one\n");
    let session = world.session("run");
    let items = [
        (delete("removed"), seen(&world, "removed")),
        (write("f", "two\n"), seen(&world, "f")),
        (write("new", "two\n"), Proof::Made(None)),
    ];
    import(&world, session, &items, &[]);
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    world.layer.tidy().expect("tidied");
    // After the apply nothing proves what the files were made from.
    let items = items[1..].iter().map(|(proposal, _)| (proposal.clone(), unknown()));
    let again = import(&world, session, &items.collect::<Vec<_>>(), &[]);
    assert!(again.unproven.is_empty() && again.refused.is_empty(), "{again:?}");
    assert_eq!(pending(&world), [""; 0]);
    let made_from: Vec<_> = again.made_from.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(made_from, ["f", "new"], "the command goes on from what is on the disk");
}

#[test]
fn a_file_that_moved_is_one_rename_and_stays_one() {
    let world = World::new();
    world.put("a", "moved\n");
    world.put("twin", "twice\n");
    world.put("other", "twice\n");
    let session = world.session("run");
    let items = [
        (delete("a"), seen(&world, "a")),
        (delete("other"), seen(&world, "other")),
        (delete("twin"), seen(&world, "twin")),
        (write("d/b", "moved\n"), Proof::Made(None)),
        (write("t", "twice\n"), Proof::Made(None)),
    ];
    import(&world, session, &items, &[]);
    let shown = || -> Vec<String> {
        let pending = world.pending().into_iter();
        pending.map(|patch| format!("{} {}", patch.operation.as_str(), patch.path)).collect()
    };
    // Of two files with one content it is not known which one moved.
    let expected = ["rename a", "delete other", "create t", "delete twin"];
    assert_eq!(shown(), expected);
    import(&world, session, &items, &[]);
    assert_eq!(shown(), expected);
    import(&world, session, &items[..3], &["d/b", "t"]);
    assert_eq!(shown(), ["delete a", "delete other", "delete twin"]);
}
