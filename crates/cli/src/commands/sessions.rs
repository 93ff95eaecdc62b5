//! `session list` and `session close`.

use std::fmt::Write as _;

use serde_json::json;
use staging_core::SessionState;

use super::Stage;
use crate::failure::Failure;
use crate::json::SessionView;

pub(super) fn list(stage: &Stage<'_>) -> Result<(), Failure> {
    let sessions = stage.layer.sessions()?;
    if stage.console.json {
        let sessions: Vec<_> = sessions.iter().map(SessionView::from).collect();
        return stage.console.object(json!({ "sessions": sessions }));
    }
    let mut text = String::new();
    for session in &sessions {
        let until = match session.state {
            SessionState::Open => format!("expires {}", session.expires_at),
            _ => format!("last active {}", session.last_active_at),
        };
        let (id, state, label) = (session.id, session.state.as_str(), &session.label);
        let _ = writeln!(text, "{id} {state} {label} ({until})");
    }
    if sessions.is_empty() {
        text.push_str("no session yet\n");
    }
    stage.console.text(&text)
}

pub(super) fn close(stage: &Stage<'_>, named: &str) -> Result<(), Failure> {
    let found = stage.layer.find_session(named)?;
    let session = stage.layer.close_session(found.id)?;
    let printed = if stage.console.json {
        let session = SessionView::from(&session);
        stage.console.object(json!({ "session": session }))
    } else {
        let (id, label) = (session.id, &session.label);
        stage.console.text(&format!("{id} {label} is {}\n", session.state.as_str()))
    };
    stage.told(printed, "the session is closed");
    Ok(())
}
