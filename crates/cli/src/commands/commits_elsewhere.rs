//! `session commits` on systems where no command runs in a view yet.

use staging_core::ErrorKind;

use super::context::Context;
use crate::args::SessionCommits;
use crate::failure::Failure;

pub(super) fn commits(_: &Context<'_>, _: &SessionCommits) -> Result<(), Failure> {
    Err(Failure::new(ErrorKind::Unsupported, "`greenroom run` works on Linux only"))
}
