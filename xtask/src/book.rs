//! Builds the documentation site: `cargo xtask book`.
//!
//! `docs/SUMMARY.md` lists the pages. They are copied to `target/book/src` where they lie in the
//! repository, with the files that they link to, because mdBook takes pages below one directory only.
//! A link to a directory becomes its text. mdBook makes `target/book/html` of that, and every link and
//! every anchor in it is followed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use regex::Regex;

use crate::cargo::Workspace;
use crate::files::{self, File};
use crate::links;

/// The program that makes a site of the pages.
pub(crate) const MDBOOK: &str = "mdbook";

const SUMMARY: &str = "docs/SUMMARY.md";
const MANIFEST: &str = "docs/book.toml";

/// Checks that each document is a page of the site, once.
pub(crate) fn check(files: &[File]) -> Vec<String> {
    let Some(pages) = pages(files) else { return vec![format!("{SUMMARY}: missing")] };
    let is_document = |path: &str| {
        path.strip_prefix("docs/").is_some_and(|rest| rest.ends_with(".md") && !rest.contains('/'))
            && path != SUMMARY
    };
    let documents = files.iter().map(|file| file.path.as_str()).filter(|path| is_document(path));
    let missing = documents.filter(|path| !pages.iter().any(|page| page == path));
    let missing = missing.map(|path| format!("{SUMMARY}: lacks the page {path}"));
    let twice = pages.iter().enumerate().filter(|(at, page)| pages[..*at].contains(page));
    missing.chain(twice.map(|(_, page)| format!("{SUMMARY}: has the page {page} twice"))).collect()
}

/// The paths of the pages from the root, in their order.
fn pages(files: &[File]) -> Option<Vec<String>> {
    let summary = files.iter().find(|file| file.path == SUMMARY)?.text()?;
    let targets = links::targets(summary).into_iter();
    Some(targets.filter_map(|link| links::path_from_root(SUMMARY, &link.target)).collect())
}

/// Builds the site and follows its links.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = files::list(root)?;
    let folder = Workspace::load(root)?.target_directory.join("book");
    if folder.exists() {
        fs::remove_dir_all(&folder).into_diagnostic()?;
    }
    let copies = copies(&files)?;
    for (path, bytes) in &copies {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&folder)).into_diagnostic()?;
        fs::write(&path, bytes).into_diagnostic()?;
    }
    let mut build = Command::new(MDBOOK);
    let status = build.arg("build").current_dir(&folder).status().into_diagnostic();
    let status = status.wrap_err("cannot start mdbook: `cargo install mdbook` installs it")?;
    if !status.success() {
        return Err(miette!("mdbook failed: {status}"));
    }
    let html = folder.join("html");
    let problems = check_site(&read_site(&html)?);
    if problems.is_empty() {
        println!("{} pages at {}", pages(&files).map_or(0, |pages| pages.len()), html.display());
        return Ok(());
    }
    Err(miette!("the site has broken links:\n{}", problems.join("\n")))
}

/// What mdBook reads: each file by its path in the folder of the book.
fn copies(files: &[File]) -> Result<BTreeMap<String, Vec<u8>>> {
    let by_path: BTreeMap<&str, &File> = files.iter().map(|f| (f.path.as_str(), f)).collect();
    let find = |path: &str| by_path.get(path).ok_or_else(|| miette!("{path}: missing"));
    let pages = pages(files).ok_or_else(|| miette!("{SUMMARY}: missing"))?;
    let mut copies = BTreeMap::new();
    copies.insert("book.toml".to_owned(), find(MANIFEST)?.bytes.clone());
    let summary = find(SUMMARY)?.text().unwrap_or_default();
    let summary = rewritten(summary, |target| {
        links::path_from_root(SUMMARY, target).map(|path| as_page(&path))
    });
    copies.insert("src/SUMMARY.md".to_owned(), summary.into_bytes());
    for page in &pages {
        let text = find(page)?.text().unwrap_or_default();
        let text = rewritten(text, |target| {
            let Some(path) = links::path_from_root(page, target) else {
                return Some(target.to_owned());
            };
            let file = by_path.get(path.as_str())?;
            if pages.contains(&path) {
                return Some(as_page(target));
            }
            // mdBook makes a link to a page of every link to Markdown.
            if path.ends_with(".md") {
                return None;
            }
            copies.insert(format!("src/{path}"), file.bytes.clone());
            Some(target.to_owned())
        });
        copies.insert(format!("src/{}", as_page(page)), text.into_bytes());
    }
    Ok(copies)
}

/// The name of a page for mdBook, which renames a README and does not change the links to it.
fn as_page(path: &str) -> String {
    path.replace("README.md", "index.md")
}

/// A document with `target` as the target of each link; a link that gets none becomes its text.
fn rewritten(text: &str, mut target: impl FnMut(&str) -> Option<String>) -> String {
    let (mut out, mut at) = (String::new(), 0);
    for link in links::targets(text) {
        let Some(label) = link.label.clone().filter(|_| link.range.start >= at) else { continue };
        out += &text[at..link.range.start];
        match target(&link.target) {
            Some(target) => out += &format!("[{}]({target})", &text[label]),
            None => out += &text[label],
        }
        at = link.range.end;
    }
    out + &text[at..]
}

/// Every file of the site by its path; the text of pages only.
fn read_site(html: &Path) -> Result<BTreeMap<String, String>> {
    let mut site = BTreeMap::new();
    let mut open = vec![html.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_diagnostic()? {
            let path = entry.into_diagnostic()?.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(html).into_diagnostic()?;
            let name = name.display().to_string().replace('\\', "/");
            let is_page = name.ends_with(".html") && name != "404.html";
            let text =
                if is_page { fs::read_to_string(&path).into_diagnostic()? } else { String::new() };
            site.insert(name, text);
        }
    }
    Ok(site)
}

/// The links of a site that lead to no file or to no element of a page.
fn check_site(site: &BTreeMap<String, String>) -> Vec<String> {
    let id = Regex::new(r#"\bid="([^"]*)""#).expect("it is a pattern");
    let link = Regex::new(r#"\b(?:href|src)="([^"]*)""#).expect("it is a pattern");
    let ids_of = |text| id.captures_iter(text).map(|found| found[1].to_owned()).collect();
    let ids: BTreeMap<&str, BTreeSet<String>> =
        site.iter().map(|(name, text)| (name.as_str(), ids_of(text))).collect();
    let mut problems = BTreeSet::new();
    for (page, text) in site {
        for found in link.captures_iter(text) {
            let target = found[1].replace("&amp;", "&");
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let to = match path {
                "" => Some(page.clone()),
                path => links::path_from_root(page, path),
            };
            let Some(to) = to else { continue };
            let is_there = match ids.get(to.as_str()) {
                Some(ids) => anchor.is_empty() || !to.ends_with(".html") || ids.contains(anchor),
                None => false,
            };
            if !is_there {
                problems.insert(format!("{page}: `{target}`"));
            }
        }
    }
    problems.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), bytes: text.into() }
    }

    fn check_summary(summary: &str, expected: &[&str]) {
        let files = [
            file("README.md", ""),
            file(SUMMARY, summary),
            file("docs/a.md", ""),
            file("docs/b.md", ""),
            file("docs/deeper/c.md", ""),
        ];
        assert_eq!(check(&files), expected, "the problems of {summary:?}");
    }

    #[test]
    fn each_document_is_a_page_once() {
        check_summary("[x](../README.md)\n\n- [a](a.md)\n- [b](b.md)\n", &[]);
        check_summary("- [a](a.md)\n", &["docs/SUMMARY.md: lacks the page docs/b.md"]);
        check_summary(
            "- [a](a.md)\n- [b](b.md)\n- [a](a.md)\n",
            &["docs/SUMMARY.md: has the page docs/a.md twice"],
        );
        assert_eq!(check(&[]), ["docs/SUMMARY.md: missing"]);
    }

    #[test]
    fn pages_are_copied_with_what_they_link_to() {
        let files = [
            file("README.md", "[a](docs/a.md#x) [`c`](crates) [o](other.md) [w](https://e.org/)"),
            file(MANIFEST, "[book]\n"),
            file(SUMMARY, "[Home](../README.md)\n\n- [A](a.md)\n"),
            file("docs/a.md", "[r](../README.md), [l](../crates/l.rs) `[x](y)`"),
            file("crates/l.rs", "//! L.\n"),
            file("other.md", ""),
        ];
        let copies = copies(&files).expect("every page is there");
        let text = |path: &str| String::from_utf8_lossy(&copies[path]).into_owned();
        assert_eq!(copies.len(), 5, "{:?}", copies.keys());
        assert_eq!(text("src/SUMMARY.md"), "[Home](index.md)\n\n- [A](docs/a.md)\n");
        assert_eq!(text("src/index.md"), "[a](docs/a.md#x) `c` o [w](https://e.org/)");
        assert_eq!(text("src/docs/a.md"), "[r](../index.md), [l](../crates/l.rs) `[x](y)`");
        assert_eq!(text("src/crates/l.rs"), "//! L.\n");
    }

    #[test]
    fn a_link_of_the_site_that_leads_nowhere_is_found() {
        let page = |text: &str| {
            let site = [("a/b.html", text), ("c.html", "<h1 id=\"x\">"), ("c.css", "")];
            let site = site.map(|(name, text)| (name.to_owned(), text.to_owned()));
            check_site(&site.into_iter().collect())
        };
        let good = "<a href=\"../c.html#x\"><link href=\"../c.css\"><a href=\"https://e.org/#y\">";
        assert_eq!(page(good), [""; 0]);
        assert_eq!(page("<p id=\"here\"><a href=\"#here\">"), [""; 0]);
        assert_eq!(page("<a href=\"../c.html#y\">"), ["a/b.html: `../c.html#y`"]);
        assert_eq!(page("<a href=\"c.html\">"), ["a/b.html: `c.html`"]);
        assert_eq!(page("<a href=\"#gone\">"), ["a/b.html: `#gone`"]);
    }
}
