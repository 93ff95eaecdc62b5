//! Which ignored files are proposed all the same: globs as in a gitignore(5) file at the workspace's root.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::bytes::Bytes;
use crate::paths::{as_path, is_git, is_in};
use crate::stat::Kind;

/// Ignored files that are proposed.
pub(super) struct Globs {
    compiled: Gitignore,
    /// The directories in or above which a glob can match; none where it can match anywhere.
    folders: Option<Vec<Vec<u8>>>,
}

/// Why a glob of [`Rules::proposed`](crate::Rules::proposed) cannot be used; none where it can.
#[must_use]
pub fn glob_mistake(glob: &str) -> Option<String> {
    let text = glob.trim();
    if text.is_empty() {
        return Some("it is empty".to_owned());
    }
    if text.starts_with('#') {
        return Some("it is a comment: begin it with `\\#`".to_owned());
    }
    GitignoreBuilder::new("").add_line(None, glob).err().map(|error| error.to_string())
}

impl Globs {
    pub(super) fn new(globs: &[Bytes]) -> Self {
        let mut builder = GitignoreBuilder::new("");
        for glob in globs {
            // One that is no glob matches nothing.
            let _ = builder.add_line(None, &String::from_utf8_lossy(&glob.0));
        }
        let chosen = globs.iter().filter(|glob| !glob.0.starts_with(b"!"));
        Self {
            compiled: builder.build().unwrap_or_else(|_| Gitignore::empty()),
            folders: chosen.map(|glob| folder(&glob.0)).collect(),
        }
    }

    /// Whether the entry is proposed. Git's own directories never are.
    pub(super) fn propose(&self, path: &[u8], kind: Kind) -> bool {
        !self.compiled.is_empty()
            && !is_git(path)
            && self
                .compiled
                .matched_path_or_any_parents(as_path(path), kind.may_be_directory())
                .is_ignore()
    }

    /// Whether something in the directory can be proposed.
    pub(super) fn reach_into(&self, directory: &[u8]) -> bool {
        let meet = |folder: &Vec<u8>| is_in(folder, directory) || is_in(directory, folder);
        !is_git(directory) && self.folders.as_ref().is_none_or(|folders| folders.iter().any(meet))
    }
}

/// The directory below which a glob matches; none where that is not known.
fn folder(glob: &[u8]) -> Option<Vec<u8>> {
    let trimmed = glob.strip_suffix(b"/").unwrap_or(glob);
    let anchored = trimmed.strip_prefix(b"/");
    if anchored.is_none() && !trimmed.contains(&b'/') {
        return None;
    }
    let is_plain = |name: &&[u8]| !name.iter().any(|byte| b"*?[]{}\\ ".contains(byte));
    let names = anchored.unwrap_or(trimmed).split(|byte| *byte == b'/');
    let plain: Vec<&[u8]> = names.take_while(is_plain).collect();
    if plain.is_empty() { None } else { Some(plain.join(&b'/')) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn globs(text: &[&str]) -> Globs {
        Globs::new(&text.iter().map(|glob| Bytes(glob.as_bytes().to_vec())).collect::<Vec<_>>())
    }

    #[rstest]
    #[case::none(&[], "a", false)]
    #[case::anywhere(&["*.json"], "out/deep/a.json", true)]
    #[case::a_directory(&["dist/"], "dist/a", true)]
    #[case::but_for_some(&["dist/", "!*.map"], "dist/a.map", false)]
    #[case::anchored(&["/dist"], "sub/dist/a", false)]
    #[case::below_a_directory(&["out/report.*"], "out/report.txt", true)]
    #[case::git(&["*"], ".git/config", false)]
    #[case::git_of_a_repository_inside(&["vendor/"], "vendor/x/.git/config", false)]
    fn what_a_glob_matches_is_proposed(
        #[case] text: &[&str],
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(globs(text).propose(path.as_bytes(), Kind::File), expected);
    }

    #[rstest]
    #[case::none(&[], "target", false)]
    #[case::anywhere(&["*.json"], "target/debug", true)]
    #[case::on_the_way(&["/target/doc/*.html"], "target", true)]
    #[case::in_the_place(&["/target/doc/*.html"], "target/doc/x", true)]
    #[case::beside_it(&["target/doc/*.html"], "target/debug", false)]
    #[case::named_alike(&["target/doc/*.html"], "target/docs", false)]
    #[case::at_any_depth(&["**/doc/*.html"], "target/debug", true)]
    #[case::only_taken_back(&["!target/"], "target", false)]
    #[case::git(&["*"], ".git", false)]
    fn only_directories_in_which_a_glob_can_match_are_entered(
        #[case] text: &[&str],
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(globs(text).reach_into(path.as_bytes()), expected);
    }

    #[test]
    fn a_glob_that_matches_nothing_is_a_mistake() {
        for wrong in ["", "  ", "# x", "{"] {
            assert!(glob_mistake(wrong).is_some(), "{wrong}");
        }
        assert_eq!(glob_mistake("out/*.json"), None);
        assert_eq!(glob_mistake("\\#x"), None);
    }
}
