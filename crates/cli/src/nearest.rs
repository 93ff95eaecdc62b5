//! Suggestions for an unknown word.

/// Words are alike from here on, as clap has it for its own suggestions.
const ALIKE: f64 = 0.7;

/// The word among these that is most like this one, if one is like it at all.
pub(crate) fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::jaro(&word, &known.to_lowercase()), known))
        .filter(|(alike, _)| *alike > ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("patiance", Some("patience"))]
    #[case("Myers", Some("myers"))]
    #[case("magic", None)]
    #[case("", None)]
    fn the_word_that_is_most_alike_is_meant(#[case] word: &str, #[case] expected: Option<&str>) {
        assert_eq!(nearest(word, ["myers", "patience", "histogram"]), expected);
    }
}
