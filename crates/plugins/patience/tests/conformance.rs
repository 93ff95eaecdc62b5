//! The strategy keeps the rules that every strategy keeps.

#[test]
fn patience_conforms() {
    strategy_testkit::check_strategy(&strategy_patience::Patience);
}
