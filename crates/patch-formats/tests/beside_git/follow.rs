//! Where names lead through symbolic links, by the rules of atomic-fs.

use std::collections::{BTreeSet, VecDeque};

use crate::entry::{Entry, Files, has_directory};

/// What is done with a link that the last part of a name is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Followed,
    Meant,
}

/// Why a name leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Astray {
    /// Out of the tree, in a circle, or up from what is absent: nobody knows where to.
    Out,
    /// Through a file.
    NoDirectory,
}

/// As many as Linux follows.
const LINKS_MAX: usize = 40;

/// The name that another one really means. What is in `freed` counts as absent.
pub(crate) fn resolve(
    files: &Files,
    freed: &BTreeSet<String>,
    name: &str,
    last: Last,
) -> Result<String, Astray> {
    let left = parts(name.as_bytes());
    let led = Walk { files, freed, last }.follow(Vec::new(), left)?;
    led.ok_or(Astray::Out)
}

/// Whether a link at a name may have this target: it stays in the tree, or leads to nothing that could
/// be opened.
pub(crate) fn stays_inside(files: &Files, name: &str, target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return false;
    }
    let mut way = Vec::from(parts(name.as_bytes()));
    way.pop();
    let walk = Walk { files, freed: &BTreeSet::new(), last: Last::Followed };
    walk.follow(way, parts(target)) != Err(Astray::Out)
}

fn parts(path: &[u8]) -> VecDeque<Vec<u8>> {
    path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect()
}

struct Walk<'f> {
    files: &'f Files,
    freed: &'f BTreeSet<String>,
    last: Last,
}

impl Walk<'_> {
    /// Where these parts lead from a directory; nothing where that is the root.
    fn follow(
        &self,
        mut way: Vec<Vec<u8>>,
        mut left: VecDeque<Vec<u8>>,
    ) -> Result<Option<String>, Astray> {
        let mut links = 0;
        let mut is_absent = false;
        while let Some(part) = left.pop_front() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    if is_absent || way.pop().is_none() {
                        return Err(Astray::Out);
                    }
                    continue;
                }
                _ => way.push(part),
            }
            let here = String::from_utf8(way.join(&b'/')).ok();
            let here = here.filter(|here| !self.freed.contains(here));
            match here.as_deref().and_then(|here| self.files.get(here)) {
                Some(Entry::Link { .. }) if left.is_empty() && self.last == Last::Meant => {}
                Some(Entry::Link { target }) => {
                    links += 1;
                    if links > LINKS_MAX || target.starts_with(b"/") {
                        return Err(Astray::Out);
                    }
                    way.pop();
                    for part in parts(target).into_iter().rev() {
                        left.push_front(part);
                    }
                }
                Some(Entry::File { .. }) if !left.is_empty() => return Err(Astray::NoDirectory),
                Some(Entry::File { .. }) => {}
                None if here.is_some_and(|here| has_directory(self.files, &here)) => {}
                None => is_absent = true,
            }
        }
        let led = String::from_utf8_lossy(&way.join(&b'/')).into_owned();
        Ok((!way.is_empty()).then_some(led))
    }
}
