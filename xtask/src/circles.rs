//! Refuses new import circles between the files of a crate; those that exist are listed.

use std::collections::{BTreeMap, BTreeSet};

use crate::cargo::Workspace;
use crate::files::File;
use crate::imports::{self, Imports};

/// The circles that exist: the paths of the files of each, and an empty line between two.
const LIST: &str = "xtask/circles.txt";

/// Compares the circles of every crate with the list.
pub(crate) fn check(files: &[File], workspace: &Workspace) -> Vec<String> {
    let mut imports = Imports::new();
    for root in workspace.source_roots() {
        for (file, from) in imports::of_crate(files, &root) {
            imports.entry(file).or_default().extend(from);
        }
    }
    let list = files.iter().find(|file| file.path == LIST).and_then(File::text);
    compare(&imports, list.unwrap_or_default())
}

fn compare(imports: &Imports, list: &str) -> Vec<String> {
    let lines = |part: &'_ str| {
        let lines = part.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let listed: BTreeSet<_> = list.split("\n\n").map(lines).filter(|c| !c.is_empty()).collect();
    let found = circles(imports);
    let new = found.difference(&listed).map(|circle| {
        let arrows = circle.iter().flat_map(|from| imports[from].iter().map(move |to| (from, to)));
        let arrows = arrows.filter(|(_, to)| circle.contains(*to));
        let arrows: String = arrows.map(|(from, to)| format!("\n  {from} uses {to}")).collect();
        format!("circles: files that import each other, and that {LIST} does not list:{arrows}")
    });
    let gone = listed.difference(&found).map(|circle| {
        let circle: Vec<&str> = circle.iter().map(String::as_str).collect();
        format!("circles: remove from {LIST} what is no circle:\n  {}", circle.join("\n  "))
    });
    new.chain(gone).collect()
}

/// The largest sets of files that all reach each other.
fn circles(imports: &Imports) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|file| (file.as_str(), reached_from(imports, file))).collect();
    let circle_of = |file: &&str| -> BTreeSet<String> {
        let others = reached[file].iter();
        let leads_back = |other: &&&str| reached.get(**other).is_some_and(|far| far.contains(file));
        others.filter(leads_back).map(|other| (*other).to_owned()).collect()
    };
    reached.keys().map(circle_of).filter(|circle| !circle.is_empty()).collect()
}

fn reached_from<'imports>(imports: &'imports Imports, file: &str) -> BTreeSet<&'imports str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        for next in imports.get(file).into_iter().flatten() {
            if reached.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks files that import by `arrows` against a list.
    fn check_list(arrows: &[&str], list: &str, expected: &[&str]) {
        let mut imports = Imports::new();
        for (from, to) in arrows.iter().filter_map(|arrow| arrow.split_once(' ')) {
            imports.entry(from.to_owned()).or_default().insert(to.to_owned());
        }
        assert_eq!(compare(&imports, list), expected, "{arrows:?} against {list:?}");
    }

    const NEW: &str = "circles: files that import each other, and that xtask/circles.txt does not \
                       list:";

    #[test]
    fn a_new_circle_is_refused() {
        check_list(&["a b", "b c", "a c"], "", &[]);
        check_list(&["a b", "b a"], "", &[&format!("{NEW}\n  a uses b\n  b uses a")]);
        let through = format!("{NEW}\n  a uses b\n  b uses c\n  c uses a");
        check_list(&["a b", "b c", "c a", "d a", "c e"], "", &[&through]);
    }

    #[test]
    fn a_circle_that_is_listed_is_allowed() {
        let arrows = ["a b", "b a", "c d", "d c"];
        check_list(&arrows, "# Why.\n\nb\na\n\nc\nd\n", &[]);
        check_list(&arrows, "a\nb\n", &[&format!("{NEW}\n  c uses d\n  d uses c")]);
    }

    #[test]
    fn a_listed_circle_that_is_gone_is_refused() {
        let gone = "circles: remove from xtask/circles.txt what is no circle:\n  a\n  b";
        check_list(&["a b"], "a\nb\n", &[gone]);
        let smaller = format!("{NEW}\n  a uses b\n  b uses a");
        let gone = format!("{gone}\n  c");
        check_list(&["a b", "b a"], "a\nb\nc\n", &[&smaller, &gone]);
    }
}
