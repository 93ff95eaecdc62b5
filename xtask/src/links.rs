//! Checks that relative links, and paths in code spans, in Markdown lead to a file of the repository.
//!
//! The target must be a file that git lists, so a link to something that is only on this machine,
//! or that differs in case, is found too. Links of HTML are `href` and `src` in quotes.
//!
//! A code span is a path if it begins with one of the top folders; it is a path from the root.
//!
//! # Limitations
//! Anchors are not checked. The changelog may name what is gone.

use std::collections::BTreeSet;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};
use regex::Regex;

use crate::files::File;

/// Checks every Markdown file among `files`.
pub(crate) fn check(files: &[File]) -> Vec<String> {
    let paths = all_paths(files);
    let mut problems = Vec::new();
    let documents = files.iter().filter(|file| file.path.ends_with(".md") && !file.is_fixture());
    for file in documents {
        let text = file.text().unwrap_or_default();
        for (at, target) in code_paths(&file.path, text) {
            if !paths.contains(target.trim_end_matches('/')) {
                let line = 1 + text[..at].matches('\n').count();
                problems.push(format!("{}:{line}: there is no `{target}`", file.path));
            }
        }
        for Link { range, target, .. } in targets(text) {
            if is_relative(&target)
                && let Err(reason) = resolve(&file.path, &target, &paths)
            {
                let line = 1 + text[..range.start].matches('\n').count();
                problems.push(format!("{}:{line}: the link `{target}` {reason}", file.path));
            }
        }
    }
    problems
}

/// A link or an image, or the definition of one.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) range: Range<usize>,
    pub(crate) target: String,
    /// The text of a link that has its target with it: `text` in `[text](target)`.
    pub(crate) label: Option<Range<usize>>,
}

/// The links of a document in their order; of those that are defined elsewhere, the definitions.
pub(crate) fn targets(text: &str) -> Vec<Link> {
    let parser = Parser::new_ext(text, Options::ENABLE_FOOTNOTES | Options::ENABLE_TABLES);
    let definitions = parser.reference_definitions().iter();
    let link = |range, target: &str, label| Link { range, target: target.to_owned(), label };
    let mut targets: Vec<Link> = definitions
        .map(|(_, definition)| link(definition.span.clone(), &definition.dest, None))
        .collect();
    let attribute = Regex::new(r#"\b(?:href|src)="([^"]*)""#).expect("it is a pattern");
    for (event, range) in parser.into_offset_iter() {
        match event {
            Event::Start(Tag::Link { link_type: LinkType::Inline, dest_url, .. }) => {
                // The text ends before the last `](` of the link.
                let label = text[range.clone()].rfind("](");
                let label = label.map(|end| range.start + 1..range.start + end);
                targets.push(link(range, &dest_url, label));
            }
            Event::Start(Tag::Image { link_type: LinkType::Inline, dest_url, .. }) => {
                targets.push(link(range, &dest_url, None));
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let found = attribute.captures_iter(&html);
                targets.extend(found.map(|found| link(range.clone(), &found[1], None)));
            }
            _ => {}
        }
    }
    targets.sort_by(|a, b| (a.range.start, &a.target).cmp(&(b.range.start, &b.target)));
    targets
}

/// Where each code span that is a path begins, and the path.
fn code_paths(document: &str, text: &str) -> Vec<(usize, String)> {
    if document == "CHANGELOG.md" {
        return Vec::new();
    }
    let path = Regex::new("^(?:benches|crates|docs|examples|tests|xtask)/[A-Za-z0-9_./-]+$");
    let path = path.expect("it is a pattern");
    let spans = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
    let paths = spans.filter_map(|(event, range)| match event {
        Event::Code(code) if path.is_match(&code) => Some((range.start, code.to_string())),
        _ => None,
    });
    paths.collect()
}

fn is_relative(target: &str) -> bool {
    let scheme = target.split(['/', '#', '?']).next().unwrap_or_default();
    !target.is_empty()
        && !target.starts_with("//")
        && !target.starts_with('#')
        && !scheme.contains(':')
}

/// Every file and every folder above one; the root is the empty path.
fn all_paths(files: &[File]) -> BTreeSet<&str> {
    let mut paths = BTreeSet::from([""]);
    for file in files {
        paths.insert(&file.path);
        let slashes = file.path.match_indices('/');
        paths.extend(slashes.map(|(at, _)| &file.path[..at]));
    }
    paths
}

fn resolve(from: &str, target: &str, paths: &BTreeSet<&str>) -> Result<(), &'static str> {
    let path = normalized(from, target).ok_or("leads out of the repository")?;
    if paths.contains(path.as_str()) { Ok(()) } else { Err("leads to no file of the repository") }
}

/// The path from the root to which a link of the document `from` leads; none for a link to elsewhere.
pub(crate) fn path_from_root(from: &str, target: &str) -> Option<String> {
    if is_relative(target) { normalized(from, target) } else { None }
}

/// A relative target as a path from the root; none if it leads out of the repository.
fn normalized(from: &str, target: &str) -> Option<String> {
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
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
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
        check_document("[x]: x.md\n\n[a][x] and [b][x]", &[broken]);
        check_document("| a |\n|---|\n| [a](b.md) |", &[]);
    }

    #[test]
    fn case_matters_on_every_machine() {
        check_document(
            "\n[b](B.md)",
            &["docs/a.md:2: the link `B.md` leads to no file of the repository"],
        );
    }

    #[test]
    fn a_path_in_a_code_span_leads_to_a_file() {
        check_document("`docs/b.md` `docs/` `docs/b.md --x` `src/gone.rs` `a/docs/x.md`", &[]);
        check_document("\n\nsee `docs/x.md`", &["docs/a.md:3: there is no `docs/x.md`"]);
        check_document("| a |\n|---|\n| `docs/x.md` |", &["docs/a.md:3: there is no `docs/x.md`"]);
        check_document("```\ndocs/x.md\n```\n", &[]);
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
