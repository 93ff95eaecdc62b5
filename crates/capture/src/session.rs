//! The capture of a session: what is kept between its views, and the import of what a command wrote.
//!
//! The directory of a capture holds, beside the kernel's `upper/` and `work/`: `seen`, the
//! [`Snapshot`] of the workspace; `rules`, the [`Rules`]; `view`, the [`Identity`] of the last view
//! with the id of the boot; `imported`, the paths that imports have staged; `renewed`, the paths at
//! which the command and the disk agreed later, as after an apply. The first three are written before
//! the command starts, so that any process can import what a killed one has left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use staging_core::{
    CaptureDir, DiffStagingLayer, FileStamp, ImportItem, Imported, Proof, Proposal, RelPath,
    SessionId, Spool, StagingError, escape_bytes,
};
use thiserror::Error;

use crate::bytes::Bytes;
use crate::changes::{Change, Changes, NotProposed};
use crate::processes::{Identity, Process, survivors};
use crate::rules::{Private, Rules};
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat, Timestamp};
use crate::survey::{Survey, now, survey};
use crate::upper::read_upper;
use crate::verdict::{Clocks, Evidence, Upper, Verdict};
use crate::walk::{self, BENEATH, directory_beneath, stat_beneath};

/// A file of up to this many bytes is held in memory until it is staged, while all of them together
/// have no more than [`HELD_BYTES_MAX`]; others are gathered in a file first.
const HELD_FILE_BYTES_MAX: u64 = 1 << 20;
const HELD_BYTES_MAX: u64 = 64 << 20;

/// How often a file is read that changes meanwhile.
const READS_MAX: u32 = 3;

/// Why a capture cannot be prepared or imported. What commands wrote is in the upper directory as it
/// was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The store or the state directory.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// A directory cannot be read.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path, escaped.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// Processes of the session's last view still write.
    #[error("processes of session {session} still run: {}", names(.processes))]
    Live {
        /// The session.
        session: SessionId,
        /// The processes.
        processes: Vec<Process>,
    },
}

fn names(processes: &[Process]) -> String {
    let names = processes.iter().map(|process| format!("{} ({})", process.name, process.id));
    names.collect::<Vec<_>>().join(", ")
}

type Result<T, E = CaptureError> = std::result::Result<T, E>;

pub(crate) fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> CaptureError {
    let path = escape_bytes(path.as_os_str().as_encoded_bytes());
    move |source| CaptureError::Io { action, path: path.clone(), source }
}

/// A view that was made, and in which boot.
#[derive(Serialize, Deserialize)]
struct LastView {
    identity: Identity,
    boot: String,
}

/// What lay at a path, or that nothing did, and when that was read.
type Renewed = BTreeMap<Bytes, (Option<Stat>, Timestamp)>;

/// What an import has found.
#[derive(Debug, Default)]
pub struct Report {
    /// What was staged, refused, and is stale.
    pub imported: Imported,
    /// What cannot be proposed, by its path, and why.
    pub not_proposed: Vec<(String, &'static str)>,
    /// Files that are still being written; a later import has them.
    pub unsettled: Vec<RelPath>,
}

/// What stays in the capture and is not proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateFiles {
    /// How many ignored files were written or removed.
    pub files: u64,
    /// The bytes of those that were written.
    pub bytes: u64,
    /// Ignored files that are in the workspace too and that were changed or removed, at most ten.
    pub changed: Vec<String>,
    /// Whether something was written in a directory of git.
    pub git: bool,
}

/// The capture of a session.
pub struct SessionCapture<'l> {
    layer: &'l DiffStagingLayer,
    session: SessionId,
    dir: CaptureDir,
}

impl<'l> SessionCapture<'l> {
    /// The capture of this session; nothing is read or created.
    #[must_use]
    pub fn of(layer: &'l DiffStagingLayer, session: SessionId) -> Self {
        Self { layer, session, dir: layer.capture_dir(session) }
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &CaptureDir {
        &self.dir
    }

    /// Makes the capture ready for a view: imports what an earlier one has left, and records what
    /// the workspace is now. `general` and `tracked` are as in [`Rules`].
    ///
    /// # Errors
    /// [`CaptureError::Live`] while processes of an earlier view live; else as
    /// [`import`](Self::import).
    pub fn prepare(&self, general: Vec<Bytes>, tracked: BTreeSet<Bytes>) -> Result<Survey> {
        let workspace = &self.layer.options().workspace;
        let root = open(workspace)?;
        let mode = walk::stat(root.as_fd(), c".").map_err(failed("read", workspace))?;
        self.dir.create(mode.map_or(0o700, |(stat, _)| stat.mode.into()))?;
        let _lock = self.dir.lock()?;
        self.require_ended()?;
        let read = |name: &[u8]| read_beneath(root.as_fd(), name).ok();
        let rules = Rules { general, tracked, ..Rules::default() };
        let mut private = Private::collecting(rules, &read);
        let mut found = survey(root.as_fd(), &mut |path, kind| private.is_private(path, kind))
            .map_err(failed("read", workspace))?;
        // What the session has changed was made from what lay there when it began, unless the disk
        // holds the same now.
        let (report, earlier) = self.import_locked()?;
        self.dir.clean_work()?;
        if let Some((seen, upper)) = earlier {
            let equal: BTreeMap<&[u8], FileStamp> = stamps(&report.imported);
            let is_new = |path: &[u8], stat: &Stat| {
                !upper.contains(path) || equal.get(path) == Some(&stamp(stat))
            };
            let new = found.snapshot.iter().filter(|(path, stat)| is_new(path, stat));
            let old = upper.iter().filter_map(|path| Some((&**path, seen.settled(path)?)));
            // Where both are there, the new one counts.
            let all = old.chain(new).map(|(path, stat)| (Box::from(path), *stat));
            found.snapshot = Snapshot::new(found.snapshot.begun(), all.collect::<Vec<_>>());
        }
        self.write("rules", &private.into_rules())?;
        self.dir.write("seen", &found.snapshot.encode())?;
        self.write("renewed", &Renewed::new())?;
        Ok(found)
    }

    /// Records the view that was made, before a command runs in it.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn record(&self, identity: Identity) -> Result<()> {
        let _lock = self.dir.lock()?;
        self.write("view", &LastView { identity, boot: boot_id() })
    }

    /// Stages what the session's commands have written so far. Does nothing for a session without
    /// a capture.
    ///
    /// # Errors
    /// An error of the store, the state directory or the workspace. Nothing is staged then.
    pub fn import(&self) -> Result<Report> {
        if !self.dir.exists() {
            return Ok(Report::default());
        }
        let _lock = self.dir.lock()?;
        Ok(self.import_locked()?.0)
    }

    /// Removes the capture, unless processes of its last view still run.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn remove_ended(&self) -> Result<()> {
        match self.survivors()?.is_empty() {
            true => Ok(self.dir.remove()?),
            false => Ok(()),
        }
    }

    /// The processes of the last view that still run.
    ///
    /// # Errors
    /// An error of the state directory, or of reading the table of processes.
    pub fn survivors(&self) -> Result<Vec<Process>> {
        match self.last_view()? {
            Some(view) => survivors(&view.identity).map_err(failed("read", Path::new("/proc"))),
            None => Ok(Vec::new()),
        }
    }

    /// Counts what stays in the capture.
    ///
    /// # Errors
    /// An error of the state directory or the workspace.
    pub fn private_files(&self) -> Result<PrivateFiles> {
        let mut rules = Private::new(self.read("rules")?.unwrap_or_default());
        let upper = open(&self.dir.upper())?;
        let root = open(&self.layer.options().workspace)?;
        let mut found = PrivateFiles::default();
        let entries = read_upper(upper.as_fd(), &mut |_, _| false);
        for (path, entry) in entries.map_err(failed("read", &self.dir.upper()))? {
            let kind = entry.stat.kind;
            if kind == Kind::Directory || !rules.is_private(&path, kind) {
                continue;
            }
            if path.split(|byte| *byte == b'/').any(|name| name == b".git") {
                found.git = true;
                continue;
            }
            found.files += 1;
            found.bytes += if kind == Kind::File { entry.stat.size } else { 0 };
            if found.changed.len() < 10 && stat_beneath(root.as_fd(), &path).is_some() {
                found.changed.push(escape_bytes(&path));
            }
        }
        Ok(found)
    }

    fn require_ended(&self) -> Result<()> {
        let processes = self.survivors()?;
        match processes.is_empty() {
            true => Ok(()),
            false => Err(CaptureError::Live { session: self.session, processes }),
        }
    }

    /// The last view, unless the machine was restarted since.
    fn last_view(&self) -> Result<Option<LastView>> {
        let view: Option<LastView> = self.read("view")?;
        Ok(view.filter(|view| view.boot == boot_id()))
    }

    /// Imports, and returns what was seen with the paths that are in the upper directory; none
    /// where nothing was captured before.
    #[allow(clippy::type_complexity, reason = "a pair for one caller")]
    fn import_locked(&self) -> Result<(Report, Option<(Snapshot, BTreeSet<Box<[u8]>>)>)> {
        let Some(rules) = self.read::<Rules>("rules")? else { return Ok(Default::default()) };
        let seen = self.dir.read("seen")?.and_then(|bytes| Snapshot::decode(&bytes).ok());
        // Without it nothing is proven.
        let mut seen = seen.unwrap_or_else(|| Snapshot::new(Timestamp::default(), []));
        let mut renewed: Renewed = self.read("renewed")?.unwrap_or_default();
        for (path, (stat, read_at)) in &renewed {
            seen.renew(&path.0, *stat, *read_at);
        }
        let read_at = now();
        let workspace = &self.layer.options().workspace;
        let upper_dir = self.dir.upper();
        let (root, upper) = (open(workspace)?, open(&upper_dir)?);
        let mut private = Private::new(rules);
        let entries = read_upper(upper.as_fd(), &mut |path, kind| private.is_private(path, kind))
            .map_err(failed("read", &upper_dir))?;
        let changes = Changes::new(&entries, &seen);
        let view = self.last_view()?.and_then(|view| view_root(&view.identity, workspace));
        let mut importer = Importer {
            layer: self.layer,
            seen: &seen,
            root: root.as_fd(),
            upper: upper.as_fd(),
            view: view.as_ref().map(|view| view.as_fd()),
            clocks: clocks(&root, &upper),
            lower: BTreeMap::new(),
            held_bytes: 0,
            spools: Vec::new(),
            items: Vec::new(),
            report: Report::default(),
        };
        importer.collect(&changes)?;
        let Importer { items, mut report, spools, lower, .. } = importer;

        let before: BTreeSet<Bytes> = self.read("imported")?.unwrap_or_default();
        let now: BTreeSet<Bytes> =
            items.iter().map(|item| Bytes(item.proposal.path().as_bytes().to_vec())).collect();
        let gone = before.difference(&now).filter_map(|path| RelPath::parse(&path.0).ok());
        let gone: Vec<RelPath> = gone.collect();
        // A path that is listed in vain is withdrawn in vain; one that is missing would stay pending.
        if !now.is_subset(&before) {
            self.write("imported", &before.union(&now).collect::<Vec<_>>())?;
        }
        if !items.is_empty() || !gone.is_empty() {
            report.imported = self.layer.import(self.session, &items, &gone)?;
        }
        if !gone.is_empty() {
            self.write("imported", &now)?;
        }
        drop(spools);
        // From here on the command works on what is on the disk.
        let equal = stamps(&report.imported);
        let is_new = |(path, stat): &(Bytes, Option<Stat>)| match stat {
            Some(stat) => {
                let is_equal = equal.get(&*path.0) == Some(&stamp(stat));
                is_equal && seen.settled(&path.0) != Some(stat)
            }
            None => seen.get(&path.0).is_some(),
        };
        let agreed: Vec<_> = lower.into_iter().filter(is_new).collect();
        if !agreed.is_empty() {
            for (path, stat) in agreed {
                seen.renew(&path.0, stat, read_at);
                renewed.insert(path, (stat, read_at));
            }
            self.write("renewed", &renewed)?;
        }
        Ok((report, Some((seen, entries.into_keys().collect()))))
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>> {
        let content = self.dir.read(name)?;
        // A damaged file is as good as none: each of its users says what that means.
        Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let content = serde_json::to_vec(value).map_err(io::Error::from);
        let content = content.map_err(failed("write", &self.dir.path().join(name)))?;
        Ok(self.dir.write(name, &content)?)
    }
}

/// Turns changes into proposals.
struct Importer<'i> {
    layer: &'i DiffStagingLayer,
    seen: &'i Snapshot,
    root: BorrowedFd<'i>,
    upper: BorrowedFd<'i>,
    /// The workspace as the live view shows it.
    view: Option<BorrowedFd<'i>>,
    clocks: Clocks,
    /// What lies in the workspace where a file was written, and where nothing was proposed because
    /// nothing is there.
    lower: BTreeMap<Bytes, Option<Stat>>,
    held_bytes: u64,
    /// The files of large contents, until they are staged.
    spools: Vec<Spool>,
    items: Vec<ImportItem>,
    report: Report,
}

impl Importer<'_> {
    fn collect(&mut self, changes: &Changes) -> Result<()> {
        let not_proposed = changes.not_proposed.iter().map(|(path, reason)| {
            let reason = match reason {
                NotProposed::Special => "a socket, a FIFO or a device",
                NotProposed::DirectoryMode => "only the mode of the directory was changed",
                NotProposed::Unreadable => "the directory cannot be read",
            };
            (escape_bytes(path), reason)
        });
        self.report.not_proposed.extend(not_proposed);
        // What is removed makes room for what is written; a directory goes after what is in it.
        let removed =
            changes.entries.iter().rev().filter(|(_, change)| **change == Change::Removed);
        let written = changes.entries.iter().filter(|(_, change)| **change != Change::Removed);
        for (path, change) in removed.chain(written) {
            match RelPath::parse(path) {
                Ok(path) => self.add(path, *change)?,
                Err(_) => {
                    let reason = "no patch can have this path";
                    self.report.not_proposed.push((escape_bytes(path), reason));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: RelPath, change: Change) -> Result<()> {
        let lower = stat_beneath(self.root, path.as_bytes());
        let upper = Upper::from(change);
        let view_inode = match (upper, self.view) {
            (Upper::File(_), Some(view)) => {
                stat_beneath(view, path.as_bytes()).map(|stat| stat.inode)
            }
            _ => None,
        };
        let (seen, clocks) = (self.seen, self.clocks);
        let evidence = Evidence { seen, path: path.as_bytes(), lower, upper, view_inode, clocks };
        let proof = match evidence.verdict() {
            Verdict::Nothing => {
                self.lower.insert(Bytes(path.as_bytes().to_vec()), None);
                return Ok(());
            }
            Verdict::Create => Proof::Made(None),
            Verdict::Modify | Verdict::Delete => Proof::Made(lower.as_ref().map(stamp)),
            Verdict::Stale => Proof::Unknown,
        };
        if let (Some(lower), Upper::File(_)) = (lower, upper) {
            self.lower.insert(Bytes(path.as_bytes().to_vec()), Some(lower));
        }
        let proposal = match change {
            Change::Removed => Proposal::Delete { path },
            Change::Made(_) => {
                if lower.is_some_and(|lower| lower.kind != Kind::Directory) {
                    let proposal = Proposal::Delete { path: path.clone() };
                    self.items.push(ImportItem { proposal, proof });
                }
                Proposal::CreateDirectory { path }
            }
            Change::Linked(_) => {
                match rustix::fs::readlinkat(self.parent(&path)?, name_of(&path), Vec::new()) {
                    Ok(target) => Proposal::Symlink { path, target: target.into_bytes() },
                    Err(_) => {
                        self.report.unsettled.push(path);
                        return Ok(());
                    }
                }
            }
            Change::Written(_, stat) => match self.content(&path, stat)? {
                Some(proposal) => proposal,
                None => {
                    self.report.unsettled.push(path);
                    return Ok(());
                }
            },
        };
        self.items.push(ImportItem { proposal, proof });
        Ok(())
    }

    /// A file's content, read while nobody writes it; none when somebody does.
    fn content(&mut self, path: &RelPath, mut stat: Stat) -> Result<Option<Proposal>> {
        for _ in 0..READS_MAX {
            let file = match open_beneath(self.upper, path.as_bytes()) {
                Ok(file) => file,
                Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Ok(None),
                // The file keeps its owner from reading it.
                Err(error) => {
                    self.report.not_proposed.push((path.to_string(), "it cannot be read"));
                    tracing::debug!(%path, %error, "a captured file cannot be opened");
                    return Ok(None);
                }
            };
            let (path, mode) = (path.clone(), Some(u32::from(stat.mode)));
            let is_held =
                stat.size <= HELD_FILE_BYTES_MAX && self.held_bytes + stat.size <= HELD_BYTES_MAX;
            let proposal = if is_held {
                let mut content = Vec::with_capacity(stat.size as usize);
                let read = (&file).take(stat.size + 1).read_to_end(&mut content);
                read.map_err(failed("read", Path::new(&path.to_string())))?;
                Proposal::Write { path, content, mode }
            } else {
                let spool = self.layer.spool(&mut &file)?;
                let proposal = Proposal::WriteFrom { path, file: spool.path().to_owned(), mode };
                self.spools.push(spool);
                proposal
            };
            let after = walk::stat_of(file.as_fd()).map_err(failed("read", Path::new(".")))?;
            if after == stat {
                self.held_bytes += if is_held { stat.size } else { 0 };
                return Ok(Some(proposal));
            }
            stat = after;
        }
        Ok(None)
    }

    fn parent(&self, path: &RelPath) -> Result<OwnedFd> {
        let parent = path.parent();
        let parent = parent.as_ref().map_or(&b"."[..], RelPath::as_bytes);
        let opened = directory_beneath(self.upper, parent).map_err(io::Error::from);
        opened.map_err(failed("read", Path::new(&path.to_string())))
    }
}

fn name_of(path: &RelPath) -> &[u8] {
    path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// The status of each file that is equal on the disk and in the view.
fn stamps(imported: &Imported) -> BTreeMap<&[u8], FileStamp> {
    imported.equal.iter().map(|(path, stamp)| (path.as_bytes(), *stamp)).collect()
}

fn stamp(stat: &Stat) -> FileStamp {
    let ns =
        |at: Timestamp| at.seconds.saturating_mul(1_000_000_000).saturating_add(at.nanos.into());
    FileStamp {
        inode: stat.inode,
        bytes: stat.size,
        modified_ns: ns(stat.modified),
        changed_ns: ns(stat.changed),
    }
}

/// The workspace as a view shows it, while its keeper lives.
fn view_root(identity: &Identity, workspace: &Path) -> Option<OwnedFd> {
    let lives = survivors(identity).ok()?.iter().any(|process| process.id == identity.keeper);
    let below = workspace.strip_prefix("/").ok()?;
    let path = Path::new("/proc").join(identity.keeper.to_string()).join("root").join(below);
    lives.then(|| open(&path).ok()).flatten()
}

pub(crate) fn open(directory: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty()).map_err(io::Error::from);
    opened.map_err(failed("open", directory))
}

/// Opens a file to be read, through no symbolic link and without waiting for a FIFO.
fn open_beneath(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), BENEATH).map(File::from)
}

pub(crate) fn read_beneath(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    // Nobody has a longer one by intent.
    open_beneath(root, path)?.take(1 << 20).read_to_end(&mut content)?;
    Ok(content)
}

/// Whether both directories are on local file systems.
fn clocks(one: &OwnedFd, other: &OwnedFd) -> Clocks {
    /// NFS, 9p, FUSE, SMB, CIFS, Ceph: statfs(2).
    const ELSEWHERE: [u32; 7] =
        [0x6969, 0x0102_1997, 0x6573_5546, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400];
    let is_elsewhere = |directory: &OwnedFd| match rustix::fs::fstatfs(directory) {
        Ok(found) => ELSEWHERE.contains(&(found.f_type as u32)),
        Err(_) => true,
    };
    if is_elsewhere(one) || is_elsewhere(other) { Clocks::Separate } else { Clocks::Shared }
}

/// Names the present boot: random(4).
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}
