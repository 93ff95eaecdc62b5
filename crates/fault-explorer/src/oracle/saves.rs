//! Whether everything that a user saved is there, and nothing else that is unknown.

use crate::atomic_fs::is_slot_name;
use crate::atomic_fs::simulated::{Answer, Image, Persistence};

use super::Oracle;
use super::known::Known;
use super::promise::{Broken, Promise, broken};
use crate::scenario::ROOT;
use crate::snapshot::{Snapshot, Thing};

impl Oracle<'_> {
    /// What users saved is there; what is there is old, new, or saved.
    pub(super) fn check_saves(
        &self,
        image: &Image,
        known: &Known,
        running: bool,
        model: Persistence,
    ) -> Result<(), Broken> {
        if known.is_quiet() {
            return Ok(());
        }
        let root = image.lookup(ROOT.as_bytes()).unwrap_or(0);
        let tree = Snapshot::of(image, root);
        let kept = kept(image);
        let is_slot =
            |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().is_some_and(is_slot_name);
        for owed in &known.owed {
            // The store has what was approved; it is asked for only as a user's last word.
            let is_last = known.last.values().any(|last| last.as_ref() == Some(owed));
            if self.scenario.new.has_content(owed) && !is_last {
                continue;
            }
            let in_tree = tree.iter().any(|(path, thing)| {
                let counts = running || !is_slot(path);
                counts && matches!(thing, Thing::File { content, .. } if content[..] == owed[..])
            });
            if !in_tree && !kept.iter().any(|content| content[..] == owed[..]) {
                return broken(Promise::Edits, || {
                    format!("{:?} is nowhere", String::from_utf8_lossy(owed))
                });
            }
        }
        for (path, thing) in tree.iter().filter(|(path, _)| !is_slot(path)) {
            if let Thing::File { content, .. } = thing
                && !self.scenario.is_known(content)
                && !known.saved.contains(content.as_slice())
            {
                return broken(Promise::Untorn, || {
                    let path = String::from_utf8_lossy(path);
                    format!("`{path}` holds {:?}", String::from_utf8_lossy(content))
                });
            }
        }
        // Who is not killed lets no newer save make way for an older one.
        if running && !known.waited {
            for (path, last) in known.last.iter().filter(|(path, _)| !known.held.contains(*path)) {
                if let (Some(last), Some(Thing::File { content, .. })) = (last, tree.get(path))
                    && content[..] != last[..]
                    && known.saved.contains(content.as_slice())
                    && !self.scenario.is_known(content)
                    && known.owed.contains(last)
                {
                    return broken(Promise::Edits, || {
                        let path = String::from_utf8_lossy(path);
                        format!("`{path}` is not what the user saved last")
                    });
                }
            }
        }
        // Who saves once finds it where it was saved; `conflicts/` is for what would have to
        // share its place, and for what a power cut met while it was given back to one user and
        // another one wrote.
        let met_another = known.waited && model != Persistence::Kill;
        if !met_another
            && let (1, Some((path, Some(saved)))) = (known.edits, known.last.iter().next())
            && known.owed.contains(saved)
        {
            let holds = |path: &Vec<u8>| {
                matches!(tree.get(path), Some(Thing::File { content, .. })
                    if content[..] == saved[..])
            };
            // A moved file that goes back takes along what was saved to it.
            let mut groups = self.scenario.tied.iter().filter(|group| group.contains(path));
            let is_there = holds(path) || groups.any(|group| group.iter().any(holds));
            if !is_there && !known.held.contains(path) {
                return broken(Promise::Edits, || {
                    format!("`{}` is not what the user saved", String::from_utf8_lossy(path))
                });
            }
        }
        // Who waited to write, and put another file there meanwhile, wrote to the first one.
        let wrote_elsewhere = known.waited && known.edits > 1;
        if known.answered == Some(Answer::Committed) && !wrote_elsewhere {
            for (path, last) in known.last.iter().filter(|(path, _)| !known.held.contains(*path)) {
                let content = match tree.get(path) {
                    Some(Thing::File { content, .. }) => Some(content.as_slice()),
                    _ => None,
                };
                if let Some(last) = last
                    && content != Some(&last[..])
                    && known.owed.contains(last)
                {
                    return broken(Promise::Reviewed, || {
                        let path = String::from_utf8_lossy(path);
                        format!("committed over a user's save of `{path}`")
                    });
                }
            }
        }
        Ok(())
    }

    /// What a user put where others do not write is there, or was kept.
    pub(super) fn check_brought(&self, image: &Image, known: &Known) -> Result<(), Broken> {
        if known.brought.is_empty() {
            return Ok(());
        }
        let root = image.lookup(ROOT.as_bytes()).unwrap_or(0);
        let (tree, kept) = (Snapshot::of(image, root), kept(image));
        for bytes in &known.brought {
            if !tree.has_content(bytes) && !kept.iter().any(|content| content[..] == bytes[..]) {
                return broken(Promise::Edits, || {
                    format!("{:?} is nowhere", String::from_utf8_lossy(bytes))
                });
            }
        }
        Ok(())
    }

    /// `conflicts/` holds users' bytes, and after a power cut that took a journal what
    /// was torn in its slots.
    pub(super) fn check_kept(
        &self,
        image: &Image,
        known: &Known,
        model: Persistence,
        sets: usize,
    ) -> Result<(), Broken> {
        for content in kept(image) {
            let is_users = known.saved.contains(content.as_slice());
            let is_ours = self.scenario.is_known(&content);
            let was_cut = (model != Persistence::Kill || known.dropped) && sets == 0;
            let is_torn = (was_cut || known.rotten || known.out_of_reach) && !is_ours;
            // A user's edit of a file makes ours displaced bytes as well, torn ones too, and
            // those may be kept to be on the safe side.
            if !is_users && !is_torn && known.is_quiet() {
                return broken(Promise::Clean, || {
                    format!("conflicts/ holds {:?}", String::from_utf8_lossy(&content))
                });
            }
        }
        Ok(())
    }
}

pub(super) fn kept(image: &Image) -> Vec<Vec<u8>> {
    let mut kept = Vec::new();
    for conflicts in [&b"state/conflicts"[..], b"state2/conflicts"] {
        if let Some(conflicts) = image.lookup(conflicts) {
            image.walk(conflicts, &mut |_, _, node| kept.extend(node.content()));
        }
    }
    kept
}
