//! Others at the tree, at the state and at the machine's limits: what is done, and that it is survived.

use fault_explorer::atomic_fs::simulated::{Image, Instead, Persistence, Renames};
use fault_explorer::counts::Counts;
use fault_explorer::fixture::Fixture;
use fault_explorer::phases::{Job, Phase};
use fault_explorer::plan::Relocation;
use fault_explorer::scenario::Scenario;
use fault_explorer::tamper::{
    Tamper, damages_of_journals, removals_of_slots, replacements_of_slots,
};
use fault_explorer::trace::trace;
use rstest::rstest;

fn explore(scenario: &str, phase: Phase) -> Counts {
    let fixture = Fixture::new().expect("a temporary folder");
    let (scenario, renames) = (scenario.to_owned(), Renames::All);
    let outcome = Job { scenario, renames, phase }.run(&fixture);
    if let Some(violation) = outcome.violation {
        let traced = trace(&violation.case, &fixture).expect("the scenario exists");
        panic!("{:?}\n{}", violation.broken, traced.text);
    }
    outcome.counts
}

/// A disk with these files.
fn disk(files: &[(&str, &str)]) -> Image {
    let mut image = Scenario::named("M").expect("letters of kinds").image;
    for (path, content) in files {
        let (dir, name) = path.rsplit_once('/').expect("below the top");
        let dir = image.lookup(dir.as_bytes()).expect("every scene has it");
        image.add_file(dir, name.as_bytes(), content.as_bytes(), 0o600);
    }
    image
}

/// Where there are no descriptors any more, an apply says that nothing has changed, or it has gone
/// through, and a recovery can be made again.
#[rstest]
fn running_out_of_descriptors_at_any_call_is_survived(
    #[values("M", "N", "D", "V", "X")] scenario: &str,
) {
    let counts = explore(scenario, Phase::Descriptors);
    assert!(counts.faults > 5 && counts.recoveries > counts.faults, "{counts:?}");
}

/// A file that is all there is to a set is old or new, whoever has taken its slot away.
#[rstest]
fn one_file_stays_whole_without_its_slot(#[values("M", "O", "C", "D", "X")] scenario: &str) {
    let model = Persistence::Kill;
    let counts = explore(scenario, Phase::SlotsRemoved { model, depth: 0, cap: 8, seed: 1 });
    assert!(scenario == "X" || counts.others > 0, "{counts:?}");
}

#[test]
fn every_part_of_the_slots_is_taken_away() {
    let slots =
        ["tree/.greenroom-t1-0.tmp", "tree/d/.greenroom-t1-1.tmp", "tree/.greenroom-t1-2.tmp"];
    let image = disk(&slots.map(|path| (path, "new\n")));
    let ways = removals_of_slots(&image);
    assert_eq!(ways.len(), 7, "all subsets of three but the empty one");
    for way in ways {
        let mut after = image.clone();
        way.iter().for_each(|tamper| tamper.apply(&mut after));
        let left = slots.iter().filter(|path| after.lookup(path.as_bytes()).is_some()).count();
        assert_eq!(left, slots.len() - way.len());
    }
}

#[test]
fn every_replacement_and_every_damage_changes_the_disk() {
    let journal = ("state/journal/t1.journal", "0123456789abcdef {\"record\":\"swapping\"}\n");
    let image = disk(&[("tree/.greenroom-t1-0.tmp", "new\n"), journal]);
    let ways = replacements_of_slots(&image).into_iter().chain(damages_of_journals(&image, 1));
    let mut count = 0;
    for way in ways {
        let mut after = image.clone();
        way.iter().for_each(|tamper| tamper.apply(&mut after));
        assert_ne!(after.digest(), image.digest(), "{way:?}");
        count += 1;
    }
    assert!(count > 2 * journal.1.len(), "each byte is turned and cut off at: {count}");
}

#[rstest]
fn a_directory_that_was_moved_goes_back(
    #[values(Instead::Nothing, Instead::Directory, Instead::Symlink)] instead: Instead,
) {
    let image = disk(&[("tree/d/f", "in it\n")]);
    let (from, to) = ("tree/d".to_owned(), "outside/d".to_owned());
    let mut moved = image.clone();
    Tamper::Move { from: from.clone(), to: to.clone() }.apply(&mut moved);
    match instead {
        Instead::Nothing => {}
        Instead::Directory => Tamper::Directory(from.clone()).apply(&mut moved),
        Instead::Symlink => Tamper::Symlink(from.clone()).apply(&mut moved),
    }
    assert_ne!(moved.digest(), image.digest());
    Relocation { from, to, instead }.take_back(&mut moved);
    assert_eq!(moved.digest(), image.digest());
}
