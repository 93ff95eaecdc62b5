//! A wrong clock removes no history; time that has passed does.
//!
//! A clock that jumps ahead is simulated by a store in which every time is earlier by that much.

use std::time::Duration;

use rstest::rstest;
use staging_core::{ApplyRequest, DiscardReason, PatchState, SessionState};

use crate::world::World;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const ENOUGH: Duration = Duration::from_secs(60);

/// A set that was applied, and a patch that is pending.
fn used() -> World {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    world.write(s, "a", "agent\n");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    // Releases the workspace's lock, for which layers that are opened later would wait.
    world.layer.tidy().expect("tidied");
    world.write(s, "b", "pending\n");
    world
}

/// Makes every recorded time earlier by this much, as after a jump of the clock.
fn jump(world: &World, ms: i64) {
    let store = world.store();
    for statement in [
        "UPDATE sessions SET created_ms = created_ms - ?1, active_ms = active_ms - ?1,
         expires_ms = expires_ms - ?1",
        "UPDATE patches SET created_ms = created_ms - ?1, updated_ms = updated_ms - ?1",
        "UPDATE applies SET started_ms = started_ms - ?1, ended_ms = ended_ms - ?1",
        "UPDATE meta SET value = value - ?1 WHERE name = 'age_clock_ms'",
    ] {
        store.execute(statement, [ms]).expect("the clock moved on");
    }
}

/// [`jump`], and so much time has passed since the system was started.
fn pass(world: &World, ms: i64) {
    jump(world, ms);
    let statement = "UPDATE meta SET value = value - ?1 WHERE name = 'age_since_boot_ms'";
    world.store().execute(statement, [ms]).expect("time has passed");
}

fn all_is_there(world: &World) {
    let again = world.again();
    let swept = again.sweep(ENOUGH).expect("swept");
    assert_eq!((swept.expired, swept.forgotten), (Vec::new(), 0));
    let status = again.status().expect("a status");
    assert_eq!(status.sessions[0].session.state, SessionState::Open);
    assert_eq!(status.sessions[0].patches.len(), 1);
    assert!(again.patch(staging_core::PatchId(1)).expect("kept").content_kept, "undo needs it");
}

#[rstest]
#[case::eight_days_ahead(&[8])]
#[case::ten_years_ahead(&[3_650])]
#[case::ten_years_back(&[-3_650])]
#[case::a_century_back(&[-36_500])]
#[case::there_and_back(&[8, -8, 8, -8])]
#[case::back_and_there(&[-3_650, 3_650])]
fn a_wrong_clock_removes_no_history(#[case] days: &[i64]) {
    let world = used();
    for days in days {
        jump(&world, days * DAY_MS);
        all_is_there(&world);
    }
    world.again().undo(None).expect("an apply of a moment ago can be undone");
    assert_eq!(world.disk("a").as_deref(), Some("base\n"));
}

#[test]
fn time_that_has_passed_expires_sessions_and_removes_history() {
    let world = used();
    pass(&world, DAY_MS - 60_000);
    all_is_there(&world);
    pass(&world, 120_000);
    let again = world.again();
    let pending = again.patch(staging_core::PatchId(2)).expect("kept for a while");
    assert_eq!(pending.reason, Some(DiscardReason::SessionExpired));
    let applied = again.patch(staging_core::PatchId(1)).expect("kept");
    assert!(applied.content_kept && applied.state == PatchState::Applied);
    pass(&world, 7 * DAY_MS);
    let again = world.again();
    again.sweep(ENOUGH).expect("swept");
    let forgotten = again.patch(staging_core::PatchId(1));
    assert!(forgotten.is_err() || !forgotten.expect("found").content_kept);
}

#[test]
fn a_session_expires_some_hours_of_use_after_a_month_without_power() {
    let world = used();
    let reboot = "UPDATE meta SET value = (value + 1) & 1023 WHERE name = 'age_boot'";
    jump(&world, 30 * DAY_MS);
    world.store().execute(reboot, []).expect("another boot");
    let uptime = "UPDATE meta SET value = 0 WHERE name = 'age_since_boot_ms'";
    world.store().execute(uptime, []).expect("of which nothing is known");
    let age = |world: &World| -> i64 {
        let age = "SELECT value FROM meta WHERE name = 'age_ms'";
        world.store().query_row(age, [], |row| row.get(0)).expect("noted")
    };
    drop(world.again());
    let after = age(&world);
    assert!(after >= DAY_MS / 2, "half a day of the month counts: {after}");
    pass(&world, DAY_MS);
    let session = world.again().find_session("agent").expect("in the history");
    assert_eq!(session.state, SessionState::Expired);
}
