//! Mutated patches beside `git apply`: what both take gives the same files, and what only one takes
//! is of a kind that docs/patches.md lists.
//!
//! `PATCH_CASES=100000 cargo test -p greenroom-patch-formats --test beside_git -- --nocapture` tries
//! that many and prints how many were of each kind; `PATCH_SEED` chooses others, and `PATCH_FROM` leaves
//! out those before a case that is to be looked at again. Needs `git`.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

mod entry;
mod fitting;
mod follow;
mod git;
mod kind;
mod links;
mod material;
mod mutate;
mod ours;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use entry::{Entry, Files, shown};
use follow::{Last, resolve};
use git::Git;
use kind::{Kind, LISTED};
use material::Random;
use mutate::{mutate, restyled, trees};
use ours::ours;
use refusal::Refused;

/// So many in every run of the tests.
const CASES: usize = 400;
const SEED: u64 = 20_261_128;

#[derive(Debug, Default)]
struct Counts {
    taken_by_both: usize,
    /// Of these, those by which a link comes, goes or changes.
    changing_links: usize,
    refused_by_both: usize,
    only_git: BTreeMap<Kind, usize>,
    only_greenroom: BTreeMap<Kind, usize>,
    /// Taken by both, and by git as here with `-p0` alone.
    unprefixed: usize,
    /// Taken by both, and here by names without a prefix that lead through links.
    unprefixed_through_link: usize,
    /// Taken by both, and git changed the target of a link where the file behind it was changed here.
    behind_link: usize,
}

fn links(files: &Files) -> Vec<(&String, &Entry)> {
    files.iter().filter(|(_, entry)| matches!(entry, Entry::Link { .. })).collect()
}

/// Whether two trees are the same but for links and what they lead to.
fn differ_by_links(before: &Files, one: &Files, other: &Files) -> bool {
    let led = |link| resolve(before, &BTreeSet::new(), link, Last::Followed).ok();
    let behind: BTreeSet<String> =
        links(before).into_iter().filter_map(|(link, _)| led(link)).collect();
    one.keys()
        .chain(other.keys())
        .filter(|name| one.get(*name) != other.get(*name))
        .all(|name| matches!(before.get(name), Some(Entry::Link { .. })) || behind.contains(name))
}

/// Compares one patch; the difference when it is of no listed kind.
fn compare(git: &mut Git, before: &Files, patch: &[u8], counts: &mut Counts) -> Result<(), String> {
    let (here, there) = (ours(before, patch), git.apply(before, patch, None));
    match (here, there) {
        (Ok(here), Some(there)) if here.files == there => {
            counts.taken_by_both += 1;
            counts.changing_links += usize::from(links(before) != links(&there));
        }
        (Err(_), None) => counts.refused_by_both += 1,
        (Err(Refused { kind: Some(kind), .. }), Some(_)) => {
            *counts.only_git.entry(kind).or_default() += 1;
        }
        (Err(refused), Some(_)) => return Err(format!("only git takes it: {}", refused.message)),
        (Ok(here), there) => {
            let is_unprefixed = ["-p0", "-p1"]
                .iter()
                .any(|p| git.apply(before, patch, Some(p)) == Some(here.files.clone()));
            match (there, here.lenient.first()) {
                (Some(_), _) if is_unprefixed => counts.unprefixed += 1,
                // With `-p0` it refuses the link, and without it finds another name.
                (Some(_), _)
                    if [Kind::Unprefixed, Kind::ThroughLink]
                        .iter()
                        .all(|kind| here.lenient.contains(kind)) =>
                {
                    counts.unprefixed_through_link += 1;
                }
                (Some(there), _)
                    if here.lenient.contains(&Kind::BehindLink)
                        && differ_by_links(before, &here.files, &there) =>
                {
                    counts.behind_link += 1;
                }
                (Some(there), _) => {
                    return Err(format!(
                        "git makes of it {}, not {}",
                        shown(&there),
                        shown(&here.files)
                    ));
                }
                (None, _) if is_unprefixed => {
                    *counts.only_greenroom.entry(Kind::Unprefixed).or_default() += 1;
                }
                (None, Some(kind)) => *counts.only_greenroom.entry(*kind).or_default() += 1,
                (None, None) => {
                    return Err(format!("only Greenroom takes it: {}", shown(&here.files)));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn mutated_patches_give_what_git_apply_gives_but_for_the_listed_differences() {
    if !Command::new("git").arg("--version").output().is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: there is no git here");
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let asked = number("PATCH_CASES");
    let cases = asked.map_or(CASES, |cases| usize::try_from(cases).expect("a number of cases"));
    let from = number("PATCH_FROM").map_or(0, |from| usize::try_from(from).expect("a case"));
    let mut random = Random::new(number("PATCH_SEED").unwrap_or(SEED));
    let (mut git, mut counts) = (Git::new(), Counts::default());
    let mut world = (Files::new(), [Vec::new(), Vec::new()]);
    let mut unlisted = Vec::new();
    for case in 0..cases {
        if case % 40 == 0 {
            let (before, after) = trees(&mut random);
            let diffs = git.diff(&before, &after);
            world = (before, diffs);
        }
        let mut before = world.0.clone();
        let mut patch = restyled(&mut random, &world.1);
        for _ in 0..random.below(3) {
            mutate(&mut random, &mut patch, &mut before);
        }
        if case < from {
            continue;
        }
        if asked.is_some() && case % 1000 == 999 {
            println!("{} cases: {counts:?}", case + 1 - from);
        }
        if let Err(difference) = compare(&mut git, &before, &patch, &mut counts) {
            unlisted.push(format!(
                "case {case}: {difference}\nthe patch:\n{}\nthe files:{}",
                String::from_utf8_lossy(&patch).escape_debug().to_string().replace("\\n", "\n"),
                shown(&before)
            ));
            if asked.is_some() {
                println!("{}\n", unlisted[unlisted.len() - 1]);
            }
        }
    }
    if asked.is_some() {
        println!("{counts:#?}");
    }
    let (count, first) = (unlisted.len(), unlisted.iter().take(5).cloned().collect::<Vec<_>>());
    assert!(count == 0, "{count} unlisted differences:\n{}", first.join("\n\n"));
    let is_telling = counts.taken_by_both * 5 > cases
        && counts.refused_by_both * 20 > cases
        && counts.changing_links * 50 > cases;
    assert!(is_telling || from > 0, "too few are taken or refused by both: {counts:?}");
}

#[test]
fn every_kind_of_difference_is_listed_in_the_documentation() {
    let text = include_str!("../../../../docs/patches.md")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for (kind, words) in LISTED {
        assert!(text.contains(words), "{kind:?}: docs/patches.md lacks {words:?}");
    }
}
