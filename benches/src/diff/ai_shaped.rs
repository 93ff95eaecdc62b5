//! What agents do to files: reindent, wrap, flip line ends, rewrite most lines, move functions, or
//! write another file altogether.

use super::pairs::{BYTES_MAX, Family, Pair, Random};

/// Every kind of edit of files of many sizes, up to 1 MiB.
///
/// The files are those of the real pairs, spread over their sizes, and some that are put together
/// from them to be larger than real ones are. Without real pairs there is text made up instead.
pub(super) fn pairs(real: &[Pair]) -> Vec<Pair> {
    const FILES: usize = 80;
    let mut sources: Vec<&[u8]> = real.iter().map(|pair| pair.new.as_slice()).collect();
    let made_up = made_up_text();
    if sources.is_empty() {
        sources.push(&made_up);
    }
    sources.sort_by_key(|content| content.len());
    sources.dedup();
    let step = (sources.len() / FILES).max(1);
    let mut files: Vec<Vec<u8>> =
        sources.iter().skip(step / 2).step_by(step).map(|content| content.to_vec()).collect();
    for bytes in [200_000, 400_000, 600_000, 800_000, BYTES_MAX] {
        for round in 0..3 {
            files.push(put_together(&sources, bytes, &format!("{bytes} {round}")));
        }
    }
    let mut pairs = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let other = &files[(index + 1) % files.len()];
        let size = file.len() / 1000;
        for (kind, edit) in EDITS {
            let name = format!("{kind}, file {index} of {size} KB");
            let mut random = Random::named(&name);
            let new = edit(file, &mut random);
            pairs.push(Pair::new(Family::AiShaped, name, file.clone(), new));
        }
        let name = format!("another file, file {index} of {size} KB");
        pairs.push(Pair::new(Family::AiShaped, name, file.clone(), other.clone()));
    }
    pairs
}

type Edit = fn(&[u8], &mut Random) -> Vec<u8>;

const EDITS: [(&str, Edit); 5] = [
    ("reindented", reindented),
    ("wrapped in a block", wrapped),
    ("line ends flipped", line_ends_flipped),
    ("60 % of the lines rewritten", rewritten),
    ("functions moved", functions_moved),
];

fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split_inclusive(|byte| *byte == b'\n')
}

/// Four columns become two, or a tab becomes four blanks.
fn reindented(content: &[u8], _random: &mut Random) -> Vec<u8> {
    let mut new = Vec::with_capacity(content.len());
    for line in lines(content) {
        let text = line.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(0);
        for byte in &line[..text] {
            new.extend_from_slice(if *byte == b'\t' { b"    " } else { b" " });
        }
        let blanks = line[..text].iter().filter(|byte| **byte == b' ').count();
        new.truncate(new.len() - blanks / 2);
        new.extend_from_slice(&line[text..]);
    }
    new
}

/// The middle half goes four columns to the right, between two new lines.
fn wrapped(content: &[u8], _random: &mut Random) -> Vec<u8> {
    let all: Vec<_> = lines(content).collect();
    let (start, end) = (all.len() / 4, all.len() * 3 / 4);
    let mut new = all[..start].concat();
    new.extend_from_slice(b"if enabled {\n");
    for line in &all[start..end] {
        if line.len() > 1 {
            new.extend_from_slice(b"    ");
        }
        new.extend_from_slice(line);
    }
    new.extend_from_slice(b"}\n");
    new.extend(all[end..].concat());
    new
}

fn line_ends_flipped(content: &[u8], _random: &mut Random) -> Vec<u8> {
    let mut new = Vec::with_capacity(content.len());
    for line in lines(content) {
        match line {
            [text @ .., b'\r', b'\n'] => new.extend([text, b"\n"].concat()),
            [text @ .., b'\n'] => new.extend([text, b"\r\n"].concat()),
            _ => new.extend_from_slice(line),
        }
    }
    new
}

/// Each line that holds a word has a chance of 60 % to hold another.
fn rewritten(content: &[u8], random: &mut Random) -> Vec<u8> {
    let mut new = Vec::with_capacity(content.len());
    for line in lines(content) {
        let start = line.iter().position(u8::is_ascii_alphabetic);
        match start {
            Some(start) if random.below(100) < 60 => {
                let rest = &line[start..];
                let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric());
                new.extend_from_slice(&line[..start]);
                new.extend_from_slice(format!("renamed_{}", random.below(1000)).as_bytes());
                new.extend_from_slice(&rest[end.unwrap_or(rest.len())..]);
            }
            _ => new.extend_from_slice(line),
        }
    }
    new
}

/// Blocks that stand between blank lines swap places, one in four.
fn functions_moved(content: &[u8], random: &mut Random) -> Vec<u8> {
    let mut blocks: Vec<Vec<u8>> = vec![Vec::new()];
    for line in lines(content) {
        if let Some(last) = blocks.last_mut() {
            last.extend_from_slice(line);
        }
        if line == b"\n" {
            blocks.push(Vec::new());
        }
    }
    for block in 0..blocks.len() / 8 {
        let (a, b) = (random.below(blocks.len()), block * 8);
        blocks.swap(a, b);
    }
    blocks.concat()
}

/// Real files one after another, until they have so many bytes.
fn put_together(sources: &[&[u8]], bytes: usize, name: &str) -> Vec<u8> {
    let mut random = Random::named(name);
    let mut content = Vec::with_capacity(bytes);
    while content.len() < bytes {
        content.extend_from_slice(sources[random.below(sources.len())]);
        if content.last() != Some(&b'\n') {
            content.push(b'\n');
        }
    }
    content.truncate(bytes);
    content
}

/// Code that nobody has written.
fn made_up_text() -> Vec<u8> {
    let mut random = Random::named("text");
    let mut text = String::new();
    for function in 0..400 {
        text.push_str(&format!("fn function_{function}() {{\n"));
        for _ in 0..1 + random.below(12) {
            let (name, value) = (random.below(40), random.below(100));
            text.push_str(&format!("    let value_{name} = compute({value});\n"));
        }
        text.push_str("}\n\n");
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edit: Edit, old: &str, new: &str) {
        let edited = edit(old.as_bytes(), &mut Random::named("test"));
        assert_eq!(String::from_utf8_lossy(&edited), new);
    }

    #[test]
    fn edits_do_what_they_are_called_by() {
        check(reindented, "a\n    b\n\tc\n", "a\n  b\n    c\n");
        check(wrapped, "1\n2\n3\n4\n", "1\nif enabled {\n    2\n    3\n}\n4\n");
        check(line_ends_flipped, "a\nb\r\nc", "a\r\nb\nc");
    }

    #[test]
    fn most_lines_are_rewritten_and_none_is_lost() {
        let old = made_up_text();
        let new = rewritten(&old, &mut Random::named("test"));
        let changed = lines(&old).zip(lines(&new)).filter(|(old, new)| old != new).count();
        assert_eq!(lines(&old).count(), lines(&new).count());
        let share = changed * 100 / lines(&old).filter(|line| line.len() > 3).count();
        assert!((55..65).contains(&share), "{share} % were rewritten");
    }

    #[test]
    fn moved_functions_are_all_still_there() {
        let old = made_up_text();
        let new = functions_moved(&old, &mut Random::named("test"));
        let sorted = |content: &[u8]| {
            let mut all: Vec<_> = lines(content).map(<[u8]>::to_vec).collect();
            all.sort();
            all
        };
        assert!(old != new && sorted(&old) == sorted(&new));
    }
}
