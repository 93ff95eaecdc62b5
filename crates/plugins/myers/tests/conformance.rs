//! The strategy keeps the rules that every strategy keeps.

#[test]
fn myers_conforms() {
    strategy_testkit::check_strategy(&strategy_myers::Myers);
}
