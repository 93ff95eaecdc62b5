//! What must hold after the torture.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use miette::{IntoDiagnostic as _, Result, miette};
use orchestrator_adapter::{DiskOwner, Event, Patch, PatchId, PatchState, SessionState};

use crate::world::{must, options};

/// Checks everything; prints what it found.
pub(super) fn everything(folder: &Path, before: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let layer = DiskOwner::open(options(folder)).into_diagnostic()?;
    let recovered = layer.recover().into_diagnostic()?;
    let log = layer.verify_log().into_diagnostic()?;
    must(log.is_intact(), || format!("the log is broken at {:?}", log.broken_at))?;
    let (proposed, decided) = acknowledged(folder, &layer)?;
    let orphans = orphans(&layer)?;
    let files = workspace(folder, &layer, before)?;
    let swept = layer.sweep(Duration::from_secs(3600)).into_diagnostic()?;
    must(swept.complete, || "the sweep is not complete".to_owned())?;
    layer.flush().into_diagnostic()?;
    let (contents, bytes) = state(folder, layer)?;
    println!(
        "{proposed} acknowledged proposals and {decided} decisions found as they were left; \
         {orphans} sessions orphaned with what they had pending; \
         {} events in an unbroken chain; {files} files as they were applied; {} applies \
         recovered at the end; after gc {contents} contents in {bytes} bytes of disk",
        log.events,
        recovered.recovered.len(),
    );
    Ok(())
}

/// With every process killed, one sweep finds all of their sessions orphaned, and what
/// they had pending still waits; how many.
fn orphans(layer: &DiskOwner) -> Result<usize> {
    let pending = || -> Result<Vec<PatchId>> {
        let status = layer.status().into_diagnostic()?;
        let patches = status.sessions.iter().flat_map(|session| &session.patches);
        Ok(patches.map(|patch| patch.id).collect())
    };
    let before = pending()?;
    layer.sweep(Duration::from_secs(3600)).into_diagnostic()?;
    let open = layer.sessions().into_diagnostic()?;
    let open: Vec<_> = open.iter().filter(|s| s.state == SessionState::Open).collect();
    for session in &open {
        must(session.orphaned_at.is_some(), || format!("{} has no owner", session.id))?;
    }
    must(pending()? == before, || "a sweep took what was pending".to_owned())?;
    Ok(open.len())
}

/// Every answer that a process recorded is in the store; how many proposals and decisions.
fn acknowledged(folder: &Path, layer: &DiskOwner) -> Result<(u64, u64)> {
    let (mut proposed, mut decided) = (0, 0);
    for entry in fs::read_dir(folder).into_diagnostic()? {
        let entry = entry.into_diagnostic()?;
        if !entry.file_name().to_string_lossy().starts_with("acknowledged-") {
            continue;
        }
        for line in fs::read_to_string(entry.path()).into_diagnostic()?.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let patch = |id: &str| -> Result<Patch> {
                let id: PatchId = id.parse().into_diagnostic()?;
                layer.patch(id).map_err(|error| miette!("`{line}` was acknowledged: {error}"))
            };
            match words.as_slice() {
                ["proposed", id, path, digest] => {
                    let patch = patch(id)?;
                    // The agent may have rewritten it since.
                    let mut revisions = layer.earlier_revisions(patch.id).into_diagnostic()?;
                    revisions.push(patch);
                    let is_it = |patch: &Patch| {
                        let staged = patch.staged.map(|staged| staged.digest.to_string());
                        patch.path.to_string() == *path && staged.as_deref() == Some(*digest)
                    };
                    must(revisions.iter().any(is_it), || {
                        format!("`{line}` was acknowledged, and the store holds {revisions:?}")
                    })?;
                    proposed += 1;
                }
                ["applied", id] => {
                    let is_so = patch(id)?.state == PatchState::Applied;
                    must(is_so, || format!("`{line}` was acknowledged, and it is not so"))?;
                    decided += 1;
                }
                ["discarded", id] => {
                    let is_so = patch(id)?.state == PatchState::Discarded;
                    must(is_so, || format!("`{line}` was acknowledged, and it is not so"))?;
                    decided += 1;
                }
                ["refused", _] => {}
                _ => return Err(miette!("a record is torn: {line}")),
            }
        }
    }
    Ok((proposed, decided))
}

/// Each file holds what was applied to it last, or what it held before; how many files.
fn workspace(
    folder: &Path,
    layer: &DiskOwner,
    before: &BTreeMap<String, Vec<u8>>,
) -> Result<usize> {
    let mut expected: BTreeMap<String, String> = before
        .iter()
        .map(|(name, content)| (name.clone(), blake3::hash(content).to_hex().to_string()))
        .collect();
    let mut applied: HashMap<String, (u64, String)> = HashMap::new();
    let newest = layer.newest_event().into_diagnostic()?;
    let mut seq = 0;
    while seq < newest {
        for record in layer.events_since(seq, 1000).into_diagnostic()? {
            must(record.seq == seq + 1, || format!("a gap behind event {seq}"))?;
            seq = record.seq;
            if let Event::PatchApplied { patch, path, apply, .. } = record.event {
                let patch = layer.patch(patch).into_diagnostic()?;
                let staged = patch.staged.ok_or_else(|| miette!("only writes are proposed"))?;
                let last = applied.entry(path.to_string()).or_default();
                must(apply.0 > last.0, || format!("{path} was applied in another order"))?;
                *last = (apply.0, staged.digest.to_string());
            }
        }
    }
    expected.extend(applied.into_iter().map(|(path, (_, digest))| (path, digest)));
    let mut found = BTreeMap::new();
    walk(&folder.join("work"), &mut |path, content| {
        let name = path.strip_prefix(folder.join("work")).into_diagnostic()?;
        let name = name.to_string_lossy().into_owned();
        found.insert(name, blake3::hash(&content).to_hex().to_string());
        Ok(())
    })?;
    for (name, digest) in &expected {
        must(found.get(name) == Some(digest), || format!("`{name}` is not what was applied"))?;
    }
    for name in found.keys() {
        must(expected.contains_key(name), || format!("`{name}` was never applied"))?;
    }
    Ok(found.len())
}

/// The state directory holds the contents that a patch needs, and no others. Closes the
/// store for it.
fn state(folder: &Path, layer: DiskOwner) -> Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let (contents, damaged) = layer.check_contents().into_diagnostic()?;
    must(damaged.is_empty(), || format!("damaged contents in {damaged:?}"))?;
    let mut needed: HashMap<String, u64> = HashMap::new();
    for number in 1..=layer.newest_event().into_diagnostic()? {
        // There are fewer patches than events.
        let Ok(patch) = layer.patch(PatchId(number)) else { continue };
        if patch.content_kept {
            let base = patch.base.as_ref().map(|base| (base.content.digest, base.content.bytes));
            let staged = patch.staged.map(|staged| (staged.digest, staged.bytes));
            for (digest, bytes) in base.into_iter().chain(staged) {
                needed.insert(digest.to_string(), bytes);
            }
        }
    }
    must(needed.len() as u64 == contents, || "a content is kept that no patch needs".to_owned())?;
    drop(layer);
    // With the last process gone, nothing is being appended to.
    let layer = DiskOwner::open(options(folder)).into_diagnostic()?;
    layer.sweep(Duration::from_secs(3600)).into_diagnostic()?;
    let blocks = |bytes: u64| bytes.next_multiple_of(4096);
    let allowed: u64 = needed.values().map(|bytes| blocks(*bytes)).sum();
    let mut used = 0;
    let mut others = HashSet::new();
    walk_names(&folder.join("state"), &mut |path| {
        let name = path.strip_prefix(folder.join("state")).into_diagnostic()?;
        let first = name.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned());
        match first.as_deref() {
            Some("blobs") => {
                used += fs::metadata(path).into_diagnostic()?.blocks() * 512;
                let is_pack = name.extension().is_some_and(|extension| extension == "pack");
                let file = name.file_name().map(|name| name.to_string_lossy().into_owned());
                if !is_pack && !file.is_some_and(|file| needed.contains_key(&file)) {
                    others.insert(name.to_owned());
                }
            }
            Some("journal" | "conflicts") => {
                others.insert(name.to_owned());
            }
            _ => {}
        }
        Ok(())
    })?;
    must(others.is_empty(), || format!("left behind: {others:?}"))?;
    // Holes split the file system's own map of a pack, which takes blocks as well.
    let slack = allowed / 20 + (64 << 10);
    must(used <= allowed + slack, || {
        format!("{used} bytes of disk for {allowed} that are needed")
    })?;
    Ok((contents, used))
}

fn walk(dir: &Path, see: &mut dyn FnMut(&Path, Vec<u8>) -> Result<()>) -> Result<()> {
    walk_names(dir, &mut |path| see(path, fs::read(path).into_diagnostic()?))
}

fn walk_names(dir: &Path, see: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(dir).into_diagnostic()? {
        let path = entry.into_diagnostic()?.path();
        if path.is_dir() { walk_names(&path, see)? } else { see(&path)? }
    }
    Ok(())
}
