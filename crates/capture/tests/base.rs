//! The user edits while a command runs: what the live view proves, and what a refresh shows.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;

use capture::{Above, Clocks, Evidence, Exit, Snapshot, Upper, Verdict, View};
use std::os::fd::AsFd as _;
use support::{Fixture, Outcome, tick, words};

/// A live view, and what the workspace was before it.
struct Live {
    fixture: Fixture,
    seen: Snapshot,
    view: View,
}

impl Live {
    fn start(files: &[(&str, &str)]) -> Result<Option<Self>, Box<dyn std::error::Error>> {
        let Some(fixture) = Fixture::new(files)? else { return Ok(None) };
        // What was written in the tick before is never proven.
        tick();
        let seen = fixture.snapshot()?;
        let view = fixture.start()?;
        Ok(Some(Self { fixture, seen, view }))
    }

    fn shell(&mut self, script: &str) -> Outcome {
        self.view.run(words(&["sh", "-c", script]))?;
        assert_eq!(self.view.wait(None, None)?, Some(Exit::Code(0)), "{script}");
        Ok(())
    }

    /// Writes as most editors do: beside, then renamed over.
    fn save(&self, name: &str, content: &str) -> Outcome {
        let beside = self.fixture.workspace.join(".beside");
        fs::write(&beside, content)?;
        fs::rename(beside, self.fixture.workspace.join(name))?;
        tick();
        Ok(())
    }

    fn write(&self, name: &str, content: &str) -> Outcome {
        fs::write(self.fixture.workspace.join(name), content)?;
        tick();
        Ok(())
    }

    fn verdict(&self, name: &str) -> Result<Verdict, Box<dyn std::error::Error>> {
        let changes = self.fixture.changes(&self.seen)?;
        let change = *changes.entries.get(name.as_bytes()).ok_or("no change")?;
        let keeper = self.view.identity().keeper;
        let workspace = self.fixture.workspace.display();
        let inside = fs::symlink_metadata(format!("/proc/{keeper}/root{workspace}/{name}"));
        let root = File::open(&self.fixture.workspace)?;
        let now = capture::survey(root.as_fd(), &mut |_, _| false)?.snapshot;
        let evidence = Evidence {
            seen: &self.seen,
            path: name.as_bytes(),
            lower: now.get(name.as_bytes()).copied(),
            upper: Upper::from(change),
            above: Above::InPlace,
            view_inode: inside.ok().map(|metadata| metadata.ino()),
            clocks: Clocks::Shared,
        };
        Ok(evidence.verdict())
    }
}

#[test]
fn a_change_of_what_nobody_else_touched_has_its_base() -> Outcome {
    let files = [("written", "1\n"), ("replaced", "1\n"), ("removed", "1\n")];
    let Some(mut live) = Live::start(&files)? else { return Ok(()) };
    live.shell("echo 2 >> written; echo 2 > t; mv t replaced; rm removed; echo 2 > created")?;
    assert_eq!(live.verdict("written")?, Verdict::Modify);
    assert_eq!(live.verdict("replaced")?, Verdict::Modify);
    assert_eq!(live.verdict("removed")?, Verdict::Delete);
    assert_eq!(live.verdict("created")?, Verdict::Create);
    Ok(())
}

/// The copy that the command appends to is younger than the save, and does not hold it.
#[test]
fn a_save_by_rename_that_the_command_did_not_see_makes_its_change_stale() -> Outcome {
    let Some(mut live) = Live::start(&[("a", "1\n")])? else { return Ok(()) };
    live.shell("cat a > /dev/null")?;
    live.save("a", "1\nuser\n")?;
    live.shell("echo command >> a")?;
    // The kernel may forget names by itself; then the command has seen the save.
    let holds_save = live.fixture.read_upper("a").contains("user");
    let expected = if holds_save { Verdict::Modify } else { Verdict::Stale };
    assert_eq!(live.verdict("a")?, expected, "the copy holds the save: {holds_save}");
    assert_eq!(live.fixture.read("a"), "1\nuser\n");
    Ok(())
}

#[test]
fn a_save_that_the_command_saw_is_the_base_of_its_change() -> Outcome {
    let files = [("in-place", "1\n"), ("renamed", "1\n")];
    let Some(mut live) = Live::start(&files)? else { return Ok(()) };
    live.shell("cat in-place > /dev/null")?;
    live.write("in-place", "1\nuser\n")?;
    live.save("renamed", "1\nuser\n")?;
    live.save("made", "user\n")?;
    live.shell("for name in in-place renamed made; do echo command >> $name; done")?;
    for name in ["in-place", "renamed", "made"] {
        assert_eq!(live.verdict(name)?, Verdict::Modify, "{name}");
        assert!(live.fixture.read_upper(name).ends_with("user\ncommand\n"), "{name}");
    }
    Ok(())
}

#[test]
fn a_save_after_the_command_changed_the_file_makes_the_change_stale() -> Outcome {
    let files = [("in-place", "1\n"), ("renamed", "1\n"), ("removed", "1\n"), ("gone", "1\n")];
    let Some(mut live) = Live::start(&files)? else { return Ok(()) };
    live.shell(
        "echo command >> in-place; echo command >> renamed; rm removed gone; echo 1 > both",
    )?;
    tick();
    live.write("in-place", "1\nuser\n")?;
    live.save("renamed", "1\nuser\n")?;
    live.save("removed", "user\n")?;
    live.save("both", "user\n")?;
    fs::remove_file(live.fixture.workspace.join("gone"))?;
    for name in ["in-place", "renamed", "removed", "both"] {
        assert_eq!(live.verdict(name)?, Verdict::Stale, "{name}");
    }
    assert_eq!(live.verdict("gone")?, Verdict::Nothing);
    Ok(())
}

#[test]
fn after_a_refresh_the_command_sees_what_the_user_saved() -> Outcome {
    let Some(mut live) = Live::start(&[("a", "1\n"), ("b", "1\n")])? else { return Ok(()) };
    live.shell("cat a b > /dev/null; ! cat made 2> /dev/null")?;
    live.save("a", "user\n")?;
    live.save("made", "user\n")?;
    live.view.refresh()?;
    live.shell("grep -q user a && grep -q user made && echo command >> a && echo command >> made")?;
    assert_eq!(live.fixture.read_upper("a"), "user\ncommand\n");
    assert_eq!(live.verdict("a")?, Verdict::Modify);
    assert_eq!(live.verdict("made")?, Verdict::Modify);
    Ok(())
}
