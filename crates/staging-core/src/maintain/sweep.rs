//! Sweeping: what the dead left, what has become too old, and what nobody needs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use atomic_fs::Digest;
use serde::Serialize;

use crate::contents::blobs::is_damage;
use crate::error::{Result, StagingError};
use crate::event::Event;
use crate::ids::{PatchId, SessionId};
use crate::layer::{DiffStagingLayer, Inner};
use crate::options::StagingOptions;
use crate::owner::{Liveness, Owner};
use crate::patch::Patch;
use crate::store::{contents, meta, patches, sessions};

/// How many rows one transaction of a sweep changes: others wait for it.
const BATCH: usize = 200;

/// How long the sweep of a process that has just started may take.
const START_BUDGET: Duration = Duration::from_millis(3);

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Sessions that silence has ended.
    pub expired: Vec<SessionId>,
    /// Open sessions whose process is gone; they stay open until they expire.
    pub orphaned: Vec<SessionId>,
    /// Patches whose file has changed, discarded now.
    pub stale: Vec<PatchId>,
    /// Decided patches that were older than the history is kept.
    pub forgotten: u64,
    /// Contents and temporary files that nobody needed.
    pub removed: u64,
    /// How many bytes of the disk that gave back.
    pub bytes: u64,
    /// Whether everything was looked at; else the next sweep goes on.
    pub complete: bool,
}

/// What a sweep would decide now. What it would remove of the state directory shows only when it
/// does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepPreview {
    /// Sessions that silence would end.
    pub expired: Vec<SessionId>,
    /// Patches that are pending in them, and would no longer be.
    pub lapsed: Vec<PatchId>,
    /// Open sessions whose process is gone.
    pub orphaned: Vec<SessionId>,
    /// Patches whose file has changed.
    pub stale: Vec<PatchId>,
    /// Decided patches that are older than the history is kept.
    pub forgotten: u64,
}

/// What a walk through the state directory gave back.
#[derive(Clone, Copy, Default)]
pub(crate) struct Swept {
    pub(crate) removed: u64,
    pub(crate) bytes: u64,
    /// Whether it came to its end.
    complete: bool,
}

/// Whose space a flush gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// Of everything that nobody needs.
    All,
    /// The pack that this process appends to keeps its own until it is full, or until the
    /// process ends: punching holes keeps appends waiting.
    WhereNothingIsAppended,
}

/// One step of a walk through the state directory.
enum SweepStep {
    /// Contents that have a file of their own.
    Folder(PathBuf),
    Pack(i64),
    /// The strategies that misbehaved.
    Quarantine,
}

impl DiffStagingLayer {
    /// What a sweep of this workspace would decide now; changes nothing. Opening a layer for it
    /// would end overdue sessions on the way.
    ///
    /// # Errors
    /// When the state cannot be opened, or a file of the workspace cannot be looked at.
    pub fn preview_sweep(options: StagingOptions) -> Result<SweepPreview> {
        let layer = Self::open_as_it_is(options)?;
        let inner = &*layer.0;
        let age = inner.store.age()?;
        let before = age.minus(inner.options.history_keep_for);
        let (overdue, pending, forgotten) = inner.store.read(|connection| {
            let overdue = sessions::overdue(connection, age)?;
            let old = patches::decided_before(connection, before, usize::MAX)?;
            Ok((overdue, patches::pending(connection)?, old.len() as u64))
        })?;
        let expired: Vec<SessionId> = overdue.iter().map(|session| session.id).collect();
        let (lapsing, standing): (Vec<Patch>, Vec<Patch>) =
            pending.into_iter().partition(|patch| expired.contains(&patch.session));
        let orphaned = inner.dead_owners()?.into_iter().map(|(session, _)| session);
        Ok(SweepPreview {
            orphaned: orphaned.filter(|session| !expired.contains(session)).collect(),
            lapsed: lapsing.iter().map(|patch| patch.id).collect(),
            stale: inner.stale_among(&standing)?,
            expired,
            forgotten,
        })
    }

    /// Ends what is overdue, finds sessions whose process is gone and patches that
    /// are stale, and gives back what is too old or not needed by anybody; stops
    /// between two steps once `budget` is over.
    pub fn sweep(&self, budget: Duration) -> Result<SweepReport> {
        self.0.store.with_reserve(|| self.sweep_once(budget))
    }

    fn sweep_once(&self, budget: Duration) -> Result<SweepReport> {
        let inner = &*self.0;
        let deadline = Instant::now() + budget;
        inner.recover_if_free()?;
        inner.store.note_age()?;
        inner.drop_abandoned()?;
        let mut report = SweepReport {
            expired: inner.expire_overdue()?,
            orphaned: inner.find_orphans()?,
            ..SweepReport::default()
        };
        let (standing, stale) = inner.revalidate(inner.store.read(patches::pending)?)?;
        drop(standing);
        report.stale = stale.into_iter().map(|patch| patch.id).collect();
        let (forgotten, all) = inner.forget_old(deadline)?;
        report.forgotten = forgotten;
        inner.flush(Space::All)?;
        if all && Instant::now() < deadline {
            let before = inner.store.age()?.minus(inner.options.history_keep_for);
            inner.store.write(|write| sessions::forget(write, before, BATCH))?;
            let swept = inner.sweep_state(Some(deadline))?;
            (report.removed, report.bytes) = (swept.removed, swept.bytes);
            report.complete = swept.complete;
        }
        Ok(report)
    }

    /// Makes durable what was committed so far, by any process, and gives back
    /// the space of contents that nobody has needed since the last time.
    pub fn flush(&self) -> Result<()> {
        self.0.flush_all()
    }

    /// The same for a process that lives on and is in the middle of its work, which it must
    /// not keep waiting.
    pub fn flush_beside_work(&self) -> Result<()> {
        self.0.flush(Space::WhereNothingIsAppended)
    }

    /// From now on somebody calls [`checkpoint_log`](Self::checkpoint_log) every now and then, so that
    /// those who commit need not do it.
    pub fn leave_checkpoints_to_maintenance(&self) -> Result<()> {
        self.0.store.leave_checkpoints_to_maintenance()
    }

    /// Checkpoints the store's log beside those who write, if it has grown.
    pub fn checkpoint_log(&self) -> Result<()> {
        self.0.store.checkpoint_log()
    }

    /// Whether the store's log has grown enough for [`checkpoint_log`](Self::checkpoint_log).
    pub fn has_long_log(&self) -> bool {
        self.0.store.has_long_log()
    }

    /// Reads every content that a patch needs; how many there are, and the patches
    /// of which one is not what was stored.
    pub fn check_contents(&self) -> Result<(u64, Vec<PatchId>)> {
        let inner = &*self.0;
        let mut sound: HashMap<Digest, bool> = HashMap::new();
        let mut damaged = Vec::new();
        for (patch, digest) in inner.store.peek(patches::contents_needed)? {
            let is_sound = match sound.get(&digest) {
                Some(is_sound) => *is_sound,
                None => {
                    let found = inner.blobs.open_blob(&digest);
                    let is_sound = match found.and_then(|mut blob| Digest::of_reader(&mut blob)) {
                        Ok((found, _)) => found == digest,
                        Err(error) if is_damage(&error) => false,
                        Err(source) => {
                            let path = inner.options.state_dir.join("blobs");
                            return Err(StagingError::Io { action: "read", path, source });
                        }
                    };
                    sound.insert(digest, is_sound);
                    is_sound
                }
            };
            if !is_sound && damaged.last() != Some(&patch) {
                damaged.push(patch);
            }
        }
        Ok((sound.len() as u64, damaged))
    }

    /// Whether something was committed that a power cut could still take.
    pub fn needs_flush(&self) -> bool {
        self.0.store.is_dirty()
    }
}

impl Inner {
    /// Makes durable what was committed, and gives back the space of everything unneeded.
    pub(crate) fn flush_all(&self) -> Result<()> {
        self.flush(Space::All)
    }

    /// Makes durable what was committed, and gives back the space of contents
    /// that nobody has needed since.
    pub(crate) fn flush(&self, space: Space) -> Result<()> {
        // Taken first: what is buried later may rest on a later commit.
        let mut dead = self.store.take_unreferenced();
        let flushed = self
            .blobs
            .sync()
            .and_then(|()| if self.store.is_dirty() { self.store.sync() } else { Ok(()) });
        if space == Space::WhereNothingIsAppended {
            let current = |pack| self.blobs.packs().is_current(pack);
            self.store
                .note_unreferenced(dead.extract_if(.., |dead| dead.pack().is_some_and(current)));
        }
        let reclaimed = flushed.and_then(|()| self.blobs.reclaim(&dead));
        if reclaimed.is_err() {
            self.store.note_unreferenced(dead);
        }
        reclaimed
    }

    /// What every process does when it starts.
    pub(crate) fn sweep_at_start(&self) -> Result<()> {
        self.store.note_age()?;
        self.expire_overdue()?;
        self.find_orphans()?;
        self.forget_old(Instant::now() + START_BUDGET)?;
        Ok(())
    }

    /// Marks open sessions whose process is gone.
    pub(crate) fn find_orphans(&self) -> Result<Vec<SessionId>> {
        let dead = self.dead_owners()?;
        if dead.is_empty() {
            return Ok(Vec::new());
        }
        self.store.write(|write| {
            let mut orphaned = Vec::new();
            for (session, owner) in &dead {
                // Another process may have taken it over meanwhile.
                if sessions::orphan(write, *session, owner, write.now)? {
                    write.log(Event::SessionOrphaned { session: *session, pid: owner.pid })?;
                    orphaned.push(*session);
                }
            }
            Ok(orphaned)
        })
    }

    /// Open sessions that are not marked yet and whose process is gone.
    fn dead_owners(&self) -> Result<Vec<(SessionId, Owner)>> {
        let owned = self.store.peek(sessions::owned)?;
        let mut known: Vec<(Owner, Liveness)> = Vec::new();
        let mut dead = Vec::new();
        for (session, owner) in owned {
            let liveness = match known.iter().find(|(known, _)| *known == owner) {
                Some((_, liveness)) => *liveness,
                None => {
                    let liveness = owner.liveness();
                    known.push((owner.clone(), liveness));
                    liveness
                }
            };
            if liveness == Liveness::Dead {
                dead.push((session, owner));
            }
        }
        Ok(dead)
    }

    /// Forgets decided patches that are older than the history is kept; how many,
    /// and whether those were all.
    pub(crate) fn forget_old(&self, deadline: Instant) -> Result<(u64, bool)> {
        let before = self.store.age()?.minus(self.options.history_keep_for);
        let mut forgotten = 0;
        loop {
            let old =
                self.store.peek(|connection| patches::decided_before(connection, before, BATCH))?;
            if old.is_empty() {
                return Ok((forgotten, true));
            }
            self.store.write(|write| {
                for patch in &old {
                    patches::forget(write, *patch)?;
                }
                Ok(())
            })?;
            forgotten += old.len() as u64;
            if Instant::now() >= deadline {
                return Ok((forgotten, false));
            }
        }
    }

    /// Gives back everything in the state directory that nobody needs: contents that no row
    /// names, and what is remembered of strategies for too long. The journal is recovery's,
    /// and `conflicts/` the user's.
    ///
    /// Stops between two steps at the deadline; the next walk begins where it stopped.
    pub(crate) fn sweep_state(&self, deadline: Option<Instant>) -> Result<Swept> {
        let failed = |source| StagingError::Io {
            action: "sweep",
            path: self.options.state_dir.clone(),
            source,
        };
        let mut places: Vec<SweepStep> =
            self.blobs.folders().map_err(failed)?.into_iter().map(SweepStep::Folder).collect();
        places.extend(self.blobs.packs().list().map_err(failed)?.into_iter().map(SweepStep::Pack));
        places.push(SweepStep::Quarantine);
        let from = match deadline {
            Some(_) => self.sweep_from.load(Ordering::Relaxed) % places.len(),
            None => 0,
        };
        places.rotate_left(from);
        let mut swept = Swept::default();
        for (step, place) in places.iter().enumerate() {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.sweep_from.store(from + step, Ordering::Relaxed);
                return Ok(swept);
            }
            match place {
                SweepStep::Folder(folder) => {
                    let (own, temporary) = self.blobs.own_files(folder).map_err(failed)?;
                    swept.removed += temporary + self.remove_unneeded(&own)?;
                }
                SweepStep::Pack(pack) => {
                    // A row of this pack can only be new while its writer lives, who has
                    // it locked.
                    let live =
                        || self.store.peek(|connection| contents::in_pack(connection, *pack));
                    let bytes = self.blobs.packs().sweep(*pack, live)?;
                    swept.removed += u64::from(bytes > 0);
                    swept.bytes += bytes;
                }
                SweepStep::Quarantine => {
                    swept.removed += self.quarantine.sweep().map_err(failed)?
                }
            }
        }
        self.sweep_from.store(0, Ordering::Relaxed);
        self.store.with_reserve(|| {
            self.store.write(|write| meta::set(write, meta::SWEPT_MS, write.now.unix_ms()))
        })?;
        swept.complete = true;
        Ok(swept)
    }

    fn remove_unneeded(&self, own: &[Digest]) -> Result<u64> {
        let mut removed = 0;
        for batch in own.chunks(BATCH) {
            let unneeded = self.store.peek(|connection| {
                let mut unneeded: Vec<Digest> = Vec::new();
                for digest in batch {
                    if contents::find(connection, digest)?.is_none() {
                        unneeded.push(*digest);
                    }
                }
                Ok(unneeded)
            })?;
            removed += self.blobs.remove_unneeded(unneeded.into_iter())?;
        }
        Ok(removed)
    }
}
