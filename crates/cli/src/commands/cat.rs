//! `cat`: a file as a session sees it.

use std::ffi::OsStr;

use staging_core::ErrorKind;

use super::context::Context;
use crate::failure::Failure;
use crate::json::ContentView;

pub(super) fn cat(context: &Context<'_>, path: &OsStr, session: &str) -> Result<(), Failure> {
    let path = context.location.file(path)?;
    let session = context.layer.find_session(session)?;
    let missing = || {
        Failure::new(ErrorKind::NotFound, format!("{} sees no file `{path}`", session.id))
            .about(path.to_escaped())
    };
    if context.console.json {
        let content = context.layer.read_through(session.id, &path)?.ok_or_else(missing)?;
        return context.console.object(ContentView::new(session.id, &path, content));
    }
    let mut copied = None;
    context.console.content(|out| {
        copied = context.layer.copy_through(session.id, &path, out)?;
        Ok(())
    })?;
    copied.map(|_| ()).ok_or_else(missing)
}
