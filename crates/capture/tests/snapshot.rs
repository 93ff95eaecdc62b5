//! The snapshot of a workspace: what it holds, and that it survives being kept in a file.

use std::collections::BTreeMap;

use capture::{FormatError, Kind, Snapshot, Stat, Timestamp};
use proptest::prelude::*;

fn timestamps() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), 0_u32..1_000_000_000).prop_map(|(seconds, nanos)| Timestamp { seconds, nanos })
}

prop_compose! {
    fn stats()(
        kind in prop::sample::select(vec![Kind::File, Kind::Directory, Kind::Symlink, Kind::Other]),
        mode in 0_u16..0o10000,
        (device, inode, size) in any::<(u64, u64, u64)>(),
        (modified, changed) in (timestamps(), timestamps()),
        born in prop::option::of(timestamps()),
    ) -> Stat {
        Stat { kind, mode, device, inode, size, modified, changed, born }
    }
}

/// Names of any bytes, with `/` between them.
fn paths() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::collection::vec(prop::sample::select(b"ab\xff\n ".to_vec()), 1..4);
    prop::collection::vec(names, 1..4).prop_map(|names| names.join(&b'/'))
}

prop_compose! {
    fn snapshots()(
        begun in timestamps(),
        entries in prop::collection::btree_map(paths(), stats(), 0..20),
    ) -> Snapshot {
        Snapshot::new(begun, entries.into_iter().map(|(path, stat)| (path.into(), stat)))
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(seen in snapshots()) {
        prop_assert_eq!(Snapshot::decode(&seen.encode()), Ok(seen));
    }

    #[test]
    fn what_is_renewed_takes_the_place_of_what_was_seen(
        entries in prop::collection::vec((paths(), stats()), 0..20),
        renewed in prop::collection::vec((paths(), prop::option::of(stats())), 0..20),
        directory in paths(),
    ) {
        let boxed = entries.iter().map(|(path, stat)| (path.as_slice().into(), *stat));
        let mut seen = Snapshot::new(Timestamp::default(), boxed);
        let mut model: BTreeMap<Vec<u8>, Stat> = entries.iter().cloned().collect();
        for (path, stat) in &renewed {
            seen.renew(path, *stat);
            match stat {
                Some(stat) => model.insert(path.clone(), *stat),
                None => model.remove(path),
            };
        }
        let owned = |(path, stat): (&[u8], &Stat)| (path.to_vec(), *stat);
        prop_assert_eq!(seen.iter().map(owned).collect::<Vec<_>>(), Vec::from_iter(model.clone()));
        for (path, _) in &renewed {
            prop_assert_eq!(seen.get(path), model.get(path));
        }
        let prefix = [&*directory, b"/"].concat();
        let mut below = model.into_iter().collect::<Vec<_>>();
        below.retain(|(path, _)| path.starts_with(&prefix));
        prop_assert_eq!(seen.below(&directory).map(owned).collect::<Vec<_>>(), below);
        let again = Snapshot::decode(&seen.encode());
        let again = again.map(|again| again.iter().map(owned).collect::<Vec<_>>());
        prop_assert_eq!(again, Ok(seen.iter().map(owned).collect::<Vec<_>>()));
    }

    #[test]
    fn damaged_bytes_are_never_read(seen in snapshots(), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut bytes = seen.encode();
        let at = at.index(bytes.len());
        prop_assert_eq!(Snapshot::decode(&bytes[..at]).err(), Some(FormatError::Damaged), "cut at {}", at);
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(Snapshot::decode(&bytes).is_err(), "bit {} of byte {} was changed", bit, at);
    }
}

#[test]
fn a_newer_version_is_named() {
    let mut bytes = Snapshot::new(Timestamp::default(), []).encode();
    bytes[8] = 2;
    let error = Snapshot::decode(&bytes).expect_err("version 2 is unknown");
    assert_eq!(
        error.to_string(),
        "the snapshot of the workspace has version 2, which is unknown here"
    );
}

#[test]
fn below_a_directory_is_what_its_path_begins() {
    let stat = Stat {
        kind: Kind::File,
        mode: 0o644,
        device: 1,
        inode: 1,
        size: 0,
        modified: Timestamp::default(),
        changed: Timestamp::default(),
        born: None,
    };
    let paths = ["a", "a-b", "a/b", "a/b/c", "a/\u{ff}", "a0", "ab/c", "b/a/b"];
    let entries = paths.map(|path| (path.as_bytes().into(), stat));
    let seen = Snapshot::new(Timestamp::default(), entries);
    let below: Vec<_> = seen.below(b"a").map(|(path, _)| String::from_utf8_lossy(path)).collect();
    assert_eq!(below, ["a/b", "a/b/c", "a/\u{ff}"]);
    assert_eq!(seen.iter().count(), paths.len());
}

#[test]
fn nanoseconds_carry_into_seconds() {
    let time = Timestamp { seconds: -1, nanos: 990_000_000 };
    assert_eq!(time.later_by(20_000_000), Timestamp { seconds: 0, nanos: 10_000_000 });
    assert_eq!(time.later_by(u32::MAX), Timestamp { seconds: 4, nanos: 284_967_295 });
}
