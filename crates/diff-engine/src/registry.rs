//! The strategies at hand, by name, and what happens when one of them fails.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use strategy_api::Strategy;
use strategy_full_replace::FullReplace;
use strategy_histogram::Histogram;
use strategy_myers::Myers;
use strategy_patience::Patience;

use crate::edit_script::EditScript;
use crate::error::RegistryError;
use crate::lines::{Interned, Lines};
use crate::loading::LoadedStrategy;
use crate::runner::{Answer, Linked, Loaded, Run, run_inline, run_on_thread};
use crate::slide::slide;

/// The strategies an engine can choose from.
///
/// A strategy that fails, panics, lies or takes too long is not asked again for as long as the
/// registry lives; each file it was chosen for is compared by a bundled one.
pub struct Registry {
    entries: Vec<Registered>,
}

struct Registered {
    name: String,
    version: String,
    bundled: bool,
    strategy: Arc<dyn Run>,
    /// Why it is not asked any more.
    failed: OnceLock<String>,
}

/// What came of lining up one pair.
pub(crate) struct Outcome {
    pub(crate) script: EditScript,
    pub(crate) used: String,
    pub(crate) degraded: bool,
    pub(crate) replaced_because: Option<String>,
}

impl Registry {
    /// The four bundled strategies: `histogram`, `myers`, `patience`, `full-replace`.
    pub fn bundled() -> Self {
        fn entry<S: Strategy + 'static>(strategy: S) -> Registered {
            Registered::new(S::NAME, S::VERSION, true, Arc::new(Linked(strategy)))
        }
        Self { entries: vec![entry(Histogram), entry(Myers), entry(Patience), entry(FullReplace)] }
    }

    /// No strategies at all, to try one by itself. What it fails at is replaced as a whole.
    pub fn empty() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds a strategy that is part of the program. It runs on a thread of its own, within the
    /// policy's deadline.
    ///
    /// # Errors
    ///
    /// When the name is taken, or none that users could type.
    pub fn add(&mut self, strategy: impl Strategy + 'static) -> Result<(), RegistryError> {
        fn named<S: Strategy + 'static>(strategy: S) -> Registered {
            Registered::new(S::NAME, S::VERSION, false, Arc::new(Linked(strategy)))
        }
        self.push(named(strategy))
    }

    /// Adds a strategy from a library, in this process. It runs on a thread of its own, within
    /// the policy's deadline.
    ///
    /// # Errors
    ///
    /// When the name is taken, or none that users could type.
    pub fn add_loaded(&mut self, loaded: LoadedStrategy) -> Result<(), RegistryError> {
        let (name, version) = (loaded.name(), loaded.version());
        let strategy = Arc::new(Loaded(loaded.module()));
        self.push(Registered::new(&name, &one_line(&version), false, strategy))
    }

    /// The name and version of each strategy, the bundled ones first.
    pub fn list(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.version.as_str()))
    }

    /// Whether there is a strategy of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether the strategy of this name has failed, so that it is not asked any more.
    pub fn has_failed(&self, name: &str) -> bool {
        self.find(name).is_some_and(|entry| entry.failed.get().is_some())
    }

    /// Lines up two files with the strategy chosen, or with a bundled one where that fails.
    pub(crate) fn line_up(
        &self,
        chosen: &str,
        ids: &Interned,
        old: &Lines<'_>,
        new: &Lines<'_>,
        deadline: Duration,
    ) -> Outcome {
        let mut replaced_because = None;
        for name in [chosen, Histogram::NAME] {
            let attempt = match self.find(name) {
                Some(entry) => entry.attempt(ids, old, new, deadline),
                None => Err("there is no strategy of that name".to_owned()),
            };
            match attempt {
                Ok((script, degraded)) => {
                    return Outcome { script, used: name.to_owned(), degraded, replaced_because };
                }
                Err(why) => {
                    replaced_because.get_or_insert(why);
                }
            }
        }
        Outcome {
            script: EditScript::replacing(old.len(), new.len()),
            used: FullReplace::NAME.to_owned(),
            degraded: false,
            replaced_because,
        }
    }

    fn push(&mut self, entry: Registered) -> Result<(), RegistryError> {
        let typable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let name = entry.name.clone();
        if name.is_empty() || name.len() > NAME_MAX_BYTES || !name.bytes().all(typable) {
            return Err(RegistryError::BadName { name });
        }
        if self.contains(&name) {
            return Err(RegistryError::NameTaken { name });
        }
        self.entries.push(entry);
        Ok(())
    }

    fn find(&self, name: &str) -> Option<&Registered> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

const NAME_MAX_BYTES: usize = 64;

impl Default for Registry {
    fn default() -> Self {
        Self::bundled()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

impl Registered {
    fn new(name: &str, version: &str, bundled: bool, strategy: Arc<dyn Run>) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            bundled,
            strategy,
            failed: OnceLock::new(),
        }
    }

    fn attempt(
        &self,
        ids: &Interned,
        old: &Lines<'_>,
        new: &Lines<'_>,
        deadline: Duration,
    ) -> Result<(EditScript, bool), String> {
        if let Some(why) = self.failed.get() {
            return Err(format!("it failed before: {why}"));
        }
        let answer = if self.bundled {
            run_inline(self.strategy.as_ref(), ids, old, new)
        } else {
            run_on_thread(&self.strategy, ids, old, new, deadline)
        };
        let checked = answer.and_then(|Answer { ops, degraded }| {
            let mut script =
                EditScript::validated(&ops, old, new).map_err(|error| error.to_string())?;
            slide(&mut script, old, new);
            Ok((script, degraded))
        });
        checked.map_err(|why| {
            let why = one_line(&why);
            if self.failed.set(why.clone()).is_ok() {
                tracing::warn!(strategy = %self.name, %why, "the strategy failed and is not used again");
            }
            why
        })
    }
}

/// What a strategy said, fit for a terminal: short, and without control characters.
fn one_line(text: &str) -> String {
    const CHARACTERS_MAX: usize = 200;
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(CHARACTERS_MAX)
        .collect()
}
