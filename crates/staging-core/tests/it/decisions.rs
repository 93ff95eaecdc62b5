//! Each decision reaches its agent once, and at least once whatever dies.

use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

use staging_core::{ApplyRequest, Decision, PatchId, Selector, decision_lines};

use crate::world::World;

const AGENT: &str = "agent";

/// A world in which p1 is rejected.
fn rejected() -> World {
    let world = World::new();
    world.write(world.session(AGENT), "a", "new\n");
    world.layer.discard(&[Selector::Patch(PatchId(1))], Some("use tabs")).expect("rejected");
    world
}

#[test]
fn what_one_answer_is_about_to_report_no_other_process_reports() {
    let world = rejected();
    let other = world.again();
    let report = world.layer.take_decisions(AGENT).expect("read").expect("a decision");
    assert_eq!(report.decided[0].decision, Decision::Rejected);
    assert_eq!(other.take_decisions(AGENT).expect("read"), None);
    world.layer.set_undelivered(&report).expect("given back");
    let report = other.take_decisions(AGENT).expect("read").expect("a decision");
    other.set_delivered(&report).expect("recorded");
    assert_eq!(world.layer.take_decisions(AGENT).expect("read"), None);
}

#[test]
fn what_a_dead_process_was_about_to_report_is_reported_again() {
    let world = rejected();
    world.layer.take_decisions(AGENT).expect("read").expect("a decision");
    // The process of an earlier boot.
    let dead = "UPDATE patches SET claimed_by = '1.00000000_1_1/0'";
    world.store().execute(dead, []).expect("as it left it");
    let report = world.layer.take_decisions(AGENT).expect("read").expect("a decision");
    assert_eq!(report.decided.len(), 1);
}

#[test]
fn a_decision_that_is_made_while_an_earlier_one_is_reported_is_reported_too() {
    let world = World::new();
    world.write(world.session(AGENT), "a", "new\n");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    let report = world.layer.take_decisions(AGENT).expect("read").expect("a decision");
    world.layer.undo(None).expect("undone");
    world.layer.set_delivered(&report).expect("recorded");
    let report = world.layer.take_decisions(AGENT).expect("read").expect("the undo");
    assert_eq!(report.decided[0].decision, Decision::Undone);
}

#[test]
fn nobody_waits_for_what_an_answer_is_about_to_report() {
    let world = World::new();
    world.write(world.session(AGENT), "a", "new\n");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    world.layer.undo(None).expect("undone");
    let is_awaited = || {
        let is_decided = world.layer.is_any_decided(&[PatchId(1)]).expect("read");
        (is_decided, world.layer.has_unreported_decisions(AGENT).expect("read"))
    };
    assert_eq!(is_awaited(), (true, true));
    // An agent that has the answer may wait again before it is recorded that it was written.
    let report = world.layer.take_decisions(AGENT).expect("read").expect("the undo");
    assert_eq!(is_awaited(), (false, false));
    world.layer.set_undelivered(&report).expect("given back");
    assert_eq!(is_awaited(), (true, true));
    let report = world.layer.take_decisions(AGENT).expect("read").expect("the undo");
    world.layer.set_delivered(&report).expect("recorded");
    assert_eq!(is_awaited(), (false, false));
}

#[test]
fn what_was_delivered_and_not_read_is_reported_again() {
    let world = rejected();
    let report = world.layer.take_decisions(AGENT).expect("read").expect("a decision");
    world.layer.set_delivered(&report).expect("recorded");
    world.layer.set_undelivered(&report).expect("given back");
    let again = world.layer.take_decisions(AGENT).expect("read").expect("a decision");
    assert_eq!(again.decided, report.decided);
    // Another answer is about to report it, or has done so.
    world.layer.set_undelivered(&report).expect("given back");
    assert_eq!(world.layer.take_decisions(AGENT).expect("read"), None);
    world.layer.set_delivered(&again).expect("recorded");
    assert_eq!(world.layer.take_decisions(AGENT).expect("read"), None);
}

#[test]
fn what_is_given_back_stays_so_whatever_is_recorded_afterwards() {
    let world = rejected();
    let report = world.layer.take_decisions(AGENT).expect("read").expect("a decision");
    world.layer.set_undelivered(&report).expect("given back");
    world.layer.set_delivered(&report).expect("recorded");
    let again = world.layer.take_decisions(AGENT).expect("read").expect("a decision");
    assert_eq!(again.decided, report.decided);
}

#[test]
fn what_was_delivered_and_decided_again_is_reported_as_decided_last() {
    let world = World::new();
    world.write(world.session(AGENT), "a", "new\n");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    let report = world.layer.take_decisions(AGENT).expect("read").expect("a decision");
    world.layer.set_delivered(&report).expect("recorded");
    world.layer.undo(None).expect("undone");
    let undone = world.layer.take_decisions(AGENT).expect("read").expect("the undo");
    world.layer.set_delivered(&undone).expect("recorded");
    // The answer with the undo was read: the one before is of no use any more.
    world.layer.set_undelivered(&report).expect("given back");
    assert_eq!(world.layer.take_decisions(AGENT).expect("read"), None);
}

#[test]
fn the_agent_of_another_label_receives_nothing() {
    let world = rejected();
    assert_eq!(world.layer.take_decisions("another").expect("read"), None);
}

#[test]
fn an_expired_session_is_reported_to_the_next_one_of_its_label() {
    let world = World::new();
    world.write(world.session(AGENT), "a", "new\n");
    let late = "UPDATE sessions SET expires_age_ms = -1";
    world.store().execute(late, []).expect("a day later");
    world.layer.sweep(Duration::from_secs(60)).expect("swept");
    world.session(AGENT);
    let report = world.layer.take_decisions(AGENT).expect("read").expect("a decision");
    assert_eq!(
        decision_lines(&report.decided),
        "p1 a is discarded (the session expired); propose it again if it is still needed\n"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_decision_of_another_process_is_reported_to_whoever_watches_the_store() {
    let world = World::new();
    world.write(world.session(AGENT), "a", "new\n");
    let (sender, changed) = channel();
    let watching = sender.clone();
    let watch = world.layer.watch_store(move || {
        let _ = watching.send(());
    });
    watch.as_ref().expect("this system reports writes");
    let wait = Duration::from_secs(120);
    world.again().discard(&[Selector::Patch(PatchId(1))], None).expect("rejected");
    // The report may be about something before; the last one is about the decision.
    while !world.layer.has_unreported_decisions(AGENT).expect("read") {
        changed.recv_timeout(wait).expect("it is reported");
    }
    drop(watch);
    while changed.try_recv().is_ok() {}
    let (other_sender, other_changed) = channel();
    let other = world.layer.watch_store(move || {
        let _ = other_sender.send(());
    });
    for round in 0..5 {
        world.write(world.session(AGENT), "b", &format!("{round}\n"));
        other_changed.recv_timeout(wait).expect("another watch is called");
        while other_changed.try_recv().is_ok() {}
    }
    drop(other);
    // The channel is open, so it is empty because nobody is called any more.
    assert_eq!(changed.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
}
