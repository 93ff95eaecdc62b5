//! Rules for every Rust source: module docs, length, and what must not be left in it.
//!
//! No source is exempt from module docs, entry points and build scripts included: one sentence
//! costs little and says what the file is for.

use crate::files::File;
use crate::lexer::{self, Kind, Token};

/// Above this many lines a source is worth a thought.
const LINES_NOTED: usize = 400;
/// Above this many lines a source is refused.
const LINES_MAX: usize = 1000;

/// Attributes that switch a test off or let it pass by any panic.
const FORBIDDEN_ATTRIBUTES: [&str; 2] = ["ignore", "should_panic"];
/// Macros that mark unfinished work.
const FORBIDDEN_MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// What the rules found in one source, or in all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Checks every Rust source among `files`.
pub(crate) fn check(files: &[File]) -> Findings {
    let mut findings = Findings::default();
    let sources = files.iter().filter(|file| file.path.ends_with(".rs") && !file.is_fixture());
    for file in sources {
        match file.text() {
            Some(text) => check_source(&file.path, text, &mut findings),
            None => findings.problems.push(format!("{}: not UTF-8", file.path)),
        }
    }
    findings
}

fn check_source(path: &str, text: &str, findings: &mut Findings) {
    let first = text.lines().next().unwrap_or_default();
    let sentence = first.strip_prefix("//!").map(str::trim);
    if sentence.is_none_or(str::is_empty) {
        findings.problems.push(format!(
            "{path}:1: open the file with a `//!` sentence that says what it is for"
        ));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.problems.push(format!("{path}: {lines} lines; split it, {LINES_MAX} is the most"));
    } else if lines > LINES_NOTED {
        findings
            .notes
            .push(format!("{path}: {lines} lines; think about splitting it ({LINES_NOTED})"));
    }
    for (line, what) in forbidden(&lexer::tokens(text)) {
        findings.problems.push(format!("{path}:{line}: `{what}` must not be left in a source"));
    }
}

/// The line and the text of each forbidden attribute and macro.
fn forbidden(tokens: &[Token<'_>]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let after = |distance: usize| tokens.get(at + distance).map(|token| token.text);
        if token.text == "#" && after(1) == Some("[") {
            let attribute = attribute_words(&tokens[at + 2..]);
            // `cfg_attr` can carry any other attribute; anything else is named by its first word.
            let named = match attribute.first() {
                Some(&"cfg_attr") => &attribute[1..],
                _ => &attribute[..attribute.len().min(1)],
            };
            let names = named.iter().filter(|name| FORBIDDEN_ATTRIBUTES.contains(name));
            found.extend(names.map(|name| (token.line, format!("#[{name}]"))));
        }
        if token.kind == Kind::Word
            && FORBIDDEN_MACROS.contains(&token.text)
            && after(1) == Some("!")
            && after(2) != Some("=")
        {
            found.push((token.line, format!("{}!", token.text)));
        }
    }
    found
}

/// The words of the attribute whose `#[` comes just before `tokens`.
fn attribute_words<'source>(tokens: &[Token<'source>]) -> Vec<&'source str> {
    let mut depth = 1;
    let mut words = Vec::new();
    for token in tokens {
        match (token.kind, token.text) {
            (Kind::Punctuation, "[") => depth += 1,
            (Kind::Punctuation, "]") => depth -= 1,
            (Kind::Word, word) => words.push(word),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: impl Into<Vec<u8>>) -> File {
        let (path, bytes) = (path.to_owned(), text.into());
        File { path, bytes }
    }

    fn check_problems(text: impl Into<Vec<u8>>, expected: &[&str]) {
        let findings = check(&[source("a.rs", text)]);
        assert_eq!(findings.problems, expected, "the problems of the source");
    }

    fn check_forbidden(code: &str, expected: &[&str]) {
        let found = forbidden(&lexer::tokens(code));
        let found: Vec<&str> = found.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(found, expected, "what must not be left in {code:?}");
    }

    #[test]
    fn a_source_without_module_docs_is_refused() {
        let problem = "a.rs:1: open the file with a `//!` sentence that says what it is for";
        check_problems("//! Says what it is for.\nfn a() {}\n", &[]);
        check_problems("fn a() {}\n", &[problem]);
        check_problems("//!\n//! Late.\n", &[problem]);
        check_problems("// Not a doc comment.\n", &[problem]);
        check_problems("", &[problem]);
    }

    #[test]
    fn a_source_that_is_not_utf8_is_refused() {
        check_problems([0xff], &["a.rs: not UTF-8"]);
    }

    #[test]
    fn long_sources_are_noted_and_longer_ones_refused() {
        let of_length = |lines: usize| "//! Long.\n".repeat(lines);
        let findings = |lines| check(&[source("a.rs", of_length(lines))]);
        assert_eq!(findings(400), Findings::default());
        assert_eq!(findings(401).notes, ["a.rs: 401 lines; think about splitting it (400)"]);
        assert_eq!(findings(1000).problems, [""; 0]);
        assert_eq!(findings(1001).problems, ["a.rs: 1001 lines; split it, 1000 is the most"]);
    }

    #[test]
    fn switched_off_tests_are_found() {
        check_forbidden("#[ignore] fn a() {}", &["#[ignore]"]);
        check_forbidden("#[ignore = \"slow\"] fn a() {}", &["#[ignore]"]);
        check_forbidden("# [ should_panic(expected = \"x\")]", &["#[should_panic]"]);
        check_forbidden("#[cfg_attr(windows, ignore)]", &["#[ignore]"]);
    }

    #[test]
    fn unfinished_work_is_found() {
        check_forbidden("fn a() { todo!() }", &["todo!"]);
        check_forbidden("return unimplemented ! [];", &["unimplemented!"]);
        check_forbidden("std::dbg!(x)", &["dbg!"]);
    }

    #[test]
    fn the_line_of_the_finding_is_named() {
        check_problems(
            "//! Unfinished.\n\nfn a() {\n    dbg!(1);\n}\n",
            &["a.rs:4: `dbg!` must not be left in a source"],
        );
    }

    #[test]
    fn words_in_strings_comments_and_names_are_left_alone() {
        check_forbidden("// todo!()\n\"#[ignore]\"; my_dbg!(x); ignore(y)", &[]);
        check_forbidden("if todo != 1 { rules[ignore] }", &[]);
        check_forbidden("#[cfg(feature = \"ignore\")] #[doc(ignore)]", &[]);
    }

    #[test]
    fn fixtures_and_other_files_are_left_alone() {
        let files = [source("tests/fixtures/bad.rs", "todo!()"), source("a.md", "x")];
        assert_eq!(check(&files), Findings::default());
    }
}
