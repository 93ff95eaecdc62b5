//! Systems whose kernel cannot be asked to refuse system calls, or whose numbers are not known here.

use std::io;

use super::Threads;

/// Never, here.
pub(super) fn can_be_restricted() -> bool {
    false
}

/// Does nothing.
pub(super) fn restrict(_threads: Threads) -> io::Result<()> {
    Ok(())
}
