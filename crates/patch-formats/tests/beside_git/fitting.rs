//! Fitting one part of a patch, by the rules of the staging layer.

use std::collections::BTreeSet;

use patch_formats::{Change, EntryKind, FilePatch, MatchLevel, ModeChange};

use crate::entry::{Entry, Files, bytes, has_directory, name};
use crate::follow::{Last, resolve, stays_inside};
use crate::kind::Kind;
use crate::refusal::{Refused, refused};

/// A part that fits.
pub(crate) struct Part {
    pub(crate) source: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) is_rename: bool,
    pub(crate) entry: Entry,
}

impl Part {
    pub(crate) fn is_modification(&self) -> bool {
        self.source == self.target
    }
}

/// One part that is to be fitted.
pub(crate) struct Fitting<'f, 'p> {
    pub(crate) before: &'f Files,
    pub(crate) freed: &'f BTreeSet<String>,
    pub(crate) file: &'f FilePatch<'p>,
    pub(crate) change: &'f Change,
    pub(crate) lenient: BTreeSet<Kind>,
}

impl Fitting<'_, '_> {
    pub(crate) fn fitted(&mut self) -> Result<Part, Refused> {
        let (file, change) = (self.file, self.change);
        let is_link = file.kind == Some(EntryKind::Symlink);
        let nothing = BTreeSet::new();
        // What goes or moves is a name, and so is a link; what is written may lie behind one.
        let written = if is_link { Last::Meant } else { Last::Followed };
        let (source, target) = match change {
            Change::Create { path } => (None, Some(self.resolved(path, written, self.freed)?)),
            Change::Modify { path } => {
                let path = self.resolved(path, written, &nothing)?;
                (Some(path.clone()), Some(path))
            }
            Change::Delete { path } => (Some(self.resolved(path, Last::Meant, &nothing)?), None),
            Change::Rename { from, to } => (
                Some(self.resolved(from, Last::Meant, &nothing)?),
                Some(self.resolved(to, Last::Meant, self.freed)?),
            ),
        };
        let found = match &source {
            None => None,
            Some(source) => match self.before.get(source) {
                Some(found) => Some(found),
                None => {
                    // Git takes a directory for a submodule, and passes over the part's lines.
                    let is_directory = has_directory(self.before, source);
                    let kind = is_directory.then_some(Kind::Directory);
                    return refused(kind, format!("{change:?}: no such file"));
                }
            },
        };
        let is_there = found.map(|found| matches!(found, Entry::Link { .. }));
        if file.kind.is_some() && is_there.is_some_and(|is_there| is_there != is_link) {
            return refused(None, format!("{change:?}: of another kind"));
        }
        let content = found.map_or(&b""[..], bytes);
        let fitted = file.fit(content, false)?;
        if fitted.placements.iter().any(|place| place.level > MatchLevel::Exact) {
            self.lenient.insert(Kind::LineEnds);
        }
        let is_new = matches!(change, Change::Create { .. });
        if file.names_base(content) == Some(true) || (is_new && file.is_from_top) {
            self.lenient.insert(Kind::Incomplete);
        }
        let is_executable = executable(file.mode, found)?;
        let entry = match &target {
            Some(target) if is_link || is_there == Some(true) => {
                link(self.before, target, fitted.content)?
            }
            _ => Entry::File { content: fitted.content, is_executable },
        };
        let is_rename = matches!(change, Change::Rename { .. });
        if is_rename && source == target {
            return refused(None, format!("{change:?}: onto itself"));
        }
        Ok(Part { source, target, is_rename, entry })
    }

    /// What a name of the part means, and whether git would refuse it for a link on the way.
    fn resolved(
        &mut self,
        path: &[u8],
        last: Last,
        freed: &BTreeSet<String>,
    ) -> Result<String, Refused> {
        let path = name(path);
        let led = resolve(self.before, freed, &path, last);
        let named = resolve(self.before, freed, &path, Last::Meant);
        if named.as_ref() != Ok(&path) {
            self.lenient.insert(Kind::ThroughLink);
        }
        if named != led {
            let is_new = matches!(self.change, Change::Create { .. });
            self.lenient.insert(if is_new { Kind::NewBehindLink } else { Kind::BehindLink });
        }
        led.or_else(|astray| refused(None, format!("`{path}`: {astray:?}")))
    }
}

/// A link that comes to be.
fn link(before: &Files, name: &str, target: Vec<u8>) -> Result<Entry, Refused> {
    let is_target = !target.is_empty() && !target.contains(&0) && !target.ends_with(b"\n");
    if !is_target || !stays_inside(before, name, &target) {
        let target = target.escape_ascii();
        return refused(Kind::LinkTarget, format!("`{name}` cannot lead to `{target}`"));
    }
    Ok(Entry::Link { target })
}

/// Whether a file can be run afterwards.
fn executable(mode: Option<ModeChange>, found: Option<&Entry>) -> Result<bool, Refused> {
    let was = matches!(found, Some(Entry::File { is_executable: true, .. }));
    match mode {
        None => Ok(was),
        Some(ModeChange::Executable(is)) if found.is_some() && is == was => {
            refused(Kind::Mode, "it has this mode already".to_owned())
        }
        Some(ModeChange::Executable(is)) => Ok(is),
        Some(ModeChange::Exact { old: Some(old), .. })
            if old != if was { 0o755 } else { 0o644 } =>
        {
            refused(Kind::Mode, "it has another mode".to_owned())
        }
        Some(ModeChange::Exact { new, .. }) => Ok(new & 0o100 != 0),
    }
}
