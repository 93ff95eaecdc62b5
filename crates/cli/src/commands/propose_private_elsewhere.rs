//! `propose --from-session` on systems without `run`.

use std::ffi::OsString;

use staging_core::ErrorKind;

use super::context::Context;
use crate::failure::Failure;

pub(super) fn propose_private(_: &Context<'_>, _: &[OsString], _: &str) -> Result<(), Failure> {
    let message = "`--from-session` works on Linux only, as `run` does";
    Err(Failure::new(ErrorKind::Unsupported, message)
        .advise("Stage the file itself: `greenroom propose PATH --from FILE`."))
}
