//! The helpers do what strategies rely on.

use std::sync::atomic::AtomicBool;

use strategy_api::toolbox::{Budget, Match, ScriptBuilder, Trim, bounded, trim, unique_anchors};
use strategy_api::{Ctl, Op};

#[test]
fn common_ends_never_overlap() {
    let check = |old: &[u32], new: &[u32], prefix, suffix| {
        assert_eq!(trim(old, new), Trim { prefix, suffix });
    };
    check(&[], &[], 0, 0);
    check(&[1, 2], &[1, 2], 2, 0);
    check(&[1, 2, 1], &[1, 2, 1, 2, 1], 3, 0);
    check(&[1, 2, 3], &[1, 9, 3], 1, 1);
    check(&[1, 2], &[3, 4], 0, 0);
}

#[test]
fn anchors_are_unique_lines_in_ascending_order() {
    assert_eq!(unique_anchors(&[1, 2, 3, 4], &[1, 3, 2, 4]).len(), 3);
    assert_eq!(unique_anchors(&[7, 1, 7, 2], &[1, 7, 2, 2]), [(1, 0)]);
    assert_eq!(unique_anchors(&[1, 2, 3], &[3, 2, 1]).len(), 1);
}

#[test]
fn touching_runs_become_one() {
    let mut script = ScriptBuilder::new();
    script.keep(0, 0, 2);
    script.keep(2, 2, 1);
    script.keep(4, 3, 1);
    let expected = [Op::keep(0, 0, 3), Op::delete(3, 3, 1), Op::keep(4, 3, 1), Op::insert(5, 4, 1)];
    assert_eq!(script.finish(5, 5), expected);
}

/// Keeps nothing, and counts the cells it was given.
fn cells_asked_for(old: &[u32], new: &[u32], budget: Budget) -> (u64, u64, bool) {
    let (mut cells, mut largest) = (0, 0);
    let ctl = Ctl::unlimited();
    bounded(old, new, &ctl, budget, |old, new, distinct| {
        assert!(old.iter().chain(new).all(|id| *id < distinct), "ids are numbered afresh");
        let piece = old.len() as u64 * new.len() as u64;
        cells += piece;
        largest = largest.max(piece);
        Vec::<Match>::new()
    })
    .expect("nobody asked to stop");
    (cells, largest, ctl.degraded())
}

#[test]
fn the_algorithm_never_gets_more_than_the_budget() {
    let old: Vec<u32> = (0..20_000).map(|n| n * 7 % 13).collect();
    let new: Vec<u32> = (0..20_000).map(|n| n * 5 % 11).collect();
    let budget = Budget { cells_at_once_max: 1000, cells_max: 100_000, passes_max: 64 };
    let (cells, largest, degraded) = cells_asked_for(&old, &new, budget);
    assert!(cells <= budget.cells_max && largest <= budget.cells_at_once_max);
    assert!(degraded, "the reader must be told");
}

#[test]
fn lines_of_one_side_are_never_the_algorithms_work() {
    let old: Vec<u32> = (0..1000).collect();
    let new: Vec<u32> = (1000..2000).collect();
    assert_eq!(cells_asked_for(&old, &new, Budget::default()), (0, 0, false));
}

#[test]
fn who_is_told_to_stop_stops() {
    let cancelled = AtomicBool::new(true);
    let ctl = Ctl::new(&cancelled, None);
    let stopped = bounded(&[1, 2], &[2, 1], &ctl, Budget::default(), |_, _, _| Vec::new());
    assert!(stopped.is_err());
}
