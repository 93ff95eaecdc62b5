//! `init --with-shell`: lets agents run commands by the tool `run_command`, in the user's configuration.

use std::io;
use std::path::Path;

use serde_json::json;
use staging_core::ApprovalMeans;

use super::agents::Want;
use super::{Scope, toml};
use crate::args::Init;
use crate::commands::approval::{ask, missing, unasked};
use crate::commands::options::{checked_settings, defaults};
use crate::config_file;
use crate::console::Console;
use crate::failure::Failure;
use crate::files::read_settings;
use crate::location::{Location, check_outside};
use crate::paths::shown;
use crate::settings::Settings;

/// The key.
const KEY: [&str; 2] = ["mcp", "run_command"];

/// Refuses, before the agent's settings are changed, what cannot be changed after them.
pub(super) fn check(
    init: &Init,
    scope: Scope,
    location: &Location,
    console: &Console,
) -> Result<(), Failure> {
    if !init.with_shell {
        return Ok(());
    }
    if !cfg!(target_os = "linux") {
        let message = "`--with-shell` needs Linux: no other system shows a command a view";
        return Err(Failure::usage(message));
    }
    match edited(init, scope, location)? {
        Some(_) => check_consent(init, location, console),
        None => Ok(()),
    }
}

/// Refuses what neither `--yes` nor an answer can agree to.
fn check_consent(init: &Init, location: &Location, console: &Console) -> Result<(), Failure> {
    if init.yes {
        return unasked(location, ApprovalMeans::Yes, "init --with-shell --yes").map(drop);
    }
    if console.can_ask {
        return Ok(());
    }
    let advice = match crate::agent::in_environment() {
        Some(_) => "Ask the user to run it in a terminal of their own.",
        None => "Pass --yes to set `mcp.run_command` in your configuration.",
    };
    Err(missing("init --with-shell needs confirmation; nothing was changed").advise(advice))
}

/// Whether agents may run commands.
pub(super) fn is_allowed(location: &Location) -> bool {
    let read = Settings::read(location.config_file.as_deref(), defaults(location));
    read.is_ok_and(|settings| settings.offers_run_command)
}

/// Shows the change of the configuration, and makes it on a yes.
pub(super) fn change(
    init: &Init,
    scope: Scope,
    location: &Location,
    console: &Console,
) -> Result<(), Failure> {
    let remark_set = || {
        console.remark(match init.remove {
            false => "agents may run commands already: `mcp.run_command` is set",
            true => "`mcp.run_command` is not set",
        });
    };
    let Some((file, _)) = edited(init, scope, location)? else {
        remark_set();
        return Ok(());
    };
    // It may have been set, so that nothing was asked for, when `check` looked.
    check_consent(init, location, console)?;
    let named = shown(file);
    let [table, key] = KEY;
    let line = format!("`{key} = true` under `[{table}]` in `{named}`");
    let words = match init.remove {
        false => format!(
            "{line} lets the agents of all your workspaces run commands: confined, in a view, with \
             their writes staged"
        ),
        true => format!("{line} is taken out: no agent runs commands by Greenroom any more"),
    };
    let is_asked = !init.yes && console.can_ask;
    // Whoever is asked has to know it.
    if is_asked {
        console.warn(&words)
    } else {
        console.remark(&words)
    }
    if is_asked {
        let otherwise = "your configuration was not changed";
        ask(console, "Change your configuration?", otherwise, "The agent's settings are changed.")?;
    }
    // What the user has changed since the question stays.
    let Some((file, text)) = edited(init, scope, location)? else {
        remark_set();
        return Ok(());
    };
    config_file::replace(file, &text).map_err(|source| {
        Failure::io(format_args!("cannot change the configuration `{named}`"), &source)
    })?;
    let done = format!("changed `{named}`; an agent's server that runs has to be started again");
    // The one object is printed.
    if console.json {
        console.remark(&done)
    } else {
        console.report(&(done + "\n"))?
    }
    Ok(())
}

/// The configuration and its new text; nothing where it says already what it should.
fn edited<'l>(
    init: &Init,
    scope: Scope,
    location: &'l Location,
) -> Result<Option<(&'l Path, String)>, Failure> {
    let file = location.config_file.as_deref();
    let file = file.ok_or_else(|| Failure::usage("there is no home directory"))?;
    // What is changed has to be valid. The user's own settings are below the same directory.
    match scope {
        Scope::User => drop(Settings::read(Some(file), defaults(location))?),
        Scope::Local | Scope::Shared => {
            check_outside(file, &location.root, "the configuration", "Set XDG_CONFIG_HOME.")?;
            checked_settings(location, defaults(location))?;
        }
    }
    let text = match read_settings(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(Failure::io(format_args!("cannot read `{}`", shown(file)), &error));
        }
    };
    let want = Want::Set { at: KEY.map(str::to_owned).into(), value: json!(true) };
    let edited = toml::edit(&text, &[want], init.remove)
        .map_err(|why| Failure::usage(format!("the configuration `{}`: {why}", shown(file))))?;
    Ok((edited != text).then_some((file, edited)))
}
