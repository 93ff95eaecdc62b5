//! Directories that a set empties and that nobody may remove.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]

mod common;

use atomic_fs::*;
use common::{Fixture, set_mode};
use rstest::rstest;

/// Whether permission bits bind this process: they do not bind root, for whom the test runs again as
/// nobody in particular.
fn is_bound_by_modes() -> bool {
    #[cfg(target_os = "linux")]
    if rustix::process::geteuid().is_root() {
        return common::namespaces::is_inside(&["--user"]);
    }
    !rustix::process::geteuid().is_root()
}

#[rstest]
fn an_emptied_directory_in_a_read_only_one_stays_and_the_set_ends(
    #[values(false, true)] is_killed_before_tidying: bool,
) {
    if !is_bound_by_modes() {
        return;
    }
    let fixture = Fixture::default();
    fixture.put("locked/inner/file", b"old");
    fixture.put("free/inner/file", b"old");
    set_mode(&fixture.at("locked"), 0o555);
    let changes = vec![fixture.delete("locked/inner/file"), fixture.delete("free/inner/file")];
    if is_killed_before_tidying {
        let workspace = fixture.open();
        let lock = workspace.lock().expect("free");
        let applied = workspace.apply(&lock, &common::set(changes), &fixture.contents());
        assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
        drop(lock);
        let recovered = fixture.recover();
        assert_eq!(recovered[0].outcome, RecoveredOutcome::Committed, "{recovered:?}");
    } else {
        let applied = fixture.apply(changes);
        assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
    }
    let (stays, goes) = (fixture.at("locked/inner"), fixture.at("free"));
    // So that the folder can be removed in the end.
    set_mode(&fixture.at("locked"), 0o755);
    assert!(stays.is_dir(), "what may not be removed stays");
    assert_eq!(std::fs::read_dir(&stays).expect("readable").count(), 0, "its file is gone");
    assert!(!goes.exists(), "what may be removed is removed");
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}
