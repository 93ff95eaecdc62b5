//! Changes of what is pending that are tried again while something else changes it.

use std::time::{Duration, Instant};

use crate::error::{Result, StagingError};
use crate::ids::ApplyId;
use crate::layer::Inner;
use crate::store::applies::held_by;
use crate::waiting::{Activity, REPORT_AFTER};

/// How often a request is planned anew because the session changed under it.
const ATTEMPTS_MAX: u32 = 64;

/// How long a call waits for an apply that holds its patches.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(20);

/// The result of an attempt to change what is pending.
pub(crate) type Attempt<T> = Result<T, CommitError>;

/// Why nothing was committed.
pub(crate) enum CommitError {
    Staging(StagingError),
    /// An apply that is running holds a patch to replace or to discard.
    LockedByApply(ApplyId),
    /// The session was changed meanwhile, or a content was released by another call: the request is
    /// tried again and stores it anew.
    Raced,
}

impl From<StagingError> for CommitError {
    fn from(error: StagingError) -> Self {
        Self::Staging(error)
    }
}

impl Inner {
    /// Repeats an attempt until it was not raced and no apply holds its patches. When the process of
    /// that apply is dead, the workspace's lock is free, and recovery releases them.
    pub(crate) fn retry_while_locked<T>(
        &self,
        first: Attempt<T>,
        mut again: impl FnMut() -> Attempt<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        let (mut is_reported, mut attempts, mut attempt) = (false, 1, first);
        loop {
            match attempt {
                Ok(answer) => return Ok(answer),
                Err(CommitError::Staging(error)) => return Err(error),
                Err(CommitError::Raced) if attempts < ATTEMPTS_MAX => attempts += 1,
                Err(CommitError::Raced) => {
                    let what = "another process changes the session all the time".to_owned();
                    return Err(StagingError::Busy { what });
                }
                Err(CommitError::LockedByApply(apply)) => {
                    // Recovery decides an apply that a failed sync left in doubt, but not one that waits
                    // for a person.
                    let has_recovered = self.recover_if_free()?;
                    let held = self.store.peek(|connection| held_by(connection, apply))?;
                    let is_in_doubt = matches!(held, StagingError::HeldInDoubt { .. });
                    if begun.elapsed() >= LOCK_WAIT || (is_in_doubt && !has_recovered) {
                        return Err(held);
                    }
                    if begun.elapsed() >= REPORT_AFTER && !is_reported {
                        is_reported = true;
                        self.report_waiting(Activity::Applies(apply));
                    }
                    if !has_recovered {
                        std::thread::sleep(LOCK_POLL);
                    }
                }
            }
            attempt = again();
        }
    }
}
