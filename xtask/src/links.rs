//! Checks that relative links in Markdown lead to a file of the repository.
//!
//! Understood are inline links and images, reference definitions, and `href` and `src` of HTML;
//! code is skipped. The target must be a file that git lists, so a link to something that is
//! only on this machine, or that differs in case, is found too.
//!
//! # Limitations
//! Anchors are not checked, nor a link whose code span or target runs over a line's end.

use std::collections::BTreeSet;

use crate::files::File;

/// Checks every Markdown file among `files`.
pub(crate) fn check(files: &[File]) -> Vec<String> {
    let places = places(files);
    let mut problems = Vec::new();
    let documents = files.iter().filter(|file| file.path.ends_with(".md") && !file.is_fixture());
    for file in documents {
        let Some(text) = file.text() else {
            problems.push(format!("{}: not UTF-8", file.path));
            continue;
        };
        for (line, target) in relative_targets(text) {
            if let Err(reason) = resolve(&file.path, &target, &places) {
                let path = &file.path;
                problems.push(format!("{path}:{line}: the link `{target}` {reason}"));
            }
        }
    }
    problems
}

/// Every file and every folder above one; the root is the empty path.
fn places(files: &[File]) -> BTreeSet<&str> {
    let mut places = BTreeSet::from([""]);
    for file in files {
        places.insert(&file.path);
        let slashes = file.path.match_indices('/');
        places.extend(slashes.map(|(at, _)| &file.path[..at]));
    }
    places
}

fn resolve(from: &str, target: &str, places: &BTreeSet<&str>) -> Result<(), &'static str> {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let path = path.replace("%20", " ");
    let mut parts: Vec<&str> = match path.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').collect(),
    };
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or("leads out of the repository")?;
            }
            name => parts.push(name),
        }
    }
    if places.contains(parts.join("/").as_str()) {
        Ok(())
    } else {
        Err("leads to no file of the repository")
    }
}

/// The line and the text of each link target that is neither a URL nor an anchor.
fn relative_targets(text: &str) -> Vec<(usize, String)> {
    let mut targets = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                let line = without_code_spans(line);
                let found = inline(&line).into_iter().chain(definition(&line));
                let relative = found.chain(html(&line)).filter(|target| is_relative(target));
                targets.extend(relative.map(|target| (index + 1, target.to_owned())));
            }
        }
    }
    targets
}

fn is_relative(target: &str) -> bool {
    let scheme = target.split(['/', '#', '?']).next().unwrap_or_default();
    !target.is_empty()
        && !target.starts_with("//")
        && !target.starts_with('#')
        && !scheme.contains(':')
}

/// The line with everything between equally long runs of backquotes taken out.
fn without_code_spans(line: &str) -> String {
    let mut kept = String::new();
    let mut rest = line;
    while let Some(open) = rest.find('`') {
        kept.push_str(&rest[..open]);
        let ticks = rest[open..].len() - rest[open..].trim_start_matches('`').len();
        let (run, after) = rest[open..].split_at(ticks);
        rest = match closing_run(after, ticks) {
            Some(end) => &after[end..],
            None => {
                kept.push_str(run);
                after
            }
        };
    }
    kept + rest
}

/// Where the run of exactly `ticks` backquotes in `text` ends.
fn closing_run(text: &str, ticks: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(start) = text[at..].find('`').map(|found| at + found) {
        let length = text[start..].len() - text[start..].trim_start_matches('`').len();
        at = start + length;
        if length == ticks {
            return Some(at);
        }
    }
    None
}

/// Targets of `[text](target "title")` and of images.
fn inline(line: &str) -> Vec<&str> {
    let starts = line.match_indices("](").map(|(at, mark)| at + mark.len());
    starts.map(|start| destination(&line[start..])).collect()
}

/// The target of `[label]: target "title"`, which a footnote is not.
fn definition(line: &str) -> Option<&str> {
    let label = line.trim_start().strip_prefix('[')?;
    let (label, target) = label.split_once("]:")?;
    (!label.starts_with('^') && !label.contains(']')).then(|| destination(target.trim_start()))
}

/// Targets of `href="…"` and `src="…"`.
fn html(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for attribute in ["href=\"", "src=\""] {
        for (at, mark) in line.match_indices(attribute) {
            let target = &line[at + mark.len()..];
            found.extend(target.split('"').next());
        }
    }
    found
}

/// The link destination at the start of `text`: `<in brackets>`, or up to a space or the
/// bracket that closes the link.
fn destination(text: &str) -> &str {
    if let Some(bracketed) = text.strip_prefix('<') {
        return bracketed.split('>').next().unwrap_or_default();
    }
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return &text[..at],
            ')' => depth -= 1,
            c if c.is_whitespace() => return &text[..at],
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        let (path, bytes) = (path.to_owned(), text.into());
        File { path, bytes }
    }

    /// The problems of `text` as docs/a.md, in a repository that also holds README.md, a file
    /// with a space in its name and docs/b.md.
    fn check_document(text: &str, expected: &[&str]) {
        let files = [
            file("README.md", ""),
            file("docs/a.md", text),
            file("docs/b.md", ""),
            file("docs/c d.md", ""),
        ];
        assert_eq!(check(&files), expected, "the problems of {text:?}");
    }

    #[test]
    fn links_to_files_and_folders_hold() {
        check_document("[b](b.md) [up](../README.md#top) [root](/docs) [.](..)", &[]);
        check_document("[s](<c d.md>) [t](c%20d.md \"title\")\n\n[r]: b.md 'title'", &[]);
    }

    #[test]
    fn broken_links_are_found_in_every_form() {
        let broken = "docs/a.md:1: the link `x.md` leads to no file of the repository";
        check_document("see [x](x.md)", &[broken]);
        check_document("![x](x.md)", &[broken]);
        check_document("[x](<x.md>)", &[broken]);
        check_document("[x]: x.md", &[broken]);
        check_document("<a href=\"x.md\">x</a>", &[broken]);
        check_document("<img src=\"x.md\">", &[broken]);
        check_document("a ` alone and [x](x.md)", &[broken]);
        check_document("[![x](b.md)](x.md)", &[broken]);
    }

    #[test]
    fn case_matters_on_every_machine() {
        check_document(
            "\n[b](B.md)",
            &["docs/a.md:2: the link `B.md` leads to no file of the repository"],
        );
    }

    #[test]
    fn a_link_out_of_the_repository_is_found() {
        check_document(
            "[x](../../README.md)",
            &["docs/a.md:1: the link `../../README.md` leads out of the repository"],
        );
    }

    #[test]
    fn urls_anchors_footnotes_and_code_are_left_alone() {
        check_document("[a](https://example.org/x) [b](#there) [c](mailto:a@b.c)", &[]);
        check_document("[^1]: footnote", &[]);
        check_document("`[x](x.md)` and ``a ` [x](x.md)``", &[]);
        check_document("```\n[x](x.md)\n~~~\n```\n", &[]);
    }
}
