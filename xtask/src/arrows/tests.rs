//! Shows that each rule about arrows fails on a graph that breaks it.

use serde_json::json;

use super::*;

/// One dependency: user, used, kind.
type Arrow = (&'static str, &'static str, Option<&'static str>);

const NORMAL: Option<&str> = None;
const DEV: Option<&str> = Some("dev");
const BUILD: Option<&str> = Some("build");

/// Crates of others that the graphs know.
const OTHERS: [&str; 4] = ["actix", "actix-rt", "tokio", "middle"];

/// A workspace that keeps every rule, and `more` arrows, over `members`.
fn metadata_of(members: &[&str], more: &[Arrow]) -> Metadata {
    let mut arrows = vec![("staging-core", "actix", NORMAL), ("actix", "tokio", NORMAL)];
    arrows.extend(more);
    let names: Vec<&str> = members.iter().copied().chain(OTHERS).collect();
    let of = |name: &str| {
        let own = arrows.iter().filter(|(user, ..)| *user == name);
        own.copied().collect::<Vec<Arrow>>()
    };
    let packages = names.iter().map(|name| {
        let declared =
            of(name).into_iter().map(|(_, used, kind)| json!({"name": used, "kind": kind}));
        json!({"id": name, "name": name, "dependencies": declared.collect::<Vec<_>>()})
    });
    let nodes = names.iter().map(|name| {
        let edges = of(name).into_iter().map(
            |(_, used, kind)| json!({"pkg": used, "dep_kinds": [{"kind": kind, "target": null}]}),
        );
        json!({"id": name, "deps": edges.collect::<Vec<_>>()})
    });
    let metadata = json!({
        "packages": packages.collect::<Vec<_>>(),
        "workspace_members": members,
        "resolve": {"nodes": nodes.collect::<Vec<_>>()},
    });
    serde_json::from_value(metadata).expect("the graph has the shape of cargo's")
}

fn members() -> Vec<&'static str> {
    TABLE.iter().map(|(name, _)| *name).collect()
}

fn check_arrows(more: &[Arrow], expected: &[&str]) {
    let metadata = metadata_of(&members(), more);
    assert_eq!(check(&metadata), expected, "the problems of {more:?}");
}

#[test]
fn the_arrows_of_the_table_are_allowed() {
    let mut arrows = Vec::new();
    for (name, may) in &TABLE {
        if let Use(allowed) = may {
            arrows.extend(allowed.iter().map(|used| (*name, *used, NORMAL)));
        }
    }
    check_arrows(&arrows, &[]);
}

#[test]
fn an_arrow_that_is_not_in_the_table_is_refused() {
    for (kind, word) in [(NORMAL, "normal"), (BUILD, "build"), (DEV, "dev")] {
        let problem = format!("arrows: atomic-fs may not use strategy-api (a {word} dependency)");
        check_arrows(&[("atomic-fs", "strategy-api", kind)], &[&problem]);
    }
}

#[test]
fn an_arrow_upwards_is_refused() {
    check_arrows(
        &[("orchestrator-adapter", "greenroom-cli", NORMAL)],
        &["arrows: orchestrator-adapter may not use greenroom-cli (a normal dependency)"],
    );
}

#[test]
fn the_testkit_is_for_tests_of_what_runs_strategies() {
    check_arrows(&[("strategy-myers", TESTKIT, DEV)], &[]);
    check_arrows(
        &[("strategy-myers", TESTKIT, NORMAL)],
        &["arrows: strategy-myers may not use strategy-testkit (a normal dependency)"],
    );
    check_arrows(&[("diff-engine", TESTKIT, DEV)], &[]);
    check_arrows(
        &[("staging-core", TESTKIT, DEV)],
        &["arrows: staging-core may not use strategy-testkit (a dev dependency)"],
    );
    check_arrows(
        &[("strategy-api", TESTKIT, DEV)],
        &["arrows: strategy-api may not use strategy-testkit (a dev dependency)"],
    );
}

#[test]
fn a_crate_may_test_itself() {
    check_arrows(&[("atomic-fs", "atomic-fs", DEV)], &[]);
}

#[test]
fn the_end_to_end_tests_and_the_tasks_use_any_and_nobody_uses_them() {
    check_arrows(&[("end-to-end", "strategy-api", DEV), ("xtask", "atomic-fs", NORMAL)], &[]);
    check_arrows(
        &[("greenroom-cli", "end-to-end", DEV)],
        &["arrows: greenroom-cli may not use end-to-end (a dev dependency)"],
    );
    check_arrows(
        &[("end-to-end", "xtask", NORMAL)],
        &["arrows: end-to-end may not use xtask (a normal dependency)"],
    );
}

#[test]
fn a_crate_outside_the_table_is_refused() {
    let mut members = members();
    members.push("stranger");
    assert_eq!(
        check(&metadata_of(&members, &[])),
        ["arrows: stranger is not in the table of arrows"]
    );
}

#[test]
fn a_row_without_a_crate_is_refused() {
    let mut members = members();
    members.retain(|name| *name != "strategy-patience");
    assert_eq!(
        check(&metadata_of(&members, &[])),
        ["arrows: the table names strategy-patience, and there is no such crate"]
    );
}

#[test]
fn an_event_loop_below_the_core_is_refused_with_the_way_to_it() {
    check_arrows(
        &[("diff-engine", "middle", NORMAL), ("middle", "tokio", NORMAL)],
        &["arrows: diff-engine may not reach tokio, and does: diff-engine -> middle -> tokio"],
    );
    check_arrows(
        &[("atomic-fs", "actix-rt", NORMAL)],
        &["arrows: atomic-fs may not reach actix-rt, and does: atomic-fs -> actix-rt"],
    );
}

#[test]
fn an_event_loop_in_tests_is_allowed() {
    check_arrows(&[("atomic-fs", "tokio", DEV)], &[]);
}

#[test]
fn every_crate_below_the_core_is_watched() {
    for name in BELOW_THE_CORE {
        let metadata = metadata_of(&members(), &[(name, "actix-rt", NORMAL)]);
        assert_eq!(check(&metadata).len(), 1, "{name} must not reach an event loop");
    }
}

#[test]
fn a_check_that_cannot_see_the_event_loop_fails() {
    let mut metadata = metadata_of(&members(), &[]);
    for node in &mut metadata.resolve.nodes {
        node.deps.clear();
    }
    let problems = check(&metadata);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("staging-core does not reach actix"), "{problems:?}");
}
