//! The processes of a view killed at any moment: what was written stays, and nothing else does.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

mod support;

use std::error::Error;
use std::fs;
use std::process::{Child, Stdio};

use capture::{Exit, Identity, ViewError, survivors};
use rustix::process::{Pid, Signal, kill_process};
use support::{Fixture, Outcome, until, words};

/// Writes numbered lines, and starts a daemon that does the same.
const WRITERS: &str =
    "echo $$ > id; (setsid sh -c 'n=0; while :; do n=$((n+1)); echo $n >> daemon; done' &)
    n=0; while :; do n=$((n+1)); echo $n >> command; done";

fn kill(id: u32) -> Outcome {
    let id = Pid::from_raw(i32::try_from(id)?).ok_or("it has an id")?;
    Ok(kill_process(id, Signal::KILL)?)
}

/// The number of whole lines, which must be 1, 2, 3 and so on.
fn count(fixture: &Fixture, name: &str) -> usize {
    let text = fs::read_to_string(fixture.state.join("upper").join(name)).unwrap_or_default();
    let whole = text.lines().take(text.matches('\n').count());
    let numbers: Vec<usize> = whole.map(|line| line.parse().unwrap_or(0)).collect();
    let expected: Vec<usize> = (1..=numbers.len()).collect();
    assert_eq!(numbers, expected, "`{name}` lost or mixed lines");
    numbers.len()
}

fn start(fixture: &Fixture) -> Result<(Child, Identity), Box<dyn Error>> {
    let identity = fixture.state.join("identity");
    let _ = fs::remove_file(&identity);
    let mut helper = fixture.helper(&["sh", "-c", WRITERS]);
    let helper = helper.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut found = None;
    until("the view is there", || {
        found = fs::read(&identity).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        found.is_some()
    });
    Ok((helper, found.ok_or("it was read")?))
}

/// Kills one process of a view after some lines were written, and checks what remains.
fn check(lines: usize, victim: impl Fn(&Child, &Identity) -> u32) -> Outcome {
    let Some(fixture) = Fixture::new(&[("command", ""), ("real", "x")])? else { return Ok(()) };
    let before = fixture.snapshot()?;
    let (mut helper, identity) = start(&fixture)?;
    until("both have written", || {
        count(&fixture, "command") >= lines && count(&fixture, "daemon") >= lines
    });
    let written = count(&fixture, "command");
    kill(victim(&helper, &identity))?;
    helper.wait()?;
    // The command ends with its keeper, and the daemon is found.
    until("the keeper has ended, and the command with it", || {
        let left = survivors(&identity).unwrap_or_default();
        left.iter().all(|process| process.id != identity.keeper) && left.len() <= 2
    });
    // Without a line, the daemon may not have begun.
    if lines > 0 {
        until("the command writes no more", || {
            let first = count(&fixture, "command");
            let daemon = count(&fixture, "daemon");
            until("the daemon writes on", || count(&fixture, "daemon") > daemon + 5);
            count(&fixture, "command") == first
        });
        assert!(!survivors(&identity)?.is_empty(), "the daemon writes, and is not found");
    }
    assert!(count(&fixture, "command") >= written, "what was written is there");
    for process in survivors(&identity)? {
        // One of these may be a child of the daemon that has ended since.
        let _ = kill(process.id);
    }
    until("nothing of the view is left", || survivors(&identity).is_ok_and(|left| left.is_empty()));
    let daemon = count(&fixture, "daemon");
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    assert!(!table.contains(fixture.state.to_str().ok_or("it is UTF-8")?), "no mount is left");
    assert_eq!(fixture.snapshot()?.iter().collect::<Vec<_>>(), before.iter().collect::<Vec<_>>());

    // Another view of the same upper directory goes on from there.
    let printed = fixture.shell("touch daemon; wc -l < daemon; cat real")?;
    assert_eq!(printed, format!("{daemon}\nx"));
    Ok(())
}

#[test]
fn killed_keepers_lose_nothing_and_leave_only_what_is_found() -> Outcome {
    for lines in [0, 1, 2, 7, 30, 101] {
        check(lines, |_, identity| identity.keeper)?;
    }
    Ok(())
}

#[test]
fn killed_parents_lose_nothing_and_leave_only_what_is_found() -> Outcome {
    for lines in [0, 1, 3, 11, 60] {
        check(lines, |helper, _| helper.id())?;
    }
    Ok(())
}

#[test]
fn a_killed_command_is_reported_and_what_it_left_is_ended() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let mut view = fixture.start()?;
    view.run(words(&["sh", "-c", WRITERS]))?;
    until("both have written", || count(&fixture, "command") > 0 && count(&fixture, "daemon") > 0);
    kill(fixture.read_upper("id").trim().parse()?)?;
    assert_eq!(view.wait(None, None)?, Some(Exit::Signal(9)));
    let stopped = view.stop(std::time::Duration::ZERO)?;
    assert!(!stopped.is_empty(), "the daemon went on");
    let daemon = count(&fixture, "daemon");
    assert_eq!(view.leftovers()?, []);
    assert_eq!(count(&fixture, "daemon"), daemon);
    Ok(())
}

#[test]
fn a_killed_keeper_is_reported() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let mut view = fixture.start()?;
    view.run(words(&["sleep", "1000"]))?;
    kill(view.identity().keeper)?;
    let error = view.wait(None, None).err().ok_or("there is no command any more")?;
    assert!(matches!(error, ViewError::KeeperEnded), "{error:?}");
    let error = view.refresh().err().ok_or("there is no keeper")?;
    assert!(matches!(error, ViewError::KeeperEnded), "{error:?}");
    assert_eq!(error.code(), 125);
    let identity = view.identity();
    until("the command has ended", || survivors(&identity).is_ok_and(|left| left.is_empty()));
    Ok(())
}

#[test]
fn a_view_that_is_dropped_ends_its_command() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let mut view = fixture.start()?;
    view.run(words(&["sleep", "1000"]))?;
    let identity = view.identity();
    assert_eq!(survivors(&identity)?.len(), 2);
    drop(view);
    until("the command has ended", || survivors(&identity).is_ok_and(|left| left.is_empty()));
    Ok(())
}
