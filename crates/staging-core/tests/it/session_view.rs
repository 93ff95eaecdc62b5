//! The tree as a session sees it is the tree that an apply makes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use staging_core::{
    ApplyRequest, ErrorKind, FileKind, Proposal, RelPath, SessionView, StagingError,
};

use crate::world::{World, delete, path, rename, set_mode, write};

/// Every file below the root with its length and mode, and every directory.
fn seen(view: &SessionView) -> BTreeMap<String, Option<(u64, u32)>> {
    let mut seen = BTreeMap::new();
    let mut open: Vec<Option<RelPath>> = vec![None];
    while let Some(dir) = open.pop() {
        for listed in view.list(dir.as_ref()).expect("listable").expect("a directory") {
            let path = match &dir {
                Some(dir) => dir.join(&listed.name).expect("a path"),
                None => RelPath::parse(&listed.name).expect("a path"),
            };
            let status = view.status(&path).expect("readable").expect("it was listed");
            assert_eq!(status.kind, listed.kind, "{path} is one thing, listed or looked at");
            if listed.kind == FileKind::Directory {
                seen.insert(path.to_string(), None);
                open.push(Some(path));
            } else {
                seen.insert(path.to_string(), Some((status.bytes, status.mode)));
            }
        }
    }
    seen
}

fn world() -> World {
    let world = World::new();
    for name in ["kept", "changed", "gone", "moved", "script", "dir/a", "dir/b", "dir2/c"] {
        world.put(name, format!("{name}\n"));
    }
    world
}

fn changes() -> Vec<Proposal> {
    vec![
        write("changed", "longer than before\n"),
        write("new/deep/er", "new\n"),
        write("dir/d", "new\n"),
        delete("gone"),
        delete("dir2/c"),
        rename("moved", "elsewhere/moved"),
        rename("dir/a", "gone"),
        set_mode("script", 0o755),
    ]
}

#[test]
fn a_session_sees_the_tree_that_an_apply_would_make() {
    let world = world();
    let (s, other) = (world.session("agent"), world.session("other"));
    let before = seen(&world.layer.session_view(other).expect("a view"));
    world.layer.propose_all(s, changes()).expect("staged");
    let promised = seen(&world.layer.session_view(s).expect("a view"));
    assert_eq!(
        seen(&world.layer.session_view(other).expect("a view")),
        before,
        "others see the disk"
    );
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    world.layer.tidy().expect("tidied");
    assert_eq!(seen(&world.layer.session_view(other).expect("a view")), promised);
    assert_ne!(promised, before, "something was proposed");
    assert!(!promised.contains_key("moved") && !promised.contains_key("dir2/c"));
    assert!(!promised.contains_key("dir2"), "an emptied directory is removed");
}

/// What is pending is read for the path that is asked about, and of all paths once many were.
#[test]
fn a_path_is_seen_the_same_whatever_was_looked_at_before() {
    let world = world();
    for name in ["dir-x", "dir.txt", "dir0", "elsewhere-too/a", "dir2x"] {
        world.put(name, "beside\n");
    }
    let s = world.session("agent");
    let beside = ["dir-y", "new.txt", "new/deep-er", "elsewhere0"].map(|name| write(name, "x\n"));
    let more = [delete("dir0"), rename("dir2x", "new/deep/moved"), write("dir.txt", "2\n")];
    world.layer.propose_all(s, [&changes()[..], &beside, &more].concat()).expect("staged");
    let all = world.layer.session_view(s).expect("a view");
    let mut paths: Vec<RelPath> = seen(&all).keys().map(|name| path(name)).collect();
    let gone = ["moved", "dir/a", "dir2", "dir2/c", "dir0", "dir2x", "nowhere", "new/deep/none"];
    paths.extend(gone.map(path));
    let one = world.layer.session_view(s).expect("a view");
    for path in &paths {
        let alone = || world.layer.session_view(s).expect("a view");
        let status = |view: &SessionView| view.status(path).expect("readable");
        assert_eq!(status(&alone()), status(&all), "{path}");
        assert_eq!(status(&one), status(&all), "{path}");
        let list = |view: &SessionView| view.list(Some(path)).expect("readable");
        assert_eq!(list(&alone()), list(&all), "{path}");
        let resolve = |view: &SessionView| view.resolve(path).expect("readable");
        assert_eq!(resolve(&alone()), resolve(&all), "{path}");
    }
}

#[test]
fn a_staged_file_names_its_patch() {
    let world = world();
    let s = world.session("agent");
    let patch = world.write(s, "changed", "new\n").patch.expect("a patch");
    let view = world.layer.session_view(s).expect("a view");
    let status = |name: &str| view.status(&path(name)).expect("readable");
    assert_eq!(status("changed").expect("there").patch, Some(patch.id));
    assert_eq!(status("kept").expect("there").patch, None);
    assert_eq!(status("nowhere"), None);
}

#[test]
fn a_deleted_path_is_not_seen_or_listed() {
    let world = world();
    let s = world.session("agent");
    world.layer.propose(s, delete("gone")).expect("staged");
    let view = world.layer.session_view(s).expect("a view");
    assert_eq!(view.status(&path("gone")).expect("readable"), None);
    assert_eq!(view.list(Some(&path("gone"))).expect("readable"), None);
    assert_eq!(view.list(Some(&path("kept"))).expect("readable"), None, "a file lists nothing");
}

#[test]
fn a_symlink_is_listed_as_one_and_resolved_below_the_root_only() {
    let world = world();
    symlink("dir", world.root().join("link")).expect("the user's link");
    symlink("/", world.root().join("out")).expect("the user's link");
    let s = world.session("agent");
    world.write(s, "link/new", "new\n");
    let view = world.layer.session_view(s).expect("a view");
    let top = view.list(None).expect("listable").expect("the root");
    let link = top.iter().find(|listed| listed.name == b"link").expect("it is listed");
    assert_eq!(link.kind, FileKind::Symlink);
    let dir = view.resolve(&path("link")).expect("it leads to a directory");
    let names = view.list(Some(&dir)).expect("listable").expect("a directory");
    assert!(names.iter().any(|listed| listed.name == b"new"), "what is pending there is seen");
    let refused = view.resolve(&path("out/etc")).expect_err("it leads out");
    assert_eq!(refused.kind(), ErrorKind::Refused);
    let refused: StagingError = view.list(Some(&path("link"))).expect_err("a link is not entered");
    assert_eq!(refused.kind(), ErrorKind::Refused);
}

#[test]
fn a_protected_directory_is_listed_and_not_entered() {
    let world = world();
    fs::create_dir(world.root().join(".git")).expect("the user's repository");
    world.put(".greenroom-1.tmp", "what a dead apply left");
    let view = world.layer.session_view(world.session("agent")).expect("a view");
    let top = view.list(None).expect("listable").expect("the root");
    assert!(top.iter().any(|listed| listed.name == b".git"));
    assert!(top.iter().all(|listed| listed.name != b".greenroom-1.tmp"), "slots are no files");
    let refused = view.list(Some(&path(".git"))).expect_err("it is protected");
    assert_eq!(refused.kind(), ErrorKind::Refused);
}
