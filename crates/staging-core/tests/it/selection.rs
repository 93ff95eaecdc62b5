//! Selections by patch, session and path, and their exceptions.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rstest::rstest;
use staging_core::{
    ApplyRequest, ErrorKind, Patch, PatchId, Selector, StagingError, set_signature,
};

use crate::world::{World, delete, path, rename, write};

const PATHS: [&str; 6] = ["a", "d/a", "d/b", "d/e/a", "da", "x"];
/// Paths that a selection may name.
const PLACES: [&str; 9] = ["a", "d", "d/a", "d/e", "da", "x", "old", "old/name", "d/new"];
const LABELS: [&str; 2] = ["one", "two"];

fn at(name: &str) -> Selector {
    Selector::Path(path(name))
}

fn ids(patches: &[Patch]) -> Vec<PatchId> {
    patches.iter().map(|patch| patch.id).collect()
}

/// A world in which each of these files is written by these sessions, and one is renamed.
fn world(written: &[(usize, usize)], renamed: Option<usize>) -> World {
    let world = World::new();
    world.put("old/name", "moved\n");
    let sessions = LABELS.map(|label| world.session(label));
    for (session, name) in written {
        world.write(sessions[*session], PATHS[*name], "new\n");
    }
    if let Some(session) = renamed {
        world.layer.propose(sessions[session], rename("old/name", "d/new")).expect("staged");
    }
    world
}

/// Whether a path is another one or below it, by the text alone.
fn is_below(path: &str, above: &str) -> bool {
    path == above || path.starts_with(&format!("{above}/"))
}

fn names(patch: &Patch) -> Vec<String> {
    let ends = std::iter::once(&patch.path).chain(&patch.rename_to);
    ends.map(ToString::to_string).collect()
}

#[derive(Clone, Debug)]
enum Word {
    Label(usize),
    Path(&'static str),
    /// The patch at this place among all of them.
    Patch(prop::sample::Index),
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        1 => (0..LABELS.len()).prop_map(Word::Label),
        3 => prop::sample::select(&PLACES[..]).prop_map(Word::Path),
        1 => any::<prop::sample::Index>().prop_map(Word::Patch),
    ]
}

impl Word {
    fn selector(&self, all: &[Patch]) -> Selector {
        match self {
            Self::Label(label) => Selector::Label(LABELS[*label].to_owned()),
            Self::Path(name) => at(name),
            Self::Patch(index) => Selector::Patch(index.get(all).id),
        }
    }

    fn selects(&self, all: &[Patch], sessions: &[staging_core::SessionId], patch: &Patch) -> bool {
        match self {
            Self::Label(label) => patch.session == sessions[*label],
            Self::Path(above) => names(patch).iter().any(|name| is_below(name, above)),
            Self::Patch(index) => index.get(all).id == patch.id,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_selection_is_that_of_the_ids_of_what_its_words_select(
        written in prop::collection::vec((0..LABELS.len(), 0..PATHS.len()), 1..6),
        renamed in prop::option::of(0..LABELS.len()),
        named in prop::collection::vec(word(), 0..3),
        excepted in prop::collection::vec(word(), 0..3),
    ) {
        let world = world(&written, renamed);
        let sessions = LABELS.map(|label| world.session(label));
        let all = world.layer.select(&[]).expect("all of it").patches;
        let are = |words: &[Word], patch: &Patch| {
            words.iter().any(|word| word.selects(&all, &sessions, patch))
        };
        let is_named = |patch: &Patch| named.is_empty() || are(&named, patch);
        let expected: Vec<Patch> = all
            .iter()
            .filter(|patch| is_named(patch) && !are(&excepted, patch))
            .cloned()
            .collect();
        let is_empty_path = |word: &Word| {
            matches!(word, Word::Path(_)) && !all.iter().any(|patch| word.selects(&all, &sessions, patch))
        };
        let selectors = |words: &[Word]| -> Vec<Selector> {
            words.iter().map(|word| word.selector(&all)).collect()
        };
        let except = selectors(&excepted).into_iter().map(Selector::except);
        let chosen: Vec<Selector> = selectors(&named).into_iter().chain(except).collect();
        let found = world.layer.select(&chosen);
        if named.iter().chain(&excepted).any(is_empty_path) {
            prop_assert!(matches!(found, Err(StagingError::NothingAt { .. })), "{found:?}");
        } else if expected.is_empty() && all.iter().any(is_named) {
            prop_assert!(matches!(found, Err(StagingError::NothingLeft)), "{found:?}");
        } else {
            let found = found.expect("everything exists");
            prop_assert_eq!(ids(&found.patches), ids(&expected));
            prop_assert_eq!(found.signature, set_signature(&expected));
            // And it is the same set when it is named one by one.
            let by_id: Vec<Selector> = ids(&expected).into_iter().map(Selector::Patch).collect();
            if !by_id.is_empty() {
                let again = world.layer.select(&by_id).expect("they are pending");
                prop_assert_eq!(again.signature, found.signature);
            }
        }
    }
}

#[test]
fn what_is_applied_by_path_is_that_and_the_rest_stays_pending() {
    let world = world(&[(0, 0), (0, 1), (1, 2)], Some(1));
    let request = |ids| ApplyRequest { ids, ..ApplyRequest::default() };
    world.layer.apply(&request(vec![at("d"), at("d/b").except()])).expect("applied");
    let disk = |name| world.disk(name);
    assert_eq!(
        (disk("d/a").as_deref(), disk("d/new").as_deref()),
        (Some("new\n"), Some("moved\n"))
    );
    assert_eq!((disk("a"), disk("d/b")), (None, None));
    assert_eq!(world.pending().len(), 2);
    let rejected = world.layer.discard(&[at("d")], None).expect("rejected");
    assert_eq!(rejected.len(), 1);
    assert_eq!(world.pending().len(), 1);
}

#[rstest]
#[case::a_file(&[at("x")])]
#[case::a_directory_of_that_name(&[at("d/a/b")])]
#[case::beside_something(&[at("a"), at("x")])]
#[case::left_out(&[at("x").except()])]
#[case::left_out_of_a_file(&[at("a"), at("x").except()])]
fn a_path_at_which_nothing_waits_is_refused_before_anything_is_decided(#[case] ids: &[Selector]) {
    let world = world(&[(0, 0), (0, 1)], None);
    let check = |error: StagingError| {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(matches!(error, StagingError::NothingAt { .. }), "{error}");
    };
    check(world.layer.select(ids).expect_err("nothing is there"));
    check(world.layer.discard(ids, None).expect_err("nothing is there"));
    check(world.layer.refresh_all(ids).expect_err("nothing is there"));
    let request = ApplyRequest { ids: ids.to_vec(), ..ApplyRequest::default() };
    check(world.layer.apply(&request).expect_err("nothing is there"));
    assert_eq!(world.pending().len(), 2);
}

#[test]
fn exceptions_that_leave_nothing_are_refused_and_of_nothing_are_not() {
    let world = world(&[(0, 0), (0, 1)], None);
    let one = Selector::Label("one".to_owned());
    let everything = vec![one.clone().except()];
    for ids in [everything, vec![at("a"), at("a").except()], vec![at("d"), one.except()]] {
        for error in [
            world.layer.select(&ids).expect_err("nothing is left"),
            world.layer.discard(&ids, None).expect_err("nothing is left"),
        ] {
            assert!(matches!(error, StagingError::NothingLeft), "{error}");
        }
    }
    let two = Selector::Label("two".to_owned());
    let selected = world.layer.select(&[two.clone(), two.except()]).expect("it was empty before");
    assert!(selected.patches.is_empty());
}

/// `app` and `lib` of one session, of which `app` is stale.
fn half_stale() -> World {
    let world = World::new();
    world.put("src/app", "app\n");
    world.put("src/lib", "lib\n");
    let session = world.session("one");
    world.write(session, "src/app", "new app\n");
    world.write(session, "src/lib", "new lib\n");
    world.put("src/app", "the user's\n");
    world.layer.status().expect("it is found stale");
    world
}

#[test]
fn a_directory_lacks_what_is_stale_in_it_unless_that_is_left_out() {
    let world = half_stale();
    let request = |ids| ApplyRequest { ids, dry_run: true, ..ApplyRequest::default() };
    let error = world.layer.apply(&request(vec![at("src")])).expect_err("a part is missing");
    assert!(matches!(error, StagingError::LostParts { .. }), "{error}");
    assert_eq!(error.patches(), [PatchId(1)]);
    let stale: [fn() -> Selector; 2] = [|| at("src/app"), || Selector::Patch(PatchId(1))];
    for stale in stale {
        let ids = vec![at("src"), stale().except()];
        assert_eq!(world.layer.select(&ids).expect("a file is left").lapsed, []);
        assert_eq!(world.layer.apply(&request(ids)).expect("on purpose").patches, [PatchId(2)]);
        let ids = vec![stale().except()];
        assert_eq!(world.layer.apply(&request(ids)).expect("on purpose").patches, [PatchId(2)]);
    }
    // A file beside it is a selection of its own.
    assert_eq!(world.layer.apply(&request(vec![at("src/lib")])).expect("whole").patches.len(), 1);
}

#[test]
fn what_is_stale_is_refreshed_and_dismissed_by_its_path() {
    let world = half_stale();
    assert_eq!(ids(&world.layer.waiting().expect("listed")), [PatchId(1), PatchId(2)]);
    assert!(world.layer.refresh_all(&[at("src/lib")]).expect("nothing is stale there").is_empty());
    let error = world.layer.refresh_all(&[at("src"), at("src/app").except()]);
    assert!(matches!(error, Err(StagingError::NothingLeft)), "{error:?}");
    // The user has written the same line, so it conflicts, and stays listed.
    let error = world.layer.refresh_all(&[at("src")]).expect_err("both changed the line");
    assert_eq!(error.patches(), [PatchId(1)]);
    world.put("src/app", "app\n");
    let refreshed = world.layer.refresh_all(&[at("src")]).expect("the file is as it was");
    let patches: BTreeSet<_> = refreshed
        .iter()
        .filter_map(|one| one.patch.as_ref())
        .collect::<Vec<_>>()
        .iter()
        .map(|patch| patch.path.to_string())
        .collect();
    assert_eq!(patches, BTreeSet::from(["src/app".to_owned()]));

    let world = half_stale();
    let dismissed = world.layer.discard(&[at("src/app")], None).expect("dismissed");
    assert_eq!(ids(&dismissed), [PatchId(1)]);
    let error = world.layer.discard(&[at("src/app")], None).expect_err("nothing is left there");
    assert!(matches!(error, StagingError::NothingAt { .. }), "{error}");
    assert_eq!(world.pending().len(), 1);
}

#[test]
fn a_rename_is_found_by_either_name_and_a_delete_by_its_own() {
    let world = World::new();
    for name in ["old/a", "gone/b"] {
        world.put(name, "x\n");
    }
    let session = world.session("one");
    world.layer.propose(session, rename("old/a", "new/a")).expect("staged");
    world.layer.propose(session, delete("gone/b")).expect("staged");
    world.layer.propose(session, write("other", "x\n")).expect("staged");
    for (name, expected) in [("old", 1), ("old/a", 1), ("new", 1), ("new/a", 1), ("gone", 2)] {
        let found = world.layer.select(&[at(name)]).expect("it is there").patches;
        assert_eq!(ids(&found), [PatchId(expected)], "{name}");
    }
}
