//! `plugin list`, `plugin allow` and `plugin test`: strategies from libraries.
//!
//! None of them opens the store, so they work outside of a workspace too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use staging_core::{
    Confinement, ErrorKind, Hosting, PluginError, PluginHost, Quarantine, StagingOptions,
    TrustedLibrary, check_plugin, identify_plugin, test_plugin,
};

use super::text::count;
use crate::allowed;
use crate::args::{Global, Plugin};
use crate::console::Console;
use crate::failure::Failure;
use crate::json::{
    AllowedView, CheckView, ConfinementView, StrategiesView, StrategyView, TestedView,
};
use crate::location::{Location, check_outside};
use crate::paths::shown;
use crate::plugin_host;
use crate::settings::{BUNDLED, Settings};
use crate::user_dirs::config_file;

/// How long one check of the conformance kit may take.
const CHECK_ALLOWED: Duration = Duration::from_secs(120);

/// What the commands work with.
struct PluginCommand<'a> {
    console: &'a Console,
    /// None outside of a workspace.
    location: Option<Location>,
    config_file: PathBuf,
    options: StagingOptions,
    host: PluginHost,
}

pub(crate) fn run(plugin: &Plugin, global: &Global, console: &Console) -> Result<(), Failure> {
    let command = PluginCommand::open(global, console)?;
    match plugin {
        Plugin::List => command.list(),
        Plugin::Allow { path, chosen, in_process } => {
            let hosting = if *in_process { Hosting::InProcess } else { Hosting::Child };
            command.allow(path, *chosen, hosting)
        }
        Plugin::Test { path } => command.test(path),
    }
}

impl<'a> PluginCommand<'a> {
    fn open(global: &Global, console: &'a Console) -> Result<Self, Failure> {
        let location = match Location::find(global) {
            Ok(location) => Some(location),
            Err(failure) if global.workspace.is_some() => return Err(failure),
            // The home directory is no workspace, and a fine place to allow a plugin from.
            Err(_) => None,
        };
        let config_file = config_file().ok_or_else(|| {
            Failure::usage("there is no home directory to keep a configuration in")
                .advise("Set XDG_CONFIG_HOME.")
        })?;
        let root = location.as_ref().map_or(Path::new(""), |location| &location.root);
        let state = location.as_ref().map_or(Path::new(""), |location| &location.state_dir);
        let options = StagingOptions::new(root, state);
        let options = Settings::read(Some(&config_file), options)?.options;
        let host = plugin_host::of_this_program()
            .ok_or_else(|| Failure::new(ErrorKind::Io, "cannot find this program's own file"))?;
        Ok(Self { console, location, config_file, options, host })
    }

    /// The library that an argument names, outside of the workspace, where agents write.
    fn library(&self, argument: &Path) -> Result<PathBuf, Failure> {
        let path = std::path::absolute(argument).map_err(|source| {
            Failure::io(format_args!("cannot find `{}`", shown(argument)), &source)
        })?;
        // `a/../b` may lead elsewhere than it reads; the folders are those that are there.
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Failure::usage(format!("`{}` names no file", shown(argument))));
        };
        let folder = folder.canonicalize().map_err(|source| {
            Failure::io(format_args!("cannot find `{}`", shown(argument)), &source)
        })?;
        Ok(folder.join(name))
    }

    fn quarantine(&self) -> Option<Quarantine> {
        let location = self.location.as_ref()?;
        Some(Quarantine::new(&location.state_dir, self.options.session_expires_after))
    }

    fn allow(&self, argument: &Path, chosen: bool, hosting: Hosting) -> Result<(), Failure> {
        let path = self.library(argument)?;
        if let Some(location) = &self.location {
            let advice = "Copy it to a folder of your own and allow it there.";
            check_outside(&path, &location.root, "the plugin", advice)?;
            let advice = "Keep it elsewhere and set XDG_CONFIG_HOME.";
            check_outside(&self.config_file, &location.root, "the configuration", advice)?;
        }
        let found = identify_plugin(&path, &self.host, self.options.plugin_limits)
            .map_err(|error| refused(&error))?;
        if BUNDLED.contains(&found.name.as_str()) {
            return Err(Failure::refused(format!(
                "the plugin has the name of a bundled strategy, `{}`",
                found.name
            ))
            .advise("Choose another name and build it again."));
        }
        let library =
            TrustedLibrary { name: found.name.clone(), path, blake3: found.blake3, hosting };
        allowed::write(&self.config_file, &library, chosen)?;
        if let Some(quarantine) = self.quarantine() {
            // Allowing it again is a second chance.
            quarantine.lift(&library.blake3).map_err(|source| {
                Failure::io("cannot lift its quarantine in this workspace", &source)
            })?;
        }
        if self.console.json {
            return self.console.object(AllowedView {
                name: &found.name,
                version: &found.version,
                path: shown(&library.path),
                blake3: found.blake3,
                chosen: chosen || self.options.diff.strategy == found.name,
            });
        }
        let then = if chosen || self.options.diff.strategy == found.name {
            "It is used from now on.".to_owned()
        } else {
            format!("To use it, add --use, or set [diff] strategy = \"{}\".", found.name)
        };
        self.console.report(&format!(
            "allowed {} {} from {}\nblake3 {}\n{then}\n{}",
            found.name,
            found.version,
            shown(&library.path),
            found.blake3,
            refused_to(hosting),
        ))
    }

    fn test(&self, argument: &Path) -> Result<(), Failure> {
        let path = self.library(argument)?;
        let found = test_plugin(&path, &self.host, self.options.plugin_limits, CHECK_ALLOWED)
            .map_err(|error| refused(&error))?;
        let failed = found.checks.iter().filter(|check| check.failed.is_some()).count();
        if self.console.json {
            let checks = found.checks.iter().map(CheckView::from).collect();
            let (name, version) = (&found.name, &found.version);
            let passed = found.passed();
            self.console.object(TestedView { name, version, passed, checks })?;
        } else {
            let is_quiet = self.console.is_quiet;
            let mut text = match is_quiet {
                true => String::new(),
                false => format!("{} {}\n", found.name, found.version),
            };
            for check in &found.checks {
                let took_ms = check.took.as_millis();
                match &check.failed {
                    None if is_quiet => {}
                    None => text.push_str(&format!("passed  {} ({took_ms} ms)\n", check.claim)),
                    Some(why) => text.push_str(&format!("FAILED  {}: {why}\n", check.claim)),
                }
            }
            self.console.text(&text)?;
        }
        if failed == 0 {
            return Ok(());
        }
        let checks = count(failed, "check", "checks");
        let message = format!("{} failed {checks}", found.name);
        Err(Failure::new(ErrorKind::Unsupported, message).in_the_object())
    }

    fn list(&self) -> Result<(), Failure> {
        let chosen = self.options.diff.strategy.as_str();
        let mut strategies: Vec<StrategyView> =
            BUNDLED.iter().map(|name| StrategyView::bundled(name, *name == chosen)).collect();
        for library in &self.options.strategies {
            strategies.push(StrategyView {
                name: &library.name,
                chosen: library.name == chosen,
                runs: match library.hosting {
                    Hosting::Child => "child",
                    Hosting::InProcess => "in_process",
                },
                path: Some(shown(&library.path)),
                blake3: Some(library.blake3),
                problem: self.problem(library),
            });
        }
        let confinement = Confinement::of_this_system();
        if self.console.json {
            let Confinement { files, system_calls } = confinement;
            let confinement = ConfinementView { files, system_calls };
            return self.console.object(StrategiesView { strategies, confinement });
        }
        let mut text = String::new();
        for strategy in &strategies {
            let mark = if strategy.chosen { '*' } else { ' ' };
            text.push_str(&format!("{mark} {}", strategy.name));
            match &strategy.path {
                None => text.push_str("  bundled"),
                Some(path) if strategy.runs == "in_process" => {
                    text.push_str(&format!("  {path}, in greenroom's own process"));
                }
                Some(path) => text.push_str(&format!("  {path}")),
            }
            if let Some(problem) = &strategy.problem {
                text.push_str(&format!("\n    not used: {problem}"));
            }
            text.push('\n');
        }
        if self.options.strategies.iter().any(|library| library.hosting == Hosting::Child) {
            text.push_str(&format!("this system refuses a plugin's own process {confinement}\n"));
        }
        self.console.text(&text)
    }

    /// What keeps an allowed library from being asked.
    fn problem(&self, library: &TrustedLibrary) -> Option<String> {
        if let Err(error) = check_plugin(library) {
            return Some(error.to_string());
        }
        let why = self.quarantine()?.reason(&library.blake3)?;
        Some(format!("in this workspace for now: {why}"))
    }
}

/// What a plugin could do that is refused on other systems, or to another one; nothing where that
/// is nothing.
fn refused_to(hosting: Hosting) -> String {
    let confinement = Confinement::of_this_system();
    match hosting {
        Hosting::InProcess => {
            "It runs in greenroom's own process: it can do what you can, and if it crashes, \
             greenroom crashes.\n"
                .to_owned()
        }
        Hosting::Child if confinement.is_whole() => String::new(),
        Hosting::Child => format!("This system refuses its process {confinement}.\n"),
    }
}

fn refused(error: &PluginError) -> Failure {
    Failure::refused(error.to_string())
}
