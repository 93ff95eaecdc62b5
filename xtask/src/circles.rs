//! Refuses import circles between the files of a crate.

use std::collections::{BTreeMap, BTreeSet};

use crate::cargo::Workspace;
use crate::files::File;
use crate::imports::{self, Imports};

/// The circles of every crate: data that two files need goes into a third one that both of them use.
pub(crate) fn check(files: &[File], workspace: &Workspace) -> Vec<String> {
    let mut imports = Imports::new();
    for root in workspace.source_roots() {
        for (file, from) in imports::of_crate(files, &root) {
            imports.entry(file).or_default().extend(from);
        }
    }
    refusals(&imports)
}

fn refusals(imports: &Imports) -> Vec<String> {
    let refusal = |circle: BTreeSet<String>| {
        let arrows = circle.iter().flat_map(|from| imports[from].iter().map(move |to| (from, to)));
        let arrows = arrows.filter(|(_, to)| circle.contains(*to));
        let arrows: String = arrows.map(|(from, to)| format!("\n  {from} uses {to}")).collect();
        format!("circles: files that import each other:{arrows}")
    };
    circles(imports).into_iter().map(refusal).collect()
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

    #[test]
    fn a_circle_is_refused_with_its_imports() {
        let refused = |arrows: &[&str]| {
            let mut imports = Imports::new();
            for (from, to) in arrows.iter().filter_map(|arrow| arrow.split_once(' ')) {
                imports.entry(from.to_owned()).or_default().insert(to.to_owned());
            }
            refusals(&imports)
        };
        let circle = |arrows: &str| format!("circles: files that import each other:{arrows}");
        assert_eq!(refused(&["a b", "b c", "a c"]), [""; 0]);
        assert_eq!(refused(&["a b", "b a"]), [circle("\n  a uses b\n  b uses a")]);
        let through = circle("\n  a uses b\n  b uses c\n  c uses a");
        assert_eq!(refused(&["a b", "b c", "c a", "d a", "c e"]), [through.as_str()]);
        let two = [circle("\n  a uses b\n  b uses a"), circle("\n  c uses d\n  d uses c")];
        assert_eq!(refused(&["a b", "b a", "c d", "d c"]), two);
    }
}
