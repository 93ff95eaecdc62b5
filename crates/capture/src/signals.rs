//! Takes signals so that they end nothing by themselves.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Signals that are taken from now on, for the rest of the process's life.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Becomes readable when one has come.
    wake: UnixStream,
    come: Vec<(i32, Arc<AtomicBool>)>,
}

impl Signals {
    /// Takes the signals, except those that this process ignores: whoever started it wanted that
    /// for everything that it starts. `SIGCHLD` is always taken, since ignoring it would make the
    /// kernel forget how children ended.
    pub(crate) fn take(signals: &[i32]) -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let status = std::fs::read_to_string("/proc/self/status")?;
        let mut come = Vec::new();
        let wanted = |signal: &i32| *signal == libc::SIGCHLD || !is_ignored(&status, *signal);
        for signal in signals.iter().copied().filter(wanted) {
            let flag = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
            come.push((signal, flag));
        }
        Ok(Self { wake, come })
    }

    /// The signals that have come since the last call.
    pub(crate) fn come(&self) -> impl Iterator<Item = i32> {
        while (&self.wake).read(&mut [0; 64]).is_ok_and(|bytes| bytes > 0) {}
        let come = self.come.iter().filter(|(_, flag)| flag.swap(false, Ordering::SeqCst));
        come.map(|(signal, _)| *signal)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// Whether a process whose `/proc/PID/status` this is ignores a signal.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
