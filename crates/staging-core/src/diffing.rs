//! Diffs of patches, and merges, by the diff engine.

use std::io::{self, BufReader, Write};
use std::sync::{Arc, Mutex};

use atomic_fs::{Digest, EntryKind, RelPath};
use diff_engine::{
    Amount, Content, DiffEngine, FileChange, FileDiff, FileHeader, FileStat, HEAD_BYTES, Merge,
    Registry, Remark, RenderOptions, Side,
};

pub use diff_engine::{ChildLimits, Confinement, PluginHost, Policy};

use crate::contents::blobs::{BlobReader, Blobs, is_damage};
use crate::error::{Result, StagingError};
use crate::locks::unpoisoned;
use crate::options::{Hosting, StagingOptions};
use crate::patch::{DiffSummary, Operation, Patch};
use crate::plugins;
use crate::quarantine::Quarantine;
use crate::request::DiffOptions;
use crate::risk::of_contents::{Texts, of_contents, risk_of};
use crate::risk::of_row::{Targets, made_executable, of_row};

/// A longer diff is left out of the notice of a proposed patch.
const NOTICE_DIFF_BYTES_MAX: usize = 256 * 1024;

/// Compares bases with staged contents.
pub(crate) struct Differ {
    engine: DiffEngine,
    /// The permission bits of a file that is created without naming a mode.
    plain_mode: u32,
    /// Reports of strategies that failed while a diff was shown: the patch is stored already, so
    /// its remarks cannot hold them.
    pub(crate) warnings: Mutex<Vec<String>>,
}

/// The content of one side of a patch.
#[derive(Clone)]
pub(crate) enum Sided {
    Absent,
    Held(Arc<[u8]>),
    /// The content's length and first bytes.
    TooLarge(u64, Vec<u8>),
}

impl Sided {
    fn as_side(&self) -> Side<'_> {
        match self {
            Self::Absent => Side::Absent,
            Self::Held(content) => Side::Text(content),
            Self::TooLarge(bytes, _) => Side::TooLarge { bytes: *bytes },
        }
    }

    /// The content's first bytes.
    fn head(&self) -> &[u8] {
        match self {
            Self::Absent => b"",
            Self::Held(content) => &content[..content.len().min(HEAD_BYTES)],
            Self::TooLarge(_, head) => head,
        }
    }

    /// The content, where there is one and it is held.
    fn text(&self) -> Option<&[u8]> {
        if let Self::Held(content) = self { Some(content) } else { None }
    }

    fn is_compared(&self) -> bool {
        !matches!(self, Self::TooLarge(..))
    }
}

impl Differ {
    /// An engine with the bundled strategies and those that the user allowed. Quarantined
    /// strategies are not run.
    pub(crate) fn new(options: &StagingOptions, quarantine: Quarantine) -> Result<Self> {
        let failed =
            |error: &dyn std::fmt::Display| StagingError::Diff { reason: error.to_string() };
        let mut registry = Registry::bundled();
        let needs_a_folder = cfg!(not(target_os = "linux")) && !options.strategies.is_empty();
        if needs_a_folder {
            quarantine.prepare().map_err(|error| failed(&error))?;
        }
        for allowed in &options.strategies {
            let sticky = options.allow_sticky_folders;
            let library = plugins::library(allowed, quarantine.folder(), sticky);
            match (allowed.hosting, &options.plugin_host) {
                (Hosting::InProcess, _) => registry.add_in_process(library),
                (Hosting::Child, Some(host)) => {
                    registry.add_in_child(library, host, options.plugin_limits)
                }
                (Hosting::Child, None) => {
                    return Err(failed(&format_args!(
                        "the strategy `{}` has no plugin host to run in: name one, or allow it \
                         to run in this process",
                        allowed.name
                    )));
                }
            }
            .map_err(|error| failed(&error))?;
            if let Some(why) = quarantine.reason(&allowed.blake3) {
                registry.quarantine(&allowed.name, &why);
            }
        }
        let name = &options.diff.strategy;
        if !registry.contains(name) {
            return Err(failed(&format_args!("there is no strategy `{name}`")));
        }
        let libraries = options.strategies.clone();
        registry.on_misbehaviour(move |name, why| {
            if let Some(library) = libraries.iter().find(|library| library.name == name) {
                quarantine.record(&library.blake3, why);
            }
        });
        let engine = DiffEngine::new(options.diff.clone(), registry);
        let plain_mode = options.new_file_mode;
        Ok(Self { engine, plain_mode, warnings: Mutex::default() })
    }

    /// The length up to which contents are compared; a longer one need not be loaded.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.engine.policy().size_max_bytes
    }

    /// Merges two contents that were made from the same base.
    pub(crate) fn merge(&self, base: &[u8], ours: &[u8], theirs: &[u8]) -> Merge {
        self.engine.merge(base, ours, theirs)
    }

    /// The summary of a patch's diff and, if requested, its text.
    pub(crate) fn summarise(
        &self,
        patch: &Patch,
        old: &Sided,
        new: &Sided,
        with_text: bool,
    ) -> (DiffSummary, Option<Arc<[u8]>>) {
        let sides = sections(patch, old.as_side(), new.as_side());
        let diffs = self.diffs(&sides);
        let mut text = Bounded(Vec::new());
        // An error: the diff is too long, or the content is not loaded. Readers request such a
        // diff.
        let options = RenderOptions::default();
        let is_shown = with_text && self.render(patch, &diffs, &sides, &options, &mut text).is_ok();
        // The engine adds these remarks to contents that it compares.
        let heads = match old.is_compared() && new.is_compared() || same_content(patch) {
            true => Vec::new(),
            false => Remark::of_heads(old.head(), new.head()),
        };
        let remarks = || diffs.iter().flat_map(|diff| &diff.remarks).chain(&heads);
        let removed = diffs.iter().map(|diff| diff.removed).sum();
        let texts = Texts { old: old.text(), new: new.text(), removed };
        let targets = targets(patch, old, new);
        let mut risks = of_row(patch, Some(self.plain_mode), targets);
        risks.extend(of_contents(patch, &texts, remarks()));
        let of_diff = remarks().filter(|remark| risk_of(remark).is_none());
        let summary = DiffSummary {
            strategy: diffs.last().map(|diff| diff.strategy.clone()).unwrap_or_default(),
            added: diffs.iter().map(|diff| diff.added).sum(),
            removed,
            full_replace: diffs.iter().any(|diff| diff.is_whole_file()),
            binary: diffs.iter().any(|diff| diff.binary),
            remarks: of_diff.map(ToString::to_string).collect(),
            risks,
        };
        (summary, is_shown.then(|| text.0.into()))
    }

    fn diffs(&self, sides: &[(Side<'_>, Side<'_>)]) -> Vec<FileDiff> {
        sides.iter().map(|(old, new)| self.engine.diff(*old, *new)).collect()
    }

    /// Writes a patch's diff from loaded contents.
    fn render(
        &self,
        patch: &Patch,
        diffs: &[FileDiff],
        sides: &[(Side<'_>, Side<'_>)],
        options: &RenderOptions,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let names = Names::of(patch);
        let headers = names.headers(patch, self.plain_mode);
        for ((header, diff), (old, new)) in headers.iter().zip(diffs).zip(sides) {
            match header {
                Header::Directory { is_new, mode } => {
                    diff_engine::write_directory(patch.path.as_bytes(), *is_new, *mode, out)?;
                }
                Header::File(header) => {
                    self.engine.render(header, diff, *old, *new, options, out)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the diff between two contents of a file.
    pub(crate) fn write_edit(
        &self,
        path: &RelPath,
        old: &[u8],
        new: &[u8],
        options: &DiffOptions,
        out: &mut dyn Write,
    ) -> Result<()> {
        let header = FileHeader {
            change: FileChange::Modify { path: path.as_bytes() },
            old_mode: None,
            new_mode: None,
            old_digest: None,
            new_digest: None,
        };
        let (old, new) = (Side::Text(old), Side::Text(new));
        let diff = self.engine.diff(old, new);
        let rendered = self.engine.render(&header, &diff, old, new, &options.into(), out);
        rendered.map_err(|source| StagingError::Output { source })
    }

    /// Writes a patch's diff from its stored contents.
    pub(crate) fn write(
        &self,
        patch: &Patch,
        blobs: &Blobs,
        options: &DiffOptions,
        out: &mut dyn Write,
    ) -> Result<()> {
        let render = options.into();
        let [old, new] = patch.contents();
        let is_large = self.engine.over_limit(length(old), length(new));
        if is_large && !same_content(patch) {
            return self.write_large(patch, blobs, &render, out);
        }
        let load = |side: Option<(Digest, u64)>| -> Result<Sided> {
            // An unchanged content is not shown.
            let Some((digest, _)) = side.filter(|_| !same_content(patch)) else {
                return Ok(Sided::Absent);
            };
            Ok(Sided::Held(blobs.read(&digest, None).map_err(damaged(&patch.path))?.into()))
        };
        let (old, new) = (load(old)?, load(new)?);
        let sides = sections(patch, old.as_side(), new.as_side());
        let diffs = self.diffs(&sides);
        let replaced = |remark: &&Remark| matches!(remark, Remark::StrategyReplaced { .. });
        let warnings = diffs.iter().flat_map(|diff| &diff.remarks).filter(replaced);
        unpoisoned(&self.warnings)
            .extend(warnings.map(|remark| format!("`{}`: {remark}", patch.path)));
        let rendered = self.render(patch, &diffs, &sides, &render, out);
        rendered.map_err(|source| StagingError::Output { source })
    }

    /// [`write`](Self::write) for a patch whose contents are too large to load.
    fn write_large(
        &self,
        patch: &Patch,
        blobs: &Blobs,
        render: &RenderOptions,
        out: &mut dyn Write,
    ) -> Result<()> {
        let names = Names::of(patch);
        let headers = names.headers(patch, self.plain_mode);
        let [old, new] = patch.contents();
        let each = match headers.as_slice() {
            [_, _] => vec![(old, None), (None, new)],
            _ => vec![(old, new)],
        };
        for (header, (old, new)) in headers.iter().zip(each) {
            let Header::File(header) = header else { continue };
            let open = |side: Option<(Digest, u64)>| {
                side.map(|(digest, bytes)| open_checked(blobs, &patch.path, &digest, bytes))
                    .transpose()
            };
            let (mut old, mut new) = (open(old)?, open(new)?);
            self.engine
                .render_whole_file(
                    header,
                    old.as_mut().map(|file| file as &mut dyn Content),
                    new.as_mut().map(|file| file as &mut dyn Content),
                    render,
                    out,
                )
                .map_err(|source| StagingError::Output { source })?;
        }
        Ok(())
    }

    /// Writes the diffstat.
    pub(crate) fn write_stat(
        &self,
        patches: &[&Patch],
        columns: usize,
        out: &mut dyn Write,
    ) -> Result<()> {
        let stats: Vec<FileStat> = patches
            .iter()
            .map(|patch| {
                let diff = &patch.diff;
                let amount = if diff.full_replace {
                    let [old, new] = patch.contents().map(length);
                    Amount::Bytes { old, new }
                } else {
                    Amount::Lines { added: diff.added, removed: diff.removed }
                };
                FileStat::of(Names::of(patch).change(patch.operation), amount)
            })
            .collect();
        diff_engine::render_stat(&stats, columns, out)
            .map_err(|source| StagingError::Output { source })
    }

    /// Writes what happens to the files besides their lines.
    pub(crate) fn write_summary(&self, patches: &[&Patch], out: &mut dyn Write) -> Result<()> {
        for patch in patches {
            let names = Names::of(patch);
            for header in names.headers(patch, self.plain_mode) {
                let written = match header {
                    Header::Directory { is_new, mode } => {
                        let path = patch.path.as_bytes();
                        out.write_all(b" ")
                            .and_then(|()| diff_engine::write_directory(path, is_new, mode, out))
                    }
                    Header::File(header) => diff_engine::write_summary(&header, out),
                };
                written.map_err(|source| StagingError::Output { source })?;
            }
        }
        Ok(())
    }
}

impl From<&DiffOptions> for RenderOptions {
    fn from(options: &DiffOptions) -> Self {
        Self { context_lines: Some(options.context_lines), binary: options.binary }
    }
}

/// What each section of a patch's diff compares. A change of the kind has two, a deletion and a
/// creation, as in git. An unchanged content is not compared: it is never a full replacement,
/// whatever its size.
fn sections<'s>(patch: &Patch, old: Side<'s>, new: Side<'s>) -> Vec<(Side<'s>, Side<'s>)> {
    match patch.changes_kind() {
        true => vec![(old, Side::Absent), (Side::Absent, new)],
        false if same_content(patch) => vec![(Side::Text(b""), Side::Text(b""))],
        false => vec![(old, new)],
    }
}

fn length(content: Option<(Digest, u64)>) -> u64 {
    content.map_or(0, |(_, bytes)| bytes)
}

/// Whether a patch changes no content.
fn same_content(patch: &Patch) -> bool {
    let [old, new] = patch.contents();
    old.is_some() && old == new && !patch.changes_kind()
}

/// The targets of the symbolic links that a patch is about.
fn targets(patch: &Patch, old: &Sided, new: &Sided) -> Targets {
    let target = |kind: Option<EntryKind>, side: &Sided| {
        // Every target is short enough to be held.
        let target = side.text().unwrap_or_else(|| side.head());
        (kind == Some(EntryKind::Symlink)).then(|| atomic_fs::escape_bytes(target))
    };
    let base = patch.base.as_ref().map(|base| base.kind());
    let staged = patch.staged.map(|staged| staged.kind());
    Targets { old: target(base, old), new: target(staged, new) }
}

/// Opens a content that is too large to load, and verifies its digest first.
fn open_checked(
    blobs: &Blobs,
    path: &RelPath,
    digest: &Digest,
    bytes: u64,
) -> Result<BufReader<BlobReader>> {
    let mut file = blobs.open_blob(digest, None).map_err(damaged(path))?;
    let found = Digest::of_reader(&mut file).map_err(damaged(path))?;
    if found != (*digest, bytes) {
        let reason = "its bytes are not those that were stored".to_owned();
        return Err(StagingError::Damaged { path: path.clone(), reason });
    }
    io::Seek::rewind(&mut file).map_err(damaged(path))?;
    Ok(BufReader::with_capacity(256 * 1024, file))
}

/// Maps an error of reading stored content: the content is damaged, or a system call failed and
/// the content may be intact.
pub(crate) fn damaged(path: &RelPath) -> impl Fn(io::Error) -> StagingError {
    let path = path.clone();
    move |source| {
        let path = path.clone();
        if is_damage(&source) {
            return StagingError::Damaged { path, reason: source.to_string() };
        }
        StagingError::ContentUnreadable { path, source }
    }
}

/// The texts that a header borrows.
struct Names<'p> {
    path: &'p [u8],
    to: &'p [u8],
    old_digest: Option<String>,
    new_digest: Option<String>,
}

impl<'p> Names<'p> {
    fn of(patch: &'p Patch) -> Self {
        Self {
            path: patch.path.as_bytes(),
            to: patch.rename_to.as_ref().unwrap_or(&patch.path).as_bytes(),
            old_digest: patch.base.as_ref().map(|base| base.content.digest.to_string()),
            new_digest: patch.staged.map(|staged| staged.digest.to_string()),
        }
    }

    fn change(&self, operation: Operation) -> FileChange<'p> {
        let path = self.path;
        match operation {
            Operation::Create => FileChange::Create { path },
            Operation::Modify => FileChange::Modify { path },
            Operation::Delete => FileChange::Delete { path },
            Operation::Rename => FileChange::Rename { from: path, to: self.to },
            Operation::Mode => FileChange::Mode { path },
        }
    }

    /// The headers of a patch's sections, in their order.
    fn headers(&self, patch: &Patch, plain_mode: u32) -> Vec<Header<'_>> {
        // Git knows two modes of files: they represent a new file with the default mode, and one
        // that is executable in addition.
        let created = |mode: u32| match mode {
            mode if mode == plain_mode => 0o644,
            mode if mode == made_executable(plain_mode) => 0o755,
            mode => mode,
        };
        let is_new = patch.changes_kind() || patch.operation == Operation::Create;
        let old = patch.base.as_ref().map(|base| base.content.mode);
        let new = patch.staged.map(|staged| match is_new {
            true => created(staged.mode),
            false => staged.mode,
        });
        let header = |change: FileChange<'p>, old_mode: Option<u32>, new_mode: Option<u32>| {
            let is_directory = |mode: &u32| EntryKind::of_mode(*mode) == EntryKind::Directory;
            match new_mode.or(old_mode).filter(is_directory) {
                Some(mode) => Header::Directory { is_new: new_mode.is_some(), mode },
                None => Header::File(FileHeader {
                    change,
                    old_mode,
                    new_mode,
                    old_digest: self.old_digest.as_deref(),
                    new_digest: self.new_digest.as_deref(),
                }),
            }
        };
        if patch.changes_kind() {
            let (delete, create) = (self.change(Operation::Delete), self.change(Operation::Create));
            return vec![header(delete, old, None), header(create, None, new)];
        }
        vec![header(self.change(patch.operation), old, new)]
    }
}

/// The header of a section of a diff.
enum Header<'p> {
    File(FileHeader<'p>),
    /// A directory. Git's diffs have none, so this is the whole section.
    Directory {
        is_new: bool,
        mode: u32,
    },
}

/// A buffer for a notice's diff; a write beyond its limit fails.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > NOTICE_DIFF_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too long for a notice"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
