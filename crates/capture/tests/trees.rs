//! The snapshot of a real tree, and an upper directory made as the kernel makes one.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

use std::error::Error;
use std::fs::{self, File, Permissions};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use capture::{EntryKind, Kind, Origin, Snapshot, Survey, read_upper, survey};
use rustix::fs::{FileType, Mode, XattrFlags};

type Outcome = Result<(), Box<dyn Error>>;

fn take(root: &Path, ignored: &[&str]) -> Result<Survey, Box<dyn Error>> {
    let handle = File::open(root)?;
    Ok(survey(handle.as_fd(), &mut |path, _| {
        ignored.iter().any(|ignored| ignored.as_bytes() == path)
    })?)
}

fn paths(seen: &Snapshot) -> Vec<String> {
    seen.iter().map(|(path, stat)| format!("{} {:?}", path.escape_ascii(), stat.kind)).collect()
}

#[test]
fn every_entry_that_is_not_ignored_is_seen() -> Outcome {
    let tree = tempfile::tempdir()?;
    let root = tree.path();
    fs::create_dir_all(root.join("src/deep"))?;
    fs::create_dir_all(root.join("target/debug"))?;
    fs::write(root.join("src/deep/a.rs"), "a")?;
    fs::write(root.join("target/debug/b"), "b")?;
    symlink("/etc", root.join("link"))?;
    let _socket = UnixListener::bind(root.join("socket"))?;
    let taken = take(root, &["target"])?;
    let expected = [
        "link Symlink",
        "socket Other",
        "src Directory",
        "src/deep Directory",
        "src/deep/a.rs File",
    ];
    assert_eq!(paths(&taken.snapshot), expected);
    assert_eq!((taken.foreign.len(), taken.unreadable.len()), (0, 0));

    let stat = taken.snapshot.get(b"src/deep/a.rs").ok_or("a.rs was seen")?;
    let metadata = fs::metadata(root.join("src/deep/a.rs"))?;
    assert_eq!((stat.inode, stat.size), (metadata.ino(), 1));
    assert_eq!(u32::from(stat.mode), metadata.mode() & 0o7777);
    assert_eq!(stat.modified.seconds, metadata.mtime());
    assert_eq!(
        (stat.changed.seconds, stat.changed.nanos),
        (metadata.ctime(), u32::try_from(metadata.ctime_nsec())?,)
    );
    assert!(taken.snapshot.begun() >= stat.modified, "the walk began after the file was written");
    Ok(())
}

#[test]
fn a_tree_that_nobody_touched_is_seen_alike_twice() -> Outcome {
    let tree = tempfile::tempdir()?;
    for name in ["a", "b", "c"] {
        fs::create_dir(tree.path().join(name))?;
        fs::write(tree.path().join(name).join(name), name)?;
    }
    let entries = |seen: Snapshot| -> Vec<_> {
        seen.iter().map(|(path, stat)| (path.to_vec(), *stat)).collect()
    };
    let first = entries(take(tree.path(), &[])?.snapshot);
    assert_eq!(first, entries(take(tree.path(), &[])?.snapshot));
    assert_eq!(first.len(), 6);
    Ok(())
}

#[test]
fn a_tree_deeper_than_a_path_may_be_is_walked_to_that_depth() -> Outcome {
    let tree = tempfile::tempdir()?;
    let name = "d".repeat(255);
    let mut handle = rustix::fs::open(tree.path(), rustix::fs::OFlags::RDONLY, Mode::empty())?;
    for _ in 0..20 {
        rustix::fs::mkdirat(&handle, &name, Mode::RWXU)?;
        handle = rustix::fs::openat(&handle, &name, rustix::fs::OFlags::RDONLY, Mode::empty())?;
    }
    let taken = take(tree.path(), &[])?;
    assert_eq!(taken.unreadable.len(), 1, "one directory is beyond 4,096 bytes");
    assert_eq!(taken.snapshot.iter().count(), 17, "and is seen itself");
    Ok(())
}

#[test]
fn a_directory_that_may_not_be_read_is_named() -> Outcome {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may read every directory");
        return Ok(());
    }
    let tree = tempfile::tempdir()?;
    let shut = tree.path().join("shut");
    fs::create_dir(&shut)?;
    fs::set_permissions(&shut, Permissions::from_mode(0o000))?;
    let taken = take(tree.path(), &[]);
    let handle = File::open(tree.path())?;
    let upper = read_upper(handle.as_fd(), &mut |_, _| false);
    fs::set_permissions(&shut, Permissions::from_mode(0o700))?;
    assert_eq!(taken?.unreadable, [b"shut"[..].into()]);
    assert_eq!(upper?[&b"shut"[..]].kind, EntryKind::Unreadable);
    Ok(())
}

#[test]
fn no_file_is_foreign_to_root() -> Outcome {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a file away");
        return Ok(());
    }
    let tree = tempfile::tempdir()?;
    for (name, user, group) in
        [("mine", None, None), ("user", Some(12), None), ("group", None, Some(13))]
    {
        fs::write(tree.path().join(name), "")?;
        std::os::unix::fs::chown(tree.path().join(name), user, group)?;
    }
    assert_eq!(take(tree.path(), &[])?.foreign.len(), 0);
    Ok(())
}

fn whiteout(path: &Path) -> rustix::io::Result<()> {
    let mode = Mode::empty();
    rustix::fs::mknodat(rustix::fs::CWD, path, FileType::CharacterDevice, mode, 0)
}

#[test]
fn entries_of_an_upper_directory_are_told_apart() -> Outcome {
    let tree = tempfile::tempdir()?;
    let root = tree.path();
    let mark = |name: &str, attribute: &str, value: &str| {
        rustix::fs::setxattr(root.join(name), attribute, value.as_bytes(), XattrFlags::empty())
    };
    for name in ["copied", "new", "empty", "marked", "filled", "forged"] {
        fs::write(root.join(name), if name == "empty" || name == "marked" { "" } else { "x" })?;
    }
    for name in ["opaque", "merged", "x", "ignored"] {
        fs::create_dir(root.join(name))?;
        fs::write(root.join(name).join("below"), "")?;
    }
    if let Err(error) = mark("copied", "user.overlay.origin", "") {
        println!("skipped: the temporary directory keeps no attributes: {error}");
        return Ok(());
    }
    if let Err(error) = whiteout(&root.join("gone")) {
        println!("skipped: whiteouts cannot be made here: {error}");
        return Ok(());
    }
    mark("marked", "user.overlay.whiteout", "y")?;
    mark("filled", "user.overlay.whiteout", "y")?;
    // What an agent sets in the view is kept under another name.
    mark("forged", "user.overlay.overlay.whiteout", "y")?;
    mark("opaque", "user.overlay.opaque", "y")?;
    mark("x", "user.overlay.opaque", "x")?;
    symlink("new", root.join("link"))?;
    let _socket = UnixListener::bind(root.join("socket"))?;

    let handle = File::open(root)?;
    let entries = read_upper(handle.as_fd(), &mut |path, kind| {
        path == b"ignored" && kind == Kind::Directory
    })?;
    let file = EntryKind::File;
    let directory = |opaque| EntryKind::Directory { opaque };
    let expected = [
        ("copied", file(Origin::Lower)),
        ("empty", file(Origin::New)),
        ("filled", file(Origin::New)),
        ("forged", file(Origin::New)),
        ("gone", EntryKind::Whiteout),
        ("link", EntryKind::Symlink),
        ("marked", EntryKind::Whiteout),
        ("merged", directory(false)),
        ("merged/below", file(Origin::New)),
        ("new", file(Origin::New)),
        ("opaque", directory(true)),
        ("opaque/below", file(Origin::New)),
        ("socket", EntryKind::Special),
        ("x", directory(false)),
        ("x/below", file(Origin::New)),
    ];
    let found = entries.iter().map(|(path, entry)| (std::str::from_utf8(path), entry.kind));
    assert_eq!(
        found.collect::<Vec<_>>(),
        expected.map(|(path, kind)| (Ok(path), kind)),
        "the kinds of the entries"
    );
    Ok(())
}
