//! The helpers do what strategies rely on.

use std::sync::atomic::AtomicBool;

use strategy_api::toolbox::{Lineup, ScriptBuilder, Trim, trim, unique_anchors};
use strategy_api::{Ctl, Input, Op};

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

/// What is kept by a script that a lineup of all lines with Myers diff gives, and whether it is
/// degraded.
fn kept_within(old: &[u32], new: &[u32], steps: u64) -> (u32, bool) {
    let ctl = Ctl::unlimited();
    let mut lineup = Lineup::within(&Input::of_ids(old, new), &ctl, steps);
    lineup.line_up(lineup.whole()).expect("nobody asked to stop");
    let script = lineup.script();
    for op in script.iter().filter(|op| op.kind == Op::KEEP) {
        let kept = |ids: &[u32], from: u32| ids[from as usize..][..op.len as usize].to_vec();
        assert_eq!(kept(old, op.old), kept(new, op.new), "kept lines must be equal");
    }
    let kept = |op: &Op| if op.kind == Op::KEEP { op.len } else { 0 };
    (script.iter().map(kept).sum(), ctl.degraded())
}

#[test]
fn steps_decide_how_fine_a_script_is_and_used_up_steps_are_noted() {
    let old: Vec<u32> = (0..300).map(|n| n * n % 31 % 5).collect();
    let new: Vec<u32> = (0..300).map(|n| n * n % 37 % 5).collect();
    let (kept_coarsely, degraded) = kept_within(&old, &new, 0);
    assert!(degraded, "it must be noted");
    let (kept, degraded) = kept_within(&old, &new, u64::MAX);
    assert!(!degraded, "there was nothing to tell");
    assert!(kept > kept_coarsely && kept_coarsely > 0, "{kept} and {kept_coarsely} lines kept");
}

#[test]
fn unique_lines_are_found_without_any_steps() {
    let old: Vec<u32> = (0..1000).collect();
    let new: Vec<u32> =
        (0..1000).map(|n| if n % 100 == 0 { (n + 100) % 1000 } else { n }).collect();
    assert_eq!(kept_within(&old, &new, 0), (990, true));
}

#[test]
fn lines_of_one_side_cost_nothing() {
    let old: Vec<u32> = (0..1000).collect();
    let new: Vec<u32> = (1000..2000).collect();
    assert_eq!(kept_within(&old, &new, 0), (0, false));
    let every_second_changed: Vec<u32> = (0..1000).map(|n| n + 1000 * (n % 2)).collect();
    assert_eq!(kept_within(&old, &every_second_changed, 0), (500, false));
}

#[test]
fn a_lineup_shows_what_both_sides_have_between_their_common_ends() {
    let ctl = Ctl::unlimited();
    let (old, new) = ([7, 7, 90, 30, 50, 80], [7, 7, 50, 60, 30, 30, 80]);
    let lineup = Lineup::of(&Input::of_ids(&old, &new), &ctl);
    assert_eq!((lineup.old_ids(), lineup.new_ids()), (&[1, 0][..], &[0, 1, 1][..]));
    assert_eq!(lineup.distinct(), 2, "ids are numbered afresh");
}

#[test]
fn sparse_ids_are_lined_up_too() {
    assert_eq!(kept_within(&[u32::MAX, 5, 1 << 30], &[5, u32::MAX, 5], u64::MAX), (2, false));
}

#[test]
fn a_lineup_stops_when_it_is_cancelled() {
    let cancelled = AtomicBool::new(true);
    let ctl = Ctl::new(&cancelled, None);
    let mut lineup = Lineup::of(&Input::of_ids(&[1, 2], &[2, 1]), &ctl);
    assert!(lineup.line_up(lineup.whole()).is_err());
}
