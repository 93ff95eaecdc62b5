//! Times of day where the user is.

use staging_core::Timestamp;

/// The date and the time of day, in the user's time zone: `2026-01-31`, `14:03:07`.
#[cfg(unix)]
pub(super) fn local(at: Timestamp) -> (String, String) {
    let seconds: libc::time_t = at.unix_ms().div_euclid(1000);
    let mut broken_down = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both point to what they name for the length of the call; all zeros is a valid `tm`.
    let tm = unsafe {
        libc::localtime_r(&raw const seconds, broken_down.as_mut_ptr());
        broken_down.assume_init()
    };
    let date = format!("{:04}-{:02}-{:02}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    (date, format!("{:02}:{:02}:{:02}", tm.tm_hour, tm.tm_min, tm.tm_sec))
}

/// The same in UTC, which the time says.
#[cfg(not(unix))]
pub(super) fn local(at: Timestamp) -> (String, String) {
    let text = at.to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    (date.to_owned(), format!("{}Z", time.split('.').next().unwrap_or_default()))
}
