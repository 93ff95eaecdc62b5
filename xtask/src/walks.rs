//! Checks the walks of ARCHITECTURE.md: each step names a function that its file defines.
//!
//! A walk follows one operation through the code. It is the numbered list after a line
//! `<!-- walk: at most N steps -->`; each of its items begins with `` `function` in `path` ``, where
//! `function` may be `Type::function`.
//!
//! # Limitations
//! That one step calls the next is not checked.

use regex::Regex;

use crate::files::File;
use crate::tokens;

const DOCUMENT: &str = "ARCHITECTURE.md";

/// Checks every walk.
pub(crate) fn check(files: &[File]) -> Vec<String> {
    let document = files.iter().find(|file| file.path == DOCUMENT).and_then(File::text);
    let lines: Vec<&str> = document.unwrap_or_default().lines().collect();
    let marker = Regex::new("^<!-- walk: at most ([0-9]+) steps -->$").expect("it is a pattern");
    let mut problems = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(found) = marker.captures(line) else { continue };
        let steps = lines[at + 1..].iter().skip_while(|line| line.is_empty());
        let steps: Vec<&str> = steps.copied().take_while(|line| !line.is_empty()).collect();
        let found = check_walk(files, &steps, found[1].parse().unwrap_or(0));
        problems.extend(found.map(|problem| format!("{DOCUMENT}:{}: {problem}", at + 1)));
    }
    problems
}

/// The problems of the lines of a list.
fn check_walk(files: &[File], lines: &[&str], most: usize) -> impl Iterator<Item = String> {
    let item = Regex::new(r"^[0-9]+\. (.*)$").expect("it is a pattern");
    let step = Regex::new("^`([A-Za-z_0-9:]+)` in `([^`]+)`").expect("it is a pattern");
    let mut problems = Vec::new();
    let items: Vec<_> = lines.iter().filter_map(|line| item.captures(line)).collect();
    if items.is_empty() || items.len() > most {
        problems.push(format!("the walk has {} steps, not 1 to {most}", items.len()));
    }
    for item in items {
        match step.captures(&item[1]) {
            None => problems.push(format!("a step begins with `function` in `path`: {}", &item[1])),
            Some(step) if !defines(files, &step[2], &step[1]) => {
                problems.push(format!("`{}` does not define `{}`", &step[2], &step[1]));
            }
            Some(_) => {}
        }
    }
    problems.into_iter()
}

/// Whether the file at a path has a function of that name, and names its type.
fn defines(files: &[File], path: &str, function: &str) -> bool {
    let text = files.iter().find(|file| file.path == path).and_then(File::text);
    let Ok(tokens) = tokens::of(text.unwrap_or_default()) else { return false };
    let (owner, name) = function.rsplit_once("::").unwrap_or(("fn", function));
    let is_defined = tokens.windows(2).any(|two| two[0].text == "fn" && two[1].text == name);
    is_defined && tokens.iter().any(|token| owner.rsplit("::").next() == Some(&token.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str =
        "/// fn told() {}\nstruct Shop;\nimpl Shop { fn open(&self) {} }\nfn close() {}\n";

    #[track_caller]
    fn check_steps(steps: &str, expected: &[&str]) {
        let document = format!("# A\n\n<!-- walk: at most 2 steps -->\n\n{steps}\n\n1. no step\n");
        let file = |path: &str, text: &str| File { path: path.to_owned(), bytes: text.into() };
        let files = [file(DOCUMENT, &document), file("src/shop.rs", CODE)];
        let expected: Vec<String> =
            expected.iter().map(|problem| format!("{DOCUMENT}:3: {problem}")).collect();
        assert_eq!(check(&files), expected, "the problems of {steps:?}");
    }

    #[test]
    fn a_walk_of_functions_that_are_there_holds() {
        check_steps(
            "1. `Shop::open` in `src/shop.rs`: opens\n   the shop.\n2. `close` in `src/shop.rs`.",
            &[],
        );
    }

    #[test]
    fn a_step_whose_function_or_file_is_gone_is_found() {
        check_steps("1. `shut` in `src/shop.rs`", &["`src/shop.rs` does not define `shut`"]);
        check_steps("1. `told` in `src/shop.rs`", &["`src/shop.rs` does not define `told`"]);
        check_steps(
            "1. `Bank::open` in `src/shop.rs`",
            &["`src/shop.rs` does not define `Bank::open`"],
        );
        check_steps("1. `close` in `src/bank.rs`", &["`src/bank.rs` does not define `close`"]);
    }

    #[test]
    fn a_walk_has_steps_of_one_form_and_no_more_than_it_says() {
        let three = "1. `close` in `src/shop.rs`\n".repeat(3);
        check_steps(three.trim_end(), &["the walk has 3 steps, not 1 to 2"]);
        check_steps("none", &["the walk has 0 steps, not 1 to 2"]);
        check_steps("1. it closes", &["a step begins with `function` in `path`: it closes"]);
    }
}
