//! Points in time, in whole milliseconds, shown as RFC 3339 in UTC.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A point in time; milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The present time by the system's clock.
    pub fn now() -> Self {
        Self(now_ns() / 1_000_000)
    }

    /// The time `ms` milliseconds after the start of 1970, before it when negative.
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// The time `ns` nanoseconds after the start of 1970, rounded down to a millisecond.
    pub const fn from_unix_ns(ns: i64) -> Self {
        Self(ns.div_euclid(1_000_000))
    }

    /// Milliseconds since 1970.
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// The time `duration` later, at most the latest that can be represented.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(ms(duration)))
    }

    /// The time `duration` earlier, at least the earliest that can be represented.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(ms(duration)))
    }
}

/// Nanoseconds since 1970 by the system's clock, negative when it is set before 1970.
pub(crate) fn now_ns() -> i64 {
    let in_ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => in_ns(since),
        Err(before) => -in_ns(before.duration()),
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|time| {
                let layout = format_description!(
                    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
                );
                time.format(&layout).ok()
            });
        // RFC 3339 has no form for years after 9999.
        f.write_str(shown.as_deref().unwrap_or("9999-12-31T23:59:59.999Z"))
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "A point in time: RFC 3339, UTC, milliseconds.",
        })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom)?;
        Ok(Self((time.unix_timestamp_nanos() / 1_000_000) as i64))
    }
}

/// The age of a state directory in milliseconds: the time that has passed since its age was first
/// recorded, whatever the clock showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age(pub(crate) i64);

/// A duration in milliseconds, at most `i64::MAX`.
pub(crate) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Age {
    /// The age `duration` later.
    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(ms(duration)))
    }

    /// The age `duration` earlier; it may be negative.
    pub(crate) fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(ms(duration)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_shown_as_rfc_3339_and_parsed_back() {
        let time = Timestamp::from_unix_ms(1_700_000_000_123);
        assert_eq!(time.to_string(), "2023-11-14T22:13:20.123Z");
        let json = serde_json::to_string(&time).expect("a string");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).expect("own output"), time);
    }
}
