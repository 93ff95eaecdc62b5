//! The child's side: serves one library to the host.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use strategy_api::abi::guarded;
use strategy_testkit::{Check, Library as Checked};

use super::wire::{Frame, Kind, MAGIC, PROTOCOL, Received, garbled};
use super::{Threads, confine};
use crate::error::LoadError;
use crate::intern::{FilePair, Interned};
use crate::lines::Lines;
use crate::strategies::loading::{CheckedLibrary, LoadedStrategy, Trust, Writers};
use crate::strategies::runner::{Limits, Run as _, run_on};

/// Serves a plugin to the process that started this one, until that ends.
///
/// Call it first in `main` if the program was started with the arguments of its
/// [`PluginHost`](super::PluginHost), before any thread is started or file opened; then exit with
/// the code that it returns. Standard input must be the socket that [`Registry::add_in_child`] passes.
///
/// [`Registry::add_in_child`]: crate::Registry::add_in_child
pub fn serve_plugin() -> ExitCode {
    if !is_socket() {
        eprintln!("this command is for greenroom itself: it serves a plugin to another process");
        return ExitCode::from(2);
    }
    match confine::take_protocol().and_then(|host| serve(&host)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the plugin host failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether standard input is a socket.
fn is_socket() -> bool {
    let stdin = io::stdin();
    let found = rustix::fs::fstat(stdin.as_fd());
    found.is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket
    })
}

fn serve(mut host: &File) -> io::Result<()> {
    const OPEN_BYTES_MAX: u64 = 64 << 10;
    let Some(frame) = Received::read(&mut host, OPEN_BYTES_MAX)? else { return Ok(()) };
    let loaded = match open(frame, host)? {
        Ok(loaded) => loaded,
        Err(why) => return Frame::sentence(Kind::Refused, &why).send(&mut host),
    };
    let mut ready = Frame::new(Kind::Ready);
    ready.bytes(loaded.name().as_bytes());
    ready.bytes(loaded.version().as_bytes());
    ready.u8(loaded.needs_text().into());
    ready.send(&mut host)?;
    // The host runs as the same user, and no frame is longer than its files.
    while let Some(frame) = Received::read(&mut host, u64::MAX)? {
        match frame.kind {
            Kind::Diff => diff(&loaded, frame)?.send(&mut host)?,
            Kind::Check => check(&loaded, frame, host)?,
            _ => return Err(garbled("a frame that a child is not sent")),
        }
    }
    Ok(())
}

/// Loads the library that the first frame names; the inner error is the reason why not.
fn open(mut frame: Received, host: &File) -> io::Result<Result<LoadedStrategy, String>> {
    if frame.kind != Kind::Open || frame.raw(MAGIC.len())? != MAGIC || frame.u32()? != PROTOCOL {
        return Ok(Err(
            "the plugin host has another version than the program that started it".to_owned()
        ));
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(frame.raw(32)?);
    let mut trust = Trust::in_digest(blake3::Hash::from_bytes(digest));
    trust.writers = match frame.u8()? {
        1 => Writers::NobodyBeneathSticky,
        2 => Writers::Group,
        _ => Writers::Nobody,
    };
    let threads = if frame.u8()? == 0 { Threads::Refused } else { Threads::Allowed };
    let memory_bytes_max = frame.u64()?;
    let path = |bytes: Vec<u8>| PathBuf::from(std::ffi::OsString::from_vec(bytes));
    trust.private_folder = Some(path(frame.bytes()?)).filter(|path| !path.as_os_str().is_empty());
    let library = path(frame.bytes()?);
    confine::limit_memory(memory_bytes_max)?;
    let checked = match CheckedLibrary::read(&library, &trust) {
        Ok(checked) => checked,
        Err(error) => return Ok(Err(sentence(&error))),
    };
    // Before the library's first instruction.
    confine::confine(host, threads)?;
    Ok(checked.load().map_err(|error| sentence(&error)))
}

fn sentence(error: &LoadError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn diff(strategy: &LoadedStrategy, mut frame: Received) -> io::Result<Frame> {
    let time_allowed = Some(Duration::from_nanos(frame.u64()?));
    let ids = Interned { old: frame.ids()?, new: frame.ids()? };
    let (old, new) = (frame.bytes()?, frame.bytes()?);
    drop(frame);
    let limits = Limits { cancelled: &AtomicBool::new(false), time_allowed };
    let pair = FilePair { ids, old: Lines::of(&old), new: Lines::of(&new) };
    Ok(match run_on(strategy, &pair, limits) {
        Ok(answer) => {
            let mut frame = Frame::new(Kind::Script);
            frame.u8(answer.degraded.into());
            frame.ops(&answer.ops);
            frame
        }
        Err(why) => Frame::sentence(Kind::Failed, &why),
    })
}

fn check(loaded: &LoadedStrategy, mut frame: Received, mut host: &File) -> io::Result<()> {
    let check = Check::ALL.get(usize::from(frame.u8()?)).copied();
    let check = check.ok_or_else(|| garbled("a check that there is not"))?;
    let listened = Mutex::new(host);
    let listener = |pair: &str| {
        let mut host = listened.lock().unwrap_or_else(PoisonError::into_inner);
        // If the host is gone, sending the answer fails.
        let _ = Frame::sentence(Kind::Pair, pair).send(&mut *host);
    };
    let outcome = guarded(|| check.run(&Checked(loaded.0), &listener));
    match outcome {
        Ok(()) => Frame::new(Kind::Passed).send(&mut host),
        Err(why) => Frame::sentence(Kind::Failed, &why).send(&mut host),
    }
}
