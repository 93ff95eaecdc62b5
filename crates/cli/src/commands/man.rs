//! `man`: the manual pages, made of what `--help` prints.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use staging_core::StagingError;

use crate::args::Arguments;
use crate::console::Console;
use crate::failure::Failure;
use crate::paths::shown;

/// Prints the page of the command, or writes that and one for each subcommand to a directory.
pub(super) fn man(dir: Option<&Path>, console: &Console) -> Result<(), Failure> {
    let mut command = Arguments::command();
    command.build();
    let Some(dir) = dir else {
        let (_, page) = page(command)?;
        return console
            .bytes(|out| out.write_all(&page).map_err(|source| StagingError::Output { source }));
    };
    let mut pages = Vec::new();
    collect(command, &mut pages)?;
    for (name, page) in &pages {
        write(dir, name, page).map_err(|source| {
            Failure::io(format_args!("cannot write `{}`", shown(dir.join(name))), &source)
        })?;
    }
    console.report(&format!("wrote {} pages to {}\n", pages.len(), shown(dir)))
}

/// The pages of a command and of those below it that people run.
fn collect(command: Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
    let is_shown = |one: &&Command| !one.is_hide_set() && one.get_name() != "help";
    for below in command.get_subcommands().filter(is_shown) {
        collect(below.clone(), pages)?;
    }
    pages.push(page(command)?);
    Ok(())
}

/// A page and the name of its file.
fn page(command: Command) -> Result<(String, Vec<u8>), Failure> {
    let man = Man::new(command).source(concat!("greenroom ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render(&mut page).map_err(|source| Failure::io("cannot make a page", &source))?;
    Ok((man.get_filename(), page))
}

/// Puts a page in the place of an older one at once.
#[allow(clippy::disallowed_methods, reason = "the user named the directory for the pages")]
fn write(dir: &Path, name: &str, page: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(page)?;
    // Others read it, too.
    #[cfg(unix)]
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(dir.join(name))?;
    Ok(())
}
