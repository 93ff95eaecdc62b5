//! What an apply promises on a real file system, through the public door.
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]

mod common;

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::symlink;

use atomic_fs::*;
use common::interposed::{Hook, Interposed, Renames, Setup};
use common::{Fixture, kept_mode, mode_of, rel, set_mode};
use rstest::rstest;

fn committed(applied: &Applied) {
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
}

#[test]
fn every_operation_of_one_set_is_on_disk_when_it_answers() {
    let mut fixture = Fixture::default();
    for name in ["modify", "delete", "rename", "mode", "src/a"] {
        fixture.put(name, name.as_bytes());
    }
    let changes = vec![
        fixture.modify("modify", b"new\r\n"),
        fixture.delete("delete"),
        fixture.rename("rename", "far/away/renamed"),
        fixture.chmod("mode", kept_mode(0o555)),
        fixture.create("new/dir/created", b""),
        fixture.modify("src/a", b"\0\xff"),
    ];
    committed(&fixture.apply(changes));
    let tree: Vec<_> = fixture
        .tree()
        .into_iter()
        .filter_map(|(path, (mode, content))| Some((path, mode, content?)))
        .collect();
    let file = |name: &str, mode, content: &[u8]| (name.into(), kept_mode(mode), content.to_vec());
    assert_eq!(
        tree,
        [
            file("far/away/renamed", 0o644, b"rename"),
            file("mode", 0o555, b"mode"),
            file("modify", 0o644, b"new\r\n"),
            file("new/dir/created", 0o644, b""),
            file("src/a", 0o644, b"\0\xff"),
        ]
    );
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}

#[test]
fn two_files_can_trade_places() {
    let fixture = Fixture::default();
    fixture.put("a", b"A");
    fixture.put("b", b"B");
    committed(&fixture.apply(vec![fixture.rename("a", "b"), fixture.rename("b", "a")]));
    assert_eq!((fixture.read("a"), fixture.read("b")), (b"B".to_vec(), b"A".to_vec()));
    assert!(fixture.debris().is_empty(), "no debris");
}

#[test]
fn a_moved_file_can_make_way_for_a_new_one() {
    let mut fixture = Fixture::default();
    fixture.put("a", b"old");
    let changes = vec![fixture.create("a", b"new"), fixture.rename("a", "b")];
    committed(&fixture.apply(changes));
    assert_eq!((fixture.read("a"), fixture.read("b")), (b"new".to_vec(), b"old".to_vec()));
    assert!(fixture.debris().is_empty(), "no debris");
}

#[test]
fn a_file_can_make_way_for_a_directory() {
    let mut fixture = Fixture::default();
    fixture.put("module", b"old");
    let changes = vec![fixture.delete("module"), fixture.create("module/mod", b"new")];
    committed(&fixture.apply(changes));
    assert_eq!(fixture.read("module/mod"), b"new");
}

#[test]
fn a_rename_with_new_content_keeps_the_files_metadata() {
    let mut fixture = Fixture::default();
    fixture.put_mode("old", b"old", 0o640);
    let staged = Some(fixture.staged(b"new", kept_mode(0o640)));
    let operation = Operation::Rename { to: rel("sub/new"), staged };
    let change = Change { path: rel("old"), expected: fixture.base("old"), operation };
    committed(&fixture.apply(vec![change]));
    assert_eq!(fixture.read("sub/new"), b"new");
    assert!(!fixture.at("old").exists());
    assert_eq!(mode_of(&fs::metadata(fixture.at("sub/new")).expect("exists")), kept_mode(0o640));
}

#[cfg(unix)]
#[test]
fn extended_attributes_and_mode_survive_a_replacement() {
    let mut fixture = Fixture::default();
    fixture.put_mode("file", b"old", 0o604);
    let name = c"user.greenroom.test";
    let set =
        rustix::fs::setxattr(fixture.at("file"), name, b"kept", rustix::fs::XattrFlags::empty());
    let change = fixture.modify("file", b"new");
    committed(&fixture.apply(vec![change]));
    assert_eq!(mode_of(&fs::metadata(fixture.at("file")).expect("exists")), 0o604);
    if let Err(error) = set {
        assert_eq!(error, rustix::io::Errno::OPNOTSUPP, "only a lack of support excuses it");
        eprintln!("skipped: this file system has no user attributes");
    } else {
        let mut value = [0; 16];
        let used = rustix::fs::getxattr(fixture.at("file"), name, &mut value[..]).expect("kept");
        assert_eq!(&value[..used], b"kept");
    }
}

#[rstest]
#[case::content(|f: &Fixture| fs::write(f.at("b"), "user").expect("writable"), Difference::Content)]
#[case::mode(|f: &Fixture| set_mode(&f.at("b"), 0o400), Difference::Mode)]
#[case::missing(|f: &Fixture| fs::remove_file(f.at("b")).expect("there"), Difference::Missing)]
#[case::kind(|f: &Fixture| { fs::remove_file(f.at("b")).expect("there"); fs::create_dir(f.at("b")).expect("writable"); }, Difference::Kind)]
fn an_edit_before_the_apply_stops_the_whole_set(
    #[case] edit: fn(&Fixture),
    #[case] difference: Difference,
) {
    let mut fixture = Fixture::default();
    fixture.put("a", b"a");
    fixture.put("b", b"b");
    let changes =
        vec![fixture.modify("a", b"A"), fixture.modify("b", b"B"), fixture.create("c", b"C")];
    edit(&fixture);
    let before = fixture.tree();
    let applied = fixture.apply(changes);
    let Outcome::Conflicts(conflicts) = applied.outcome else { panic!("{:?}", applied.outcome) };
    assert_eq!(conflicts, [Conflict { path: rel("b"), difference }]);
    assert_eq!(fixture.tree(), before, "nothing changed");
    assert!(fixture.debris().is_empty(), "no debris");
}

#[test]
fn a_touch_is_no_change() {
    let mut fixture = Fixture::default();
    fixture.put("a", b"a");
    let change = fixture.modify("a", b"A");
    fs::write(fixture.at("a"), b"a").expect("writable");
    committed(&fixture.apply(vec![change]));
}

#[test]
fn a_create_never_clobbers() {
    let mut fixture = Fixture::default();
    let change = fixture.create("a", b"A");
    fixture.put("a", b"user");
    let applied = fixture.apply(vec![change]);
    assert!(matches!(applied.outcome, Outcome::Conflicts(_)), "{:?}", applied.outcome);
    assert_eq!(fixture.read("a"), b"user");
}

#[test]
fn damaged_staged_content_is_refused_with_nothing_changed() {
    let mut fixture = Fixture::default();
    fixture.put("a", b"a");
    fixture.put("b", b"b");
    let changes = vec![fixture.modify("a", b"good"), fixture.modify("b", b"fine")];
    fixture.memory.0.insert(Digest::of(b"fine"), b"torn".to_vec());
    let before = fixture.tree();
    let applied = fixture.apply(changes);
    assert!(
        matches!(applied.outcome, Outcome::RolledBack(FsError::DamagedContent { .. })),
        "{:?}",
        applied.outcome
    );
    assert_eq!(fixture.tree(), before);
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}

#[cfg(unix)]
#[test]
fn what_leads_out_or_is_protected_is_refused() {
    let mut fixture = Fixture::default();
    let outside = fixture.folder.path().join("outside");
    fs::create_dir(&outside).expect("writable");
    fs::write(outside.join("secret"), b"secret").expect("writable");
    symlink(&outside, fixture.at("out")).expect("writable");
    symlink("../outside/secret", fixture.at("leaf")).expect("writable");
    symlink("loop", fixture.at("loop")).expect("writable");
    fs::create_dir(fixture.at(".git")).expect("writable");
    symlink(".git", fixture.at("hidden")).expect("writable");
    fixture.put("file", b"file");
    fs::hard_link(fixture.at("file"), fixture.at("twin")).expect("same device");
    let workspace = fixture.open();
    for path in ["out/secret", "leaf", "loop", ".git/config", ".GIT/x", "hidden/config", "file/x"] {
        let refused = workspace.resolve(&rel(path));
        assert!(matches!(refused, Err(FsError::Refused { .. })), "{path}: {refused:?}");
        let change = fixture.create(path, b"x");
        let applied = fixture.apply(vec![change]);
        assert!(!matches!(applied.outcome, Outcome::Committed), "{path} was written");
    }
    let change = fixture.modify("file", b"x");
    let applied = fixture.apply(vec![change]);
    assert!(
        matches!(
            applied.outcome,
            Outcome::RolledBack(FsError::Refused { refusal: Refusal::HardLinks { .. }, .. })
        ),
        "{:?}",
        applied.outcome
    );
    assert_eq!(fs::read(outside.join("secret")).expect("there"), b"secret");
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 1, "nothing was written outside");
}

#[cfg(unix)]
#[test]
fn a_symlink_inside_means_its_target() {
    let fixture = Fixture::default();
    fixture.put("real/file", b"x");
    symlink("real", fixture.at("dir")).expect("writable");
    symlink(fixture.at("real/file"), fixture.at("absolute")).expect("writable");
    let workspace = fixture.open();
    for path in ["dir/file", "absolute", "real/file"] {
        assert_eq!(workspace.resolve(&rel(path)).expect("inside"), rel("real/file"), "{path}");
    }
    assert_eq!(workspace.resolve(&rel("dir/new/x")).expect("inside"), rel("real/new/x"));
}

#[test]
fn contradictory_sets_are_refused() {
    let mut fixture = Fixture::default();
    fixture.put("a", b"a");
    fixture.put("b", b"b");
    let twice = vec![fixture.modify("a", b"1"), fixture.delete("a")];
    let onto = vec![fixture.rename("a", "b"), fixture.modify("b", b"x")];
    let two_arrivals = vec![fixture.create("c", b"1"), fixture.rename("a", "c")];
    for changes in [twice, onto, two_arrivals, vec![]] {
        let before = fixture.tree();
        let applied = fixture.apply(changes);
        assert!(
            matches!(applied.outcome, Outcome::RolledBack(FsError::BadChangeSet { .. })),
            "{:?}",
            applied.outcome
        );
        assert_eq!(fixture.tree(), before);
    }
}

#[test]
fn a_set_of_two_thousand_files_is_applied_whole() {
    let mut fixture = Fixture::default();
    let mut changes = Vec::new();
    for index in 0..2_000 {
        let path = format!("d{}/f{index}", index % 7);
        changes.push(fixture.create(&path, format!("{index}").as_bytes()));
    }
    committed(&fixture.apply(changes));
    assert_eq!(fixture.read("d0/f1400"), b"1400");
    assert!(fixture.debris().is_empty(), "no debris");
}

#[cfg(target_os = "linux")]
#[rstest]
#[case::modify(|f: &mut Fixture| f.modify("a", b"A"))]
#[case::delete(|f: &mut Fixture| f.delete("a"))]
fn a_file_that_is_open_for_writing_is_busy(#[case] change: fn(&mut Fixture) -> Change) {
    let mut fixture = Fixture::default();
    fixture.put("a", b"a");
    let change = change(&mut fixture);
    let writer = fs::OpenOptions::new().append(true).open(fixture.at("a")).expect("writable");
    let before = fixture.tree();
    let applied = fixture.apply(vec![change.clone()]);
    let Outcome::RolledBack(FsError::Busy { path, process }) = applied.outcome else {
        panic!("{:?}", applied.outcome)
    };
    assert_eq!(path, rel("a"));
    let own_id = format!("(process {})", std::process::id());
    assert!(process.is_some_and(|process| process.ends_with(&own_id)), "it says who");
    assert_eq!(fixture.tree(), before, "nothing changed");
    drop(writer);
    committed(&fixture.apply(vec![change]));
}

fn nobody() -> Hook {
    Box::new(|_, _| Ok(()))
}

/// Everything but the replacement of a file does without rename flags.
#[test]
fn a_file_system_without_rename_flags_still_creates_deletes_and_moves() {
    let mut fixture = Fixture::default();
    fixture.put("delete", b"D");
    fixture.put("rename", b"R");
    let changes = vec![
        fixture.create("new/file", b"N"),
        fixture.delete("delete"),
        fixture.rename("rename", "renamed"),
    ];
    let setup = Setup { renames: Renames::NoFlags, ..Setup::default() };
    committed(&fixture.apply_on(&Interposed::workspace(&fixture, nobody(), setup), changes));
    assert_eq!((fixture.read("new/file"), fixture.read("renamed")), (b"N".to_vec(), b"R".to_vec()));
    assert!(!fixture.at("delete").exists() && !fixture.at("rename").exists());
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}

#[rstest]
fn a_file_system_without_exchange_is_refused_until_the_user_allows_to_do_without(
    #[values(Renames::NoExchange, Renames::NoFlags)] renames: Renames,
) {
    let mut fixture = Fixture::default();
    fixture.put("a", b"old");
    let changes = vec![fixture.modify("a", b"new"), fixture.create("b", b"B")];
    let before = fixture.tree();
    let setup = Setup { renames, ..Setup::default() };
    let workspace = Interposed::workspace(&fixture, nobody(), setup.clone());
    let refused = fixture.apply_on(&workspace, changes.clone());
    let Outcome::RolledBack(error @ FsError::NoExchange { .. }) = refused.outcome else {
        panic!("{:?}", refused.outcome)
    };
    assert!(error.to_string().contains("allow_move_aside"), "it says what to do: {error}");
    assert_eq!(fixture.tree(), before);
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
    let options = Options { allow_move_aside: true, ..Options::default() };
    let workspace = Interposed::workspace(&fixture, nobody(), Setup { options, ..setup });
    committed(&fixture.apply_on(&workspace, changes));
    assert_eq!((fixture.read("a"), fixture.read("b")), (b"new".to_vec(), b"B".to_vec()));
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}

/// The user saves one of many files after all of them were checked: its swap fails while
/// others are under way.
#[test]
fn a_conflict_among_many_swaps_in_flight_takes_all_of_them_back() {
    let mut fixture = Fixture::default();
    let names: Vec<String> = (0..200).map(|index| format!("d{}/f{index}", index % 7)).collect();
    for name in &names {
        fixture.put(name, name.as_bytes());
    }
    let changes = names.iter().map(|name| fixture.modify(name, b"staged")).collect();
    let edited = fixture.at(&names[77]);
    let saved = std::sync::atomic::AtomicBool::new(false);
    let hook: Hook = Box::new(move |_, call| {
        if call == "exchange" && !saved.swap(true, std::sync::atomic::Ordering::SeqCst) {
            // By a new file, since a save in place would wait for the lease.
            fs::write(edited.with_extension("swp"), b"saved by the user")?;
            fs::rename(edited.with_extension("swp"), &edited)?;
        }
        Ok(())
    });
    let setup = Setup { in_flight: 8, ..Setup::default() };
    let applied = fixture.apply_on(&Interposed::workspace(&fixture, hook, setup), changes);
    let Outcome::Conflicts(conflicts) = applied.outcome else { panic!("{:?}", applied.outcome) };
    assert_eq!(conflicts.iter().map(|c| c.path.clone()).collect::<Vec<_>>(), [rel(&names[77])]);
    for name in &names {
        let expected: &[u8] =
            if *name == names[77] { b"saved by the user" } else { name.as_bytes() };
        assert_eq!(fixture.read(name), expected, "{name}");
    }
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
    assert!(fixture.displaced_edits().is_empty(), "theirs is in its place");
}

#[test]
fn directories_that_a_set_made_are_reported_and_can_be_removed_while_they_are_empty() {
    let mut fixture = Fixture::default();
    fixture.put("there/file", b"F");
    let changes = vec![
        fixture.create("there/new/deep/a", b"A"),
        fixture.create("other/b", b"B"),
        fixture.create("there/c", b"C"),
    ];
    let applied = fixture.apply(changes);
    let mut made = applied.made_dirs.clone();
    made.sort();
    assert_eq!(made, [rel("other"), rel("there/new"), rel("there/new/deep")]);
    let deletions = ["there/new/deep/a", "other/b", "there/c"].map(|path| fixture.delete(path));
    committed(&fixture.apply(deletions.into()));
    fixture.put("other/mine", b"the user's");
    let workspace = fixture.open();
    let lock = workspace.lock().expect("free");
    workspace.remove_empty_dirs(&lock, &made).expect("removes");
    assert!(!fixture.at("there/new").exists());
    assert_eq!(fixture.read("other/mine"), b"the user's");
    workspace.remove_empty_dirs(&lock, &made).expect("a second time, too");
}

/// On a file system that tells cases apart these are files of their own.
#[cfg(unix)]
#[rstest]
fn two_spellings_are_two_files_where_the_directory_tells_them_apart(
    #[values("New|NEW", "d/x|D/y", "there/\u{e9}|there/\u{c9}")] paths: &str,
) {
    let mut fixture = Fixture::default();
    fixture.put("there/a", b"");
    let (one, other) = paths.split_once('|').expect("two paths");
    let changes = vec![fixture.create(one, b"1"), fixture.create(other, b"2")];
    committed(&fixture.apply(changes));
    assert_eq!((fixture.read(one), fixture.read(other)), (b"1".to_vec(), b"2".to_vec()));
}

#[rstest]
fn two_spellings_of_one_name_are_refused_where_the_directory_takes_them_for_one(
    #[values("New|NEW", "d/x|D/y", "there/\u{e9}|there/\u{c9}")] paths: &str,
) {
    let mut fixture = Fixture::default();
    fixture.put("there/a", b"");
    let (one, other) = paths.split_once('|').expect("two paths");
    let changes = vec![fixture.create(one, b"1"), fixture.create(other, b"2")];
    let before = fixture.tree();
    let setup = Setup { folds_case: true, ..Setup::default() };
    let applied = fixture.apply_on(&Interposed::workspace(&fixture, nobody(), setup), changes);
    assert!(
        matches!(applied.outcome, Outcome::RolledBack(FsError::BadChangeSet { .. })),
        "{:?}",
        applied.outcome
    );
    assert_eq!(fixture.tree(), before);
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}

/// Something else may keep it busy than what a user has put there.
#[cfg(unix)]
#[test]
fn a_set_is_in_doubt_when_a_directory_that_it_made_cannot_be_removed() {
    let mut fixture = Fixture::default();
    fixture.put("a", b"old");
    let changes = vec![fixture.modify("a", b"new"), fixture.create("made/b", b"B")];
    let hook: Hook = Box::new(|_, call| match call {
        "exchange" => Err(std::io::Error::other("refused by the test")),
        "remove_dir" => Err(std::io::ErrorKind::ResourceBusy.into()),
        _ => Ok(()),
    });
    let workspace = Interposed::workspace(&fixture, hook, Setup::default());
    let applied = fixture.apply_on(&workspace, changes);
    assert!(matches!(applied.outcome, Outcome::InDoubt(_)), "{:?}", applied.outcome);
    fixture.recover();
    assert_eq!(fixture.read("a"), b"old");
    assert!(!fixture.at("made").exists(), "recovery removes it");
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}
