//! Points in time, in whole milliseconds, shown as RFC 3339 in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::string_enum::UnknownWord;

/// A point in time; milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(description = "A point in time: RFC 3339, UTC, milliseconds.")]
#[schemars(extend("format" = "date-time"))]
pub struct Timestamp(#[schemars(with = "String")] i64);

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

impl FromStr for Timestamp {
    type Err = UnknownWord;

    /// Parses RFC 3339 in any time zone. Fractions of a millisecond are cut off.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = |_| UnknownWord { text: text.to_owned(), what: "time in RFC 3339" };
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(unknown)?;
        Ok(Self((time.unix_timestamp_nanos() / 1_000_000) as i64))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
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
    use proptest::prelude::*;

    use super::*;

    /// The first millisecond of the year 0, and the last of 9999: all that RFC 3339 can represent.
    const YEARS_MS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

    proptest! {
        #[test]
        fn a_timestamp_is_parsed_back_as_it_was_shown(ms in YEARS_MS) {
            let time = Timestamp::from_unix_ms(ms);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }

    #[test]
    fn a_time_is_parsed_in_any_time_zone_and_anything_else_is_refused() {
        let time = Timestamp::from_unix_ms(1_700_000_000_123);
        assert_eq!("2023-11-14T23:13:20.1239+01:00".parse(), Ok(time));
        let error = "yesterday".parse::<Timestamp>().expect_err("no time");
        assert_eq!(error.to_string(), "`yesterday` is not a time in RFC 3339");
    }

    #[test]
    fn a_timestamp_is_shown_as_rfc_3339_and_parsed_back() {
        let time = Timestamp::from_unix_ms(1_700_000_000_123);
        assert_eq!(time.to_string(), "2023-11-14T22:13:20.123Z");
        let json = serde_json::to_string(&time).expect("a string");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).expect("own output"), time);
    }
}
