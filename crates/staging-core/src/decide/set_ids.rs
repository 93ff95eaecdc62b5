//! How change sets are named: `a3-<state>-<random>`, hexadecimal.
//!
//! Slots carry their set's id, so the id says whose they are: a tree can be the workspace of two
//! states, and neither may touch what the other has yet to finish. Versions before 0.2 wrote
//! `a3-<random>`.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use rusqlite::Connection;

use crate::error::Result;
use crate::store::{Store, meta};

const TAG_HEX: usize = 8;
const RANDOM_HEX: usize = 16;

/// What follows an apply's number in a new set's id. The random part tells sets apart whose
/// apply got the same number, because a power cut took the store's last second.
pub(crate) fn suffix(connection: &Connection) -> Result<String> {
    Ok(format!("{:08x}-{:016x}", own_tag(connection)?, random()))
}

/// Gives the state its tag before its first set. The tag is durable on return: a power cut that takes the
/// record of a set can leave its slots, and only the tag tells then that they are this state's.
pub(crate) fn tag_state(store: &Store) -> Result<()> {
    match store.peek(|connection| meta::get(connection, meta::STATE_TAG))? {
        Some(_) => Ok(()),
        None => store.write_durably(|write| own_tag(write).map(drop)),
    }
}

fn own_tag(connection: &Connection) -> Result<i64> {
    if let Some(tag) = meta::get(connection, meta::STATE_TAG)? {
        return Ok(tag);
    }
    let tag = i64::from((random() >> 32) as u32);
    meta::set(connection, meta::STATE_TAG, tag)?;
    Ok(tag)
}

/// Whether a set was begun by this state; `None` where its id does not tell.
pub(crate) fn is_own(connection: &Connection, set: &str) -> Result<Option<bool>> {
    let Some(tag) = tag(set) else { return Ok(None) };
    Ok(Some(meta::get(connection, meta::STATE_TAG)? == Some(tag)))
}

/// Whether the set's slots are numbered by path: ids with a tag came with that.
pub(crate) fn is_tagged(set: &str) -> bool {
    tag(set).is_some()
}

fn tag(set: &str) -> Option<i64> {
    let mut parts = set.split('-');
    let (apply, tag, random) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let is_one = apply.starts_with('a')
        && is_hex(tag, TAG_HEX)
        && is_hex(random, RANDOM_HEX)
        && parts.next().is_none();
    is_one.then(|| i64::from_str_radix(tag, 16).ok()).flatten()
}

fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_i64(crate::time::now_ns());
    hasher.write_u32(std::process::id());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_tagged_once_and_durably() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(state.path()).expect("opened");
        tag_state(&store).expect("tagged");
        assert!(!store.is_dirty(), "a power cut could take the tag");
        let tagged = |set: &str| store.peek(|connection| is_own(connection, set)).expect("read");
        let set = || format!("a1-{}", store.peek(suffix).expect("read"));
        let first = set();
        tag_state(&store).expect("tagged");
        assert_eq!((tagged(&first), tagged(&set())), (Some(true), Some(true)));
        assert_ne!(first, set(), "two sets of one state differ");
    }

    #[test]
    fn ids_of_this_version_carry_a_tag_and_older_ones_do_not() {
        assert_eq!(tag("a1-0000002a-0123456789abcdef"), Some(42));
        for other in ["a1-0123456789abcdef", "a1-dead", "t1", "a1-0000002a-0123456789abcdef-0"] {
            assert_eq!(tag(other), None, "{other}");
        }
    }
}
