//! Symbolic links in trees and patches, and what happens to them on the way.

use crate::entry::{Entry, Files, put};
use crate::material::{NAMES, Random, content, line_of};

/// Names of links, besides those of files and their directories.
const LINKS: [&str; 5] = ["l", "d/l", "b/l", "l-dir", "d/e/deep"];
/// What links lead to, from the top of the tree: files, directories, links and nothing.
const AIMS: [&str; 12] =
    ["f", "d/f", "a/f", "g", "d", "d/e", "b", "l", "l-dir", "nowhere", "d/nothing", "n\u{e4}me"];

fn aim(random: &mut Random, name: &str) -> Vec<u8> {
    let up = "../".repeat(name.matches('/').count());
    format!("{up}{}", random.pick(&AIMS)).into_bytes()
}

/// What a target of [`aim`] leads to, from the top of the tree.
fn behind(target: &[u8]) -> String {
    String::from_utf8_lossy(target).trim_start_matches("../").to_owned()
}

fn any_name(random: &mut Random) -> &'static str {
    const DIRECTORIES: [&str; 4] = ["d", "a", "b", "d/e"];
    match random.below(4) {
        0 => DIRECTORIES[random.below(DIRECTORIES.len())],
        1 => NAMES[random.below(NAMES.len())],
        _ => LINKS[random.below(LINKS.len())],
    }
}

fn put_link(random: &mut Random, files: &mut Files) {
    let name = any_name(random);
    let target = aim(random, name);
    put(files, name, Entry::Link { target });
}

fn pick_link(random: &mut Random, files: &Files) -> Option<(String, Vec<u8>)> {
    let links = files.iter().filter_map(|(name, entry)| match entry {
        Entry::Link { target } => Some((name.clone(), target.clone())),
        Entry::File { .. } => None,
    });
    let links: Vec<_> = links.collect();
    (!links.is_empty()).then(|| random.pick(&links).clone())
}

fn file(content: Vec<u8>) -> Entry {
    Entry::File { content, is_executable: false }
}

/// Adds links to two trees, and changes between them.
pub(crate) fn link(random: &mut Random, before: &mut Files, after: &mut Files) {
    for _ in 0..random.below(5) {
        let name = any_name(random);
        let target = aim(random, name);
        for files in [&mut *before, &mut *after] {
            put(files, name, Entry::Link { target: target.clone() });
        }
        let behind = behind(&target);
        if random.below(3) == 0 && matches!(before.get(&behind), Some(Entry::File { .. })) {
            // A part without a mode may mean the link as well as what is behind it.
            put(before, &behind, file(target.clone()));
            put(after, &behind, file(target));
        }
    }
    for _ in 0..random.below(4) {
        change(random, after);
    }
}

/// Something that people do to links.
fn change(random: &mut Random, files: &mut Files) {
    let Some((name, target)) = pick_link(random, files) else {
        return put_link(random, files);
    };
    match random.below(9) {
        0 => {
            files.remove(&name);
        }
        1 | 2 => {
            files.insert(name.clone(), Entry::Link { target: aim(random, &name) });
        }
        3 => {
            // Within its directory: from elsewhere, its target may lead out.
            files.remove(&name);
            put(files, &format!("{name}-moved"), Entry::Link { target });
        }
        4 => {
            files.insert(name, file(content(random)));
        }
        5 => {
            // Nothing but the mode tells it from the link.
            files.insert(name, file(target));
        }
        6 => put(files, &format!("{name}/f"), file(content(random))),
        7 => {
            // The same text before and behind.
            let behind = behind(&target);
            if files.contains_key(&behind) {
                files.insert(behind, file(target));
            }
        }
        _ => put_link(random, files),
    }
}

const MODES: [&str; 9] =
    ["100644", "100755", "120000", "120000", "120777", "100600", "160000", "040000", "644"];

const TARGETS: [&str; 11] = [
    "f",
    "d/f",
    "../f",
    "../../f",
    "d/",
    ".",
    "/etc/passwd",
    "nowhere/../f",
    "l-dir/../../x",
    "l",
    "",
];

/// Something that people, models and transports do to a patch of links, or to the links it is for.
pub(crate) fn mutate(random: &mut Random, patch: &mut Vec<u8>, files: &mut Files) {
    const NO_NEWLINE: &[u8] = b"\\ No newline at end of file\n";
    let mut lines: Vec<Vec<u8>> =
        patch.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    match random.below(13) {
        0 | 1 => {
            const HEADS: [&[u8]; 5] =
                [b"new file mode ", b"deleted file mode ", b"old mode ", b"new mode ", b"index "];
            if let Some(at) = line_of(&lines, &HEADS, random) {
                let text = String::from_utf8_lossy(&lines[at]).trim_end().to_owned();
                let (head, last) = text.rsplit_once(' ').unwrap_or((&text, ""));
                let head = if last.contains("..") { &text } else { head };
                lines[at] = format!("{head} {}\n", random.pick(&MODES)).into_bytes();
            }
        }
        2 => {
            if let Some(at) = line_of(&lines, &[b"index "], random) {
                let text = String::from_utf8_lossy(&lines[at]).trim_end().to_owned();
                let ids = text.split(' ').take(2).collect::<Vec<_>>().join(" ");
                lines[at] = format!("{ids}\n").into_bytes();
            }
        }
        3 => {
            if let Some(at) = line_of(&lines, &[b"diff --git "], random) {
                let (old, new) = (random.pick(&MODES), random.pick(&MODES));
                let modes = format!("old mode {old}\nnew mode {new}\n");
                lines.insert(at + 1, modes.into_bytes());
            }
        }
        4 => {
            if let Some(at) = line_of(&lines, &[NO_NEWLINE], random) {
                lines.remove(at);
            }
        }
        5 => {
            if let Some(at) = line_of(&lines, &[b"+", b"-"], random) {
                lines.insert(at + 1, NO_NEWLINE.to_vec());
            }
        }
        6 => {
            let ends: Vec<usize> = (1..lines.len()).filter(|at| lines[*at] == NO_NEWLINE).collect();
            if !ends.is_empty() {
                let at = *random.pick(&ends) - 1;
                let mark = if lines[at].starts_with(b"-") { '-' } else { '+' };
                lines[at] = format!("{mark}{}\n", random.pick(&TARGETS)).into_bytes();
            }
        }
        7 => {
            // Names through a link to a directory.
            if let Some(at) = line_of(&lines, &[b"--- a/d/", b"diff --git a/d/"], random) {
                for line in &mut lines[at..] {
                    let text = String::from_utf8_lossy(line).into_owned();
                    let is_name = ["--- a/d/", "+++ b/d/", "diff --git a/d/"];
                    if is_name.iter().any(|head| text.starts_with(head)) {
                        *line = text.replace("/d/", "/l-dir/").into_bytes();
                    }
                }
                put(files, "l-dir", Entry::Link { target: b"d".to_vec() });
            }
        }
        8 => put_link(random, files),
        9 => hide_behind_link(random, files),
        _ => change(random, files),
    }
    *patch = lines.concat();
}

/// Moves a file, and puts a link to it in its place.
fn hide_behind_link(random: &mut Random, files: &mut Files) {
    let names: Vec<String> = files.keys().filter(|name| !name.contains('/')).cloned().collect();
    let Some(name) = (!names.is_empty()).then(|| random.pick(&names).clone()) else { return };
    let Some(entry) = files.remove(&name) else { return };
    let real = format!("real-{name}");
    put(files, &real, entry);
    put(files, &name, Entry::Link { target: real.into_bytes() });
}
