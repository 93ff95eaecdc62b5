//! Finds words that were replaced: names in code, and text in comments, messages and documents.

use heck::ToSnakeCase as _;
use proc_macro2::Ident;
use serde::Deserialize;

use crate::files::File;
use crate::tokens;

/// The words, with what is used instead; the file says what its fields mean.
const LIST: &str = "xtask/words.toml";
/// What happened is told in the words of its day.
const HISTORY: &str = "CHANGELOG.md";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    word: Vec<Word>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    word: String,
    r#use: String,
    r#in: Vec<Place>,
    #[serde(default)]
    below: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Place {
    Name,
    Names,
    Text,
}

/// Checks every file for the words of the list.
pub(crate) fn check(files: &[File]) -> Vec<String> {
    let list = files.iter().find(|file| file.path == LIST).and_then(File::text);
    let list = match list.map(toml::from_str::<List>) {
        Some(Ok(list)) => list.word,
        Some(Err(error)) => return vec![format!("{LIST}: {error}")],
        None => return vec![format!("{LIST}: missing, so words that were replaced may come back")],
    };
    let searched = files.iter().filter(|file| !file.is_fixture());
    let searched = searched.filter(|file| file.path != LIST && file.path != HISTORY);
    searched.flat_map(|file| check_file(file, &list)).collect()
}

fn check_file(file: &File, list: &[Word]) -> Vec<String> {
    let list = list.iter().filter(|word| file.path.starts_with(&word.below));
    let list: Vec<&Word> = list.collect();
    let Some(text) = file.text().filter(|_| !list.is_empty()) else { return Vec::new() };
    let mut names: Vec<(usize, String)> = Vec::new();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_text = match file.path.rsplit_once('.') {
        Some((path, "rs")) => {
            names.extend(path.rsplit('/').next().map(|name| (0, name.to_owned())));
            let idents = tokens::identifiers(tokens::parse(text).unwrap_or_default());
            names.extend(idents.iter().map(|ident| (ident.span().start().line, ident.to_string())));
            idents.iter().for_each(|ident| blank(ident, &mut lines));
            true
        }
        Some((_, "md")) => {
            for (index, line) in text.lines().enumerate() {
                let spans = line.split('`').skip(1).step_by(2);
                let words = spans.flat_map(|span| span.split(|c: char| !is_word(c)));
                names.extend(words.map(|word| (index + 1, word.to_owned())));
            }
            true
        }
        _ => false,
    };
    let mut found: Vec<(usize, &Word)> = Vec::new();
    for word in list {
        let (parts, lower) = (parts(&word.word), word.word.to_lowercase());
        let named = names.iter().filter(|(_, name)| {
            word.r#in.contains(&Place::Name) && *name == word.word
                || word.r#in.contains(&Place::Names) && self::parts(name).contains(&parts)
        });
        found.extend(named.map(|(line, _)| (*line, word)));
        let read = lines.iter().filter(|_| is_text && word.r#in.contains(&Place::Text));
        let read = read.enumerate().filter(|(_, line)| holds(&line.to_lowercase(), &lower));
        found.extend(read.map(|(index, _)| (index + 1, word)));
    }
    found.sort_by_key(|(line, _)| *line);
    let problem = |(line, word): (usize, &Word)| {
        let Word { word, r#use, .. } = word;
        format!("{}:{line}: `{word}` was replaced: use {use}", file.path)
    };
    let mut problems: Vec<String> = found.into_iter().map(problem).collect();
    problems.dedup();
    problems
}

/// The words of a name, each with `_` before and after it.
fn parts(name: &str) -> String {
    format!("_{}_", name.to_snake_case())
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Whether `text` holds `phrase`, and not as part of a longer word.
fn holds(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + phrase.len()..]);
        !before.ends_with(is_word) && !after.starts_with(is_word)
    })
}

/// Takes a name out of the lines, so that comments and strings are left.
fn blank(ident: &Ident, lines: &mut [String]) {
    let (start, end) = (ident.span().start(), ident.span().end());
    // Documentation is read as an attribute, whose name has the place of all of it.
    if start.line != end.line || end.column - start.column != ident.to_string().chars().count() {
        return;
    }
    let Some(line) = lines.get_mut(start.line - 1) else { return };
    let blanked = line
        .chars()
        .enumerate()
        .map(|(at, c)| if (start.column..end.column).contains(&at) { ' ' } else { c });
    *line = blanked.collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one file against a list of one word.
    fn check_word(word: &str, path: &str, text: &str, expected: &[&str]) {
        let file = |path: &str, text: &str| File { path: path.to_owned(), bytes: text.into() };
        let list = format!("[[word]]\nuse = \"`y`\"\n{word}\n");
        let problems = check(&[file(LIST, &list), file(path, text)]);
        let found: Vec<&str> = problems
            .iter()
            .map(|p| p.split(" was replaced: use `y`").next().unwrap_or(p))
            .collect();
        assert_eq!(found, expected, "{word} in {text:?}");
    }

    #[test]
    fn a_name_that_is_the_word_is_found() {
        let word = "word = \"Held\"\nin = [\"name\"]";
        check_word(word, "a.rs", "fn f(\n  h: Held) {}", &["a.rs:2: `Held`"]);
        check_word(word, "a.md", "one\n`fn(Held)` and Held", &["a.md:2: `Held`"]);
        check_word(word, "a.rs", "// Held\nfn held(_: HeldBack) { \"Held\"; }", &[]);
    }

    #[test]
    fn a_name_that_holds_the_word_is_found() {
        let word = "word = \"set_aside\"\nin = [\"names\"]";
        check_word(word, "a.rs", "fn f() { was_set_aside(); }", &["a.rs:1: `set_aside`"]);
        check_word(word, "a.rs", "macro! {\n struct SetAside; }", &["a.rs:2: `set_aside`"]);
        check_word(word, "a/set_aside.rs", "", &["a/set_aside.rs:0: `set_aside`"]);
        check_word(word, "a.md", "`SetAsideNow`, set_aside", &["a.md:1: `set_aside`"]);
        check_word(word, "a.rs", "// set_aside\nfn asset_aside() {}", &[]);
    }

    #[test]
    fn text_that_holds_the_word_is_found() {
        let word = "word = \"took back\"\nin = [\"text\"]";
        check_word(word, "a.md", "We Took back\nit", &["a.md:1: `took back`"]);
        for text in ["//! Took back", "/// took back.", "// it took back", "/* took back */"] {
            check_word(word, "a.rs", text, &["a.rs:1: `took back`"]);
        }
        check_word(word, "a.rs", "\n\"é took back {x}\"", &["a.rs:2: `took back`"]);
        check_word(word, "a.md", "mistook back, took backwards", &[]);
        let word = "word = \"turn\"\nin = [\"text\"]";
        check_word(word, "a.rs", "let turn = turn; // Turn", &["a.rs:1: `turn`"]);
        check_word(word, "a.rs", "let é = turn(turn.turn);", &[]);
    }

    #[test]
    fn a_word_may_be_replaced_in_some_files_only() {
        let word = "word = \"Line\"\nin = [\"name\"]\nbelow = \"a/\"";
        check_word(word, "a/b.rs", "use Line;", &["a/b.rs:1: `Line`"]);
        check_word(word, "b.rs", "use Line;", &[]);
        check_word("word = \"Line\"\nin = [\"name\"]", HISTORY, "`Line`", &[]);
        check_word("word = \"Line\"\nin = [\"name\"]", "a/fixtures/b.md", "`Line`", &[]);
    }

    #[test]
    fn a_list_that_is_missing_or_not_understood_is_refused() {
        assert!(check(&[]).concat().contains("missing"));
        for list in ["", "word = [{ word = \"x\", use = \"y\", in = [\"comments\"] }]"] {
            let file = File { path: LIST.to_owned(), bytes: list.into() };
            assert_eq!(check(&[file]).len(), 1, "{list}");
        }
    }
}
