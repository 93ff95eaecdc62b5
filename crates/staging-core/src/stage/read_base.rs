//! Storing content: bases from the disk, staged bytes from agents.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use atomic_fs::{Digest, Fingerprint, FsError, Refusal, RelPath, Stat};

use crate::base::Base;
use crate::contents::blobs::{Put, StreamError, Temporary};
use crate::error::{Result, StagingError};
use crate::layer::{DiffStagingLayer, Inner};
use crate::stage::read_step::ReadStep;
use crate::store::contents::{Entry, Unreferenced};
use crate::store::{contents, meta};
use crate::time::now_ns;

/// How often a file that changes while it is read is read again.
const READS_MAX: u32 = 8;

/// What a file on the disk is, read once.
pub(crate) struct BaseRead {
    pub(crate) base: Base,
    pub(crate) stored: Stored,
    /// Whether the file has one name only, as the file system reports.
    pub(crate) has_one_name: bool,
}

/// How long a file may be that is read for a proposal.
#[derive(Clone, Copy)]
pub(crate) struct ReadLimit {
    /// What is limited, for the message.
    pub(crate) what: &'static str,
    pub(crate) bytes_max: u64,
    /// How much the call has put in the store already, uncommitted.
    pub(crate) put_bytes: u64,
}

/// Content in the store, and in memory when it is short enough to be compared.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    pub(crate) content: Option<Arc<[u8]>>,
    entry: Option<Entry>,
}

impl Stored {
    fn new(put: Put, bytes: u64, content: Option<Arc<[u8]>>) -> Self {
        Self { digest: put.digest, bytes, content, entry: put.entry }
    }

    pub(crate) fn put(&self) -> Put {
        Put { digest: self.digest, entry: self.entry }
    }
}

/// A stream that was gathered, to be staged with
/// [`Proposal::WriteFrom`](super::Proposal::WriteFrom). Its file lies in the state directory and is
/// removed when this is dropped; a sweep removes those of dead processes.
pub struct Spool(Temporary);

impl Spool {
    /// Where the content is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl DiffStagingLayer {
    /// Gathers a stream whose length nobody knows, such as a pipe, in a file of the state directory.
    ///
    /// # Errors
    /// `Limit` when it has more bytes than a session may stage; `Io` when it cannot be read, or the
    /// file not be written.
    pub fn spool(&self, stream: &mut dyn Read) -> Result<Spool> {
        self.0.spool(stream).map(Spool).map_err(|error| match error {
            StreamError::TooLong => self.0.too_many_bytes(),
            StreamError::Read(source) => {
                StagingError::Io { action: "read", path: "the stream".into(), source }
            }
            StreamError::Store(error) => error,
        })
    }
}

impl Inner {
    /// Stores content that an agent sent.
    pub(crate) fn store_bytes(&self, content: &[u8]) -> Result<Stored> {
        let bytes = content.len() as u64;
        if bytes > self.options.session_bytes_max {
            return Err(self.too_many_bytes());
        }
        let put = self.blobs.put(content)?;
        let content = (bytes <= self.differ.bytes_max()).then(|| content.into());
        Ok(Stored::new(put, bytes, content))
    }

    /// Stores the content of a file outside the workspace, in pieces.
    pub(crate) fn store_file(&self, path: &Path) -> Result<Stored> {
        let failed = |source| StagingError::Io { action: "read", path: path.to_owned(), source };
        let mut file = open_without_waiting(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(StagingError::usage(format!("`{}` is no regular file", path.display())));
        }
        let max = self.options.session_bytes_max;
        if metadata.len() > max {
            return Err(self.too_many_bytes());
        }
        match self.blobs.put_stream(&mut file, self.differ.bytes_max(), max) {
            Ok(streamed) => {
                Ok(Stored::new(streamed.put, streamed.bytes, streamed.content.map(Into::into)))
            }
            Err(StreamError::Read(source)) => Err(failed(source)),
            Err(StreamError::TooLong) => Err(self.too_many_bytes()),
            Err(StreamError::Store(error)) => Err(error),
        }
    }

    fn spool(&self, stream: &mut dyn Read) -> Result<Temporary, StreamError> {
        self.blobs.spool(stream, self.options.session_bytes_max)
    }

    /// Reports a step of reading a file to a test that plays the user.
    pub(crate) fn at_read(&self, step: ReadStep, path: &RelPath) {
        if let Some(observer) = self.read_observer.get() {
            observer(step, path);
        }
    }

    /// Reads, hashes and stores the file, or the target of the symbolic link, as it is on disk, in
    /// one pass; `None` when none is there. A file that changes meanwhile is read again.
    ///
    /// # Errors
    /// `Limit` before anything is read or stored when the file is longer than allowed.
    pub(crate) fn read_base(&self, path: &RelPath, limit: ReadLimit) -> Result<Option<BaseRead>> {
        for _ in 0..READS_MAX {
            let observed_ns = now_ns();
            self.at_read(ReadStep::Opens, path);
            let mut file = match self.workspace.open_file(path) {
                Ok(Some(file)) => file,
                Ok(None) => return Ok(None),
                Err(error) if is_symlink(&error) => match self.read_link(path, observed_ns)? {
                    Some(read) => return Ok(Some(read)),
                    // It was removed or replaced just now.
                    None => continue,
                },
                Err(error) => return Err(error.into()),
            };
            let before = file.stat();
            self.workspace.check_target(path, &before)?;
            if before.bytes > limit.bytes_max {
                return Err(StagingError::Limit { what: limit.what, max: limit.bytes_max });
            }
            let Some(stored) = self.store_base(path, &mut file, &before, limit.put_bytes)? else {
                // It has grown.
                continue;
            };
            self.at_read(ReadStep::WasRead, path);
            let after = file.stat_now().map_err(read_failed(path))?;
            let named = self.workspace.stat(path)?;
            if stored.bytes == before.bytes
                && same(&before, &after)
                && named.is_some_and(|named| same(&before, &named))
            {
                self.at_read(ReadStep::IsTaken, path);
                let base = Base::new(
                    Fingerprint::file(stored.digest, stored.bytes, before.mode),
                    &before,
                    observed_ns,
                );
                return Ok(Some(BaseRead { base, stored, has_one_name: before.links == 1 }));
            }
            self.release_unused(&[stored.put()], &HashSet::new());
        }
        Err(StagingError::Busy { what: format!("`{path}` changes while it is read") })
    }

    /// The symbolic link at a path, with its target stored; `None` where none is.
    fn read_link(&self, path: &RelPath, observed_ns: i64) -> Result<Option<BaseRead>> {
        let Some((target, stat)) = self.workspace.read_link(path)? else { return Ok(None) };
        self.workspace.check_target(path, &stat)?;
        let stored = self.store_bytes(&target)?;
        self.at_read(ReadStep::WasRead, path);
        let now = self.workspace.stat(path)?;
        if !now.is_some_and(|now| same(&stat, &now)) {
            self.release_unused(&[stored.put()], &HashSet::new());
            return Ok(None);
        }
        self.at_read(ReadStep::IsTaken, path);
        let base =
            Base::new(Fingerprint::symlink_to(stored.digest, stored.bytes), &stat, observed_ns);
        Ok(Some(BaseRead { base, stored, has_one_name: stat.links == 1 }))
    }

    /// `None` when the file has grown.
    fn store_base(
        &self,
        path: &RelPath,
        file: &mut dyn Read,
        stat: &Stat,
        put_bytes: u64,
    ) -> Result<Option<Stored>> {
        let max = self.differ.bytes_max();
        // The commit finds out whether the store is full; for long contents that is asked before.
        if put_bytes.saturating_add(stat.bytes) > max && !self.has_room(put_bytes, stat.bytes)? {
            return self.find_stored(path, file, stat).map(Some);
        }
        if stat.bytes > max {
            return match self.blobs.put_stream(file, max, stat.bytes) {
                Ok(streamed) => Ok(Some(Stored::new(
                    streamed.put,
                    streamed.bytes,
                    streamed.content.map(Into::into),
                ))),
                Err(StreamError::Read(source)) => Err(read_failed(path)(source)),
                Err(StreamError::TooLong) => Ok(None),
                Err(StreamError::Store(error)) => Err(error),
            };
        }
        let mut content = Vec::with_capacity(stat.bytes as usize + 1);
        // One byte more tells a file that has grown.
        file.take(stat.bytes + 1).read_to_end(&mut content).map_err(read_failed(path))?;
        let bytes = content.len() as u64;
        Ok(Some(Stored::new(self.blobs.put(&content)?, bytes, Some(content.into()))))
    }

    /// Whether the store has room for so many bytes more, in addition to what the call has stored.
    fn has_room(&self, put_bytes: u64, bytes: u64) -> Result<bool> {
        let held = self.store.peek(meta::content_bytes)?;
        let wanted = held.saturating_add(put_bytes).saturating_add(bytes);
        Ok(wanted <= self.options.stored_bytes_max)
    }

    /// The content of a file for which the store has no room, if it is there already.
    fn find_stored(&self, path: &RelPath, file: &mut dyn Read, stat: &Stat) -> Result<Stored> {
        let full = || {
            let what = "what is stored of all patches, in bytes,";
            StagingError::Limit { what, max: self.options.stored_bytes_max }
        };
        // A file of any length may be there, a sparse one for example: it is read only if it can
        // be one of the contents, all of which fit the limit.
        if !self.store.peek(|connection| contents::has_length(connection, stat.bytes))? {
            return Err(full());
        }
        let mut file = file.take(stat.bytes + 1);
        let (digest, bytes) = Digest::of_reader(&mut file).map_err(read_failed(path))?;
        if !self.blobs.knows(&digest) {
            return Err(full());
        }
        Ok(Stored { digest, bytes, content: None, entry: None })
    }

    /// Releases contents that were stored and that no row refers to.
    pub(crate) fn release_unused(&self, stored: &[Put], taken: &HashSet<Entry>) {
        let unneeded = stored.iter().filter_map(|put| {
            let entry = put.entry.filter(|entry| !taken.contains(entry))?;
            Some(Unreferenced { digest: put.digest, entry })
        });
        self.store.note_unreferenced(unneeded);
    }

    pub(crate) fn too_many_bytes(&self) -> StagingError {
        let max = self.options.session_bytes_max;
        StagingError::Limit { what: "what a session stages, in bytes,", max }
    }
}

/// Whether a path was refused because a symbolic link is there.
pub(crate) fn is_symlink(error: &FsError) -> bool {
    let FsError::Refused { refusal, .. } = error else { return false };
    *refusal == Refusal::NotAFile { kind: "symlink" }
}

/// Opens a file outside of the workspace to be read, without waiting for the other end of a FIFO.
///
/// # Errors
/// What the system says.
#[cfg(unix)]
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Opens a file outside of the workspace to be read, which never waits here.
///
/// # Errors
/// What the system says.
#[cfg(not(unix))]
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

fn read_failed(path: &RelPath) -> impl FnOnce(io::Error) -> StagingError {
    let path = Some(path.clone());
    move |source| StagingError::Fs(FsError::Io { operation: "read", path, source })
}

/// Whether a file is unchanged between two reads of its status.
fn same(a: &Stat, b: &Stat) -> bool {
    (a.device, a.inode, a.bytes, a.mode, a.modified_ns, a.changed_ns)
        == (b.device, b.inode, b.bytes, b.mode, b.modified_ns, b.changed_ns)
}
