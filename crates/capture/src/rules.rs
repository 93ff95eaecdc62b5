//! Which paths of a workspace are private to a capture: ignored files and the directories of git.
//!
//! The rules are gitignore(5)'s: the `.gitignore` of each directory, `.git/info/exclude` and the
//! user's own file. They are read from the workspace before a command starts and kept, so that
//! nothing the command writes decides what a reviewer sees. Files that git tracks are never ignored.

mod globs;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::{Deserialize, Serialize};

use self::globs::Globs;
use crate::bytes::Bytes;
use crate::paths::as_path;
use crate::stat::Kind;

pub use self::globs::glob_mistake;

/// The name of the file that holds the rules of a directory.
const IGNORE_FILE: &[u8] = b".gitignore";

/// The rules of a workspace: plain data, to be kept in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Rules for the whole workspace, the weakest first: the texts of the user's own file and of
    /// `.git/info/exclude`.
    pub general: Vec<Bytes>,
    /// The text of each `.gitignore`, by its directory below the root, which is empty for the root.
    pub directories: BTreeMap<Bytes, Bytes>,
    /// The files that git tracks although a rule matches them.
    pub tracked: BTreeSet<Bytes>,
    /// The files of pending patches that a view shows. A rule does not hide what becomes of them.
    #[serde(default)]
    pub patched: BTreeSet<Bytes>,
    /// Ignored files that are proposed all the same: lines as in a `.gitignore` of the root, the
    /// strongest last.
    #[serde(default)]
    pub proposed: Vec<Bytes>,
}

/// Reads the text of a file below the root; none when there is none.
pub type ReadFile<'f> = dyn Fn(&[u8]) -> Option<Vec<u8>> + 'f;

/// Decides which paths are private.
pub struct Private<'f> {
    rules: Rules,
    general: Vec<Gitignore>,
    directories: BTreeMap<Bytes, Gitignore>,
    proposed: Globs,
    /// Reads the rules of each directory, while they are collected.
    read: Option<&'f ReadFile<'f>>,
    /// The directory that was asked about last, and whether it is private.
    last: Option<(Vec<u8>, bool)>,
}

impl<'f> Private<'f> {
    /// Decides by rules that were collected before. A line that is no pattern is left out, as git
    /// does.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let compile_own =
            |(directory, text): (&Bytes, &Bytes)| (directory.clone(), compile(&text.0));
        Self {
            general: rules.general.iter().map(|text| compile(&text.0)).collect(),
            directories: rules.directories.iter().map(compile_own).collect(),
            proposed: Globs::new(&rules.proposed),
            rules,
            read: None,
            last: None,
        }
    }

    /// Collects the rules of each directory by `read` when it is first asked about: a directory
    /// before what is in it.
    #[must_use]
    pub fn collecting(rules: Rules, read: &'f ReadFile<'f>) -> Self {
        Self { read: Some(read), ..Self::new(rules) }
    }

    /// The rules that were collected.
    #[must_use]
    pub fn into_rules(self) -> Rules {
        self.rules
    }

    /// Whether an entry is private: ignored, below something that is, or git's own, unless it is to be
    /// proposed all the same.
    pub fn is_private(&mut self, path: &[u8], kind: Kind) -> bool {
        self.is_ignored(path, kind) && !self.proposed.propose(path, kind)
    }

    /// Whether a walk leaves out an entry with all below it: it is private, and nothing in it can be
    /// proposed.
    pub fn is_left_out(&mut self, path: &[u8], kind: Kind) -> bool {
        self.is_private(path, kind) && !(kind == Kind::Directory && self.proposed.reach_into(path))
    }

    /// Whether ignored files may be proposed.
    #[cfg(target_os = "linux")]
    pub(crate) fn has_proposed(&self) -> bool {
        !self.rules.proposed.is_empty()
    }

    /// Whether an entry is ignored, below something that is, or git's own.
    pub(crate) fn is_ignored(&mut self, path: &[u8], kind: Kind) -> bool {
        let parent = parent(path);
        let is_in_private = match &self.last {
            Some((last, is_private)) if last == parent => *is_private,
            _ => {
                self.collect(parent);
                let is_private = !parent.is_empty()
                    && (self.is_in_private(parent) || self.matches(parent, Kind::Directory));
                self.last = Some((parent.to_vec(), is_private));
                is_private
            }
        };
        (is_in_private || self.matches(path, kind)) && !self.is_tracked(path, kind)
    }

    fn collect(&mut self, directory: &[u8]) {
        let Some(read) = self.read.filter(|_| !self.directories.contains_key(directory)) else {
            return;
        };
        let name = match directory {
            b"" => IGNORE_FILE.to_vec(),
            directory => [directory, b"/", IGNORE_FILE].concat(),
        };
        if let Some(text) = read(&name) {
            self.directories.insert(Bytes(directory.to_vec()), compile(&text));
            self.rules.directories.insert(Bytes(directory.to_vec()), Bytes(text));
        }
    }

    fn is_in_private(&self, path: &[u8]) -> bool {
        let mut above = parent(path);
        while !above.is_empty() {
            if self.matches(above, Kind::Directory) {
                return true;
            }
            above = parent(above);
        }
        false
    }

    /// Whether git tracks the file, or a file in the directory, or a view shows a patch of it.
    fn is_tracked(&self, path: &[u8], kind: Kind) -> bool {
        let prefix = [path, b"/"].concat();
        [&self.rules.tracked, &self.rules.patched].into_iter().any(|tracked| {
            if kind != Kind::Directory && tracked.contains(path) {
                return true;
            }
            let from = (Bound::Included(&*prefix), Bound::Unbounded);
            kind.may_be_directory()
                && tracked
                    .range::<[u8], _>(from)
                    .next()
                    .is_some_and(|next| next.0.starts_with(&prefix))
        })
    }

    /// Whether a rule matches the entry itself; the rules of the nearest directory decide.
    fn matches(&self, path: &[u8], kind: Kind) -> bool {
        if path.rsplit(|byte| *byte == b'/').next() == Some(b".git") {
            return true;
        }
        let is_directory = kind.may_be_directory();
        let mut directory = parent(path);
        loop {
            let below = &path[if directory.is_empty() { 0 } else { directory.len() + 1 }..];
            if let Some(rules) = self.directories.get(directory) {
                match rules.matched(as_path(below), is_directory) {
                    Match::None => {}
                    Match::Ignore(_) => return true,
                    Match::Whitelist(_) => return false,
                }
            }
            if directory.is_empty() {
                break;
            }
            directory = parent(directory);
        }
        let general = self.general.iter().rev();
        let mut decided = general.map(|rules| rules.matched(as_path(path), is_directory));
        decided.find(|found| !found.is_none()).is_some_and(|found| found.is_ignore())
    }
}

fn compile(text: &[u8]) -> Gitignore {
    let mut builder = GitignoreBuilder::new("");
    for line in String::from_utf8_lossy(text).lines() {
        // A line that is no pattern matches nothing.
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(&[], |at| &path[..at])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn bytes(text: &str) -> Bytes {
        Bytes(text.as_bytes().to_vec())
    }

    fn rules(files: &[(&str, &str)], tracked: &[&str]) -> Rules {
        let directories = files.iter().map(|(directory, text)| (bytes(directory), bytes(text)));
        Rules {
            general: vec![bytes("*.log\n"), bytes("!kept.log\n")],
            directories: directories.collect(),
            tracked: tracked.iter().map(|path| bytes(path)).collect(),
            ..Rules::default()
        }
    }

    #[rstest]
    #[case::by_name("target", Kind::Directory, true)]
    #[case::a_file_of_the_name_of_a_directory_rule("target", Kind::File, false)]
    #[case::below_an_ignored_directory("target/debug/a", Kind::File, true)]
    #[case::anchored("build", Kind::File, true)]
    #[case::anchored_elsewhere("sub/build", Kind::File, false)]
    #[case::general("a/b/c.log", Kind::File, true)]
    #[case::general_taken_back("a/kept.log", Kind::File, false)]
    #[case::nearest_rule_decides("sub/x.tmp", Kind::File, false)]
    #[case::farther_rule("other/x.tmp", Kind::File, true)]
    #[case::no_rule("src/main.rs", Kind::File, false)]
    #[case::tracked_although_ignored("out/kept/file", Kind::File, false)]
    #[case::directory_of_a_tracked_file("out/kept", Kind::Directory, false)]
    #[case::beside_a_tracked_file("out/kept/other", Kind::File, true)]
    #[case::git(".git", Kind::Directory, true)]
    #[case::below_git(".git/refs/heads/main", Kind::File, true)]
    #[case::git_of_a_submodule("vendor/x/.git", Kind::File, true)]
    #[case::named_alike(".gitignore", Kind::File, false)]
    #[case::what_hides_an_ignored_directory("target", Kind::Other, true)]
    #[case::what_hides_a_directory_of_a_tracked_file("out/kept", Kind::Other, false)]
    fn what_is_ignored_or_git_s_own_is_private(
        #[case] path: &str,
        #[case] kind: Kind,
        #[case] expected: bool,
    ) {
        let rules = rules(
            &[("", "target/\nout/\n/build\n*.tmp\n"), ("sub", "!x.tmp\n")],
            &["out/kept/file"],
        );
        assert_eq!(Private::new(rules).is_private(path.as_bytes(), kind), expected);
    }

    #[test]
    fn rules_are_collected_directory_by_directory() {
        let read = |name: &[u8]| match name {
            b".gitignore" => Some(b"a\n".to_vec()),
            b"d/.gitignore" => Some(b"b\n".to_vec()),
            _ => None,
        };
        let mut private = Private::collecting(Rules::default(), &read);
        assert!(private.is_private(b"a", Kind::File));
        assert!(!private.is_private(b"d", Kind::Directory));
        assert!(private.is_private(b"d/b", Kind::File));
        assert!(!private.is_private(b"b", Kind::File));
        let rules = private.into_rules();
        let mut again = Private::new(rules);
        assert!(again.is_private(b"d/b", Kind::File) && !again.is_private(b"e/b", Kind::File));
    }
}
