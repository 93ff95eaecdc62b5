//! The simulated disk answers as Linux does: the same calls, the same values and errnos.
#![allow(clippy::disallowed_methods, reason = "the test builds the tree that it compares")]
#![cfg(target_os = "linux")]

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use atomic_fs::simulated::{Image, SimulatedDir, SimulatedDisk, SimulatedFile};
use atomic_fs::{Carried, Disk, FileKind, Lease, PosixDisk, RelPath};
use proptest::prelude::*;

/// A call with small numbers for its arguments: directories and files that are open, and
/// names.
#[derive(Clone, Copy, Debug)]
enum Call {
    OpenDir(usize),
    Stat(usize, usize),
    ReadLink(usize, usize),
    List(usize),
    OpenFile(usize, usize),
    OpenOwnFile(usize, usize),
    CreateFile(usize, usize),
    FileStat(usize),
    ReadAt(usize, u64),
    WriteAt(usize, u64, usize),
    Reserve(usize, u64),
    CopyMetadata(usize, usize),
    SetMode(usize, u32),
    Lease(usize),
    LeaseHolds(usize),
    SyncFile(usize),
    SyncDir(usize),
    Exchange(usize, usize, usize),
    Rename(usize, usize, usize, usize),
    RenameReplacing(usize, usize, usize, usize),
    Link(usize, usize, usize, usize),
    RemoveFile(usize, usize),
    CreateDir(usize, usize),
    RemoveDir(usize, usize),
}

const NAMES: [&[u8]; 6] = [b"a", b"b", b"c", b"d", b"link", b"absent"];
const PATHS: [&str; 6] = ["d", "d/c", "link", "a", "absent/x", "d/d"];

fn call() -> impl Strategy<Value = Call> {
    let dir = || 0..4_usize;
    let name = || 0..NAMES.len();
    let file = || 0..4_usize;
    prop_oneof![
        (0..PATHS.len()).prop_map(Call::OpenDir),
        (dir(), name()).prop_map(|(d, n)| Call::Stat(d, n)),
        (dir(), name()).prop_map(|(d, n)| Call::ReadLink(d, n)),
        dir().prop_map(Call::List),
        (dir(), name()).prop_map(|(d, n)| Call::OpenFile(d, n)),
        (dir(), name()).prop_map(|(d, n)| Call::OpenOwnFile(d, n)),
        (dir(), name()).prop_map(|(d, n)| Call::CreateFile(d, n)),
        file().prop_map(Call::FileStat),
        (file(), 0..20_u64).prop_map(|(f, o)| Call::ReadAt(f, o)),
        (file(), 0..20_u64, 0..9000_usize).prop_map(|(f, o, l)| Call::WriteAt(f, o, l)),
        (file(), 0..40_u64).prop_map(|(f, b)| Call::Reserve(f, b)),
        (file(), file()).prop_map(|(f, t)| Call::CopyMetadata(f, t)),
        (file(), 0..0o2000_u32).prop_map(|(f, m)| Call::SetMode(f, m)),
        file().prop_map(Call::Lease),
        file().prop_map(Call::LeaseHolds),
        file().prop_map(Call::SyncFile),
        dir().prop_map(Call::SyncDir),
        (dir(), name(), name()).prop_map(|(d, a, b)| Call::Exchange(d, a, b)),
        (dir(), name(), dir(), name()).prop_map(|(d, a, e, b)| Call::Rename(d, a, e, b)),
        (dir(), name(), dir(), name()).prop_map(|(d, a, e, b)| Call::RenameReplacing(d, a, e, b)),
        (dir(), name(), dir(), name()).prop_map(|(d, a, e, b)| Call::Link(d, a, e, b)),
        (dir(), name()).prop_map(|(d, n)| Call::RemoveFile(d, n)),
        (dir(), name()).prop_map(|(d, n)| Call::CreateDir(d, n)),
        (dir(), name()).prop_map(|(d, n)| Call::RemoveDir(d, n)),
    ]
}

/// A disk with what is open on it.
struct Machine<D: Disk> {
    disk: D,
    dirs: Vec<D::Dir>,
    files: Vec<D::File>,
    /// Leases on Linux are asked for by files that are open for reading alone, and are
    /// refused for as long as another handle of the same file can write.
    readers: Vec<bool>,
    /// Whether a lease was asked for: Linux would make us wait for ourselves.
    leased: bool,
}

/// The result of a call, without what two disks cannot have in common.
fn seen<T>(result: io::Result<T>, show: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => show(value),
        Err(error) => format!("errno {:?}", error.raw_os_error()),
    }
}

fn show_stat(stat: atomic_fs::Stat) -> String {
    match stat.kind {
        FileKind::Regular => {
            format!("file mode {:o} bytes {} links {}", stat.mode, stat.bytes, stat.links)
        }
        kind => format!("{kind:?}"),
    }
}

impl<D: Disk> Machine<D> {
    fn make(&mut self, call: Call) -> Option<String> {
        let dir = |index: usize| &self.dirs[index % self.dirs.len()];
        let file = |index: usize| self.files.get(index % self.files.len().max(1));
        let name = |index: usize| NAMES[index];
        let disk = &self.disk;
        let mut opened = None;
        let traced = match call {
            Call::OpenDir(path) => {
                let path = RelPath::parse(PATHS[path].as_bytes()).expect("a path of the test");
                let result = disk.open_dir_beneath(&self.dirs[0], Some(&path), false);
                let traced = seen(result.as_ref().map_err(copy), |_| "dir".to_owned());
                self.dirs.extend(result);
                return Some(traced);
            }
            Call::Stat(d, n) => seen(disk.stat(dir(d), name(n)), show_stat),
            Call::ReadLink(d, n) => seen(disk.read_link(dir(d), name(n)), |t| format!("{t:?}")),
            Call::List(d) => seen(disk.list(dir(d)), |mut entries| {
                entries.sort_by(|one, other| one.name.cmp(&other.name));
                format!("{entries:?}")
            }),
            Call::OpenFile(d, n) => {
                let result = disk.open_file(dir(d), name(n));
                seen(result.map(|file| opened = Some((file, true))), |()| "open".to_owned())
            }
            Call::OpenOwnFile(..) if self.leased => return None,
            Call::OpenOwnFile(d, n) => {
                let result = disk.open_own_file(dir(d), name(n));
                seen(result.map(|file| opened = Some((file, false))), |()| "open".to_owned())
            }
            Call::CreateFile(d, n) => {
                let result = disk.create_file(dir(d), name(n));
                seen(result.map(|file| opened = Some((file, false))), |()| "open".to_owned())
            }
            Call::FileStat(f) => seen(disk.file_stat(file(f)?), show_stat),
            Call::ReadAt(f, offset) => {
                let mut buffer = [0; 64];
                let result = disk.read_at(file(f)?, &mut buffer, offset);
                seen(result, |count| format!("{:?}", &buffer[..count]))
            }
            Call::WriteAt(f, offset, length) => {
                let content: Vec<u8> = (0..length).map(|at| b'a' + (at % 23) as u8).collect();
                seen(disk.write_at(file(f)?, &content, offset), |count| count.to_string())
            }
            Call::Reserve(f, bytes) => {
                seen(disk.reserve(file(f)?, bytes), |()| "reserved".to_owned())
            }
            Call::CopyMetadata(f, t) => {
                let result = disk.copy_metadata(file(f)?, file(t)?, 0o640, Carried::New);
                seen(result, |()| "copied".to_owned())
            }
            Call::SetMode(f, mode) => seen(disk.set_mode(file(f)?, mode), |()| "set".to_owned()),
            Call::Lease(f) => {
                // The simulated disk knows users' writers, not its own handles'.
                if !self.readers.iter().all(|reads| *reads) {
                    return None;
                }
                self.leased = true;
                let held = self.disk.lease(self.files.get(f % self.files.len().max(1))?);
                seen(held, |lease| format!("{}", lease == Lease::Held))
            }
            Call::LeaseHolds(f) => seen(disk.lease_holds(file(f)?), |holds| holds.to_string()),
            Call::SyncFile(f) => seen(disk.sync_file(file(f)?), |()| "synced".to_owned()),
            Call::SyncDir(d) => seen(disk.sync_dir(dir(d)), |()| "synced".to_owned()),
            Call::Exchange(d, one, other) => {
                let result = disk.exchange(dir(d), name(one), name(other));
                seen(result, |()| "exchanged".to_owned())
            }
            Call::Rename(d, from, e, to) => {
                let result = disk.rename((dir(d), name(from)), (dir(e), name(to)));
                seen(result, |()| "renamed".to_owned())
            }
            Call::RenameReplacing(d, from, e, to) => {
                let result = disk.rename_replacing((dir(d), name(from)), (dir(e), name(to)));
                seen(result, |()| "renamed".to_owned())
            }
            Call::Link(d, from, e, to) => {
                let result = disk.link((dir(d), name(from)), (dir(e), name(to)));
                seen(result, |()| "linked".to_owned())
            }
            Call::RemoveFile(d, n) => {
                seen(disk.remove_file(dir(d), name(n)), |()| "removed".to_owned())
            }
            Call::CreateDir(d, n) => seen(disk.create_dir(dir(d), name(n)), |()| "made".to_owned()),
            Call::RemoveDir(d, n) => {
                seen(disk.remove_dir(dir(d), name(n)), |()| "removed".to_owned())
            }
        };
        if let Some((file, reads)) = opened {
            self.files.push(file);
            self.readers.push(reads);
        }
        Some(traced)
    }
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

fn real(folder: &Path) -> Machine<PosixDisk> {
    std::fs::write(folder.join("a"), "content of a").expect("writable");
    std::fs::create_dir_all(folder.join("d/d")).expect("writable");
    std::fs::write(folder.join("d/c"), "content of c").expect("writable");
    std::os::unix::fs::symlink("d", folder.join("link")).expect("writable");
    for file in ["a", "d/c"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(folder.join(file), mode).expect("ours");
    }
    let dirs: Vec<OwnedFd> = vec![PosixDisk.open_dir(folder).expect("it is there")];
    Machine { disk: PosixDisk, dirs, files: Vec::new(), readers: Vec::new(), leased: false }
}

fn simulated() -> Machine<SimulatedDisk> {
    let mut image = Image::default();
    let root = image.add_dir(0, b"root", 1);
    image.add_file(root, b"a", b"content of a", 0o644);
    let dir = image.add_dir(root, b"d", 1);
    image.add_dir(dir, b"d", 1);
    image.add_file(dir, b"c", b"content of c", 0o644);
    image.add_symlink(root, b"link", b"d");
    let files: Vec<SimulatedFile> = Vec::new();
    let dirs = vec![SimulatedDir(root)];
    Machine { disk: SimulatedDisk::new(image), dirs, files, readers: Vec::new(), leased: false }
}

/// A folder in memory, as the simulated disk is.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("writable")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_calls_have_the_same_answers(calls in proptest::collection::vec(call(), 1..60)) {
        let folder = folder();
        let (mut real, mut simulated) = (real(folder.path()), simulated());
        for (number, call) in calls.into_iter().enumerate() {
            prop_assert_eq!(real.make(call), simulated.make(call), "call {}: {:?}", number, call);
        }
    }
}
