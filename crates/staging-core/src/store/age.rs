//! How long a state has lived: the time by which sessions expire and history is forgotten.
//!
//! A wrong clock must not delete anything, so the clock alone is not trusted. A state records when
//! it was last opened, by the clock and by the time since the system was started, which also counts
//! while the machine sleeps (`CLOCK_BOOTTIME`, clock_gettime(2)). Its age grows between two records
//! by what both allow: within a boot by the time since the start, but by no more than the clock moved
//! on; over a restart by the time since the start and up to [`OFF_MAX`] that the machine was off by
//! the clock. A clock that was set back adds nothing once.
//!
//! So after a month without power a state is half a day older, and what should expire does so
//! after some more hours of use.
//!
//! # Limitations
//! Where the system does not name its boots, or hides them from one of two processes, a clock that
//! jumps back and forth adds [`OFF_MAX`] each time that it is written down.

use std::sync::Mutex;
use std::time::Duration;

use rusqlite::Connection;

use crate::boot;
use crate::error::Result;
use crate::locks::unpoisoned;
use crate::store::meta;
use crate::time::{Age, Timestamp, ms};

/// How much of the time that a machine was off counts: less than a session lives by default.
const OFF_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// A record is written when the last one is older than this.
const NOTED_EVERY_MS: i64 = 60_000;

/// The time of a record, by three clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    boot: Option<i64>,
    since_boot_ms: i64,
    clock_ms: i64,
}

impl Moment {
    fn now() -> Self {
        let since_boot_ms = boot::elapsed().map(ms);
        Self {
            boot: boot::tag().filter(|_| since_boot_ms.is_some()).map(i64::from),
            since_boot_ms: since_boot_ms.unwrap_or(0),
            clock_ms: Timestamp::now().unix_ms(),
        }
    }

    /// The time that has certainly passed since an earlier record.
    fn since(&self, earlier: &Self) -> i64 {
        let by_clock = self.clock_ms.saturating_sub(earlier.clock_ms).max(0);
        let allowed = match (earlier.boot, self.boot) {
            (Some(then), Some(now)) if then == now => self.since_boot_ms - earlier.since_boot_ms,
            (Some(_), Some(_)) => self.since_boot_ms.saturating_add(ms(OFF_MAX)),
            _ => ms(OFF_MAX),
        };
        by_clock.min(allowed.max(0))
    }

    /// Whether no clock shows that a minute has passed since an earlier record.
    fn is_soon_after(&self, earlier: &Self) -> bool {
        let near = |a: i64, b: i64| a.saturating_sub(b).saturating_abs() < NOTED_EVERY_MS;
        self.boot == earlier.boot
            && near(self.since_boot_ms, earlier.since_boot_ms)
            && near(self.clock_ms, earlier.clock_ms)
    }
}

/// The age of a state at its last record.
#[derive(Clone, Copy)]
struct Noted {
    age: Age,
    look: Moment,
}

impl Noted {
    fn read(connection: &Connection) -> Result<Option<Self>> {
        let get = |name| meta::get(connection, name);
        let (Some(age), Some(clock_ms)) = (get(meta::AGE_MS)?, get(meta::AGE_CLOCK_MS)?) else {
            return Ok(None);
        };
        let look = Moment {
            boot: get(meta::AGE_BOOT)?.filter(|boot| *boot >= 0),
            since_boot_ms: get(meta::AGE_SINCE_BOOT_MS)?.unwrap_or(0),
            clock_ms,
        };
        Ok(Some(Self { age: Age(age), look }))
    }

    fn write(&self, connection: &Connection) -> Result<()> {
        meta::set(connection, meta::AGE_MS, self.age.0)?;
        meta::set(connection, meta::AGE_BOOT, self.look.boot.unwrap_or(-1))?;
        meta::set(connection, meta::AGE_SINCE_BOOT_MS, self.look.since_boot_ms)?;
        meta::set(connection, meta::AGE_CLOCK_MS, self.look.clock_ms)
    }

    fn age_at(&self, now: &Moment) -> Age {
        Age(self.age.0.saturating_add(now.since(&self.look)))
    }
}

/// The age of a state as this process knows it. All processes count from the same record, which is
/// at most a minute old whenever one of them changes the state, so they agree.
#[derive(Default)]
pub(crate) struct Aging(Mutex<Option<Noted>>);

impl Aging {
    /// The age, if the record that this process knows is recent enough.
    pub(crate) fn known(&self) -> Option<Age> {
        let now = Moment::now();
        (*unpoisoned(&self.0))
            .filter(|noted| now.is_soon_after(&noted.look))
            .map(|noted| noted.age_at(&now))
    }

    /// The age by the store's record.
    pub(crate) fn read(&self, connection: &Connection) -> Result<Age> {
        let noted = Noted::read(connection)?;
        *unpoisoned(&self.0) = noted;
        Ok(noted.map_or(Age(0), |noted| noted.age_at(&Moment::now())))
    }

    /// The age, which is recorded if the last record is more than a minute old.
    pub(crate) fn note(&self, connection: &Connection) -> Result<Age> {
        if let Some(age) = self.known() {
            return Ok(age);
        }
        let age = self.read(connection)?;
        if self.known().is_none() {
            let noted = Noted { age, look: Moment::now() };
            noted.write(connection)?;
            *unpoisoned(&self.0) = Some(noted);
        }
        Ok(age)
    }

    /// Forgets the record: it may have been rolled back with its transaction.
    pub(crate) fn forget(&self) {
        *unpoisoned(&self.0) = None;
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HOUR: i64 = 60 * 60 * 1000;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;

    /// Looks at (boot, hours since its start, clock in hours); how many hours older the state is.
    fn grown(looks: &[(i64, i64, i64)]) -> i64 {
        let looks: Vec<Moment> = looks
            .iter()
            .map(|(boot, since_boot, clock)| Moment {
                boot: Some(*boot),
                since_boot_ms: since_boot * HOUR,
                clock_ms: clock * HOUR,
            })
            .collect();
        looks.windows(2).map(|pair| pair[1].since(&pair[0])).sum::<i64>() / HOUR
    }

    #[rstest]
    #[case::a_day(&[(1, 0, 0), (1, 24, 24)], 24)]
    #[case::a_jump_ahead(&[(1, 0, 0), (1, 0, 8 * 24), (1, 1, 1)], 0)]
    #[case::a_jump_ahead_that_stays(&[(1, 0, 0), (1, 0, 192), (1, 5, 197)], 5)]
    #[case::a_jump_back(&[(1, 0, 0), (1, 1, -87_600), (1, 2, -87_599), (1, 3, 3)], 2)]
    #[case::before_1970(&[(1, 0, 500_000), (1, 1, -10), (1, 2, 500_002)], 1)]
    #[case::off_for_a_night(&[(1, 5, 0), (2, 0, 8)], 8)]
    #[case::off_for_a_month(&[(1, 5, 0), (2, 1, 720)], 13)]
    #[case::off_for_a_month_and_used_again(&[(1, 5, 0), (2, 1, 720), (2, 25, 744)], 37)]
    #[case::looked_at_long_after_the_start(&[(1, 5, 0), (2, 72, 100)], 84)]
    #[case::a_clock_without_battery(&[(1, 5, 480_000), (2, 0, 0), (2, 1, 480_006)], 1)]
    #[case::time_since_the_start_that_a_container_makes_up(&[(1, 0, 0), (1, 9_000, 1)], 1)]
    fn an_age_grows_by_what_the_clock_and_the_boot_both_allow(
        #[case] looks: &[(i64, i64, i64)],
        #[case] hours: i64,
    ) {
        assert_eq!(grown(looks), hours);
    }

    #[test]
    fn no_single_look_makes_a_state_older_than_a_session_lives() {
        for clock in [-10 * YEAR, 8 * DAY, 30 * DAY, 100 * YEAR, i64::MAX, i64::MIN] {
            for boot in [None, Some(1), Some(2)] {
                let then = Moment { boot: Some(1), since_boot_ms: HOUR, clock_ms: 0 };
                let now = Moment { boot, since_boot_ms: 2 * HOUR, clock_ms: clock };
                assert!((0..DAY).contains(&now.since(&then)), "{clock} {boot:?}");
            }
            for (then, now) in [(None, Some(1)), (Some(1), None), (None, None)] {
                let then = Moment { boot: then, since_boot_ms: 0, clock_ms: 0 };
                let now = Moment { boot: now, since_boot_ms: YEAR, clock_ms: clock };
                assert!((0..DAY).contains(&now.since(&then)), "{clock}, a boot without a name");
            }
        }
    }
}
