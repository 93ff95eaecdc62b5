//! A diff strategy for prose: paragraphs stay whole.
//!
//! A strategy that looks at single lines keeps a blank line here and a stray bracket there, and
//! what a writer sees as one new paragraph comes out in splinters. This one lines up paragraphs,
//! which end with the blank lines behind them: those that both files have once are kept, where
//! they come in the same order, and between them only the common lines at either end are. It
//! shows more lines as changed than the bundled strategies do, and no paragraph in pieces.

use std::collections::HashMap;
use std::ops::Range;

use strategy_api::toolbox::ScriptBuilder;
use strategy_api::{BoxError, Ctl, Input, Line, Op, Strategy, export_strategy};

/// The strategy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paragraphs;

impl Strategy for Paragraphs {
    const NAME: &'static str = "paragraphs";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    // Whether a line is blank is not to be told from its id.
    const NEEDS_TEXT: bool = true;

    fn diff(&self, input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        let old = paragraphs(input.old_text);
        let new = paragraphs(input.new_text);
        let anchors = anchors(input, &old, &new);
        if ctl.should_stop() {
            return Err("the host does not want the answer any more".into());
        }
        let mut script = ScriptBuilder::new();
        let (mut old_at, mut new_at) = (0, 0);
        for (old_anchor, new_anchor) in anchors {
            keep_ends(input, old_at..old_anchor.start, new_at..new_anchor.start, &mut script);
            script.keep(old_anchor.start as u32, new_anchor.start as u32, old_anchor.len() as u32);
            (old_at, new_at) = (old_anchor.end, new_anchor.end);
        }
        keep_ends(input, old_at..input.old.len(), new_at..input.new.len(), &mut script);
        Ok(script.finish(input.old.len() as u32, input.new.len() as u32))
    }
}

export_strategy!(Paragraphs);

/// The lines of each paragraph, with the blank lines behind it.
fn paragraphs(text: &[Line<'_>]) -> Vec<Range<usize>> {
    let is_blank = |line: &Line<'_>| line.iter().all(u8::is_ascii_whitespace);
    let mut found = Vec::new();
    let mut start = 0;
    for at in 1..text.len() {
        if is_blank(&text[at - 1]) && !is_blank(&text[at]) {
            found.push(start..at);
            start = at;
        }
    }
    if start < text.len() {
        found.push(start..text.len());
    }
    found
}

type Anchor = (Range<usize>, Range<usize>);

/// The paragraphs that each file has once, as many as come in the same order in both.
fn anchors(input: &Input<'_>, old: &[Range<usize>], new: &[Range<usize>]) -> Vec<Anchor> {
    // How often the old file has it and the new one, and where; by its lines' ids, which are
    // equal exactly where the lines are.
    let mut seen: HashMap<&[u32], (usize, usize, usize)> = HashMap::new();
    for (at, lines) in old.iter().enumerate() {
        let entry = seen.entry(&input.old[lines.clone()]).or_default();
        (entry.0, entry.2) = (entry.0 + 1, at);
    }
    for lines in new {
        if let Some(entry) = seen.get_mut(&input.new[lines.clone()]) {
            entry.1 += 1;
        }
    }
    // Asked in the new file's order, never in the table's, so that the answer is the same on
    // every machine.
    let once = new.iter().enumerate().filter_map(|(at, lines)| {
        match seen.get(&input.new[lines.clone()]) {
            Some((1, 1, in_old)) => Some((*in_old, at)),
            _ => None,
        }
    });
    let kept = longest_ascending(&once.collect::<Vec<_>>());
    kept.into_iter().map(|(in_old, at)| (old[in_old].clone(), new[at].clone())).collect()
}

/// The longest run of pairs whose first numbers ascend, by patience sorting: n log n steps.
fn longest_ascending(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut piles: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; pairs.len()];
    for (at, pair) in pairs.iter().enumerate() {
        let pile = piles.partition_point(|top| pairs[*top].0 < pair.0);
        before[at] = pile.checked_sub(1).map(|left| piles[left]);
        if pile == piles.len() { piles.push(at) } else { piles[pile] = at }
    }
    let mut run = Vec::new();
    let mut next = piles.last().copied();
    while let Some(at) = next {
        run.push(pairs[at]);
        next = before[at];
    }
    run.reverse();
    run
}

/// Keeps what a gap between two anchors has in common at its start and at its end.
fn keep_ends(input: &Input<'_>, old: Range<usize>, new: Range<usize>, script: &mut ScriptBuilder) {
    let (old_ids, new_ids) = (&input.old[old.clone()], &input.new[new.clone()]);
    let equal = |(old, new): &(&u32, &u32)| old == new;
    let start = old_ids.iter().zip(new_ids).take_while(equal).count();
    let (old_rest, new_rest) = (&old_ids[start..], &new_ids[start..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(equal).count();
    script.keep(old.start as u32, new.start as u32, start as u32);
    script.keep((old.end - end) as u32, (new.end - end) as u32, end as u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_conforms() {
        strategy_testkit::check_strategy(&Paragraphs);
    }

    fn text(lines: &[[u8; 2]]) -> Vec<Line<'_>> {
        lines.iter().map(|line| Line::new(line)).collect()
    }

    /// The script for two texts, a letter to a line; a blank is a blank line.
    fn script(old: &str, new: &str) -> Vec<Op> {
        let ids = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
        let lines = |text: &str| -> Vec<[u8; 2]> { text.bytes().map(|b| [b, b'\n']).collect() };
        let (old_lines, new_lines) = (lines(old), lines(new));
        let (old_text, new_text) = (text(&old_lines), text(&new_lines));
        let (old, new) = (ids(old), ids(new));
        let input = Input { old: &old, new: &new, old_text: &old_text, new_text: &new_text };
        Paragraphs.diff(&input, &Ctl::unlimited()).expect("it never gives up")
    }

    #[test]
    fn a_paragraph_is_replaced_as_a_whole() {
        // A strategy for lines would keep the second paragraph's `c`.
        let expected =
            [Op::keep(0, 0, 3), Op::delete(3, 3, 3), Op::insert(6, 3, 3), Op::keep(6, 6, 3)];
        assert_eq!(script("ab xcy gh", "ab pcq gh"), expected);
    }

    #[test]
    fn of_two_that_changed_places_one_is_kept() {
        let expected = [Op::insert(0, 0, 3), Op::keep(0, 3, 2), Op::delete(2, 5, 3)];
        assert_eq!(script("a bc ", "bc a "), expected);
    }
}
