//! What may be meant by a word that selects nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::iter::successors;

use staging_core::{RelPath, Session};

use crate::location::Location;
use crate::nearest::nearest;

/// How many files of the same name are suggested.
const SAME_NAME_MAX: usize = 3;

/// What may be meant, of the paths that wait and the sessions; none where nothing is like it.
pub(super) fn suggestions(
    word: &OsStr,
    names: &[&RelPath],
    sessions: &[Session],
    location: &Location,
) -> Option<String> {
    let found = files_of_that_name(word, names);
    if !found.is_empty() {
        let typed: Vec<String> =
            found.iter().take(SAME_NAME_MAX).map(|name| location.typed(name)).collect();
        return Some(did_you_mean(&typed));
    }
    if names.is_empty() {
        return Some("Nothing is pending.".to_owned());
    }
    let known = known(names, sessions, location);
    let near = nearest(&word.to_string_lossy(), known.keys().map(String::as_str))?;
    Some(did_you_mean(&[known.get(near)?]))
}

/// The paths that end in these names.
fn files_of_that_name<'p>(word: &OsStr, names: &[&'p RelPath]) -> BTreeSet<&'p RelPath> {
    let Ok(path) = RelPath::parse(word.as_encoded_bytes()) else { return BTreeSet::new() };
    let ending = [b"/", path.as_bytes()].concat();
    let is_meant = |name: &&RelPath| **name == path || name.as_bytes().ends_with(&ending);
    names.iter().copied().filter(is_meant).collect()
}

/// The words that select something, by what may have been misspelt: labels, and the paths and names of
/// files and directories.
fn known(
    names: &[&RelPath],
    sessions: &[Session],
    location: &Location,
) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for name in names {
        for path in successors(Some((*name).clone()), RelPath::parent) {
            let typed = location.typed(&path);
            let last = String::from_utf8_lossy(path.file_name()).into_owned();
            known.entry(last).or_insert_with(|| typed.clone());
            known.insert(typed.clone(), typed);
        }
    }
    for session in sessions {
        let id = session.id.to_string();
        known.insert(session.label.clone(), session.label.clone());
        known.insert(id.clone(), id);
    }
    known
}

fn did_you_mean(words: &[impl AsRef<str>]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    format!("Did you mean {}?", words.join(" or "))
}
