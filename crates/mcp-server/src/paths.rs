//! From the paths that agents write to paths below the workspace.

use std::path::{Path, PathBuf};

use staging_core::{RelPath, below_root};
use url::Url;

use crate::failure::Failure;

/// Where the tools may look and propose: the workspace, or less.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    /// The workspace's root, canonical.
    root: PathBuf,
    /// The directories that the client's roots leave; none for the whole workspace.
    narrowed: Option<Vec<Option<RelPath>>>,
}

/// A file or directory of the workspace; `None` is the root itself.
pub(crate) type Location = Option<RelPath>;

impl Allowed {
    /// The whole workspace, whose root is canonical.
    pub(crate) fn workspace(root: PathBuf) -> Self {
        Self { root, narrowed: None }
    }

    /// What is left of the workspace by a client's roots. A client that names none narrows
    /// nothing.
    pub(crate) fn narrow(&mut self, roots: &[String]) {
        if roots.is_empty() {
            self.narrowed = None;
            return;
        }
        let mut left = Vec::new();
        for root in roots.iter().filter_map(|uri| directory_of(uri)) {
            // One that cannot be found is as it is written.
            let root = dunce::canonicalize(&root).unwrap_or(root);
            if self.root.starts_with(&root) {
                self.narrowed = None;
                return;
            }
            let below = root.strip_prefix(&self.root).ok();
            left.extend(below.and_then(|below| RelPath::from_path(below).ok()).map(Some));
        }
        self.narrowed = Some(left);
    }

    /// The workspace's root, canonical.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The directories that may be looked at.
    pub(crate) fn directories(&self) -> Vec<Location> {
        self.narrowed.clone().unwrap_or_else(|| vec![None])
    }

    /// A place's path in full.
    pub(crate) fn full(&self, place: &Location) -> PathBuf {
        match place {
            Some(path) => self.root.join(path.to_path_buf()),
            None => self.root.clone(),
        }
    }

    /// The place that a path names, by its spelling alone. A relative one begins at the first
    /// allowed directory.
    pub(crate) fn spelled(&self, named: &str) -> Result<Location, Failure> {
        let outside = || {
            let allowed: Vec<String> = self
                .directories()
                .iter()
                .map(|place| self.full(place).display().to_string())
                .collect();
            Failure::new(format!(
                "`{}` is outside of the allowed directories: {}",
                shown(named),
                if allowed.is_empty() {
                    "the client's roots allow none".into()
                } else {
                    allowed.join(", ")
                }
            ))
        };
        if named.is_empty() {
            return Err(Failure::new("the path is empty: name a file or directory"));
        }
        if named == "~" || named.starts_with("~/") {
            return Err(Failure::new(format!(
                "`{}` is not expanded: write the path in full or from the workspace",
                shown(named)
            )));
        }
        if cfg!(unix) && is_of_a_drive(named) {
            return Err(Failure::new(format!("`{}` is a path of another system", shown(named))));
        }
        let base = self.directories().first().map(|first| self.full(first)).ok_or_else(outside)?;
        let below = below_root(&self.root, &base.join(named)).ok_or_else(outside)?;
        if below.as_os_str().is_empty() {
            return if self.allows(&None) { Ok(None) } else { Err(outside()) };
        }
        let place =
            Some(RelPath::from_path(&below).map_err(|error| Failure::new(error.to_string()))?);
        if self.allows(&place) { Ok(place) } else { Err(outside()) }
    }

    /// Whether a place lies in an allowed directory.
    pub(crate) fn allows(&self, place: &Location) -> bool {
        let Some(left) = &self.narrowed else { return true };
        left.iter().any(|directory| match (directory, place) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(directory), Some(path)) => path.starts_with(directory),
        })
    }
}

/// A text from outside, made printable for a message.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_BYTES_MAX: usize = 300;
    let cut = text.floor_char_boundary(SHOWN_BYTES_MAX);
    let mut shown = staging_core::escape_bytes(&text.as_bytes()[..cut]);
    if cut < text.len() {
        shown.push('…');
    }
    shown
}

fn is_of_a_drive(named: &str) -> bool {
    let bytes = named.as_bytes();
    matches!(bytes, [letter, b':'] | [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic())
}

/// The directory of a `file:` URI, or of a plain path.
fn directory_of(uri: &str) -> Option<PathBuf> {
    let path = match uri.starts_with("file:") {
        true => Url::parse(uri).ok()?.to_file_path().ok()?,
        false => PathBuf::from(uri),
    };
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn allowed(roots: &[&str]) -> Allowed {
        let mut allowed = Allowed::workspace(PathBuf::from("/nowhere/work"));
        allowed.narrow(&roots.iter().map(ToString::to_string).collect::<Vec<_>>());
        allowed
    }

    #[rstest]
    #[case(&[], "a", Some("a"))]
    #[case(&[], "./x/../a/", Some("a"))]
    #[case(&[], "/nowhere/work/a", Some("a"))]
    #[case(&[], "/nowhere/other/a", None)]
    #[case(&[], "../work2/a", None)]
    #[case(&[], "a/../../../etc/passwd", None)]
    #[case(&[], "~/a", None)]
    #[case(&[], "C:\\a", None)]
    #[case(&[], "", None)]
    #[case(&[], "a\0b", None)]
    #[case(&["file:///nowhere/work/sub"], "a", Some("sub/a"))]
    #[case(&["file:///nowhere/work/sub"], "/nowhere/work/a", None)]
    #[case(&["file:///nowhere/work/su%62"], "/nowhere/work/sub/a", Some("sub/a"))]
    #[case(&["file:///nowhere/work/sub"], "/nowhere/work/subway", None)]
    #[case(&["file:///nowhere"], "a", Some("a"))]
    #[case(&["file:///elsewhere"], "a", None)]
    #[case(&["file:///elsewhere", "/nowhere/work/sub"], "a", Some("sub/a"))]
    #[case(&["https://example.org/"], "a", None)]
    fn roots_narrow_and_never_widen(
        #[case] roots: &[&str],
        #[case] named: &str,
        #[case] expected: Option<&str>,
    ) {
        let place = allowed(roots).spelled(named);
        let path = place.ok().flatten().map(|path| path.to_string());
        assert_eq!(path.as_deref(), expected);
    }

    #[test]
    fn the_root_itself_is_allowed_only_when_nothing_narrows() {
        assert_eq!(allowed(&[]).spelled(".").expect("the workspace"), None);
        let narrowed = allowed(&["file:///nowhere/work/sub"]);
        assert!(narrowed.spelled("..").is_err());
        assert_eq!(narrowed.directories().len(), 1);
    }
}
