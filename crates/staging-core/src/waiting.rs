//! Reports which process a call waits for.
//!
//! On Linux `/proc/locks` (proc_locks(5)) names the process that holds a lock. A line there
//! identifies the file by its inode number and the device of its superblock, which can differ from
//! the device that stat(2) returns: then a process counts as the holder only if it has that file
//! open.
//!
//! # Limitations
//! On other systems, and for processes that this one may not inspect, the holder is unknown.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::ApplyId;

/// How long a call waits before it reports that, so that the report comes within a second.
pub(crate) const REPORT_AFTER: Duration = Duration::from_millis(600);

/// What a call waits for. It is reported after 0.6 s, and the call goes on waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What the other process does.
    pub activity: Activity,
    /// The other process; `None` when it is unknown.
    pub process: Option<Process>,
}

/// What the process does that a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// An apply, an undo or a recovery: it holds the workspace's lock.
    ChangesWorkspace,
    /// An apply of patches that the call concerns.
    Applies(ApplyId),
    /// A write to the store.
    WritesStore,
}

/// A running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its command line, where that can be read. It is not escaped for display.
    pub command: Option<String>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some(process) => write!(f, "waiting for {process}, which ")?,
            None => f.write_str("waiting for another process, which ")?,
        }
        match self.activity {
            Activity::ChangesWorkspace => f.write_str("is changing the workspace"),
            Activity::Applies(apply) => write!(f, "is applying {apply}"),
            Activity::WritesStore => f.write_str("is writing to the store"),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        match &self.command {
            Some(command) => write!(f, " (`{command}`)"),
            None => Ok(()),
        }
    }
}

/// A callback for calls that wait; by default they are logged.
#[derive(Clone)]
pub struct WaitObserver(Arc<dyn Fn(&Waiting) + Send + Sync>);

impl WaitObserver {
    /// Calls `observer` on the thread that waits; it must not call the layer.
    pub fn new(observer: impl Fn(&Waiting) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observer))
    }

    pub(crate) fn report(&self, waiting: &Waiting) {
        (self.0)(waiting);
    }
}

impl Default for WaitObserver {
    fn default() -> Self {
        Self::new(|waiting| tracing::warn!("{waiting}"))
    }
}

impl fmt::Debug for WaitObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WaitObserver")
    }
}

/// How a file is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockKind {
    /// flock(2) on the whole file.
    Whole,
    /// fcntl(2) on the byte at this offset.
    Byte(u64),
}

/// The process that holds an exclusive lock on a file; `None` when there is none or it is unknown.
pub(crate) fn holder(file: &Path, kind: LockKind) -> Option<Process> {
    system::holder(file, kind)
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::{self, Metadata};
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use crate::waiting::LockKind;
    use crate::waiting::Process;

    /// How often the list of locks is read when it does not name the lock.
    const READS_MAX: u32 = 8;

    /// A longer command line is cut.
    const COMMAND_CHARS_MAX: usize = 120;

    pub(crate) fn holder(file: &Path, kind: LockKind) -> Option<Process> {
        // The file is not opened: closing it would release the process's own locks on it
        // (fcntl_locking(2)).
        let file = fs::metadata(file).ok()?;
        let read = || {
            let locks = fs::read_to_string("/proc/locks").ok()?;
            locks.lines().find_map(|line| holder_in(line, &file, kind))
        };
        // The kernel returns the list a page at a time. When other locks are taken and released
        // between two pages, a lock that is held all the time can be missing.
        let pid = (0..READS_MAX).find_map(|_| read())?;
        Some(Process { pid, command: command(pid) })
    }

    /// The holder, if the line describes such a lock on the file:
    /// `1: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 120 120`.
    fn holder_in(line: &str, file: &Metadata, kind: LockKind) -> Option<u32> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // The lines of waiting processes have an arrow before the kind.
        let [_, found, _, "WRITE", pid, inode, first, last, ..] = fields.as_slice() else {
            return None;
        };
        let is_kind = match kind {
            LockKind::Whole => *found == "FLOCK",
            LockKind::Byte(byte) => {
                let last = if *last == "EOF" { u64::MAX } else { last.parse().ok()? };
                *found == "POSIX" && (first.parse().ok()?..=last).contains(&byte)
            }
        };
        let mut parts = inode.split(':');
        let major = u32::from_str_radix(parts.next()?, 16).ok()?;
        let minor = u32::from_str_radix(parts.next()?, 16).ok()?;
        let is_inode = parts.next()?.parse() == Ok(file.ino());
        let pid = pid.parse().ok().filter(|pid| *pid > 0 && is_kind && is_inode)?;
        let device = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
        (device == (major, minor) || has_open(pid, file)).then_some(pid)
    }

    fn has_open(pid: u32, file: &Metadata) -> bool {
        let Ok(opened) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        opened.flatten().any(|opened| {
            let found = fs::metadata(opened.path());
            found.is_ok_and(|found| (found.dev(), found.ino()) == (file.dev(), file.ino()))
        })
    }

    fn command(pid: u32) -> Option<String> {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<_> = line
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(String::from_utf8_lossy)
            .collect();
        let line = words.join(" ");
        let mut shown: String = line.chars().take(COMMAND_CHARS_MAX).collect();
        if shown.len() < line.len() {
            shown.push('…');
        }
        (!shown.is_empty()).then_some(shown)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{LockKind, Path, Process};

    pub(crate) fn holder(_: &Path, _: LockKind) -> Option<Process> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test plays another process")]
    fn the_holder_of_a_lock_is_found_and_none_is_reported_for_an_unlocked_file() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("lock");
        let file = File::create(&path).expect("made");
        assert_eq!(holder(&path, LockKind::Whole), None);
        file.lock().expect("locked");
        let found = holder(&path, LockKind::Whole).expect("this process holds it");
        assert_eq!(found.pid, std::process::id());
        assert!(found.command.expect("it has a command line").contains("staging_core"));
        assert_eq!(holder(&path, LockKind::Byte(120)), None, "another kind of lock");
        let other = dir.path().join("other");
        File::create(&other).expect("made");
        assert_eq!(holder(&other, LockKind::Whole), None);
        file.unlock().expect("unlocked");
        assert_eq!(holder(&path, LockKind::Whole), None);
    }

    #[test]
    fn the_sentence_names_the_process_and_its_activity() {
        let process = Process { pid: 12, command: Some("greenroom apply".to_owned()) };
        let waiting = Waiting { activity: Activity::Applies(ApplyId(3)), process: Some(process) };
        let sentence = "waiting for process 12 (`greenroom apply`), which is applying a3";
        assert_eq!(waiting.to_string(), sentence);
        let waiting = Waiting { activity: Activity::WritesStore, process: None };
        let sentence = "waiting for another process, which is writing to the store";
        assert_eq!(waiting.to_string(), sentence);
    }
}
