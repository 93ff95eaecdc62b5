//! Sorting moves so that the target of each is free when its turn comes.

use std::collections::HashMap;

use atomic_fs::RelPath;

/// Sorts moves, each given with its source and its target, so that each comes after the one that
/// frees its target. No two have the same source.
///
/// # Errors
/// One of several moves that go in a circle.
pub(crate) fn in_order<'m, T>(
    moves: impl IntoIterator<Item = (&'m T, (&'m RelPath, &'m RelPath))>,
) -> Result<Vec<&'m T>, &'m T> {
    let moves: Vec<_> = moves.into_iter().collect();
    let by_source: HashMap<&RelPath, usize> =
        moves.iter().enumerate().map(|(index, (_, (from, _)))| (*from, index)).collect();
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        Not,
        Begun,
        Done,
    }
    let mut visits = vec![Visit::Not; moves.len()];
    let mut ordered = Vec::with_capacity(moves.len());
    for first in 0..moves.len() {
        let mut chain = Vec::new();
        let mut next = Some(first);
        while let Some(index) = next {
            match visits[index] {
                Visit::Done => break,
                Visit::Begun => return Err(moves[index].0),
                Visit::Not => {}
            }
            visits[index] = Visit::Begun;
            chain.push(index);
            let (_, (_, to)) = moves[index];
            next = by_source.get(to).copied();
        }
        for index in chain.into_iter().rev() {
            visits[index] = Visit::Done;
            ordered.push(moves[index].0);
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
    fn a_circle_is_found() {
        assert!(sorted(&[("x", "a"), ("a", "b"), ("b", "a")]).is_err());
        assert!(sorted(&[("a", "a")]).is_err());
    }
}
