//! Watches how much a session's layer holds while its command runs.
//!
//! The kernel has no quota for a directory of an ordinary user. So the free space of the file system is looked
//! at, which costs nothing, and the layer is measured when that says that it may have grown, and now and
//! then; measuring takes a small part of the time at most.

use std::time::{Duration, Instant};

use capture::{LayerSize, SessionCapture};
use staging_core::SessionId;

use super::imported::failure_of;
use super::text::bytes;
use crate::console::Console;
use crate::failure::Failure;
use crate::paths::shown;

/// How often the free space is looked at.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// After this time the layer is measured again, whatever the free space says.
const MEASURE_AFTER: Duration = Duration::from_secs(10);
/// Measuring takes at most one part in so many of the time; or in a tenth of them when space gets less.
const REST: u32 = 50;

/// Less free space than this, or than a twentieth of the file system, is reported.
const FREE_MIN: u64 = 1 << 30;

/// What is known of a session's layer.
pub(super) struct LayerWatch<'a> {
    console: &'a Console,
    capture: &'a SessionCapture<'a>,
    session: SessionId,
    bytes_max: Option<u64>,
    check_at: Instant,
    measured: Option<Measured>,
    is_near_reported: bool,
    is_space_reported: bool,
}

struct Measured {
    at: Instant,
    took: Duration,
    bytes: u64,
    /// The free space of the file system then.
    free: u64,
}

impl<'a> LayerWatch<'a> {
    pub(super) fn new(
        console: &'a Console,
        capture: &'a SessionCapture<'a>,
        session: SessionId,
        bytes_max: Option<u64>,
    ) -> Self {
        Self {
            console,
            capture,
            session,
            bytes_max,
            check_at: Instant::now() + CHECK_EVERY,
            measured: None,
            is_near_reported: false,
            is_space_reported: false,
        }
    }

    /// When to check again.
    pub(super) fn next(&self) -> Instant {
        self.check_at
    }

    /// Checks if it is time; returns why the command has to be stopped, if it has to.
    pub(super) fn check(&mut self) -> Option<String> {
        let now = Instant::now();
        if now < self.check_at {
            return None;
        }
        self.check_at = now + CHECK_EVERY;
        let free = self.free_space()?;
        let bytes_max = self.bytes_max.filter(|bytes_max| self.is_due(now, free, *bytes_max))?;
        let size = match self.capture.measure() {
            Ok(size) => size,
            Err(error) => {
                tracing::debug!(%error, "the layer is measured later");
                return None;
            }
        };
        let took = now.elapsed();
        self.measured = Some(Measured { at: now, took, bytes: size.bytes, free });
        if size.bytes >= bytes_max {
            return Some(sentence(self.session, size.bytes, bytes_max));
        }
        if size.bytes >= bytes_max / 5 * 4 && !self.is_near_reported {
            self.is_near_reported = true;
            self.console.remark(&format!(
                "the commands of {} have written {}: at {}, `limits.layer_bytes_max`, this one is stopped, \
                 and what it wrote is kept",
                self.session,
                bytes(size.bytes),
                bytes(bytes_max)
            ));
        }
        None
    }

    /// Whether the layer may have grown by so much that it is worth a walk.
    fn is_due(&self, now: Instant, free: u64, bytes_max: u64) -> bool {
        let Some(last) = &self.measured else { return true };
        let since = now.saturating_duration_since(last.at);
        let is_less = last.free.saturating_sub(free) >= bytes_max.saturating_sub(last.bytes) / 4;
        let rest = last.took * if is_less { REST / 10 } else { REST };
        since >= rest && (is_less || since >= MEASURE_AFTER)
    }

    /// The free space where the layer is; reports once when there is little.
    fn free_space(&mut self) -> Option<u64> {
        let path = self.capture.dir().path();
        let found = rustix::fs::statvfs(path).ok()?;
        let (free, all) = (found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize);
        if free < FREE_MIN.min(all / 20) && !self.is_space_reported {
            self.is_space_reported = true;
            self.console.remark(&format!(
                "{} are free in `{}`, where the session keeps what its commands write: when it is full, \
                 their writes fail, and what was written before is kept",
                bytes(free),
                shown(path)
            ));
        }
        Some(free)
    }
}

/// A session that is at its limit starts no command.
pub(super) fn check_layer(
    capture: &SessionCapture<'_>,
    session: SessionId,
    bytes_max: Option<u64>,
) -> Result<(), Failure> {
    let Some(bytes_max) = bytes_max else { return Ok(()) };
    let size = LayerSize::measure(capture.dir()).map_err(failure_of)?;
    if size.bytes < bytes_max {
        return Ok(());
    }
    let advice =
        format!("Raise the limit, or close the session: `greenroom session close {session}`.");
    let failure = Failure::refused(sentence(session, size.bytes, bytes_max));
    Err(failure.advise(advice).exits_with(125))
}

fn sentence(session: SessionId, size: u64, bytes_max: u64) -> String {
    format!(
        "the commands of {session} have written {}, and `limits.layer_bytes_max` allows {}",
        bytes(size),
        bytes(bytes_max)
    )
}
