//! A killed apply leaves every file old or new, and no debris once recovered.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::{Fixture, spawn};

const FILES: usize = 24;
const KILLS: u32 = 24;

fn old(file: usize) -> Vec<u8> {
    format!("old {file}\n").repeat(500).into_bytes()
}

fn new(file: usize) -> Vec<u8> {
    format!("new {file}\n").repeat(700).into_bytes()
}

fn name(file: usize) -> String {
    format!("dir{}/file{file}", file % 4)
}

/// Old files with a pending change for each, one of them a create and one a
/// delete.
fn stage() -> Fixture {
    let stage = Fixture::new();
    for file in 0..FILES {
        if file != 0 {
            stage.write(name(file), old(file));
        } else {
            std::fs::create_dir(stage.path("dir0")).expect("it is new");
        }
    }
    for file in 0..FILES - 1 {
        stage.propose(name(file), new(file));
    }
    stage.run(["propose", &name(FILES - 1), "--delete"]).expect(0);
    stage
}

fn files(stage: &Fixture) -> BTreeSet<PathBuf> {
    let tree = stage.tree();
    let files = tree
        .into_iter()
        .filter(|(path, entry)| entry.content.is_some() && !path.starts_with(".git"));
    files.map(|(path, _)| path).collect()
}

fn is_old(stage: &Fixture) -> bool {
    let names: BTreeSet<PathBuf> = (1..FILES).map(|file| name(file).into()).collect();
    files(stage) == names && (1..FILES).all(|file| stage.read(name(file)) == old(file))
}

fn is_new(stage: &Fixture) -> bool {
    let names: BTreeSet<PathBuf> = (0..FILES - 1).map(|file| name(file).into()).collect();
    files(stage) == names && (0..FILES - 1).all(|file| stage.read(name(file)) == new(file))
}

/// How long an apply takes here, so that the kills are spread over it.
fn apply_takes() -> Duration {
    let stage = stage();
    let begun = Instant::now();
    stage.run(["apply", "--yes"]).expect(0);
    assert!(is_new(&stage), "an apply that is not killed is whole");
    begun.elapsed()
}

#[test]
fn kill_9_during_apply_leaves_the_set_old_or_new() {
    let takes = apply_takes();
    let (mut stayed_old, mut became_new, mut recovered) = (0, 0, 0);
    for kill in 0..KILLS {
        let stage = stage();
        let mut command = stage.command(["apply", "--yes"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = spawn(&mut command);
        thread::sleep(takes * (kill + 1) / KILLS);
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");

        for file in 1..FILES - 1 {
            let found = stage.read(name(file));
            assert!(found == old(file) || found == new(file), "a half-written file was left");
        }
        stage.run(["recover"]).expect(0);
        assert!(is_old(&stage) || is_new(&stage), "all or none, no debris: {:?}", files(&stage));
        if is_new(&stage) {
            became_new += 1;
            assert_eq!(stage.pending(), 0, "what is on the disk is not pending");
        } else {
            stayed_old += 1;
            assert_eq!(stage.pending(), FILES, "what is not on the disk still waits");
            stage.run(["apply", "--yes"]).expect(0);
            assert!(is_new(&stage), "and can be applied");
        }
        let after = stage.tree();
        stage.run(["recover"]).expect(0);
        assert_eq!(stage.tree(), after, "recovering twice changes nothing the second time");
        stage.run(["log", "--verify"]).expect(0);
        recovered += usize::from(stage.events().iter().any(|event| event == "recovered"));
    }
    println!(
        "{KILLS} kills: {stayed_old} sets stayed old, {became_new} became new, {recovered} by recovery"
    );
}

#[test]
fn a_killed_proposer_loses_no_acknowledged_proposal() {
    let stage = Fixture::new();
    let begun = Instant::now();
    stage.propose("first", "first\n");
    let takes = begun.elapsed();
    for kill in 0..KILLS {
        stage.propose(format!("kept{kill}"), format!("{kill}\n"));
        let content = stage.beside("content");
        std::fs::write(&content, old(1)).expect("it is ours");
        let content = content.to_str().expect("a plain path");
        let mut command = stage.command(["propose", "shared", "--from", content]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = spawn(&mut command);
        thread::sleep(takes * (kill + 1) / KILLS);
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
    }
    stage.run(["recover"]).expect(0);
    for kill in 0..KILLS {
        let name = format!("kept{kill}");
        let seen = stage.run(["cat", &name, "--session", "cli"]).expect(0).stdout;
        assert_eq!(seen, format!("{kill}\n").as_bytes(), "every acknowledged proposal is there");
    }
    let seen = stage.run(["cat", "shared", "--session", "cli"]);
    assert!(seen.code == Some(1) || seen.stdout == old(1), "the killed one is whole or not there");
    stage.run(["log", "--verify"]).expect(0);
    stage.run(["apply", "--yes"]).expect(0);
}
