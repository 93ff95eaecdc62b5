//! One key as an answer, without Enter.
//!
//! The terminal is set for single keys only while one is waited for, so that everything else finds it
//! as it was. Nothing moves the cursor: what is written are lines.

use std::io::{self, Write as _};

use crate::console::say;

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A printable ASCII character.
    Character(char),
    /// Anything else that is no answer, such as an arrow.
    Other,
    /// The key that interrupts, or the end of the input.
    Quit,
}

/// Writes a question and waits for a key. What was typed before the question is no answer to it: it
/// is discarded, which a line says.
///
/// # Errors
/// Any error of the terminal.
pub(crate) fn ask(question: &str) -> io::Result<Key> {
    loop {
        if let Some(key) = terminal::key(question)? {
            return Ok(key);
        }
        // The process was stopped meanwhile: the question has to be shown again.
        say("");
    }
}

fn write_question(question: &str) -> io::Result<()> {
    let mut err = io::stderr();
    write!(err, "{question}")?;
    err.flush()
}

#[cfg(unix)]
mod terminal {
    use std::io;
    use std::os::fd::AsFd as _;

    use rustix::io::{Errno, ioctl_fionread, read};
    use rustix::process::{Signal, kill_current_process_group};
    use rustix::termios::{
        LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr,
        tcsetattr,
    };

    use super::{Key, write_question};
    use crate::console::say;

    const INTERRUPT: u8 = 0x03;
    const END: u8 = 0x04;
    const SUSPEND: u8 = 0x1a;

    /// The terminal while it gives single keys; set as it was when this is dropped.
    struct SingleKeys {
        before: Termios,
        now: Termios,
    }

    impl SingleKeys {
        fn set() -> io::Result<Self> {
            let stdin = io::stdin();
            let before = tcgetattr(stdin.as_fd())?;
            let mut now = before.clone();
            // The keys that interrupt and suspend come as bytes: the terminal is set back first.
            now.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            now.special_codes[SpecialCodeIndex::VMIN] = 1;
            now.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(stdin.as_fd(), OptionalActions::Now, &now)?;
            Ok(Self { before, now })
        }

        /// Takes the rest of a sequence, which follows at once or after a tenth of a second.
        fn skip_rest(&mut self) -> io::Result<()> {
            let stdin = io::stdin();
            self.now.special_codes[SpecialCodeIndex::VMIN] = 0;
            self.now.special_codes[SpecialCodeIndex::VTIME] = 1;
            tcsetattr(stdin.as_fd(), OptionalActions::Now, &self.now)?;
            while read(stdin.as_fd(), &mut [0; 64][..])? > 0 {}
            Ok(())
        }
    }

    impl Drop for SingleKeys {
        fn drop(&mut self) {
            // A terminal that is gone needs no setting.
            let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &self.before);
        }
    }

    pub(super) fn key(question: &str) -> io::Result<Option<Key>> {
        let mut keys = SingleKeys::set()?;
        let stdin = io::stdin();
        let before = ioctl_fionread(stdin.as_fd())?;
        tcflush(stdin.as_fd(), QueueSelector::IFlush)?;
        if before > 0 {
            say("ignored what was typed before this question");
        }
        write_question(question)?;
        let mut byte = [0];
        let count = match read(stdin.as_fd(), &mut byte[..]) {
            // A stop from elsewhere may have left the terminal in another state.
            Err(Errno::INTR) => return Ok(None),
            // The terminal has hung up.
            Err(Errno::IO) => 0,
            count => count?,
        };
        Ok(match byte[0] {
            _ if count == 0 => Some(Key::Quit),
            INTERRUPT | END => Some(Key::Quit),
            SUSPEND => {
                drop(keys);
                kill_current_process_group(Signal::TSTP)?;
                None
            }
            byte @ b' '..=b'~' => Some(Key::Character(char::from(byte))),
            b'\r' | b'\n' | b'\t' => Some(Key::Other),
            _ => {
                keys.skip_rest()?;
                Some(Key::Other)
            }
        })
    }
}

/// Where single keys cannot be had, the first character of a line is the key.
#[cfg(not(unix))]
mod terminal {
    use std::io;

    use super::{Key, write_question};
    use crate::console::discard_typed_ahead;

    pub(super) fn key(question: &str) -> io::Result<Option<Key>> {
        discard_typed_ahead()?;
        write_question(question)?;
        let mut line = String::new();
        if io::stdin().read_line(&mut line)? == 0 {
            return Ok(Some(Key::Quit));
        }
        let first = line.chars().next().filter(char::is_ascii_graphic);
        Ok(Some(first.map_or(Key::Other, Key::Character)))
    }
}
