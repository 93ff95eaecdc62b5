//! The program through which a person reads output on a terminal, started as git starts it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

/// The options of less and lv where the user sets none: to end at once when the output fits on
/// the screen, to leave it there, and to pass colours on.
const DEFAULTS: [(&str, &str); 2] = [("LESS", "FRX"), ("LV", "-c")];

/// The pager when the user names none.
const USUAL: &str = "less";

/// The user's pager: the first of `$GREENROOM_PAGER`, the configuration's and `$PAGER` that is set, or else
/// less. None if it is empty or `cat`, or if none is set and less is not installed.
pub(crate) fn chosen(configured: Option<&str>) -> Option<OsString> {
    let of_environment = |name| env::var_os(name);
    let named = of_environment("GREENROOM_PAGER")
        .or_else(|| configured.map(OsString::from))
        .or_else(|| of_environment("PAGER"));
    match named {
        Some(named) if named.is_empty() || named == "cat" => None,
        Some(named) => Some(named),
        None => Some(OsString::from(USUAL)).filter(|usual| is_found(usual.as_os_str())),
    }
}

/// A running pager.
pub(crate) struct Pager {
    child: Child,
    input: Option<ChildStdin>,
    /// Held for as long as the pager runs.
    _interrupts: Interrupts,
}

impl Pager {
    /// Starts a program that reads standard input, given as for a shell.
    ///
    /// # Errors
    /// `NotFound` where there is no such program.
    pub(crate) fn start(command: &OsStr) -> io::Result<Self> {
        if !is_found(command) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut process = shell(command);
        for (name, value) in DEFAULTS.iter().filter(|(name, _)| env::var_os(name).is_none()) {
            process.env(name, value);
        }
        let interrupts = Interrupts::leave_to_child();
        let mut child = process.stdin(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        Ok(Self { child, input, _interrupts: interrupts })
    }

    /// Has the pager know that nothing more comes, and waits until the reader has left it.
    pub(crate) fn finish(mut self) -> io::Result<ExitStatus> {
        self.input = None;
        self.child.wait()
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.input {
            Some(input) => input.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// While this is held, the keys that interrupt and quit do not end this process: the pager or editor
/// that it waits for does what it likes with them. Taken before that program is started, which may be
/// interrupted as soon as it runs.
#[cfg(unix)]
pub(crate) struct Interrupts([libc::sighandler_t; 2]);

#[cfg(unix)]
impl Interrupts {
    const SIGNALS: [libc::c_int; 2] = [libc::SIGINT, libc::SIGQUIT];

    pub(crate) fn leave_to_child() -> Self {
        Self(Self::SIGNALS.map(|signal| {
            // A handler rather than `SIG_IGN`, which the program would inherit: execve(2) sets what is
            // handled to its default.
            let nothing: extern "C" fn(libc::c_int) = pass;
            // SAFETY: the handler does nothing.
            let before = unsafe { libc::signal(signal, nothing as libc::sighandler_t) };
            if before == libc::SIG_IGN {
                // As under nohup(1): the program is to inherit that.
                // SAFETY: no handler is installed.
                unsafe { libc::signal(signal, libc::SIG_IGN) };
            }
            before
        }))
    }
}

#[cfg(unix)]
extern "C" fn pass(_: libc::c_int) {}

#[cfg(unix)]
impl Drop for Interrupts {
    fn drop(&mut self) {
        for (signal, handler) in Self::SIGNALS.into_iter().zip(self.0) {
            // SAFETY: the handler is what the signal had before.
            unsafe { libc::signal(signal, handler) };
        }
    }
}

#[cfg(not(unix))]
pub(crate) struct Interrupts;

#[cfg(not(unix))]
impl Interrupts {
    pub(crate) fn leave_to_child() -> Self {
        Self
    }
}

/// The command as the user's shell reads it, without a shell where it has nothing to read.
#[cfg(unix)]
fn shell(command: &OsStr) -> Command {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -_./+:,@%=".contains(&byte);
    let text = command.to_string_lossy();
    if !command.as_encoded_bytes().iter().all(|byte| is_plain(*byte)) || text.contains('=') {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command);
        return shell;
    }
    words(&text)
}

#[cfg(not(unix))]
fn shell(command: &OsStr) -> Command {
    words(&command.to_string_lossy())
}

fn words(command: &str) -> Command {
    let mut words = command.split_whitespace();
    let mut process = Command::new(words.next().unwrap_or_default());
    process.args(words);
    process
}

/// Whether there is a program of this name, where the name can be read without a shell. A shell would
/// take the output and lose it.
pub(crate) fn is_found(command: &OsStr) -> bool {
    let text = command.to_string_lossy();
    let Some(name) = text.split_whitespace().find(|word| !word.contains('=')) else { return false };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./+:".contains(&byte);
    if !cfg!(unix) || !name.bytes().all(is_plain) {
        return true;
    }
    if name.contains('/') {
        return Path::new(name).is_file();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

#[cfg(all(test, unix))]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("sh", true)]
    #[case("sh -x", true)]
    #[case("LESS=R sh", true)]
    #[case("/bin/sh", true)]
    #[case("no-such-program-anywhere -R", false)]
    #[case("/no/such/program", false)]
    #[case("", false)]
    #[case("  ", false)]
    #[case("'quoted program' -x", true)]
    fn a_program_is_looked_for_where_a_shell_would_find_it(
        #[case] command: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(is_found(OsStr::new(command)), expected);
    }

    #[rstest]
    #[case("less -R", "less", &["-R"])]
    #[case("LESS=R less", "/bin/sh", &["-c", "LESS=R less"])]
    #[case("sed 's/a/b/' | less", "/bin/sh", &["-c", "sed 's/a/b/' | less"])]
    fn a_shell_reads_what_only_a_shell_can_read(
        #[case] command: &str,
        #[case] program: &str,
        #[case] arguments: &[&str],
    ) {
        let process = shell(OsStr::new(command));
        assert_eq!(process.get_program(), program);
        assert_eq!(process.get_args().collect::<Vec<_>>(), arguments);
    }
}
