//! Runs that are killed while they begin a view.

use std::fs;
use std::process::Command;

use end_to_end::Fixture;
use rstest::rstest;

use super::{LIST, run, step, workspace_for};
use crate::running::pending;

/// A session with something to import, something to drop and something to keep, and one more patch.
fn with_everything(view: &str) -> Option<Fixture> {
    let fixture = workspace_for(view)?;
    step(&fixture, "auto", "run echo two >> f; echo x > rejected; rm g");
    step(&fixture, "auto", "reject rejected");
    step(
        &fixture,
        "auto",
        "run rm -r d; echo x > d; mkdir n; echo m > n/m; echo p > n/p.log; mkfifo fifo
        rm -r mixed; mkdir mixed; echo q > mixed/q; echo three >> f; ln -s f l",
    );
    step(&fixture, "auto", "put h new");
    Some(fixture)
}

const AFTER: &str = "cat n/p.log; test -p fifo; ls mixed";

/// Kills a run before some of its calls of this name: `KILLS` of them, spread over all, or 2.
#[rstest]
#[case::written("rename")]
#[case::opened("openat")]
#[case::removed("unlink")]
#[case::directory_removed("rmdir")]
#[case::directory_merged("removexattr")]
#[case::hidden("mknodat")]
#[case::made_durable("fsync")]
#[case::directory_made("mkdir")]
fn a_run_that_is_killed_while_it_begins_loses_nothing(
    #[case] call: &str,
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = with_everything(view) else { return };
    let log = fixture.beside("calls");
    let traced = |fixture: &Fixture, trace: &str| {
        let run = fixture.command(["run", "--session", "agent", "--", "true"]);
        let mut command = Command::new("strace");
        command.arg("-o").arg(&log).args(["-e", trace]).arg(run.get_program());
        command.args(run.get_args()).current_dir(fixture.workspace());
        command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.output()
    };
    if !traced(&fixture, &format!("trace={call}")).is_ok_and(|ran| ran.status.success()) {
        println!("skipped: strace is not installed, or may not trace");
        return;
    }
    let calls = fs::read_to_string(&log).expect("it was written");
    let calls = calls.lines().filter(|line| line.starts_with(call)).count();
    if calls == 0 && view == "without" {
        println!("skipped: nothing hides anything in a copy");
        return;
    }
    let expected = pending(&fixture.status());
    let listed = run(&fixture, "auto", &format!("{LIST}; {AFTER}")).expect(0).stdout;
    let kills = std::env::var("KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(2).min(calls);
    let mut killed = 0;
    for at in (0..kills).map(|n| 1 + (2 * n + 1) * (calls - 1) / (2 * kills)) {
        let Some(fixture) = with_everything(view) else { return };
        let inject = format!("inject={call}:signal=KILL:when={at}");
        // A run makes a few calls more or less.
        if traced(&fixture, &inject).expect("it was run").status.success() {
            continue;
        }
        killed += 1;
        let status = fixture.run(["status", "--json"]).expect(0);
        assert_eq!(pending(&status.json()), expected, "{inject}: {}", status.stderr);
        let again = run(&fixture, "auto", &format!("{LIST}; {AFTER}")).expect(0);
        let (seen, listed) =
            (String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&listed));
        assert_eq!(seen, listed, "{inject}: {}", again.stderr);
        assert_eq!(pending(&fixture.status()), expected, "{inject}");
    }
    assert!(killed > 0, "no kill has hit a {call}");
}
