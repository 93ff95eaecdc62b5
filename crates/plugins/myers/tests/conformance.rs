//! The strategy keeps the rules that every strategy keeps, and changes as few lines as can be.

use similar::algorithms::{Algorithm, DiffHook, diff_slices};
use strategy_api::{Ctl, Input, Op, Strategy as _};
use strategy_myers::Myers;
use strategy_testkit::{random_pairs, small_pairs};

#[test]
fn myers_conforms() {
    strategy_testkit::check_strategy(&Myers);
}

/// Counts the lines that `similar`'s Myers diff keeps.
#[derive(Default)]
struct Kept(usize);

impl DiffHook for Kept {
    type Error = std::convert::Infallible;

    fn equal(&mut self, _old: usize, _new: usize, len: usize) -> Result<(), Self::Error> {
        self.0 += len;
        Ok(())
    }
}

#[test]
fn no_line_changes_that_need_not() {
    for pair in small_pairs().into_iter().chain(random_pairs(0xb0a7, 400)) {
        let mut expected = Kept::default();
        let Ok(()) = diff_slices(Algorithm::Myers, &mut expected, &pair.old, &pair.new);
        let script = Myers
            .diff(&Input::of_ids(&pair.old, &pair.new), &Ctl::unlimited())
            .expect("nobody asked to stop");
        let kept = script.iter().filter(|op| op.kind == Op::KEEP).map(|op| op.len as usize);
        assert_eq!(kept.sum::<usize>(), expected.0, "{} has a shorter script", pair.what);
    }
}
