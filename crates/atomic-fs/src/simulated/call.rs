//! What a simulated disk is asked for, what can go wrong at a call, and which calls it knows.

use serde::{Deserialize, Serialize};

/// Which call of [`Disk`](crate::Disk) it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is named after its call")]
pub enum CallKind {
    OpenDir,
    Identity,
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
    SetModified,
    Lease,
    LeaseHolds,
    SyncFile,
    SyncDir,
    Exchange,
    /// The first half of `replace`: the old file gets its new name.
    ReplaceAway,
    /// The second half: the slot comes to the old file's place.
    ReplaceArrive,
    Rename,
    RenameReplacing,
    Link,
    RemoveFile,
    CreateSymlink,
    CreateDir,
    SetDirMode,
    RemoveDir,
}

impl CallKind {
    /// Whether it can change anything; a sync does not.
    pub fn is_mutating(self) -> bool {
        use CallKind::*;
        self.moves_names()
            || matches!(self, CreateFile | WriteAt | Reserve | CopyMetadata)
            || matches!(self, SetMode | SetModified | SetDirMode)
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
        ) || matches!(self, CreateSymlink)
            || self.replaces()
    }

    /// Whether it is half of a replacement.
    pub fn replaces(self) -> bool {
        matches!(self, Self::ReplaceAway | Self::ReplaceArrive)
    }
}

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// Half of a replacement does not happen, and the whole is answered as done.
    Pretends,
    /// The process dies before the call: nothing happens any more.
    Dies,
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
    /// No exchange, and a call that replaces a file in two steps: Windows, with all that its
    /// handles, modes and errors have of their own (`windows.rs`).
    Windows,
}

impl Renames {
    /// Every kind of file system.
    pub const ALL: [Self; 4] = [Self::All, Self::NoExchange, Self::Plain, Self::Windows];

    /// Its name on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::NoExchange => "no-exchange",
            Self::Plain => "plain",
            Self::Windows => "windows",
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
