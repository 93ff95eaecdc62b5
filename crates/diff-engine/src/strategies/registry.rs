//! The available strategies, by name, and what happens if one of them fails.

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
use crate::intern::FilePair;
use crate::slide::slide;
use crate::strategies::library::{Library, check_name, short_for_display};
use crate::strategies::loading::load_library;
use crate::strategies::process::{ChildLimits, InChild, PluginHost};
use crate::strategies::runner::{Answer, Failure, Linked, Run, run_inline, run_on_thread};

/// The strategies an engine can choose from.
///
/// A strategy that fails, panics, gives an invalid script or takes too long is not run again as long
/// as the registry exists; a bundled one compares the files for which it was chosen. The first such
/// file gets a remark.
pub struct Registry {
    entries: Vec<Registered>,
    observer: Option<Box<Observer>>,
}

/// Receives the name of a strategy that misbehaved, and the reason.
type Observer = dyn Fn(&str, &str) + Send + Sync;

struct Registered {
    name: String,
    version: String,
    hosting: Hosting,
    /// Why it is not run any more.
    failed: OnceLock<String>,
}

/// Where a strategy runs.
enum Hosting {
    /// On the calling thread, for as long as it takes.
    Inline(Box<dyn Run>),
    /// In this process, on a thread that is abandoned if it takes too long.
    Thread(Arc<dyn Run>),
    /// The same, from a library that is loaded on first use.
    Library(InProcess),
    /// In a process of its own.
    Child(InChild),
}

/// A library of this process.
struct InProcess {
    library: Library,
    loaded: OnceLock<Result<Arc<dyn Run>, String>>,
}

/// The result for one pair of files.
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

    /// No strategies, to test one alone. If it fails, the script replaces all lines.
    pub fn empty() -> Self {
        Self { entries: Vec::new(), observer: None }
    }

    /// Adds a strategy that is part of the program. It runs on its own thread, within the policy's
    /// deadline.
    ///
    /// # Errors
    ///
    /// If the name is taken, or is not one that users can type.
    pub fn add<S: Strategy + 'static>(&mut self, strategy: S) -> Result<(), RegistryError> {
        let hosting = Hosting::Thread(Arc::new(Linked(strategy)));
        self.push(Registered::new(S::NAME, S::VERSION, hosting))
    }

    /// Adds a strategy from a library that is loaded into this process on first use. It runs on its own
    /// thread, within the policy's deadline; if it crashes, the program crashes.
    ///
    /// # Errors
    ///
    /// If the name is taken, or is not one that users can type.
    pub fn add_in_process(&mut self, library: Library) -> Result<(), RegistryError> {
        let name = library.name.clone();
        let in_process = InProcess { library, loaded: OnceLock::new() };
        self.push(Registered::new(&name, "", Hosting::Library(in_process)))
    }

    /// Adds a strategy from a library that a separate process loads on first use; `host` starts it.
    ///
    /// The policy's deadline includes the start of that process. The process serves one file after
    /// the other, and ends if it misbehaves, with the registry, or with this process.
    ///
    /// # Errors
    ///
    /// If the name is taken, or is not one that users can type.
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

    /// Calls `observer` once for each strategy that misbehaves from now on, with the reason. It is not
    /// called for a library that cannot be loaded.
    pub fn on_misbehaviour(&mut self, observer: impl Fn(&str, &str) + Send + Sync + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// Stops the use of a strategy, as if it had failed, without a remark on any file.
    pub fn quarantine(&self, name: &str, why: &str) {
        if let Some(entry) = self.find(name) {
            // One that has failed keeps its own reason.
            let _ = entry.failed.set(short_for_display(why));
        }
    }

    /// The name and version of each strategy, the bundled ones first. The version is empty for a
    /// library that is not loaded yet.
    pub fn list(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.version.as_str()))
    }

    /// Whether a strategy has this name.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Why the strategy of this name is not run any more; `None` if it is.
    pub fn failure_of(&self, name: &str) -> Option<&str> {
        self.find(name)?.failed.get().map(String::as_str)
    }

    /// Whether the strategy of this name needs only the differences, and some lines around them.
    ///
    /// One that is not bundled may use the whole file to decide about a part of it.
    pub(crate) fn needs_changes_only(&self, name: &str) -> bool {
        let bundled = |entry: &Registered| matches!(entry.hosting, Hosting::Inline(_));
        self.find(name).is_some_and(bundled) && name != FullReplace::NAME
    }

    /// Compares two files with the chosen strategy, or with a bundled one if that fails.
    pub(crate) fn line_up(&self, chosen: &str, pair: &FilePair<'_>, deadline: Duration) -> Outcome {
        let mut replaced_because = None;
        for name in [chosen, Histogram::NAME] {
            let attempt = match self.find(name) {
                Some(entry) => self.attempt(entry, pair, deadline),
                None => Err(Some("no strategy has that name".to_owned())),
            };
            match attempt {
                Ok((script, degraded)) => {
                    return Outcome { script, used: name.to_owned(), degraded, replaced_because };
                }
                Err(why) => replaced_because = replaced_because.or(why),
            }
        }
        Outcome {
            script: EditScript::replacing(pair.old.len(), pair.new.len()),
            used: FullReplace::NAME.to_owned(),
            degraded: false,
            replaced_because,
        }
    }

    /// A valid script; or the reason why there is none, once for each strategy: later calls get no
    /// reason.
    fn attempt(
        &self,
        entry: &Registered,
        pair: &FilePair<'_>,
        deadline: Duration,
    ) -> Result<(EditScript, bool), Option<String>> {
        if entry.failed.get().is_some() {
            return Err(None);
        }
        let answer = entry.hosting.run(pair, deadline);
        let checked = answer.and_then(|Answer { ops, degraded }| {
            let mut script = EditScript::validated(&ops, &pair.old, &pair.new)
                .map_err(|error| Failure::misbehaved(error.to_string()))?;
            let all_settled = slide(&mut script, pair);
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
    fn run(&self, pair: &FilePair<'_>, deadline: Duration) -> Result<Answer, Failure> {
        let answer = match self {
            Self::Inline(strategy) => run_inline(strategy.as_ref(), pair),
            Self::Thread(strategy) => run_on_thread(strategy, pair, deadline),
            Self::Library(in_process) => {
                let strategy = in_process.loaded().map_err(Failure::not_loaded)?;
                run_on_thread(&strategy, pair, deadline)
            }
            Self::Child(child) => return child.run(pair, deadline),
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
