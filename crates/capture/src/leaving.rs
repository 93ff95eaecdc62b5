//! What is staged leaves the upper directory before the next view is made of it: the view shows it as long
//! as it is pending, and not after it was rejected.
//!
//! What leaves is written down before, so that it can be finished after a kill. Until the next view is
//! prepared nothing more is imported then: no command has run since the last import.
//!
//! From a working copy it leaves when the copy is renewed.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, BorrowedFd};

use serde::{Deserialize, Serialize};
use staging_core::{CaptureDir, RelPath};

use crate::bytes::Bytes;
use crate::changes::{Change, Changes, EntryKind};
use crate::error::Result;
use crate::import::LastImport;
use crate::rules::{Private, Rules};
use crate::stat::Kind;
use crate::tree::Entries;
use crate::upper_read::UpperRead;
use crate::walk::{Visit, directory_beneath, stat_beneath, walk};

/// The file of a capture that holds [`Leaving`], until the next view is prepared.
pub(crate) const FILE: &str = "leaving";

/// What an import has found of an upper directory.
pub(crate) struct ImportRead {
    pub(crate) read: UpperRead,
    /// What it changes.
    pub(crate) changes: Changes,
}

/// What leaves the upper directory, and what stays.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leaving {
    /// Files, links and whiteouts that leave.
    staged: Vec<Bytes>,
    /// Directories, innermost first, that leave unless something in them stays; with their modes.
    directories: Vec<(Bytes, u32)>,
    /// Directories that have hidden what lies below them, which they show from now on.
    merged: Vec<Bytes>,
    /// Private directories in them, which go on to hide it.
    separate: Vec<Bytes>,
    /// What was hidden by what leaves, and stays hidden.
    hidden: Vec<Bytes>,
    /// The paths at which something is not staged.
    unstaged: BTreeSet<Bytes>,
    /// The imported paths that stay.
    imported: BTreeSet<RelPath>,
}

impl Leaving {
    /// Plans it by what was imported.
    pub(crate) fn plan(
        found: &ImportRead,
        last: &LastImport,
        root: BorrowedFd<'_>,
        rules: Rules,
    ) -> std::io::Result<Self> {
        let ImportRead { read, changes } = found;
        let UpperRead { entries, private } = read;
        let is_staged = |path: &[u8], change: Change| {
            let last = RelPath::parse(path).ok().and_then(|path| last.get(&path)?.as_ref());
            last.is_some_and(|last| last.has_read(change))
        };
        let unstaged = changes.entries.iter().filter(|(path, change)| !is_staged(path, **change));
        let unstaged = unstaged.map(|(path, _)| path).chain(changes.not_proposed.keys());
        let unstaged: BTreeSet<Bytes> = unstaged.map(|path| Bytes(path.to_vec())).collect();
        let mut plan = Self { unstaged, ..Self::default() };
        let mut rules = Private::new(rules);
        let mut hiding: Option<&[u8]> = None;
        for (path, entry) in entries {
            let (name, is_unstaged) = (Bytes(path.to_vec()), plan.unstaged.contains(&**path));
            let is_hidden = hiding.is_some_and(|above| is_below(path, above));
            match entry.kind {
                EntryKind::Whiteout if is_unstaged || plan.any_unstaged_below(path) => {
                    plan.keep_imported(path, last);
                    continue;
                }
                EntryKind::Directory { opaque } => {
                    if opaque {
                        plan.merged.push(name.clone());
                    }
                    if !is_unstaged {
                        plan.directories.push((name, entry.stat.mode.into()));
                    }
                    if !opaque || is_hidden {
                        continue;
                    }
                    let inner = private.iter().filter(|(inner, _)| is_below(inner, path));
                    let inner = inner.filter(|(_, kind)| **kind == Kind::Directory);
                    plan.separate.extend(inner.map(|(inner, _)| Bytes(inner.to_vec())));
                }
                EntryKind::Special | EntryKind::Unreadable => continue,
                _ if is_unstaged => continue,
                EntryKind::Whiteout => plan.staged.push(name),
                EntryKind::File(_) | EntryKind::Symlink => {
                    plan.staged.push(name);
                    continue;
                }
            }
            hiding = Some(path);
            plan.keep_hidden(path, read, root, &mut rules)?;
        }
        plan.directories.reverse();
        let unstaged = plan.unstaged.iter().filter_map(|path| RelPath::parse(&path.0).ok());
        plan.imported.extend(unstaged.filter(|path| last.contains_key(path)));
        Ok(plan)
    }

    fn any_unstaged_below(&self, path: &[u8]) -> bool {
        let first = Bytes([path, b"/"].concat());
        self.unstaged.range(first..).next().is_some_and(|next| is_below(&next.0, path))
    }

    /// A removal of several files stays as one.
    fn keep_imported(&mut self, path: &[u8], last: &LastImport) {
        let below = last
            .keys()
            .filter(|imported| imported.as_bytes() == path || is_below(imported.as_bytes(), path));
        self.imported.extend(below.cloned());
    }

    /// A private file that a command has removed with its directory stays removed, and so does what is not
    /// staged.
    fn keep_hidden(
        &mut self,
        directory: &[u8],
        read: &UpperRead,
        root: BorrowedFd<'_>,
        rules: &mut Private<'_>,
    ) -> std::io::Result<()> {
        if stat_beneath(root, directory)?.is_none_or(|there| there.kind != Kind::Directory) {
            return Ok(());
        }
        // It may just be going.
        let Ok(lower) = directory_beneath(root, directory) else { return Ok(()) };
        let mut hidden = Vec::new();
        let mut visit = |reached: crate::walk::Reached<'_>| {
            let path = [directory, b"/", reached.path].concat();
            if read.private.contains_key(&*path) {
                return Ok(Visit::Skip);
            }
            if let Some(entry) = read.entries.get(&*path) {
                let is_directory = matches!(entry.kind, EntryKind::Directory { .. });
                return Ok(if is_directory { Visit::Enter } else { Visit::Skip });
            }
            let is_unstaged = || reached.kind != Kind::Directory && self.unstaged.contains(&*path);
            if rules.is_left_out(&path, reached.kind) || is_unstaged() {
                hidden.push(Bytes(path));
                return Ok(Visit::Skip);
            }
            Ok(Visit::Enter)
        };
        walk(lower.as_fd(), &mut visit, &mut |_| {})?;
        self.hidden.append(&mut hidden);
        Ok(())
    }

    /// What leaves a working copy: nothing hides anything there.
    pub(crate) fn of_working_copy(self) -> Self {
        Self { merged: Vec::new(), separate: Vec::new(), hidden: Vec::new(), ..self }
    }

    /// What is kept of what commands have changed in a working copy: of these entries.
    pub(crate) fn kept_of(&self, entries: &Entries) -> Kept {
        let mut gone: BTreeSet<Bytes> = self.staged.iter().cloned().collect();
        let mut removed: Option<&[u8]> = None;
        for (path, entry) in entries {
            if removed.is_some_and(|above| is_below(path, above)) {
                // A removal of several files stays as one.
                gone.remove(&**path);
            } else if entry.kind == EntryKind::Whiteout && !gone.contains(&**path) {
                removed = Some(path);
            }
        }
        for (directory, _) in &self.directories {
            let first = [&directory.0[..], b"/"].concat().into_boxed_slice();
            let mut below = entries.range(first..).map(|(path, _)| path);
            let mut below = below.by_ref().take_while(|path| is_below(path, &directory.0));
            if below.all(|path| gone.contains(&**path)) {
                gone.insert(directory.clone());
            }
        }
        Kept { gone }
    }

    /// Whether no content leaves.
    pub(crate) fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    /// The paths at which something is not staged.
    pub(crate) fn unstaged(&self) -> BTreeSet<Box<[u8]>> {
        self.unstaged.iter().map(|path| Box::from(&*path.0)).collect()
    }

    /// Whether an imported path stays.
    pub(crate) fn keeps(&self, path: &RelPath) -> bool {
        self.imported.contains(path)
    }

    /// Lets what is staged leave the upper directory; it may have left already. `root` is the workspace. No
    /// process of a view may run.
    ///
    /// # Durability
    /// What has left does not come back after a power cut.
    pub(crate) fn carry_out(&self, dir: &CaptureDir, root: BorrowedFd<'_>) -> Result<()> {
        dir.drop_entries(self.staged.iter().map(|path| &*path.0))?;
        dir.merge(self.merged.iter().map(|path| &*path.0))?;
        dir.separate(self.separate.iter().map(|path| &*path.0))?;
        let directories = self.directories.iter();
        dir.drop_directories(directories.clone().map(|(path, mode)| (&*path.0, Some(*mode))))?;
        let mode = |path: &[u8]| {
            let there = stat_beneath(root, path).ok().flatten();
            there.map_or(0o755, |there| there.mode.into())
        };
        dir.hide(self.hidden.iter().map(|path| &*path.0), mode)?;
        let changed = self.staged.iter().chain(&self.hidden);
        let changed = changed.chain(directories.map(|(path, _)| path));
        Ok(dir.sync_upper(changed.map(|path| &*path.0))?)
    }
}

/// What the next view keeps of what commands have written.
#[derive(Default)]
pub(crate) struct Kept {
    gone: BTreeSet<Bytes>,
}

impl Kept {
    /// Whether an entry is kept.
    pub(crate) fn has(&self, path: &[u8]) -> bool {
        !self.gone.contains(path)
    }
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}
