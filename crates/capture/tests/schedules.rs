//! A user and a command change the same files at the same time, by random schedules.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use capture::{Above, Clocks, Evidence, Exit, Snapshot, Upper, Verdict, View};
use support::{Fixture, Outcome, tick, words};

const FILES: [&str; 6] = ["a", "b", "c", "new", "d/a", "d/new"];

/// A generator that gives the same numbers on every machine: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// What a user does to a file; every write adds a line that is nowhere else.
fn user(path: &Path, line: &str, choice: usize) -> Outcome {
    let content = fs::read_to_string(path).unwrap_or_default() + line + "\n";
    match choice {
        0 | 1 => fs::write(path, content)?,
        2 | 3 => {
            // As most editors save.
            let beside = path.with_extension("beside");
            fs::write(&beside, content)?;
            fs::rename(beside, path)?;
        }
        4 => {
            let _ = fs::remove_file(path);
        }
        _ => {
            // Away and back, which leaves everything as it was.
            let aside = path.with_extension("aside");
            if fs::rename(path, &aside).is_ok() {
                fs::rename(aside, path)?;
            }
        }
    }
    Ok(())
}

/// What the command does to a file. No write drops a line that the command sees, and what it
/// removes it keeps in another file.
fn script(name: &str, line: &str, choice: usize) -> String {
    match choice {
        0 | 1 => format!("cat {name} > /dev/null 2>&1 || :"),
        2 | 3 => format!("echo {line} >> {name}"),
        4 => format!("cat {name} > t 2> /dev/null; echo {line} >> t; mv t {name}"),
        5 => format!("touch {name}"),
        _ => format!("cat {name} >> removed 2> /dev/null; rm -f {name}"),
    }
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// Checks the verdict of each change against what the files hold. Returns how many had a base.
fn check(
    fixture: &Fixture,
    view: &View,
    before: &Snapshot,
    first: &BTreeMap<String, String>,
    schedule: &[String],
) -> Result<usize, Box<dyn Error>> {
    let now = fixture.snapshot()?;
    let mut proven = 0;
    for (path, change) in fixture.changes(before)?.entries {
        let name = String::from_utf8_lossy(&path).into_owned();
        let inside =
            format!("/proc/{}/root{}", view.identity().keeper, fixture.workspace.display());
        let inside = fs::symlink_metadata(format!("{inside}/{name}"));
        let evidence = Evidence {
            seen: before,
            path: &path,
            lower: now.get(&path).copied(),
            upper: Upper::from(change),
            above: Above::InPlace,
            view_inode: inside.ok().map(|metadata| metadata.ino()),
            clocks: Clocks::Shared,
        };
        let on_disk = fs::read_to_string(fixture.workspace.join(&name));
        match evidence.verdict() {
            Verdict::Modify => {
                let known = fixture.read_upper(&name) + &fixture.read_upper("removed");
                let lost: Vec<_> = lines(&on_disk?).difference(&lines(&known)).cloned().collect();
                assert_eq!(lost, [""; 0], "`{name}` would lose lines of the user: {schedule:#?}");
                proven += 1;
            }
            Verdict::Delete => {
                let original = first.get(&name);
                assert_eq!(Some(&on_disk?), original, "`{name}` has changed: {schedule:#?}");
                proven += 1;
            }
            Verdict::Create => {
                assert!(on_disk.is_err(), "`{name}` is there: {schedule:#?}");
                proven += 1;
            }
            Verdict::Nothing => assert!(on_disk.is_err(), "`{name}` is there: {schedule:#?}"),
            Verdict::Stale => {}
        }
    }
    Ok(proven)
}

#[test]
fn no_line_of_the_user_is_lost_by_a_change_that_has_a_base() -> Outcome {
    let schedules: u64 = std::env::var("SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let mut proven = 0;
    for seed in 1..=schedules {
        let Some(fixture) =
            Fixture::new(&[("a", "1\n"), ("b", "2\n"), ("c", "3\n"), ("d/a", "4\n")])?
        else {
            return Ok(());
        };
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Without this, what was just written is never proven.
        tick();
        let first = FILES.map(|name| (name.to_owned(), fixture.read(name))).into();
        let before = fixture.snapshot()?;
        let mut view = fixture.start()?;
        let mut schedule = vec![format!("seed {seed}")];
        for number in 0..24 {
            let name = FILES[random.below(FILES.len())];
            let who = random.below(10);
            if who < 4 {
                let choice = random.below(6);
                schedule.push(format!("user {choice} {name}"));
                user(&fixture.workspace.join(name), &format!("user-{number}"), choice)?;
            } else if who < 9 {
                let script = script(name, &format!("command-{number}"), random.below(7));
                view.run(words(&["sh", "-c", &script]))?;
                assert_eq!(view.wait(None, None)?, Some(Exit::Code(0)), "{script}");
                schedule.push(script);
            } else if random.below(3) == 0 {
                schedule.push("refresh".to_owned());
                view.refresh()?;
            } else {
                schedule.push("tick".to_owned());
                tick();
            }
        }
        proven += check(&fixture, &view, &before, &first, &schedule)?;
    }
    // About half of the changes are of files that the user did not touch meanwhile.
    assert!(proven > usize::try_from(schedules)? / 2, "almost everything was stale: {proven}");
    Ok(())
}
