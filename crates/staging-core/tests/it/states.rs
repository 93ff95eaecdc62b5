//! Finding the state of a workspace: after a move, at another path, and not for another directory.

use std::fs;
use std::path::{Path, PathBuf};

use staging_core::{
    DiskOwner, StagingError, StagingOptions, StateFound, WorkspaceState, adopt_state, find_state,
    first_used, first_with_work, known_states,
};

use crate::world::write;

/// A folder for states, and one for workspaces.
struct Folders(tempfile::TempDir);

impl Folders {
    fn new() -> Self {
        let places = Self(tempfile::tempdir().expect("a temporary directory"));
        fs::create_dir(places.base()).expect("made");
        places
    }

    fn base(&self) -> PathBuf {
        self.0.path().join("states")
    }

    fn root(&self, name: &str) -> PathBuf {
        let root = fs::canonicalize(self.0.path()).expect("it is there").join(name);
        if !root.exists() {
            fs::create_dir(&root).expect("made");
        }
        root
    }

    fn find(&self, root: &Path) -> WorkspaceState {
        find_state(&self.base(), root).expect("it can be looked for")
    }

    fn open(&self, root: &Path) -> DiskOwner {
        DiskOwner::open(StagingOptions::new(root, self.find(root).dir)).expect("opened")
    }

    /// A workspace with a state in which a patch is pending.
    fn used(&self, name: &str) -> (PathBuf, PathBuf) {
        let root = self.root(name);
        let layer = self.open(&root);
        let session = layer.open_session("agent").expect("opened").id;
        layer.propose(session, write("new", "content\n")).expect("staged");
        (root.clone(), self.find(&root).dir)
    }

    fn pending(&self, root: &Path) -> usize {
        let status = self.open(root).status().expect("a status");
        status.sessions.iter().map(|session| session.patches.len()).sum()
    }

    /// Changes a number in a state's record of its workspace.
    fn alter(&self, state: &Path, field: &str, change: impl FnOnce(i64) -> i64) {
        let path = state.join("workspace");
        let mut record: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).expect("it is there")).expect("JSON");
        let number = record[field].as_i64().expect("a number");
        record[field] = change(number).into();
        fs::write(path, record.to_string()).expect("written");
    }
}

#[test]
fn a_state_follows_its_directory_when_that_is_renamed() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    let moved = root.with_file_name("moved");
    fs::rename(&root, &moved).expect("renamed");
    let found = places.find(&moved);
    assert_eq!((&found.dir, found.found), (&state, StateFound::Moved { from: root.clone() }));
    assert_eq!(places.pending(&moved), 1);
    assert_eq!(places.find(&moved).found, StateFound::ByPath, "it is known there from now on");
    fs::rename(&moved, &root).expect("renamed back");
    assert_eq!(places.pending(&root), 1, "and back");
}

#[test]
fn another_directory_at_an_old_path_has_a_state_of_its_own() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    fs::rename(&root, root.with_file_name("moved")).expect("renamed");
    places.root("work");
    let found = places.find(&root);
    assert_eq!((found.found, found.dir == state), (StateFound::New, false));
    assert_eq!(places.pending(&root), 0);
    assert_eq!(places.find(&root).found, StateFound::ByPath);
    assert_eq!(places.pending(&root.with_file_name("moved")), 1);
    assert_eq!(places.find(&root).unclaimed, [], "it went where its directory went");
}

#[test]
fn the_state_of_a_replaced_directory_is_offered_to_the_new_one_and_not_adopted() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    fs::remove_dir(&root).expect("removed");
    places.root("work");
    let found = places.find(&root);
    let [unclaimed] = found.unclaimed.as_slice() else { panic!("one: {found:?}") };
    assert_eq!((&unclaimed.dir, &unclaimed.root, unclaimed.has_work), (&state, &root, true));
    assert_eq!(places.pending(&root), 0);
    assert_eq!(places.find(&root).unclaimed.len(), 1, "also beside a state of its own");
    adopt_state(&places.base(), &root, &state).expect("taken over");
    assert_eq!(places.find(&root).dir, state);
    assert_eq!(places.pending(&root), 1);
}

#[test]
fn adopting_a_state_is_refused_while_the_workspaces_own_has_pending_patches() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    fs::remove_dir(&root).expect("removed");
    let (_, own) = places.used("work");
    assert_ne!(own, state);
    let error = adopt_state(&places.base(), &root, &state).expect_err("refused");
    assert!(error.to_string().contains("apply or discard them first"), "{error}");
    assert_eq!(places.find(&root).dir, own);
}

#[test]
fn a_state_is_not_adopted_while_its_workspace_exists() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    let moved = root.with_file_name("moved");
    fs::rename(&root, &moved).expect("renamed");
    assert_eq!(places.pending(&moved), 1);
    places.root("work");
    let error = adopt_state(&places.base(), &root, &state).expect_err("refused");
    assert!(matches!(error, StagingError::StateDir { .. }), "{error}");
    assert_eq!(places.pending(&moved), 1);
}

#[test]
fn a_new_mount_of_the_same_directory_keeps_the_state() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    places.alter(&state, "device", |device| device + 1);
    let found = places.find(&root);
    assert_eq!((found.dir, found.found), (state, StateFound::ByPath));
    assert_eq!(places.pending(&root), 1);
}

#[test]
fn a_directory_with_a_reused_inode_is_another_directory() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    places.alter(&state, "born_ns", |born| born - 1);
    assert_eq!(places.find(&root).found, StateFound::New);
    assert_eq!(places.pending(&root), 0);
}

#[test]
fn a_snapshot_at_another_path_does_not_get_the_originals_state() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    // The same inode on another device, as in a snapshot of a subvolume.
    places.alter(&state, "device", |device| device + 1);
    let elsewhere = root.with_file_name("snapshot");
    fs::rename(&root, &elsewhere).expect("renamed");
    let found = places.find(&elsewhere);
    assert_eq!(found.found, StateFound::New);
    assert_eq!(found.unclaimed.len(), 1, "a person can say that it is the one");
    assert_eq!(places.pending(&elsewhere), 0);
}

#[test]
fn a_copy_has_a_state_of_its_own() {
    let places = Folders::new();
    let (root, _) = places.used("work");
    let copy = places.root("copy");
    assert_eq!(places.pending(&copy), 0);
    assert_eq!(places.pending(&root), 1);
}

#[test]
fn a_state_of_an_older_version_is_found_by_its_path_and_marked() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    fs::remove_file(state.join("workspace")).expect("as older versions left it");
    assert_eq!(places.find(&root).found, StateFound::ByPath);
    assert_eq!(places.pending(&root), 1);
    let moved = root.with_file_name("moved");
    fs::rename(&root, &moved).expect("renamed");
    assert_eq!(places.pending(&moved), 1, "from then on it is known");
}

#[test]
fn the_first_directory_whose_state_had_a_session_is_found() {
    let places = Folders::new();
    let (used, _) = places.used("used");
    let (looked_at, without) = (places.root("looked_at"), places.root("without"));
    drop(places.open(&looked_at));
    let first = |dirs: &[&Path]| {
        let found = first_used(&places.base(), dirs.iter().copied()).expect("looked for");
        found.map(Path::to_owned)
    };
    assert_eq!(first(&[&without, &looked_at, &used]), Some(used.clone()), "looking is no use");
    assert_eq!(first(&[&without, &looked_at]), None);
    let moved = used.with_file_name("moved");
    fs::rename(&used, &moved).expect("renamed");
    assert_eq!(first(&[&without, &moved]), Some(moved.clone()), "its state moved with it");
    // A used state counts as used also when nothing is left in it.
    let layer = places.open(&moved);
    layer.discard(&[], None).expect("discarded");
    drop(layer);
    assert_eq!(first(&[&moved]), Some(moved.clone()));
    let with_work = first_with_work(&places.base(), [moved.as_path()]).expect("looked for");
    assert_eq!(with_work, None, "but nothing waits in it");
}

#[test]
fn two_copies_of_a_state_are_refused_when_the_path_does_not_decide() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    fs::create_dir(state.with_extension("copy")).expect("made");
    fs::copy(state.join("workspace"), state.with_extension("copy").join("workspace"))
        .expect("copied");
    assert_eq!(places.find(&root).dir, state, "the path decides");
    let moved = root.with_file_name("moved");
    fs::rename(&root, &moved).expect("renamed");
    let error = find_state(&places.base(), &moved).expect_err("which one?");
    assert!(error.to_string().contains("one is a copy"), "{error}");
}

#[test]
fn a_state_that_is_named_for_another_directory_is_not_opened() {
    let places = Folders::new();
    let (_, state) = places.used("work");
    let other = places.root("other");
    let error = DiskOwner::open(StagingOptions::new(other, &state)).err().expect("refused");
    assert!(matches!(error, StagingError::StateDir { .. }), "{error}");
    assert!(error.to_string().contains("belongs to another directory"), "{error}");
}

#[test]
fn states_with_an_interrupted_apply_are_listed_with_their_workspace() {
    let places = Folders::new();
    let (root, state) = places.used("work");
    let (gone, of_the_gone) = places.used("gone");
    fs::remove_dir(&gone).expect("removed");
    fs::write(of_the_gone.join("journal/x.journal"), "broken off").expect("written");
    let mut known = known_states(&places.base()).expect("listed");
    known.sort_by_key(|known| known.dir != state);
    assert_eq!(known.len(), 2);
    let shown: Vec<_> = known
        .iter()
        .map(|known| (known.root.as_deref(), known.is_there, known.needs_recovery))
        .collect();
    assert_eq!(shown, [(Some(root.as_path()), true, false), (Some(gone.as_path()), false, true)]);
}

#[test]
fn a_state_that_cannot_be_read_is_listed_with_its_problem() {
    let places = Folders::new();
    let (_, damaged) = places.used("damaged");
    let (root, _) = places.used("work");
    fs::remove_file(damaged.join("workspace")).expect("removed");
    fs::create_dir(damaged.join("workspace")).expect("made");
    let known = known_states(&places.base()).expect("listed");
    let problem = known.iter().find(|known| known.dir == damaged).expect("listed");
    assert!(problem.problem.is_some() && !problem.is_there, "{problem:?}");
    let other = known.iter().find(|known| known.root.as_deref() == Some(&root)).expect("listed");
    assert!(other.problem.is_none() && other.is_there, "{other:?}");
}
