//! What comes of a patch here, by the rules of the staging layer.

use std::collections::{BTreeMap, BTreeSet};

use patch_formats::{Change, EntryKind, FilePatch, PatchText, Tree};

use crate::entry::{Entry, Files, bytes, has_directory, lies_below, name};
use crate::fitting::{Fitting, Part};
use crate::follow::{Last, resolve};
use crate::kind::Kind;
use crate::refusal::{Refused, refused};

/// The files as they are before, as the names of one part mean them.
struct PartTree<'f> {
    files: &'f Files,
    last: Last,
}

impl<'f> PartTree<'f> {
    fn find(&self, name: &[u8]) -> Option<&'f Entry> {
        let name = std::str::from_utf8(name).ok()?;
        self.files.get(&resolve(self.files, &BTreeSet::new(), name, self.last).ok()?)
    }
}

impl Tree for PartTree<'_> {
    type Content = Vec<u8>;
    type Error = Refused;

    fn enter(&mut self, part: &FilePatch<'_>) {
        let is_name =
            part.kind == Some(EntryKind::Symlink) || matches!(part.change, Change::Delete { .. });
        self.last = if is_name { Last::Meant } else { Last::Followed };
    }

    fn has_file(&mut self, name: &[u8]) -> Result<bool, Refused> {
        Ok(self.find(name).is_some())
    }

    fn has_directory(&mut self, name: &[u8]) -> Result<bool, Refused> {
        let name = String::from_utf8_lossy(name);
        let led = resolve(self.files, &BTreeSet::new(), &name, Last::Followed);
        Ok(led.is_ok_and(|name| has_directory(self.files, &name)))
    }

    fn content(&mut self, name: &[u8]) -> Result<Vec<u8>, Refused> {
        Ok(bytes(self.find(name).expect("it was asked for")).to_vec())
    }
}

/// What comes of a patch here, and why git might not take it.
pub(crate) struct Taken {
    pub(crate) files: Files,
    pub(crate) lenient: BTreeSet<Kind>,
}

/// The files after the patch, by the rules of the staging layer.
pub(crate) fn ours(before: &Files, text: &[u8]) -> Result<Taken, Refused> {
    let patch = PatchText::parse(text)?;
    let mut lenient = BTreeSet::new();
    if memchr::memmem::find(text, b"\t1970-01-01").is_some() {
        lenient.insert(Kind::Time);
    }
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    if lines.any(|line| line.starts_with(b"diff --git ") && line.ends_with(b"\r\n")) {
        lenient.insert(Kind::LineEnds);
    }
    let changes = patch.resolve(&mut PartTree { files: before, last: Last::Followed })?;
    let freed = freed(before, &changes)?;
    if patch.files.iter().zip(&changes).any(|(file, change)| {
        // Git looks for the links that a patch deletes by the modes in its headers.
        let gone = change.source().filter(|_| change.target().is_none() && file.kind.is_none());
        let gone =
            gone.map(name).filter(|gone| matches!(before.get(gone), Some(Entry::Link { .. })));
        let mut targets = changes.iter().filter_map(Change::target).map(name);
        gone.is_some_and(|gone| targets.any(|target| lies_below(&target, &gone)))
    }) {
        lenient.insert(Kind::Incomplete);
    }
    let mut parts = Vec::new();
    for (file, change) in patch.files.iter().zip(changes) {
        let mut fitting =
            Fitting { before, freed: &freed, file, change: &change, lenient: BTreeSet::new() };
        parts.push(fitting.fitted().map_err(|refused| {
            // Git creates the file wherever a hunk puts its first lines.
            let is_missing = refused.message.contains("no such file");
            let kind = refused.kind.or((is_missing && inserts(text)).then_some(Kind::NoContext));
            // A time is seen in front of a carriage return, and git takes it for a part of the name.
            let kind = kind.or((is_missing && has_returned_label(text)).then_some(Kind::Headers));
            // Git has changed the target of the link.
            let is_behind = fitting.lenient.contains(&Kind::BehindLink);
            Refused { kind: kind.or(is_behind.then_some(Kind::BehindLink)), ..refused }
        })?);
        lenient.append(&mut fitting.lenient);
        let name = change.source().or(change.target());
        if name.is_some_and(|name| stands_unprefixed(text, name)) {
            lenient.insert(Kind::Unprefixed);
        }
    }
    Ok(Taken { files: brought(before, parts, &mut lenient)?, lenient })
}

/// The names that a patch takes away.
fn freed(before: &Files, changes: &[Change]) -> Result<BTreeSet<String>, Refused> {
    let mut freed = BTreeSet::new();
    for change in changes {
        if let Change::Delete { path } | Change::Rename { from: path, .. } = change {
            let led = resolve(before, &BTreeSet::new(), &name(path), Last::Meant);
            let led = led.or_else(|astray| refused(None, format!("{change:?}: {astray:?}")))?;
            freed.insert(led);
        }
    }
    Ok(freed)
}

/// The files after parts that fit.
fn brought(
    before: &Files,
    parts: Vec<Part>,
    lenient: &mut BTreeSet<Kind>,
) -> Result<Files, Refused> {
    let (mut sources, mut targets) = (BTreeSet::new(), BTreeSet::new());
    let mut moves = BTreeMap::new();
    for Part { source, target, is_rename, .. } in &parts {
        let is_twice = source.as_ref().is_some_and(|source| !sources.insert(source.clone()))
            || target.as_ref().is_some_and(|target| !targets.insert(target.clone()));
        if is_twice {
            return refused(Kind::Twice, format!("{source:?} or {target:?} is changed twice"));
        }
        if let (Some(from), Some(to), true) = (source, target, is_rename) {
            moves.insert(from.clone(), to.clone());
        }
    }
    let modified: BTreeSet<_> =
        parts.iter().filter(|part| part.is_modification()).map(|part| &part.source).collect();
    if targets.iter().any(|one| sources.contains(one) && !modified.contains(&Some(one.clone()))) {
        lenient.insert(Kind::Order);
    }
    for first in moves.keys() {
        let mut next = &moves[first];
        while let Some(to) = moves.get(next) {
            if next == first {
                return refused(Kind::Renames, "renames in a circle".to_owned());
            }
            next = to;
        }
    }
    let mut files = before.clone();
    for part in parts.iter().filter(|part| !part.is_modification()) {
        if let Some(source) = &part.source {
            files.remove(source);
        }
    }
    for part in parts {
        let is_new = !part.is_modification();
        let Some(target) = part.target else { continue };
        if is_new && files.contains_key(&target) {
            return refused(Kind::Renames, format!("`{target}` is there"));
        }
        if files.keys().any(|file| lies_below(file, &target) || lies_below(&target, file)) {
            return refused(Kind::Renames, format!("`{target}` is in the way of a file"));
        }
        files.insert(target, part.entry);
    }
    Ok(files)
}

/// Whether a hunk puts lines where none are, at another line than the first.
fn inserts(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        let old = line.strip_prefix(b"@@ -").and_then(|rest| rest.split(|b| *b == b' ').next());
        old.is_some_and(|old| old.ends_with(b",0") && old != b"0,0")
    })
}

/// Whether a label of the patch ends in a carriage return.
fn has_returned_label(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| {
        (line.starts_with(b"--- ") || line.starts_with(b"+++ ")) && line.ends_with(b"\r")
    })
}

/// Whether a label of the patch is this name as it stands.
fn stands_unprefixed(text: &[u8], name: &[u8]) -> bool {
    let mut quoted = b"\"".to_vec();
    for byte in name {
        match byte {
            0x80.. => quoted.extend(format!("\\{byte:o}").bytes()),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'"');
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| {
        let label = line.strip_prefix(b"--- ").or_else(|| line.strip_prefix(b"+++ "));
        label.is_some_and(|label| {
            let behind = label.strip_prefix(name);
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(b"\t"))
                || label.starts_with(&quoted)
        })
    })
}
