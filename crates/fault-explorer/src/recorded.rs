//! The results of a quick run on every machine: its report is kept beside the explorer.
//!
//! The same seed must give the same counts wherever it runs, or a history that one machine found
//! could not be reproduced on another. So each machine that runs `--quick` compares.

use serde_json::Value;

/// Where the report of `--quick` with seed 1 is kept, from the workspace's root.
pub const FILE: &str = "crates/fault-explorer/recorded/quick.json";

/// Each figure in which two reports differ, in words.
pub fn differences(recorded: &Value, found: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    compare("", recorded, found, &mut differences);
    differences
}

fn compare(place: &str, recorded: &Value, found: &Value, differences: &mut Vec<String>) {
    let below =
        |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}, {name}") };
    if let (Some(recorded), Some(found)) = (by_mutant(recorded), by_mutant(found)) {
        return compare(place, &recorded, &found, differences);
    }
    match (recorded, found) {
        (Value::Object(recorded), Value::Object(found)) => {
            for (name, value) in recorded {
                compare(&below(name), value, found.get(name).unwrap_or(&Value::Null), differences);
            }
            for (name, value) in found.iter().filter(|(name, _)| !recorded.contains_key(*name)) {
                compare(&below(name), &Value::Null, value, differences);
            }
        }
        (Value::Array(recorded), Value::Array(found)) if recorded.len() == found.len() => {
            for (number, (recorded, found)) in recorded.iter().zip(found).enumerate() {
                compare(&below(&number.to_string()), recorded, found, differences);
            }
        }
        (recorded, found) if recorded == found => {}
        (recorded, found) => {
            differences.push(format!("{place}: {recorded} recorded, {found} found"))
        }
    }
}

/// A list of what caught each mutant, under the mutants' names: a new one moves all that follow.
fn by_mutant(list: &Value) -> Option<Value> {
    let entries = list.as_array().filter(|list| !list.is_empty())?;
    let named = entries
        .iter()
        .map(|entry| Some((entry.get("mutant")?.as_str()?.to_owned(), entry.clone())));
    Some(Value::Object(named.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_mutant_does_not_make_all_others_differ() {
        let caught = |name: &str, after: u64| json!({ "mutant": name, "after": after });
        let recorded = json!({ "mutants": [caught("a", 1), caught("b", 2)] });
        let found = json!({ "mutants": [caught("a", 1), caught("new", 5), caught("b", 3)] });
        assert_eq!(
            differences(&recorded, &found),
            [
                "mutants, b, after: 2 recorded, 3 found",
                "mutants, new: null recorded, {\"after\":5,\"mutant\":\"new\"} found",
            ]
        );
    }

    #[test]
    fn every_figure_that_differs_is_reported() {
        let recorded = json!({ "rows": { "kill": { "states": 1, "faults": 2 } }, "mutants": [1] });
        assert!(differences(&recorded, &recorded).is_empty());
        let found = json!({ "rows": { "kill": { "states": 3, "faults": 2 }, "weak": 4 } });
        assert_eq!(
            differences(&recorded, &found),
            [
                "mutants: [1] recorded, null found",
                "rows, kill, states: 1 recorded, 3 found",
                "rows, weak: null recorded, 4 found",
            ]
        );
    }
}
