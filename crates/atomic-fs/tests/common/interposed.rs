//! The machine's disk with somebody standing at every call.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use atomic_fs::*;

use super::Fixture;

type Dir = <SystemDisk as Disk>::Dir;
type File = <SystemDisk as Disk>::File;

/// What happens at a call, told before it is made.
pub type Hook = Box<dyn Fn(usize, &'static str) -> io::Result<()> + Send + Sync>;

/// What the file system makes of a rename with flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renames {
    /// What the machine's own file system does.
    All,
    /// Replaces a file by a call of its own that keeps the old one, as Windows does, and
    /// answers the first such call like this.
    Replaces(Replaced),
    /// Refuses to replace, as exFAT does.
    NoExchange,
    /// Takes no flags, as NFS does.
    NoFlags,
}

/// What `ReplaceFileW` did, and what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// Everything, and success.
    Whole,
    /// Everything, and a failure.
    WholeButFails,
    /// Nothing, and a failure: 1175, 1176, and most others.
    Nothing,
    /// Nothing, and success.
    NothingButSucceeds,
    /// The old file has its new name, and its own is free: 1177.
    MovedAside,
}

/// The disk that is played, and what the user allows on it.
#[derive(Clone, Debug)]
pub struct Setup {
    pub renames: Renames,
    pub in_flight: usize,
    pub open_dirs_max: usize,
    /// Whether two cases of a name are one name, as in a directory with casefold.
    pub folds_case: bool,
    pub options: Options,
}

impl Default for Setup {
    fn default() -> Self {
        let options = Options::default();
        let (in_flight, open_dirs_max, folds_case) = (1, 3, false);
        Self { renames: Renames::All, in_flight, open_dirs_max, folds_case, options }
    }
}

pub struct Interposed {
    disk: SystemDisk,
    calls: AtomicUsize,
    hook: Hook,
    renames: Renames,
    replaced: AtomicUsize,
    in_flight: usize,
    open_dirs_max: usize,
    folds_case: bool,
}

impl Interposed {
    pub fn workspace(fixture: &Fixture, hook: Hook, setup: Setup) -> Workspace<Self> {
        drop(fixture.open()); // makes journal/ and conflicts/
        let disk = SystemDisk::default();
        let state = fixture.state();
        let dir = |path: &std::path::Path| disk.open_dir(path).expect("it exists");
        let locations = Locations {
            root: dir(&fixture.root()),
            root_path: fixture.root(),
            journals: dir(&state.join("journal")),
            conflicts: dir(&state.join("conflicts")),
            conflicts_path: state.join("conflicts"),
            lock_path: state.join("lock"),
            own_state: None,
        };
        let Setup { renames, in_flight, open_dirs_max, folds_case, options } = setup;
        let (calls, replaced) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let disk =
            Self { disk, calls, hook, renames, replaced, in_flight, open_dirs_max, folds_case };
        Workspace::on_disk(disk, locations, options)
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The name as the directory has it.
    fn spelled(&self, dir: &Dir, name: &[u8]) -> io::Result<Vec<u8>> {
        let entries = if self.folds_case { self.disk.list(dir)? } else { Vec::new() };
        let found = entries.into_iter().find(|entry| entry.name.eq_ignore_ascii_case(name));
        Ok(found.map_or_else(|| name.to_vec(), |entry| entry.name))
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
    type Dir = Dir;
    type File = File;

    fn calls_in_flight(&self) -> usize {
        self.in_flight
    }

    fn open_dirs_max(&self) -> usize {
        self.open_dirs_max
    }

    fn lock_dir(&self, dir: &Dir) -> DirLock {
        self.disk.lock_dir(dir)
    }

    fn unlock_dir(&self, dir: &Dir) {
        self.disk.unlock_dir(dir);
    }

    // A kill keeps what the system holds in memory, so a test of kills need not wait
    // for the device.
    fn sync_file(&self, _file: &File) -> io::Result<()> {
        self.at("sync_file")
    }

    fn sync_dir(&self, _dir: &Dir) -> io::Result<()> {
        self.at("sync_dir")
    }

    /// A hook that says `Unsupported` stands for a file system without leases.
    fn set_modified(&self, file: &File, modified_ns: i64) -> io::Result<()> {
        self.at("set_modified")?;
        self.disk.set_modified(file, modified_ns)
    }

    fn lease(&self, file: &File) -> io::Result<Lease> {
        match self.at("lease") {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(Lease::Unavailable),
            Err(error) => Err(error),
            Ok(()) => self.disk.lease(file),
        }
    }

    fn stat(&self, dir: &Dir, name: &[u8]) -> io::Result<Stat> {
        self.at("stat")?;
        self.disk.stat(dir, &self.spelled(dir, name)?)
    }

    fn open_file(&self, dir: &Dir, name: &[u8]) -> io::Result<File> {
        self.at("open_file")?;
        self.disk.open_file(dir, &self.spelled(dir, name)?)
    }

    fn exchange(&self, dir: &Dir, one: &[u8], other: &[u8]) -> io::Result<()> {
        self.at("exchange")?;
        match self.renames {
            Renames::All => self.disk.exchange(dir, one, other),
            Renames::Replaces(_) | Renames::NoExchange | Renames::NoFlags => {
                Err(io::ErrorKind::InvalidInput.into())
            }
        }
    }

    fn replaces_in_steps(&self) -> bool {
        match self.renames {
            Renames::All => self.disk.replaces_in_steps(),
            Renames::Replaces(_) => true,
            Renames::NoExchange | Renames::NoFlags => false,
        }
    }

    fn replace(&self, dir: &Dir, target: &[u8], slot: &[u8], aside: &[u8]) -> io::Result<()> {
        let replaced = match self.renames {
            Renames::All => {
                self.at("replace")?;
                return self.disk.replace(dir, target, slot, aside);
            }
            Renames::NoExchange | Renames::NoFlags => {
                return Err(io::ErrorKind::Unsupported.into());
            }
            Renames::Replaces(replaced) => replaced,
        };
        self.at("replace")?;
        let first = self.replaced.fetch_add(1, Ordering::SeqCst) == 0;
        let replaced = if first { replaced } else { Replaced::Whole };
        let failed = || Err(io::Error::other("1177, or any other code"));
        match replaced {
            Replaced::Nothing => return failed(),
            Replaced::NothingButSucceeds => return Ok(()),
            _ => self.disk.rename((dir, target), (dir, aside))?,
        }
        if replaced == Replaced::MovedAside {
            return failed();
        }
        // Where a crash, or a user, can come between.
        self.at("replace")?;
        self.disk.rename((dir, slot), (dir, target))?;
        if replaced == Replaced::WholeButFails { failed() } else { Ok(()) }
    }

    fn rename(&self, from: NameIn<'_, Dir>, (to_dir, to): NameIn<'_, Dir>) -> io::Result<()> {
        self.at("rename")?;
        let to = &*self.spelled(to_dir, to)?;
        match self.renames {
            Renames::All | Renames::Replaces(_) | Renames::NoExchange => {
                self.disk.rename(from, (to_dir, to))
            }
            Renames::NoFlags => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn has_other_spellings(&self) -> bool {
        self.disk.has_other_spellings()
    }

    fn kept_mode(&self, mode: u32) -> u32 {
        self.disk.kept_mode(mode)
    }

    fn writer(&self, file: &Stat) -> Option<String> {
        self.disk.writer(file)
    }

    pass_on! {
        open_dir_beneath(root: &Dir, path: Option<&RelPath>, cross_mounts: bool) -> Dir;
        identity(dir: &Dir) -> (u64, u64);
        default_mode(dir: &Dir) -> Option<u32>;
        spelling(dir: &Dir, name: &[u8]) -> Vec<u8>;
        read_link(dir: &Dir, name: &[u8]) -> Vec<u8>;
        list(dir: &Dir) -> Vec<Entry>;
        open_own_file(dir: &Dir, name: &[u8]) -> File;
        create_file(dir: &Dir, name: &[u8]) -> File;
        file_stat(file: &File) -> Stat;
        read_at(file: &File, buffer: &mut [u8], offset: u64) -> usize;
        write_at(file: &File, buffer: &[u8], offset: u64) -> usize;
        reserve(file: &File, bytes: u64) -> ();
        copy_metadata(from: &File, to: &File, mode: u32, content: Carried) -> ();
        copy_flags(from: &File, to: &File) -> ();
        has_capabilities(file: &File) -> bool;
        lease_holds(file: &File) -> bool;
        set_mode(file: &File, mode: u32) -> ();
        rename_replacing(from: NameIn<'_, Dir>, to: NameIn<'_, Dir>) -> ();
        link(from: NameIn<'_, Dir>, to: NameIn<'_, Dir>) -> ();
        remove_file(dir: &Dir, name: &[u8]) -> ();
        create_symlink(dir: &Dir, name: &[u8], target: &[u8], like: LinkLike) -> ();
        set_dir_mode(dir: &Dir, name: &[u8], mode: u32) -> ();
        create_dir(dir: &Dir, name: &[u8]) -> ();
        remove_dir(dir: &Dir, name: &[u8]) -> ();
    }
}
