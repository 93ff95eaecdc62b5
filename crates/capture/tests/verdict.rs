//! What a change in a view may be proposed against: the table of the rule, case by case.

use capture::{
    Above, Clocks, Evidence, Kind, Snapshot, Stat, TICK_NANOS, Timestamp, Upper, Verdict,
};
use rstest::rstest;

/// A time in milliseconds; the run begins at [`BEGUN`].
fn at(millis: u32) -> Timestamp {
    Timestamp { seconds: i64::from(millis / 1000), nanos: millis % 1000 * 1_000_000 }
}

const BEGUN: u32 = 10_000;

/// The inode of the file that was seen.
const SEEN: u64 = 7;
/// The inode of a file that the user saved over it.
const SAVED: u64 = 8;
/// The inode in the upper directory.
const UPPER: u64 = 100;

fn file(inode: u64, changed: u32) -> Stat {
    Stat {
        kind: Kind::File,
        mode: 0o644,
        device: 1,
        inode,
        size: 5,
        modified: at(changed),
        changed: at(changed),
        born: Some(at(1)),
    }
}

fn copy(born: u32) -> Upper {
    Upper::File(Stat { born: Some(at(born)), ..file(UPPER, born + 1) })
}

fn other(kind: Kind) -> Option<Stat> {
    Some(Stat { kind, ..file(SAVED, 10_100) })
}

/// What was seen and is still there, unless a case says otherwise.
fn old() -> Option<Stat> {
    Some(file(SEEN, 5_000))
}

/// Saved by rename while the agent ran.
fn saved() -> Option<Stat> {
    Some(file(SAVED, 10_100))
}

#[rstest]
// Unchanged since before the agent began.
#[case::unchanged(old(), old(), copy(10_500), Some(SEEN), Verdict::Modify)]
#[case::unchanged_and_the_view_shows_the_copy(
    old(),
    old(),
    copy(10_500),
    Some(UPPER),
    Verdict::Modify
)]
#[case::unchanged_after_a_crash(old(), old(), copy(10_500), None, Verdict::Modify)]
#[case::unchanged_but_copied_from_another_inode(
    old(),
    old(),
    copy(10_500),
    Some(SAVED),
    Verdict::Stale
)]
#[case::unchanged_and_removed(old(), old(), Upper::Removed, None, Verdict::Delete)]
// Changed in the tick in which it was seen: a later change in the same tick leaves no trace.
#[case::seen_too_young(
    Some(file(SEEN, BEGUN - 20)), Some(file(SEEN, BEGUN - 20)), copy(10_500), Some(UPPER), Verdict::Stale)]
#[case::seen_too_young_but_copied_later(
    Some(file(SEEN, BEGUN - 20)), Some(file(SEEN, BEGUN - 20)), copy(10_500), Some(SEEN), Verdict::Modify)]
#[case::seen_old_enough(
    Some(file(SEEN, BEGUN - 21)), Some(file(SEEN, BEGUN - 21)), copy(10_500), Some(UPPER), Verdict::Modify)]
#[case::removed_too_young(
    Some(file(SEEN, BEGUN - 20)), Some(file(SEEN, BEGUN - 20)), Upper::Removed, None, Verdict::Stale)]
// New.
#[case::created(None, None, copy(10_500), Some(UPPER), Verdict::Create)]
#[case::created_before_a_crash(None, None, copy(10_500), None, Verdict::Create)]
// f1: the user wrote in place, then the agent changed it.
#[case::written_in_place_before_the_copy(
    old(),
    Some(file(SEEN, 10_100)),
    copy(10_500),
    Some(SEEN),
    Verdict::Modify
)]
// f2: the user saved by rename, and the agent still saw the old file: the copy is younger than the
// save, and does not hold it.
#[case::saved_by_rename_after_the_agent_read_it(
    old(),
    saved(),
    copy(10_500),
    Some(UPPER),
    Verdict::Stale
)]
// f4: the user saved by rename what the agent had not read.
#[case::saved_by_rename_before_the_agent_read_it(
    old(),
    saved(),
    copy(10_500),
    Some(SAVED),
    Verdict::Modify
)]
#[case::made_by_the_user_and_changed_by_the_agent(
    None,
    saved(),
    copy(10_500),
    Some(SAVED),
    Verdict::Modify
)]
#[case::made_by_both(None, saved(), copy(10_500), Some(UPPER), Verdict::Stale)]
#[case::changed_after_the_copy(
    old(),
    Some(file(SEEN, 10_600)),
    copy(10_500),
    Some(SEEN),
    Verdict::Stale
)]
#[case::changed_in_the_tick_of_the_copy(
    old(),
    Some(file(SEEN, 10_480)),
    copy(10_500),
    Some(SEEN),
    Verdict::Stale
)]
#[case::changed_a_tick_before_the_copy(
    old(),
    Some(file(SEEN, 10_479)),
    copy(10_500),
    Some(SEEN),
    Verdict::Modify
)]
#[case::changed_and_the_view_has_ended(old(), saved(), copy(10_500), None, Verdict::Stale)]
#[case::replaced_by_a_directory(
    old(),
    other(Kind::Directory),
    copy(10_500),
    Some(SAVED),
    Verdict::Stale
)]
#[case::replaced_by_a_link(old(), other(Kind::Symlink), copy(10_500), Some(SAVED), Verdict::Stale)]
#[case::removed_by_the_user_and_changed_by_the_agent(
    old(),
    None,
    copy(10_500),
    Some(UPPER),
    Verdict::Stale
)]
// Removed in the view.
#[case::removed_by_both(old(), None, Upper::Removed, None, Verdict::Nothing)]
#[case::never_seen_and_gone(None, None, Upper::Removed, None, Verdict::Nothing)]
#[case::changed_by_the_user_and_removed_by_the_agent(
    old(),
    saved(),
    Upper::Removed,
    None,
    Verdict::Stale
)]
#[case::made_by_the_user_and_removed_by_the_agent(
    None,
    saved(),
    Upper::Removed,
    None,
    Verdict::Stale
)]
fn a_base_is_what_was_proven(
    #[case] seen: Option<Stat>,
    #[case] lower: Option<Stat>,
    #[case] upper: Upper,
    #[case] view_inode: Option<u64>,
    #[case] expected: Verdict,
) {
    let seen = Snapshot::new(at(BEGUN), seen.map(|stat| (b"a.txt"[..].into(), stat)));
    let evidence = |clocks| Evidence {
        seen: &seen,
        path: b"a.txt",
        lower,
        upper,
        above: Above::InPlace,
        view_inode,
        clocks,
    };
    assert_eq!(evidence(Clocks::Shared).verdict(), expected);
    // Without comparable times, a base is never taken from times.
    let without = evidence(Clocks::Separate).verdict();
    if seen.get(b"a.txt").copied() != lower {
        assert!(without == expected || without == Verdict::Stale, "{without:?}");
        assert_ne!(without, Verdict::Modify, "the file changed, and only its times say when");
    }
}

/// Every field of the stat of a file that was seen counts.
#[rstest]
#[case::kind(Stat { kind: Kind::Other, ..file(SEEN, 5_000) })]
#[case::mode(Stat { mode: 0o755, ..file(SEEN, 5_000) })]
#[case::device(Stat { device: 2, ..file(SEEN, 5_000) })]
#[case::inode(file(SAVED, 5_000))]
#[case::size(Stat { size: 6, ..file(SEEN, 5_000) })]
#[case::modified(Stat { modified: at(4_999), ..file(SEEN, 5_000) })]
#[case::changed(Stat { changed: at(5_001), ..file(SEEN, 5_000) })]
// ext4 hands inode numbers out again at once.
#[case::born(Stat { born: Some(at(2)), ..file(SEEN, 5_000) })]
fn an_entry_that_differs_in_any_way_is_changed(#[case] lower: Stat) {
    let seen = Snapshot::new(at(BEGUN), [(b"a"[..].into(), file(SEEN, 5_000))]);
    for clocks in [Clocks::Shared, Clocks::Separate] {
        let removed = Evidence {
            seen: &seen,
            path: b"a",
            lower: Some(lower),
            upper: Upper::Removed,
            above: Above::InPlace,
            view_inode: None,
            clocks,
        };
        assert_eq!(removed.verdict(), Verdict::Stale, "{lower:?}");
    }
}

/// Where upper directory and workspace are on different devices, a number may occur on both.
#[test]
fn a_number_that_the_copy_has_by_chance_proves_nothing() {
    let seen = Snapshot::new(at(BEGUN), [(b"a"[..].into(), file(SEEN, 5_000))]);
    let copy = Stat { device: 2, born: Some(at(10_500)), ..file(SAVED, 10_501) };
    let evidence = |inode| Evidence {
        seen: &seen,
        path: b"a",
        lower: saved(),
        upper: Upper::File(Stat { inode, ..copy }),
        above: Above::InPlace,
        view_inode: Some(SAVED),
        clocks: Clocks::Shared,
    };
    assert_eq!(evidence(SAVED).verdict(), Verdict::Stale);
    assert_eq!(evidence(UPPER).verdict(), Verdict::Modify, "another number is the file's");
}

/// A file system that does not record when an inode was made gives no proof of the copy's age.
#[test]
fn a_copy_of_unknown_age_proves_nothing() {
    let seen = Snapshot::new(at(BEGUN), [(b"a"[..].into(), file(SEEN, 5_000))]);
    let evidence = Evidence {
        seen: &seen,
        path: b"a",
        lower: saved(),
        upper: Upper::File(Stat { born: None, ..file(UPPER, 10_501) }),
        above: Above::InPlace,
        view_inode: Some(SAVED),
        clocks: Clocks::Shared,
    };
    assert_eq!(evidence.verdict(), Verdict::Stale);
    const { assert!(TICK_NANOS >= 10_000_000, "a kernel with 100 ticks a second is common") };
}

/// Another file may have been at the path meanwhile, and only the view could tell.
#[rstest]
#[case::the_view_shows_the_file(copy(10_500), Some(SEEN), Verdict::Modify)]
#[case::the_view_shows_the_copy(copy(10_500), Some(UPPER), Verdict::Stale)]
#[case::the_view_has_ended(copy(10_500), None, Verdict::Stale)]
#[case::removed(Upper::Removed, None, Verdict::Stale)]
fn below_a_directory_that_was_moved_only_the_view_proves_a_base(
    #[case] upper: Upper,
    #[case] view_inode: Option<u64>,
    #[case] expected: Verdict,
) {
    let seen = Snapshot::new(at(BEGUN), old().map(|stat| (b"d/a"[..].into(), stat)));
    let above = Above::Moved;
    let (path, lower, clocks) = (&b"d/a"[..], old(), Clocks::Shared);
    let evidence = Evidence { seen: &seen, path, lower, upper, above, view_inode, clocks };
    assert_eq!(evidence.verdict(), expected);
    assert_ne!(Evidence { above: Above::InPlace, ..evidence }.verdict(), Verdict::Stale);
}
