//! Writes lines to the client.
//!
//! A short line is written at once if the pipe has room for it. Everything else is written by a thread of
//! its own, which may wait for the client. While it has a line, all others go the same way, so that their order
//! stays.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::room::Ticket;
use super::taken::Input;

/// How many lines wait to be written. Whoever has another one waits.
const LINES_MAX: usize = 64;

/// Lines that wait are written together up to this.
const BATCH_BYTES: usize = 64 * 1024;

/// Where answers and events go. Cloning gives another handle.
#[derive(Clone)]
pub(super) struct Output {
    lines: mpsc::Sender<Line>,
    client: Arc<Client>,
}

/// Standard output, and how many lines the thread has not written yet.
struct Client {
    /// Held while something is written.
    writing: Mutex<()>,
    queued: AtomicUsize,
    is_pipe: bool,
}

/// A message, and what is given back once it is written.
#[derive(Default)]
pub(super) struct Line {
    /// The message without its newline.
    pub(super) text: String,
    pub(super) ticket: Option<Ticket>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl Output {
    /// Starts the thread; it ends with the last handle, or when nobody reads any more, which it also
    /// reports as the end of the input.
    pub(super) fn start(ended: mpsc::Sender<Input>) -> (Self, oneshot::Receiver<io::Result<()>>) {
        let (lines, queued) = mpsc::channel(LINES_MAX);
        let (outcome, written) = oneshot::channel();
        let (writing, is_pipe) = (Mutex::default(), pipe::is_standard_output());
        let client = Arc::new(Client { writing, queued: AtomicUsize::new(0), is_pipe });
        let of_thread = Arc::clone(&client);
        thread::spawn(move || {
            let done = write_all(queued, &of_thread, &mut io::stdout());
            if done.is_err() {
                // It may have ended by itself.
                let _ = ended.blocking_send(Input::End);
            }
            let _ = outcome.send(done);
        });
        (Self { lines, client }, written)
    }

    /// Writes a line, or queues it and waits for room if there is none. A line to a client that is gone
    /// is dropped. One thread calls this, so that its lines keep their order.
    pub(super) async fn send(&self, line: Line) {
        if !self.client.write_at_once(&line.text) {
            self.client.queued.fetch_add(1, Ordering::AcqRel);
            let _ = self.lines.send(line).await;
        }
    }

    /// A handle that does not keep the thread.
    pub(super) fn downgrade(&self) -> WeakOutput {
        WeakOutput { lines: self.lines.downgrade(), client: Arc::clone(&self.client) }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.lines.is_closed()
    }
}

/// The output, as long as somebody else has it.
pub(super) struct WeakOutput {
    lines: mpsc::WeakSender<Line>,
    client: Arc<Client>,
}

impl WeakOutput {
    /// Writes a line, or queues it, from a thread that may block.
    pub(super) fn blocking_write(&self, line: Line) {
        if !self.client.write_at_once(&line.text) {
            self.blocking_send(line);
        }
    }

    /// Queues a line from a thread that may block.
    pub(super) fn blocking_send(&self, line: Line) {
        if let Some(lines) = self.lines.upgrade() {
            self.client.queued.fetch_add(1, Ordering::AcqRel);
            // A line to a client that is gone is dropped.
            let _ = lines.blocking_send(line);
        }
    }
}

impl Client {
    /// Whether a line was written, because nothing waits before it and it does not wait for the client.
    fn write_at_once(&self, text: &str) -> bool {
        let fits = self.is_pipe && text.len() < pipe::WRITTEN_WHOLE;
        if !fits || self.queued.load(Ordering::Acquire) > 0 {
            return false;
        }
        let Ok(_writing) = self.writing.try_lock() else { return false };
        // What fails, the thread finds out and reports.
        pipe::has_room() && pipe::write_line(text).is_ok()
    }
}

/// Writes lines as they come; those that wait are written together.
fn write_all(
    mut lines: mpsc::Receiver<Line>,
    client: &Client,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    let mut held = Vec::new();
    while let Some(first) = lines.blocking_recv() {
        let mut next = Some(first);
        while let Some(Line { text, ticket, permit }) = next {
            batch.extend_from_slice(text.as_bytes());
            batch.push(b'\n');
            held.push((ticket, permit));
            next = if batch.len() < BATCH_BYTES { lines.try_recv().ok() } else { None };
        }
        let writing = client.writing.lock();
        out.write_all(&batch)?;
        out.flush()?;
        drop(writing);
        client.queued.fetch_sub(held.len(), Ordering::AcqRel);
        batch.clear();
        batch.shrink_to(BATCH_BYTES);
        held.clear();
    }
    Ok(())
}

/// Standard output where it is a pipe, which says whether it takes a short line without waiting.
#[cfg(unix)]
mod pipe {
    use std::io::{self, Write as _};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{FileType, fstat};

    /// What a pipe that is ready takes whole (POSIX has 512 at least, Linux 4096).
    pub(super) const WRITTEN_WHOLE: usize = libc::PIPE_BUF;

    pub(super) fn is_standard_output() -> bool {
        fstat(io::stdout()).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_fifo())
    }

    pub(super) fn has_room() -> bool {
        let stdout = io::stdout();
        let mut ready = [PollFd::new(&stdout, PollFlags::OUT)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut ready, Some(&at_once)), Ok(1)) && ready[0].revents() == PollFlags::OUT
    }

    pub(super) fn write_line(text: &str) -> io::Result<()> {
        let mut line = Vec::with_capacity(text.len() + 1);
        line.extend_from_slice(text.as_bytes());
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(&line)?;
        stdout.flush()
    }
}

/// Elsewhere the thread writes everything.
#[cfg(not(unix))]
mod pipe {
    use std::io;

    /// Nothing is a pipe here.
    pub(super) const WRITTEN_WHOLE: usize = 1;

    pub(super) fn is_standard_output() -> bool {
        false
    }

    pub(super) fn has_room() -> bool {
        false
    }

    pub(super) fn write_line(_: &str) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as sync;

    use super::*;

    /// A client that takes a byte more each time it is allowed to.
    struct Slow(sync::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.1.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(text: &str) -> Line {
        Line { text: text.to_owned(), ..Line::default() }
    }

    #[test]
    fn whoever_writes_to_a_client_that_does_not_read_waits() {
        let (lines, queued) = mpsc::channel(LINES_MAX);
        let writing = Mutex::default();
        let client = Arc::new(Client { writing, queued: AtomicUsize::new(0), is_pipe: false });
        let output = Output { lines, client: Arc::clone(&client) };
        let (allow, allowed) = sync::channel();
        let read = Arc::new(Mutex::new(Vec::new()));
        let mut slow = Slow(allowed, Arc::clone(&read));
        let writer = thread::spawn(move || write_all(queued, &client, &mut slow));
        let mut waiting = std::pin::pin!(async {
            // One batch is being written, and as many lines wait as may.
            for _ in 0..10 * LINES_MAX {
                output.send(line(&"x".repeat(1024))).await;
            }
        });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending(), "nobody has read anything");
        drop(allow);
        assert!(writer.join().expect("no panic").is_err(), "the client is gone");
        assert!(waiting.as_mut().poll(&mut context).is_ready(), "and nobody waits for it");
        assert!(read.lock().expect("no panic").is_empty());
    }
}
