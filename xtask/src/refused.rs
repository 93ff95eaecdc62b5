//! Finds what may not be left in a file, such as words that were replaced, by a list of patterns.

use regex::Regex;
use serde::Deserialize;

use crate::files::File;
use crate::tokens;

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
    r#in: Vec<Place>,
    r#use: String,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    below: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Place {
    Code,
    Text,
    File,
}

/// Checks every file by the list.
pub(crate) fn check(files: &[File]) -> Vec<String> {
    let Some(list) = files.iter().find(|file| file.path == LIST).and_then(File::text) else {
        return vec![format!("{LIST}: missing, so nothing that it refuses is found")];
    };
    let list = match toml::from_str::<List>(list) {
        Ok(list) => list.refuse,
        Err(error) => return vec![format!("{LIST}: {error}")],
    };
    let patterns: Result<Vec<(Regex, &Refusal)>, regex::Error> =
        list.iter().map(|refusal| Ok((Regex::new(&refusal.find)?, refusal))).collect();
    let patterns = match patterns {
        Ok(patterns) => patterns,
        Err(error) => return vec![format!("{LIST}: {error}")],
    };
    let searched = files.iter().filter(|file| !file.is_fixture());
    let searched = searched.filter(|file| ![LIST, CHANGELOG].contains(&file.path.as_str()));
    searched.flat_map(|file| check_file(file, &patterns)).collect()
}

fn check_file(file: &File, patterns: &[(Regex, &Refusal)]) -> Vec<String> {
    let Some(text) = file.text() else { return Vec::new() };
    let mut found = Vec::new();
    for (place, part) in parts(&file.path, text) {
        for (pattern, refusal) in patterns {
            if !refusal.r#in.contains(&place) || !file.path.starts_with(&refusal.below) {
                continue;
            }
            for captures in pattern.captures_iter(&part) {
                let Some(shown) = captures.iter().flatten().last() else { continue };
                if !refusal.except.iter().any(|except| except == shown.as_str()) {
                    let line = 1 + part[..shown.start()].matches('\n').count();
                    found.push((line, shown.as_str().to_owned(), &refusal.r#use));
                }
            }
        }
    }
    found.sort();
    let problem =
        |(line, shown, instead)| format!("{}:{line}: `{shown}`: use {instead}", file.path);
    found.into_iter().map(problem).collect()
}

/// The parts of a file that are searched; what is left out of one is blank in it.
fn parts(path: &str, text: &str) -> Vec<(Place, String)> {
    let mut parts = vec![(Place::File, text.to_owned())];
    let name = path.rsplit('/').next().unwrap_or(path);
    let ranges = match name.rsplit_once('.') {
        Some((stem, "rs")) => {
            parts.push((Place::Code, stem.to_owned()));
            let tokens = tokens::of(text).unwrap_or_default();
            // Literals that are no numbers are quoted.
            let is_quoted = |text: &str| text.len() > 1 && text.ends_with(['"', '\'', '#']);
            let code = tokens.iter().filter(|token| !is_quoted(&token.text));
            code.map(|token| token.range.clone()).collect()
        }
        Some((_, "md")) => {
            parts.push((Place::Text, text.to_owned()));
            Regex::new("`[^`\n]+`").map_or(Vec::new(), |spans| {
                spans.find_iter(text).map(|span| span.range()).collect::<Vec<_>>()
            })
        }
        _ => return parts,
    };
    let blank = |byte: u8| if byte == b'\n' { b'\n' } else { b' ' };
    let mut code: Vec<u8> = text.bytes().map(blank).collect();
    let mut rest = text.as_bytes().to_vec();
    for range in ranges {
        code[range.clone()].copy_from_slice(&text.as_bytes()[range.clone()]);
        rest[range.clone()].iter_mut().for_each(|byte| *byte = blank(*byte));
    }
    parts.push((Place::Code, String::from_utf8_lossy(&code).into_owned()));
    if name.ends_with(".rs") {
        parts.push((Place::Text, String::from_utf8_lossy(&rest).into_owned()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one file against one pattern: the lines and the texts that are found.
    fn check_pattern(find: &str, place: &str, path: &str, text: &str, expected: &[&str]) {
        check_list(&format!("find = '{find}'\nin = ['{place}']\nuse = 'y'"), path, text, expected);
    }

    fn check_list(pattern: &str, path: &str, text: &str, expected: &[&str]) {
        check_files(&format!("[[refuse]]\n{pattern}"), path, text, expected);
    }

    fn check_files(list: &str, path: &str, text: &str, expected: &[&str]) {
        let file = |path: &str, text: &str| File { path: path.to_owned(), bytes: text.into() };
        let problems = check(&[file(LIST, list), file(path, text)]);
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
        let part = r"(?i)\w*set_?aside\w*";
        check_pattern(part, "code", "a.rs", "macro! {\n struct SetAside; }", &["2=`SetAside`"]);
        check_pattern(part, "code", "a.rs", "fn é() { set_aside_now() }", &["1=`set_aside_now`"]);
        check_pattern(part, "code", "a/set_aside.rs", "", &["1=`set_aside`"]);
    }

    #[test]
    fn words_in_text_are_found() {
        let phrase = r"(?i)\btook\s+back\b";
        check_pattern(phrase, "text", "a.md", "We Took\nback `it`", &["1=`Took\nback`"]);
        for text in [
            "//! took back",
            "/// took back.",
            "// took back",
            "/* took back */",
            "'é'; \"took back\"",
        ] {
            check_pattern(phrase, "text", "a.rs", text, &["1=`took back`"]);
        }
        check_pattern(phrase, "text", "a.md", "mistook back, took backwards", &[]);
        check_pattern("turn", "text", "a.rs", "let turn = turn; // turn", &["1=`turn`"]);
        check_pattern("turn", "text", "a.toml", "turn", &[]);
    }

    #[test]
    fn a_pattern_has_exceptions_and_a_folder() {
        let pattern = "find = '\\w+'\nin = ['file']\nuse = 'y'\nexcept = ['a']\nbelow = 'b/'";
        check_list(pattern, "b/c.toml", "a\nb", &["2=`b`"]);
        check_list(pattern, "c.toml", "b", &[]);
        check_list(pattern, "b/fixtures/c.toml", "b", &[]);
        check_pattern("b", "file", CHANGELOG, "b", &[]);
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
        assert!(check(&[]).concat().contains("missing"));
        let row = |find: &str, place: &str| {
            format!("[[refuse]]\nfind = '{find}'\nin = ['{place}']\nuse = 'y'")
        };
        for list in [String::new(), row("x", "comments"), row("(", "code")] {
            let file = File { path: LIST.to_owned(), bytes: list.clone().into() };
            assert_eq!(check(&[file]).len(), 1, "{list}");
        }
    }
}
