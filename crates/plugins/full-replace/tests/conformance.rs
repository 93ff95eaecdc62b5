//! The strategy keeps the rules that every strategy keeps.

#[test]
fn full_replace_conforms() {
    strategy_testkit::check_strategy(&strategy_full_replace::FullReplace);
}
