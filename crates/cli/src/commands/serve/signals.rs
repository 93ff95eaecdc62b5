//! Ends as at the end of the input when the process is asked to end.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use signal_hook::consts::SIGTERM;
use signal_hook::{flag, low_level};
use tokio::sync::mpsc;

use super::taken::Input;

/// Reports the end of the input at the first SIGTERM. The second one ends the process at once.
pub(super) fn end_at_terminate(inputs: mpsc::Sender<Input>) -> io::Result<()> {
    let (mut wake, waker) = UnixStream::pair()?;
    let has_come = Arc::new(AtomicBool::new(false));
    flag::register_conditional_default(SIGTERM, Arc::clone(&has_come))?;
    flag::register(SIGTERM, has_come)?;
    low_level::pipe::register(SIGTERM, waker)?;
    thread::spawn(move || {
        if wake.read_exact(&mut [0]).is_ok() {
            // It may be ending already.
            let _ = inputs.blocking_send(Input::End);
        }
    });
    Ok(())
}
