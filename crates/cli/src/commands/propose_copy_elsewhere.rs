//! `propose --from-tree` on systems where it does not work yet.

use staging_core::ErrorKind;

use super::context::Context;
use crate::args::ProposeCopy;
use crate::failure::Failure;

pub(super) fn propose_copy(_: &Context<'_>, _: &ProposeCopy, _: &str) -> Result<(), Failure> {
    let message = "`--from-tree` and `--from-upper` work on Linux only";
    Err(Failure::new(ErrorKind::Unsupported, message)
        .advise("Stage a diff instead: `greenroom propose --patch FILE`."))
}
