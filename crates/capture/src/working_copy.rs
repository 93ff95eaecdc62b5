//! Makes and renews a copy of the workspace in which commands work where no view is possible.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode};
use staging_core::{CaptureDir, escape_bytes};

use crate::beneath;
use crate::bytes::Bytes;
use crate::changes::EntryKind;
use crate::error::{CaptureError, Result, failed};
use crate::files::{open, read_json, write_json};
use crate::layer::Layer;
use crate::made::{MADE, MADE_FROM, RENEWAL, ROOT, nothing, snapshot};
use crate::mirror::{Changed, mirror};
use crate::snapshot::Snapshot;
use crate::stat::Kind;
use crate::survey::survey;
use crate::tree::Entries;
use crate::upper::read_upper;
use crate::walk::{self, directory_beneath, open_beneath};

/// The file of a capture with the paths at which patches were put into the copy.
const ON_TOP: &str = "on-top";

/// Which changes of earlier commands stay in the copy when it is renewed; the others are taken back.
pub(crate) type Keeps<'k> = &'k mut dyn FnMut(&[u8], Kind) -> bool;

/// A directory of patches that are put into the copy.
pub(crate) enum OnTop<'p> {
    /// In place of what is kept.
    Always(&'p Path),
    /// Where nothing is kept.
    BelowKept(&'p Path),
}

/// Makes or renews the working copy, with patches in it, and returns what cannot be read. The caller holds
/// the lock. A copy that does not fit on the disk is removed, unless it holds what commands have changed.
pub(crate) fn renew(
    dir: &CaptureDir,
    workspace: &Path,
    keeps: Keeps<'_>,
    patches: &OnTop<'_>,
) -> Result<Vec<String>> {
    dir.create_working_copy()?;
    let (OnTop::Always(layer_dir) | OnTop::BelowKept(layer_dir)) = patches;
    let (root, layer) = (open(workspace)?, open(layer_dir)?);
    let copy = Layer::working_copy(dir)?;
    // The keeper of a command that works in the copy holds it.
    let locked = rustix::fs::flock(&copy.root, FlockOperation::NonBlockingLockExclusive);
    locked.map_err(|_| CaptureError::InUse)?;
    let mut changed = changed(dir, &copy, keeps)?;
    let on_top = read_upper(layer.as_fd(), &mut |_, _| false).map_err(failed("read", layer_dir))?;
    let (on_top, emptied) = match patches {
        OnTop::Always(_) => {
            changed.kept.retain(|path| !on_top.contains_key(&*path.0));
            (on_top, Vec::new())
        }
        OnTop::BelowKept(_) => {
            below_kept(copy.root.as_fd(), on_top, &changed).map_err(failed("read", layer_dir))?
        }
    };
    changed.restored.extend(on_top.keys().map(|path| Bytes(path.to_vec())));
    // Until it is done, what differs otherwise is not the commands'.
    write_json(dir, RENEWAL, &Some(&changed))?;
    let made = || -> io::Result<_> {
        let copied = snapshot(dir, MADE_FROM).unwrap_or_else(|_| nothing());
        let mirrored = mirror(root.as_fd(), copy.root.as_fd(), &copied, &changed)?;
        put(layer.as_fd(), copy.root.as_fd(), &on_top)?;
        for path in &emptied {
            remove_others(copy.root.as_fd(), path, &changed)?;
        }
        let stat = walk::stat_of(root.as_fd())?;
        rustix::fs::fchmod(&copy.root, Mode::from_raw_mode(stat.mode.into()))?;
        Ok((mirrored, stat, survey(copy.root.as_fd(), &mut |_, _| false)?.snapshot))
    };
    let made = made();
    if matches!(&made, Err(error) if error.kind() == io::ErrorKind::StorageFull)
        && changed.kept.is_empty()
    {
        // Half of it is of no use, and the disk is the user's.
        dir.remove_working_copy()?;
    }
    let (mirrored, stat, made) = made.map_err(failed("copy", workspace))?;
    // What commands have changed was made from what was there before.
    let before = snapshot(dir, MADE)?;
    let kept = changed.kept.iter().filter_map(|path| Some((&*path.0, before.get(&path.0)?)));
    let new = made.iter().filter(|(path, _)| !changed.kept.contains(*path));
    let all: Vec<_> = new.chain(kept).map(|(path, stat)| (Box::from(path), *stat)).collect();
    dir.write(MADE_FROM, &mirrored.copied.encode())?;
    write_json(dir, ROOT, &stat)?;
    dir.write(MADE, &Snapshot::new(made.begun(), all).encode())?;
    let on_top = on_top.into_keys().map(|path| Bytes(path.into_vec()));
    write_json(dir, ON_TOP, &on_top.collect::<BTreeSet<_>>())?;
    write_json(dir, RENEWAL, &None::<Changed>)?;
    Ok(mirrored.unreadable.iter().map(|path| escape_bytes(path)).collect())
}

/// What is to be kept and to be restored in the copy.
fn changed(dir: &CaptureDir, copy: &Layer, keeps: Keeps<'_>) -> Result<Changed> {
    // No command has begun since a renewal that was cut off.
    if let Some(renewal) = read_json::<Option<Changed>>(dir, RENEWAL)?.flatten() {
        return Ok(renewal);
    }
    let restored = read_json(dir, ON_TOP)?.unwrap_or_default();
    let mut changed = Changed { restored, ..Changed::default() };
    // Without a record nothing is in it, and what a full disk has left is made again.
    if dir.read(MADE)?.is_some() {
        for (path, entry) in copy.entries(&mut |_, _| false)? {
            let is_kept = keeps(&path, entry.stat.kind);
            let is_there = entry.kind != EntryKind::Whiteout;
            if is_kept && is_there && entry.stat.kind == Kind::Directory {
                changed.modes.push((Bytes(path.to_vec()), entry.stat.mode));
            }
            let paths = if is_kept { &mut changed.kept } else { &mut changed.restored };
            paths.insert(Bytes(path.into()));
        }
    }
    Ok(changed)
}

/// The entries that nothing hides which is kept, and the paths of those that would replace a directory in which
/// something is kept: nothing else stays in it.
fn below_kept(
    copy: BorrowedFd<'_>,
    entries: Entries,
    changed: &Changed,
) -> io::Result<(Entries, Vec<Box<[u8]>>)> {
    let hidden = changed.hidden(copy)?;
    let (mut shown, mut emptied) = (Entries::new(), Vec::new());
    for (path, entry) in entries {
        // A directory holds what is kept.
        if changed.is_kept(&path, Kind::Directory, &hidden) {
            continue;
        }
        if !matches!(entry.kind, EntryKind::Directory { .. }) && changed.is_above(&path) {
            emptied.push(path);
        } else {
            shown.insert(path, entry);
        }
    }
    Ok((shown, emptied))
}

/// Removes from a directory of the copy what is not kept.
fn remove_others(copy: BorrowedFd<'_>, path: &[u8], changed: &Changed) -> io::Result<()> {
    let below = read_upper(directory_beneath(copy, path)?.as_fd(), &mut |_, _| false)?;
    // What is in a directory comes before it.
    for (name, entry) in below.into_iter().rev() {
        let path = [path, b"/", &name].concat();
        if !changed.kept.contains(&*path) && !changed.is_above(&path) {
            beneath::remove(copy, &path, entry.stat.kind)?;
        }
    }
    Ok(())
}

/// Puts the entries of a directory into the copy.
fn put(layer: BorrowedFd<'_>, copy: BorrowedFd<'_>, entries: &Entries) -> io::Result<()> {
    for (path, entry) in entries {
        let is_directory = matches!(entry.kind, EntryKind::Directory { .. });
        let there = walk::stat_beneath(copy, path)?;
        if there.is_some_and(|there| !is_directory || there.kind != Kind::Directory) {
            beneath::remove_all(copy, path)?;
        }
        match entry.kind {
            EntryKind::Directory { .. }
                if there.is_none_or(|there| there.kind != Kind::Directory) =>
            {
                beneath::make_directory(copy, path)?;
            }
            EntryKind::File(_) => {
                beneath::copy_file(&open_beneath(layer, path)?, copy, path, &entry.stat)?;
            }
            EntryKind::Symlink => {
                let target = beneath::link_target(layer, path).unwrap_or_default();
                beneath::make_link(copy, path, &target)?;
            }
            _ => {}
        }
    }
    // What is in a directory has been written.
    let is_directory = |kind| matches!(kind, EntryKind::Directory { .. });
    for (path, entry) in entries.iter().rev().filter(|(_, entry)| is_directory(entry.kind)) {
        beneath::set_mode(copy, path, entry.stat.mode)?;
    }
    Ok(())
}
