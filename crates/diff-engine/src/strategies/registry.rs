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
use crate::intern::Interned;
use crate::lines::Lines;
use crate::slide::slide;
use crate::strategies::library::{Library, check_name, short_for_display};
use crate::strategies::loading::load_library;
use crate::strategies::process::{ChildLimits, InChild, PluginHost};
use crate::strategies::runner::{Answer, Failure, Linked, Run, run_inline, run_on_thread};

/// The strategies an engine can choose from.
///
/// A strategy that fails, panics, lies or takes too long is not asked again for as long as the
/// registry lives; each file it was chosen for is compared by a bundled one. The first such file
/// carries the remark on it.
pub struct Registry {
    entries: Vec<Registered>,
    observer: Option<Box<Observer>>,
}

/// Told the name of a strategy that misbehaved, and why.
type Observer = dyn Fn(&str, &str) + Send + Sync;

struct Registered {
    name: String,
    version: String,
    hosting: Hosting,
    /// Why it is not asked any more.
    failed: OnceLock<String>,
}

/// Where a strategy runs.
enum Hosting {
    /// On the thread that asks, for as long as it takes.
    Inline(Box<dyn Run>),
    /// In this process, on a thread that is given up on when it takes too long.
    Thread(Arc<dyn Run>),
    /// The same, from a library that is loaded when it is first asked.
    Library(InProcess),
    /// In a process of its own.
    Child(InChild),
}

/// A library of this process.
struct InProcess {
    library: Library,
    loaded: OnceLock<Result<Arc<dyn Run>, String>>,
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
            Registered::new(S::NAME, S::VERSION, Hosting::Inline(Box::new(Linked(strategy))))
        }
        let entries = vec![entry(Histogram), entry(Myers), entry(Patience), entry(FullReplace)];
        Self { entries, observer: None }
    }

    /// No strategies at all, to try one by itself. What it fails at is replaced as a whole.
    pub fn empty() -> Self {
        Self { entries: Vec::new(), observer: None }
    }

    /// Adds a strategy that is part of the program. It runs on a thread of its own, within the
    /// policy's deadline.
    ///
    /// # Errors
    ///
    /// When the name is taken, or none that users could type.
    pub fn add<S: Strategy + 'static>(&mut self, strategy: S) -> Result<(), RegistryError> {
        let hosting = Hosting::Thread(Arc::new(Linked(strategy)));
        self.push(Registered::new(S::NAME, S::VERSION, hosting))
    }

    /// Adds a strategy from a library that is loaded into this process when it is first asked. It
    /// runs on a thread of its own, within the policy's deadline; a crash of it ends the program.
    ///
    /// # Errors
    ///
    /// When the name is taken, or none that users could type.
    pub fn add_in_process(&mut self, library: Library) -> Result<(), RegistryError> {
        let name = library.name.clone();
        let in_process = InProcess { library, loaded: OnceLock::new() };
        self.push(Registered::new(&name, "", Hosting::Library(in_process)))
    }

    /// Adds a strategy from a library that a process of its own loads when it is first asked,
    /// started by `host`.
    ///
    /// The policy's deadline holds for the start of that process too. It serves one file after the
    /// other, and ends when it misbehaves, with the registry, or with this process.
    ///
    /// # Errors
    ///
    /// When the name is taken, or none that users could type.
    pub fn add_in_child(
        &mut self,
        library: Library,
        host: &PluginHost,
        limits: ChildLimits,
    ) -> Result<(), RegistryError> {
        let name = library.name.clone();
        let child = InChild::new(library, host.clone(), limits);
        self.push(Registered::new(&name, "", Hosting::Child(child)))
    }

    /// Has `observer` told of each strategy that misbehaves from now on, once, with the reason. A
    /// library that could not be loaded is not one of them.
    pub fn on_misbehaviour(&mut self, observer: impl Fn(&str, &str) + Send + Sync + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// Keeps a strategy from being asked, as if it had failed, without a remark on any file.
    pub fn quarantine(&self, name: &str, why: &str) {
        if let Some(entry) = self.find(name) {
            // One that failed by itself stays with its own reason.
            let _ = entry.failed.set(short_for_display(why));
        }
    }

    /// The name and version of each strategy, the bundled ones first. The version of one whose
    /// library is not loaded yet is empty.
    pub fn list(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.version.as_str()))
    }

    /// Whether there is a strategy of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Why the strategy of this name is not asked any more, if so.
    pub fn failure_of(&self, name: &str) -> Option<&str> {
        self.find(name)?.failed.get().map(String::as_str)
    }

    /// Whether the strategy of this name needs to see only what differs, and some lines around it.
    ///
    /// One that is not bundled may look at the whole file to decide about a part of it.
    pub(crate) fn needs_changes_only(&self, name: &str) -> bool {
        let bundled = |entry: &Registered| matches!(entry.hosting, Hosting::Inline(_));
        self.find(name).is_some_and(bundled) && name != FullReplace::NAME
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
                Some(entry) => self.attempt(entry, ids, old, new, deadline),
                None => Err(Some("there is no strategy of that name".to_owned())),
            };
            match attempt {
                Ok((script, degraded)) => {
                    return Outcome { script, used: name.to_owned(), degraded, replaced_because };
                }
                Err(why) => replaced_because = replaced_because.or(why),
            }
        }
        Outcome {
            script: EditScript::replacing(old.len(), new.len()),
            used: FullReplace::NAME.to_owned(),
            degraded: false,
            replaced_because,
        }
    }

    /// A script that holds; or why there is none, once for each strategy: whoever comes after the
    /// first failure is not told again.
    fn attempt(
        &self,
        entry: &Registered,
        ids: &Interned,
        old: &Lines<'_>,
        new: &Lines<'_>,
        deadline: Duration,
    ) -> Result<(EditScript, bool), Option<String>> {
        if entry.failed.get().is_some() {
            return Err(None);
        }
        let answer = entry.hosting.run(ids, old, new, deadline);
        let checked = answer.and_then(|Answer { ops, degraded }| {
            let mut script = EditScript::validated(&ops, old, new)
                .map_err(|error| Failure::misbehaved(error.to_string()))?;
            let all_settled = slide(&mut script, ids, old, new);
            Ok((script, degraded || !all_settled))
        });
        checked.map_err(|Failure { why, misbehaved }| {
            let why = short_for_display(&why);
            if entry.failed.set(why.clone()).is_err() {
                return None;
            }
            entry.hosting.stop();
            tracing::warn!(strategy = %entry.name, %why, "the strategy failed and is not used again");
            if let Some(observer) = self.observer.as_ref().filter(|_| misbehaved) {
                observer(&entry.name, &why);
            }
            Some(why)
        })
    }

    fn push(&mut self, entry: Registered) -> Result<(), RegistryError> {
        let name = entry.name.clone();
        check_name(&name)?;
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
    fn new(name: &str, version: &str, hosting: Hosting) -> Self {
        let (name, version) = (name.to_owned(), version.to_owned());
        Self { name, version, hosting, failed: OnceLock::new() }
    }
}

impl Hosting {
    fn run(
        &self,
        ids: &Interned,
        old: &Lines<'_>,
        new: &Lines<'_>,
        deadline: Duration,
    ) -> Result<Answer, Failure> {
        let answer = match self {
            Self::Inline(strategy) => run_inline(strategy.as_ref(), ids, old, new),
            Self::Thread(strategy) => run_on_thread(strategy, ids, old, new, deadline),
            Self::Library(in_process) => {
                let strategy = in_process.loaded().map_err(Failure::not_loaded)?;
                run_on_thread(&strategy, ids, old, new, deadline)
            }
            Self::Child(child) => return child.run(ids, old, new, deadline),
        };
        answer.map_err(Failure::misbehaved)
    }

    fn stop(&self) {
        if let Self::Child(child) = self {
            child.stop();
        }
    }
}

impl InProcess {
    fn loaded(&self) -> Result<Arc<dyn Run>, String> {
        let load = || {
            let Library { path, trust, .. } = &self.library;
            let loaded = load_library(path, trust).map_err(|error| error.to_string())?;
            self.library.check_called(&loaded.name())?;
            Ok(Arc::new(loaded) as Arc<dyn Run>)
        };
        self.loaded.get_or_init(load).clone()
    }
}
