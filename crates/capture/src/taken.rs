//! Proposes private files of a capture that somebody asks for by name.
//!
//! They are taken as they are at that moment. What commands write to them later stays private.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;

use staging_core::RelPath;

use crate::bases::{Modes, ViewBases};
use crate::bytes::Bytes;
use crate::changes::Changes;
use crate::error::{Result, failed};
use crate::files::open;
use crate::hidden::Hidden;
use crate::import::{Found, Importer, LastImport, Wanted, clocks, sorted};
use crate::layer::Layer;
use crate::paths::{is_git, is_in};
use crate::pending;
use crate::rules::{Private, Rules};
use crate::session::{Report, SessionCapture};
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Timestamp};
use crate::survey::{now, survey};
use crate::tree::Entries;

/// The file of a capture that records what was taken.
const TAKEN: &str = "taken";

/// What was asked for, and whether it is there.
#[derive(Debug)]
pub enum Taken {
    /// All of it was taken.
    Report(Report),
    /// The session's commands have written nothing private at this path; nothing was staged.
    NotPrivate {
        /// The path.
        path: RelPath,
        /// Whether they have written something there that is imported as any other file.
        is_imported: bool,
    },
}

impl SessionCapture<'_> {
    /// Stages what the session's commands have made of private files: each path is a file, or a
    /// directory with what is private in it. Git's own files are never taken. What was staged before is
    /// staged again; a base is proven as by [`import`](Self::import), and else the patch is stale.
    ///
    /// # Errors
    /// An error of the store, the state directory or the workspace. Nothing is staged then.
    pub fn take(&self, paths: &[RelPath]) -> Result<Taken> {
        let _lock = self.dir.lock()?;
        let workspace = &self.layer.options().workspace;
        let (root, upper) = (open(workspace)?, Layer::of(&self.dir)?);
        let mut private = Private::new(self.read("rules")?.unwrap_or_default());
        let read_at = now();
        let (entries, others) = self.private_entries(paths, &upper, &mut private)?;
        let mut last: LastImport = self.read(TAKEN)?.unwrap_or_default();
        for path in paths {
            let is_at = |found: &[u8]| is_in(found, path.as_bytes());
            let is_there = entries.iter().any(|(found, entry)| {
                is_at(found) && (entry.stat.kind != Kind::Directory || **found == *path.as_bytes())
            });
            if !is_there && !last.keys().any(|taken| is_at(taken.as_bytes())) {
                let is_imported = others.iter().any(|found| is_at(found));
                return Ok(Taken::NotPrivate { path: path.clone(), is_imported });
            }
        }
        // What a directory has lost is known from the workspace alone: nothing was seen in it.
        let there = survey(root.as_fd(), &mut |path, _| !is_related(path, paths));
        let there = there.map_err(failed("read", workspace))?.snapshot;
        let (changes, mut not_proposed) = sorted(Changes::new(&entries, &there));
        let (view, hidden) = (self.shown()?, Hidden::read(&self.dir)?);
        let nothing = Snapshot::new(Timestamp::default(), []);
        let bases = ViewBases {
            seen: hidden.ignored.as_ref().unwrap_or(&nothing),
            hidden: &hidden,
            root: root.as_fd(),
            view: view.as_ref().map(|view| view.as_fd()),
            clocks: clocks(&root, &upper.root),
        };
        let earlier = last.clone();
        let mut importer = Importer {
            layer: self.layer,
            bases: &bases,
            last: &earlier,
            shown: &self.read(pending::FILE)?.unwrap_or_default(),
            root: root.as_fd(),
            upper: upper.root.as_fd(),
            modes: Modes::Whole,
            wanted: Wanted::All,
            read_at,
            found: Found::default(),
        };
        importer.collect(&changes)?;
        let mut found = importer.found;
        not_proposed.append(&mut found.not_proposed);
        let present: BTreeSet<&RelPath> = changes.iter().map(|(path, _)| path).collect();
        let gone = earlier.keys().filter(|path| is_asked(path.as_bytes(), paths));
        let gone = gone.filter(|path| !present.contains(path)).cloned().collect();
        let mut report = self.stage(TAKEN, found, &mut last, &gone)?;
        report.not_proposed = not_proposed;
        Ok(Taken::Report(report))
    }

    /// The paths of private files that the session's commands have written, git's own left out.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn private_paths(&self) -> Result<Vec<String>> {
        let mut private = Private::new(self.read("rules")?.unwrap_or_default());
        let entries = Layer::of(&self.dir)?.entries(&mut |path, _| is_git(path))?.into_iter();
        let files = entries.filter(|(_, entry)| entry.stat.kind != Kind::Directory);
        let private = files.filter(|(path, entry)| private.is_private(path, entry.stat.kind));
        Ok(private.map(|(path, _)| staging_core::escape_bytes(&path)).collect())
    }

    /// The globs of ignored files that the session's commands propose.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn proposed_globs(&self) -> Result<Vec<String>> {
        let rules: Rules = self.read("rules")?.unwrap_or_default();
        let text = |glob: Bytes| String::from_utf8_lossy(&glob.0).into_owned();
        Ok(rules.proposed.into_iter().map(text).collect())
    }

    /// Which of these paths are ignored, and are proposed because somebody wants it.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn ignored_among<'p>(
        &self,
        paths: impl Iterator<Item = &'p RelPath>,
    ) -> Result<Vec<&'p RelPath>> {
        let rules: Rules = self.read("rules")?.unwrap_or_default();
        let mut private = Private::new(Rules { patched: BTreeSet::new(), ..rules });
        Ok(paths.filter(|path| private.is_ignored(path.as_bytes(), Kind::File)).collect())
    }

    /// The private entries at and below the paths, and the paths of the others there.
    fn private_entries(
        &self,
        paths: &[RelPath],
        upper: &Layer,
        private: &mut Private<'_>,
    ) -> Result<(Entries, Vec<Box<[u8]>>)> {
        let entries = upper.entries(&mut |path, _| !is_related(path, paths))?;
        let (taken, others): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .filter(|(path, _)| is_asked(path, paths))
            .partition(|(path, entry)| private.is_private(path, entry.stat.kind));
        let others = others.into_iter().map(|(path, _)| path).collect();
        Ok((taken.into_iter().collect(), others))
    }
}

/// Whether an entry is asked for: it is at one of the paths, or below it.
fn is_asked(entry: &[u8], paths: &[RelPath]) -> bool {
    !is_git(entry) && paths.iter().any(|path| is_in(entry, path.as_bytes()))
}

/// Whether an entry is asked for, or is a directory on the way to what is.
fn is_related(entry: &[u8], paths: &[RelPath]) -> bool {
    is_asked(entry, paths) || paths.iter().any(|path| is_in(path.as_bytes(), entry))
}
