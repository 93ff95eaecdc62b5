//! Laws of `*** Begin Patch`: what a small writer says of two contents gives the second one, and
//! nothing that is sent makes the reader or the search panic.

use patch_formats::{MatchLevel, PatchText};
use proptest::prelude::*;

fn wrapped(body: &str) -> String {
    format!("*** Begin Patch\n{body}*** End Patch\n")
}

/// The new content and the level of each hunk; else the sentence that refuses it.
fn fit(patch: &str, content: &[u8]) -> Result<(Vec<u8>, Vec<MatchLevel>), String> {
    let patch = PatchText::parse(patch.as_bytes()).map_err(|error| error.to_string())?;
    let fitted = patch.files[0].fit(content, false).map_err(|error| error.to_string())?;
    Ok((fitted.content, fitted.placements.iter().map(|place| place.level).collect()))
}

#[derive(Clone, Debug)]
enum Edit {
    Keep(String),
    Remove(String),
    Add(String),
}

fn edit(alphabet: &'static str) -> impl Strategy<Value = Edit> {
    let line = proptest::string::string_regex(alphabet).expect("it is a pattern");
    (0..5u8, line).prop_map(|(kind, line)| match kind {
        0 => Edit::Remove(line),
        1 => Edit::Add(line),
        _ => Edit::Keep(line),
    })
}

/// How the two files are written: line ending, byte order mark, final newline.
fn written(lines: &[&str], ending: &str, mark: bool, ends: bool) -> Vec<u8> {
    let mut text = lines.join(ending);
    if ends && !lines.is_empty() {
        text.push_str(ending);
    }
    if mark { format!("\u{feff}{text}").into_bytes() } else { text.into_bytes() }
}

fn sides(edits: &[Edit]) -> (Vec<&str>, Vec<&str>) {
    let mut sides = (Vec::new(), Vec::new());
    for edit in edits {
        match edit {
            Edit::Keep(line) => {
                sides.0.push(line.as_str());
                sides.1.push(line.as_str());
            }
            Edit::Remove(line) => sides.0.push(line),
            Edit::Add(line) => sides.1.push(line),
        }
    }
    sides
}

fn line_of(edit: &Edit) -> String {
    match edit {
        Edit::Keep(line) => format!(" {line}\n"),
        Edit::Remove(line) => format!("-{line}\n"),
        Edit::Add(line) => format!("+{line}\n"),
    }
}

fn is_change(edit: &Edit) -> bool {
    !matches!(edit, Edit::Keep(_))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However alike its lines are, a file has only one place for a hunk that covers all of it.
    #[test]
    fn a_hunk_over_the_whole_file_gives_the_new_bytes(
        mut edits in prop::collection::vec(edit("[ab ]{0,2}"), 0..12),
        ending in prop::sample::select(vec!["\n", "\r\n"]),
        mark: bool,
        ends: bool,
    ) {
        // One line at least shows how the file's lines end.
        edits.insert(0, Edit::Keep("first".into()));
        edits.push(Edit::Add("new".into()));
        edits.push(Edit::Keep("last".into()));
        let (old, new) = sides(&edits);
        let hunk: String = edits.iter().map(line_of).collect();
        let patch = wrapped(&format!("*** Update File: f\n@@\n{hunk}"));
        let (content, levels) = fit(&patch, &written(&old, ending, mark, ends))
            .map_err(TestCaseError::fail)?;
        prop_assert_eq!(content, written(&new, ending, mark, ends));
        let is_exact = !mark && ending == "\n";
        let level = if is_exact { MatchLevel::Exact } else { MatchLevel::LineEndings };
        prop_assert_eq!(levels, vec![level]);
    }

    /// Lines that are all different need one line of context on either side.
    #[test]
    fn small_hunks_over_lines_that_differ_give_the_new_bytes(
        kinds in prop::collection::vec(0..8u8, 1..60),
        ending in prop::sample::select(vec!["\n", "\r\n"]),
        ends: bool,
    ) {
        let mut edits = vec![Edit::Keep("first".to_owned())];
        edits.extend(kinds.iter().enumerate().map(|(at, kind)| {
            let line = format!("line {at}");
            match kind {
                0 => Edit::Remove(line),
                1 => Edit::Add(line),
                _ => Edit::Keep(line),
            }
        }));
        edits.push(Edit::Add("new".into()));
        edits.push(Edit::Keep("last".to_owned()));
        let (old, new) = sides(&edits);
        let mut hunks = String::new();
        let mut shown = 0;
        for at in (0..edits.len()).filter(|at| is_change(&edits[*at])) {
            if at < shown {
                continue;
            }
            let end = (at..edits.len()).find(|at| !is_change(&edits[*at])).unwrap_or(edits.len());
            hunks.push_str("@@\n");
            // The line of context behind one hunk is not there for the next one again.
            let from = if at > shown { at - 1 } else { at };
            edits[from..=end].iter().for_each(|edit| hunks.push_str(&line_of(edit)));
            shown = end + 1;
        }
        let patch = wrapped(&format!("*** Update File: f\n{hunks}"));
        let old = written(&old, ending, false, ends);
        let fitted = fit(&patch, &old).map(|(content, _)| content);
        prop_assert_eq!(fitted, Ok(written(&new, ending, false, ends)));
    }

    /// Whatever a patch says, it is read or refused, and fits or is refused.
    #[test]
    fn a_damaged_patch_never_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..8),
        content in "[ab\r\n ]{0,24}",
    ) {
        let mut patch = wrapped(
            "*** Add File: n\n+a\n*** Update File: f\n*** Move to: g\n@@ a\n a\n-b\n+c\n\n@@\n-a\n+b\n*** End of File\n*** Delete File: d\n",
        ).into_bytes();
        for (at, byte, kind) in damage {
            let at = at.index(patch.len().max(1)).min(patch.len().saturating_sub(1));
            match kind {
                0 if !patch.is_empty() => { patch.remove(at); }
                1 => patch.insert(at, byte),
                2 if !patch.is_empty() => patch[at] = b"\n*@+- "[usize::from(byte) % 6],
                _ => patch.truncate(at.max(20)),
            }
        }
        if let Ok(read) = PatchText::parse(&patch) {
            for file in &read.files {
                let once = file.fit(content.as_bytes(), false);
                prop_assert_eq!(&once, &file.fit(content.as_bytes(), false), "it is decided alike");
            }
        }
    }

    /// Lines in the format's own words, in any order.
    #[test]
    fn any_lines_of_the_format_never_panic(
        lines in prop::collection::vec(prop::sample::select(vec![
            "*** Add File: f", "*** Update File: f", "*** Delete File: g", "*** Move to: h", "@@",
            "@@ a", " a", "-a", "+b", "", " ", "\r", "*** End of File", "*** End Patch", " *** End Patch",
        ]), 0..16),
        content in "[ab\r\n ]{0,12}",
    ) {
        let patch = wrapped(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        if let Ok(read) = PatchText::parse(patch.as_bytes()) {
            for file in &read.files {
                let _ = file.fit(content.as_bytes(), false);
            }
        }
    }
}
