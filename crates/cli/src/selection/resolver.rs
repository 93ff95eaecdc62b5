//! Finds out what the words of a selection mean.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component, Path, is_separator};

use staging_core::{
    DiffStagingLayer, ErrorKind, Patch, PatchId, RelPath, Selector, Session, SessionState,
    StagingError,
};

use super::glob::{PathGlob, is_glob};
use super::suggestions::suggestions;
use crate::failure::Failure;
use crate::location::Location;
use crate::paths::shown;

/// What a word selects.
pub(super) enum Meaning {
    /// The workspace itself, with everything in it.
    Everything,
    These(Vec<Selector>),
}

/// One thing that a word means.
struct Candidate {
    meaning: Meaning,
    /// What it is, for a message.
    is: &'static str,
    /// The word that means nothing else.
    write: String,
}

pub(super) struct Resolver<'a> {
    layer: &'a DiffStagingLayer,
    location: &'a Location,
    /// What a path can select, once a word is no id.
    waiting: OnceCell<Vec<Patch>>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(layer: &'a DiffStagingLayer, location: &'a Location) -> Self {
        Self { layer, location, waiting: OnceCell::new() }
    }

    fn waiting(&self) -> Result<&[Patch], Failure> {
        if let Some(waiting) = self.waiting.get() {
            return Ok(waiting);
        }
        let waiting = self.layer.waiting()?;
        Ok(self.waiting.get_or_init(|| waiting))
    }

    /// What a word means: an id always that, any other word the one of these that there is: the patch
    /// of this number, the revision of a patch, the session of this label, or what is pending at this
    /// path or glob.
    ///
    /// # Errors
    /// `NotFound` where there is none of them, `Usage` where there are several.
    pub(super) fn word(&self, word: &OsStr) -> Result<Meaning, Failure> {
        let text = word.to_str();
        if let Some(id) = text.and_then(id) {
            return Ok(Meaning::These(vec![id]));
        }
        if is_path(word) {
            return self.path(word);
        }
        let mut candidates = Vec::new();
        if let Some(id) = text.and_then(numbered).filter(|id| self.layer.patch(*id).is_ok()) {
            let meaning = Meaning::These(vec![Selector::Patch(id)]);
            candidates.push(Candidate { meaning, is: "a patch", write: id.to_string() });
        }
        if let Some(selector) = text.and_then(revision)
            && let Some(id) = selector.patch().filter(|id| self.layer.patch(*id).is_ok())
        {
            let meaning = Meaning::These(vec![selector]);
            candidates.push(Candidate {
                meaning,
                is: "a revision of a patch",
                write: id.to_string(),
            });
        }
        let at_path = match self.at_path(word) {
            Ok(Some(meaning)) => {
                let write = format!("./{}", shown(word));
                candidates.push(Candidate { meaning, is: "a path", write });
                Ok(())
            }
            other => other.map(drop),
        };
        if let Some(session) = text.map(|label| self.labelled(label)).transpose()?.flatten()
            && (candidates.is_empty() || self.is_current(&session)?)
        {
            let meaning = Meaning::These(vec![Selector::Session(session.id)]);
            let write = session.id.to_string();
            candidates.push(Candidate { meaning, is: "the label of a session", write });
        }
        match (candidates.len(), at_path) {
            (1, _) => Ok(candidates.remove(0).meaning),
            (0, Err(failure)) if has_separator(word) => Err(failure),
            (0, _) => Err(self.unknown(word)),
            _ => Err(ambiguous(word, &candidates)),
        }
    }

    /// What is pending at a path or glob.
    ///
    /// # Errors
    /// `NotFound` where nothing is; `Refused` for a path outside of the workspace.
    pub(super) fn path(&self, word: &OsStr) -> Result<Meaning, Failure> {
        self.at_path(word)?.map_or_else(|| Err(self.unknown(word)), Ok)
    }

    /// The same; none where nothing is pending there. A glob is also the name of the file that is
    /// named so, as `[id].tsx` may be.
    fn at_path(&self, word: &OsStr) -> Result<Option<Meaning>, Failure> {
        let mut found = BTreeSet::new();
        let path = self.location.below(word);
        match &path {
            Ok(None) => return Ok(Some(Meaning::Everything)),
            Ok(Some(path)) if self.names()?.any(|name| name.starts_with(path)) => {
                found.insert(path.clone());
            }
            _ => {}
        }
        match PathGlob::parse(word, self.location) {
            Some(Ok(glob)) => {
                found.extend(self.names()?.filter(|name| glob.matches(name)).cloned());
            }
            Some(Err(failure)) if found.is_empty() => return Err(failure),
            Some(Err(_)) => {}
            None => {
                path?;
            }
        }
        let these: Vec<Selector> = found.into_iter().map(Selector::Path).collect();
        Ok(if these.is_empty() { None } else { Some(Meaning::These(these)) })
    }

    /// The paths of what is waiting, with both names of a rename.
    fn names(&self) -> Result<impl Iterator<Item = &RelPath>, Failure> {
        Ok(self.waiting()?.iter().flat_map(Patch::paths))
    }

    fn labelled(&self, label: &str) -> Result<Option<Session>, Failure> {
        match self.layer.find_session(label) {
            Ok(session) => Ok(Some(session)),
            Err(StagingError::SessionNotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the session is open, or something of it waits.
    fn is_current(&self, session: &Session) -> Result<bool, Failure> {
        let is_open = session.state == SessionState::Open;
        Ok(is_open || self.waiting()?.iter().any(|patch| patch.session == session.id))
    }

    fn unknown(&self, word: &OsStr) -> Failure {
        if let Some(patch) = word.to_str().and_then(patch_of) {
            return StagingError::PatchNotFound { patch }.into();
        }
        let failure = match self.location.below(word) {
            _ if is_glob(word) => Failure::new(
                ErrorKind::NotFound,
                format!("`{}` matches no path of a pending patch", shown(word)),
            ),
            Ok(Some(path)) => {
                match self.location.root.join(path.to_path_buf()).symlink_metadata() {
                    Ok(found) if found.is_symlink() => {
                        nothing_at(word, ", a symbolic link, which is not followed")
                            .about(path.to_escaped())
                    }
                    Err(_) if !has_separator(word) => nothing_named(word),
                    _ => nothing_at(word, "").about(path.to_escaped()),
                }
            }
            _ => nothing_at(word, ""),
        };
        match self.suggestions(word) {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }

    fn suggestions(&self, word: &OsStr) -> Option<String> {
        let names: Vec<&RelPath> = self.names().ok()?.collect();
        let sessions = self.layer.sessions().ok()?;
        suggestions(word, &names, &sessions, self.location)
    }
}

/// The patch that a number, or a capital letter and a number, is short for.
pub(super) fn numbered(word: &str) -> Option<PatchId> {
    format!("p{}", word.strip_prefix('P').unwrap_or(word)).parse().ok()
}

/// A patch at a revision: `p5@2`, or short for it.
fn revision(word: &str) -> Option<Selector> {
    let (id, revision) = word.split_once('@')?;
    let id: PatchId = id.parse().ok().or_else(|| numbered(id))?;
    let selector = format!("{id}@{revision}").parse().ok()?;
    Some(selector).filter(|selector: &Selector| selector.patch().is_some())
}

/// The patch that a word is about which can be no path.
pub(super) fn patch_of(word: &str) -> Option<PatchId> {
    numbered(word).or_else(|| revision(word)?.patch())
}

pub(super) fn nothing_named(word: &OsStr) -> Failure {
    Failure::new(
        ErrorKind::NotFound,
        format!("`{}` is no patch, no session and no path of a pending patch", shown(word)),
    )
}

fn nothing_at(word: &OsStr, more: &str) -> Failure {
    Failure::new(ErrorKind::NotFound, format!("nothing is pending at `{}`{more}", shown(word)))
}

fn ambiguous(word: &OsStr, candidates: &[Candidate]) -> Failure {
    let is: Vec<&str> = candidates.iter().map(|one| one.is).collect();
    let write: Vec<String> = candidates.iter().map(|one| format!("`{}`", one.write)).collect();
    Failure::usage(format!("`{}` is {}", shown(word), is.join(" and ")))
        .advise(format!("Write {}.", write.join(" or ")))
}

/// The patch or session of an id, which nothing else can be called.
fn id(word: &str) -> Option<Selector> {
    let patch = word.parse().map(Selector::Patch);
    patch.or_else(|_| word.parse().map(Selector::Session)).ok()
}

/// Whether the word is a path whatever else there is of this name: `./x`, `../x`, `/x`, `.`, `..`.
fn is_path(word: &OsStr) -> bool {
    match Path::new(word).components().next() {
        Some(Component::Normal(_)) | None => false,
        Some(_) => true,
    }
}

fn has_separator(word: &OsStr) -> bool {
    word.to_string_lossy().contains(is_separator)
}
