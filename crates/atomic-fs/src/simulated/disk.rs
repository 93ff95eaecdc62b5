//! [`Disk`] on an [`Image`], with somebody standing at every call.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::image::{Body, Image, Inode, Name, Node};
use super::log::{Answer, Assignment, CHUNK_BYTES, Effect, Entry, Log};
use super::user::World;
use crate::disk::{Disk, Entry as DirEntry, FileKind, Lease, Stat};
use crate::rel_path::RelPath;

/// Which call of [`Disk`] it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is named after its call")]
pub enum CallKind {
    OpenDir,
    Device,
    Stat,
    ReadLink,
    List,
    OpenFile,
    OpenOwnFile,
    CreateFile,
    FileStat,
    ReadAt,
    WriteAt,
    Reserve,
    CopyMetadata,
    SetMode,
    Lease,
    LeaseHolds,
    SyncFile,
    SyncDir,
    Exchange,
    Rename,
    RenameReplacing,
    Link,
    RemoveFile,
    CreateDir,
    RemoveDir,
}

impl CallKind {
    /// Whether it can change anything; a sync does not.
    pub fn is_mutating(self) -> bool {
        use CallKind::*;
        self.moves_names()
            || matches!(self, CreateFile | WriteAt | Reserve | CopyMetadata | SetMode)
    }

    /// Whether it is a sync.
    pub fn is_sync(self) -> bool {
        matches!(self, Self::SyncFile | Self::SyncDir)
    }

    /// Whether it changes what names stand for.
    pub fn moves_names(self) -> bool {
        use CallKind::*;
        matches!(
            self,
            Exchange | Rename | RenameReplacing | Link | RemoveFile | CreateDir | RemoveDir
        )
    }
}

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It fails with this errno, and nothing happens.
    Fails(i32),
    /// It happens, and is answered with this errno all the same.
    FailsAfterwards(i32),
    /// A write or read moves half of what it was asked for, one byte at least.
    Short,
    /// A sync fails with this errno, and what it should have made durable is gone from
    /// memory as well (Rebello et al., ATC 2020, found file systems of both kinds).
    SyncDrops(i32),
    /// The process dies before the call: nothing happens any more.
    Dies,
}

/// Somebody who stands at every call and may interfere.
pub trait Bystander: Send {
    /// Called before each call with its number, counted from 0.
    fn at_call(&mut self, number: usize, kind: CallKind, world: &mut World<'_>) -> Option<Fault>;
}

/// Which kinds of rename a file system knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Renames {
    /// All: exchange, and rename without replacing.
    #[default]
    All,
    /// No exchange, as exFAT.
    NoExchange,
    /// None but the plain one, as NFS and 9p.
    Plain,
}

impl Renames {
    /// Every kind of file system.
    pub const ALL: [Self; 3] = [Self::All, Self::NoExchange, Self::Plain];

    /// Its name on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::NoExchange => "no-exchange",
            Self::Plain => "plain",
        }
    }
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub kind: CallKind,
    /// Its arguments in words; empty unless the disk is asked to describe its calls.
    pub text: String,
    /// The errno it failed with.
    pub errno: Option<i32>,
    /// How many entries the log had when it was made.
    pub entries_before: usize,
}

/// A disk in memory; see the module. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    shared: Shared,
}

pub(super) type Shared = Arc<Mutex<Inner>>;

/// An open directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedDir(pub Inode);

/// An open file; dropping it gives up its lease.
pub struct SimulatedFile {
    shared: Shared,
    inode: Inode,
    handle: u64,
    writable: bool,
    leased: AtomicBool,
}

pub(super) struct Inner {
    pub image: Image,
    pub log: Log,
    pub steps: Vec<Step>,
    pub leases: Vec<HeldLease>,
    pub writers: Vec<Inode>,
    bystander: Option<Box<dyn Bystander>>,
    next_handle: u64,
    has_leases: bool,
    renames: Renames,
    describes: bool,
    died: bool,
    /// Syncs have returned since the last [`Entry::Passed`].
    unpassed: bool,
    /// Files that nothing but their creator knows yet.
    fresh: BTreeSet<Inode>,
    /// Files that were created since then and not synced.
    new_in_phase: BTreeSet<Inode>,
}

pub(super) struct HeldLease {
    pub handle: u64,
    pub inode: Inode,
    pub broken: bool,
}

impl SimulatedDisk {
    /// A disk with this on it, durably.
    pub fn new(image: Image) -> Self {
        let inner = Inner {
            log: Log::new(image.clone()),
            image,
            steps: Vec::new(),
            leases: Vec::new(),
            writers: Vec::new(),
            bystander: None,
            next_handle: 0,
            has_leases: true,
            renames: Renames::All,
            describes: false,
            died: false,
            unpassed: false,
            fresh: BTreeSet::new(),
            new_in_phase: BTreeSet::new(),
        };
        Self { shared: Arc::new(Mutex::new(inner)) }
    }

    /// Puts somebody at every call.
    #[must_use]
    pub fn watched_by(self, bystander: Box<dyn Bystander>) -> Self {
        self.lock().bystander = Some(bystander);
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

    /// Notes that somebody was told something. Everything synced before counts.
    pub fn answered(&self, answer: Answer) {
        let mut inner = self.lock();
        inner.pass();
        inner.log.entries.push(Entry::Answered(answer));
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
        let log = std::mem::replace(&mut inner.log, Log::new(Image::default()));
        (log, std::mem::take(&mut inner.steps))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call: whoever stands by goes first.
    fn call<T>(
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
        if let Some(mut bystander) = inner.bystander.take() {
            fault = bystander.at_call(number, kind, &mut World { inner: &mut inner });
            inner.bystander = Some(bystander);
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

    fn file(&self, inode: Inode, writable: bool) -> SimulatedFile {
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

impl Inner {
    fn pass(&mut self) {
        self.new_in_phase.clear();
        if std::mem::take(&mut self.unpassed) {
            self.log.entries.push(Entry::Passed);
        }
    }

    pub(super) fn change(&mut self, effect: Effect, by_user: bool, after: Option<usize>) {
        self.image.apply(&effect);
        self.log.entries.push(Entry::Changed { effect, by_user, after });
    }

    fn changed(&mut self, effect: Effect) {
        self.change(effect, false, None);
    }

    pub(super) fn assign(&mut self, assignments: Vec<(Inode, &[u8], Option<Inode>)>) {
        let effect = Effect::Names(
            assignments
                .into_iter()
                .map(|(dir, name, inode)| Assignment { dir, name: Name::from(name), inode })
                .collect(),
        );
        self.changed(effect);
    }

    pub(super) fn born(&mut self, node: Node) -> Inode {
        let node = Arc::new(node);
        self.log.born.push(node.clone());
        self.image.push(node)
    }

    pub(super) fn write(&mut self, inode: Inode, content: &[u8], offset: u64, by_user: bool) {
        let mut at = offset;
        let mut rest = content;
        while !rest.is_empty() {
            let room = CHUNK_BYTES - usize::try_from(at).expect("small") % CHUNK_BYTES;
            let (chunk, later) = rest.split_at(rest.len().min(room));
            let effect = Effect::Data { inode, offset: at, content: chunk.into() };
            self.change(effect, by_user, None);
            at += chunk.len() as u64;
            rest = later;
        }
        if at > self.size(inode) {
            self.change(Effect::Size { inode, bytes: at }, by_user, None);
        }
    }

    fn size(&self, inode: Inode) -> u64 {
        match &self.image.node(inode).body {
            Body::File { bytes, .. } => *bytes,
            _ => 0,
        }
    }

    fn find(&self, dir: Inode, name: &[u8]) -> Result<Inode, Errno> {
        self.image.child(dir, name).ok_or(Errno::NOENT)
    }

    /// Nothing can come to be in a directory that was removed.
    fn check_alive(&self, dir: Inode) -> Result<(), Errno> {
        if dir == 0 || self.image.links(dir) > 0 { Ok(()) } else { Err(Errno::NOENT) }
    }

    fn is_dir(&self, inode: Inode) -> bool {
        matches!(self.image.node(inode).body, Body::Directory(_))
    }

    fn regular(&self, inode: Inode) -> Result<(), Errno> {
        match self.image.node(inode).body {
            Body::File { .. } => Ok(()),
            Body::Directory(_) => Err(Errno::ISDIR),
            Body::Symlink(_) => Err(Errno::LOOP),
        }
    }

    fn stat(&self, inode: Inode) -> Stat {
        let node = self.image.node(inode);
        let (kind, bytes) = match &node.body {
            Body::File { bytes, .. } => (FileKind::Regular, *bytes),
            Body::Directory(_) => (FileKind::Directory, 0),
            Body::Symlink(target) => (FileKind::Symlink, target.len() as u64),
        };
        Stat {
            kind,
            mode: node.mode,
            bytes,
            uid: node.owner.0,
            gid: node.owner.1,
            device: node.device,
            inode: u64::from(inode),
            links: self.image.links(inode),
            modified_ns: 0,
            changed_ns: 0,
        }
    }

    fn describe(&self, dir: Inode, name: &[u8]) -> String {
        let path = self.image.path_of(dir);
        let name = crate::rel_path::escape(name);
        if path.is_empty() { name } else { format!("{path}/{name}") }
    }

    fn is_below(&self, dir: Inode, ancestor: Inode) -> bool {
        let mut found = false;
        self.image.walk(ancestor, &mut |_, inode, _| found |= inode == dir);
        found || dir == ancestor
    }

    fn rename(
        &mut self,
        (from_dir, from): (Inode, &[u8]),
        (to_dir, to): (Inode, &[u8]),
        replaces: bool,
    ) -> Result<(), Errno> {
        if self.image.node(from_dir).device != self.image.node(to_dir).device {
            return Err(Errno::XDEV);
        }
        let moving = self.find(from_dir, from)?;
        let there = self.image.child(to_dir, to);
        if there.is_some() && !replaces {
            return Err(Errno::EXIST);
        }
        if self.is_dir(moving) && self.is_below(to_dir, moving) {
            return Err(Errno::INVAL);
        }
        if there.is_some_and(|there| self.is_dir(there) && self.is_below(from_dir, there)) {
            return Err(Errno::NOTEMPTY);
        }
        match there {
            // Two names of one file: rename(2) does nothing, and says that it did.
            Some(there) if there == moving => return Ok(()),
            Some(there) if self.is_dir(there) && !self.is_dir(moving) => return Err(Errno::ISDIR),
            Some(there) if !self.is_dir(there) && self.is_dir(moving) => return Err(Errno::NOTDIR),
            Some(there) if self.image.names(there).is_some_and(|names| !names.is_empty()) => {
                return Err(Errno::NOTEMPTY);
            }
            _ if !replaces && self.renames == Renames::Plain => return Err(Errno::INVAL),
            _ => {}
        }
        self.check_alive(to_dir)?;
        self.fresh.remove(&moving);
        if from_dir == to_dir {
            self.assign(vec![(from_dir, from, None), (to_dir, to, Some(moving))]);
            return Ok(());
        }
        self.assign(vec![(to_dir, to, Some(moving))]);
        let coming = self.log.entries.len() - 1;
        let going = Assignment { dir: from_dir, name: Name::from(from), inode: None };
        self.change(Effect::Names(vec![going]), false, Some(coming));
        Ok(())
    }

    fn sync(&mut self, inode: Inode, fault: Option<Fault>) -> Result<(), Errno> {
        if let Some(Fault::SyncDrops(errno)) = fault {
            if !self.is_dir(inode) {
                self.drop_unsynced(inode);
            }
            return Err(Errno::from_raw_os_error(errno));
        }
        let entry = if self.is_dir(inode) { Entry::SyncedDir } else { Entry::SyncedFile };
        self.log.entries.push(entry(inode));
        self.new_in_phase.remove(&inode);
        self.unpassed = true;
        Ok(())
    }

    /// Forgets a file's unsynced content, in memory too.
    fn drop_unsynced(&mut self, inode: Inode) {
        self.log.entries.push(Entry::Dropped(inode));
        let end = self.log.entries.len();
        let dropped = self.log.dropped(end);
        let mut node = match (inode as usize).checked_sub(self.log.start.inodes()) {
            Some(born) => (*self.log.born[born]).clone(),
            None => self.log.start.node(inode).clone(),
        };
        for (entry, dropped) in self.log.entries.iter().zip(dropped) {
            if let Entry::Changed { effect, .. } = entry
                && effect.inode() == Some(inode)
                && !dropped
            {
                node.apply(effect);
            }
        }
        self.image.replace(inode, Arc::new(node));
    }
}

impl Disk for SimulatedDisk {
    type Dir = SimulatedDir;
    type File = SimulatedFile;

    fn calls_in_flight(&self) -> usize {
        1
    }

    fn open_dir_beneath(
        &self,
        root: &SimulatedDir,
        path: Option<&RelPath>,
        cross_mounts: bool,
    ) -> io::Result<SimulatedDir> {
        let describe = |inner: &Inner| {
            let root = inner.image.path_of(root.0);
            path.map_or_else(|| root.clone(), |path| format!("{root}/{path}"))
        };
        self.call(CallKind::OpenDir, describe, |inner, _| {
            let mut dir = root.0;
            for name in path.iter().flat_map(|path| path.components()) {
                dir = inner.find(dir, name)?;
                match inner.image.node(dir).body {
                    Body::Directory(_) => {}
                    Body::Symlink(_) => return Err(Errno::LOOP),
                    Body::File { .. } => return Err(Errno::NOTDIR),
                }
                let (here, there) = (inner.image.node(root.0), inner.image.node(dir));
                if !cross_mounts && here.device != there.device {
                    return Err(Errno::XDEV);
                }
            }
            Ok(SimulatedDir(dir))
        })
    }

    fn device(&self, dir: &SimulatedDir) -> io::Result<u64> {
        let describe = |inner: &Inner| inner.image.path_of(dir.0);
        self.call(CallKind::Device, describe, |inner, _| Ok(inner.image.node(dir.0).device))
    }

    fn stat(&self, dir: &SimulatedDir, name: &[u8]) -> io::Result<Stat> {
        let describe = |inner: &Inner| inner.describe(dir.0, name);
        self.call(CallKind::Stat, describe, |inner, _| Ok(inner.stat(inner.find(dir.0, name)?)))
    }

    fn read_link(&self, dir: &SimulatedDir, name: &[u8]) -> io::Result<Vec<u8>> {
        let describe = |inner: &Inner| inner.describe(dir.0, name);
        self.call(CallKind::ReadLink, describe, |inner, _| {
            match &inner.image.node(inner.find(dir.0, name)?).body {
                Body::Symlink(target) => Ok(target.clone()),
                _ => Err(Errno::INVAL),
            }
        })
    }

    fn list(&self, dir: &SimulatedDir) -> io::Result<Vec<DirEntry>> {
        let describe = |inner: &Inner| inner.image.path_of(dir.0);
        self.call(CallKind::List, describe, |inner, _| {
            let names = inner.image.names(dir.0).ok_or(Errno::NOTDIR)?;
            let entry = |(name, inode): (&Name, &Inode)| DirEntry {
                name: name.to_vec(),
                kind: Some(inner.stat(*inode).kind),
            };
            Ok(names.iter().map(entry).collect())
        })
    }

    fn open_file(&self, dir: &SimulatedDir, name: &[u8]) -> io::Result<SimulatedFile> {
        let describe = |inner: &Inner| inner.describe(dir.0, name);
        let inode = self.call(CallKind::OpenFile, describe, |inner, _| {
            let inode = inner.find(dir.0, name)?;
            match inner.image.node(inode).body {
                Body::Symlink(_) => Err(Errno::LOOP),
                _ => Ok(inode),
            }
        })?;
        Ok(self.file(inode, false))
    }

    fn open_own_file(&self, dir: &SimulatedDir, name: &[u8]) -> io::Result<SimulatedFile> {
        let describe = |inner: &Inner| inner.describe(dir.0, name);
        let inode = self.call(CallKind::OpenOwnFile, describe, |inner, _| {
            let inode = inner.find(dir.0, name)?;
            inner.regular(inode)?;
            Ok(inode)
        })?;
        Ok(self.file(inode, true))
    }

    fn create_file(&self, dir: &SimulatedDir, name: &[u8]) -> io::Result<SimulatedFile> {
        let describe = |inner: &Inner| inner.describe(dir.0, name);
        let inode = self.call(CallKind::CreateFile, describe, |inner, _| {
            if inner.image.child(dir.0, name).is_some() {
                return Err(Errno::EXIST);
            }
            inner.check_alive(dir.0)?;
            let device = inner.image.node(dir.0).device;
            let inode = inner.born(Node::file(0o600, device));
            inner.assign(vec![(dir.0, name, Some(inode))]);
            inner.fresh.insert(inode);
            inner.new_in_phase.insert(inode);
            Ok(inode)
        })?;
        Ok(self.file(inode, true))
    }

    fn file_stat(&self, file: &SimulatedFile) -> io::Result<Stat> {
        let describe = |inner: &Inner| inner.image.path_of(file.inode);
        self.call(CallKind::FileStat, describe, |inner, _| Ok(inner.stat(file.inode)))
    }

    fn read_at(&self, file: &SimulatedFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let describe = |inner: &Inner| format!("{} at {offset}", inner.image.path_of(file.inode));
        self.call(CallKind::ReadAt, describe, |inner, fault| {
            inner.regular(file.inode)?;
            let content = inner.image.node(file.inode).content().unwrap_or_default();
            let from = content.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
            let mut count = buffer.len().min(content.len() - from);
            if fault == Some(Fault::Short) {
                count = count.div_ceil(2);
            }
            buffer[..count].copy_from_slice(&content[from..from + count]);
            Ok(count)
        })
    }

    fn write_at(&self, file: &SimulatedFile, buffer: &[u8], offset: u64) -> io::Result<usize> {
        let describe = |inner: &Inner| {
            format!("{} bytes to {} at {offset}", buffer.len(), inner.image.path_of(file.inode))
        };
        self.call(CallKind::WriteAt, describe, |inner, fault| {
            if !file.writable {
                return Err(Errno::BADF);
            }
            // Only a slot is written while other calls are in flight, and only for as long as
            // nobody has synced it.
            if !inner.new_in_phase.contains(&file.inode) {
                inner.pass();
            }
            let short = fault == Some(Fault::Short);
            let count = if short { buffer.len().div_ceil(2) } else { buffer.len() };
            inner.write(file.inode, &buffer[..count], offset, false);
            Ok(count)
        })
    }

    fn reserve(&self, file: &SimulatedFile, bytes: u64) -> io::Result<()> {
        let describe =
            |inner: &Inner| format!("{bytes} bytes for {}", inner.image.path_of(file.inode));
        self.call(CallKind::Reserve, describe, |inner, _| {
            if bytes == 0 {
                return Ok(());
            }
            if !file.writable {
                return Err(Errno::BADF);
            }
            if bytes > inner.size(file.inode) {
                inner.changed(Effect::Size { inode: file.inode, bytes });
            }
            Ok(())
        })
    }

    fn copy_metadata(&self, from: &SimulatedFile, to: &SimulatedFile, mode: u32) -> io::Result<()> {
        let describe = |inner: &Inner| {
            let (from, to) = (inner.image.path_of(from.inode), inner.image.path_of(to.inode));
            format!("{from} -> {to}, mode {mode:o}")
        };
        self.call(CallKind::CopyMetadata, describe, |inner, _| {
            let inode = to.inode;
            if !inner.fresh.contains(&inode) {
                inner.pass();
            }
            let (old, new) =
                (inner.image.node(from.inode).clone(), inner.image.node(inode).clone());
            if old.owner != new.owner {
                inner.changed(Effect::Owner { inode, owner: old.owner });
            }
            for (name, value) in old.attributes.iter() {
                if new.attributes.get(name) != Some(value) {
                    let (name, value) = (name.clone(), Some(value.clone()));
                    inner.changed(Effect::Attribute { inode, name, value });
                }
            }
            inner.changed(Effect::Mode { inode, mode });
            Ok(())
        })
    }

    fn set_mode(&self, file: &SimulatedFile, mode: u32) -> io::Result<()> {
        let describe = |inner: &Inner| format!("{} to {mode:o}", inner.image.path_of(file.inode));
        self.call(CallKind::SetMode, describe, |inner, _| {
            if !inner.fresh.contains(&file.inode) {
                inner.pass();
            }
            inner.changed(Effect::Mode { inode: file.inode, mode });
            Ok(())
        })
    }

    fn lease(&self, file: &SimulatedFile) -> io::Result<Lease> {
        let describe = |inner: &Inner| inner.image.path_of(file.inode);
        self.call(CallKind::Lease, describe, |inner, _| {
            if !inner.has_leases || inner.regular(file.inode).is_err() {
                return Ok(Lease::Unavailable);
            }
            if inner.writers.contains(&file.inode) {
                return Ok(Lease::Busy);
            }
            let (handle, inode) = (file.handle, file.inode);
            inner.leases.push(HeldLease { handle, inode, broken: false });
            file.leased.store(true, Ordering::Relaxed);
            Ok(Lease::Held)
        })
    }

    fn lease_holds(&self, file: &SimulatedFile) -> io::Result<bool> {
        let describe = |inner: &Inner| inner.image.path_of(file.inode);
        self.call(CallKind::LeaseHolds, describe, |inner, _| {
            Ok(inner.leases.iter().any(|lease| lease.handle == file.handle && !lease.broken))
        })
    }

    fn writer(&self, _file: &Stat) -> Option<String> {
        None
    }

    fn sync_file(&self, file: &SimulatedFile) -> io::Result<()> {
        let describe = |inner: &Inner| inner.image.path_of(file.inode);
        self.call(CallKind::SyncFile, describe, |inner, fault| inner.sync(file.inode, fault))
            .inspect_err(|_| self.sync_failed(file.inode))
    }

    fn sync_dir(&self, dir: &SimulatedDir) -> io::Result<()> {
        let describe = |inner: &Inner| inner.image.path_of(dir.0);
        self.call(CallKind::SyncDir, describe, |inner, fault| inner.sync(dir.0, fault))
            .inspect_err(|_| self.sync_failed(dir.0))
    }

    fn exchange(&self, dir: &SimulatedDir, one: &[u8], other: &[u8]) -> io::Result<()> {
        let describe = |inner: &Inner| {
            format!("{} <-> {}", inner.describe(dir.0, one), inner.describe(dir.0, other))
        };
        self.call(CallKind::Exchange, describe, |inner, _| {
            let (first, second) = (inner.find(dir.0, one)?, inner.find(dir.0, other)?);
            if inner.renames != Renames::All {
                return Err(Errno::INVAL);
            }
            if first != second {
                inner.fresh.remove(&first);
                inner.fresh.remove(&second);
                inner.assign(vec![(dir.0, one, Some(second)), (dir.0, other, Some(first))]);
            }
            Ok(())
        })
    }

    fn rename(
        &self,
        from_dir: &SimulatedDir,
        from: &[u8],
        to_dir: &SimulatedDir,
        to: &[u8],
    ) -> io::Result<()> {
        let describe = |inner: &Inner| {
            format!("{} -> {}", inner.describe(from_dir.0, from), inner.describe(to_dir.0, to))
        };
        self.call(CallKind::Rename, describe, |inner, _| {
            inner.rename((from_dir.0, from), (to_dir.0, to), false)
        })
    }

    fn rename_replacing(
        &self,
        from_dir: &SimulatedDir,
        from: &[u8],
        to_dir: &SimulatedDir,
        to: &[u8],
    ) -> io::Result<()> {
        let describe = |inner: &Inner| {
            format!("{} -> {}", inner.describe(from_dir.0, from), inner.describe(to_dir.0, to))
        };
        self.call(CallKind::RenameReplacing, describe, |inner, _| {
            inner.rename((from_dir.0, from), (to_dir.0, to), true)
        })
    }

    fn link(
        &self,
        from_dir: &SimulatedDir,
        from: &[u8],
        to_dir: &SimulatedDir,
        to: &[u8],
    ) -> io::Result<()> {
        let describe = |inner: &Inner| {
            format!("{} = {}", inner.describe(to_dir.0, to), inner.describe(from_dir.0, from))
        };
        self.call(CallKind::Link, describe, |inner, _| {
            let inode = inner.find(from_dir.0, from)?;
            if inner.image.child(to_dir.0, to).is_some() {
                return Err(Errno::EXIST);
            }
            if inner.image.node(from_dir.0).device != inner.image.node(to_dir.0).device {
                return Err(Errno::XDEV);
            }
            inner.check_alive(to_dir.0)?;
            if inner.is_dir(inode) {
                return Err(Errno::PERM);
            }
            inner.fresh.remove(&inode);
            inner.assign(vec![(to_dir.0, to, Some(inode))]);
            Ok(())
        })
    }

    fn remove_file(&self, dir: &SimulatedDir, name: &[u8]) -> io::Result<()> {
        let describe = |inner: &Inner| inner.describe(dir.0, name);
        self.call(CallKind::RemoveFile, describe, |inner, _| {
            let inode = inner.find(dir.0, name)?;
            if inner.is_dir(inode) {
                return Err(Errno::ISDIR);
            }
            inner.assign(vec![(dir.0, name, None)]);
            Ok(())
        })
    }

    fn create_dir(&self, dir: &SimulatedDir, name: &[u8]) -> io::Result<()> {
        let describe = |inner: &Inner| inner.describe(dir.0, name);
        self.call(CallKind::CreateDir, describe, |inner, _| {
            if inner.image.child(dir.0, name).is_some() {
                return Err(Errno::EXIST);
            }
            inner.check_alive(dir.0)?;
            let device = inner.image.node(dir.0).device;
            let inode = inner.born(Node::directory(device));
            inner.assign(vec![(dir.0, name, Some(inode))]);
            Ok(())
        })
    }

    fn remove_dir(&self, dir: &SimulatedDir, name: &[u8]) -> io::Result<()> {
        let describe = |inner: &Inner| inner.describe(dir.0, name);
        self.call(CallKind::RemoveDir, describe, |inner, _| {
            let inode = inner.find(dir.0, name)?;
            match inner.image.names(inode) {
                None => Err(Errno::NOTDIR),
                Some(names) if !names.is_empty() => Err(Errno::NOTEMPTY),
                Some(_) => {
                    inner.assign(vec![(dir.0, name, None)]);
                    Ok(())
                }
            }
        })
    }
}

impl SimulatedDisk {
    fn sync_failed(&self, inode: Inode) {
        let mut inner = self.lock();
        // A dead process's sync did not fail, it was never made.
        if !inner.died {
            inner.log.entries.push(Entry::SyncFailed(inode));
        }
    }
}
