//! What lies on another mount is neither read nor changed, whatever the kernel offers.
//!
//! Each test runs its body a second time, in a process with a mount namespace of its own; some
//! of these processes have no openat2(2), as under the filters of older container runtimes.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]

mod common;

use std::path::Path;
use std::process::Command;

use atomic_fs::*;
use common::{Fixture, mode_of, namespaces, rel};
use rstest::rstest;

/// What the process of a test can call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calls {
    All,
    NoOpenat2,
    /// Neither of the calls that tell a mount's number.
    NoOpenat2NorStatx,
}

/// True in the process that has a mount namespace of its own.
fn is_inside(calls: Calls) -> bool {
    let is_inside = namespaces::is_inside(&["--user", "--map-root-user", "--mount"]);
    if is_inside {
        refuse(calls);
    }
    is_inside
}

/// Lets the system refuse calls to this thread, by seccomp(2).
fn refuse(calls: Calls) {
    // Container runtimes have answered either.
    let openat2 = (libc::SYS_openat2, libc::EPERM);
    let refused: &[(libc::c_long, libc::c_int)] = match calls {
        Calls::All => return,
        Calls::NoOpenat2 => &[openat2],
        Calls::NoOpenat2NorStatx => &[openat2, (libc::SYS_statx, libc::ENOSYS)],
    };
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for &(number, errno) in refused {
        let number = u32::try_from(number).expect("the number of a call");
        let jump = statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number);
        program.push(libc::sock_filter { jf: 1, ..jump });
        let refused = libc::SECCOMP_RET_ERRNO | errno as u32;
        program.push(statement(libc::BPF_RET | libc::BPF_K, refused));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    let filter =
        libc::sock_fprog { len: program.len() as libc::c_ushort, filter: program.as_mut_ptr() };
    // SAFETY: the filter and its program live until the call returns, and the kernel copies them.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) == 0
    };
    assert!(set, "{}", std::io::Error::last_os_error());
    // SAFETY: the call only reads its arguments, which are valid; it fails before anything else.
    let answer = unsafe { libc::syscall(libc::SYS_openat2, -1, c"".as_ptr(), 0, 0) };
    let error = std::io::Error::last_os_error().raw_os_error();
    assert_eq!((answer, error), (-1, Some(libc::EPERM)), "the filter works");
}

fn bind(from: &Path, to: &Path) {
    let mounted = Command::new("mount").arg("--bind").args([from, to]).status();
    assert!(mounted.expect("mount starts").success(), "a bind mount in a namespace of our own");
}

/// A workspace with `file`, a mount of a file outside, and `dir`, a mount of a directory.
fn mounted() -> (Fixture, std::path::PathBuf) {
    let fixture = Fixture::default();
    let outside = fixture.folder.path().join("outside");
    std::fs::create_dir(&outside).expect("writable");
    std::fs::write(outside.join("target"), "outside").expect("writable");
    common::set_mode(&outside.join("target"), 0o600);
    fixture.put("file", b"");
    fixture.put("plain", b"inside");
    std::fs::create_dir(fixture.at("dir")).expect("writable");
    bind(&outside.join("target"), &fixture.at("file"));
    bind(&outside, &fixture.at("dir"));
    (fixture, outside)
}

fn is_other_mount(error: &FsError) -> bool {
    matches!(error, FsError::Refused { refusal: Refusal::OtherMount, .. })
}

#[rstest]
fn what_is_mounted_in_a_workspace_is_neither_read_nor_changed(
    #[values(Calls::All, Calls::NoOpenat2, Calls::NoOpenat2NorStatx)] calls: Calls,
) {
    if !is_inside(calls) {
        return;
    }
    let (mut fixture, outside) = mounted();
    for path in ["file", "dir/target"] {
        let workspace = fixture.open();
        let error = workspace.open_file(&rel(path)).err().expect("refused");
        assert!(is_other_mount(&error), "{path}: {error:?}");
        let changes = [
            fixture.modify(path, b"new"),
            fixture.chmod(path, 0o666),
            fixture.delete(path),
            fixture.rename(path, "renamed"),
        ];
        for change in changes {
            let shown = format!("{change:?}");
            let applied = fixture.apply(vec![change]);
            let Outcome::RolledBack(error) = applied.outcome else {
                panic!("{shown}: {:?}", applied.outcome)
            };
            assert!(is_other_mount(&error), "{shown}: {error:?}");
        }
    }
    let created = fixture.create("dir/new", b"new");
    let moved = fixture.rename("plain", "dir/plain");
    for change in [created, moved] {
        let applied = fixture.apply(vec![change]);
        let Outcome::RolledBack(error) = applied.outcome else { panic!("{:?}", applied.outcome) };
        assert!(is_other_mount(&error), "{error:?}");
    }
    let target = outside.join("target");
    assert_eq!(std::fs::read(&target).expect("readable"), b"outside");
    assert_eq!(mode_of(&std::fs::metadata(&target).expect("there")), 0o600);
    assert_eq!(std::fs::read_dir(&outside).expect("there").count(), 1, "nothing else is there");
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}

/// A mounted directory's files can be exchanged, a mounted file cannot.
#[rstest]
fn what_the_user_allows_on_other_mounts_are_directories(
    #[values(Calls::All, Calls::NoOpenat2)] calls: Calls,
) {
    if !is_inside(calls) {
        return;
    }
    let (mut fixture, outside) = mounted();
    let options = Options { allow_other_mounts: true, ..Options::default() };
    let changes = [fixture.modify("file", b"new"), fixture.chmod("file", 0o666)];
    for change in changes {
        let applied = fixture.apply_on(&fixture.open_with(options.clone()), vec![change]);
        let Outcome::RolledBack(error) = applied.outcome else { panic!("{:?}", applied.outcome) };
        assert!(is_other_mount(&error), "{error:?}");
    }
    assert_eq!(mode_of(&std::fs::metadata(outside.join("target")).expect("there")), 0o600);
    let change = fixture.modify("dir/target", b"new");
    let applied = fixture.apply_on(&fixture.open_with(options), vec![change]);
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
    assert_eq!(std::fs::read(outside.join("target")).expect("readable"), b"new");
}

/// Without the call that does all of it, paths are still read as they are meant.
#[test]
fn files_on_the_workspaces_own_mount_are_changed_without_openat2() {
    if !is_inside(Calls::NoOpenat2NorStatx) {
        return;
    }
    let mut fixture = Fixture::default();
    fixture.put("a/b/file", b"old");
    fixture.put("a/mode", b"");
    let changes = vec![
        fixture.modify("a/b/file", b"new"),
        fixture.chmod("a/mode", 0o600),
        fixture.create("a/c/new", b""),
    ];
    let applied = fixture.apply(changes);
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
    assert_eq!(fixture.read("a/b/file"), b"new");
}

/// The kernel refuses a removal there before it looks for the name.
#[test]
fn every_change_on_a_read_only_disk_is_rolled_back_and_leaves_nothing() {
    if !is_inside(Calls::All) {
        return;
    }
    let mut fixture = Fixture::default();
    for path in ["modified", "deleted", "moved", "mode", "emptied/file"] {
        fixture.put(path, b"old");
    }
    let changes = [
        fixture.modify("modified", b"new"),
        fixture.create("made/file", b"new"),
        fixture.delete("deleted"),
        fixture.delete("emptied/file"),
        fixture.rename("moved", "renamed"),
        fixture.rename("moved", "made/moved"),
        fixture.chmod("mode", 0o600),
    ];
    bind(&fixture.root(), &fixture.root());
    let mut remount = Command::new("mount");
    let remounted = remount.args(["-o", "remount,ro,bind"]).arg(fixture.root()).status();
    assert!(remounted.expect("mount starts").success(), "it is read-only");
    let before = fixture.tree();
    for change in changes {
        let shown = format!("{change:?}");
        let applied = fixture.apply(vec![change]);
        let Outcome::RolledBack(error) = applied.outcome else {
            panic!("{shown}: {:?}", applied.outcome)
        };
        let read_only = std::io::ErrorKind::ReadOnlyFilesystem;
        assert!(
            matches!(&error, FsError::Io { source, .. } if source.kind() == read_only),
            "{shown}: {error:?}"
        );
        assert!(fixture.debris().is_empty(), "{shown} left {:?}", fixture.debris());
        assert_eq!(fixture.tree(), before, "{shown}");
    }
}

#[test]
fn an_emptied_mount_point_stays_and_does_not_keep_the_set_from_ending() {
    if !is_inside(Calls::All) {
        return;
    }
    let (fixture, outside) = mounted();
    let workspace = fixture.open_with(Options { allow_other_mounts: true, ..Options::default() });
    let applied = fixture.apply_on(&workspace, vec![fixture.delete("dir/target")]);
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
    assert_eq!(std::fs::read_dir(&outside).expect("there").count(), 0, "the file is gone");
    assert!(fixture.at("dir").is_dir(), "the mount point stays");
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}
