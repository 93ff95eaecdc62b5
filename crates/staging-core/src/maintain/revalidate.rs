//! Checks whether files are still what the agents read.
//!
//! The status (stat) of a file decides where it can, as in git's index; else its content is hashed
//! again. A bare `touch` is not a change; the new status is recorded, so that the next check need
//! not hash the file.

use atomic_fs::{Digest, EntryKind, FileKind, Fingerprint, FsError, RelPath, Stat};

use crate::base::Base;
use crate::decide::discard::discard_one;
use crate::error::{Result, StagingError};
use crate::event::Event;
use crate::ids::PatchId;
use crate::layer::{DiffStagingLayer, Inner};
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::stage::read_step::ReadStep;
use crate::store::patches;
use crate::time::now_ns;

/// How often patches are checked that their agents rewrite meanwhile.
const CHECKS_MAX: u32 = 64;

/// With this many events at once everything pending is checked.
const FOLLOWED_MAX: usize = 4096;

/// The result of checking a patch's base.
enum Freshness {
    Unchanged,
    /// The content is unchanged, and the file has this new status.
    Touched(Base),
    Stale,
}

impl DiffStagingLayer {
    /// The newest event, and the files that were proposed after the event `seq`; no files when
    /// there are too many events to read them one by one.
    pub(crate) fn proposed_since(&self, seq: u64) -> Result<(u64, Option<Vec<RelPath>>)> {
        let records = self.events_since(seq, FOLLOWED_MAX)?;
        let newest = records.last().map_or(seq, |record| record.seq);
        if records.len() == FOLLOWED_MAX {
            return Ok((newest, None));
        }
        let mut paths = Vec::new();
        for record in records {
            if let Event::PatchProposed { path, rename_to, .. } = record.event {
                paths.push(path);
                paths.extend(rename_to);
            }
        }
        Ok((newest, Some(paths)))
    }

    /// Checks the pending patches of these paths; returns how many are stale.
    pub(crate) fn recheck_paths(&self, paths: &[RelPath]) -> Result<usize> {
        let concerned = self.0.store.read(|connection| {
            let mut concerned = Vec::new();
            for path in paths {
                concerned.extend(patches::on_path(connection, path)?);
            }
            Ok(concerned)
        })?;
        Ok(self.0.revalidate(concerned)?.1.len())
    }

    /// Checks everything pending; returns how many patches are stale.
    pub(crate) fn recheck(&self) -> Result<usize> {
        Ok(self.0.revalidate(self.0.store.read(patches::pending)?)?.1.len())
    }
}

impl Inner {
    /// Checks the files of pending patches. Returns the patches that are current, and the stale
    /// ones, which are discarded now. A patch that an apply holds is not checked and counts as
    /// current.
    pub(crate) fn revalidate(&self, patches: Vec<Patch>) -> Result<(Vec<Patch>, Vec<Patch>)> {
        let (mut current, mut discarded, mut unchecked) = (Vec::new(), Vec::new(), patches);
        for _ in 0..CHECKS_MAX {
            if unchecked.is_empty() {
                return Ok((current, discarded));
            }
            // Those that their agents rewrite meanwhile are checked again, as they are then.
            unchecked = self.revalidate_once(unchecked, &mut current, &mut discarded)?;
        }
        Err(StagingError::Busy { what: "an agent rewrites its patches all the time".to_owned() })
    }

    /// The same once; returns the patches that were rewritten meanwhile.
    fn revalidate_once(
        &self,
        patches: Vec<Patch>,
        current: &mut Vec<Patch>,
        all_discarded: &mut Vec<Patch>,
    ) -> Result<Vec<Patch>> {
        let each = self.check_all(&patches)?;
        if current.is_empty() && each.iter().all(|one| matches!(one, Freshness::Unchanged)) {
            // As almost always, and there may be thousands, which are large.
            *current = patches;
            return Ok(Vec::new());
        }
        let (mut new_stats, mut stale) = (Vec::new(), Vec::new());
        for (mut patch, freshness) in patches.into_iter().zip(each) {
            match freshness {
                Freshness::Unchanged => current.push(patch),
                Freshness::Touched(base) => {
                    new_stats.push((patch.id, base));
                    patch.base = Some(base);
                    current.push(patch);
                }
                Freshness::Stale => stale.push(patch),
            }
        }
        if new_stats.is_empty() && stale.is_empty() {
            return Ok(Vec::new());
        }
        let keep = self.keeps_history();
        let written = self.store.write(|write| {
            for (id, base) in &new_stats {
                patches::update_stat(write, *id, base)?;
            }
            let (mut discarded, mut pending) = (Vec::new(), Vec::new());
            for patch in &stale {
                match discard_one(write, patch, DiscardReason::Stale, None, keep)? {
                    Some(patch) => discarded.push(patch),
                    // It was decided or rewritten meanwhile, or an apply holds it now.
                    None => pending.extend(patches::find(write, patch.id)?),
                }
            }
            pending.retain(|patch| patch.state == PatchState::Pending);
            Ok::<_, StagingError>((discarded, pending))
        });
        let (discarded, pending) = match written {
            // The next check hashes the files again; a store that cannot be written to can still
            // be read.
            Err(error) if stale.is_empty() => {
                tracing::debug!(%error, "cannot record the new status of touched files");
                Default::default()
            }
            // The next check finds them again.
            Err(error) if error.is_unwritable() => (stale, Vec::new()),
            written => written?,
        };
        all_discarded.extend(discarded);
        let (held, rewritten): (Vec<Patch>, Vec<Patch>) =
            pending.into_iter().partition(|patch| patch.apply.is_some());
        current.extend(held);
        Ok(rewritten)
    }

    /// The pending patches whose file has changed; changes nothing.
    pub(crate) fn stale_among(&self, pending: &[Patch]) -> Result<Vec<PatchId>> {
        let each = pending.iter().zip(self.check_all(pending)?);
        let stale = each.filter(|(_, freshness)| matches!(freshness, Freshness::Stale));
        Ok(stale.map(|(patch, _)| patch.id).collect())
    }

    /// Checks the files of patches, except of those that an apply holds.
    fn check_all(&self, patches: &[Patch]) -> Result<Vec<Freshness>> {
        let observed_ns = now_ns();
        let stats = self.workspace.stat_all(patches.iter().map(|patch| &patch.path));
        let each = patches.iter().zip(stats).map(|(patch, stat)| match patch.apply {
            Some(_) => Ok(Freshness::Unchanged),
            None => self.check(patch, stat, observed_ns),
        });
        each.collect()
    }

    fn check(
        &self,
        patch: &Patch,
        stat: Result<Option<Stat>, FsError>,
        observed_ns: i64,
    ) -> Result<Freshness> {
        let stat = match stat {
            Ok(stat) => stat,
            // Its own session removes the parent that is in the way.
            Err(FsError::Refused { .. })
                if patch.base.is_none() && self.has_way(patch, &patch.path)? =>
            {
                None
            }
            // A parent became a symlink, a mount or a file.
            Err(FsError::Refused { .. }) => return Ok(Freshness::Stale),
            Err(error) => return Err(error.into()),
        };
        if let Some(to) = &patch.rename_to
            && self.is_taken(patch, to)?
        {
            return Ok(Freshness::Stale);
        }
        match (&patch.base, stat) {
            (None, None) => Ok(Freshness::Unchanged),
            // A directory that was to be created exists, whoever created it; or the session empties
            // the directory, which is removed then: the apply checks that.
            (None, Some(stat))
                if stat.kind == FileKind::Directory
                    && (patch.kind() == EntryKind::Directory
                        || self.frees_below(patch, &patch.path)?) =>
            {
                Ok(Freshness::Unchanged)
            }
            (None, Some(_)) | (Some(_), None) => Ok(Freshness::Stale),
            (Some(base), Some(stat)) if base.is_refuted_by(&stat) => Ok(Freshness::Stale),
            (Some(base), Some(stat)) if base.is_proven_by(&stat) => Ok(Freshness::Unchanged),
            // Its entries are checked when it is removed.
            (Some(base), Some(_)) if base.kind() == EntryKind::Directory => {
                Ok(Freshness::Unchanged)
            }
            (Some(base), Some(_)) => self.reread(&patch.path, base, observed_ns),
        }
    }

    /// Whether a rename's target exists and the session does not free it.
    fn is_taken(&self, patch: &Patch, to: &RelPath) -> Result<bool> {
        match self.workspace.stat(to) {
            Ok(None) => return Ok(false),
            Ok(Some(stat))
                if stat.kind == FileKind::Directory && self.frees_below(patch, to)? =>
            {
                return Ok(false);
            }
            Err(FsError::Refused { .. }) if self.has_way(patch, to)? => return Ok(false),
            Ok(Some(_)) | Err(FsError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let there = self.store.peek(|c| patches::at_path(c, patch.session, to))?;
        Ok(!there.is_some_and(|there| there.frees(to)))
    }

    /// Whether a patch's session removes or replaces a parent of a path.
    fn has_way(&self, patch: &Patch, path: &RelPath) -> Result<bool> {
        for dir in std::iter::successors(path.parent(), RelPath::parent) {
            let there = self.store.peek(|c| patches::at_path(c, patch.session, &dir))?;
            if there.is_some_and(|there| there.replaces(&dir)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a patch's session removes files below a path.
    fn frees_below(&self, patch: &Patch, path: &RelPath) -> Result<bool> {
        let freeing = self
            .store
            .peek(|connection| patches::freeing_below(connection, patch.session, path))?;
        Ok(!freeing.is_empty())
    }

    /// Reads a file or a symbolic link again.
    fn reread(&self, path: &RelPath, base: &Base, observed_ns: i64) -> Result<Freshness> {
        let found = match base.kind() {
            EntryKind::Symlink => {
                let link = self.workspace.read_link(path)?;
                link.map(|(target, stat)| (Fingerprint::symlink(&target), stat))
            }
            _ => self.hash_file(path)?,
        };
        let Some((found, stat)) = found.filter(|(found, _)| *found == base.content) else {
            return Ok(Freshness::Stale);
        };
        let new = Base::new(found, &stat, observed_ns);
        // The time of the observation is before the file was opened, so a later change is racy or
        // shows in the time stamps. A status that spares no later hashing is not recorded.
        let is_useful = new.is_proven_by(&stat) || !base.has_stamps_of(&stat);
        Ok(if is_useful { Freshness::Touched(new) } else { Freshness::Unchanged })
    }

    /// The content and status of a file; `None` when there is no file.
    fn hash_file(&self, path: &RelPath) -> Result<Option<(Fingerprint, Stat)>> {
        self.at_read(ReadStep::Opens, path);
        let mut file = match self.workspace.open_file(path) {
            Ok(Some(file)) => file,
            Ok(None) | Err(FsError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = file.stat();
        let failed = |source| FsError::Io { operation: "read", path: Some(path.clone()), source };
        let (digest, bytes) = Digest::of_reader(&mut file).map_err(failed)?;
        self.at_read(ReadStep::WasRead, path);
        Ok(Some((Fingerprint::file(digest, bytes, stat.mode), stat)))
    }
}
