//! The reviewer's editor, chosen and started as git does it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use staging_core::Patch;
use tempfile::{Builder, TempDir};

use crate::failure::Failure;
use crate::files::read_regular;
use crate::pager::Interrupts;
use crate::paths::shown;

/// The longest edited text that is read, in bytes.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// A longer file's name is not given to the temporary file.
const NAME_BYTES_MAX: usize = 100;

/// The command that edits: the first of `$GREENROOM_EDITOR`, the configuration's `editor`,
/// `$VISUAL` on a terminal that can move its cursor, and `$EDITOR`; else the system's.
pub(super) fn command(configured: Option<&str>) -> OsString {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    named("GREENROOM_EDITOR")
        .or_else(|| configured.map(OsString::from))
        .or_else(|| named("VISUAL").filter(|_| !is_dumb))
        .or_else(|| named("EDITOR"))
        .unwrap_or_else(|| OsString::from(if cfg!(windows) { "notepad" } else { "vi" }))
}

/// A text in a file of its own, in a directory that only this user can enter. Both are removed at the
/// end unless they are kept.
pub(super) struct Draft {
    dir: TempDir,
    path: PathBuf,
}

impl Draft {
    /// Writes the text of a patch into a file below the state directory, where no command of `run`
    /// reaches it. Its name ends as that of the patch's file, by which editors choose a language.
    pub(super) fn new(state_dir: &Path, patch: &Patch, text: &[u8]) -> io::Result<Self> {
        let dir = private(Builder::new().prefix("edit-")).tempdir_in(state_dir)?;
        let name = format!("{}-{}", patch.id, file_name(patch));
        let mut file = Builder::new().prefix(&name).rand_bytes(0).tempfile_in(dir.path())?;
        file.write_all(text)?;
        let (_, path) = file.keep().map_err(|error| error.error)?;
        Ok(Self { dir, path })
    }

    /// Opens the file in an editor and waits for its end.
    pub(super) fn edit(&self, editor: &OsStr, json: bool) -> io::Result<ExitStatus> {
        let mut command = by_shell(editor, &self.path);
        if json {
            // Standard output is for the object alone.
            to_standard_error(&mut command)?;
        }
        let _interrupts = Interrupts::leave_to_child();
        command.status()
    }

    /// The text as it is now.
    pub(super) fn text(&self) -> io::Result<Vec<u8>> {
        read_regular(&self.path, TEXT_BYTES_MAX)
    }

    /// Keeps what the editor has left; its path for people. None where it has left nothing.
    fn keep(self) -> Option<String> {
        let Self { dir, path } = self;
        let is_there = path.symlink_metadata().is_ok();
        let is_empty = || fs::read_dir(dir.path()).is_ok_and(|mut left| left.next().is_none());
        if !is_there && is_empty() {
            return None;
        }
        let dir = dir.keep();
        // An editor may have moved it.
        Some(shown(if is_there { &path } else { &dir }))
    }
}

/// A directory that only this user can enter.
#[cfg(unix)]
fn private<'b, 'n>(builder: &'b mut Builder<'n, 'n>) -> &'b mut Builder<'n, 'n> {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(std::fs::Permissions::from_mode(0o700))
}

/// The state directory is the user's own.
#[cfg(not(unix))]
fn private<'b, 'n>(builder: &'b mut Builder<'n, 'n>) -> &'b mut Builder<'n, 'n> {
    builder
}

/// The name of a patch's file, as far as it can be a name everywhere.
fn file_name(patch: &Patch) -> String {
    let path = patch.target().unwrap_or(&patch.path);
    let name = String::from_utf8_lossy(path.file_name()).into_owned();
    let is_plain =
        |text: &str| text.chars().all(|c| c.is_ascii_graphic() && !r#"<>:"/\|?*"#.contains(c));
    if name.len() <= NAME_BYTES_MAX && is_plain(&name) {
        return name;
    }
    let ending = name.rsplit_once('.').map(|(_, ending)| format!("file.{ending}"));
    let ending = ending.filter(|name| name.len() <= NAME_BYTES_MAX && is_plain(name));
    ending.unwrap_or_else(|| "file".to_owned())
}

/// The editor with the file as its last argument. A shell splits its arguments and quotes, as git
/// has them.
#[cfg(unix)]
fn by_shell(editor: &OsStr, path: &Path) -> Command {
    let mut line = editor.to_owned();
    line.push(" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).arg(editor).arg(path);
    command
}

#[cfg(not(unix))]
fn by_shell(editor: &OsStr, path: &Path) -> Command {
    let mut words =
        editor.to_string_lossy().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let program = if words.is_empty() { "notepad".to_owned() } else { words.remove(0) };
    let mut command = Command::new(program);
    command.args(words).arg(path);
    command
}

#[cfg(unix)]
fn to_standard_error(command: &mut Command) -> io::Result<()> {
    use std::os::fd::AsFd as _;
    command.stdout(io::stderr().as_fd().try_clone_to_owned()?);
    Ok(())
}

#[cfg(not(unix))]
fn to_standard_error(command: &mut Command) -> io::Result<()> {
    use std::os::windows::io::AsHandle as _;
    command.stdout(io::stderr().as_handle().try_clone_to_owned()?);
    Ok(())
}

/// A failure that names where the edited text is.
pub(super) fn keeping(draft: Draft, failure: Failure) -> Failure {
    match draft.keep() {
        Some(path) => failure.advise(format!("The edited text is kept in `{path}`.")),
        None => failure,
    }
}
