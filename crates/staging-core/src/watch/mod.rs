//! Finds stale patches at once: a thread watches the files of pending patches.
//!
//! Only the directories from the root to those files are watched, without their other
//! subdirectories, so that a large tree, or a build in it, costs nothing. Changed paths are
//! collected in a set that holds at most the pending files, and checked together, so that many
//! events do not delay a check. When the system reports lost events, everything pending is checked.
//! When it refuses a watch, everything pending is checked every second, and [`Watching::health`]
//! reports that.

mod interest;
mod store;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::error::{Result, StagingError};
use crate::layer::DiffStagingLayer;
use crate::locks::unpoisoned;
use crate::store::patches;
use interest::{Changed, Interest};

pub use store::StoreWatch;

/// How long changes are collected before they are checked.
const GATHER: Duration = Duration::from_millis(20);

/// How often everything pending is checked when files cannot be watched.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Whether files are watched or checked every second.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchHealth {
    /// The system reports every change.
    Watching {
        /// How many directories are watched.
        directories: usize,
    },
    /// Everything pending is checked every second.
    Polling {
        /// Why files cannot be watched.
        reason: String,
    },
}

impl std::fmt::Display for WatchHealth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Watching { directories } => write!(f, "watching {directories} directories"),
            Self::Polling { reason } => write!(f, "checking every second instead: {reason}"),
        }
    }
}

/// A running watcher; dropping it stops the watcher.
pub struct Watching {
    stopping: Arc<AtomicBool>,
    waker: SyncSender<()>,
    health: Arc<Mutex<WatchHealth>>,
    thread: Option<JoinHandle<()>>,
}

impl DiffStagingLayer {
    /// Starts to watch the files of all pending patches, also of other processes' sessions: a
    /// patch is discarded as stale when its file changes.
    ///
    /// # Errors
    /// `Io` when the thread cannot be started; else an error of the store.
    pub fn watch(&self) -> Result<Watching> {
        Watching::start(self.clone(), usize::MAX)
    }
}

impl Watching {
    /// Starts a watcher that watches at most `directories_max` directories, for tests.
    fn start(layer: DiffStagingLayer, directories_max: usize) -> Result<Self> {
        let (waker, woken) = sync_channel(1);
        let changed = Arc::new(Mutex::new(Changed::default()));
        let health = Arc::new(Mutex::new(WatchHealth::Watching { directories: 0 }));
        let stopping = Arc::new(AtomicBool::new(false));
        let mut thread = WatchThread {
            system: system_watcher(&changed, &waker),
            root: layer.0.workspace.root().to_owned(),
            interest: Interest::default(),
            watched: HashSet::new(),
            directories_max,
            changed,
            health: Arc::clone(&health),
            stopping: Arc::clone(&stopping),
            seq: 0,
            layer,
        };
        // Files are watched when this function returns.
        thread.check_everything()?;
        let spawned = std::thread::Builder::new()
            .name("greenroom-watch".to_owned())
            .spawn(move || thread.run(&woken));
        let thread = spawned.map_err(|source| StagingError::Io {
            action: "start a thread to watch",
            path: PathBuf::new(),
            source,
        })?;
        Ok(Self { stopping, waker, health, thread: Some(thread) })
    }

    /// Whether files are watched at present.
    pub fn health(&self) -> WatchHealth {
        unpoisoned(&self.health).clone()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // When the channel is full, the thread wakes up anyway.
        let _ = self.waker.try_send(());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the watcher panicked");
        }
    }
}

/// The system's watcher, or why there is none.
type SystemWatcher = std::result::Result<RecommendedWatcher, String>;

fn system_watcher(changed: &Arc<Mutex<Changed>>, waker: &SyncSender<()>) -> SystemWatcher {
    let (changed, waker) = (Arc::clone(changed), waker.clone());
    let report = move |event: notify::Result<notify::Event>| {
        if unpoisoned(&changed).take(event) {
            let _ = waker.try_send(());
        }
    };
    notify::recommended_watcher(report).map_err(|error| error.to_string())
}

/// The state of the watching thread.
struct WatchThread {
    layer: DiffStagingLayer,
    root: PathBuf,
    system: SystemWatcher,
    interest: Interest,
    watched: HashSet<PathBuf>,
    directories_max: usize,
    changed: Arc<Mutex<Changed>>,
    health: Arc<Mutex<WatchHealth>>,
    stopping: Arc<AtomicBool>,
    /// The last event of the log that was processed.
    seq: u64,
}

impl WatchThread {
    fn run(mut self, woken: &Receiver<()>) {
        let follow_every = self.layer.options().follow_every;
        let mut checked = Instant::now();
        while !self.stopping.load(Ordering::Acquire) {
            match woken.recv_timeout(follow_every) {
                Ok(()) => std::thread::sleep(GATHER),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            let polling = matches!(*unpoisoned(&self.health), WatchHealth::Polling { .. });
            if polling && checked.elapsed() >= POLL_EVERY {
                unpoisoned(&self.changed).everything = true;
            }
            let everything = unpoisoned(&self.changed).everything;
            if let Err(error) = self.check() {
                tracing::warn!(%error, "cannot check changed files: trying again");
                unpoisoned(&self.changed).everything = true;
            } else if everything {
                checked = Instant::now();
            }
        }
    }

    /// Reads the log, and checks the files that have changed since the last time.
    fn check(&mut self) -> Result<()> {
        if unpoisoned(&self.changed).everything {
            return self.check_everything();
        }
        self.follow()?;
        let (paths, structure) = unpoisoned(&self.changed).drain();
        if structure {
            // A directory was created, removed or moved: its watches ended with it, and changes
            // before a new watch are not reported.
            self.watched.clear();
            return self.check_everything();
        }
        let named: Vec<_> =
            paths.iter().filter_map(|path| self.interest.rel_path(path)).cloned().collect();
        if !named.is_empty() {
            let stale = self.layer.recheck_paths(&named)?;
            tracing::debug!(changed = named.len(), stale, "files changed");
        }
        Ok(())
    }

    /// Adds the files that were proposed since the last time, by any process.
    fn follow(&mut self) -> Result<()> {
        if self.layer.newest_event()? == self.seq {
            return Ok(());
        }
        let (seq, proposed) = self.layer.proposed_since(self.seq)?;
        self.seq = seq;
        let Some(proposed) = proposed else { return self.check_everything() };
        let new = self.interest.add(&self.root, proposed);
        self.watch_directories();
        // Changes before the watch are not reported, so the new files are checked.
        let mut changed = unpoisoned(&self.changed);
        changed.interesting.extend(new.iter().cloned());
        changed.paths.extend(new);
        Ok(())
    }

    fn check_everything(&mut self) -> Result<()> {
        {
            let mut changed = unpoisoned(&self.changed);
            changed.everything = false;
            changed.drain();
        }
        // Before the paths are read, so that later proposals are found in the log.
        self.seq = self.layer.newest_event()?;
        self.interest = Interest::default();
        self.interest.add(&self.root, self.layer.0.store.peek(patches::pending_paths)?);
        unpoisoned(&self.changed).interesting = self.interest.files();
        self.watch_directories();
        let stale = self.layer.recheck()?;
        tracing::debug!(stale, "checked everything pending");
        Ok(())
    }

    /// Watches the directories that are not watched yet.
    fn watch_directories(&mut self) {
        let wanted = self.interest.directories(&self.root);
        unpoisoned(&self.changed).directories.clone_from(&wanted);
        let mut failure = self.system.as_ref().err().cloned();
        for directory in &wanted {
            let Ok(system) = &mut self.system else { break };
            if failure.is_some() || self.watched.contains(directory) {
                continue;
            }
            if self.watched.len() >= self.directories_max {
                failure = Some("the limit on watched directories is reached".to_owned());
                continue;
            }
            let watched = system.watch(directory, RecursiveMode::NonRecursive);
            match watched.map_err(|error| error.kind) {
                Ok(()) => {
                    self.watched.insert(directory.clone());
                }
                // The watch of its nearest parent reports when it is created.
                Err(notify::ErrorKind::PathNotFound) => {}
                Err(notify::ErrorKind::Io(error))
                    if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(notify::ErrorKind::MaxFilesWatch) => {
                    failure = Some(
                        "the system's limit on watches is reached: raise fs.inotify.max_user_watches"
                            .to_owned(),
                    );
                }
                Err(error) => failure = Some(format!("{error:?}")),
            }
        }
        let unneeded: Vec<PathBuf> = self.watched.difference(&wanted).cloned().collect();
        for directory in unneeded {
            if let Ok(system) = &mut self.system {
                // An error: the directory was removed, and its watch with it.
                let _ = system.unwatch(&directory);
            }
            self.watched.remove(&directory);
        }
        self.update_health(failure);
    }

    fn update_health(&self, failure: Option<String>) {
        let now = match failure {
            Some(reason) => WatchHealth::Polling { reason },
            None => WatchHealth::Watching { directories: self.watched.len() },
        };
        let mut health = unpoisoned(&self.health);
        if let (WatchHealth::Polling { reason }, WatchHealth::Watching { .. }) = (&now, &*health) {
            tracing::warn!(reason, "files are checked every second instead of being watched");
        }
        *health = now;
    }
}

#[cfg(test)]
mod tests;
