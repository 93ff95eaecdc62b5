//! Writes the layer that shows a session's pending patches in its next view.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::time::UNIX_EPOCH;

use staging_core::{Fingerprint, Patch, RelPath};

use crate::changes::{Entry, EntryKind};
use crate::error::{Result, failed};
use crate::import::LastImport;
use crate::layer::Layer;
use crate::leaving::Kept;
use crate::pending::{Shown, ShownPatches, shown};
use crate::session::SessionCapture;
use crate::stat::{Kind, Timestamp};
use crate::walk::stat_beneath;

impl SessionCapture<'_> {
    /// Which of the patches' paths are hidden by what is kept of commands' writes: no patch changes a private
    /// file of the session.
    fn hidden_in(&self, patches: &[Patch], kept: &Kept) -> Result<BTreeSet<RelPath>> {
        let above = |path: &RelPath| std::iter::successors(Some(path.clone()), RelPath::parent);
        let ways: BTreeSet<RelPath> = patches.iter().flat_map(paths_of).flat_map(above).collect();
        let ways: BTreeSet<&[u8]> = ways.iter().map(RelPath::as_bytes).collect();
        let written = Layer::of(&self.dir)?;
        let mut entries = written.entries(&mut |entry, _| !ways.contains(entry))?;
        entries.retain(|path, _| kept.has(path));
        let is_merged = |entry: &Entry| entry.kind == EntryKind::Directory { opaque: false };
        let is_hidden = |path: &RelPath| {
            above(path)
                .filter_map(|above| entries.get(above.as_bytes()))
                .any(|entry| !is_merged(entry))
        };
        Ok(patches.iter().flat_map(paths_of).filter(|path| is_hidden(path)).cloned().collect())
    }

    /// Writes the layer of what is pending, and returns what the next view shows of it. `before` is what
    /// the last one has shown, `kept` what stays of commands' writes, `last` what commands have written and was imported.
    pub(crate) fn write_pending(
        &self,
        mut patches: Vec<Patch>,
        kept: &Kept,
        before: &ShownPatches,
        last: &LastImport,
        root: BorrowedFd<'_>,
    ) -> Result<ShownPatches> {
        // A build tool sees that a file is as old as what it has built from it.
        let written_at = |path: &RelPath, content: &Fingerprint| {
            let imported = last.get(path).and_then(Option::as_ref);
            let imported = imported.map(|last| Shown {
                state: last.state,
                written_at: last.written_at(),
                ..Shown::default()
            });
            imported.as_ref().or(before.get(path)).and_then(|shown| shown.wrote(content))
        };
        let hidden = self.hidden_in(&patches, kept)?;
        patches.retain(|patch| paths_of(patch).any(|path| !hidden.contains(path)));
        let emptied = self.layer.write_layer(&patches, &self.dir, &written_at)?;
        let mut all = shown(&patches, emptied, |path| {
            let there = stat_beneath(root, path.as_bytes());
            let there = there.map_err(failed("read", &path.to_path_buf()))?;
            Ok(there.is_some_and(|there| there.kind == Kind::Directory))
        })?;
        for (path, shown) in &mut all {
            let written = shown.state.as_ref().and_then(|state| written_at(path, state));
            let since = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            shown.written_at = since.map(|since| Timestamp {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanos: since.subsec_nanos(),
            });
        }
        all.retain(|path, _| !hidden.contains(path));
        Ok(all)
    }
}

fn paths_of(patch: &Patch) -> impl Iterator<Item = &RelPath> {
    [&patch.path].into_iter().chain(&patch.rename_to)
}
