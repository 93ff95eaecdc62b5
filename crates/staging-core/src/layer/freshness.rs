//! Whether the files are still what the agents saw.
//!
//! The file system's word decides where it can, as in git's index; else the
//! content is hashed again. A bare `touch` is no change, and what it changed is
//! remembered so that the next look is cheap again.

use atomic_fs::{Digest, FsError, RelPath, Stat};

use super::Inner;
use super::sessions::discard_one;
use crate::Result;
use crate::base::Base;
use crate::error::StagingError;
use crate::patch::{DiscardReason, Patch};
use crate::store::patches;
use crate::time::now_ns;

/// How a patch's base stands.
enum Judgement {
    Stands,
    /// It stands, and the file system's word on it is new.
    Refreshed(Base),
    Stale,
}

impl Inner {
    /// Looks at the files of pending patches. Gives those that stand, and those
    /// that turned out stale, which are discarded now. One that an apply holds is
    /// left to it.
    pub(super) fn refresh(&self, patches: Vec<Patch>) -> Result<(Vec<Patch>, Vec<Patch>)> {
        let observed_ns = now_ns();
        let stats = self.workspace.stat_all(patches.iter().map(|patch| &patch.path));
        let mut standing = Vec::with_capacity(patches.len());
        let (mut refreshed, mut stale) = (Vec::new(), Vec::new());
        for (mut patch, stat) in patches.into_iter().zip(stats) {
            if patch.apply.is_some() {
                standing.push(patch);
                continue;
            }
            match self.judge(&patch, stat, observed_ns)? {
                Judgement::Stands => standing.push(patch),
                Judgement::Refreshed(base) => {
                    refreshed.push((patch.id, base.clone()));
                    patch.base = Some(base);
                    standing.push(patch);
                }
                Judgement::Stale => stale.push(patch),
            }
        }
        if refreshed.is_empty() && stale.is_empty() {
            return Ok((standing, stale));
        }
        let keep = self.keeps_history();
        let (discarded, held) = self.store.write(|write| {
            for (id, base) in &refreshed {
                patches::refresh(write, *id, base)?;
            }
            let (mut discarded, mut held) = (Vec::new(), Vec::new());
            for patch in &stale {
                match discard_one(write, patch.id, DiscardReason::Stale, None, keep)? {
                    Some(patch) => discarded.push(patch),
                    // Decided by somebody else, or an apply has just taken it.
                    None => held.extend(
                        patches::find(write, patch.id)?.filter(|patch| patch.apply.is_some()),
                    ),
                }
            }
            Ok::<_, StagingError>((discarded, held))
        })?;
        let pending = |patch: &Patch| patch.state == crate::patch::PatchState::Pending;
        standing.extend(held.into_iter().filter(pending));
        Ok((standing, discarded))
    }

    fn judge(
        &self,
        patch: &Patch,
        stat: Result<Option<Stat>, FsError>,
        observed_ns: i64,
    ) -> Result<Judgement> {
        let stat = match stat {
            Ok(stat) => stat,
            // A parent became a symlink, a mount or a file.
            Err(FsError::Refused { .. }) => return Ok(Judgement::Stale),
            Err(error) => return Err(error.into()),
        };
        if let Some(to) = &patch.rename_to
            && self.is_taken(patch, to)?
        {
            return Ok(Judgement::Stale);
        }
        match (&patch.base, stat) {
            (None, None) => Ok(Judgement::Stands),
            (None, Some(_)) | (Some(_), None) => Ok(Judgement::Stale),
            (Some(base), Some(stat)) if base.fallen_by(&stat) => Ok(Judgement::Stale),
            (Some(base), Some(stat)) if base.stands_by(&stat) => Ok(Judgement::Stands),
            (Some(base), Some(_)) => self.hash_again(patch, base, observed_ns),
        }
    }

    /// Whether a rename's target is in use and the session does not free it.
    fn is_taken(&self, patch: &Patch, to: &RelPath) -> Result<bool> {
        match self.workspace.stat(to) {
            Ok(None) => return Ok(false),
            Ok(Some(_)) | Err(FsError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let there = self.store.look(|c| patches::at_path(c, patch.session, to))?;
        Ok(!there.is_some_and(|there| there.frees(to)))
    }

    fn hash_again(&self, patch: &Patch, base: &Base, observed_ns: i64) -> Result<Judgement> {
        let mut file = match self.workspace.open_file(&patch.path) {
            Ok(Some(file)) => file,
            Ok(None) | Err(FsError::Refused { .. }) => return Ok(Judgement::Stale),
            Err(error) => return Err(error.into()),
        };
        let stat = file.stat();
        let failed = |source| {
            let path = patch.path.to_string();
            StagingError::Fs(FsError::Io { action: "read", path, source })
        };
        let (digest, bytes) = Digest::of_reader(&mut file).map_err(failed)?;
        if (digest, bytes, stat.mode) != (base.digest, base.bytes, base.mode) {
            return Ok(Judgement::Stale);
        }
        let refreshed = Base::new(digest, &stat, observed_ns);
        // Observed before the file was opened, so a change after that is racy or
        // shows in the time stamps. News that settles nothing is not written down.
        let settles = refreshed.stands_by(&stat) || !base.has_stamps_of(&stat);
        Ok(if settles { Judgement::Refreshed(refreshed) } else { Judgement::Stands })
    }
}
