//! The staging layer, whose methods are every call of agents and reviewers. All of them block.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};

use atomic_fs::{Options, RelPath, Unfinished, Workspace, WorkspaceLock};

use crate::contents::blobs::Blobs;
use crate::diffing::Differ;
use crate::error::Result;
use crate::event::{EventRecord, LogCheck, Notice};
use crate::ids::ApplyId;
use crate::options::StagingOptions;
use crate::quarantine::Quarantine;
use crate::report::RecoverReport;
use crate::stage::read_step::{ReadObserver, ReadStep};
use crate::store::{Store, log, state_dir};

/// Holds every agent's writes outside the workspace until a person decides.
///
/// Cheap to clone; clones share everything. All calls block, and any thread may
/// make them. It is opened as a [`DiskOwner`](crate::DiskOwner), which alone can apply.
#[derive(Clone)]
pub struct DiffStagingLayer(pub(crate) Arc<Inner>);

/// What clones of a layer share.
pub(crate) struct Inner {
    pub(crate) options: StagingOptions,
    pub(crate) store: Arc<Store>,
    pub(crate) blobs: Blobs,
    pub(crate) differ: Differ,
    pub(crate) quarantine: Quarantine,
    pub(crate) workspace: Workspace,
    /// Which step of the walk through the state directory the next sweep begins with.
    pub(crate) sweep_from: AtomicUsize,
    /// Held through every apply and recovery of this process; what the last
    /// apply left to tidy, with the workspace's lock.
    pub(crate) gate: Mutex<Option<Tidying>>,
    /// Called at each step of reading a file: for tests that play the user.
    pub(crate) read_observer: OnceLock<Box<ReadObserver>>,
    /// What other calls recovered and [`take_recovered`](DiffStagingLayer::take_recovered) has not
    /// reported yet.
    pub(crate) recovered: Mutex<RecoverReport>,
}

/// What an apply left to tidy, with the lock that keeps other processes out.
pub(crate) struct Tidying {
    pub(crate) lock: WorkspaceLock,
    pub(crate) unfinished: Unfinished,
    pub(crate) apply: ApplyId,
}

impl Inner {
    /// The permission bits of a file that is created without any, as the system would give them.
    pub(crate) fn new_file_mode(&self, path: &RelPath) -> Result<u32> {
        Ok(self.workspace.new_file_mode(path, self.options.new_file_mode)?)
    }
}

impl DiffStagingLayer {
    /// Opens the workspace's state and leaves what is in it as it is: no recovery, no sweep.
    pub(crate) fn open_as_it_is(mut options: StagingOptions) -> Result<Self> {
        let state = state_dir::prepare(&options.state_dir)?;
        let workspace = Workspace::open(&options.workspace, &state, policies(&options))?;
        crate::maintain::states::claim(&state, workspace.root())?;
        options.new_file_mode = workspace.kept_mode(options.new_file_mode);
        let store = Store::open(&state)?.with_wait_observer(options.wait_observer.clone());
        let store = Arc::new(store);
        let quarantine = Quarantine::new(&state, options.session_expires_after);
        let layer = Self(Arc::new(Inner {
            blobs: Blobs::open(&state, Arc::clone(&store), options.durable_proposals)?,
            store,
            differ: Differ::new(&options, quarantine.clone())?,
            quarantine,
            workspace,
            sweep_from: AtomicUsize::new(0),
            gate: Mutex::new(None),
            read_observer: OnceLock::new(),
            recovered: Mutex::default(),
            options,
        }));
        Ok(layer)
    }

    /// What it was opened with.
    pub fn options(&self) -> &StagingOptions {
        &self.0.options
    }

    /// Hands every event that this layer writes from now on to `observer`, in
    /// order. It must not block, and must not call the layer.
    pub fn observe(&self, observer: Box<dyn Fn(Notice) + Send + Sync>) {
        self.0.store.observe(observer);
    }

    /// Calls `observer` at each step of reading a file of the workspace, on the thread that
    /// reads: for tests that save a file at exactly that moment. The first observer stays.
    #[doc(hidden)]
    #[allow(clippy::type_complexity, reason = "the same shape as `observe` takes")]
    pub fn observe_reads(&self, observer: Box<dyn Fn(ReadStep, &RelPath) + Send + Sync>) {
        self.0.read_observer.get_or_init(|| observer);
    }

    /// The events behind `seq`, in order, at most `limit`; fewer where they are long, but one at
    /// least if there is any.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events_since(&self, seq: u64, limit: usize) -> Result<Vec<EventRecord>> {
        self.0.store.read(|connection| log::since(connection, seq, limit))
    }

    /// Waits until the observers have received every event of this process that
    /// [`events_since`](Self::events_since) has returned.
    pub fn wait_for_observers(&self) {
        self.0.store.wait_for_observers();
    }

    /// The number of the newest event; 0 when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn newest_event(&self) -> Result<u64> {
        self.0.store.peek(|connection| Ok(log::head(connection)?.seq))
    }

    /// Recomputes the log's whole hash chain.
    ///
    /// # Errors
    /// When the store cannot be read; a broken chain is no error.
    pub fn verify_log(&self) -> Result<LogCheck> {
        self.0.store.read(log::check)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.tidy() {
            tracing::warn!(%error, "what an apply left is tidied by the next start");
        }
        if let Err(error) = self.flush_all() {
            tracing::warn!(%error, "a power cut may take what was proposed last");
        }
    }
}

/// What atomic-fs has to allow.
pub(crate) fn policies(options: &StagingOptions) -> Options {
    Options {
        allow_git: options.allow_git,
        allow_hard_links: options.allow_hard_links,
        allow_other_mounts: options.allow_other_mounts,
        allow_move_aside: options.allow_move_aside,
    }
}
