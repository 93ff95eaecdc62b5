//! Identifies the present boot of the system.
//!
//! Linux has an id for each boot: `/proc/sys/kernel/random/boot_id` (random(4)).
//!
//! # Limitations
//! Other systems have no such id.

use std::sync::OnceLock;
use std::time::Duration;

/// The boot's id; `None` when the system has none, or this process may not read it.
pub(crate) fn id() -> Option<&'static str> {
    static ID: OnceLock<Option<String>> = OnceLock::new();
    ID.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    })
    .as_deref()
}

/// A hash of the boot's id in 31 bits.
pub(crate) fn tag() -> Option<u32> {
    id().map(tag_of)
}

fn tag_of(id: &str) -> u32 {
    let hash = blake3::hash(id.as_bytes());
    let first: [u8; 4] = hash.as_bytes()[..4].try_into().expect("a hash has 32 bytes");
    u32::from_le_bytes(first) >> 1
}

/// The time since the boot, including the time that the machine slept. `None` on systems without
/// boot ids: two processes cannot compare it there.
#[cfg(target_os = "linux")]
pub(crate) fn elapsed() -> Option<Duration> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).ok()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn elapsed() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_constant_within_a_boot_and_differs_between_boots() {
        assert_eq!(tag(), id().map(tag_of));
        assert_ne!(tag_of("3ac0"), tag_of("3ac1"));
    }
}
