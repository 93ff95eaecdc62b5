//! `cat`: a file as a session sees it.

use std::ffi::OsStr;

use serde_json::json;
use staging_core::ErrorKind;

use super::context::Stage;
use crate::failure::Failure;

pub(super) fn cat(stage: &Stage<'_>, path: &OsStr, session: &str) -> Result<(), Failure> {
    let path = stage.place.file(path)?;
    let session = stage.layer.find_session(session)?;
    let missing = || {
        Failure::new(ErrorKind::NotFound, format!("{} sees no file `{path}`", session.id))
            .about(path.to_escaped())
    };
    if stage.console.json {
        let content = stage.layer.read_through(session.id, &path)?.ok_or_else(missing)?;
        return stage.console.object(json!({
            "session": session.id,
            "path": path,
            "bytes": content.len(),
            "text": String::from_utf8(content).ok(),
        }));
    }
    let mut copied = None;
    stage.console.content(|out| {
        copied = stage.layer.copy_through(session.id, &path, out)?;
        Ok(())
    })?;
    copied.map(|_| ()).ok_or_else(missing)
}
