//! What the explorer itself must be: thorough, repeatable, and able to see a broken promise.

use fault_explorer::atomic_fs::simulated::{Persistence, Renames};
use fault_explorer::counts::Counts;
use fault_explorer::fixture::Fixture;
use fault_explorer::phases::{Job, Obstacles, Phase};
use fault_explorer::plan::{Edit, How, Plan};
use fault_explorer::scenario::{CHAINS, Scenario};
use fault_explorer::trace::trace;
use fault_explorer::{case, oracle, runs};
use rstest::rstest;

fn explore(scenario: &str, phase: Phase) -> Counts {
    explore_over(Renames::All, scenario, phase)
}

fn explore_over(renames: Renames, scenario: &str, phase: Phase) -> Counts {
    let fixture = Fixture::new().expect("a temporary folder");
    let scenario = scenario.to_owned();
    let outcome = Job { scenario, renames, phase }.run(&fixture);
    if let Some(violation) = outcome.violation {
        let traced = trace(&violation.case, &fixture).expect("the scenario exists");
        panic!("{:?}\n{}", violation.broken, traced.text);
    }
    outcome.counts
}

fn crashes(model: Persistence, seed: u64) -> Phase {
    let obstacles = Obstacles::Moves;
    Phase::Crashes { model, obstacles, depth: 1, deeper_every: 5, cap: 40, seed }
}

#[rstest]
fn every_crash_of_every_kind_of_change_is_survived(
    #[values("M", "O", "C", "N", "D", "V", "A", "R", "X")] scenario: &str,
    #[values(Persistence::Kill, Persistence::Weak, Persistence::Ordered, Persistence::Treelog)]
    model: Persistence,
) {
    let counts = explore(scenario, crashes(model, 1));
    assert!(counts.states >= 10, "{counts:?}");
    assert!(counts.recoveries >= counts.states, "each state is recovered from: {counts:?}");
}

#[rstest]
#[case::faults(Phase::Faults)]
#[case::faults_in_recovery(Phase::FaultsInRecovery)]
#[case::damaged_content(Phase::DamagedContent)]
#[case::rollbacks(Phase::RacesInRollback)]
#[case::edits(Phase::RacesInPairs { model: Persistence::Kill, count: 20, seed: 3 })]
fn every_interference_is_survived(#[case] phase: Phase) {
    let counts = explore("MC", phase);
    assert!(counts.faults + counts.races > 0, "{counts:?}");
}

#[rstest]
#[case::a_directory_whose_sync_has_failed_is_not_believed(
    "M",
    Phase::Crashes {
        model: Persistence::Weak,
        obstacles: Obstacles::All,
        depth: 0,
        deeper_every: 0,
        cap: 40,
        seed: 1,
    }
)]
#[case::a_copy_that_was_cut_short_is_removed("M", Phase::RacesInPairs { model: Persistence::Kill, count: 150, seed: 1 })]
#[case::who_waits_to_write_writes_before_a_copy("D", Phase::RacesInPairs { model: Persistence::Kill, count: 150, seed: 1 })]
#[case::a_failure_leaves_no_path_empty("M", Phase::Faults)]
fn moving_aside_is_survived(
    #[case] scenario: &str,
    #[case] phase: Phase,
    #[values(Renames::NoExchange, Renames::Plain)] renames: Renames,
) {
    let counts = explore_over(renames, scenario, phase);
    assert!(counts.recoveries > 100, "{counts:?}");
}

/// What a killed process had not synced may still be lost once another one has recovered.
#[rstest]
fn a_power_cut_after_the_recovery_from_a_kill_is_survived(
    #[values("M", "C", "D", "V", "X")] scenario: &str,
    #[values(Persistence::Weak, Persistence::Ordered, Persistence::Treelog)] model: Persistence,
) {
    let obstacles = Obstacles::Moves;
    let phase = Phase::CutsAfterKills { model, obstacles, cap: 12, seed: 1 };
    let counts = explore(scenario, phase);
    assert!(counts.states >= 10 && counts.races > 0, "{counts:?}");
}

#[rstest]
fn two_faults_and_a_power_cut_are_survived(
    #[values(Persistence::Weak, Persistence::Ordered, Persistence::Treelog)] model: Persistence,
) {
    assert!(explore("M", Phase::FaultPairs { model }).faults > 1000);
}

/// A user gives a file the mode of a set that was taken back: the file keeps it.
#[rstest]
fn a_mode_that_is_set_after_the_answer_stays(
    #[values(Persistence::Kill, Persistence::Weak)] model: Persistence,
) {
    assert!(explore("X", Phase::ModesInRollback { model }).races > 1000);
}

/// Where two changes of one name reach the disk in any order, a path is freed durably first.
#[rstest]
fn a_file_that_makes_way_for_another_is_not_lost(
    #[values("onto-deleted", "create-onto-deleted", "rotation", "exchange", "file-to-directory")]
    scenario: &str,
) {
    explore(scenario, crashes(Persistence::Weak, 1));
}

/// The record that swaps have begun is durable before a user's version is given back.
#[rstest]
fn two_edits_and_a_power_cut_lose_neither(
    #[values(Persistence::Weak, Persistence::Ordered, Persistence::Treelog)] model: Persistence,
) {
    explore("M", Phase::RacesInPairs { model, count: 150, seed: 1 });
}

/// Moving to `conflicts/` takes the writers along; copying to another file system does not.
#[test]
fn who_waits_to_write_writes_before_a_copy_to_another_file_system() {
    let phase = Phase::RacesInPairs { model: Persistence::Kill, count: 150, seed: 1 };
    explore_over(Renames::NoExchange, "state-elsewhere", phase);
}

#[test]
fn the_same_seed_gives_the_same_counts() {
    let once = explore("rotation", crashes(Persistence::Weak, 7));
    assert_eq!(once, explore("rotation", crashes(Persistence::Weak, 7)));
}

#[test]
fn every_scenario_of_a_run_exists() {
    for effort in [runs::Effort::Quick, runs::Effort::Default, runs::Effort::Deep] {
        for job in runs::jobs(effort, 1, None) {
            assert!(Scenario::named(&job.scenario).is_some(), "{}", job.scenario);
        }
    }
    assert!(CHAINS.iter().all(|name| Scenario::named(name).is_some()));
    assert!(Scenario::named("no such letters").is_none());
}

#[test]
fn a_run_of_one_model_has_no_other() {
    let jobs = runs::jobs(runs::Effort::Quick, 1, Some(Persistence::Weak));
    assert!(!jobs.is_empty());
    // The others are about what becomes of slots after a power cut of the same model.
    let of_the_model = ["weak", "slots removed", "slots replaced"];
    assert!(jobs.iter().all(|job| of_the_model.contains(&job.phase.heading())));
}

/// A tree that is neither old nor new is seen by the oracle, whatever made it.
#[test]
fn half_a_set_is_a_broken_promise() {
    let fixture = Fixture::new().expect("a temporary folder");
    let scenario = Scenario::named("MM").expect("letters of kinds");
    let half = Scenario::named("MX").expect("letters of kinds");
    let terms = fault_explorer::fixture::Terms {
        leases: true,
        renames: Renames::All,
        has_old: true,
        described: false,
    };
    // The first of the two changes alone.
    let run = fixture.apply(&half, &scenario.image, &Plan::default(), terms);
    let recovered = fixture.recover(&scenario, &run.image, &Plan::default(), terms);
    let judged = oracle::Oracle::new(&scenario).after_recovery(
        &recovered,
        &oracle::Known::default(),
        Persistence::Kill,
    );
    let broken = judged.expect_err("one file is new, the other has only a new mode");
    assert_eq!(broken.promise, oracle::Promise::Whole);
}

#[test]
fn a_history_can_be_written_down_and_run_again() {
    let fixture = Fixture::new().expect("a temporary folder");
    let how = How::ByRename;
    let edit = Edit { path: "f0".to_owned(), how, content: "a user's own words\n".to_owned() };
    let written = case::Case {
        scenario: "M".to_owned(),
        model: Persistence::Kill,
        leases: true,
        renames: Renames::All,
        has_old: true,
        mutant: None,
        processes: vec![case::Process { plan: Plan::edit(20, edit), ..case::Process::default() }],
    };
    let json = serde_json::to_string(&written).expect("a history is plain data");
    let read: case::Case = serde_json::from_str(&json).expect("as it was written");
    assert_eq!(read, written);
    let traced = trace(&read, &fixture).expect("the scenario exists");
    assert_eq!(traced.broken, None, "{}", traced.text);
    assert!(traced.text.contains("user: ByRename f0"), "{}", traced.text);
}

#[test]
fn nothing_is_explored_after_the_deadline() {
    let fixture =
        Fixture::new().expect("a temporary folder").until(Some(std::time::Instant::now()));
    let scenario = "M".to_owned();
    let phase = crashes(Persistence::Kill, 1);
    let outcome = Job { scenario, renames: Renames::All, phase }.run(&fixture);
    assert_eq!(outcome.counts.recoveries, 0, "the deadline has passed before the job begins");
}
