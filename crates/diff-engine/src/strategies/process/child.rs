//! One child process, from its start to its end.

use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use strategy_testkit::Check;

use super::launch::{Launched, launch};
use super::timed::Timed;
use super::wire::{Frame, Kind, MAGIC, OP_BYTES, PROTOCOL, Received, SENTENCE_BYTES_MAX};
use super::{ChildLimits, PluginHost, Threads};
use crate::intern::FilePair;
use crate::strategies::library::Library;
use crate::strategies::loading::Writers;
use crate::strategies::runner::Answer;

/// Why a child did not answer a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The library was not loaded, and it is not at fault.
    NotStarted(String),
    /// Another process ended the child.
    Gone,
    /// The strategy gave up or panicked; the child is still running.
    GaveUp(String),
    /// The library crashed, hung, or did something forbidden; the child has ended.
    Misbehaved(String),
}

/// A child that has loaded its library.
pub(super) struct Child {
    launched: Launched,
    /// The start of what it wrote to standard error.
    said: Vec<u8>,
    pub(super) name: String,
    pub(super) version: String,
    /// Whether threads can be started in it.
    pub(super) threads: Threads,
    needs_text: bool,
}

impl Child {
    /// Starts a child that loads the library.
    pub(super) fn start(
        host: &PluginHost,
        library: &Library,
        limits: ChildLimits,
        threads: Threads,
        until: Instant,
    ) -> Result<Self, Fault> {
        let launched = launch(host).map_err(|error| {
            Fault::NotStarted(format!(
                "the plugin host {} could not be started: {error}",
                host.program.display()
            ))
        })?;
        let mut child = Self {
            launched,
            said: Vec::new(),
            name: String::new(),
            version: String::new(),
            threads,
            needs_text: false,
        };
        let sent = open_frame(library, limits, threads)
            .send(&mut Timed::new(&child.launched.stream, until));
        let answer = sent.and_then(|()| child.receive(READY_BYTES_MAX, until));
        let mut frame = match answer {
            Ok(frame) => frame,
            Err(error) => return Err(child.end(&error, "to be loaded")),
        };
        match frame.kind {
            Kind::Ready => {}
            Kind::Refused => return Err(Fault::NotStarted(frame.sentence())),
            _ => return Err(Fault::NotStarted(NO_HOST.to_owned())),
        }
        let mut read = || -> io::Result<(String, String, bool)> {
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            Ok((text(frame.bytes()?), text(frame.bytes()?), frame.u8()? != 0))
        };
        let (name, version, needs_text) =
            read().map_err(|_| Fault::NotStarted(NO_HOST.to_owned()))?;
        (child.name, child.version, child.needs_text) = (name, version, needs_text);
        child.check_silence()?;
        Ok(child)
    }

    /// Compares two files by the strategy.
    pub(super) fn diff(
        &mut self,
        FilePair { ids, old, new }: &FilePair<'_>,
        time_allowed: Duration,
        until: Instant,
    ) -> Result<Answer, Fault> {
        if self.is_gone() {
            return Err(Fault::Gone);
        }
        let (old_text, new_text) =
            if self.needs_text { (old.bytes(), new.bytes()) } else { (&[][..], &[][..]) };
        let ids_bytes = 4 * (ids.old.len() + ids.new.len());
        let mut frame = Frame::new(Kind::Diff);
        frame.reserve(ids_bytes + old_text.len() + new_text.len());
        let left = until.saturating_duration_since(Instant::now());
        frame.u64(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX));
        frame.ids(&ids.old);
        frame.ids(&ids.new);
        frame.bytes(old_text);
        frame.bytes(new_text);
        let lines = ids.old.len() + ids.new.len();
        let bytes_max = (1 + OP_BYTES * lines).max(SENTENCE_BYTES_MAX) as u64;
        let sent = frame.send(&mut Timed::new(&self.launched.stream, until));
        let answer = sent.and_then(|()| self.receive(bytes_max, until));
        let allowed = format!("for one file in {} ms", time_allowed.as_millis());
        let mut frame = answer.map_err(|error| self.end(&error, &allowed))?;
        self.check_silence()?;
        match frame.kind {
            Kind::Script => {
                let read = frame.u8().and_then(|degraded| Ok((degraded != 0, frame.ops()?)));
                let (degraded, ops) =
                    read.map_err(|error| self.misbehaved(format!("it answered with {error}")))?;
                Ok(Answer { ops, degraded })
            }
            Kind::Failed => Err(Fault::GaveUp(frame.sentence())),
            _ => Err(self.misbehaved("it answered with something else than a script".to_owned())),
        }
    }

    /// Runs one check of the conformance kit.
    pub(super) fn check(&mut self, check: Check, time_allowed: Duration) -> Result<(), String> {
        let until = Instant::now() + time_allowed;
        let at = Check::ALL.iter().position(|one| *one == check).unwrap_or_default();
        let mut frame = Frame::new(Kind::Check);
        frame.u8(at as u8);
        let mut sent = frame.send(&mut Timed::new(&self.launched.stream, until));
        let mut pair = String::new();
        let at_pair = |why: String, pair: &str| {
            if pair.is_empty() { why } else { format!("{why} (over {pair})") }
        };
        loop {
            let answer = sent.and_then(|()| self.receive(SENTENCE_BYTES_MAX as u64, until));
            sent = Ok(());
            let frame = match answer {
                Ok(frame) => frame,
                Err(error) => {
                    let allowed = format!("in {} ms", time_allowed.as_millis());
                    let (Fault::NotStarted(why) | Fault::Misbehaved(why) | Fault::GaveUp(why)) =
                        self.end(&error, &allowed)
                    else {
                        return Err(at_pair("the child was gone".to_owned(), &pair));
                    };
                    return Err(at_pair(why, &pair));
                }
            };
            match frame.kind {
                Kind::Pair => pair = frame.sentence(),
                Kind::Passed => {
                    return match self.check_silence() {
                        Err(Fault::Misbehaved(why)) => Err(why),
                        _ => Ok(()),
                    };
                }
                _ => return Err(frame.sentence()),
            }
        }
    }

    /// Whether the child has ended since it was last asked.
    fn is_gone(&mut self) -> bool {
        !matches!(self.launched.process.try_wait(), Ok(None))
    }

    fn receive(&self, bytes_max: u64, until: Instant) -> io::Result<Received> {
        let received = Received::read(&mut Timed::new(&self.launched.stream, until), bytes_max)?;
        received.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Refuses output: a strategy answers by its return value, and anything it prints would end up in
    /// a user's patch if it were loaded into the command itself.
    fn check_silence(&mut self) -> Result<(), Fault> {
        self.drain_stderr();
        let mut printed = [0; 80];
        match self.launched.stdout.read(&mut printed) {
            Ok(count) if count > 0 => {
                let start = String::from_utf8_lossy(&printed[..count]).into_owned();
                Err(self.misbehaved(format!("it wrote to standard output: {start:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Reads standard error, so that the pipe never fills; keeps the beginning.
    fn drain_stderr(&mut self) {
        self.said = drained(&mut self.launched.stderr);
        if !self.said.is_empty() {
            let said = String::from_utf8_lossy(&self.said);
            tracing::debug!(strategy = %self.name, %said, "the plugin wrote to standard error");
        }
    }

    /// Ends the child after a failed exchange, and returns what happened to it.
    fn end(&mut self, error: &io::Error, allowed: &str) -> Fault {
        match error.kind() {
            io::ErrorKind::TimedOut => {
                self.misbehaved(format!("it did not answer in time, {allowed}"))
            }
            io::ErrorKind::InvalidData => self.misbehaved(format!("it answered with {error}")),
            _ => {
                let how = match self.wait_a_moment() {
                    // Not by this process: by a person, or by a system that is short of memory.
                    Some(status) if status.signal() == Some(Signal::KILL.as_raw()) => {
                        return Fault::Gone;
                    }
                    Some(status) => how_it_ended(status),
                    None => "closed its connection".to_owned(),
                };
                self.drain_stderr();
                let said = String::from_utf8_lossy(&self.said);
                let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
                let why = if said.is_empty() { how } else { format!("{how}: {said}") };
                self.misbehaved(format!("its process {why}"))
            }
        }
    }

    /// The status of a child that is ending by itself.
    fn wait_a_moment(&mut self) -> Option<ExitStatus> {
        const STEP: Duration = Duration::from_millis(2);
        for _ in 0..100 {
            match self.launched.process.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) => thread::sleep(STEP),
                Err(_) => return None,
            }
        }
        None
    }

    fn misbehaved(&mut self, why: String) -> Fault {
        self.kill();
        Fault::Misbehaved(why)
    }

    /// Ends the child and whatever it started. Does nothing when it has ended already.
    fn kill(&mut self) {
        if self.is_gone() {
            return;
        }
        // Not reaped yet, so the number is still the child's own.
        if let Some(group) = i32::try_from(self.launched.process.id()).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.launched.process.kill();
        let _ = self.launched.process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The beginning of the data in a pipe; the rest is dropped.
///
/// A child could write forever, so reading ends after the size of a pipe; the rest is dropped the next
/// time.
fn drained(pipe: &mut impl Read) -> Vec<u8> {
    /// The largest pipe that an ordinary user can have: pipe(7).
    const PIPE_BYTES_MAX: usize = 1 << 20;
    let mut buffer = [0; 4096];
    let mut start = Vec::new();
    let mut dropped = 0;
    while dropped < PIPE_BYTES_MAX {
        let Ok(count @ 1..) = pipe.read(&mut buffer) else { break };
        let room = SENTENCE_BYTES_MAX.saturating_sub(start.len());
        start.extend_from_slice(&buffer[..count.min(room)]);
        dropped += count;
    }
    start
}

const READY_BYTES_MAX: u64 = 2 * SENTENCE_BYTES_MAX as u64;
const NO_HOST: &str = "the plugin host is another program, or of another version";

fn open_frame(library: &Library, limits: ChildLimits, threads: Threads) -> Frame {
    let mut frame = Frame::new(Kind::Open);
    frame.raw(MAGIC);
    frame.u32(PROTOCOL);
    frame.raw(library.trust.expected_digest.as_bytes());
    frame.u8(match library.trust.writers {
        Writers::Nobody => 0,
        Writers::NobodyBeneathSticky => 1,
        Writers::Group => 2,
    });
    frame.u8((threads == Threads::Allowed).into());
    frame.u64(limits.memory_bytes_max);
    let private = library.trust.private_folder.as_deref().map(|folder| folder.as_os_str());
    frame.bytes(private.map_or(&[], |folder| folder.as_bytes()));
    frame.bytes(library.path.as_os_str().as_bytes());
    frame
}

fn how_it_ended(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return match status.code() {
            Some(code) => format!("exited with {code}"),
            None => "ended".to_owned(),
        };
    };
    let name = match Signal::from_named_raw(signal) {
        Some(Signal::ABORT) => " (SIGABRT)",
        Some(Signal::BUS) => " (SIGBUS)",
        Some(Signal::FPE) => " (SIGFPE)",
        Some(Signal::ILL) => " (SIGILL)",
        Some(Signal::SEGV) => " (SIGSEGV)",
        Some(Signal::SYS) => " (SIGSYS)",
        _ => "",
    };
    format!("was ended by signal {signal}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_writes_for_ever_is_not_read_for_ever() {
        assert_eq!(drained(&mut io::repeat(b'x')), [b'x'; SENTENCE_BYTES_MAX]);
    }
}
