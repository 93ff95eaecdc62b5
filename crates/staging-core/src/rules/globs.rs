//! The globs of rules. Those that approve match exactly what they say; those that keep a set for a
//! person match every name that some file system takes for the same one.

mod spelling;

use atomic_fs::{RelPath, folded_name, folded_stem};
use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use self::spelling::alternatives;

/// Why a text cannot be used as a glob.
#[derive(Debug, thiserror::Error)]
#[error("`{glob}` cannot be used as a glob: {reason}")]
pub struct GlobMistake {
    /// The text.
    pub glob: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Globs of paths, each from the workspace's root: `*` stays within a name, `**` takes the place of any
/// number of names, and case counts.
#[derive(Clone, Debug, Default)]
pub struct PathGlobs(GlobSet);

impl PathGlobs {
    /// Compiles globs. One that ends in `/` matches everything below that directory.
    ///
    /// # Errors
    /// When one is no glob, or can match no path of a workspace.
    pub fn parse<'g>(globs: impl IntoIterator<Item = &'g str>) -> Result<Self, GlobMistake> {
        let below = |glob: String| match glob.strip_suffix('/') {
            Some(dir) => format!("{dir}/**"),
            None => glob,
        };
        let each = |glob| Ok((glob, spelled_out(glob)?.into_iter().map(below).collect()));
        compile(globs.into_iter().map(each)).map(Self)
    }

    /// Whether one matches.
    pub(crate) fn matches(&self, path: &RelPath) -> bool {
        self.0.is_match_candidate(&Candidate::from_bytes(path.as_bytes()))
    }
}

/// Globs of the labels of sessions. `*` stays between two `/`, and case counts.
#[derive(Clone, Debug, Default)]
pub struct LabelGlobs(GlobSet);

impl LabelGlobs {
    /// Compiles globs.
    ///
    /// # Errors
    /// When one is no glob.
    pub fn parse<'g>(globs: impl IntoIterator<Item = &'g str>) -> Result<Self, GlobMistake> {
        let each = |glob: &'g str| match glob {
            "" => Err(GlobMistake::new(glob, "it is empty")),
            glob => Ok((glob, vec![glob.to_owned()])),
        };
        compile(globs.into_iter().map(each)).map(Self)
    }

    /// Whether one matches; every label matches without globs.
    pub(crate) fn matches(&self, label: &str) -> bool {
        self.0.is_empty() || self.0.is_match_candidate(&Candidate::new(label))
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
    /// When one is no glob, or can match no path of a workspace.
    pub fn parse<'g>(globs: impl IntoIterator<Item = &'g str>) -> Result<Self, GlobMistake> {
        let each = |glob| {
            let all = spelled_out(glob)?.into_iter().flat_map(|glob| {
                let path = glob.strip_suffix('/').unwrap_or(&glob);
                let is_name = !path.contains('/');
                // What is below a directory is meant with the directory.
                let path = path.strip_suffix("/**").unwrap_or(path);
                let folded = String::from_utf8_lossy(&folded_name(path.as_bytes())).into_owned();
                let anywhere = is_name.then(|| format!("**/{folded}"));
                let all = std::iter::once(folded).chain(anywhere);
                all.flat_map(|glob| [format!("{glob}/**"), glob]).collect::<Vec<_>>()
            });
            Ok((glob, all.collect()))
        };
        compile(globs.into_iter().map(each)).map(Self)
    }

    /// Whether one matches; everything matches without globs.
    pub(crate) fn matches(&self, path: &RelPath) -> bool {
        let matches = |path: Vec<u8>| self.0.is_match_candidate(&Candidate::from_bytes(&path));
        self.0.is_empty() || matches(folded_path(path)) || matches(case_fold(path, folded_stem))
    }
}

impl GlobMistake {
    fn new(glob: &str, reason: impl Into<String>) -> Self {
        Self { glob: glob.to_owned(), reason: reason.into() }
    }
}

/// A path in a form in which paths are equal that some file system takes for the same one.
pub(crate) fn folded_path(path: &RelPath) -> Vec<u8> {
    case_fold(path, |name| folded_name(name).into_owned())
}

fn case_fold(path: &RelPath, fold: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let names: Vec<Vec<u8>> = path.components().map(fold).collect();
    names.join(&b'/')
}

/// What the braces of a glob are spelled out to.
fn spelled_out(glob: &str) -> Result<Vec<String>, GlobMistake> {
    alternatives(glob).map_err(|reason| GlobMistake::new(glob, reason))
}

/// Compiles globs, each of which stands for several patterns.
fn compile<'g>(
    globs: impl Iterator<Item = Result<(&'g str, Vec<String>), GlobMistake>>,
) -> Result<GlobSet, GlobMistake> {
    let mistake =
        |glob: &str, error: &globset::Error| GlobMistake::new(glob, error.kind().to_string());
    let mut set = GlobSetBuilder::new();
    for each in globs {
        let (glob, patterns) = each?;
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
    #[case("{docs,src}/", "src/a.md", true)]
    #[case("{docs,src}/*.{md,txt}", "docs/a.txt", true)]
    #[case("a{b,c{d,e}}", "ace", true)]
    #[case("[{,}]x", "{x", true)]
    #[case("**/*.md", "a/b/c.md", true)]
    #[case("**/*.md", "c.md", true)]
    fn a_glob_that_approves_matches_what_it_says(
        #[case] glob: &str,
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        let globs = PathGlobs::parse([glob]).expect("a glob");
        assert_eq!(globs.matches(&RelPath::parse(path.as_bytes()).expect("a path")), expected);
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
    #[case("docs/private/**", "docs/private", true)]
    #[case("docs/private/**", "docs/private/a.md", true)]
    #[case("docs/private/**", "docs/privately.md", false)]
    #[case("{docs/private,secret.md}", "src/secret.md", true)]
    #[case("**", "a/b", true)]
    fn a_glob_that_asks_matches_what_a_file_system_takes_for_the_same(
        #[case] glob: &str,
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        let globs = AskGlobs::parse([glob]).expect("a glob");
        assert_eq!(globs.matches(&RelPath::parse(path.as_bytes()).expect("a path")), expected);
    }

    #[rstest]
    #[case("a[", "unclosed")]
    #[case("", "it is empty")]
    #[case("/etc/**", "leave out the first `/`")]
    #[case("/", "leave out the first `/`")]
    #[case("{docs,/etc}/x", "leave out the first `/`")]
    #[case("./x", "no `.` and no `..`")]
    #[case("a/./b", "no `.` and no `..`")]
    #[case("..", "no `.` and no `..`")]
    #[case("docs/{a,..}/b", "no `.` and no `..`")]
    #[case("docs/.", "no `.` and no `..`")]
    #[case("a//b", "an empty name")]
    #[case("docs//", "an empty name")]
    #[case("docs/{,a}/b", "an empty name")]
    #[case("~/x", "`~` is not expanded")]
    #[case("C:/x", "a drive")]
    #[case("docs\\private", "write `/`")]
    #[case("!docs", "cannot be negated")]
    #[case(" docs", "blank")]
    #[case("docs/a.md ", "blank")]
    #[case("docs/**.md", "whole names")]
    #[case("**x/a", "whole names")]
    fn what_can_match_no_path_of_a_workspace_is_refused(#[case] glob: &str, #[case] why: &str) {
        for found in [PathGlobs::parse([glob]).err(), AskGlobs::parse([glob]).err()] {
            let found = found.expect("a mistake").to_string();
            assert!(found.contains(why) && found.contains(&format!("`{glob}`")), "{found}");
        }
    }

    #[rstest]
    #[case("agent:*", "agent:1", true)]
    #[case("agent:*", "agent", false)]
    #[case("https://x/*", "https://x/1", true)]
    #[case("/srv/*", "/srv/a", true)]
    fn a_glob_of_labels_matches_what_it_says(
        #[case] glob: &str,
        #[case] label: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(LabelGlobs::parse([glob]).expect("a glob").matches(label), expected);
    }
}
