//! What the state of the line's workspace has, read when a candidate needs it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, is_separator};
use std::sync::{Arc, OnceLock};

use clap::Parser as _;
use clap_complete::engine::CompletionCandidate;
use staging_core::{ApplyId, Nameable, NameablePatch, RelPath, nameable, nameable_paths_of};

use super::request::Request;
use crate::args::Arguments;
use crate::location::Location;

/// How many patches, sessions and applies are read.
const NAMES_MAX: usize = 20_000;

/// The state of the workspace that the line is about.
pub(super) struct Known {
    /// The options that say which workspace that is.
    options: Vec<OsString>,
    /// The words before the cursor.
    pub(super) before: Vec<OsString>,
    pub(super) is_behind_dashes: bool,
    location: OnceLock<Option<Location>>,
    names: OnceLock<Nameable>,
}

impl Known {
    pub(super) fn of(request: &Request) -> Arc<Self> {
        let mut options = Vec::new();
        for name in ["--workspace", "--state-dir"] {
            if let Some(value) = request.option(name) {
                let mut option = OsString::from(format!("{name}="));
                option.push(value);
                options.push(option);
            }
        }
        Arc::new(Self {
            options,
            before: request.before().to_vec(),
            is_behind_dashes: request.is_behind_dashes(),
            location: OnceLock::new(),
            names: OnceLock::new(),
        })
    }

    fn location(&self) -> Option<&Location> {
        let find = || {
            let words = std::iter::once(OsString::from("greenroom")).chain(self.options.clone());
            let arguments = Arguments::try_parse_from(words).ok()?;
            let location = Location::find(&arguments.global).ok()?;
            location.has_state().then_some(location)
        };
        self.location.get_or_init(find).as_ref()
    }

    /// What can be named; nothing where that cannot be read.
    pub(super) fn names(&self) -> &Nameable {
        self.names.get_or_init(|| {
            let read = |location: &Location| nameable(&location.state_dir, NAMES_MAX).ok();
            self.location().and_then(read).unwrap_or_default()
        })
    }

    /// The paths of an apply, or of the newest one.
    pub(super) fn paths_of(&self, apply: Option<ApplyId>) -> Vec<RelPath> {
        let read = |location: &Location| nameable_paths_of(&location.state_dir, apply).ok();
        self.location().and_then(read).unwrap_or_default()
    }

    /// The next part of the paths that go on as what is typed does, each once; of a file with its
    /// patch in words.
    pub(super) fn paths<'p>(
        &self,
        current: &OsStr,
        paths: impl Iterator<Item = (&'p RelPath, Option<&'p NameablePatch>)>,
    ) -> Vec<CompletionCandidate> {
        let (Some(location), Some(current)) = (self.location(), current.to_str()) else {
            return Vec::new();
        };
        // There may be thousands, so words are made only of what is offered.
        let mut next: BTreeMap<String, (Option<&NameablePatch>, usize)> = BTreeMap::new();
        for (path, patch) in paths {
            let Some(typed) = typed_as(current, path, location) else { continue };
            let Some(rest) = typed.strip_prefix(current) else { continue };
            match rest.find(is_separator) {
                Some(at) => {
                    let directory = &typed[..=current.len() + at];
                    match next.get_mut(directory) {
                        Some((_, count)) => *count += 1,
                        None => drop(next.insert(directory.to_owned(), (None, 1))),
                    }
                }
                None => drop(next.insert(typed.into_owned(), (patch, 1))),
            }
        }
        let candidate = |(text, (patch, count)): (String, (Option<&NameablePatch>, usize))| {
            let files = || if count == 1 { "1 path".to_owned() } else { format!("{count} paths") };
            let about = patch.map(|patch| format!("{} {}", patch.id, about(patch)));
            let help = about.or_else(|| text.ends_with(is_separator).then(files));
            CompletionCandidate::new(text).help(help.map(Into::into))
        };
        next.into_iter().map(candidate).collect()
    }
}

/// A path in the form that the typed text begins: from the current directory, with `./`, or absolute;
/// none for one that is no text.
fn typed_as<'p>(current: &str, path: &'p RelPath, location: &Location) -> Option<Cow<'p, str>> {
    if Path::new(current).is_absolute() {
        let full = location.root.join(path.to_path_buf());
        return full.to_str().map(|full| Cow::Owned(full.to_owned()));
    }
    let typed = match location.is_at_root() && cfg!(unix) {
        true => Cow::Borrowed(std::str::from_utf8(path.as_bytes()).ok()?),
        false => Cow::Owned(location.typed_path(path).to_str()?.to_owned()),
    };
    match current.strip_prefix("./") {
        Some(_) if !typed.starts_with("..") => Some(Cow::Owned(format!("./{typed}"))),
        _ => Some(typed),
    }
}

/// A patch in words, behind its id or its path.
pub(super) fn about(patch: &NameablePatch) -> String {
    let NameablePatch { operation, added, removed, is_lapsed, .. } = patch;
    let lapsed = if *is_lapsed { ", stale" } else { "" };
    format!("{operation} (+{added} -{removed}{lapsed})")
}
