//! Opening, finding, closing and expiring sessions.

use crate::attempt::{Attempt, CommitError};
use crate::decide::discard::{discard_one, dismiss};
use crate::error::{Result, StagingError};
use crate::event::Event;
use crate::ids;
use crate::ids::{ApplyId, SessionId};
use crate::layer::{DiffStagingLayer, Inner};
use crate::owner::Owner;
use crate::patch::{DiscardReason, Patch};
use crate::session::{Session, SessionState};
use crate::signature::Signature;
use crate::signing::set_signature;
use crate::store::applies::held_by;
use crate::store::sessions::require;
use crate::store::write::Write;
use crate::store::{patches, sessions};
use crate::time::{Age, ms};

const LABEL_BYTES_MAX: usize = 200;

/// Reading postpones a session's expiry at most this often.
const TOUCH_MS: i64 = 60_000;

impl DiffStagingLayer {
    /// The open session of this label; it is opened when there is none.
    ///
    /// # Errors
    /// `BadLabel` when the label is empty, is longer than 200 bytes, contains control characters,
    /// starts with `-` or has the form of an id; else an error of the store.
    pub fn open_session(&self, label: &str) -> Result<Session> {
        check_label(label)?;
        self.0.expire_overdue()?;
        let expires_after = self.0.options.session_expires_after;
        let owner = self.0.owner();
        let open = self.0.store.peek(|connection| sessions::find_label(connection, label))?;
        if let Some(session) = open
            && session.state == SessionState::Open
            && session.orphaned_at.is_none()
            && (session.owner_pid.is_some() || owner.is_none())
        {
            return Ok(session);
        }
        self.0.store.write(|write| {
            if let Some(session) = sessions::find_label(write, label)?
                && session.state == SessionState::Open
            {
                return adopt_orphan(write, &session, owner);
            }
            let id = sessions::insert(write, label, expires_after, owner)?;
            write.log(Event::SessionOpened { session: id, label: label.to_owned() })?;
            require(write, id)
        })
    }

    /// The session of this id or label. Of several sessions of the label, the open one or else the
    /// last one.
    ///
    /// # Errors
    /// `SessionNotFound`; else an error of the store.
    pub fn find_session(&self, id_or_label: &str) -> Result<Session> {
        self.0.store.peek(|connection| {
            let found = match id_or_label.parse() {
                Ok(id) => sessions::find(connection, id)?,
                Err(_) => sessions::find_label(connection, id_or_label)?,
            };
            found.ok_or_else(|| StagingError::SessionNotFound {
                name: atomic_fs::escape_bytes(id_or_label.as_bytes()),
            })
        })
    }

    /// Every session, in the order in which they were opened.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sessions(&self) -> Result<Vec<Session>> {
        self.0.store.peek(sessions::all)
    }

    /// Closes a session that never had a patch and that no other process owns; returns whether it closed
    /// it. For processes that open a session before it is known whether it is needed.
    ///
    /// # Errors
    /// `SessionNotFound`; else an error of the store.
    pub fn close_unused_session(&self, id: SessionId) -> Result<bool> {
        self.0.store.write(|write| {
            let session = require(write, id)?;
            let is_owned = session.owner_pid.is_some_and(|owner| owner != std::process::id());
            let used = sessions::counters(write, id)?.is_none_or(|found| found.generation > 0);
            if used || session.state != SessionState::Open || is_owned {
                return Ok(false);
            }
            sessions::set_state(write, id, SessionState::Closed)?;
            write.log(Event::SessionClosed { session: id })?;
            Ok(true)
        })
    }

    /// Closes a session: its pending patches are discarded as rejected, and its stale and expired
    /// patches dismissed.
    ///
    /// # Errors
    /// As [`close_reviewed`](Self::close_reviewed).
    pub fn close_session(&self, id: SessionId) -> Result<Session> {
        Ok(self.close_reviewed(id, None, None)?.session)
    }

    /// Closes a session after a review, with a reason for the agent, if its pending patches have
    /// the expected signature.
    ///
    /// # Errors
    /// `SignatureMismatch` when patches of the session were proposed or decided since the review;
    /// nothing changes then. `SessionNotFound`; `Busy` and `HeldInDoubt` while an apply holds
    /// patches of the session; else an error of the store.
    pub fn close_reviewed(
        &self,
        id: SessionId,
        expect: Option<Signature>,
        reason: Option<&str>,
    ) -> Result<ClosedSession> {
        let ending = Ending {
            state: SessionState::Closed,
            discard: DiscardReason::Rejected,
            expect,
            text: reason,
        };
        let end = || -> Attempt<ClosedSession> {
            self.0.end_session(id, &ending)?.map_err(CommitError::LockedByApply)
        };
        self.0.store.with_reserve(|| self.0.retry_while_locked(end(), end))
    }
}

/// A session that was closed, and its patches that this decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedSession {
    /// The session.
    pub session: Session,
    /// Its patches that were pending and are rejected now, by path.
    pub rejected: Vec<Patch>,
    /// Its stale and expired patches that are dismissed now, by path.
    pub dismissed: Vec<Patch>,
}

/// How a session ends.
struct Ending<'e> {
    state: SessionState,
    /// Why its pending patches are discarded.
    discard: DiscardReason,
    /// The signature that they must have.
    expect: Option<Signature>,
    /// The reason for their agent.
    text: Option<&'e str>,
}

impl Inner {
    /// This process as the owner of the sessions that it opens.
    pub(crate) fn owner(&self) -> Option<&'static Owner> {
        self.options.owns_sessions.then(Owner::this)
    }

    /// Ends overdue sessions, and returns them.
    pub(crate) fn expire_overdue(&self) -> Result<Vec<SessionId>> {
        let age = self.store.age()?;
        let overdue = self.store.peek(|connection| sessions::overdue(connection, age))?;
        let mut expired = Vec::new();
        for session in overdue {
            // A session whose patches an apply holds ends at the next call.
            let ended = self.expire(session.id)?;
            expired.extend(ended.ok().filter(|s| s.state == SessionState::Expired).map(|s| s.id));
        }
        Ok(expired)
    }

    fn expire(&self, id: SessionId) -> Result<Result<Session, ApplyId>> {
        let (state, discard) = (SessionState::Expired, DiscardReason::SessionExpired);
        let ended = self.end_session(id, &Ending { state, discard, expect: None, text: None })?;
        Ok(ended.map(|ended| ended.session))
    }

    fn end_session(
        &self,
        id: SessionId,
        ending: &Ending<'_>,
    ) -> Result<Result<ClosedSession, ApplyId>> {
        let keep = self.keeps_history();
        let &Ending { state, discard, expect, text } = ending;
        self.store.write(|write| {
            let session = require(write, id)?;
            let (mut rejected, mut dismissed) = (Vec::new(), Vec::new());
            if session.state != SessionState::Open
                || (state == SessionState::Expired && session.expires_age > write.age)
            {
                return Ok(Ok(ClosedSession { session, rejected, dismissed }));
            }
            let pending = patches::pending_in(write, id)?;
            let found = set_signature(&pending);
            if let Some(expected) = expect.filter(|expected| *expected != found) {
                return Err(StagingError::SignatureMismatch { expected, found });
            }
            if let Some(apply) = pending.iter().find_map(|patch| patch.apply) {
                return Ok(Err(apply));
            }
            for patch in pending {
                rejected.extend(discard_one(write, &patch, discard, text, keep)?);
            }
            if state == SessionState::Closed {
                for lapsed in patches::lapsed_in(write, id)? {
                    dismissed.extend(dismiss(write, &lapsed, text)?);
                }
            }
            sessions::set_state(write, id, state)?;
            write.log(match state {
                SessionState::Expired => Event::SessionExpired { session: id },
                _ => Event::SessionClosed { session: id },
            })?;
            Ok(Ok(ClosedSession { session: require(write, id)?, rejected, dismissed }))
        })
    }

    /// Whether the contents of discarded patches are kept for a while.
    pub(crate) fn keeps_history(&self) -> bool {
        !self.options.history_keep_for.is_zero()
    }

    /// The session, if it is open; an overdue session ends now.
    pub(crate) fn require_open(&self, id: SessionId) -> Result<Session> {
        self.still_open(self.store.peek(|connection| require(connection, id))?)
    }

    /// [`require_open`](Self::require_open) for a session that was just read.
    pub(crate) fn still_open(&self, session: Session) -> Result<Session> {
        let id = session.id;
        let session =
            if session.state == SessionState::Open && session.expires_age <= self.store.age()? {
                match self.expire(id)? {
                    Ok(session) => session,
                    Err(apply) => {
                        return Err(self.store.peek(|connection| held_by(connection, apply))?);
                    }
                }
            } else {
                session
            };
        match session.state {
            SessionState::Open => Ok(session),
            state => Err(StagingError::SessionNotOpen { session: id, state }),
        }
    }

    /// Records that the agent is active, without a write for every read.
    pub(crate) fn note_activity(&self, session: &Session) -> Result<()> {
        if !self.is_to_be_touched(session, self.store.age()?, TOUCH_MS) {
            return Ok(());
        }
        self.store.write(|write| self.touch(write, session, TOUCH_MS))
    }

    /// Postpones a session's expiry, unless that was done shortly before.
    pub(crate) fn touch(
        &self,
        write: &Write<'_>,
        session: &Session,
        at_most_every_ms: i64,
    ) -> Result<()> {
        if !self.is_to_be_touched(session, write.age, at_most_every_ms) {
            return Ok(());
        }
        sessions::touch(write, session.id, self.options.session_expires_after)
    }

    fn is_to_be_touched(&self, session: &Session, now: Age, at_most_every_ms: i64) -> bool {
        let allowed = ms(self.options.session_expires_after / 10).min(at_most_every_ms);
        now.0.saturating_sub(session.active_age.0) >= allowed
    }
}

/// Makes this process the owner of a session that no process serves.
pub(crate) fn adopt_orphan(
    write: &mut Write<'_>,
    session: &Session,
    owner: Option<&Owner>,
) -> Result<Session> {
    let unserved = session.orphaned_at.is_some() || session.owner_pid.is_none();
    if let Some(owner) = owner
        && unserved
    {
        sessions::adopt(write, session.id, owner)?;
        if session.orphaned_at.is_some() {
            write.log(Event::SessionAdopted { session: session.id, pid: owner.pid })?;
        }
    }
    require(write, session.id)
}

fn check_label(label: &str) -> Result<()> {
    let id_like = label
        .strip_prefix(['s', 'p', 'a'])
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
        || ids::revision(label).is_some();
    let reason = if label.trim().is_empty() {
        "it is empty"
    } else if label.len() > LABEL_BYTES_MAX {
        "it is longer than 200 bytes"
    } else if label.chars().any(char::is_control) {
        "it contains control characters"
    } else if label.starts_with('-') {
        "it starts like an option"
    } else if id_like {
        "it looks like an id"
    } else {
        return Ok(());
    };
    Err(StagingError::BadLabel { label: atomic_fs::escape_bytes(label.as_bytes()), reason })
}
