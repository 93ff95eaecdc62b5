//! Tests of the watcher with real files.

#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

use std::fs;

use super::*;
use crate::DiskOwner;
use crate::options::StagingOptions;
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::stage::proposal::Proposal;

struct Scene {
    layer: DiskOwner,
    dir: tempfile::TempDir,
}

impl Scene {
    fn new(files: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = dir.path().join("work");
        fs::create_dir(&root).expect("ours");
        let mut options = StagingOptions::new(&root, dir.path().join("state"));
        options.follow_every = Duration::from_millis(5);
        let layer = DiskOwner::open(options).expect("opened");
        let scene = Self { layer, dir };
        for file in files {
            scene.put(file, "old\n");
        }
        scene
    }

    fn put(&self, file: &str, content: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("below the root")).expect("ours");
        fs::write(path, content).expect("ours");
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join("work").join(file)
    }

    fn propose(&self, file: &str) -> Patch {
        let session = self.layer.open_session("agent").expect("a session").id;
        let path = atomic_fs::RelPath::parse(file.as_bytes()).expect("a path");
        let proposal = Proposal::Write { path, content: b"new\n".to_vec(), mode: None };
        self.layer.propose(session, proposal).expect("staged").patch.expect("pending")
    }

    /// The patch's state in the store, without a check of its file.
    fn state(&self, patch: &Patch) -> PatchState {
        self.layer.patch(patch.id).expect("it is there").state
    }

    fn until_stale(&self, patch: &Patch) {
        for _ in 0..2_000 {
            let now = self.layer.patch(patch.id).expect("it is there");
            if now.reason == Some(DiscardReason::Stale) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the change of `{}` was not found", patch.path);
    }
}

#[test]
fn a_patch_becomes_stale_when_its_file_changes_and_others_stay_pending() {
    let scene = Scene::new(&["a", "d/b", "d/c"]);
    let (a, b) = (scene.propose("a"), scene.propose("d/b"));
    let watching = scene.layer.watch().expect("it watches");
    assert_eq!(watching.health(), WatchHealth::Watching { directories: 2 });
    // Proposed while it watches, in a directory that it watches.
    let c = scene.propose("d/c");
    scene.put("d/b", "the user's\n");
    scene.until_stale(&b);
    scene.put("d/c", "the user's\n");
    scene.until_stale(&c);
    assert_eq!(scene.state(&a), PatchState::Pending);
}

#[test]
fn a_change_between_the_proposal_and_the_watch_is_found() {
    let scene = Scene::new(&["a"]);
    let _watching = scene.layer.watch().expect("it watches");
    let a = scene.propose("a");
    scene.put("a", "the user's\n");
    scene.until_stale(&a);
}

#[test]
fn replacing_removing_and_changing_the_mode_make_a_patch_stale() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::new(&["replaced", "removed", "mode", "touched"]);
    let patches: Vec<Patch> =
        ["replaced", "removed", "mode"].map(|file| scene.propose(file)).to_vec();
    let touched = scene.propose("touched");
    let _watching = scene.layer.watch().expect("it watches");
    scene.put("other", "the user's\n");
    fs::rename(scene.path("other"), scene.path("replaced")).expect("ours");
    fs::remove_file(scene.path("removed")).expect("ours");
    fs::set_permissions(scene.path("mode"), fs::Permissions::from_mode(0o755)).expect("ours");
    scene.put("touched", "old\n");
    for patch in &patches {
        scene.until_stale(patch);
    }
    assert_eq!(scene.state(&touched), PatchState::Pending, "the content is unchanged");
}

#[test]
fn a_file_that_appears_in_a_new_directory_makes_a_create_stale() {
    let scene = Scene::new(&[]);
    let patch = scene.propose("new/deep/file");
    let _watching = scene.layer.watch().expect("it watches");
    scene.put("new/deep/file", "the user's\n");
    scene.until_stale(&patch);
}

#[test]
fn moving_a_directory_away_makes_patches_below_it_stale() {
    let scene = Scene::new(&["d/e/f"]);
    let patch = scene.propose("d/e/f");
    let _watching = scene.layer.watch().expect("it watches");
    fs::rename(scene.path("d"), scene.path("elsewhere")).expect("ours");
    scene.until_stale(&patch);
}

#[test]
fn beyond_the_limit_files_are_checked_every_second_and_health_reports_that() {
    let scene = Scene::new(&["a/x", "b/x", "c/x"]);
    let patches: Vec<Patch> = ["a/x", "b/x", "c/x"].map(|file| scene.propose(file)).to_vec();
    let watching = Watching::start(scene.layer.clone(), 2).expect("it watches what it can");
    assert!(matches!(watching.health(), WatchHealth::Polling { .. }), "{}", watching.health());
    for (patch, file) in patches.iter().zip(["a/x", "b/x", "c/x"]) {
        scene.put(file, "the user's\n");
        scene.until_stale(patch);
    }
}

#[test]
fn when_the_system_lost_events_everything_is_checked() {
    let mut changed = Changed::default();
    let lost = notify::Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan);
    assert!(changed.take(Ok(lost)) && changed.everything);
    let mut changed = Changed::default();
    assert!(changed.take(Err(notify::Error::generic("gone"))) && changed.everything);
}

#[test]
fn events_beside_pending_files_do_not_wake_the_watcher() {
    let mut changed = Changed::default();
    changed.interesting.insert(PathBuf::from("/w/a"));
    changed.directories.insert(PathBuf::from("/w"));
    for number in 0..10_000 {
        let event = notify::Event::new(notify::EventKind::Create(notify::event::CreateKind::File))
            .add_path(PathBuf::from(format!("/w/{number}")));
        assert!(!changed.take(Ok(event)));
    }
    for _ in 0..10_000 {
        let kind = notify::EventKind::Modify(notify::event::ModifyKind::Data(
            notify::event::DataChange::Any,
        ));
        changed.take(Ok(notify::Event::new(kind).add_path(PathBuf::from("/w/a"))));
    }
    assert_eq!(changed.drain().0.len(), 1, "no more than what is pending");
}
