//! Lengths of time, as the configuration has them.

use std::time::Duration;

/// A number and a unit: `90s`, `15m`, `24h`, `7d`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = plain.then(|| number.parse().ok()).flatten()?;
    (number > 0).then(|| number.checked_mul(unit_s)).flatten().map(Duration::from_secs)
}
