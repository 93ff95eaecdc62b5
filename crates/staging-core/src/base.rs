//! The state of a path that a patch rests on, and how to tell cheaply that it is unchanged.

use atomic_fs::{Digest, EntryKind, Expected, Fingerprint, Stat};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::time::Timestamp;

/// A file that changed less than this before it was read may change again without its time stamps
/// showing it: the clocks of file systems tick coarsely.
const RACY_NS: i64 = 1_000_000_000;

/// The state of the file, symbolic link or directory that the agent saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its content and mode.
    pub content: Fingerprint,
    /// When it was last modified, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// The status that goes with the content.
    pub stat: BaseStat,
}

/// The status of a file, and when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseStat {
    /// The inode's number.
    pub inode: u64,
    /// The device's number.
    pub device: u64,
    /// When the inode last changed, in nanoseconds since 1970.
    pub changed_ns: i64,
    /// When the status was read, by this machine's clock, in nanoseconds since 1970.
    pub observed_ns: i64,
}

impl Base {
    /// Content with the status of its file, read at `observed_ns`.
    pub(crate) fn new(content: Fingerprint, stat: &Stat, observed_ns: i64) -> Self {
        let Stat { inode, device, changed_ns, modified_ns, .. } = *stat;
        Self { content, modified_ns, stat: BaseStat { inode, device, changed_ns, observed_ns } }
    }

    /// What it is.
    pub const fn kind(&self) -> EntryKind {
        self.content.kind()
    }

    /// When it was last modified.
    pub fn modified_at(&self) -> Timestamp {
        Timestamp::from_unix_ns(self.modified_ns)
    }

    /// Whether the status alone proves that the content is unchanged.
    ///
    /// As in git's index, a file that changed shortly before it was read proves nothing: it may
    /// have changed again within the same clock tick.
    pub(crate) fn is_proven_by(&self, stat: &Stat) -> bool {
        !self.is_refuted_by(stat)
            && self.has_stamps_of(stat)
            && self.stat.changed_ns.saturating_add(RACY_NS) < self.stat.observed_ns
    }

    /// Whether the file is the same one, last changed when it was last read.
    pub(crate) fn has_stamps_of(&self, stat: &Stat) -> bool {
        stat.modified_ns == self.modified_ns
            && stat.inode == self.stat.inode
            && stat.device == self.stat.device
            && stat.changed_ns == self.stat.changed_ns
    }

    /// Whether the status alone proves that the file is another one now.
    pub(crate) fn is_refuted_by(&self, stat: &Stat) -> bool {
        if stat.kind != self.kind().file_kind() {
            return true;
        }
        match self.kind() {
            EntryKind::File => stat.bytes != self.content.bytes || stat.mode != self.content.mode,
            // Not every system gives a link's length, and its permission bits mean nothing.
            EntryKind::Symlink => false,
            EntryKind::Directory => stat.mode != self.content.permissions(),
        }
    }
}

/// What a change set must find where this is.
pub(crate) fn expected(content: &Fingerprint) -> Expected {
    match content.kind() {
        EntryKind::Directory => Expected::Directory { mode: content.permissions() },
        EntryKind::File | EntryKind::Symlink => Expected::Matches(*content),
    }
}

/// Content as JSON has it.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct ContentJson {
    #[schemars(with = "String")]
    blake3: Digest,
    #[serde(serialize_with = "git_mode")]
    #[schemars(with = "String")]
    mode: u32,
    bytes: u64,
}

impl From<Fingerprint> for ContentJson {
    fn from(Fingerprint { digest, bytes, mode }: Fingerprint) -> Self {
        Self { blake3: digest, mode, bytes }
    }
}

/// A base as JSON has it.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct BaseJson {
    #[serde(flatten)]
    content: ContentJson,
    modified_at: Timestamp,
}

impl Serialize for Base {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = BaseJson { content: self.content.into(), modified_at: self.modified_at() };
        json.serialize(serializer)
    }
}

/// For fields that hold content.
pub(crate) fn serialize_content<S: Serializer>(
    content: &Option<Fingerprint>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    content.map(ContentJson::from).serialize(serializer)
}

/// A mode as git writes it, with all permission bits: `100644`, `101777`, `120000`, `040755`.
fn git_mode<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    let kind = if EntryKind::of_mode(*mode) == EntryKind::File { 0o100000 } else { 0 };
    serializer.collect_str(&format_args!("{:06o}", kind | mode))
}
