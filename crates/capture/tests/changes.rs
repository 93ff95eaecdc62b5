//! What the entries of an upper directory change, without a file system.

use std::collections::{BTreeMap, BTreeSet};

use capture::{
    Change, Changes, Entry, EntryKind, Kind, NotProposed, Origin, Snapshot, Stat, Timestamp,
};
use proptest::prelude::*;
use rstest::rstest;

fn stat(kind: Kind) -> Stat {
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    Stat {
        kind,
        mode,
        device: 1,
        inode: 1,
        size: 0,
        modified: Timestamp::default(),
        changed: Timestamp::default(),
        born: None,
    }
}

const NEW: EntryKind = EntryKind::File(Origin::New);
const COPIED: EntryKind = EntryKind::File(Origin::Lower);
const GONE: EntryKind = EntryKind::Whiteout;
const MERGED: EntryKind = EntryKind::Directory { opaque: false };
const OPAQUE: EntryKind = EntryKind::Directory { opaque: true };

/// The workspace: paths that end in `/` are directories, in `@` links, in `=` sockets.
fn workspace(paths: &[&str]) -> Snapshot {
    let entries = paths.iter().map(|path| {
        let (path, kind) = match path.as_bytes() {
            [path @ .., b'/'] => (path, Kind::Directory),
            [path @ .., b'@'] => (path, Kind::Symlink),
            [path @ .., b'='] => (path, Kind::Other),
            path => (path, Kind::File),
        };
        (path.into(), stat(kind))
    });
    Snapshot::new(Timestamp::default(), entries)
}

fn entry(kind: EntryKind) -> Entry {
    let of = match kind {
        EntryKind::File(_) => Kind::File,
        EntryKind::Directory { .. } | EntryKind::Unreadable => Kind::Directory,
        EntryKind::Symlink => Kind::Symlink,
        EntryKind::Whiteout | EntryKind::Special => Kind::Other,
    };
    Entry { kind, stat: stat(of) }
}

/// One line for each change: `+` written, `@` linked, `/` made, `-` removed, `!` not proposed.
fn lines(changes: &Changes) -> Vec<String> {
    let files = changes.entries.iter().map(|(path, change)| {
        let sign = match change {
            Change::Removed => '-',
            Change::Written(..) => '+',
            Change::Linked(_) => '@',
            Change::Made(_) => '/',
        };
        format!("{sign} {}", String::from_utf8_lossy(path))
    });
    let others = changes
        .not_proposed
        .iter()
        .map(|(path, reason)| format!("! {} {reason:?}", String::from_utf8_lossy(path)));
    files.chain(others).collect()
}

#[rstest]
#[case::written(&["a"], &[("a", COPIED), ("b", NEW)], &["+ a", "+ b"])]
#[case::removed(&["a"], &[("a", GONE)], &["- a"])]
#[case::removed_and_never_seen(&[], &[("a", GONE)], &["- a"])]
#[case::directory_removed(
    &["d/", "d/a", "d/e/", "d/e/b", "d0", "d-"], &[("d", GONE)], &["- d/a", "- d/e/b"])]
#[case::directory_without_files_removed(
    &["d/", "d/e/", "d/l@"], &[("d", GONE)],
    &["- d/e", "- d/l"])]
#[case::merged(&["d/", "d/a"], &[("d", MERGED), ("d/b", NEW)], &["+ d/b"])]
#[case::merged_and_untouched(&["d/", "d/a"], &[("d", MERGED)], &[])]
#[case::replaced_directory(
    &["d/", "d/a", "d/b", "d/e/", "d/e/c"], &[("d", OPAQUE), ("d/b", NEW)],
    &["+ d/b", "- d/a", "- d/e/c"])]
#[case::replaced_twice(
    &["d/", "d/e/", "d/e/c", "d/e/f"], &[("d", OPAQUE), ("d/e", OPAQUE), ("d/e/f", NEW)],
    &["+ d/e/f", "- d/e/c"])]
#[case::whiteout_in_a_replaced_directory(
    &["d/", "d/a"], &[("d", OPAQUE), ("d/a", GONE)], &["- d/a"])]
#[case::new_directory(&[], &[("d", MERGED), ("d/a", NEW)], &["+ d/a"])]
#[case::new_directory_beside_a_longer_name(
    &[], &[("d", MERGED), ("d-e", NEW)], &["+ d-e", "/ d"])]
#[case::new_empty_directory(&[], &[("d", MERGED)], &["/ d"])]
#[case::unreadable_directory(
    &["d/"], &[("d", EntryKind::Unreadable)], &["! d Unreadable"])]
#[case::file_to_directory(
    &["a"], &[("a", OPAQUE), ("a/b", NEW)], &["+ a/b", "- a"])]
#[case::file_to_empty_directory(&["a"], &[("a", OPAQUE)], &["/ a"])]
#[case::directory_to_file(&["d/", "d/a", "d/e/", "d/e/b"], &[("d", NEW)],
    &["+ d", "- d/a", "- d/e/b"])]
#[case::file_to_link(&["a"], &[("a", EntryKind::Symlink)], &["@ a"])]
#[case::directory_to_link(&["d/", "d/a"], &[("d", EntryKind::Symlink)], &["@ d", "- d/a"])]
#[case::link_removed(&["l@"], &[("l", GONE)], &["- l"])]
#[case::socket_made_and_socket_removed(
    &["s="], &[("s", GONE), ("t", EntryKind::Special)], &["! s Special", "! t Special"])]
#[case::link_to_file(&["l@"], &[("l", NEW)], &["+ l"])]
fn changes_are_those_of_files_links_and_directories(
    #[case] seen: &[&str],
    #[case] upper: &[(&str, EntryKind)],
    #[case] expected: &[&str],
) {
    let upper = upper.iter().map(|(path, kind)| (path.as_bytes().into(), entry(*kind))).collect();
    let mut found = lines(&Changes::new(&upper, &workspace(seen)));
    found.sort_by_key(|line| "+@/-!".find(&line[..1]));
    assert_eq!(found, expected);
}

#[test]
fn the_mode_of_a_directory_is_reported() {
    let mut changed = entry(MERGED);
    changed.stat.mode = 0o700;
    let upper = BTreeMap::from([(b"d"[..].into(), changed)]);
    let changes = Changes::new(&upper, &workspace(&["d/", "d/a"]));
    let expected = BTreeMap::from([(b"d"[..].into(), NotProposed::DirectoryMode)]);
    assert_eq!(changes, Changes { not_proposed: expected, ..Changes::default() });
}

/// A tree of at most three names on three levels; `leaf` gives what a path without children is.
fn trees<T: Clone + std::fmt::Debug + 'static>(
    leaf: impl Strategy<Value = T> + Clone + 'static,
    directory: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = BTreeMap<Box<[u8]>, T>> {
    type Tree<T> = BTreeMap<Box<[u8]>, T>;
    let level = |children: Option<BoxedStrategy<Tree<T>>>| {
        let (leaf, directory) = (leaf.clone(), directory.clone());
        let node = match children {
            None => leaf.prop_map(|leaf| (leaf, Tree::new())).boxed(),
            Some(children) => {
                prop_oneof![leaf.prop_map(|leaf| (leaf, Tree::new())), (directory, children),]
                    .boxed()
            }
        };
        prop::collection::btree_map(prop::sample::select(vec!["a", "a-", "b"]), node, 0..4)
            .prop_map(|nodes| {
                let mut tree = Tree::new();
                for (name, (value, below)) in nodes {
                    for (path, value) in below {
                        tree.insert([name.as_bytes(), b"/", &path].concat().into(), value);
                    }
                    tree.insert(name.as_bytes().into(), value);
                }
                tree
            })
            .boxed()
    };
    let lowest = level(None);
    let middle = level(Some(lowest));
    level(Some(middle))
}

fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at])
}

proptest! {
    /// The changes are exactly the difference between the workspace and the view, where the view is
    /// what overlayfs(5) makes of the two directories.
    #[test]
    fn each_file_and_link_that_the_view_lacks_is_removed_and_each_that_upper_holds_is_written(
        seen in trees(
            prop::sample::select(vec![Kind::File, Kind::Symlink]),
            Just(Kind::Directory),
        ),
        upper in trees(
            prop::sample::select(vec![NEW, COPIED, GONE, EntryKind::Symlink, EntryKind::Special]),
            prop::sample::select(vec![MERGED, OPAQUE]),
        ),
    ) {
        let upper: BTreeMap<Box<[u8]>, Entry> =
            upper.into_iter().map(|(path, kind)| (path, entry(kind))).collect();
        let entries = seen.iter().map(|(path, kind)| (path.clone(), stat(*kind)));
        let changes = Changes::new(&upper, &Snapshot::new(Timestamp::default(), entries));

        let hides = |path: &[u8]| upper.get(path).is_some_and(|entry| entry.kind != MERGED);
        // A merged directory on top of what is none hides that.
        let hidden = |path: &[u8], kind: Kind| {
            ancestors(path).any(hides) || upper.get(path).is_some_and(|over| {
                over.kind != MERGED || kind != Kind::Directory
            })
        };
        let mut removed: BTreeSet<&[u8]> = seen
            .iter()
            .filter(|(path, kind)| **kind != Kind::Directory && hidden(path, **kind))
            .map(|(path, _)| &**path)
            .collect();
        // What lies at such a path is written or listed instead.
        removed.retain(|path| upper.get(*path).is_none_or(|over| {
            matches!(over.kind, GONE | MERGED | OPAQUE)
        }));
        // A whiteout of what was never seen may hide what the user made since.
        removed.extend(upper.iter().filter(|(path, over)| {
            over.kind == GONE && !seen.contains_key(*path)
        }).map(|(path, _)| &**path));

        let found = |wanted: fn(&Change) -> bool| -> BTreeSet<&[u8]> {
            let files = changes.entries.iter().filter(|(_, change)| wanted(change));
            files.map(|(path, _)| &**path).collect()
        };
        let made = found(|change| matches!(change, Change::Made(_)));
        removed.retain(|path| !made.contains(path));
        let is_directory = |path: &&[u8]| seen.get(*path) == Some(&Kind::Directory);
        let (directories, files): (BTreeSet<&[u8]>, BTreeSet<&[u8]>) =
            found(|change| *change == Change::Removed).into_iter().partition(is_directory);
        prop_assert_eq!(files, removed);
        let holds_file = |directory: &[u8]| {
            seen.iter().any(|(path, kind)| {
                *kind != Kind::Directory && ancestors(path).any(|above| above == directory)
            })
        };
        let is_gone = |path: &[u8]| {
            hidden(path, Kind::Directory) && upper.get(path).is_none_or(|over| over.kind == GONE)
        };
        let emptied: BTreeSet<&[u8]> = seen
            .iter()
            .filter(|(path, kind)| **kind == Kind::Directory && is_gone(path) && !holds_file(path))
            .map(|(path, _)| &**path)
            .collect();
        prop_assert_eq!(directories, emptied);
        let written: BTreeSet<&[u8]> = upper
            .iter()
            .filter(|(_, over)| matches!(over.kind, EntryKind::File(_) | EntryKind::Symlink))
            .map(|(path, _)| &**path)
            .collect();
        prop_assert_eq!(found(|change| matches!(change, Change::Written(..) | Change::Linked(_))), written);
        for (path, over) in &upper {
            let listed = changes.not_proposed.contains_key(path);
            match over.kind {
                EntryKind::Special => prop_assert!(listed),
                EntryKind::File(_) | EntryKind::Symlink => {
                    prop_assert!(!listed, "a file is proposed, not listed");
                }
                _ => {}
            }
        }
    }
}
