//! A disk that records what is written to it, and what a power cut could have left of that.
//!
//! It is one file of a FUSE file system, below a loop device. The loop device passes each flush of the
//! file system above on as an fsync: what was written before the last flush is on the disk after a power
//! cut, and of what was written since, each block may be or not. dm-log-writes of Linux records the
//! same, and is not in every kernel.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyWrite, Request, WriteFlags,
};

/// What a disk writes whole or not at all, in bytes.
const BLOCK: usize = 4096;

/// The file's number.
const DISK: u64 = 2;

/// Its name.
const NAME: &str = "disk";

/// Nothing of what the kernel asks for changes but the content.
const TTL: Duration = Duration::from_secs(3600);

/// What the file system above has asked for.
enum Event {
    Write { at: usize, bytes: Vec<u8> },
    Flush,
}

struct State {
    content: Vec<u8>,
    log: Vec<Event>,
    records: bool,
}

/// The disk.
pub(super) struct RecordedDisk {
    state: Arc<Mutex<State>>,
    /// Unmounts when it is dropped.
    _session: BackgroundSession,
    /// To mount with `-o loop`.
    pub file: PathBuf,
}

/// What was recorded.
pub(super) struct Recording {
    before: Vec<u8>,
    log: Vec<Event>,
}

/// What becomes of the blocks that were written since the last flush.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unflushed {
    /// None is on the disk.
    Lost,
    /// All are.
    Kept,
    /// Some are, chosen by this number.
    Some(u64),
}

impl RecordedDisk {
    /// Shows a disk with this content as a file below `folder`.
    pub(super) fn mount(content: Vec<u8>, folder: &Path) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State { content, log: Vec::new(), records: false }));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("recorded-disk".to_owned())];
        let session = fuser::spawn_mount(Files(Arc::clone(&state)), folder, &config)?;
        Ok(Self { state, _session: session, file: folder.join(NAME) })
    }

    /// Begins to record.
    pub(super) fn record(&self) -> Recording {
        let mut state = lock(&self.state);
        state.records = true;
        Recording { before: state.content.clone(), log: Vec::new() }
    }

    /// How many events were recorded so far.
    pub(super) fn recorded(&self) -> usize {
        lock(&self.state).log.len()
    }

    /// Ends the recording.
    pub(super) fn end(&self, recording: &mut Recording) {
        let mut state = lock(&self.state);
        state.records = false;
        recording.log = std::mem::take(&mut state.log);
    }
}

impl Recording {
    /// How many writes and flushes there were.
    pub(super) fn counts(&self) -> (usize, usize) {
        let flushes = self.log.iter().filter(|event| matches!(event, Event::Flush)).count();
        (self.log.len() - flushes, flushes)
    }

    /// Writes what the disk can hold when power is cut after this number of events.
    pub(super) fn write_cut(
        &self,
        point: usize,
        unflushed: Unflushed,
        to: &Path,
    ) -> io::Result<()> {
        let log = &self.log[..point];
        let flushed = log.iter().rposition(|event| matches!(event, Event::Flush)).unwrap_or(0);
        let mut content = self.before.clone();
        let mut random = match unflushed {
            Unflushed::Some(seed) => seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            Unflushed::Lost | Unflushed::Kept => 0,
        };
        for (number, event) in log.iter().enumerate() {
            let Event::Write { at, bytes } = event else { continue };
            for (nth, block) in bytes.chunks(BLOCK).enumerate() {
                let is_kept = number < flushed
                    || match unflushed {
                        Unflushed::Lost => false,
                        Unflushed::Kept => true,
                        Unflushed::Some(_) => next(&mut random) & 1 == 1,
                    };
                if is_kept {
                    let at = at + nth * BLOCK;
                    content[at..at + block.len()].copy_from_slice(block);
                }
            }
        }
        write_sparse(&content, to)
    }

    /// The points before and after each flush: what is between them differs only in what is lost.
    pub(super) fn points(&self) -> BTreeSet<usize> {
        let flushes = self.log.iter().enumerate();
        let flushes = flushes.filter(|(_, event)| matches!(event, Event::Flush));
        flushes.flat_map(|(at, _)| [at, at + 1]).chain([self.log.len()]).collect()
    }
}

/// Marsaglia's xorshift generator with 64 bits.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random >> 32
}

fn write_sparse(content: &[u8], to: &Path) -> io::Result<()> {
    let file = File::create(to)?;
    file.set_len(content.len() as u64)?;
    for (nth, block) in content.chunks(BLOCK).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, (nth * BLOCK) as u64)?;
        }
    }
    Ok(())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Files(Arc<Mutex<State>>);

impl Files {
    fn attributes(&self, inode: u64) -> FileAttr {
        let is_disk = inode == DISK;
        let size = if is_disk { lock(&self.0).content.len() as u64 } else { 0 };
        FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_disk { FileType::RegularFile } else { FileType::Directory },
            perm: if is_disk { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: BLOCK as u32,
        }
    }
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == NAME {
            true => reply.entry(&TTL, &self.attributes(DISK), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(inode.0));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let state = lock(&self.0);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(state.content.len());
        let to = from.saturating_add(size as usize).min(state.content.len());
        reply.data(&state.content[from..to]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = lock(&self.0);
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(target) = state.content.get_mut(at..at.saturating_add(data.len())) else {
            return reply.error(Errno::ENOSPC);
        };
        target.copy_from_slice(data);
        if state.records {
            state.log.push(Event::Write { at, bytes: data.to_vec() });
        }
        reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let mut state = lock(&self.0);
        if state.records {
            state.log.push(Event::Flush);
        }
        reply.ok();
    }
}
