//! What the words of a selection mean, the same for every command.

mod glob;
mod path_matcher;
mod resolver;
mod suggestions;

use std::ffi::{OsStr, OsString};

use staging_core::{DiffStagingLayer, Selector, SessionId, StagingError};

pub(crate) use self::path_matcher::PathMatcher;
use self::resolver::{Meaning, Resolver, nothing_named, patch_of};
use crate::failure::Failure;
use crate::location::Location;
use crate::selection_args::{SelectionArgs, SelectionWords};

/// The selectors that these words mean at this moment.
///
/// # Errors
/// As [`resolve_words`].
pub(crate) fn resolve(
    arguments: &SelectionArgs,
    layer: &DiffStagingLayer,
    location: &Location,
) -> Result<Vec<Selector>, Failure> {
    let resolver = Resolver::new(layer, location);
    let mut selectors = Selectors::of(&arguments.words, &resolver)?;
    for path in &arguments.paths {
        selectors.add(resolver.path(path)?);
    }
    Ok(selectors.into_list())
}

/// The same where `--` has another meaning.
///
/// # Errors
/// `NotFound` for a word that means nothing, with what may be meant; `Usage` for one that means
/// several things; `NothingLeft` where the whole workspace is an exception.
#[cfg(target_os = "linux")]
pub(crate) fn resolve_words(
    words: &SelectionWords,
    layer: &DiffStagingLayer,
    location: &Location,
) -> Result<Vec<Selector>, Failure> {
    Ok(Selectors::of(words, &Resolver::new(layer, location))?.into_list())
}

/// Refuses everything that is named, in a workspace in which nothing is pending.
pub(crate) fn check_unknown(arguments: &SelectionArgs, location: &Location) -> Result<(), Failure> {
    let SelectionArgs { words: SelectionWords { named, except }, paths } = arguments;
    let is_root = |word: &OsStr| matches!(location.below(word), Ok(None));
    let mut words = named.iter().chain(paths).chain(except).map(OsString::as_os_str);
    let Some(word) = words.find(|word| !is_root(word)) else { return Ok(()) };
    let text = word.to_str().unwrap_or_default();
    if let Some(patch) = text.parse().ok().or_else(|| patch_of(text)) {
        return Err(StagingError::PatchNotFound { patch }.into());
    }
    if text.parse::<SessionId>().is_ok() {
        return Err(StagingError::SessionNotFound { name: text.to_owned() }.into());
    }
    Err(nothing_named(word))
}

#[derive(Default)]
struct Selectors {
    named: Vec<Selector>,
    excepted: Vec<Selector>,
    /// The workspace itself is named, so that nothing else needs to be.
    has_everything: bool,
}

impl Selectors {
    fn of(words: &SelectionWords, resolver: &Resolver<'_>) -> Result<Self, Failure> {
        let mut selectors = Self::default();
        for word in &words.named {
            selectors.add(resolver.word(word)?);
        }
        for word in &words.except {
            match resolver.word(word)? {
                Meaning::Everything => return Err(StagingError::NothingLeft.into()),
                Meaning::These(these) => {
                    selectors.excepted.extend(these.into_iter().map(Selector::except));
                }
            }
        }
        Ok(selectors)
    }

    fn add(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Everything => self.has_everything = true,
            Meaning::These(these) => self.named.extend(these),
        }
    }

    fn into_list(self) -> Vec<Selector> {
        let named = if self.has_everything { Vec::new() } else { self.named };
        named.into_iter().chain(self.excepted).collect()
    }
}
