//! Writing slots anew that something else has removed, from the contents of the caller's store.
//!
//! Between a crash and the recovery anything can happen to a slot: `git clean`, a tool that mirrors
//! the tree, a user who tidies up. A slot that is written anew makes the unit one that the table
//! in docs/design.md knows, so that nothing else has to change: new content in it can go forward,
//! old content can go back.

use crate::apply::intent::{Action, Intent, Unit};
use crate::apply::lookup::Lookup;
use crate::apply::slot::NewFile;
use crate::conflict::{Conflict, Difference};
use crate::content::{ContentSource, Digest, EntryKind, Fingerprint};
use crate::error::FsError;
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::rel_path::RelPath;

/// What a slot is to hold again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refill {
    /// What the file was before the set.
    Base,
    /// What the set brings.
    Staged,
}

/// A unit whose slot is to be written anew.
pub(crate) type Wanted = (usize, Refill);

/// Removes what a crash left of writing slots anew: none of it was ever at a path.
pub(crate) fn remove_parts<D: Disk>(
    cache: &DirCache<'_, D>,
    intent: &Intent,
) -> Result<(), FsError> {
    for unit in &intent.units {
        let part = unit.part();
        if cache.stat(&part)?.is_none() {
            continue;
        }
        // Where the exclusive rename is a link, both names can be there.
        match cache.is_same_file(&part, &unit.slot)? {
            true => cache.drop_name(&part, &unit.slot)?,
            false => cache.remove_name(&part)?,
        }
    }
    Ok(())
}

/// Writes slots anew; returns the files for which that is not possible, and then none is written.
///
/// # Durability
/// The contents are durable when this returns, the slots' names are not.
///
/// # Errors
/// [`FsError`] where the disk fails; some of the slots may be written then, which the next
/// recovery finds.
pub(crate) fn refill<D: Disk>(
    cache: &DirCache<'_, D>,
    intent: &Intent,
    wanted: &[Wanted],
    contents: &dyn ContentSource,
) -> Result<Vec<Conflict>, FsError> {
    let mut missing = Vec::new();
    for &(index, refill) in wanted {
        let unit = &intent.units[index];
        let is_there = content_of(unit, refill)
            .is_some_and(|content| is_readable(contents, &content.digest, content.bytes));
        if !is_there {
            missing.push(Conflict::at(&unit.path, Difference::Unrestorable));
        }
    }
    if !missing.is_empty() {
        return Ok(missing);
    }
    let lookup = Lookup::new(intent);
    for &(index, refill) in wanted {
        let unit = &intent.units[index];
        let content = content_of(unit, refill).expect("looked for above");
        write(cache, &lookup, unit, refill, &content, contents)?;
    }
    Ok(Vec::new())
}

fn content_of(unit: &Unit, refill: Refill) -> Option<Fingerprint> {
    match refill {
        Refill::Base => unit.base(),
        Refill::Staged => unit.staged(),
    }
}

fn is_readable(contents: &dyn ContentSource, digest: &Digest, bytes: u64) -> bool {
    let read = contents.open(digest).and_then(|mut reader| Digest::of_reader(&mut reader));
    read.is_ok_and(|found| found == (*digest, bytes))
}

fn write<D: Disk>(
    cache: &DirCache<'_, D>,
    lookup: &Lookup<'_>,
    unit: &Unit,
    refill: Refill,
    content: &Fingerprint,
    contents: &dyn ContentSource,
) -> Result<(), FsError> {
    cache.make_parents(&unit.slot)?;
    let part = unit.part();
    cache.remove_name(&part)?;
    let continues = continued(cache, lookup, unit, content.kind())?;
    let stamp = (refill == Refill::Staged).then_some(unit.stamp);
    let stamp = stamp.filter(|stamp| *stamp != crate::os::file_state::UNKNOWN_STAMP);
    // What was moved aside and is gone has left its path, and may have left its slot.
    let is_replaced = matches!(unit.action, Action::Replace { .. });
    let is_aside = refill == Refill::Base && is_replaced && cache.stat(&unit.path)?.is_none();
    let goal = if is_aside { unit.aside() } else { unit.slot.clone() };
    let (own, path, continues) = (&part, &unit.path, continues.as_ref());
    let file = NewFile { own, path, content, continues, stamp }.write(cache, None, contents)?;
    match file {
        Some(file) => {
            cache.disk.sync_file(&file).map_err(FsError::io("sync the content of", &unit.path))?;
        }
        None => cache.sync_parent(&part)?,
    }
    cache.rename_own_to(&part, &goal)
}

/// The file that has the owner and attributes of what is written anew.
fn continued<D: Disk>(
    cache: &DirCache<'_, D>,
    lookup: &Lookup<'_>,
    unit: &Unit,
    kind: EntryKind,
) -> Result<Option<RelPath>, FsError> {
    let candidates: Vec<RelPath> = match &unit.action {
        Action::Replace { .. } => vec![unit.path.clone(), unit.slot.clone()],
        // The file that it continues may be in its slot by now.
        Action::Create { like: Some(like), .. } => {
            let left = lookup.leaving(like).first();
            left.map(|unit| unit.slot.clone()).into_iter().chain([like.clone()]).collect()
        }
        // And the other way round.
        Action::Delete { .. } => {
            let next = lookup.continuing(&unit.path);
            next.map(|next| [next.path.clone(), next.slot.clone()]).into_iter().flatten().collect()
        }
        _ => Vec::new(),
    };
    for path in candidates {
        if cache.stat(&path)?.is_some_and(|stat| EntryKind::of(stat.kind) == Some(kind)) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
