//! Shapes of about 1 MB that are quadratic, or worse, for one algorithm or another.
//!
//! In the names, a number of bytes is the length of a line with its line feed, and `fewN` means N
//! distinct lines.

use super::pairs::{BYTES_MAX, Family, Pair, Random};

/// Every shape, by name.
pub(super) fn pairs() -> Vec<Pair> {
    let mut shapes = Vec::new();
    unlike(&mut shapes);
    identical(&mut shapes);
    few_distinct(&mut shapes);
    moved(&mut shapes);
    spread(&mut shapes);
    frequent(&mut shapes);
    long_lines(&mut shapes);
    small_edits(&mut shapes);
    shapes
}

fn add(shapes: &mut Vec<Pair>, name: impl Into<String>, old: Vec<Vec<u8>>, new: Vec<Vec<u8>>) {
    shapes.push(Pair::new(Family::Adversarial, name.into(), old.concat(), new.concat()));
}

/// Line number `number` of a kind, of so many bytes with its line feed.
fn line(kind: char, number: usize, bytes: usize) -> Vec<u8> {
    let mut line = if bytes < 4 {
        const LETTERS: &[u8; 64] =
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$";
        vec![LETTERS[number % 64]]
    } else {
        // In base 36, so that a million lines differ within few bytes.
        let mut digits = Vec::new();
        let mut rest = number;
        while rest > 0 || digits.is_empty() {
            digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36]);
            rest /= 36;
        }
        [vec![kind as u8], digits].concat()
    };
    line.resize(bytes - 1, b' ');
    line.push(b'\n');
    line
}

fn lines(kind: char, numbers: impl IntoIterator<Item = usize>, bytes: usize) -> Vec<Vec<u8>> {
    numbers.into_iter().map(|number| line(kind, number, bytes)).collect()
}

/// How many lines of so many bytes make a content.
fn count(bytes: usize) -> usize {
    BYTES_MAX / bytes
}

fn unlike(shapes: &mut Vec<Pair>) {
    for bytes in [40, 8] {
        let all = 0..count(bytes);
        let name = format!("uniq{bytes}-all-different");
        add(shapes, name, lines('a', all.clone(), bytes), lines('b', all, bytes));
    }
    for bytes in [40, 8] {
        let mut random = Random::named("half subsets");
        let mut half = || {
            let numbers = (0..2 * count(bytes)).filter(|_| random.next() & 1 == 0);
            let mut half = lines('a', numbers, bytes);
            half.truncate(count(bytes));
            half
        };
        let (old, new) = (half(), half());
        add(shapes, format!("halfsubsets-uniq{bytes}"), old, new);
    }
}

fn identical(shapes: &mut Vec<Pair>) {
    let same = |lines: usize, bytes: usize| vec![line('a', 0, bytes); lines];
    let edged = |edge: char, lines: usize, bytes: usize| {
        let edge = |number| vec![line(edge, number, 8)];
        [edge(0), same(lines - 16 / bytes, bytes), edge(1)].concat()
    };
    let n40 = count(40);
    add(shapes, "ident40-counts", same(n40, 40), same(n40 - 1000, 40));
    add(shapes, "ident40-counts-edges", edged('x', n40 - 1, 40), edged('y', n40 - 1000, 40));
    let n2 = count(2);
    add(shapes, "ident2-counts-edges", edged('x', n2, 2), edged('y', n2 - 9000, 2));
    let feeds = |lines: usize| vec![vec![b'\n'; lines]];
    add(shapes, "nl-only-1M", feeds(BYTES_MAX), feeds(BYTES_MAX - 5000));
    let edged_feeds = |edge: &[u8], lines: usize| vec![[edge, &vec![b'\n'; lines], edge].concat()];
    let (old, new) = (edged_feeds(b"x\n", BYTES_MAX - 4), edged_feeds(b"y\n", BYTES_MAX - 9000));
    add(shapes, "nl-only-1M-edges", old, new);
    let block = |number: usize| vec![line('a', number, 40); n40 / 2];
    add(shapes, "ident40-two-blocks", [block(1), block(2)].concat(), [block(2), block(1)].concat());
}

fn few_distinct(shapes: &mut Vec<Pair>) {
    for distinct in [2, 4, 16, 64] {
        for bytes in [2, 20] {
            let mut random = Random::named("few distinct");
            let mut some = || {
                let numbers: Vec<_> = (0..count(bytes)).map(|_| random.below(distinct)).collect();
                lines('a', numbers, bytes)
            };
            let (old, other) = (some(), some());
            let mut shuffled = old.clone();
            random.shuffle(&mut shuffled);
            add(shapes, format!("few{distinct}-{bytes}B-random"), old.clone(), other);
            add(shapes, format!("few{distinct}-{bytes}B-shuffled"), old, shuffled);
        }
    }
    for (old_period, new_period) in [(2, 3), (7, 11)] {
        let periodic = |period: usize| lines('a', (0..count(2)).map(|n| n % period), 2);
        let name = format!("period{old_period}-vs-{new_period}");
        add(shapes, name, periodic(old_period), periodic(new_period));
    }
}

fn moved(shapes: &mut Vec<Pair>) {
    for bytes in [40, 8] {
        let all = lines('a', 0..count(bytes), bytes);
        let reversed: Vec<_> = all.iter().rev().cloned().collect();
        add(shapes, format!("reversed-uniq{bytes}"), all.clone(), reversed);
        let mut shuffled = all.clone();
        Random::named("shuffled").shuffle(&mut shuffled);
        add(shapes, format!("shuffled-uniq{bytes}"), all.clone(), shuffled);
        let mut rotated = all.clone();
        rotated.rotate_left(all.len() / 2);
        add(shapes, format!("rotate-half-uniq{bytes}"), all, rotated);
    }
    let all = lines('a', 0..count(40), 40);
    let mut blocks: Vec<_> = all.chunks(10).collect();
    Random::named("blocks").shuffle(&mut blocks);
    let blocks = blocks.concat();
    add(shapes, "shuffled-blocks10-uniq40", all, blocks);
}

fn spread(shapes: &mut Vec<Pair>) {
    let pairs_of = |a: Vec<Vec<u8>>, b: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        a.into_iter().zip(b).flat_map(|(a, b)| [a, b]).collect()
    };
    let half = count(40) / 2;
    let (a, b) = (lines('a', 0..half, 40), lines('b', 0..half, 40));
    let interleaved = pairs_of(a.clone(), b.clone());
    add(shapes, "interleave-insert", a.clone(), interleaved.clone());
    add(shapes, "interleave-2files", [a, b].concat(), interleaved);
    for bytes in [40, 8] {
        for every in [2, 3, 10] {
            let changed = (0..count(bytes))
                .map(|n| line(if n % every == 0 { 'b' } else { 'a' }, n, bytes))
                .collect();
            let name = format!("every{every}-changed-uniq{bytes}");
            add(shapes, name, lines('a', 0..count(bytes), bytes), changed);
        }
    }
    for (bytes, name) in [(40, "uniq-with-common-brace"), (8, "uniq8-with-common-brace")] {
        let half = count(bytes + 2);
        let braces = vec![b"}\n".to_vec(); half];
        let old = pairs_of(lines('a', 0..half, bytes), braces.clone());
        add(shapes, name, old, pairs_of(lines('b', 0..half, bytes), braces));
    }
}

fn frequent(shapes: &mut Vec<Pair>) {
    for (times, bytes) in [(2, 40), (63, 40), (64, 40), (65, 40), (200, 40), (63, 8), (2, 8)] {
        let mut random = Random::named("occurrences");
        let mut shuffled = || {
            let mut all = lines('a', (0..count(bytes)).map(|n| n / times), bytes);
            random.shuffle(&mut all);
            all
        };
        let (old, new) = (shuffled(), shuffled());
        add(shapes, format!("occ{times}-shuffled{bytes}"), old, new);
    }
    let mut random = Random::named("walk");
    let mut walk = || {
        let mut at = 500;
        let steps = (0..count(8)).map(|_| {
            at = (at + random.below(3) + 999) % 1000;
            at
        });
        lines('a', steps.collect::<Vec<_>>(), 8)
    };
    let (old, new) = (walk(), walk());
    add(shapes, "randomwalk1000", old, new);
    let mut random = Random::named("zipf");
    let mut zipf = || {
        // Below a limit that is random itself: few lines are frequent, many are rare.
        let numbers: Vec<_> = (0..count(16))
            .map(|_| {
                let limit = 1 + random.below(5000);
                random.below(limit)
            })
            .collect();
        lines('a', numbers, 16)
    };
    let (old, new) = (zipf(), zipf());
    add(shapes, "zipf5000", old, new);
}

fn long_lines(shapes: &mut Vec<Pair>) {
    let whole = |content: Vec<u8>| vec![content];
    let text = |last: &[u8]| whole([&b"x".repeat(BYTES_MAX - 1)[..], last].concat());
    let edited = |mut content: Vec<Vec<u8>>| {
        content[0][BYTES_MAX / 2] = b'!';
        content
    };
    add(shapes, "oneline-1M", text(b"\n"), whole(b"y".repeat(BYTES_MAX)));
    add(shapes, "oneline-1M-midedit", text(b"\n"), edited(text(b"\n")));
    add(shapes, "oneline-1M-noeol", text(b"x"), text(b"\n"));
    let returns = whole(b"line\r".repeat(BYTES_MAX / 5));
    add(shapes, "cr-only-1M", returns.clone(), edited(returns));
    let mut random = Random::named("bytes");
    // A NUL would make it binary, and then nothing is compared.
    let mut noise = || whole((0..BYTES_MAX).map(|_| 1 + random.below(255) as u8).collect());
    let (old, other) = (noise(), noise());
    add(shapes, "random-bytes", old.clone(), other);
    add(shapes, "random-bytes-edit", old.clone(), edited(old));
}

fn small_edits(shapes: &mut Vec<Pair>) {
    for (bytes, suffix) in [(40, ""), (8, "-8")] {
        let all = lines('a', 0..count(bytes), bytes);
        let with = |places: &[usize]| {
            let mut edited = all.clone();
            for &place in places {
                edited[place] = line('b', place, bytes);
            }
            edited
        };
        let (middle, last) = (all.len() / 2, all.len() - 2);
        add(shapes, format!("one-edit-mid-1M{suffix}"), all.clone(), with(&[middle]));
        add(shapes, format!("two-edits-far-1M{suffix}"), all.clone(), with(&[1, last]));
    }
    let all = lines('a', 0..count(40), 40);
    add(shapes, "empty-to-1M", Vec::new(), all.clone());
    add(shapes, "1M-to-empty", all.clone(), Vec::new());
    add(shapes, "equal-1M", all.clone(), all);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_shape_is_a_megabyte_of_text_and_has_a_name_of_its_own() {
        let shapes = pairs();
        let names: BTreeSet<_> = shapes.iter().map(|pair| &pair.name).collect();
        assert_eq!(names.len(), shapes.len());
        for pair in &shapes {
            let larger = pair.old.len().max(pair.new.len());
            assert!((1_000_000..=BYTES_MAX).contains(&larger), "{}: {larger} bytes", pair.name);
            assert!(!pair.old.contains(&0) && !pair.new.contains(&0), "{} is binary", pair.name);
        }
    }
}
