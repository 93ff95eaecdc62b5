//! The machine's disk with somebody standing at every call.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use atomic_fs::*;

use super::Fixture;

/// What happens at a call, told before it is made.
pub type Hook = Box<dyn Fn(usize, &'static str) -> io::Result<()> + Send + Sync>;

/// What the file system makes of a rename with flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renames {
    /// Exchanges, and refuses to replace.
    All,
    /// Refuses to replace, as exFAT does.
    NoExchange,
    /// Takes no flags, as NFS does.
    NoFlags,
}

/// The disk that is played, and what the user allows on it.
#[derive(Clone, Debug)]
pub struct Setup {
    pub renames: Renames,
    pub in_flight: usize,
    pub options: Options,
}

impl Default for Setup {
    fn default() -> Self {
        Self { renames: Renames::All, in_flight: 1, options: Options::default() }
    }
}

pub struct Interposed {
    disk: PosixDisk,
    calls: AtomicUsize,
    hook: Hook,
    renames: Renames,
    in_flight: usize,
}

impl Interposed {
    pub fn workspace(fixture: &Fixture, hook: Hook, setup: Setup) -> Workspace<Self> {
        drop(fixture.open()); // makes journal/ and conflicts/
        let disk = PosixDisk;
        let state = fixture.state();
        let dir = |path: &std::path::Path| disk.open_dir(path).expect("it exists");
        let places = Places {
            root: dir(&fixture.root()),
            root_path: fixture.root(),
            journals: dir(&state.join("journal")),
            conflicts: dir(&state.join("conflicts")),
            conflicts_path: state.join("conflicts"),
            lock_path: state.join("lock"),
            own_state: None,
        };
        let Setup { renames, in_flight, options } = setup;
        let disk = Self { disk, calls: AtomicUsize::new(0), hook, renames, in_flight };
        Workspace::on_disk(disk, places, options)
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn at(&self, call: &'static str) -> io::Result<()> {
        (self.hook)(self.calls.fetch_add(1, Ordering::SeqCst), call)
    }
}

/// Passes each call on after the hook has seen it.
macro_rules! pass_on {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> io::Result<$answer> {
            self.at(stringify!($name))?;
            self.disk.$name($($argument),*)
        })*
    };
}

impl Disk for Interposed {
    type Dir = OwnedFd;
    type File = OwnedFd;

    fn calls_in_flight(&self) -> usize {
        self.in_flight
    }

    fn open_dirs_max(&self) -> usize {
        3
    }

    // A kill keeps what the system holds in memory, so a test of kills need not wait
    // for the device.
    fn sync_file(&self, _file: &OwnedFd) -> io::Result<()> {
        self.at("sync_file")
    }

    fn sync_dir(&self, _dir: &OwnedFd) -> io::Result<()> {
        self.at("sync_dir")
    }

    /// A hook that says `Unsupported` stands for a file system without leases.
    fn lease(&self, file: &OwnedFd) -> io::Result<Lease> {
        match self.at("lease") {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(Lease::Unavailable),
            Err(error) => Err(error),
            Ok(()) => self.disk.lease(file),
        }
    }

    fn exchange(&self, dir: &OwnedFd, one: &[u8], other: &[u8]) -> io::Result<()> {
        self.at("exchange")?;
        match self.renames {
            Renames::All => self.disk.exchange(dir, one, other),
            Renames::NoExchange | Renames::NoFlags => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn rename(
        &self,
        from_dir: &OwnedFd,
        from: &[u8],
        to_dir: &OwnedFd,
        to: &[u8],
    ) -> io::Result<()> {
        self.at("rename")?;
        match self.renames {
            Renames::All | Renames::NoExchange => self.disk.rename(from_dir, from, to_dir, to),
            Renames::NoFlags => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn writer(&self, file: &Stat) -> Option<String> {
        self.disk.writer(file)
    }

    pass_on! {
        open_dir_beneath(root: &OwnedFd, path: Option<&RelPath>, cross_mounts: bool) -> OwnedFd;
        device(dir: &OwnedFd) -> u64;
        stat(dir: &OwnedFd, name: &[u8]) -> Stat;
        read_link(dir: &OwnedFd, name: &[u8]) -> Vec<u8>;
        list(dir: &OwnedFd) -> Vec<Entry>;
        open_file(dir: &OwnedFd, name: &[u8]) -> OwnedFd;
        open_own_file(dir: &OwnedFd, name: &[u8]) -> OwnedFd;
        create_file(dir: &OwnedFd, name: &[u8]) -> OwnedFd;
        file_stat(file: &OwnedFd) -> Stat;
        read_at(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> usize;
        write_at(file: &OwnedFd, buffer: &[u8], offset: u64) -> usize;
        reserve(file: &OwnedFd, bytes: u64) -> ();
        copy_metadata(from: &OwnedFd, to: &OwnedFd, mode: u32) -> ();
        lease_holds(file: &OwnedFd) -> bool;
        set_mode(file: &OwnedFd, mode: u32) -> ();
        rename_replacing(from_dir: &OwnedFd, from: &[u8], to_dir: &OwnedFd, to: &[u8]) -> ();
        link(from_dir: &OwnedFd, from: &[u8], to_dir: &OwnedFd, to: &[u8]) -> ();
        remove_file(dir: &OwnedFd, name: &[u8]) -> ();
        create_dir(dir: &OwnedFd, name: &[u8]) -> ();
        remove_dir(dir: &OwnedFd, name: &[u8]) -> ();
    }
}
