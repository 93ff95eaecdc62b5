//! Globs over paths relative to a directory, as the reference server reads them.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::failure::Failure;
use crate::paths::shown;

/// How many patterns one call may name.
const PATTERNS_MAX: usize = 256;
/// How long one pattern may be.
const PATTERN_BYTES_MAX: usize = 4096;

/// What is looked for, or left out.
pub(crate) struct Patterns(GlobSet);

impl Patterns {
    /// Globs that are matched against the whole relative path: `*` stays within a name, `**`
    /// does not, and names that begin with a dot are like any others.
    pub(crate) fn plain(patterns: &[String]) -> Result<Self, Failure> {
        Self::build(patterns, |pattern| Ok(vec![glob(pattern)?]))
    }

    /// What a tree leaves out: a pattern without `*` also leaves out that name anywhere.
    pub(crate) fn names(patterns: &[String]) -> Result<Self, Failure> {
        Self::build(patterns, |pattern| {
            let mut globs = vec![glob(pattern)?];
            if !pattern.contains('*') {
                globs.push(glob(&format!("**/{pattern}"))?);
                globs.push(glob(&format!("**/{pattern}/**"))?);
            }
            Ok(globs)
        })
    }

    fn build(
        patterns: &[String],
        globs: impl Fn(&str) -> Result<Vec<Glob>, Failure>,
    ) -> Result<Self, Failure> {
        if patterns.len() > PATTERNS_MAX {
            return Err(Failure::new(format!("at most {PATTERNS_MAX} patterns at once")));
        }
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            for glob in globs(pattern)? {
                set.add(glob);
            }
        }
        set.build().map(Self).map_err(|error| Failure::new(format!("the patterns: {error}")))
    }

    /// Whether one of them matches a relative path.
    pub(crate) fn matches(&self, relative: &[u8]) -> bool {
        self.0.is_match(std::path::Path::new(&os(relative)))
    }
}

#[cfg(unix)]
fn os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

#[cfg(not(unix))]
fn os(bytes: &[u8]) -> std::ffi::OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn glob(pattern: &str) -> Result<Glob, Failure> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(Failure::new(format!("a pattern has at most {PATTERN_BYTES_MAX} bytes")));
    }
    GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
        Failure::new(format!("`{}` is not a glob: {}", shown(pattern), error.kind()))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("*.rs", "a.rs", true)]
    #[case("*.rs", "src/a.rs", false)]
    #[case("**/*.rs", "a.rs", true)]
    #[case("**/*.rs", "src/deep/a.rs", true)]
    #[case("**/*.{rs,md}", "src/a.md", true)]
    #[case("*", ".hidden", true)]
    #[case("src/**", "src/a/b", true)]
    #[case("a", "src/a", false)]
    fn a_glob_matches_the_whole_relative_path(
        #[case] pattern: &str,
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        let patterns = Patterns::plain(&[pattern.to_owned()]).expect("a glob");
        assert_eq!(patterns.matches(path.as_bytes()), expected);
    }

    #[rstest]
    #[case("target", "target", true)]
    #[case("target", "a/target", true)]
    #[case("target", "a/target/b", true)]
    #[case("target", "targets", false)]
    #[case("*.log", "a/b.log", false)]
    fn a_name_without_a_star_is_left_out_of_a_tree_anywhere(
        #[case] pattern: &str,
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        let patterns = Patterns::names(&[pattern.to_owned()]).expect("a glob");
        assert_eq!(patterns.matches(path.as_bytes()), expected);
    }

    #[test]
    fn a_pattern_that_is_not_a_glob_is_reported() {
        let failure = Patterns::plain(&["a[".to_owned()]).err().expect("it has no end");
        assert!(failure.message.starts_with("`a[` is not a glob"), "{}", failure.message);
    }
}
