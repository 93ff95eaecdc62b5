//! What selectors select, read from the store at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use atomic_fs::RelPath;
use rusqlite::Connection;

use crate::error::{Result, StagingError};
use crate::ids::{PatchId, SessionId};
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::request::Selector;
use crate::store::{patches, sessions};

/// The selected pending patches, each once, by path; and those among the named ones that were found
/// stale before.
pub(crate) fn named(connection: &Connection, ids: &[Selector]) -> Result<(Vec<Patch>, Vec<Patch>)> {
    let chosen = Chosen::read(connection, ids)?;
    let mut found = BTreeMap::new();
    let mut stale = Vec::new();
    for id in chosen.named.patches.keys() {
        let patch = patch(connection, *id)?;
        chosen.named.check_revision(&patch)?;
        if patch.state == PatchState::Pending {
            found.insert(patch.id, patch);
        } else if patch.lapsed || patch.reason == Some(DiscardReason::Stale) {
            stale.push(patch);
        } else {
            return Err(StagingError::not_pending(&patch));
        }
    }
    for patch in chosen.pending(connection)? {
        found.insert(patch.id, patch);
    }
    chosen.check_paths(connection, found.values())?;
    let before = found.len() + stale.len();
    found.retain(|_, patch| !chosen.excepted.has(patch));
    stale.retain(|patch| !chosen.excepted.has(patch));
    if found.is_empty() && stale.is_empty() {
        chosen.check_rest(connection, before > 0)?;
    }
    let mut pending: Vec<Patch> = found.into_values().collect();
    pending.sort_by(|a, b| (&a.path, a.id).cmp(&(&b.path, b.id)));
    Ok((pending, stale))
}

/// The selected lapsed patches, except those that are named themselves.
pub(crate) fn lapsed_of(connection: &Connection, ids: &[Selector]) -> Result<Vec<Patch>> {
    Chosen::read(connection, ids)?.lapsed(connection)
}

/// The patches that a refresh proposes again, in the order of their ids: those that are named, and the
/// selected lapsed ones.
pub(crate) fn to_refresh(connection: &Connection, ids: &[Selector]) -> Result<Vec<Patch>> {
    let chosen = Chosen::read(connection, ids)?;
    chosen.check_paths(connection, &chosen.pending(connection)?)?;
    let mut found = BTreeMap::new();
    for id in chosen.named.patches.keys() {
        let patch = patch(connection, *id)?;
        chosen.named.check_revision(&patch)?;
        found.insert(*id, patch);
    }
    let before = found.len();
    found.retain(|_, patch| !chosen.excepted.has(patch));
    for patch in chosen.lapsed(connection)? {
        found.insert(patch.id, patch);
    }
    if found.is_empty() {
        chosen.check_rest(connection, before > 0)?;
    }
    Ok(found.into_values().collect())
}

/// The lapsed patches without which the pending ones are only a part of a set: those that were
/// staged together with one of them, and the selected ones that lapsed while one of them was pending
/// already, in the same session where sessions are selected. What an agent proposes after a patch has
/// lapsed is a set of its own.
pub(crate) fn missing(
    connection: &Connection,
    ids: &[Selector],
    pending: &[Patch],
) -> Result<Vec<Patch>> {
    let chosen = Chosen::read(connection, ids)?;
    let lapsed = patches::lapsed(connection)?;
    if pending.is_empty() || lapsed.is_empty() {
        return Ok(lapsed.into_iter().filter(|patch| chosen.covers(patch)).collect());
    }
    let batches: BTreeSet<PatchId> = pending.iter().filter_map(|patch| patch.batch).collect();
    let are_by_session = !chosen.is_everything && chosen.named.paths.is_empty();
    let set_of = |patch: &Patch| Some(patch.session).filter(|_| are_by_session);
    // The oldest patch of each set that is pending.
    let mut oldest: BTreeMap<Option<SessionId>, PatchId> = BTreeMap::new();
    for other in pending {
        let id = oldest.entry(set_of(other)).or_insert(other.id);
        *id = other.id.min(*id);
    }
    let mut missing = Vec::new();
    for patch in lapsed {
        let is_mate = patch.batch.is_some_and(|batch| batches.contains(&batch));
        let after = patches::lapsed_after(connection, patch.id)?;
        let was_there =
            oldest.get(&set_of(&patch)).is_some_and(|id| after.is_none_or(|after| *id <= after));
        let is_missing = is_mate || (chosen.covers(&patch) && was_there);
        if is_missing && !chosen.excepted.has(&patch) {
            missing.push(patch);
        }
    }
    Ok(missing)
}

fn patch(connection: &Connection, id: PatchId) -> Result<Patch> {
    patches::find(connection, id)?.ok_or(StagingError::PatchNotFound { patch: id })
}

/// What selectors name.
struct Chosen {
    /// Nothing but exceptions is named.
    is_everything: bool,
    named: Named,
    excepted: Named,
}

/// The patches, sessions and paths that are named.
#[derive(Default)]
struct Named {
    /// Each with the revisions at which it is named.
    patches: BTreeMap<PatchId, Vec<u32>>,
    sessions: BTreeSet<SessionId>,
    paths: BTreeSet<RelPath>,
}

impl Chosen {
    /// # Errors
    /// When a session, or a patch of the exceptions, does not exist.
    fn read(connection: &Connection, ids: &[Selector]) -> Result<Self> {
        let (mut named, mut excepted) = (Named::default(), Named::default());
        for id in ids {
            match id {
                Selector::Except(inner) => excepted.add(connection, inner)?,
                id => named.add(connection, id)?,
            }
        }
        for id in excepted.patches.keys() {
            excepted.check_revision(&patch(connection, *id)?)?;
        }
        Ok(Self { is_everything: Selector::are_everything(ids), named, excepted })
    }

    /// Whether the patch is selected otherwise than by its own id.
    fn covers(&self, patch: &Patch) -> bool {
        !self.excepted.has(patch) && (self.is_everything || self.named.covers(patch))
    }

    /// The pending patches that are selected otherwise than by their ids, with those that exceptions
    /// leave out.
    fn pending(&self, connection: &Connection) -> Result<Vec<Patch>> {
        if self.is_everything {
            return patches::pending(connection);
        }
        if !self.named.paths.is_empty() {
            let pending = patches::pending(connection)?.into_iter();
            return Ok(pending.filter(|patch| self.named.covers(patch)).collect());
        }
        let mut pending = Vec::new();
        for session in &self.named.sessions {
            pending.extend(patches::pending_in(connection, *session)?);
        }
        Ok(pending)
    }

    fn lapsed(&self, connection: &Connection) -> Result<Vec<Patch>> {
        let lapsed = patches::lapsed(connection)?.into_iter();
        Ok(lapsed.filter(|patch| self.covers(patch)).collect())
    }

    /// Refuses a path at which nothing waits: it is usually a mistake, and as an exception it would
    /// leave in what was meant to be left out.
    fn check_paths<'p>(
        &self,
        connection: &Connection,
        found: impl IntoIterator<Item = &'p Patch>,
    ) -> Result<()> {
        let paths: BTreeSet<&RelPath> =
            self.named.paths.iter().chain(&self.excepted.paths).collect();
        if paths.is_empty() {
            return Ok(());
        }
        let mut reached: BTreeSet<RelPath> = found.into_iter().flat_map(names_of).collect();
        let is_reached =
            |reached: &BTreeSet<RelPath>| paths.iter().all(|path| reached.contains(*path));
        if !is_reached(&reached) {
            // Outside of the selection as well, and among what has lapsed.
            for patch in patches::pending(connection)?.iter().chain(&patches::lapsed(connection)?) {
                reached.extend(names_of(patch));
            }
        }
        match paths.into_iter().find(|path| !reached.contains(*path)) {
            Some(path) => Err(StagingError::NothingAt { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses a selection of which the exceptions have left nothing.
    fn check_rest(&self, connection: &Connection, had_any: bool) -> Result<()> {
        let mut lapsed = patches::lapsed(connection)?;
        lapsed.retain(|patch| self.is_everything || self.named.covers(patch));
        let is_left = lapsed.iter().any(|patch| !self.excepted.has(patch));
        if (had_any || !lapsed.is_empty()) && !is_left && !self.excepted.is_empty() {
            return Err(StagingError::NothingLeft);
        }
        Ok(())
    }
}

impl Named {
    fn add(&mut self, connection: &Connection, selector: &Selector) -> Result<()> {
        match selector {
            Selector::Patch(id) => {
                self.patches.entry(*id).or_default();
            }
            Selector::Revision(id, revision) => {
                self.patches.entry(*id).or_default().push(*revision);
            }
            Selector::Session(id) => {
                self.sessions.insert(sessions::require(connection, *id)?.id);
            }
            Selector::Label(label) => {
                let found = sessions::find_label(connection, label)?;
                let session = found.ok_or_else(|| StagingError::SessionNotFound {
                    name: atomic_fs::escape_bytes(label.as_bytes()),
                })?;
                self.sessions.insert(session.id);
            }
            Selector::Path(path) => {
                self.paths.insert(path.clone());
            }
            // What is left out of what is left out is left out all the same.
            Selector::Except(inner) => self.add(connection, inner)?,
        }
        Ok(())
    }

    /// Refuses a patch that is named at another revision.
    fn check_revision(&self, patch: &Patch) -> Result<()> {
        let named = self.patches.get(&patch.id).into_iter().flatten();
        match named.copied().find(|named| *named != patch.revision) {
            Some(named) => {
                Err(StagingError::OtherRevision { patch: patch.id, named, found: patch.revision })
            }
            None => Ok(()),
        }
    }

    fn is_empty(&self) -> bool {
        self.patches.is_empty() && self.sessions.is_empty() && self.paths.is_empty()
    }

    /// Whether it names the patch's session or its path.
    fn covers(&self, patch: &Patch) -> bool {
        self.sessions.contains(&patch.session)
            || (!self.paths.is_empty() && names_of(patch).any(|path| self.paths.contains(&path)))
    }

    fn has(&self, patch: &Patch) -> bool {
        self.patches.contains_key(&patch.id) || self.covers(patch)
    }
}

/// The paths that name a patch: its file's, a rename's new one, and those of the directories above.
fn names_of(patch: &Patch) -> impl Iterator<Item = RelPath> + '_ {
    patch.paths().flat_map(|path| successors(Some(path.clone()), RelPath::parent))
}
