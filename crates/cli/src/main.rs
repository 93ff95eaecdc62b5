//! The `greenroom` command, with which a person reviews and approves.
//!
//! Only this binary reads the environment, the home directory, the terminal and
//! the umask; it passes them to the libraries. It calls the blocking
//! layer: one process runs one command, so its one thread owns every disk swap,
//! and starting actors would cost more than most commands take.

mod agent;
mod allowed;
mod args;
#[cfg(target_os = "linux")]
mod base_commit;
mod commands;
mod completing;
mod config_file;
mod console;
mod examples;
mod failure;
mod files;
mod globs;
mod json;
mod keys;
mod location;
mod logging;
mod nearest;
mod pager;
mod paging;
mod paint;
mod paths;
mod plugin_host;
#[cfg(target_os = "linux")]
mod private_commits;
mod recovery;
mod root;
mod rows;
mod selection;
mod selection_args;
mod settings;
mod shells;
mod style;
mod trials;
mod user_dirs;
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use staging_core::PluginHost;

use crate::args::{Arguments, Command};
use crate::console::Console;
use crate::failure::Failure;

fn main() -> ExitCode {
    // Before anything is opened or started: what serves a plugin takes nothing along.
    if PluginHost::is_asked_for(std::env::args_os()) {
        return staging_core::serve_plugin();
    }
    #[cfg(target_os = "linux")]
    if let [_, keeper, descriptor] = std::env::args_os().collect::<Vec<_>>().as_slice()
        && keeper == commands::KEEPER
    {
        return capture::keep(descriptor);
    }
    let words: Vec<_> = std::env::args_os().collect();
    if let [_, complete, rest @ ..] = words.as_slice()
        && complete == completing::COMPLETE
    {
        return completing::complete(rest);
    }
    fail_at_the_file_size_limit();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(words::with_right_command(error)),
    };
    #[cfg(target_os = "linux")]
    if let Command::Host = &arguments.command {
        return commands::host_command(&arguments.global);
    }
    logging::start(arguments.global.verbose);
    if let Command::Hook(hook) = &arguments.command {
        return commands::hook(hook, &arguments.global);
    }
    let console = Console::new(&arguments.global);
    if let Command::Run(run) = &arguments.command {
        return commands::run_command(run, &arguments.global, &console)
            .unwrap_or_else(|failure| report(&failure.before_it_began(), &console, None));
    }
    if let Command::Exec(exec) = &arguments.command {
        return commands::exec_command(exec, &arguments.global, &console)
            .unwrap_or_else(|failure| report(&failure.before_it_began(), &console, None));
    }
    let done = commands::run(&arguments, &console);
    console.paging.finish();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has enough of it.
        Err(failure) if failure.is_closed_pipe => ExitCode::SUCCESS,
        Err(failure) => report(&failure, &console, Some(&arguments.command)),
    }
}

/// Has a write beyond the limit of file sizes (setrlimit(2)) fail as one to a full disk does,
/// where the default is a signal that ends the process.
///
/// A handler rather than `SIG_IGN`, which the programs that this one starts would inherit.
#[cfg(unix)]
fn fail_at_the_file_size_limit() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler: extern "C" fn(libc::c_int) = nothing;
    // SAFETY: the handler touches nothing, so it may interrupt any thread anywhere; no thread has
    // been started that could set another one.
    unsafe { libc::signal(libc::SIGXFSZ, handler as libc::sighandler_t) };
}

#[cfg(not(unix))]
fn fail_at_the_file_size_limit() {}

fn report(failure: &Failure, console: &Console, command: Option<&Command>) -> ExitCode {
    if console.json && !failure.is_in_the_object {
        // With standard output gone the sentence below is all that is left.
        let _ = console.object(json::ErrorView { error: failure });
    }
    console.warn(failure.to_text(command).trim_end());
    ExitCode::from(failure.exit_code())
}

/// Help and version, or what is wrong with the command line.
fn explain(error: clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.to_string();
        let message = text.split("\n\n").next().unwrap_or(&text).trim_start_matches("error: ");
        let failure = Failure::usage(message.trim_end());
        let object = json::Object::new(json::ErrorView { error: &failure });
        let _ = writeln!(std::io::stdout(), "{}", console::json_line(&object));
    }
    // clap repeats arguments as they are.
    let text = error.to_string();
    match staging_core::escape_for_display(&text) {
        shown if shown == text => drop(error.print()),
        shown => drop(write!(std::io::stderr(), "{shown}")),
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
