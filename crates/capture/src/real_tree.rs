//! Compares the real workspace with what it was when a command began to work in a copy of it.

use std::os::fd::AsFd as _;
use std::path::Path;

use staging_core::{CaptureDir, escape_bytes};

use crate::error::{Result, failed};
use crate::files::{open, read_json};
use crate::made::{ROOT, made_from};
use crate::stat::{Kind, Stat, TICK_NANOS};
use crate::survey::survey;
use crate::walk;

/// How an entry of the workspace is not what it was. Its user may have changed it as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// It was written, made, removed or replaced.
    Content,
    /// Its permission bits.
    Mode,
    /// Its time of modification was set to an earlier one.
    Times,
    /// Its owner, its extended attributes or its hard links.
    Attributes,
}

/// The paths of a workspace that are not what they were when its working copy was made, escaped.
pub(crate) fn differences(dir: &CaptureDir, workspace: &Path) -> Result<Vec<(String, Difference)>> {
    let before = made_from(dir)?;
    let root = open(workspace)?;
    let now = survey(root.as_fd(), &mut |_, _| false).map_err(failed("read", workspace))?.snapshot;
    let mut found = Vec::new();
    if let Some(made_from) = read_json::<Stat>(dir, ROOT)? {
        let now = walk::stat_of(root.as_fd()).map_err(failed("read", workspace))?;
        found.extend(difference(&made_from, &now).map(|difference| (".".to_owned(), difference)));
    }
    for (path, stat) in before.iter() {
        let difference = match now.get(path) {
            Some(now) => difference(stat, now),
            None => Some(Difference::Content),
        };
        found.extend(difference.map(|difference| (escape_bytes(path), difference)));
    }
    let new = now.iter().filter(|(path, _)| before.get(path).is_none());
    found.extend(new.map(|(path, _)| (escape_bytes(path), Difference::Content)));
    Ok(found)
}

fn difference(before: &Stat, now: &Stat) -> Option<Difference> {
    if (before.kind, before.inode, before.born) != (now.kind, now.inode, now.born) {
        return Some(Difference::Content);
    }
    if before.mode != now.mode {
        return Some(Difference::Mode);
    }
    // The times of a directory are those of its entries.
    if now.kind == Kind::Directory || before == now {
        return None;
    }
    if before.size != now.size {
        return Some(Difference::Content);
    }
    // Whoever writes sets both times to the same.
    let is_set = now.modified.later_by(TICK_NANOS) < now.changed;
    Some(match before.modified == now.modified {
        true => Difference::Attributes,
        false if is_set => Difference::Times,
        false => Difference::Content,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::stat::Timestamp;

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanos: 0 }
    }

    fn before() -> Stat {
        Stat {
            kind: Kind::File,
            mode: 0o644,
            device: 1,
            inode: 2,
            size: 3,
            modified: at(10),
            changed: at(10),
            born: None,
        }
    }

    #[rstest]
    #[case::nothing(before(), None)]
    #[case::chmod(Stat { mode: 0o600, changed: at(20), ..before() }, Some(Difference::Mode))]
    #[case::setxattr(Stat { changed: at(20), ..before() }, Some(Difference::Attributes))]
    #[case::utime(
        Stat { modified: at(5), changed: at(20), ..before() },
        Some(Difference::Times)
    )]
    #[case::write(
        Stat { modified: at(20), changed: at(20), ..before() },
        Some(Difference::Content)
    )]
    #[case::append(
        Stat { size: 4, modified: at(20), changed: at(20), ..before() },
        Some(Difference::Content)
    )]
    #[case::rename(Stat { inode: 3, ..before() }, Some(Difference::Content))]
    fn a_difference_is_named_by_what_has_made_it(
        #[case] now: Stat,
        #[case] expected: Option<Difference>,
    ) {
        assert_eq!(difference(&before(), &now), expected);
    }

    #[test]
    fn the_entries_of_a_directory_are_no_difference_of_it() {
        let directory = Stat { kind: Kind::Directory, ..before() };
        let now = Stat { size: 9, modified: at(20), changed: at(20), ..directory };
        assert_eq!(difference(&directory, &now), None);
        assert_eq!(difference(&directory, &Stat { mode: 0o700, ..now }), Some(Difference::Mode));
    }
}
