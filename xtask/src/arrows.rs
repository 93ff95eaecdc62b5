//! Checks which crate uses which: the table of arrows, and no event loop below staging-core.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::cargo::{self, Dependency, Workspace};

/// What a crate of ours may use of ours.
enum May {
    Use(&'static [&'static str]),
    /// May use any crate, and may itself be used by none.
    UseAnyAndBeUsedByNone,
}

use May::{Use, UseAnyAndBeUsedByNone};

/// What the packages that are published have before the name of their directory and their library.
const PREFIX: &str = "greenroom-";

/// The table: a crate that is not in it may not exist, and a row without a crate is stale. Names are
/// without [`PREFIX`].
const TABLE: [(&str, May); 22] = [
    ("strategy-api", Use(&[])),
    ("atomic-fs", Use(&[])),
    ("patch-formats", Use(&[])),
    ("strategy-myers", Use(&["strategy-api"])),
    ("strategy-patience", Use(&["strategy-api"])),
    ("strategy-histogram", Use(&["strategy-api"])),
    ("strategy-full-replace", Use(&["strategy-api"])),
    ("strategy-testkit", Use(&["strategy-api"])),
    (
        "diff-engine",
        Use(&[
            "strategy-api",
            "strategy-myers",
            "strategy-patience",
            "strategy-histogram",
            "strategy-full-replace",
            // The kit runs where libraries are loaded: in a child, whose side is here.
            "strategy-testkit",
        ]),
    ),
    // The steps of the toolbox, over the words of a line.
    ("emphasis", Use(&["strategy-api"])),
    ("staging-core", Use(&["diff-engine", "atomic-fs", "patch-formats"])),
    ("capture", Use(&["staging-core"])),
    ("orchestrator-adapter", Use(&["staging-core"])),
    ("mcp-server", Use(&["orchestrator-adapter", "capture", "staging-core"])),
    ("cli", Use(&["mcp-server", "capture", "orchestrator-adapter", "staging-core", "emphasis"])),
    ("fault-explorer", Use(&["atomic-fs"])),
    ("xtask", UseAnyAndBeUsedByNone),
    ("end-to-end", UseAnyAndBeUsedByNone),
    ("real-disk", UseAnyAndBeUsedByNone),
    ("torture", UseAnyAndBeUsedByNone),
    ("windows", UseAnyAndBeUsedByNone),
    ("benches", UseAnyAndBeUsedByNone),
];

/// Strategies may run the conformance tests, and only as tests.
const TESTKIT: &str = "strategy-testkit";

/// The crates that must work without an event loop.
const BELOW_THE_CORE: [&str; 13] = [
    "atomic-fs",
    "capture",
    "emphasis",
    "fault-explorer",
    "patch-formats",
    "diff-engine",
    "staging-core",
    "strategy-api",
    "strategy-myers",
    "strategy-patience",
    "strategy-histogram",
    "strategy-full-replace",
    TESTKIT,
];
const EVENT_LOOPS: [&str; 3] = ["actix", "actix-rt", "tokio"];

/// A crate that does reach every event loop: were the output of cargo read wrongly, nothing would
/// reach anything, and the check would pass without seeing anything.
const PROBE: &str = "orchestrator-adapter";

/// Checks that every crate uses what the table allows, and nothing else of ours.
pub(crate) fn check_table(workspace: &Workspace) -> Vec<String> {
    let table: BTreeMap<&str, &May> = TABLE.iter().map(|(name, may)| (*name, may)).collect();
    let names: BTreeSet<&str> =
        workspace.packages.iter().map(|p| without_prefix(&p.name)).collect();
    let mut problems = Vec::new();
    for row in table.keys().filter(|row| !names.contains(*row)) {
        problems.push(format!("arrows: the table names {row}, and there is no such crate"));
    }
    for member in &workspace.packages {
        let name = without_prefix(&member.name);
        let Some(may) = table.get(name) else {
            problems.push(format!("arrows: {name} is not in the table of arrows"));
            continue;
        };
        let ours = member.dependencies.iter();
        for dependency in ours.filter(|used| names.contains(without_prefix(&used.name))) {
            let used = without_prefix(&dependency.name);
            let of_nobody = matches!(table.get(used), Some(UseAnyAndBeUsedByNone));
            if of_nobody || !is_allowed(name, may, dependency) {
                let kind = dependency.kind.as_deref().unwrap_or("normal");
                problems.push(format!("arrows: {name} may not use {used} (a {kind} dependency)"));
            }
        }
    }
    problems
}

/// The name of a package as the table has it.
fn without_prefix(package: &str) -> &str {
    package.strip_prefix(PREFIX).unwrap_or(package)
}

fn is_allowed(name: &str, may: &May, dependency: &Dependency) -> bool {
    let used = without_prefix(&dependency.name);
    let is_dev = dependency.kind.as_deref() == Some("dev");
    match may {
        UseAnyAndBeUsedByNone => true,
        Use(allowed) => {
            let runs_strategies = allowed.contains(&"strategy-api");
            // A crate may test itself with a feature that it does not have on by default.
            let for_tests = used == name || (used == TESTKIT && runs_strategies);
            allowed.contains(&used) || (is_dev && for_tests)
        }
    }
}

/// Checks which crates of the workspace at `root` reach an event loop.
pub(crate) fn check_event_loops(root: &Path) -> Vec<String> {
    let of_one = |event_loop| match cargo::users_of(root, event_loop) {
        Ok(users) => check_users(event_loop, &users),
        Err(error) => vec![format!("arrows: {error}")],
    };
    EVENT_LOOPS.into_iter().flat_map(of_one).collect()
}

/// Checks the users of an event loop as [`cargo::users_of`] lists them.
fn check_users(event_loop: &str, users: &str) -> Vec<String> {
    let packages = users.lines().filter_map(|line| line.split_whitespace().next());
    let users: BTreeMap<&str, &str> = packages.map(|name| (without_prefix(name), name)).collect();
    if !users.contains_key(PROBE) {
        return vec![format!(
            "arrows: {PROBE} does not reach {event_loop}, so a crate that may not reach it would \
             not be seen: correct the names in xtask"
        )];
    }
    let wrong = BELOW_THE_CORE.into_iter().filter_map(|name| Some((name, users.get(name)?)));
    wrong
        .map(|(name, package)| {
            format!(
                "arrows: {name} may not reach {event_loop}: \
                 `cargo tree -p {package} -e normal -i {event_loop}` shows how it does"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    //! Shows that each rule about arrows fails on a workspace that breaks it.

    use serde_json::json;

    use super::*;

    /// One dependency: user, used, kind.
    type Arrow = (&'static str, &'static str, Option<&'static str>);

    const NORMAL: Option<&str> = None;
    const DEV: Option<&str> = Some("dev");

    /// The package of a crate; the ones of tests have no prefix.
    fn package(name: &str) -> String {
        let is_of_tests = matches!(
            TABLE.iter().find(|(row, _)| *row == name),
            None | Some((_, UseAnyAndBeUsedByNone))
        );
        if is_of_tests { name.to_owned() } else { format!("{PREFIX}{name}") }
    }

    fn members() -> Vec<&'static str> {
        TABLE.iter().map(|(name, _)| *name).collect()
    }

    /// Checks a workspace of `members` that use each other by `arrows`.
    fn check_members(members: &[&str], arrows: &[Arrow], expected: &[&str]) {
        let packages = members.iter().map(|name| {
            let own = arrows.iter().filter(|(user, ..)| user == name);
            let own = own.map(|(_, used, kind)| json!({"name": package(used), "kind": kind}));
            json!({"name": package(name), "targets": [], "dependencies": own.collect::<Vec<_>>()})
        });
        let packages: Vec<_> = packages.collect();
        let workspace = json!({"workspace_root": "/", "packages": packages});
        let workspace = serde_json::from_value(workspace).expect("it has the shape of cargo's");
        assert_eq!(check_table(&workspace), expected, "the problems of {arrows:?}");
    }

    fn check_arrows(arrows: &[Arrow], expected: &[&str]) {
        check_members(&members(), arrows, expected);
    }

    #[test]
    fn the_arrows_of_the_table_are_allowed() {
        for (name, may) in &TABLE {
            if let Use(allowed) = may {
                let arrows: Vec<Arrow> =
                    allowed.iter().map(|used| (*name, *used, NORMAL)).collect();
                check_arrows(&arrows, &[]);
            }
        }
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_refused() {
        for (kind, word) in [(NORMAL, "normal"), (Some("build"), "build"), (DEV, "dev")] {
            let problem =
                format!("arrows: atomic-fs may not use strategy-api (a {word} dependency)");
            check_arrows(&[("atomic-fs", "strategy-api", kind)], &[&problem]);
        }
    }

    #[test]
    fn an_arrow_upwards_is_refused() {
        check_arrows(
            &[("orchestrator-adapter", "cli", NORMAL)],
            &["arrows: orchestrator-adapter may not use cli (a normal dependency)"],
        );
    }

    #[test]
    fn the_testkit_is_for_tests_of_what_runs_strategies() {
        check_arrows(&[("strategy-myers", TESTKIT, DEV), ("diff-engine", TESTKIT, DEV)], &[]);
        for (user, kind, word) in [
            ("strategy-myers", NORMAL, "normal"),
            ("staging-core", DEV, "dev"),
            ("strategy-api", DEV, "dev"),
        ] {
            let problem = format!("arrows: {user} may not use {TESTKIT} (a {word} dependency)");
            check_arrows(&[(user, TESTKIT, kind)], &[&problem]);
        }
    }

    #[test]
    fn a_crate_may_test_itself() {
        check_arrows(&[("atomic-fs", "atomic-fs", DEV)], &[]);
    }

    #[test]
    fn the_end_to_end_tests_and_the_tasks_use_any_and_nobody_uses_them() {
        check_arrows(&[("end-to-end", "strategy-api", DEV), ("xtask", "atomic-fs", NORMAL)], &[]);
        for (user, used) in [("cli", "end-to-end"), ("end-to-end", "xtask")] {
            let problem = format!("arrows: {user} may not use {used} (a dev dependency)");
            check_arrows(&[(user, used, DEV)], &[&problem]);
        }
    }

    #[test]
    fn a_crate_outside_the_table_is_refused() {
        let members = [members(), vec!["stranger"]].concat();
        check_members(&members, &[], &["arrows: stranger is not in the table of arrows"]);
    }

    #[test]
    fn a_row_without_a_crate_is_refused() {
        let members: Vec<&str> =
            members().into_iter().filter(|name| *name != "strategy-patience").collect();
        let problem = "arrows: the table names strategy-patience, and there is no such crate";
        check_members(&members, &[], &[problem]);
    }

    #[test]
    fn an_event_loop_below_the_core_is_refused() {
        let users = |more: &str| {
            format!("tokio v1.0.0\nactix v0.13.5\n{PREFIX}{PROBE} v0.1.0 (/x)\n{more}\n\n")
        };
        assert_eq!(check_users("tokio", &users("")), [""; 0]);
        for name in BELOW_THE_CORE {
            for package in [name.to_owned(), format!("{PREFIX}{name}")] {
                let problem = format!(
                    "arrows: {name} may not reach tokio: \
                     `cargo tree -p {package} -e normal -i tokio` shows how it does"
                );
                assert_eq!(
                    check_users("tokio", &users(&format!("{package} v0.1.0 (*)"))),
                    [problem]
                );
            }
        }
    }

    #[test]
    fn a_check_that_cannot_see_the_event_loop_fails() {
        for users in ["", "tokio v1.0.0\n", "├── orchestrator-adapter v0.1.0\n"] {
            let problems = check_users("tokio", users).concat();
            assert!(problems.contains("does not reach tokio"), "{problems}");
        }
    }
}
