//! The calls of [`Disk`], one by one, as Linux answers them.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::io::Errno;

use super::call::{CallKind, Fault, Renames};
use super::disk::{SimulatedDir, SimulatedDisk, SimulatedFile};
use super::effect::{Alteration, Inode, Name};
use super::image::{Body, Node};
use super::kernel::{Inner, LeaseState};
use super::log::Entry;
use crate::os::disk::{Carried, DirLock, Disk, Entry as DirEntry, Lease, LinkLike, NameIn, Stat};
use crate::rel_path::RelPath;

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

    fn identity(&self, dir: &SimulatedDir) -> io::Result<(u64, u64)> {
        let describe = |inner: &Inner| inner.image.path_of(dir.0);
        self.call(CallKind::Identity, describe, |inner, _| Ok(inner.stat(dir.0).identity()))
    }

    fn replaces_in_steps(&self) -> bool {
        self.lock().is_windows()
    }

    fn kept_mode(&self, mode: u32) -> u32 {
        self.lock().kept_mode(mode)
    }

    fn stat(&self, dir: &SimulatedDir, name: &[u8]) -> io::Result<Stat> {
        let describe = |inner: &Inner| inner.describe(dir.0, name);
        self.call(CallKind::Stat, describe, |inner, _| Ok(inner.stat(inner.find(dir.0, name)?)))
    }

    fn create_symlink(
        &self,
        dir: &SimulatedDir,
        name: &[u8],
        target: &[u8],
        like: LinkLike,
    ) -> io::Result<()> {
        let describe = |inner: &Inner| {
            format!("{} to {}", inner.describe(dir.0, name), String::from_utf8_lossy(target))
        };
        self.call(CallKind::CreateSymlink, describe, |inner, _| {
            if inner.is_windows() {
                return Err(Errno::OPNOTSUPP);
            }
            // All of it is in the inode, which comes to the disk with the directory's entry.
            let inode = inner.make(dir.0, name, |device| {
                let mut node = Node::new(Body::Symlink(target.to_vec()), 0o777, device);
                node.owner = like.owner.unwrap_or(node.owner);
                node.modified_ns = like.modified_ns.unwrap_or(0);
                node
            })?;
            inner.fresh.insert(inode);
            Ok(())
        })
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
            inner.check_readable(inode)?;
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
            let mode = inner.kept_mode(0o600);
            let inode = inner.make(dir.0, name, |device| Node::file(mode, device))?;
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
                inner.altered(file.inode, Alteration::Size(bytes));
            }
            Ok(())
        })
    }

    fn copy_metadata(
        &self,
        from: &SimulatedFile,
        to: &SimulatedFile,
        mode: u32,
        _content: Carried,
    ) -> io::Result<()> {
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
            let mode = inner.kept_mode(mode);
            if old.owner != new.owner {
                inner.altered(inode, Alteration::Owner(old.owner));
            }
            for name in new.attributes.keys().filter(|name| !old.attributes.contains_key(*name)) {
                inner.altered(inode, Alteration::Attribute { name: name.clone(), value: None });
            }
            for (name, value) in old.attributes.iter() {
                if new.attributes.get(name) != Some(value) {
                    let (name, value) = (name.clone(), Some(value.clone()));
                    inner.altered(inode, Alteration::Attribute { name, value });
                }
            }
            inner.altered(inode, Alteration::Mode(mode));
            Ok(())
        })
    }

    fn set_mode(&self, file: &SimulatedFile, mode: u32) -> io::Result<()> {
        let describe = |inner: &Inner| format!("{} to {mode:o}", inner.image.path_of(file.inode));
        self.call(CallKind::SetMode, describe, |inner, _| {
            if !inner.fresh.contains(&file.inode) {
                inner.pass();
            }
            let mode = inner.kept_mode(mode);
            inner.altered(file.inode, Alteration::Mode(mode));
            Ok(())
        })
    }

    fn new_stamp(&self) -> i64 {
        self.lock().new_stamp()
    }

    fn set_modified(&self, file: &SimulatedFile, modified_ns: i64) -> io::Result<()> {
        let describe = |inner: &Inner| inner.image.path_of(file.inode);
        self.call(CallKind::SetModified, describe, |inner, _| {
            if !inner.fresh.contains(&file.inode) {
                inner.pass();
            }
            inner.altered(file.inode, Alteration::Modified(modified_ns));
            Ok(())
        })
    }

    fn lease(&self, file: &SimulatedFile) -> io::Result<Lease> {
        let describe = |inner: &Inner| inner.image.path_of(file.inode);
        self.call(CallKind::Lease, describe, |inner, _| {
            if !inner.has_leases || inner.regular(file.inode).is_err() {
                return Ok(Lease::Unavailable);
            }
            if inner.writers.contains(&file.inode) || inner.is_shut(file.inode) {
                return Ok(Lease::Busy);
            }
            let (handle, inode) = (file.handle, file.inode);
            inner.leases.push(LeaseState { handle, inode, broken: false });
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

    fn lock_dir(&self, dir: &SimulatedDir) -> DirLock {
        let mut inner = self.lock();
        if inner.locked_by_other.contains(&dir.0) || !inner.locked.insert(dir.0) {
            return DirLock::Busy;
        }
        DirLock::Held
    }

    fn unlock_dir(&self, dir: &SimulatedDir) {
        self.lock().locked.remove(&dir.0);
    }

    fn dir_lock_wait(&self) -> Duration {
        Duration::ZERO
    }

    fn sync_file(&self, file: &SimulatedFile) -> io::Result<()> {
        let describe = |inner: &Inner| inner.image.path_of(file.inode);
        let sync = |inner: &mut Inner, fault| {
            if !file.writable && inner.is_read_only(file.inode) {
                return inner.sync_attributes(file.inode, fault);
            }
            if !file.writable {
                inner.check_writable(file.inode)?;
            }
            inner.sync(file.inode, fault)
        };
        self.call(CallKind::SyncFile, describe, sync).inspect_err(|_| self.sync_failed(file.inode))
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

    fn replace(
        &self,
        dir: &SimulatedDir,
        target: &[u8],
        slot: &[u8],
        aside: &[u8],
    ) -> io::Result<()> {
        self.replace_in_steps(dir.0, target, slot, aside)
    }

    fn rename(
        &self,
        from: NameIn<'_, SimulatedDir>,
        to: NameIn<'_, SimulatedDir>,
    ) -> io::Result<()> {
        self.move_name(from, to, CallKind::Rename)
    }

    fn rename_replacing(
        &self,
        from: NameIn<'_, SimulatedDir>,
        to: NameIn<'_, SimulatedDir>,
    ) -> io::Result<()> {
        self.move_name(from, to, CallKind::RenameReplacing)
    }

    fn link(
        &self,
        (from_dir, from): NameIn<'_, SimulatedDir>,
        (to_dir, to): NameIn<'_, SimulatedDir>,
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
            inner.check_movable(inode)?;
            inner.assign(vec![(dir.0, name, None)]);
            Ok(())
        })
    }

    fn create_dir(&self, dir: &SimulatedDir, name: &[u8]) -> io::Result<()> {
        let describe = |inner: &Inner| inner.describe(dir.0, name);
        self.call(CallKind::CreateDir, describe, |inner, _| {
            inner.make(dir.0, name, Node::directory).map(drop)
        })
    }

    fn set_dir_mode(&self, dir: &SimulatedDir, name: &[u8], mode: u32) -> io::Result<()> {
        let describe = |inner: &Inner| format!("{} to {mode:o}", inner.describe(dir.0, name));
        self.call(CallKind::SetDirMode, describe, |inner, _| {
            let inode = inner.find(dir.0, name)?;
            inner.image.names(inode).ok_or(Errno::NOTDIR)?;
            inner.altered(inode, Alteration::Mode(mode));
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
    fn move_name(
        &self,
        (from_dir, from): NameIn<'_, SimulatedDir>,
        (to_dir, to): NameIn<'_, SimulatedDir>,
        kind: CallKind,
    ) -> io::Result<()> {
        let describe = |inner: &Inner| {
            format!("{} -> {}", inner.describe(from_dir.0, from), inner.describe(to_dir.0, to))
        };
        self.call(kind, describe, |inner, _| {
            inner.rename((from_dir.0, from), (to_dir.0, to), kind == CallKind::RenameReplacing)
        })
    }

    fn sync_failed(&self, inode: Inode) {
        let mut inner = self.lock();
        // A dead process's sync did not fail, it was never made.
        if !inner.died {
            inner.log.entries.push(Entry::SyncFailed(inode));
        }
    }
}
