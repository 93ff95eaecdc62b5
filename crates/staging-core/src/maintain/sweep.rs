//! Sweeps: remove leftovers of dead processes, expired history and unreferenced contents.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use atomic_fs::Digest;
use serde::Serialize;

use crate::contents::blobs::is_damage;
use crate::disk_owner::DiskOwner;
use crate::error::{Result, StagingError};
use crate::event::Event;
use crate::ids::{PatchId, SessionId};
use crate::layer::{DiffStagingLayer, Inner};
use crate::options::StagingOptions;
use crate::own_file::failed;
use crate::owner::{Liveness, Owner};
use crate::patch::Patch;
use crate::store::contents::{Location, Unreferenced};
use crate::store::{contents, meta, patches, sessions};

/// How many rows one transaction of a sweep changes: other writers wait for it.
const BATCH: usize = 200;

/// How long the sweep of a process that has just started may take.
const START_BUDGET: Duration = Duration::from_millis(3);

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Sessions that expired.
    pub expired: Vec<SessionId>,
    /// Open sessions whose process is dead; they stay open until they expire.
    pub orphaned: Vec<SessionId>,
    /// Patches whose file has changed; they are discarded now.
    pub stale: Vec<PatchId>,
    /// How many decided patches were removed because they were older than
    /// [`StagingOptions::history_keep_for`].
    pub forgotten: u64,
    /// How many unreferenced contents and temporary files were removed.
    pub removed: u64,
    /// How many bytes of disk space were freed in packs.
    pub bytes: u64,
    /// Whether the whole state was swept; else the next sweep goes on where this one stopped.
    pub complete: bool,
}

/// What a sweep would decide now. It does not include the contents that a sweep would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepPreview {
    /// Sessions that would expire.
    pub expired: Vec<SessionId>,
    /// Pending patches of these sessions, which would be discarded.
    pub lapsed: Vec<PatchId>,
    /// Open sessions whose process is dead.
    pub orphaned: Vec<SessionId>,
    /// Patches whose file has changed.
    pub stale: Vec<PatchId>,
    /// How many decided patches are older than [`StagingOptions::history_keep_for`].
    pub forgotten: u64,
}

/// What a walk through the state directory removed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Swept {
    pub(crate) removed: u64,
    pub(crate) bytes: u64,
    /// Whether it visited everything.
    complete: bool,
}

/// Which space of unreferenced contents a flush frees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    All,
    /// Not the space in the pack that this process appends to: punching holes delays appends. It
    /// is freed when the pack is full, or after the process has ended.
    WhereNothingIsAppended,
}

/// One step of a walk through the state directory.
enum SweepStep {
    /// A folder of contents that have a file of their own.
    Folder(PathBuf),
    Pack(i64),
    /// The record of quarantined strategies.
    Quarantine,
}

impl DiffStagingLayer {
    /// What a sweep of this workspace would decide now; changes nothing. It is not a method,
    /// because opening a layer ends overdue sessions.
    ///
    /// # Errors
    /// When the state cannot be opened, or a file of the workspace cannot be read.
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
        let (lapsing, remaining): (Vec<Patch>, Vec<Patch>) =
            pending.into_iter().partition(|patch| expired.contains(&patch.session));
        let orphaned = inner.dead_owners()?.into_iter().map(|(session, _)| session);
        Ok(SweepPreview {
            orphaned: orphaned.filter(|session| !expired.contains(session)).collect(),
            lapsed: lapsing.iter().map(|patch| patch.id).collect(),
            stale: inner.stale_among(&remaining)?,
            expired,
            forgotten,
        })
    }

    /// Makes everything durable that any process has committed so far, and frees the space of
    /// contents that this process has released since the last flush.
    ///
    /// # Errors
    /// When a sync or a write in the state directory fails; the space is freed by a later flush
    /// then.
    pub fn flush(&self) -> Result<()> {
        self.0.flush_all()
    }

    /// [`flush`](Self::flush) for a process that goes on staging: it leaves the space in the pack
    /// that this process appends to, because freeing it would delay proposals.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn flush_beside_work(&self) -> Result<()> {
        self.0.flush(Space::WhereNothingIsAppended)
    }

    /// Stops commits from checkpointing the store's log. The caller has to call
    /// [`checkpoint_log`](Self::checkpoint_log) from time to time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn leave_checkpoints_to_maintenance(&self) -> Result<()> {
        self.0.store.leave_checkpoints_to_maintenance()
    }

    /// Checkpoints the store's log if it has grown, without blocking writers.
    ///
    /// # Errors
    /// When the store fails.
    pub fn checkpoint_log(&self) -> Result<()> {
        self.0.store.checkpoint_log()
    }

    /// Whether the store's log has grown enough for [`checkpoint_log`](Self::checkpoint_log).
    pub fn has_long_log(&self) -> bool {
        self.0.store.has_long_log()
    }

    /// Reads and verifies every content that a patch refers to; returns how many there are, and
    /// the patches that refer to a missing or damaged one.
    ///
    /// # Errors
    /// `Io` when a content cannot be read for another reason; else an error of the store.
    pub fn check_contents(&self) -> Result<(u64, Vec<PatchId>)> {
        let inner = &*self.0;
        let mut intact: HashMap<Digest, bool> = HashMap::new();
        let mut damaged = Vec::new();
        for (patch, digest) in inner.store.peek(patches::contents_needed)? {
            let is_intact = match intact.get(&digest) {
                Some(is_intact) => *is_intact,
                None => {
                    let found = inner.blobs.open_blob(&digest, None);
                    let is_intact = match found.and_then(|mut blob| Digest::of_reader(&mut blob)) {
                        Ok((found, _)) => found == digest,
                        Err(error) if is_damage(&error) => false,
                        Err(source) => {
                            let path = inner.options.state_dir.join("blobs");
                            return Err(StagingError::Io { action: "read", path, source });
                        }
                    };
                    intact.insert(digest, is_intact);
                    is_intact
                }
            };
            if !is_intact && damaged.last() != Some(&patch) {
                damaged.push(patch);
            }
        }
        Ok((intact.len() as u64, damaged))
    }

    /// Whether this process has committed something that is not durable yet.
    pub fn needs_flush(&self) -> bool {
        self.0.store.is_dirty()
    }
}

impl DiskOwner {
    /// Ends overdue sessions, marks sessions whose process is dead, discards stale patches, and
    /// removes expired history and unreferenced contents. It recovers an interrupted apply first,
    /// unless another apply is running. After `budget` it stops between two steps.
    ///
    /// # Errors
    /// An error of the store, the state directory or the workspace. The steps before it are done.
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
        let (_, stale) = inner.revalidate(inner.store.read(patches::pending)?)?;
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
}

impl Inner {
    /// [`flush`](Self::flush) of all space.
    pub(crate) fn flush_all(&self) -> Result<()> {
        self.flush(Space::All)
    }

    /// Makes commits durable, and frees the space of released contents.
    pub(crate) fn flush(&self, space: Space) -> Result<()> {
        // Taken first: the commit of a later release may not be durable with this flush.
        let mut dead = self.store.take_unreferenced();
        let flushed = self
            .blobs
            .sync()
            .and_then(|()| if self.store.is_dirty() { self.store.sync() } else { Ok(()) });
        if space == Space::WhereNothingIsAppended {
            let is_in_current = |dead: &mut Unreferenced| match dead.entry.location {
                Location::Pack { pack, .. } => self.blobs.packs().is_current(pack),
                Location::Own => false,
            };
            self.store.note_unreferenced(dead.extract_if(.., is_in_current));
        }
        let reclaimed = flushed.and_then(|()| self.blobs.reclaim(&dead));
        if reclaimed.is_err() {
            self.store.note_unreferenced(dead);
        }
        reclaimed
    }

    /// The short sweep of every process that starts.
    pub(crate) fn sweep_at_start(&self) -> Result<()> {
        self.store.note_age()?;
        self.expire_overdue()?;
        self.find_orphans()?;
        self.forget_old(Instant::now() + START_BUDGET)?;
        Ok(())
    }

    /// Marks open sessions whose process is dead.
    pub(crate) fn find_orphans(&self) -> Result<Vec<SessionId>> {
        let dead = self.dead_owners()?;
        if dead.is_empty() {
            return Ok(Vec::new());
        }
        self.store.write(|write| {
            let mut orphaned = Vec::new();
            for (session, owner) in &dead {
                // Another process may have adopted it meanwhile.
                if sessions::orphan(write, *session, owner, write.now)? {
                    write.log(Event::SessionOrphaned { session: *session, pid: owner.pid })?;
                    orphaned.push(*session);
                }
            }
            Ok(orphaned)
        })
    }

    /// Open sessions that are not marked yet and whose process is dead.
    fn dead_owners(&self) -> Result<Vec<(SessionId, Owner)>> {
        let owned = self.store.peek(sessions::owned)?;
        let mut known: HashMap<Owner, Liveness> = HashMap::new();
        let mut is_dead = |owner: &Owner| {
            let liveness = known.entry(owner.clone()).or_insert_with(|| owner.liveness());
            *liveness == Liveness::Dead
        };
        Ok(owned.into_iter().filter(|(_, owner)| is_dead(owner)).collect())
    }

    /// Removes decided patches that are older than [`StagingOptions::history_keep_for`]; returns how
    /// many, and whether those were all.
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

    /// Removes unreferenced contents and expired quarantines of strategies from the state
    /// directory. It leaves the journal to recovery, and `conflicts/` to the user.
    ///
    /// Stops between two steps at the deadline; the next walk begins where this one stopped.
    pub(crate) fn sweep_state(&self, deadline: Option<Instant>) -> Result<Swept> {
        let in_state = || failed("sweep", &self.options.state_dir);
        let folders = self.blobs.folders().map_err(in_state())?;
        let packs = self.blobs.packs().list().map_err(in_state())?;
        let mut steps: Vec<SweepStep> = folders.into_iter().map(SweepStep::Folder).collect();
        steps.extend(packs.into_iter().map(SweepStep::Pack));
        steps.push(SweepStep::Quarantine);
        let from = match deadline {
            Some(_) => self.sweep_from.load(Ordering::Relaxed) % steps.len(),
            None => 0,
        };
        steps.rotate_left(from);
        let mut swept = Swept::default();
        for (done, step) in steps.iter().enumerate() {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.sweep_from.store(from + done, Ordering::Relaxed);
                return Ok(swept);
            }
            match step {
                SweepStep::Folder(folder) => {
                    let (own, temporary) = self.blobs.own_files(folder).map_err(in_state())?;
                    swept.removed += temporary + self.remove_unneeded(&own)?;
                }
                SweepStep::Pack(pack) => {
                    // Only a living process that has the pack locked adds rows for it.
                    let live =
                        || self.store.peek(|connection| contents::in_pack(connection, *pack));
                    let bytes = self.blobs.packs().sweep(*pack, live)?;
                    swept.removed += u64::from(bytes > 0);
                    swept.bytes += bytes;
                }
                SweepStep::Quarantine => {
                    swept.removed += self.quarantine.sweep().map_err(in_state())?
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
