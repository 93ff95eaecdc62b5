//! The globs of rules. Those that approve match exactly what they say; those that keep a set for a
//! person match every name that some file system takes for the same one.

use atomic_fs::{RelPath, folded_name, folded_stem};
use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

/// Why a text cannot be used as a glob.
#[derive(Debug, thiserror::Error)]
#[error("`{glob}` is not a glob: {reason}")]
pub struct GlobMistake {
    /// The text.
    pub glob: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Globs that match a whole text: `*` stays within a name of a path, `**` does not, and case counts.
#[derive(Clone, Debug, Default)]
pub struct PathGlobs(GlobSet);

impl PathGlobs {
    /// Compiles globs. One that ends in `/` matches everything below that directory.
    ///
    /// # Errors
    /// When one is no glob.
    pub fn parse<'g>(globs: impl IntoIterator<Item = &'g str>) -> Result<Self, GlobMistake> {
        let each = globs.into_iter().map(|glob| match glob.strip_suffix('/') {
            Some(dir) => (glob, vec![format!("{dir}/**")]),
            None => (glob, vec![glob.to_owned()]),
        });
        compile(each).map(Self)
    }

    /// Whether one matches.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        self.0.is_match_candidate(&Candidate::from_bytes(text))
    }

    pub(crate) fn are_none(&self) -> bool {
        self.0.is_empty()
    }
}

/// Globs of paths that match, without regard to case and composition, the path itself and what is
/// below it; one without `/` matches a name anywhere.
#[derive(Clone, Debug, Default)]
pub struct AskGlobs(GlobSet);

impl AskGlobs {
    /// Compiles globs.
    ///
    /// # Errors
    /// When one is no glob.
    pub fn parse<'g>(globs: impl IntoIterator<Item = &'g str>) -> Result<Self, GlobMistake> {
        let each = globs.into_iter().map(|glob| {
            let path = glob.strip_suffix('/').unwrap_or(glob);
            let folded = String::from_utf8_lossy(&folded_name(path.as_bytes())).into_owned();
            let anywhere = if path.contains('/') { None } else { Some(format!("**/{folded}")) };
            let all = std::iter::once(folded).chain(anywhere);
            (glob, all.flat_map(|glob| [format!("{glob}/**"), glob]).collect())
        });
        compile(each).map(Self)
    }

    /// Whether one matches; everything matches without globs.
    pub(crate) fn matches(&self, path: &RelPath) -> bool {
        let matches = |path: Vec<u8>| self.0.is_match_candidate(&Candidate::from_bytes(&path));
        self.0.is_empty() || matches(folded_path(path)) || matches(folded(path, folded_stem))
    }
}

/// A path in a form in which paths are equal that some file system takes for the same one.
pub(crate) fn folded_path(path: &RelPath) -> Vec<u8> {
    folded(path, |name| folded_name(name).into_owned())
}

fn folded(path: &RelPath, fold: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let names: Vec<Vec<u8>> = path.components().map(fold).collect();
    names.join(&b'/')
}

fn compile<'g>(
    globs: impl Iterator<Item = (&'g str, Vec<String>)>,
) -> Result<GlobSet, GlobMistake> {
    let mistake = |glob: &str, error: &globset::Error| GlobMistake {
        glob: glob.to_owned(),
        reason: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for (glob, patterns) in globs {
        if glob.trim_matches('/').is_empty() || glob.starts_with('/') {
            let reason = "a path below the workspace is expected".to_owned();
            return Err(GlobMistake { glob: glob.to_owned(), reason });
        }
        for pattern in patterns {
            let built = GlobBuilder::new(&pattern).literal_separator(true).build();
            set.add(built.map_err(|error| mistake(glob, &error))?);
        }
    }
    set.build().map_err(|error| mistake(error.glob().unwrap_or_default(), &error))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("docs/**", "docs/a/b.md", true)]
    #[case("docs/", "docs/a/b.md", true)]
    #[case("docs/*", "docs/a/b.md", false)]
    #[case("docs/**", "Docs/a.md", false)]
    #[case("docs/**", "doc\u{455}/a.md", false)]
    #[case("docs/**", "docs", false)]
    #[case("*.md", "a.md", true)]
    #[case("*.md", "src/a.md", false)]
    fn a_glob_that_approves_matches_what_it_says(
        #[case] glob: &str,
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        let globs = PathGlobs::parse([glob]).expect("a glob");
        assert_eq!(globs.matches(path.as_bytes()), expected);
    }

    #[rstest]
    #[case("docs/private", "docs/private/a.md", true)]
    #[case("docs/private/", "docs/private/a.md", true)]
    #[case("docs/private", "DOCS/Private/a.md", true)]
    #[case("docs/private", "docs/pri\u{200b}vate/a.md", true)]
    #[case("docs/größe", "docs/gro\u{308}ße", true)]
    #[case("secret.md", "docs/deep/SECRET.md", true)]
    #[case("secret.md", "docs/secret.md. ", true)]
    #[case("secret.md", "docs/secret.md:stream", true)]
    #[case("docs/private", "docs/privately.md", false)]
    fn a_glob_that_asks_matches_what_a_file_system_takes_for_the_same(
        #[case] glob: &str,
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        let globs = AskGlobs::parse([glob]).expect("a glob");
        assert_eq!(globs.matches(&RelPath::parse(path.as_bytes()).expect("a path")), expected);
    }

    #[rstest]
    #[case("a[")]
    #[case("/etc/**")]
    #[case("")]
    fn what_is_no_glob_below_the_workspace_is_refused(#[case] glob: &str) {
        assert!(PathGlobs::parse([glob]).is_err() && AskGlobs::parse([glob]).is_err());
    }
}
