//! What is not part of a change stays with its file, and nothing comes to it that it had not.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]

mod common;

use std::ffi::CStr;
use std::path::Path;

use atomic_fs::*;
use common::interposed::{Hook, Interposed, Setup};
use common::{Fixture, mode_of, rel};
use rustix::fs::{self as fs, IFlags, XattrFlags};
use rustix::io::Errno;

const ACCESS: &CStr = c"system.posix_acl_access";
const DEFAULT: &CStr = c"system.posix_acl_default";
const CAPABILITY: &CStr = c"security.capability";

/// An access control list as the kernel stores it: tag, permissions, id; acl(5).
fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// Owner, one more user, group, mask, others.
fn shared_with(user: u32, mask: u16, others: u16) -> Vec<u8> {
    const NONE: u32 = u32::MAX;
    list(&[(1, 7, NONE), (2, 7, user), (4, 5, NONE), (16, mask, NONE), (32, others, NONE)])
}

/// False, said in a line, where the file system or the user's rights do not let a test set it.
fn could_set(path: &Path, name: &CStr, value: &[u8]) -> bool {
    match fs::setxattr(path, name, value, XattrFlags::empty()) {
        Ok(()) => true,
        Err(error @ (Errno::OPNOTSUPP | Errno::PERM)) => {
            eprintln!("skipped: {} cannot be set here: {error}", name.to_string_lossy());
            false
        }
        Err(error) => panic!("{}: {error}", name.to_string_lossy()),
    }
}

fn attribute(path: &Path, name: &CStr) -> Option<Vec<u8>> {
    let mut value = [0; 256];
    match fs::getxattr(path, name, &mut value[..]) {
        Ok(used) => Some(value[..used].to_vec()),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => None,
        Err(error) => panic!("{}: {error}", name.to_string_lossy()),
    }
}

fn committed(applied: &Applied) {
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
}

fn mode(fixture: &Fixture, path: &str) -> u32 {
    mode_of(&std::fs::metadata(fixture.at(path)).expect("exists"))
}

#[test]
fn a_default_list_of_the_directory_does_not_come_to_a_replaced_file() {
    let mut fixture = Fixture::default();
    for name in ["d/plain", "d/moved", "d/failing"] {
        fixture.put_mode(name, b"secret", 0o640);
    }
    if !could_set(&fixture.at("d"), DEFAULT, &shared_with(65534, 7, 0)) {
        return;
    }
    let staged = Some(fixture.staged(b"changed", 0o640));
    let operation = Operation::Rename { to: rel("d/moved2"), staged };
    let moved = Change { path: rel("d/moved"), expected: fixture.base("d/moved"), operation };
    let changes = vec![fixture.modify("d/plain", b"changed"), moved];
    committed(&fixture.apply(changes));
    for path in ["d/plain", "d/moved2"] {
        assert_eq!(fixture.read(path), b"changed", "{path}");
        assert_eq!(attribute(&fixture.at(path), ACCESS), None, "{path}");
        assert_eq!(mode(&fixture, path), 0o640, "{path}");
    }
}

/// The slot lies in a directory that gives every new file a list with one more reader.
#[test]
fn at_no_call_can_a_slot_be_read_by_more_users_than_its_file() {
    let mut fixture = Fixture::default();
    fixture.put_mode("d/file", b"secret", 0o640);
    if !could_set(&fixture.at("d"), DEFAULT, &shared_with(65534, 7, 5)) {
        return;
    }
    let change = fixture.modify("d/file", b"changed");
    let dir = fixture.at("d");
    let looked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let looks = looked.clone();
    let hook: Hook = Box::new(move |_, call| {
        for entry in std::fs::read_dir(&dir)?.flatten() {
            if is_slot_name(entry.file_name().as_encoded_bytes()) {
                // The group bits are the mask of a list: without them it grants nothing.
                let (mode, list) = (mode_of(&entry.metadata()?), attribute(&entry.path(), ACCESS));
                let is_private = mode & 0o077 == 0 || (mode == 0o640 && list.is_none());
                assert!(is_private, "before {call}: mode {mode:o}, {list:?}");
                looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
        Ok(())
    });
    let workspace = Interposed::workspace(&fixture, hook, Setup::default());
    committed(&fixture.apply_on(&workspace, vec![change]));
    assert!(looked.load(std::sync::atomic::Ordering::SeqCst) > 3, "the slot was looked at");
}

#[test]
fn a_files_own_list_stays_under_a_default_list_of_its_directory() {
    let mut fixture = Fixture::default();
    fixture.put("d/file", b"old");
    let own = shared_with(65533, 5, 4);
    if !could_set(&fixture.at("d"), DEFAULT, &shared_with(65534, 7, 0))
        || !could_set(&fixture.at("d/file"), ACCESS, &own)
    {
        return;
    }
    let before = mode(&fixture, "d/file");
    let change = fixture.modify("d/file", b"new");
    committed(&fixture.apply(vec![change]));
    assert_eq!(attribute(&fixture.at("d/file"), ACCESS), Some(own));
    assert_eq!(mode(&fixture, "d/file"), before);
}

#[test]
fn a_created_file_gets_the_default_list_of_its_directory_with_the_approved_mode() {
    let mut fixture = Fixture::default();
    fixture.put("d/there", b"");
    if !could_set(&fixture.at("d"), DEFAULT, &shared_with(65534, 7, 0)) {
        return;
    }
    let changes = ["d/new", "d/deep/er/new"].map(|path| {
        let operation = Operation::Write(fixture.staged(b"new", 0o660));
        Change { path: rel(path), expected: Expected::Absent, operation }
    });
    committed(&fixture.apply(changes.into()));
    for path in ["d/new", "d/deep/er/new"] {
        assert_eq!(mode(&fixture, path), 0o660, "{path}");
        let list = attribute(&fixture.at(path), ACCESS).expect("as the system would give it");
        // The mask, fourth of the entries, allows what the group bits do.
        assert_eq!(list[4 + 3 * 8 + 2], 6, "{path}");
    }
}

/// `std` asks for 0666, as most programs do.
#[test]
fn a_new_files_mode_is_the_one_that_the_system_would_give_it() {
    let fixture = Fixture::default();
    for dir in ["with", "without"] {
        fixture.put(&format!("{dir}/there"), b"");
    }
    for (mask, others) in [(7, 5), (5, 0), (6, 6), (0, 0)] {
        if !could_set(&fixture.at("with"), DEFAULT, &shared_with(65534, mask, others)) {
            return;
        }
        for path in ["with/new", "with/deep/er/new"] {
            let workspace = fixture.open();
            let said = workspace.new_file_mode(&rel(path), 0o111).expect("readable");
            std::fs::create_dir_all(fixture.at(path).parent().expect("below the root"))
                .expect("writable");
            std::fs::write(fixture.at(path), "").expect("writable");
            assert_eq!(said, mode(&fixture, path), "{path}, {mask} {others}");
            std::fs::remove_file(fixture.at(path)).expect("ours");
        }
        let _ = std::fs::remove_dir_all(fixture.at("with/deep"));
    }
    let said = fixture.open().new_file_mode(&rel("without/new"), 0o640).expect("readable");
    assert_eq!(said, 0o640, "the umask decides");
}

#[test]
fn inode_flags_stay_with_a_replaced_file() {
    let mut fixture = Fixture::default();
    fixture.put("file", b"old");
    fixture.put("plain", b"old");
    let flags = |path: &str| {
        let file = std::fs::File::open(fixture.at(path)).expect("readable");
        fs::ioctl_getflags(&file)
    };
    let file = std::fs::File::open(fixture.at("file")).expect("readable");
    let chosen = IFlags::NODUMP | IFlags::NOATIME;
    let set = flags("file").and_then(|had| fs::ioctl_setflags(&file, had | chosen));
    if let Err(error) = set {
        eprintln!("skipped: no inode flags here: {error}");
        return;
    }
    let before = (flags("file"), flags("plain"));
    let changes = vec![fixture.modify("file", b"new"), fixture.modify("plain", b"new")];
    committed(&fixture.apply(changes));
    let flags = |path: &str| {
        let file = std::fs::File::open(fixture.at(path)).expect("readable");
        fs::ioctl_getflags(&file)
    };
    assert!(flags("file").expect("has flags").contains(chosen));
    assert_eq!((flags("file"), flags("plain")), before);
}

#[test]
fn an_immutable_file_is_refused_and_told_as_such() {
    let mut fixture = Fixture::default();
    fixture.put("file", b"old");
    let change = fixture.modify("file", b"new");
    let file = std::fs::File::open(fixture.at("file")).expect("readable");
    let had = fs::ioctl_getflags(&file).unwrap_or(IFlags::empty());
    if let Err(error) = fs::ioctl_setflags(&file, had | IFlags::IMMUTABLE) {
        eprintln!("skipped: no file can be made immutable here: {error}");
        return;
    }
    let applied = fixture.apply(vec![change]);
    fs::ioctl_setflags(&file, had).expect("the flag was set by us");
    assert!(
        matches!(
            applied.outcome,
            Outcome::RolledBack(FsError::Refused { refusal: Refusal::Immutable, .. })
        ),
        "{:?}",
        applied.outcome
    );
    assert_eq!(fixture.read("file"), b"old");
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}

/// A write to the file would clear them, and so does new content; a new mode does not.
#[test]
fn capabilities_do_not_go_to_new_content() {
    let mut fixture = Fixture::default();
    for name in ["changed", "moved", "kept", "mode"] {
        fixture.put_mode(name, b"old", 0o755);
    }
    // cap_net_raw+ep; capabilities(7), struct vfs_cap_data of revision 2.
    let mut value = (0x0200_0001_u32).to_le_bytes().to_vec();
    value.extend((1_u32 << 13).to_le_bytes());
    value.extend([0; 12]);
    for name in ["changed", "moved", "kept", "mode"] {
        if !could_set(&fixture.at(name), CAPABILITY, &value) {
            return;
        }
    }
    let staged = Some(fixture.staged(b"new", 0o755));
    let operation = Operation::Rename { to: rel("moved2"), staged };
    let moved = Change { path: rel("moved"), expected: fixture.base("moved"), operation };
    let same = Some(fixture.staged(b"old", 0o700));
    let operation = Operation::Rename { to: rel("kept2"), staged: same };
    let kept = Change { path: rel("kept"), expected: fixture.base("kept"), operation };
    let changes =
        vec![fixture.modify("changed", b"new"), moved, kept, fixture.chmod("mode", 0o700)];
    committed(&fixture.apply(changes));
    let has = |path| fixture.open().has_capabilities(&rel(path)).expect("readable");
    assert_eq!((has("changed"), has("mode"), has("nothing")), (false, true, false));
    assert_eq!(attribute(&fixture.at("changed"), CAPABILITY), None);
    assert_eq!(attribute(&fixture.at("moved2"), CAPABILITY), None);
    assert_eq!(attribute(&fixture.at("kept2"), CAPABILITY), Some(value.clone()), "same content");
    assert_eq!(attribute(&fixture.at("mode"), CAPABILITY), Some(value));
}

#[test]
fn a_mode_is_not_changed_where_a_file_has_another_name() {
    let fixture = Fixture::default();
    fixture.put("file", b"content");
    std::fs::create_dir(fixture.folder.path().join("outside")).expect("writable");
    let outside = fixture.folder.path().join("outside/file");
    std::fs::hard_link(fixture.at("file"), &outside).expect("one file system");
    let options = Options { allow_hard_links: true, ..Options::default() };
    let applied = fixture.apply_on(&fixture.open_with(options), vec![fixture.chmod("file", 0o600)]);
    assert!(
        matches!(
            applied.outcome,
            Outcome::RolledBack(FsError::Refused {
                refusal: Refusal::ModeOfHardLinks { links: 2 },
                ..
            })
        ),
        "{:?}",
        applied.outcome
    );
    assert_eq!(mode_of(&std::fs::metadata(&outside).expect("exists")), 0o644);
}

/// The name comes after the check, before the mode is changed.
#[test]
fn a_mode_is_not_changed_where_a_file_gets_another_name_meanwhile() {
    let mut fixture = Fixture::default();
    fixture.put("file", b"content");
    fixture.put("other", b"old");
    let changes = vec![fixture.modify("other", b"new"), fixture.chmod("file", 0o600)];
    let (file, link) = (fixture.at("file"), fixture.folder.path().join("outside"));
    let hook: Hook = {
        let link = link.clone();
        Box::new(move |_, call| match call {
            "exchange" => std::fs::hard_link(&file, &link).or(Ok(())),
            _ => Ok(()),
        })
    };
    let workspace = Interposed::workspace(&fixture, hook, Setup::default());
    let applied = fixture.apply_on(&workspace, changes);
    assert!(matches!(applied.outcome, Outcome::RolledBack(_)), "{:?}", applied.outcome);
    assert_eq!(mode_of(&std::fs::metadata(&link).expect("exists")), 0o644);
    assert_eq!(fixture.read("other"), b"old");
}

/// Moved out just before its mode is changed: the handle goes with it.
#[test]
fn a_file_that_is_moved_away_meanwhile_keeps_its_mode() {
    let fixture = Fixture::default();
    fixture.put("file", b"content");
    let (file, outside) = (fixture.at("file"), fixture.folder.path().join("outside"));
    let hook: Hook = {
        let outside = outside.clone();
        Box::new(move |_, call| match call {
            "set_mode" if file.exists() => std::fs::rename(&file, &outside),
            _ => Ok(()),
        })
    };
    let workspace = Interposed::workspace(&fixture, hook, Setup::default());
    let applied = fixture.apply_on(&workspace, vec![fixture.chmod("file", 0o600)]);
    assert!(matches!(applied.outcome, Outcome::Conflicts(_)), "{:?}", applied.outcome);
    assert_eq!(mode_of(&std::fs::metadata(&outside).expect("exists")), 0o644);
}

#[test]
fn two_names_of_one_file_are_not_changed_by_one_set() {
    let mut fixture = Fixture::default();
    fixture.put("one", b"old");
    std::fs::hard_link(fixture.at("one"), fixture.at("two")).expect("one file system");
    let changes = vec![fixture.modify("one", b"1"), fixture.modify("two", b"2")];
    let options = Options { allow_hard_links: true, ..Options::default() };
    let applied = fixture.apply_on(&fixture.open_with(options), changes);
    let Outcome::RolledBack(error @ FsError::BadChangeSet { .. }) = applied.outcome else {
        panic!("{:?}", applied.outcome)
    };
    assert!(error.to_string().contains("`one` and `two` are one file"), "{error}");
    assert_eq!((fixture.read("one"), fixture.read("two")), (b"old".to_vec(), b"old".to_vec()));
}
