//! Rules approve exactly what they say, as whole sets, and everything else waits for a person.

use std::os::unix::fs::symlink;
use std::time::Duration;

use rstest::rstest;
use staging_core::{
    ApplyRequest, ApprovalMeans, ApprovalRules, ApproveRule, AskGlobs, AskRule, Event, LabelGlobs,
    Operation, PathGlobs, Proposal, RiskKind, RuleOutcome, RuleRunner, Selector,
};

use crate::world::{World, delete, edit, path, rename, set_mode, write};

pub(crate) fn globs(globs: &[&str]) -> PathGlobs {
    PathGlobs::parse(globs.iter().copied()).expect("globs")
}

/// A rule over documents, one over hidden files and moves among them, and one that keeps secrets.
pub(crate) fn rules() -> ApprovalRules {
    let mut docs = ApproveRule::new("docs", globs(&["docs/**", "*.md"]));
    (docs.lines_max, docs.bytes_max) = (Some(10), Some(2000));
    let mut tools = ApproveRule::new("tools", globs(&["tools/**"]));
    tools.risks = vec![RiskKind::Hidden, RiskKind::Automation];
    tools.operations = vec![
        Operation::Create,
        Operation::Modify,
        Operation::Delete,
        Operation::Rename,
        Operation::Mode,
    ];
    let paths = AskGlobs::parse(["secret.md", "docs/private"]).expect("globs");
    let ask = |name: &str, paths, operations| AskRule {
        name: name.to_owned(),
        paths,
        sessions: LabelGlobs::default(),
        operations,
    };
    let secrets = ask("secrets", paths, Vec::new());
    let stay = AskGlobs::parse(["tools/stay"]).expect("globs");
    let stay = ask("stay", stay, vec![Operation::Delete]);
    let none = AskGlobs::parse(["tools/none"]).expect("globs");
    let none = ask("none", none, vec![Operation::Create]);
    ApprovalRules {
        approve: vec![docs, tools],
        always_ask: vec![secrets, stay, none],
        quiet_for: Duration::ZERO,
    }
}

pub(crate) fn populated() -> World {
    let world = World::with(|options| options.allow_git = true);
    for name in ["docs/a.md", "docs/b.md", "src/main.rs", "tools/run", "tools/old", "tools/stay"] {
        world.put(name, "1\n2\n3\n");
    }
    world.put("docs/long.md", "a line of it\n".repeat(80));
    world
}

pub(crate) fn propose(world: &World, label: &str, proposals: Vec<Proposal>) {
    let session = world.session(label);
    world.layer.propose_all(session, proposals).expect("staged");
}

/// What was decided of the only set: the rule that approved it, or why it waits; none if nothing was.
pub(crate) fn decide(world: &World, runner: &mut RuleRunner) -> Option<Result<String, String>> {
    let mut outcomes = runner.run(&world.layer).expect("the store can be read");
    world.layer.tidy().expect("tidied");
    assert!(outcomes.len() <= 1, "{outcomes:?}");
    outcomes.pop().map(|outcome| match outcome {
        RuleOutcome::Applied { rule, .. } => Ok(rule),
        RuleOutcome::Asks { reason, .. } => Err(reason),
        other => panic!("{other:?}"),
    })
}

fn write_mode(name: &str, content: &str, mode: u32) -> Proposal {
    Proposal::Write { path: path(name), content: content.into(), mode: Some(mode) }
}

fn link(name: &str, target: &str) -> Proposal {
    Proposal::Symlink { path: path(name), target: target.into() }
}

const NONE: &str = "is covered by no rule";
const ODD: &str = "a file system may read as another one";
const OPERATION: &str = "does what the rule for its path does not approve";
const KEPT: &str = "is kept by the rule `secrets`";
const HIDDEN: &str = "has a risk that its rule does not cover: hidden";
const AUTOMATION: &str =
    "has a risk that its rule does not cover: read or run by tools on their own";
const TAKES_PLACE: &str = "takes the place of something that is removed";
const MODE: &str = "adds permission bits";
const WHOLE: &str = "has no diff";
const LINK: &str = "is a symbolic link";

#[rstest]
#[case::a_change(vec![edit("docs/a.md", "2", "two")], Ok("docs"))]
#[case::a_new_file(vec![write("docs/deep/new.md", "new\n")], Ok("docs"))]
#[case::several(vec![edit("docs/a.md", "2", "two"), write("new.md", "new\n")], Ok("docs"))]
#[case::every_operation(
    vec![delete("tools/old"), rename("tools/run", "tools/.run"), write("tools/.env", "x\n")], Ok("tools")
)]
#[case::fewer_permissions(vec![set_mode("tools/run", 0o600)], Ok("tools"))]
#[case::another_path(vec![edit("src/main.rs", "2", "two")], Err(NONE))]
#[case::a_part_of_it(vec![edit("docs/a.md", "2", "two"), edit("src/main.rs", "2", "two")], Err(NONE))]
#[case::of_two_rules(vec![edit("docs/a.md", "2", "two"), edit("tools/run", "2", "two")], Err(NONE))]
#[case::a_deletion(vec![delete("docs/a.md")], Err(OPERATION))]
#[case::a_rename(vec![rename("docs/a.md", "docs/c.md")], Err(OPERATION))]
#[case::out_of_the_directory(vec![rename("tools/run", "src/run")], Err(NONE))]
#[case::into_the_directory(vec![rename("src/main.rs", "tools/main.rs")], Err(NONE))]
#[case::executable(vec![set_mode("tools/run", 0o755)], Err(MODE))]
#[case::executable_from_the_start(vec![write_mode("tools/new", "x\n", 0o755)], Err(MODE))]
#[case::executable_with_content(vec![write_mode("tools/run", "x\n", 0o744)], Err(MODE))]
#[case::for_everybody(vec![write_mode("docs/new.md", "x\n", 0o666)], Err(MODE))]
#[case::a_mode_with_content(vec![write_mode("docs/a.md", "1\n2\n", 0o600)], Err(OPERATION))]
#[case::a_link(vec![link("tools/link", "run")], Err(LINK))]
#[case::a_file_that_becomes_a_link(vec![link("docs/a.md", "b.md")], Err(LINK))]
#[case::hidden(vec![write("docs/.vitepress/config", "x\n")], Err(HIDDEN))]
#[case::a_wide_dot(vec![write("docs/\u{ff0e}env", "x\n")], Err(HIDDEN))]
#[case::an_agents_settings(vec![write("docs/opencode.json", "{}\n")], Err(AUTOMATION))]
#[case::a_repository(vec![write("tools/.git/config", "x\n")], Err("belongs to a repository"))]
#[case::binary(vec![write("docs/a.bin", "\0\u{1}\u{2}")], Err(WHOLE))]
#[case::another_case(vec![write("Docs/a.md", "x\n")], Err(NONE))]
#[case::letters_that_look_alike(vec![write("doc\u{455}/a.md", "x\n")], Err(NONE))]
#[case::an_invisible_letter(vec![write("docs/a\u{200b}.md", "x\n")], Err(ODD))]
#[case::reordered(vec![write("docs/\u{202e}dm.a", "x\n")], Err(ODD))]
#[case::a_short_name(vec![write("docs/SECRET~1.MD", "x\n")], Err(ODD))]
#[case::a_dot_at_the_end(vec![write("docs/a.md.", "x\n")], Err(ODD))]
#[case::a_stream(vec![write("docs/a.md:x", "x\n")], Err(ODD))]
#[case::kept(vec![write("docs/deep/secret.md", "x\n")], Err(KEPT))]
#[case::kept_in_another_case(vec![write("docs/SECRET.md", "x\n")], Err(KEPT))]
#[case::kept_below(vec![write("docs/Private/x/y.md", "x\n")], Err(KEPT))]
#[case::kept_as_the_goal_of_a_move(vec![rename("tools/run", "tools/secret.md")], Err(KEPT))]
#[case::behind_a_link(vec![write("docs/linked/main.rs", "x\n")], Err(NONE))]
#[case::what_may_change(vec![edit("tools/stay", "2", "two")], Ok("tools"))]
#[case::what_has_to_stay(vec![delete("tools/stay")], Err("is kept by the rule `stay`"))]
#[case::what_has_to_stay_and_moves(vec![rename("tools/stay", "tools/x")], Err("is kept by the rule `stay`"))]
#[case::what_has_to_be_free(vec![write("tools/none", "x\n")], Err("is kept by the rule `none`"))]
#[case::what_has_to_be_free_and_is_moved_to(vec![rename("tools/run", "tools/none")], Err("is kept by the rule `none`"))]
#[case::a_file_that_becomes_a_directory(vec![delete("tools/old"), write("tools/old/x", "x\n")], Err(TAKES_PLACE))]
#[case::a_file_in_the_place_of_another(vec![delete("tools/old"), rename("tools/run", "tools/old")], Err(TAKES_PLACE))]
#[case::a_separator_of_windows(vec![write("docs/..\\src\\main.rs", "x\n")], Err(ODD))]
#[case::a_bare_repository(vec![write("docs/x/HEAD", "ref: refs/heads/x\n"), write("docs/x/config", "[core]\n")], Err(AUTOMATION))]
#[case::an_installation(vec![write("docs/package.json", "{\"scripts\": {\"install\": \"x\"}}\n")], Err(AUTOMATION))]
#[case::an_installation_that_cannot_be_read(vec![write("docs/Package.json", "{\"x\": 1e999}\n")], Err("its scripts cannot be read"))]
#[case::a_lock_file(vec![write("docs/package-lock.json", "{}\n")], Err("does not cover: lock file"))]
#[case::ci(vec![write("docs/Jenkinsfile", "x\n")], Err("does not cover: CI"))]
#[case::other_line_endings(vec![write("docs/a.md", "1\r\n2\r\n3\r\n")], Err("does not cover: encoding"))]
#[case::shrunk(vec![write("docs/long.md", "a line\n")], Err("does not cover: shrunk by more than 90 %"))]
#[case::more_lines_than_allowed(vec![write("docs/n.md", "x\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\n")], Err("allows 10"))]
fn a_set_is_applied_if_one_rule_covers_all_of_it(
    #[case] proposals: Vec<Proposal>,
    #[case] expected: Result<&str, &str>,
) {
    let world = populated();
    symlink("../src", world.root().join("docs/linked")).expect("made");
    propose(&world, "agent", proposals);
    let (before, pending) = (world.tree(), world.pending().len());
    let mut runner = RuleRunner::new(rules());
    let decided = decide(&world, &mut runner).expect("it is decided");
    match (decided, expected) {
        (Ok(rule), Ok(expected)) => {
            assert_eq!(rule, expected);
            assert_eq!(world.pending().len(), 0);
            assert_ne!(world.tree(), before);
        }
        (Err(reason), Err(expected)) => {
            assert!(reason.contains(expected), "{reason}");
            assert_eq!((world.tree(), world.pending().len()), (before, pending), "all of it waits");
            assert!(decide(&world, &mut runner).is_none(), "it is reported once");
        }
        (decided, expected) => panic!("{decided:?} instead of {expected:?}"),
    }
}

/// What no proposal of this version makes, but a row may hold.
#[rstest]
#[case::a_world_writable_directory(0o040777)]
#[case::with_the_sticky_bit(0o041777)]
#[case::of_the_group(0o042755)]
fn a_directory_that_is_more_open_than_a_new_one_waits(#[case] mode: u32) {
    let world = populated();
    let plain = Proposal::CreateDirectory { path: path("docs/plain") };
    propose(&world, "plain", vec![plain]);
    decide(&world, &mut RuleRunner::new(rules())).expect("decided").expect("it is plain");
    propose(&world, "agent", vec![Proposal::CreateDirectory { path: path("docs/dir") }]);
    let set = "UPDATE patches SET staged_mode = ?1 WHERE state = 'pending'";
    world.store().execute(set, [mode]).expect("the column is there");
    let reason = decide(&world, &mut RuleRunner::new(rules())).expect("decided");
    let reason = reason.expect_err("it is more open");
    assert!(reason.contains(MODE), "{reason}");
}

/// Nobody has looked for risks in its content.
#[test]
fn what_an_older_version_has_staged_waits() {
    let world = populated();
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    world.store().execute("UPDATE patches SET risks = NULL", []).expect("the column is there");
    let reason = decide(&world, &mut RuleRunner::new(rules())).expect("decided");
    let reason = reason.expect_err("it is not examined");
    assert!(reason.contains("not examined for other risks"), "{reason}");
}

#[test]
fn limits_over_more_time_than_the_history_are_not_held() {
    let mut rules = rules();
    rules.approve[0].within = Duration::from_secs(3600 * 24 * 365);
    let world = populated();
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    let reason = decide(&world, &mut RuleRunner::new(rules)).expect("decided");
    let reason = reason.expect_err("nobody can count it");
    assert!(reason.contains("more time than the history is kept for"), "{reason}");
}

#[test]
fn the_log_names_the_rule() {
    let world = populated();
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    decide(&world, &mut RuleRunner::new(rules())).expect("decided").expect("applied");
    let record = world.layer.applies(1).expect("listed").pop().expect("one");
    let approval = record.approval.expect("recorded");
    assert_eq!((approval.means, approval.rule.as_deref()), (ApprovalMeans::Policy, Some("docs")));
    assert_eq!(approval.to_string(), "the rule `docs`");
    let events = world.layer.events_since(0, 100).expect("the log");
    let logged = events.into_iter().find_map(|record| match record.event {
        Event::ApplyStarted { approval, .. } => approval,
        _ => None,
    });
    assert_eq!(logged, Some(approval));
}

#[test]
fn many_small_patches_are_within_the_limits_together() {
    let world = populated();
    let mut runner = RuleRunner::new(rules());
    for content in ["1\n", "1\n2\n3\n", "1\n2\n3\n4\n5\n6\n"] {
        propose(&world, "agent", vec![write("docs/grows.md", content)]);
        decide(&world, &mut runner).expect("decided").expect("six lines so far");
    }
    propose(&world, "agent", vec![write("docs/grows.md", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n")]);
    let outcomes = runner.run(&world.layer).expect("looked at");
    let [RuleOutcome::Waits { reason, .. }] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(reason, "the rule `docs` has approved 6 of at most 10 lines lately");
    assert!(decide(&world, &mut runner).is_none(), "it is reported once");
    assert_eq!(world.pending().len(), 1);
    // Another process counts the same, also what was undone.
    world.layer.undo(None).expect("undone");
    let mut other = RuleRunner::new(rules());
    propose(&world, "another", vec![write("docs/b.md", "1\n2\n3\nx\nx\nx\nx\nx\n")]);
    let outcomes = other.run(&world.layer).expect("looked at");
    assert!(!outcomes.iter().any(|outcome| matches!(outcome, RuleOutcome::Applied { .. })));
}

#[test]
fn what_a_person_has_rejected_edited_or_undone_is_not_approved_by_a_rule() {
    let world = populated();
    let mut runner = RuleRunner::new(rules());
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    world.layer.discard(&[], Some("no")).expect("rejected");
    propose(&world, "agent", vec![edit("docs/a.md", "2", "zwei")]);
    let reason = decide(&world, &mut runner).expect("decided").expect_err("rejected before");
    assert!(reason.contains("was rejected, dismissed, edited or undone before"), "{reason}");
    world.layer.apply(&ApplyRequest::default()).expect("a person can");
    propose(&world, "agent", vec![edit("docs/b.md", "2", "two")]);
    decide(&world, &mut runner).expect("decided").expect("of another file");
    world.layer.undo(None).expect("undone");
    assert_eq!(world.pending().len(), 1, "it is pending again");
    decide(&world, &mut runner).expect("decided").expect_err("it is not applied again");
    propose(&world, "agent", vec![edit("docs/b.md", "two", "three")]);
    decide(&world, &mut runner)
        .expect("decided")
        .expect_err("another version of it is not applied either");
    assert_eq!(world.disk("docs/b.md").as_deref(), Some("1\n2\n3\n"));
}

/// An agent names its sessions, and spells the names of files.
#[rstest]
#[case::rejected(|world: &World| drop(world.layer.discard(&[], None).expect("rejected")))]
#[case::dismissed(|world: &World| {
    world.put("docs/a.md", "0\n1\n2\n3\n");
    world.layer.status().expect("it is found stale");
    world.layer.discard(&[], None).expect("dismissed");
})]
#[case::edited(|world: &World| {
    let patch = world.pending().remove(0);
    world.layer.edit(&patch, b"1\nours\n3\n").expect("edited");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
})]
#[case::undone(|world: &World| {
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    world.layer.undo(None).expect("undone");
    world.layer.tidy().expect("tidied");
})]
fn a_decision_holds_for_sessions_of_every_label_and_for_every_spelling(
    #[case] decides: fn(&World),
    #[values("docs/a.md", "docs/A.md")] next: &str,
) {
    let world = populated();
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    decides(&world);
    let session = world.session("agent");
    world.layer.close_session(session).expect("closed");
    propose(&world, "agent:2", vec![write(next, "1\n2\n3\nx\n")]);
    let reason = decide(&world, &mut RuleRunner::new(rules())).expect("decided");
    let reason = reason.expect_err("a person has decided about the file");
    assert!(reason.contains("was rejected, dismissed, edited or undone before"), "{reason}");
}

#[test]
fn a_set_that_lacks_a_part_waits_until_it_is_refreshed() {
    let world = populated();
    let mut runner = RuleRunner::new(rules());
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two"), edit("docs/b.md", "2", "two")]);
    world.put("docs/a.md", "0\n1\n2\n3\n");
    world.layer.status().expect("it is found stale");
    let reason = decide(&world, &mut runner).expect("decided").expect_err("it lacks a part");
    assert!(reason.contains("parts of the set are stale"), "{reason}");
    world.put("docs/a.md", "1\n2\n3\n");
    world.layer.refresh_all(&[]).expect("refreshed");
    decide(&world, &mut runner).expect("decided").expect("it is whole, and what is new is covered");
}

#[test]
fn a_stale_set_is_not_applied_and_no_failure() {
    let world = populated();
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    world.put("docs/a.md", "the user's\n");
    assert!(decide(&world, &mut RuleRunner::new(rules())).is_none());
    assert_eq!(world.disk("docs/a.md").as_deref(), Some("the user's\n"));
}

#[test]
fn a_file_that_another_session_changes_waits() {
    let world = populated();
    propose(&world, "one", vec![edit("docs/a.md", "2", "two")]);
    propose(&world, "two", vec![edit("docs/a.md", "2", "zwei")]);
    let outcomes = RuleRunner::new(rules()).run(&world.layer).expect("looked at");
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(|outcome| matches!(
        outcome,
        RuleOutcome::Asks { reason, .. } if reason.contains("is changed by another session too")
    )));
}

#[test]
fn a_rule_of_some_sessions_covers_no_other() {
    let world = populated();
    let mut rules = rules();
    for rule in &mut rules.approve {
        rule.sessions = LabelGlobs::parse(["agent:*"]).expect("globs");
    }
    propose(&world, "other", vec![edit("docs/a.md", "2", "two")]);
    let mut runner = RuleRunner::new(rules);
    decide(&world, &mut runner).expect("decided").expect_err("no rule is for it");
    world.layer.discard(&[Selector::Label("other".to_owned())], None).expect("rejected");
    propose(&world, "agent:1", vec![edit("docs/b.md", "2", "two")]);
    decide(&world, &mut runner).expect("decided").expect("its label matches");
}

#[test]
fn a_set_that_has_just_changed_is_left_to_grow() {
    let world = populated();
    let mut rules = rules();
    rules.quiet_for = Duration::from_secs(60 * 60);
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    assert!(decide(&world, &mut RuleRunner::new(rules)).is_none());
    assert_eq!(world.pending().len(), 1);
}

#[test]
fn without_rules_nothing_is_approved() {
    let world = populated();
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    assert!(decide(&world, &mut RuleRunner::new(ApprovalRules::default())).is_none());
}
