//! The strategy keeps the rules that every strategy keeps.

#[test]
fn histogram_conforms() {
    strategy_testkit::check_strategy(&strategy_histogram::Histogram);
}
