//! Trees, the patches between them as programs write them, and what happens to patches on the way.

use crate::entry::{Entry, Files, put};
use crate::links;
use crate::material::{NAMES, Random, content, line_of};

fn edited(random: &mut Random, content: &[u8]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> =
        content.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    for _ in 0..=random.below(3) {
        let at = random.below(lines.len() + 1);
        match random.below(3) {
            0 if at < lines.len() => {
                lines.remove(at);
            }
            1 if at < lines.len() => lines[at] = b"changed\n".to_vec(),
            _ => lines.insert(at, b"added\n".to_vec()),
        }
    }
    lines.concat()
}

fn new_file(random: &mut Random) -> Entry {
    let content = content(random);
    Entry::File { content, is_executable: random.below(4) == 0 }
}

/// Two trees with something of everything between them.
pub(crate) fn trees(random: &mut Random) -> (Files, Files) {
    let mut before = Files::new();
    for name in NAMES {
        if random.below(3) > 0 {
            before.insert(name.to_owned(), new_file(random));
        }
    }
    let mut after = before.clone();
    for name in NAMES {
        let Some(Entry::File { content, is_executable }) = before.get(name).cloned() else {
            if random.below(5) == 0 {
                after.insert(name.to_owned(), new_file(random));
            }
            continue;
        };
        match random.below(8) {
            0 => {
                after.remove(name);
            }
            1 => {
                let is_executable = !is_executable;
                after.insert(name.to_owned(), Entry::File { content, is_executable });
            }
            2 => {
                after.remove(name);
                let content = if random.below(2) == 0 { content } else { edited(random, &content) };
                let name = format!("{}-moved", name.replace('/', "-"));
                after.insert(name, Entry::File { content, is_executable });
            }
            3..=5 => {
                let content = edited(random, &content);
                after.insert(name.to_owned(), Entry::File { content, is_executable });
            }
            _ => {}
        }
    }
    if random.below(3) > 0 {
        links::link(random, &mut before, &mut after);
    }
    (before, after)
}

/// The same patch as other programs write it.
pub(crate) fn restyled(random: &mut Random, [git, bare]: &[Vec<u8>; 2]) -> Vec<u8> {
    let heads = [
        &b"diff "[..],
        b"index ",
        b"new file",
        b"deleted",
        b"old mode",
        b"new mode",
        b"similarity",
        b"rename",
    ];
    let plain = |patch: &[u8]| -> Vec<u8> {
        let lines = patch.split_inclusive(|byte| *byte == b'\n');
        lines
            .filter(|line| !heads.iter().any(|head| line.starts_with(head)))
            .collect::<Vec<_>>()
            .concat()
    };
    let labelled = |patch: &[u8], old: &str, new: &str, behind: &str| -> Vec<u8> {
        let mut out = Vec::new();
        for line in plain(patch).split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            if let Some(name) = text.strip_prefix(b"--- a/") {
                out.extend([b"--- ", old.as_bytes(), name, behind.as_bytes(), b"\n"].concat());
            } else if let Some(name) = text.strip_prefix(b"+++ b/") {
                out.extend([b"+++ ", new.as_bytes(), name, behind.as_bytes(), b"\n"].concat());
            } else {
                out.extend_from_slice(line);
            }
        }
        out
    };
    match random.below(12) {
        0 => bare.clone(),
        1 => plain(bare),
        2 => plain(git),
        3 => labelled(git, "old/", "new/", "\t2026-11-28 10:00:00.000000000 +0100"),
        4 => labelled(git, "tool-1.0.orig/", "tool-1.0/", " 2026-11-28 10:00:00"),
        5 => labelled(git, "a/", "a/", ""),
        6 => labelled(git, "./", "./", ""),
        7 => [b"Here it is:\n\n```diff\n", git.as_slice(), b"```\n\nThat is all.\n"].concat(),
        _ => git.clone(),
    }
}

/// What becomes of a name in a header: the first text is replaced by the second one.
const RENAMINGS: [(&str, &str); 14] = [
    ("a/", "b/"),
    ("b/", "a/"),
    ("a/", ""),
    ("b/", ""),
    ("a/", "x/"),
    ("b/", "x/"),
    ("a/", "./"),
    ("/dev/null", "a/f"),
    (" a/", " /dev/null"),
    ("\n", ".orig\n"),
    ("\n", "\t1970-01-01 00:00:00 +0000\n"),
    ("\n", " 2026-01-01 00:00:00\n"),
    ("f", "g"),
    ("d/", ""),
];

/// Something that people, models and transports do to a patch.
pub(crate) fn mutate(random: &mut Random, patch: &mut Vec<u8>, files: &mut Files) {
    if patch.is_empty() {
        return;
    }
    let at = random.below(patch.len());
    let mut lines: Vec<Vec<u8>> =
        patch.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let line = random.below(lines.len());
    match random.below(26) {
        0 => patch[at] = (random.next() & 0xff) as u8,
        1 => patch.insert(at, *random.pick(b"\n\r\t +-@\\/\".0a")),
        2 => {
            patch.remove(at);
        }
        3 => patch.truncate(at),
        4 => {
            lines.remove(line);
            *patch = lines.concat();
        }
        5 => {
            lines.insert(line, lines[line].clone());
            *patch = lines.concat();
        }
        6 => {
            let other = random.below(lines.len());
            lines.swap(line, other);
            *patch = lines.concat();
        }
        7 | 8 => {
            // Line numbers and counts are what breaks most often.
            if let Some(line) = line_of(&lines, &[b"@@ -"], random) {
                let digits: Vec<usize> =
                    (0..lines[line].len()).filter(|at| lines[line][*at].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    lines[line][*random.pick(&digits)] = b'0' + (random.next() % 10) as u8;
                }
                *patch = lines.concat();
            }
        }
        9 => {
            if let Some(line) = line_of(&lines, &[b"index "], random) {
                let with = [
                    &b"index 1234567..abcdefg 100644\n"[..],
                    b"index e69de29\n",
                    b"index 1234567...89abcde 100644\n",
                    b"index XXXXXXX..YYYYYYY\n",
                    b"",
                ];
                lines[line] = random.pick(&with).to_vec();
                *patch = lines.concat();
            }
        }
        10 | 11 => {
            if let Some(line) = line_of(&lines, &[b"--- ", b"+++ ", b"diff --git "], random) {
                let text = String::from_utf8_lossy(&lines[line]).into_owned();
                let (old, new) = random.pick(&RENAMINGS);
                lines[line] = text.replacen(old, new, 1).into_bytes();
                *patch = lines.concat();
            }
        }
        12 => {
            let heads = [
                &b"new file mode"[..],
                b"deleted file mode",
                b"diff --git ",
                b"similarity",
                b"rename from",
                b"old mode",
            ];
            if let Some(line) = line_of(&lines, &heads, random) {
                lines.remove(line);
                *patch = lines.concat();
            }
        }
        13 => {
            let with = [
                &b"Some prose.\n"[..],
                b"\n",
                b"diff --git a/f b/f\n",
                b"@@ -1 +1 @@\n",
                b"\\ No newline at end of file\n",
                b"-- \n",
                b"--- a/f\n",
                b"```\n",
            ];
            lines.insert(line, random.pick(&with).to_vec());
            *patch = lines.concat();
        }
        14 => {
            let sent = lines.iter().map(|line| match line.strip_suffix(b"\n") {
                Some(text) => [text, b"\r\n"].concat(),
                None => line.clone(),
            });
            *patch = sent.collect::<Vec<_>>().concat();
        }
        15 => {
            let name = *random.pick(&NAMES);
            let content = content(random);
            put(files, name, Entry::File { content, is_executable: false });
        }
        16 => {
            let names: Vec<String> = files.keys().cloned().collect();
            if !names.is_empty() {
                files.remove(random.pick(&names));
            }
        }
        17..=22 => links::mutate(random, patch, files),
        _ => {
            let names: Vec<String> = files.keys().cloned().collect();
            if !names.is_empty() {
                let name = random.pick(&names);
                if let Some(Entry::File { content, .. }) = files.get_mut(name) {
                    *content = edited(random, content);
                }
            }
        }
    }
}
