//! Staleness at once: a thread that is told by the system when a file changes that
//! a pending patch is about.
//!
//! Only the directories on the way to those files are watched, none below them, so
//! that neither a large tree nor a build in it costs anything. What changed is
//! gathered in a set that is never larger than what is pending, and looked at in one
//! go, so that a storm of events stalls nobody. Where the system says that it lost
//! events, everything pending is looked at. Where it refuses to watch, everything
//! pending is looked at every second, and [`Watching::health`] says so.

mod interest;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::error::{Result, StagingError};
use crate::layer::DiffStagingLayer;
use crate::locks::unpoisoned;
use interest::{Changed, Interest};

/// How long changes are gathered before they are looked at.
const GATHER: Duration = Duration::from_millis(20);

/// How often everything pending is looked at where the system does not tell.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// How well the watcher sees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchHealth {
    /// The system tells of every change.
    Watching {
        /// In how many directories.
        directories: usize,
    },
    /// The system does not; everything pending is looked at every second.
    Polling {
        /// Why.
        reason: String,
    },
}

impl std::fmt::Display for WatchHealth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Watching { directories } => write!(f, "watching {directories} directories"),
            Self::Polling { reason } => write!(f, "looking every second instead: {reason}"),
        }
    }
}

/// A watcher at work, until it is dropped.
pub struct Watching {
    stopping: Arc<AtomicBool>,
    waker: SyncSender<()>,
    health: Arc<Mutex<WatchHealth>>,
    thread: Option<JoinHandle<()>>,
}

impl DiffStagingLayer {
    /// Watches the files of pending patches, of every process's sessions, from now
    /// on: a patch whose file changes is discarded as stale at once.
    ///
    /// # Errors
    /// When the thread cannot be started, or the store cannot be read.
    pub fn watch(&self) -> Result<Watching> {
        Watching::start(self.clone(), usize::MAX)
    }
}

impl Watching {
    /// With at most so many directories watched, as if that were the system's limit.
    fn start(layer: DiffStagingLayer, directories_max: usize) -> Result<Self> {
        let (waker, woken) = sync_channel(1);
        let changed = Arc::new(Mutex::new(Changed::default()));
        let health = Arc::new(Mutex::new(WatchHealth::Watching { directories: 0 }));
        let stopping = Arc::new(AtomicBool::new(false));
        let mut thread = WatchThread {
            system: SystemWatcher::new(&changed, &waker),
            root: layer.root().to_owned(),
            interest: Interest::default(),
            watched: HashSet::new(),
            directories_max,
            changed,
            health: Arc::clone(&health),
            stopping: Arc::clone(&stopping),
            seq: 0,
            layer,
        };
        // Whoever has this may rely on it.
        thread.look_at_everything()?;
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

    /// How well it sees.
    pub fn health(&self) -> WatchHealth {
        unpoisoned(&self.health).clone()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // A waker that is full wakes as well.
        let _ = self.waker.try_send(());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the watcher had panicked");
        }
    }
}

struct SystemWatcher(std::result::Result<RecommendedWatcher, String>);

impl SystemWatcher {
    fn new(changed: &Arc<Mutex<Changed>>, waker: &SyncSender<()>) -> Self {
        let (changed, waker) = (Arc::clone(changed), waker.clone());
        let tell = move |event: notify::Result<notify::Event>| {
            if unpoisoned(&changed).take(event) {
                let _ = waker.try_send(());
            }
        };
        Self(notify::recommended_watcher(tell).map_err(|error| error.to_string()))
    }
}

/// What the thread owns.
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
    /// The last event of the log that was seen.
    seq: u64,
}

impl WatchThread {
    fn run(mut self, woken: &Receiver<()>) {
        let follow_every = self.layer.options().follow_every;
        let mut looked = Instant::now();
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
            if polling && looked.elapsed() >= POLL_EVERY {
                unpoisoned(&self.changed).everything = true;
            }
            let everything = unpoisoned(&self.changed).everything;
            if let Err(error) = self.check() {
                tracing::warn!(%error, "changes of files are looked at again");
                unpoisoned(&self.changed).everything = true;
            } else if everything {
                looked = Instant::now();
            }
        }
    }

    /// Follows the log, and looks at what has changed since the last time.
    fn check(&mut self) -> Result<()> {
        if unpoisoned(&self.changed).everything {
            return self.look_at_everything();
        }
        self.follow()?;
        let (paths, structure) = unpoisoned(&self.changed).drain();
        if structure {
            // A directory came or went: watches go with it, and changes before a
            // new watch are not told.
            self.watched.clear();
            return self.look_at_everything();
        }
        let named: Vec<_> =
            paths.iter().filter_map(|path| self.interest.rel_path(path)).cloned().collect();
        if !named.is_empty() {
            let stale = self.layer.recheck_paths(&named)?;
            tracing::debug!(changed = named.len(), stale, "files changed");
        }
        Ok(())
    }

    /// Takes in what was proposed since the last time, here or elsewhere.
    fn follow(&mut self) -> Result<()> {
        if self.layer.newest_event()? == self.seq {
            return Ok(());
        }
        let (seq, proposed) = self.layer.proposed_since(self.seq)?;
        self.seq = seq;
        let Some(proposed) = proposed else { return self.look_at_everything() };
        let new = self.interest.add(&self.root, proposed);
        self.watch_directories();
        // What changed before the watch was there is not told.
        let mut changed = unpoisoned(&self.changed);
        changed.interesting.extend(new.iter().cloned());
        changed.paths.extend(new);
        Ok(())
    }

    fn look_at_everything(&mut self) -> Result<()> {
        {
            let mut changed = unpoisoned(&self.changed);
            changed.everything = false;
            changed.drain();
        }
        // Before the paths are read, so that what is proposed meanwhile is followed.
        self.seq = self.layer.newest_event()?;
        self.interest = Interest::default();
        self.interest.add(&self.root, self.layer.pending_paths()?);
        unpoisoned(&self.changed).interesting = self.interest.files();
        self.watch_directories();
        let stale = self.layer.recheck()?;
        tracing::debug!(stale, "looked at everything pending");
        Ok(())
    }

    /// Watches the directories that are not watched yet.
    fn watch_directories(&mut self) {
        let wanted = self.interest.directories(&self.root);
        unpoisoned(&self.changed).directories.clone_from(&wanted);
        let mut failure = self.system.0.as_ref().err().cloned();
        for directory in &wanted {
            if failure.is_some() || self.watched.contains(directory) {
                continue;
            }
            if self.watched.len() >= self.directories_max {
                failure = Some("the limit on watched directories is reached".to_owned());
                continue;
            }
            match self.watch_directory(directory) {
                Ok(()) => {
                    self.watched.insert(directory.clone());
                }
                // Its nearest directory tells when it comes.
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
            if let Ok(system) = &mut self.system.0 {
                // It may be gone.
                let _ = system.unwatch(&directory);
            }
            self.watched.remove(&directory);
        }
        self.tell(failure);
    }

    fn watch_directory(&mut self, directory: &Path) -> std::result::Result<(), notify::ErrorKind> {
        match &mut self.system.0 {
            Ok(system) => {
                system.watch(directory, RecursiveMode::NonRecursive).map_err(|error| error.kind)
            }
            Err(_) => Ok(()),
        }
    }

    fn tell(&self, failure: Option<String>) {
        let now = match failure {
            Some(reason) => WatchHealth::Polling { reason },
            None => WatchHealth::Watching { directories: self.watched.len() },
        };
        let mut health = unpoisoned(&self.health);
        if let (WatchHealth::Polling { reason }, WatchHealth::Watching { .. }) = (&now, &*health) {
            tracing::warn!(reason, "files are looked at every second instead of being watched");
        }
        *health = now;
    }
}

#[cfg(test)]
mod tests;
