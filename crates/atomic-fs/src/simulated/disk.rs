//! [`Disk`](crate::Disk) on an [`Image`], with somebody standing at every call.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::call::{CallKind, Fault, Renames, Step};
use super::effect::Inode;
use super::image::Image;
use super::kernel::Inner;
use super::log::{Answer, Entry, Log};
use super::persistence::everything;
use super::user::World;

/// Somebody who stands at every call and may interfere.
pub trait Bystander: Send {
    /// Called before each call with its number, counted from 0.
    fn at_call(&mut self, number: usize, kind: CallKind, world: &mut World<'_>) -> Option<Fault>;
}

/// A disk in memory; see the module. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    shared: Shared,
    bystander: Arc<Mutex<Option<Box<dyn Bystander>>>>,
}

pub(super) type Shared = Arc<Mutex<Inner>>;

/// An open directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedDir(pub Inode);

/// An open file; dropping it gives up its lease.
pub struct SimulatedFile {
    pub(super) shared: Shared,
    pub(super) inode: Inode,
    pub(super) handle: u64,
    pub(super) writable: bool,
    pub(super) leased: AtomicBool,
}

impl SimulatedDisk {
    /// A disk with this on it, durably.
    pub fn new(image: Image) -> Self {
        let inner =
            Inner { log: Log::new(image.clone()), image, has_leases: true, ..Inner::default() };
        Self { shared: Arc::new(Mutex::new(inner)), bystander: Arc::default() }
    }

    /// The disk as another process finds it once the one that made this log was killed before
    /// entry `end`: everything is there, and what was not synced still is not.
    pub fn after_kill(mut log: Log, end: usize) -> Self {
        log.entries.truncate(end);
        let image = everything(&log, end);
        log.entries.push(Entry::Passed);
        let disk = Self::new(image);
        disk.lock().log = log;
        disk
    }

    /// Puts somebody at every call.
    #[must_use]
    pub fn watched_by(self, bystander: Box<dyn Bystander>) -> Self {
        *self.bystander() = Some(bystander);
        self
    }

    /// Makes it a disk that grants no leases, as most network file systems.
    #[must_use]
    pub fn without_leases(self) -> Self {
        self.lock().has_leases = false;
        self
    }

    /// Makes it a disk with these kinds of rename.
    #[must_use]
    pub fn with_renames(self, renames: Renames) -> Self {
        self.lock().renames = renames;
        self
    }

    /// Makes it describe each call in [`Step::text`].
    #[must_use]
    pub fn describing(self) -> Self {
        self.lock().describes = true;
        self
    }

    /// Records that an answer was given. Everything synced before counts.
    pub fn answered(&self, answer: Answer) {
        let mut inner = self.lock();
        inner.pass();
        inner.log.entries.push(Entry::Answered(answer));
    }

    /// Records that the place of a user's bytes was reported. Everything synced before counts.
    pub fn report_kept(&self, path: &[u8]) {
        let mut inner = self.lock();
        inner.pass();
        inner.log.entries.push(Entry::Kept(path.to_vec()));
    }

    /// What is on it now, in memory.
    pub fn image(&self) -> Image {
        self.lock().image.clone()
    }

    /// Whether the process died at a call.
    pub fn died(&self) -> bool {
        self.lock().died
    }

    /// How many calls could have changed something so far.
    pub fn mutating_calls(&self) -> usize {
        self.lock().steps.iter().filter(|step| step.kind.is_mutating()).count()
    }

    /// Ends it: all that happened, and every call that was made.
    pub fn into_log(self) -> (Log, Vec<Step>) {
        let mut inner = self.lock();
        (std::mem::take(&mut inner.log), std::mem::take(&mut inner.steps))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bystander(&self) -> MutexGuard<'_, Option<Box<dyn Bystander>>> {
        self.bystander.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call: whoever stands by goes first.
    pub(super) fn call<T>(
        &self,
        kind: CallKind,
        describe: impl FnOnce(&Inner) -> String,
        act: impl FnOnce(&mut Inner, Option<Fault>) -> Result<T, Errno>,
    ) -> io::Result<T> {
        let mut inner = self.lock();
        let number = inner.steps.len();
        let text = if inner.describes { describe(&inner) } else { String::new() };
        let entries_before = inner.log.entries.len();
        inner.steps.push(Step { kind, text, errno: None, entries_before });
        let mut fault = None;
        if let Some(bystander) = &mut *self.bystander() {
            fault = bystander.at_call(number, kind, &mut World { inner: &mut inner });
        }
        inner.died |= fault == Some(Fault::Dies);
        let result = match fault {
            _ if inner.died => Err(Errno::IO),
            Some(Fault::Fails(errno)) => Err(Errno::from_raw_os_error(errno)),
            _ => {
                if kind.moves_names() {
                    inner.pass();
                }
                let done = act(&mut inner, fault);
                match fault {
                    Some(Fault::FailsAfterwards(errno)) if done.is_ok() => {
                        Err(Errno::from_raw_os_error(errno))
                    }
                    _ => done,
                }
            }
        };
        inner.steps[number].errno = result.as_ref().err().map(|errno| errno.raw_os_error());
        Ok(result?)
    }

    pub(super) fn file(&self, inode: Inode, writable: bool) -> SimulatedFile {
        let handle = {
            let mut inner = self.lock();
            inner.next_handle += 1;
            inner.next_handle
        };
        let leased = AtomicBool::new(false);
        SimulatedFile { shared: self.shared.clone(), inode, handle, writable, leased }
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        if self.leased.load(Ordering::Relaxed) {
            let mut inner = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            inner.leases.retain(|lease| lease.handle != self.handle);
            inner.wake_up(self.inode);
        }
    }
}
