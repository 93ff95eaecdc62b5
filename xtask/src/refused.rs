//! Finds what may not be left in a file, such as words that were replaced, by a list of patterns.

use std::collections::BTreeSet;
use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::files::File;
use crate::sources::Findings;
use crate::tokens::{self, Token};

/// The patterns; the file says what its fields mean.
const LIST: &str = "xtask/refused.toml";
const CHANGELOG: &str = "CHANGELOG.md";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    refuse: Vec<Refusal>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    find: String,
    r#in: Vec<Part>,
    r#use: String,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    below: String,
    #[serde(default)]
    not_yet: Vec<String>,
    /// What the tests put into a file to see it refused.
    #[cfg_attr(not(test), expect(dead_code, reason = "a rule is tested with it"))]
    example: String,
}

/// A part of a file that is searched.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Part {
    Path,
    Item,
    Code,
    Text,
    File,
}

/// What the list finds in all files.
pub(crate) fn check(files: &[File]) -> Findings {
    let problem = |problem: String| Findings { problems: vec![problem], notes: Vec::new() };
    let Some(list) = files.iter().find(|file| file.path == LIST).and_then(File::text) else {
        return problem(format!("{LIST}: missing, so nothing that it refuses is found"));
    };
    let list = match toml::from_str::<List>(list) {
        Ok(list) => list.refuse,
        Err(error) => return problem(format!("{LIST}: {error}")),
    };
    let mut patterns = match Patterns::new(&list) {
        Ok(patterns) => patterns,
        Err(error) => return problem(format!("{LIST}: {error}")),
    };
    let searched = files.iter().filter(|file| !file.is_fixture());
    let searched = searched.filter(|file| ![LIST, CHANGELOG].contains(&file.path.as_str()));
    let problems = searched.flat_map(|file| patterns.check_file(file)).collect();
    Findings { problems, notes: patterns.notes().collect() }
}

struct Patterns<'a> {
    patterns: Vec<(Regex, &'a Refusal)>,
    /// The pattern and the folder of each `not_yet` in which the pattern was not found.
    clean: BTreeSet<(usize, &'a str)>,
}

impl<'a> Patterns<'a> {
    fn new(list: &'a [Refusal]) -> Result<Self, regex::Error> {
        let folders = |(at, refusal): (usize, &'a Refusal)| {
            refusal.not_yet.iter().map(move |folder| (at, folder.as_str()))
        };
        let patterns = list.iter().map(|refusal| {
            // Words and cases of Unicode are a hundred times slower.
            let find = RegexBuilder::new(&refusal.find).unicode(false).build()?;
            Ok((find, refusal))
        });
        let clean = list.iter().enumerate().flat_map(folders).collect();
        Ok(Self { patterns: patterns.collect::<Result<_, regex::Error>>()?, clean })
    }

    fn notes(&self) -> impl Iterator<Item = String> {
        self.clean.iter().map(|(at, folder)| {
            let (_, refusal) = &self.patterns[*at];
            format!("{LIST}: `{}` is gone from {folder}: remove it there", refusal.find)
        })
    }

    fn check_file(&mut self, file: &File) -> Vec<String> {
        let Some(text) = file.text() else { return Vec::new() };
        let mut found = Vec::new();
        let parts = parts(&file.path, text);
        for (at, (find, refusal)) in self.patterns.iter().enumerate() {
            if !file.path.starts_with(&refusal.below) {
                continue;
            }
            let searched = parts.iter().filter(|(part, _)| refusal.r#in.contains(part));
            for (line, shown) in searched.flat_map(|(_, text)| matches(find, text)) {
                if refusal.except.contains(&shown) {
                    continue;
                }
                let is_late = |folder: &&String| file.path.starts_with(folder.as_str());
                match refusal.not_yet.iter().find(is_late) {
                    Some(folder) => drop(self.clean.remove(&(at, folder.as_str()))),
                    None => found.push((line, shown, &refusal.r#use)),
                }
            }
        }
        found.sort();
        let problem =
            |(line, shown, instead)| format!("{}:{line}: `{shown}`: use {instead}", file.path);
        found.into_iter().map(problem).collect()
    }
}

/// Where a pattern is found, by line, and what of it is shown: its group, if it has one. What is found
/// without the group is allowed.
fn matches(find: &Regex, text: &str) -> impl Iterator<Item = (usize, String)> {
    find.captures_iter(text.as_bytes()).filter_map(|captures| {
        let shown = captures.get(find.captures_len() - 1)?;
        let line =
            1 + text.as_bytes()[..shown.start()].iter().filter(|&&byte| byte == b'\n').count();
        let words = String::from_utf8_lossy(shown.as_bytes());
        let words: Vec<&str> = words.split_whitespace().collect();
        Some((line, words.join(" ")))
    })
}

/// The parts of a file that are searched; what does not belong to a part is blank in it.
fn parts(path: &str, text: &str) -> Vec<(Part, String)> {
    let mut parts = vec![(Part::Path, path.to_owned()), (Part::File, text.to_owned())];
    if path.ends_with(".rs") {
        let tokens = tokens::of(text).unwrap_or_default();
        let names: Vec<Range<usize>> = names_of_items(&tokens).collect();
        // Literals that are no numbers are quoted.
        let is_quoted = |text: &str| text.len() > 1 && text.ends_with(['"', '\'', '#']);
        let code = tokens.into_iter().filter(|token| !is_quoted(&token.text));
        let code: Vec<Range<usize>> = code.map(|token| token.range).collect();
        // The name of a test is a sentence.
        let rest = without(text, &code);
        let mut rest = without(&rest, &find_all(r"(?m)^[ \t]*//[/!]?", &rest)).into_bytes();
        for name in &names {
            let words = text[name.clone()].replace('_', " ");
            rest[name.clone()].copy_from_slice(words.as_bytes());
        }
        parts.push((Part::Item, only(text, &names)));
        parts.push((Part::Code, only(text, &code)));
        parts.push((Part::Text, String::from_utf8_lossy(&rest).into_owned()));
    } else if path.ends_with(".md") {
        let spans = find_all("`[^`\n]+`", text);
        parts.push((Part::Code, only(text, &spans)));
        parts.push((Part::Text, text.to_owned()));
    }
    parts
}

fn find_all(find: &str, text: &str) -> Vec<Range<usize>> {
    let find = RegexBuilder::new(find).unicode(false).build();
    find.map_or(Vec::new(), |find| {
        find.find_iter(text.as_bytes()).map(|found| found.range()).collect()
    })
}

/// The names that follow the keyword of an item.
fn names_of_items(tokens: &[Token]) -> impl Iterator<Item = Range<usize>> {
    let keywords = ["const", "enum", "fn", "mod", "static", "struct", "trait", "type", "union"];
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    pairs
        .filter(move |(keyword, _)| keywords.contains(&keyword.text.as_str()))
        .filter(|(_, name)| name.text.starts_with(|first: char| first.is_alphabetic()))
        .map(|(_, name)| name.range.clone())
}

/// What lies inside of `ranges`, one space between those that do not touch; lines stay lines.
fn only(text: &str, ranges: &[Range<usize>]) -> String {
    let (mut part, mut end) = (String::new(), 0);
    for range in ranges {
        let between = &text[end..range.start];
        part.extend(between.matches('\n'));
        part.extend((!between.is_empty()).then_some(' '));
        part.push_str(&text[range.clone()]);
        end = range.end;
    }
    part
}

/// `text` with what lies inside of `ranges` blank; lines stay lines.
fn without(text: &str, ranges: &[Range<usize>]) -> String {
    let mut part = text.to_owned().into_bytes();
    for byte in ranges.iter().flat_map(|range| range.clone()) {
        if part[byte] != b'\n' {
            part[byte] = b' ';
        }
    }
    String::from_utf8_lossy(&part).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one file against one pattern: the lines and the texts that are found.
    fn check_pattern(find: &str, part: &str, path: &str, text: &str, expected: &[&str]) {
        check_list(&rule(find, part), path, text, expected);
    }

    fn rule(find: &str, part: &str) -> String {
        format!("find = '{find}'\nin = ['{part}']\nuse = 'y'\nexample = ''")
    }

    fn check_list(pattern: &str, path: &str, text: &str, expected: &[&str]) {
        check_files(&format!("[[refuse]]\n{pattern}"), path, text, expected);
    }

    fn check_files(list: &str, path: &str, text: &str, expected: &[&str]) {
        let file = |path: &str, text: &str| File { path: path.to_owned(), bytes: text.into() };
        let problems = check(&[file(LIST, list), file(path, text)]).problems;
        let expected: Vec<String> =
            expected.iter().map(|found| format!("{path}:{}", found.replace('=', ": "))).collect();
        let found: Vec<&str> =
            problems.iter().map(|p| p.split(": use ").next().unwrap_or(p)).collect();
        assert_eq!(found, expected, "{list} in {text:?}");
    }

    /// Checks one file against the list of the repository.
    fn check_own(path: &str, text: &str, expected: &[&str]) {
        check_files(include_str!("../refused.toml"), path, text, expected);
    }

    #[test]
    fn names_in_code_are_found() {
        let word = r"\bHeld\b";
        check_pattern(word, "code", "a.rs", "fn f(\n  h: Held) {}", &["2=`Held`"]);
        check_pattern(word, "code", "a.md", "one\n`fn(Held)` and Held", &["2=`Held`"]);
        check_pattern(
            word,
            "code",
            "a.rs",
            "//! Held\n// Held\nfn held(_: HeldBack) { \"Held\"; }",
            &[],
        );
        let part = r"(?i)\w*put_?by\w*";
        check_pattern(part, "code", "a.rs", "macro! {\n struct PutBy; }", &["2=`PutBy`"]);
        check_pattern(part, "code", "a.rs", "fn é() { put_by_now() }", &["1=`put_by_now`"]);
        check_pattern(part, "path", "a/put_by.rs", "", &["1=`put_by`"]);
        let item = r"\blook\w*";
        check_pattern(
            item,
            "item",
            "a.rs",
            "fn look_up() {}\nmod look;",
            &["1=`look_up`", "2=`look`"],
        );
        check_pattern(item, "item", "a.rs", "fn f(look: u8) { f(look) } // fn look", &[]);
        check_pattern(item, "item", "a.md", "fn look", &[]);
    }

    #[test]
    fn words_in_text_are_found() {
        let phrase = r"(?i)\bwent\s+off\b";
        check_pattern(phrase, "text", "a.md", "We Went\noff `it`", &["1=`Went off`"]);
        for text in
            ["//! went off", "/// went off.", "// went off", "/* went off */", "'é'; \"went off\""]
        {
            check_pattern(phrase, "text", "a.rs", text, &["1=`went off`"]);
        }
        check_pattern(phrase, "text", "a.md", "miswent off, went offside", &[]);
        check_pattern(phrase, "text", "a.rs", "fn he_went_off_a() {}", &["1=`went off`"]);
        check_pattern(phrase, "text", "a.rs", "  // went\n  // off", &["1=`went off`"]);
        check_pattern("turn", "text", "a.rs", "let turn = turn; // turn", &["1=`turn`"]);
        check_pattern("turn", "text", "a.toml", "turn", &[]);
    }

    #[test]
    fn a_pattern_has_exceptions_and_a_folder() {
        let pattern = rule(r"\w+", "file") + "\nexcept = ['a']\nbelow = 'b/'";
        check_list(&pattern, "b/c.toml", "a\nb", &["2=`b`"]);
        check_list(&pattern, "c.toml", "b", &[]);
        check_list(&pattern, "b/fixtures/c.toml", "b", &[]);
        check_pattern("b", "file", CHANGELOG, "b", &[]);
    }

    #[test]
    fn a_folder_that_is_not_clean_yet_is_noted_once_it_is() {
        let pattern = rule("x", "file") + "\nnot_yet = ['b/']";
        check_list(&pattern, "b/c.toml", "x", &[]);
        check_list(&pattern, "c.toml", "x", &["1=`x`"]);
        let notes = |path: &str| {
            let (list, text) = (format!("[[refuse]]\n{pattern}"), "x");
            let file = |path: &str, text: &str| File { path: path.to_owned(), bytes: text.into() };
            check(&[file(LIST, &list), file(path, text)]).notes
        };
        assert_eq!(notes("b/c.toml"), [""; 0]);
        assert_eq!(notes("c.toml"), [format!("{LIST}: `x` is gone from b/: remove it there")]);
    }

    #[test]
    fn every_rule_refuses_its_example_in_each_part_that_it_searches() {
        let list = include_str!("../refused.toml");
        let rules = toml::from_str::<List>(list).expect("the list is understood").refuse;
        for mut rule in rules {
            rule.not_yet.clear();
            for part in &rule.r#in {
                let name = match part {
                    Part::Path => rule.example.as_str(),
                    Part::Item | Part::Code => "a.rs",
                    Part::Text => "a.md",
                    Part::File => "a.sh",
                };
                let text = if *part == Part::Path { "" } else { &rule.example };
                let file = File { path: format!("{}{name}", rule.below), bytes: text.into() };
                let alone = std::slice::from_ref(&rule);
                let mut alone = Patterns::new(alone).expect("it is a regular expression");
                let problems = alone.check_file(&file);
                assert!(!problems.is_empty(), "{} finds nothing in {name}: {text}", rule.find);
            }
        }
    }

    #[test]
    fn switched_off_tests_are_refused() {
        for code in [
            "#[ignore] fn a() {}",
            "#[ignore = \"slow\"] fn a() {}",
            "#[cfg_attr(windows, ignore)]",
            "proptest! { #[test] #[ignore] fn a() {} }",
        ] {
            check_own("a.rs", code, &["1=`ignore`"]);
        }
        check_own("a.rs", "\n# [ should_panic(expected = \"x\")]", &["2=`should_panic`"]);
        check_own("a.rs", "/// #[ignore]\n\"#[ignore]\"; ignore(y); rules[ignore]", &[]);
        check_own("a.rs", "#[cfg(feature = \"ignore\")] #[doc(ignore)] fn f() {}", &[]);
    }

    #[test]
    fn paths_of_one_machine_are_refused() {
        let [work, root, home] = ["work", "root", "home"].map(|name| format!("/{name}/"));
        check_own("a.sh", &format!("cd x\ncd {work}main"), &[&format!("2=`{work}`")]);
        check_own("a.rs", &format!("\"file://{root}x\""), &[&format!("1=`{root}`")]);
        check_own("a.md", &format!("{home}jsmith"), &[&format!("1=`{home}jsmith`")]);
        for before in ["src", "..", "$ROOT", "{root}", "https://example.org"] {
            check_own("a.md", &format!("{before}{work}a"), &[]);
        }
        check_own("a.md", &format!("{home}user/x {home}<name> {home}"), &[]);
    }

    #[test]
    fn a_list_that_is_missing_or_not_understood_is_refused() {
        assert!(check(&[]).problems.concat().contains("missing"));
        let row = |find: &str, part: &str| format!("[[refuse]]\n{}", rule(find, part));
        for list in [String::new(), row("x", "comments"), row("(", "code")] {
            let file = File { path: LIST.to_owned(), bytes: list.clone().into() };
            assert_eq!(check(&[file]).problems.len(), 1, "{list}");
        }
    }
}
