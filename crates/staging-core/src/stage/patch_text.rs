//! Proposing by a patch over many files: every file's part fits and is staged, or nothing is.
//!
//! A patch describes the files as the session sees them before any of it is staged. So every part
//! is fitted first, and then planned in an order in which no part blocks another: deletions, moves
//! (each after the one that frees its target), then contents.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

use atomic_fs::{Digest, EntryKind, Fingerprint, RelPath};
use patch_formats::{
    Change, EntryKind as Section, FilePatch, ModeChange, PatchText, Placement, Tree as _,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Result, StagingError};
use crate::ids::SessionId;
use crate::layer::{DiffStagingLayer, Inner};
use crate::stage::names::Named;
use crate::stage::plan::{Incoming, check_base, check_mode};
use crate::stage::proposal::{
    EDIT_BYTES_MAX, Meaning, PatchRequest, Proposed, Reading, too_long_to_edit,
};
use crate::stage::step::Touched;
use crate::stage::view::View;
use crate::stage::{Request, moves};

/// The patches that a patch text became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchProposed {
    /// One answer for each file of the patch, deletions first.
    pub proposed: Vec<Proposed>,
    /// How its hunks fitted, in the patch's order.
    pub fitted: Vec<FittedFile>,
}

/// How a patch's hunks fitted one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FittedFile {
    /// The file, before it moves.
    #[schemars(with = "String")]
    pub path: RelPath,
    /// Whether the file is what the patch says it was made from; nothing when it does not say.
    pub is_base: Option<bool>,
    /// Where its hunks fitted.
    #[serde(rename = "hunks")]
    #[schemars(with = "Vec<PlacementJson>")]
    pub placements: Vec<Placement>,
}

/// The schema of a [`Placement`], whose crate knows no schemas.
#[derive(JsonSchema)]
#[schemars(rename = "Placement")]
#[expect(dead_code, reason = "its fields are read by the derived schema alone")]
struct PlacementJson {
    /// The hunk, counted from 1 within the file.
    hunk: usize,
    /// The first line of the file that the hunk covers, counted from 1.
    line: usize,
    /// The distance in lines from the line in its header; null if it has no line numbers.
    offset: Option<i64>,
    /// `exact`, `line_endings`, `trailing_blanks`, `blanks` or `punctuation`.
    level: String,
}

impl DiffStagingLayer {
    /// Stages every change of a patch, or none. The workspace is not touched.
    ///
    /// # Errors
    /// `Usage` when the patch cannot be read, `NoMatch` when a part does not fit what the session
    /// sees, with the file and the hunk; else as [`propose`](Self::propose).
    pub fn propose_patch(
        &self,
        session: SessionId,
        request: &PatchRequest,
    ) -> Result<PatchProposed> {
        let patch = PatchText::parse(&request.text)?;
        self.0.check_files(patch.files.len())?;
        let fitted = RefCell::new(Vec::new());
        let proposed = self.0.stage_one(Request::new(session, |view| {
            let (touched, placed) = view.propose_patch(&patch, request)?;
            fitted.replace(placed);
            Ok(touched)
        }))?;
        Ok(PatchProposed { proposed, fitted: fitted.into_inner() })
    }
}

impl Inner {
    /// Refuses a patch over more files than a session may have patches, before any is looked at.
    fn check_files(&self, files: usize) -> Result<()> {
        let max = self.options.session_patches_max;
        if files as u64 > u64::from(max) {
            return Err(StagingError::PatchTooLarge { files, max });
        }
        Ok(())
    }
}

/// A file's part that fits, with its content stored.
struct Part {
    /// Where the file is before; where it will be when it is created.
    path: RelPath,
    kind: Kind,
    incoming: Incoming,
    is_directory: bool,
}

enum Kind {
    Create,
    CreateDirectory,
    Modify,
    Delete,
    Rename(RelPath),
}

impl View<'_> {
    fn propose_patch(
        &mut self,
        patch: &PatchText<'_>,
        request: &PatchRequest,
    ) -> Result<(Vec<Touched>, Vec<FittedFile>)> {
        let mut parts = Vec::with_capacity(patch.files.len());
        let mut fitted = Vec::with_capacity(patch.files.len());
        let mut bases: BTreeMap<RelPath, Digest> = BTreeMap::new();
        for (path, digest) in &request.bases {
            bases.insert(self.inner.workspace.resolve(path)?, *digest);
        }
        let changes = patch.resolve(&mut Named::new(self, request))?;
        let mut freed = HashSet::new();
        for (file, change) in patch.files.iter().zip(&changes) {
            if let Change::Delete { path } | Change::Rename { from: path, .. } = change {
                let mut named = Named::new(self, request);
                named.enter(file);
                let path = named.locate(path)?;
                freed.insert(self.resolve(&path, Meaning::Name, &HashSet::new())?);
            }
        }
        for (file, change) in patch.files.iter().zip(changes) {
            let mut named = Named::new(self, request);
            named.enter(file);
            let (path, kind) = match change {
                Change::Create { path } => (named.locate(&path)?, Kind::Create),
                Change::Modify { path } => (named.locate(&path)?, Kind::Modify),
                Change::Delete { path } => (named.locate(&path)?, Kind::Delete),
                Change::Rename { from, to } => {
                    (named.locate(&from)?, Kind::Rename(named.locate(&to)?))
                }
            };
            let (part, file) = self.fit(file, &path, kind, &mut bases, &freed)?;
            parts.push(part);
            fitted.push(file);
        }
        refuse_two_names(&parts)?;
        if let Some(path) = bases.into_keys().next() {
            return Err(StagingError::usage(format!(
                "the patch does not read `{path}`, whose base is given"
            )));
        }
        Ok((self.bring(parts)?, fitted))
    }

    /// Fits one file's part to what the session sees, and stores what comes of it.
    fn fit(
        &mut self,
        file: &FilePatch<'_>,
        named: &RelPath,
        kind: Kind,
        bases: &mut BTreeMap<RelPath, Digest>,
        freed: &HashSet<RelPath>,
    ) -> Result<(Part, FittedFile)> {
        if file.kind == Some(Section::Directory) {
            return self.fit_directory(file, named, kind, freed);
        }
        let is_link = file.kind == Some(Section::Symlink);
        // A deletion, a move and a symbolic link mean the name itself; a write means what is behind it.
        let written = if is_link { Meaning::Name } else { Meaning::Content };
        let (path, kind) = match kind {
            Kind::Create | Kind::CreateDirectory => (self.resolve(named, written, freed)?, kind),
            Kind::Modify => (self.resolve(named, written, &HashSet::new())?, kind),
            Kind::Delete => (self.resolve(named, Meaning::Name, &HashSet::new())?, kind),
            Kind::Rename(to) => {
                let to = self.resolve(&to, Meaning::Name, freed)?;
                (self.resolve(named, Meaning::Name, &HashSet::new())?, Kind::Rename(to))
            }
        };
        let misfit = |reason: String| StagingError::PatchMisfit { path: path.clone(), reason };
        let found = match kind {
            Kind::Create | Kind::CreateDirectory => None,
            _ => Some(self.require_file(&path, Reading::BaseToEdit)?),
        };
        let is_there = found.map(|found| found.kind() == EntryKind::Symlink);
        if file.kind.is_some() && is_there.is_some_and(|is_there| is_there != is_link) {
            let [wanted, there] = match is_link {
                true => ["a symbolic link", "a file"],
                false => ["a file", "a symbolic link"],
            };
            return Err(misfit(format!("the patch is for {wanted}, and it is {there}")));
        }
        let is_link = is_link || is_there == Some(true);
        let expected = found.and_then(|_| bases.remove(&path));
        if let Some(expected) = expected {
            check_base(&path, expected, found)?;
        }
        let content = match found {
            Some(found) => self.editable(&path, found)?,
            None => Vec::new().into(),
        };
        let fit = file.fit(&content, expected.is_some()).map_err(|source| {
            // No text of a patch is in a file of another width, whatever the hunk expects.
            match patch_formats::near_miss(&content, b"") {
                Some(wide) => misfit(wide.to_string()),
                None => misfit(source.to_string()),
            }
        })?;
        let mode = match (file.mode, found) {
            (None, found) => found.map(|found| found.mode),
            (Some(change), found) => {
                let before = match found {
                    Some(found) => found.mode,
                    None => self.new_file_mode(&path)?,
                };
                Some(changed_mode(change, found.is_some(), before).map_err(misfit)?)
            }
        };
        let incoming = match kind {
            // Nothing is stored of a file that is deleted.
            Kind::Delete => Incoming { digest: Digest::of(b""), bytes: 0, mode: None },
            _ if is_link => {
                if fit.content.ends_with(b"\n") {
                    let reason = "the target ends with a newline: `\\ No newline at end of file` \
                                  belongs behind it";
                    return Err(misfit(reason.to_owned()));
                }
                let to = if let Kind::Rename(to) = &kind { to } else { &path };
                self.link(to, &fit.content)?
            }
            _ => {
                let stored = self.inner.store_bytes(&fit.content)?;
                self.hold(&stored);
                Incoming { mode, ..Incoming::of(&stored) }
            }
        };
        let is_base = file.names_base(&content).or(expected.map(|_| true));
        let fitted = FittedFile { path: path.clone(), placements: fit.placements, is_base };
        Ok((Part { path, kind, incoming, is_directory: false }, fitted))
    }

    /// Fits a directory's part: only its name has to fit.
    fn fit_directory(
        &mut self,
        file: &FilePatch<'_>,
        named: &RelPath,
        kind: Kind,
        freed: &HashSet<RelPath>,
    ) -> Result<(Part, FittedFile)> {
        let path = self.resolve(named, Meaning::Name, freed)?;
        let kind = if matches!(kind, Kind::Create) { Kind::CreateDirectory } else { kind };
        let mode = match file.mode {
            Some(ModeChange::Exact { new, .. }) => Some(new),
            _ => None,
        };
        let incoming = Incoming { digest: Digest::of(b""), bytes: 0, mode };
        let fitted = FittedFile { path: path.clone(), placements: Vec::new(), is_base: None };
        Ok((Part { path, kind, incoming, is_directory: true }, fitted))
    }

    /// The content of a file that the session sees, as far as it is held in memory to be edited.
    pub(crate) fn editable(
        &self,
        path: &RelPath,
        found: Fingerprint,
    ) -> Result<std::sync::Arc<[u8]>> {
        if found.bytes > EDIT_BYTES_MAX {
            return Err(too_long_to_edit());
        }
        self.content(path, &found.digest)
    }

    /// Plans parts that fit.
    fn bring(&mut self, parts: Vec<Part>) -> Result<Vec<Touched>> {
        let mut touched = Vec::with_capacity(parts.len());
        let going = |part: &&Part| matches!(part.kind, Kind::Delete);
        // The contents of a directory are removed before it.
        let mut going: Vec<&Part> = parts.iter().filter(going).collect();
        going.sort_by(|one, other| other.path.cmp(&one.path));
        let (directories, files): (Vec<&Part>, Vec<&Part>) =
            going.into_iter().partition(|part| part.is_directory);
        for part in files.iter().rev() {
            touched.push(self.remove(&part.path)?);
        }
        let moving = parts.iter().filter(|part| matches!(part.kind, Kind::Rename(_)));
        let moving: HashSet<&RelPath> = moving.map(|part| &part.path).collect();
        for part in directories {
            let removed = self.remove_directory(&part.path, &|path| moving.contains(path))?;
            let missing = || StagingError::NoSuchFile { path: part.path.clone() };
            touched.push(removed.ok_or_else(missing)?);
        }
        for part in in_order(&parts)? {
            let Kind::Rename(to) = &part.kind else { continue };
            check_file_mode(to, part.incoming.mode)?;
            let mut paths = self.rename(&part.path, to)?;
            for path in self.put(to, part.incoming)? {
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
            touched.push(paths);
        }
        for part in parts.iter().filter(|part| matches!(part.kind, Kind::CreateDirectory)) {
            check_file_mode(&part.path, part.incoming.mode)?;
            touched.push(self.bring_directory(&part.path, part.incoming.mode)?);
        }
        for part in &parts {
            if matches!(part.kind, Kind::Create) {
                self.check_vacant(&part.path, None)?;
            } else if !matches!(part.kind, Kind::Modify) {
                continue;
            }
            let mut incoming = part.incoming;
            if matches!(part.kind, Kind::Create) && incoming.mode.is_none() {
                incoming.mode = self.mode_in_place(&part.path)?;
            }
            check_file_mode(&part.path, incoming.mode)?;
            touched.push(self.put(&part.path, incoming)?);
        }
        Ok(touched)
    }
}

impl View<'_> {
    /// The mode of a new file that replaces one which the patch deletes: that one's mode is not kept.
    fn mode_in_place(&self, path: &RelPath) -> Result<Option<u32>> {
        let base = self.at_path(path)?.and_then(|patch| patch.base);
        match base.map(|base| base.kind()) {
            Some(EntryKind::File) => self.new_file_mode(path).map(Some),
            _ => Ok(None),
        }
    }
}

/// Refuses mode bits that no patch may set.
fn check_file_mode(path: &RelPath, mode: Option<u32>) -> Result<()> {
    let bits = mode.filter(|mode| EntryKind::of_mode(*mode) == EntryKind::File);
    check_mode(path, bits)
}

/// Refuses a patch of which two parts are about one file by different names, as a symbolic link
/// makes possible: each was fitted to the file as it is before, so one would undo the other.
fn refuse_two_names(parts: &[Part]) -> Result<()> {
    let (mut sources, mut targets) = (HashSet::new(), HashSet::new());
    for Part { path, kind, .. } in parts {
        let (source, target) = match kind {
            Kind::Create | Kind::CreateDirectory => (None, Some(path)),
            Kind::Modify => (Some(path), Some(path)),
            Kind::Delete => (Some(path), None),
            Kind::Rename(to) => (Some(path), Some(to)),
        };
        let twice = source.filter(|path| !sources.insert(*path));
        let twice = twice.or(target.filter(|path| !targets.insert(*path)));
        if let Some(path) = twice {
            return Err(StagingError::usage(format!(
                "the patch changes `{path}` twice, by different names: bring its changes together"
            )));
        }
    }
    Ok(())
}

/// A file's bits after a change of mode, or why it cannot be meant of this file.
fn changed_mode(change: ModeChange, is_there: bool, before: u32) -> Result<u32, String> {
    match change {
        ModeChange::Executable(wanted) => {
            let is_executable = before & 0o100 != 0;
            if is_there && is_executable == wanted {
                let state = if wanted { "executable already" } else { "not executable" };
                return Err(format!("the patch changes its mode, and it is {state}"));
            }
            Ok(if wanted { before | ((before & 0o444) >> 2) } else { before & !0o111 })
        }
        ModeChange::Exact { old: Some(old), .. } if old != before => {
            Err(format!("the patch changes its mode from {old:o}, and it is {before:o}"))
        }
        ModeChange::Exact { new, .. } => Ok(new),
    }
}

/// The renames, each after the one that frees its target.
fn in_order(parts: &[Part]) -> Result<Vec<&Part>> {
    let renames = parts.iter().filter_map(|part| match &part.kind {
        Kind::Rename(to) => Some((part, (&part.path, to))),
        _ => None,
    });
    moves::in_order(renames).map_err(|part| {
        let path = &part.path;
        StagingError::usage(format!(
            "the patch renames `{path}` and others in a circle: use a third name"
        ))
    })
}
