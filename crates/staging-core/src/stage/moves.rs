//! Sorting moves so that the target of each is free when its turn comes.

use std::collections::BTreeMap;

use atomic_fs::RelPath;

use crate::stage::view::first_below;

/// Sorts moves, each given with its source and its target, so that each comes after those that free
/// its target: what was there, what was in a directory there, or a file in the place of a directory
/// above it. No two have the same source.
///
/// # Errors
/// One of several moves that go in a circle.
pub(crate) fn in_order<'m, T>(
    moves: impl IntoIterator<Item = (&'m T, (&'m RelPath, &'m RelPath))>,
) -> Result<Vec<&'m T>, &'m T> {
    let moves: Vec<_> = moves.into_iter().collect();
    let by_source: BTreeMap<&RelPath, usize> =
        moves.iter().enumerate().map(|(index, (_, (from, _)))| (*from, index)).collect();
    let freeing = |index: usize| {
        let (_, (from, to)) = moves[index];
        let above = std::iter::successors(to.parent(), RelPath::parent);
        let above = above.filter_map(|dir| by_source.get(&dir).copied()).collect::<Vec<_>>();
        let there = by_source.get(to).copied();
        let first = first_below(to);
        let below = first.iter().flat_map(|first| by_source.range::<RelPath, _>(first..));
        let below = below.take_while(|(source, _)| source.starts_with(to)).map(|(_, at)| *at);
        // A file may move into a directory that takes its name.
        let others = there.into_iter().chain(below).chain(above);
        others.filter(|other| moves[*other].1.0 != from || to == from).collect::<Vec<_>>()
    };
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        Not,
        Begun,
        Done,
    }
    let mut visits = vec![Visit::Not; moves.len()];
    let mut ordered = Vec::with_capacity(moves.len());
    for first in 0..moves.len() {
        let mut waiting = vec![first];
        while let Some(index) = waiting.last().copied() {
            match visits[index] {
                Visit::Done => {
                    waiting.pop();
                }
                Visit::Begun => {
                    waiting.pop();
                    visits[index] = Visit::Done;
                    ordered.push(moves[index].0);
                }
                Visit::Not => {
                    visits[index] = Visit::Begun;
                    for other in freeing(index) {
                        match visits[other] {
                            Visit::Begun => return Err(moves[index].0),
                            Visit::Not => waiting.push(other),
                            Visit::Done => {}
                        }
                    }
                }
            }
        }
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> RelPath {
        RelPath::parse(name.as_bytes()).expect("a path")
    }

    fn sorted(names: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let moves: Vec<_> = names.iter().map(|(from, to)| (path(from), path(to))).collect();
        let shown = |one: &(RelPath, RelPath)| format!("{}>{}", one.0, one.1);
        let ordered = in_order(moves.iter().map(|one| (one, (&one.0, &one.1))));
        ordered.map(|all| all.into_iter().map(shown).collect()).map_err(shown)
    }

    #[test]
    fn each_move_comes_behind_the_one_that_frees_its_target() {
        let chain = sorted(&[("a", "b"), ("x", "y"), ("b", "c"), ("c", "d")]);
        assert_eq!(chain.expect("no circle"), ["c>d", "b>c", "a>b", "x>y"]);
        let backwards = sorted(&[("c", "d"), ("b", "c"), ("a", "b")]);
        assert_eq!(backwards.expect("no circle"), ["c>d", "b>c", "a>b"]);
    }

    #[test]
    fn a_move_comes_behind_those_that_empty_its_target() {
        let emptied = sorted(&[("l", "d"), ("d/a", "x"), ("d/e/b", "y"), ("d-c", "z")]);
        assert_eq!(emptied.expect("no circle"), ["d/e/b>y", "d/a>x", "l>d", "d-c>z"]);
        let replaced = sorted(&[("a", "f/n"), ("f", "g")]);
        assert_eq!(replaced.expect("no circle"), ["f>g", "a>f/n"]);
        assert_eq!(sorted(&[("f", "f/n")]).expect("no circle"), ["f>f/n"]);
        let many = sorted(&[("a", "b"), ("b", "c"), ("b/x", "y")]);
        assert_eq!(many.expect("no circle"), ["b/x>y", "b>c", "a>b"]);
    }

    #[test]
    fn a_circle_is_found() {
        assert!(sorted(&[("a", "b/c"), ("b", "a")]).is_err());
        assert!(sorted(&[("x", "a"), ("a", "b"), ("b", "a")]).is_err());
        assert!(sorted(&[("a", "a")]).is_err());
    }
}
