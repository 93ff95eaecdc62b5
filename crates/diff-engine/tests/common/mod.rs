//! Cases of changes, and applying their patches by the tools that people use.

// Each test program uses some of this.
#![allow(dead_code)]

pub(crate) mod patch;
#[cfg(unix)]
pub(crate) mod tools;

use std::collections::BTreeMap;

use diff_engine::{DiffEngine, FileChange, FileDiff, FileHeader, Policy, RenderOptions, Side};

/// The files of a folder: content and whether it is executable.
pub(crate) type Files = BTreeMap<Vec<u8>, (Vec<u8>, bool)>;

pub(crate) fn engine(strategy: &str) -> DiffEngine {
    DiffEngine::bundled(Policy { strategy: strategy.to_owned(), ..Policy::default() })
}

/// One file's change: contents are `None` where there is no file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) change: FileChange<'a>,
    pub(crate) old: Option<&'a [u8]>,
    pub(crate) new: Option<&'a [u8]>,
    pub(crate) modes: (u32, u32),
}

impl<'a> Case<'a> {
    pub(crate) fn modify(path: &'a [u8], old: &'a [u8], new: &'a [u8]) -> Self {
        Self {
            change: FileChange::Modify { path },
            old: Some(old),
            new: Some(new),
            modes: (0o644, 0o644),
        }
    }

    pub(crate) fn create(path: &'a [u8], new: &'a [u8]) -> Self {
        Self {
            change: FileChange::Create { path },
            old: None,
            new: Some(new),
            modes: (0o644, 0o644),
        }
    }

    pub(crate) fn delete(path: &'a [u8], old: &'a [u8]) -> Self {
        Self {
            change: FileChange::Delete { path },
            old: Some(old),
            new: None,
            modes: (0o644, 0o644),
        }
    }

    pub(crate) fn rename(from: &'a [u8], to: &'a [u8], old: &'a [u8], new: &'a [u8]) -> Self {
        Self {
            change: FileChange::Rename { from, to },
            old: Some(old),
            new: Some(new),
            modes: (0o644, 0o644),
        }
    }

    pub(crate) fn mode(path: &'a [u8], content: &'a [u8], modes: (u32, u32)) -> Self {
        Self { change: FileChange::Mode { path }, old: Some(content), new: Some(content), modes }
    }

    pub(crate) fn header(&self) -> FileHeader<'a> {
        FileHeader {
            old_mode: self.old.map(|_| self.modes.0),
            new_mode: self.new.map(|_| self.modes.1),
            ..FileHeader::new(self.change)
        }
    }

    pub(crate) fn sides(&self) -> (Side<'a>, Side<'a>) {
        let side = |content: Option<&'a [u8]>| content.map_or(Side::Absent, Side::Text);
        (side(self.old), side(self.new))
    }

    pub(crate) fn diff(&self, engine: &DiffEngine) -> FileDiff {
        let (old, new) = self.sides();
        engine.diff(old, new)
    }

    pub(crate) fn patch(&self, engine: &DiffEngine) -> Vec<u8> {
        self.patch_with(engine, &RenderOptions::default())
    }

    pub(crate) fn patch_with(&self, engine: &DiffEngine, options: &RenderOptions) -> Vec<u8> {
        let (old, new) = self.sides();
        let diff = engine.diff(old, new);
        let mut out = Vec::new();
        engine
            .render(&self.header(), &diff, old, new, options, &mut out)
            .expect("writing to memory works");
        out
    }

    pub(crate) fn before(&self) -> Files {
        let (from, _) = self.change.paths();
        files(from, self.old, self.modes.0)
    }

    pub(crate) fn after(&self) -> Files {
        let (_, to) = self.change.paths();
        files(to, self.new, self.modes.1)
    }
}

fn files(name: &[u8], content: Option<&[u8]>, mode: u32) -> Files {
    content
        .map(|content| (name.to_vec(), (content.to_vec(), mode & 0o100 != 0)))
        .into_iter()
        .collect()
}
