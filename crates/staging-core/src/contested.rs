//! The files that patches of several sessions change.

use std::collections::{BTreeMap, BTreeSet};

use atomic_fs::RelPath;

use crate::ids::{PatchId, SessionId};
use crate::patch::Patch;
use crate::report::Contested;

/// The patches that change one file.
#[derive(Default)]
pub(crate) struct ChangedBy(BTreeSet<(PatchId, SessionId)>);

impl ChangedBy {
    pub(crate) fn is_contested(&self) -> bool {
        let mut sessions = self.0.iter().map(|(_, session)| session);
        sessions.next().is_some_and(|first| sessions.any(|session| session != first))
    }
}

/// Which patches change each file; files with the same `key` are one.
pub(crate) fn by_path<K: Ord>(
    patches: &[Patch],
    key: impl Fn(&RelPath) -> K,
) -> BTreeMap<K, ChangedBy> {
    let mut by_path: BTreeMap<K, ChangedBy> = BTreeMap::new();
    for patch in patches {
        for path in patch.paths() {
            by_path.entry(key(path)).or_default().0.insert((patch.id, patch.session));
        }
    }
    by_path
}

/// The files that patches of more than one session change.
pub(crate) fn contested(pending: &[Patch]) -> Vec<Contested> {
    let by = by_path(pending, Clone::clone).into_iter().filter(|(_, by)| by.is_contested());
    by.map(|(path, ChangedBy(by))| {
        let sessions: BTreeSet<SessionId> = by.iter().map(|(_, session)| *session).collect();
        Contested {
            path,
            patches: by.into_iter().map(|(patch, _)| patch).collect(),
            sessions: sessions.into_iter().collect(),
        }
    })
    .collect()
}
