//! What happens between the moment in which a rule covers a set and the moment in which it is on the
//! disk, and what a rule's apply leaves behind.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use staging_core::{
    ApplyRequest, ApprovalRules, ApproveRule, DiskOwner, LabelGlobs, RuleOutcome, RuleRunner,
    Selector, StagingOptions, WaitObserver,
};

use crate::rules::{decide, globs, populated, propose, rules};
use crate::world::{World, edit, write};

fn applied_rules(outcomes: &[RuleOutcome]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, RuleOutcome::Applied { .. })).count()
}

/// Whether another process could change the workspace now.
fn is_unlocked(options: StagingOptions) -> bool {
    let (sender, waits) = channel();
    let sender = Mutex::new(sender);
    let observer = WaitObserver::new(move |_| {
        let _ = sender.lock().expect("one at a time").send(());
    });
    let (done, ended) = channel();
    std::thread::spawn(move || {
        let other = DiskOwner::open(StagingOptions { wait_observer: observer, ..options });
        let _ = done.send(other.and_then(|other| other.recover()).is_ok());
    });
    loop {
        if let Ok(ended) = ended.recv_timeout(Duration::from_millis(20)) {
            return ended && waits.try_recv().is_err();
        }
        if waits.try_recv().is_ok() {
            return false;
        }
    }
}

/// Calls `meanwhile` once, when the apply of a world's layer reads a file.
fn at_next_read(world: &World, meanwhile: impl Fn() + Send + Sync + 'static) {
    let is_done = AtomicBool::new(false);
    world.layer.observe_reads(Box::new(move |_, _| {
        if !is_done.swap(true, Ordering::Relaxed) {
            meanwhile();
        }
    }));
}

/// Makes the file's status say nothing, so that an apply reads it again.
fn touch(world: &World, name: &str) {
    let file = fs::File::options().write(true).open(world.root().join(name)).expect("there");
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    file.set_modified(old).expect("touched");
}

#[test]
fn the_workspace_is_not_locked_once_a_rule_has_applied() {
    let world = populated();
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    let outcomes = RuleRunner::new(rules()).run(&world.layer).expect("looked at");
    assert_eq!(applied_rules(&outcomes), 1);
    assert!(is_unlocked(world.layer.options().clone()));
}

/// A set that fails once some of its files are swapped leaves a journal and slots to be removed.
#[test]
fn the_workspace_is_not_locked_once_an_apply_has_failed() {
    let mut rolled_back = 0;
    for _ in 0..50 {
        let world = World::new();
        let names: Vec<String> = (0..40).map(|number| format!("docs/{number:02}.md")).collect();
        names.iter().for_each(|name| world.put(name, "1\n2\n3\n"));
        let last = world.root().join(&names[39]);
        let mut rule = ApproveRule::new("docs", globs(&["docs/**"]));
        rule.files_max = Some(100);
        let rules = ApprovalRules {
            approve: vec![rule],
            quiet_for: Duration::ZERO,
            ..ApprovalRules::default()
        };
        propose(&world, "agent", names.iter().map(|name| edit(name, "2", "two")).collect());
        let is_over = Arc::new(AtomicBool::new(false));
        let user = std::thread::spawn({
            let (is_over, dir) = (Arc::clone(&is_over), world.root().join("docs"));
            move || {
                // Saves a file as soon as the new contents lie beside the old ones.
                while !is_over.load(Ordering::Relaxed) {
                    if fs::read_dir(&dir).expect("a directory").count() > 40 {
                        fs::write(&last, "the user's\n").expect("saved");
                        return;
                    }
                }
            }
        });
        let mut runner = RuleRunner::new(rules);
        runner.run(&world.layer).expect("looked at");
        is_over.store(true, Ordering::Relaxed);
        user.join().expect("the user");
        assert!(is_unlocked(world.layer.options().clone()), "{:?}", world.events());
        let names = fs::read_dir(world.root().join("docs")).expect("a directory").count();
        assert_eq!(names, 40, "nothing lies beside the files");
        rolled_back += usize::from(world.events().contains(&"apply_rolled_back".to_owned()));
        if rolled_back > 0 {
            return;
        }
    }
    panic!("no apply of these has failed");
}

#[test]
fn a_set_that_grows_after_it_was_looked_at_is_looked_at_again() {
    let world = populated();
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    touch(&world, "docs/a.md");
    let other = world.again();
    at_next_read(&world, move || {
        let session = other.open_session("agent").expect("the same").id;
        other.propose(session, write("src/new.rs", "x\n")).expect("staged");
    });
    let mut runner = RuleRunner::new(rules());
    assert!(decide(&world, &mut runner).is_none());
    assert_eq!(world.disk("docs/a.md").as_deref(), Some("1\n2\n3\n"));
    let reason = decide(&world, &mut runner).expect("looked at again").expect_err("not covered");
    assert!(reason.contains("`src/new.rs` is covered by no rule"), "{reason}");
}

#[test]
fn a_file_that_a_person_decides_about_meanwhile_waits() {
    let world = populated();
    propose(&world, "agent", vec![edit("docs/a.md", "2", "two")]);
    touch(&world, "docs/a.md");
    let other = world.again();
    let another = world.session("another");
    at_next_read(&world, move || {
        other.propose(another, edit("docs/a.md", "2", "zwei")).expect("staged");
        other.discard(&[Selector::Session(another)], None).expect("rejected");
    });
    let mut runner = RuleRunner::new(rules());
    assert!(decide(&world, &mut runner).is_none());
    assert_eq!(world.disk("docs/a.md").as_deref(), Some("1\n2\n3\n"));
    let reason = decide(&world, &mut runner).expect("looked at again").expect_err("rejected");
    assert!(reason.contains("was rejected"), "{reason}");
}

/// One process looks at its set, and waits for another one that applies as much as the rule allows.
#[test]
fn the_limits_of_a_rule_hold_for_several_processes_together() {
    let mut docs = ApproveRule::new("docs", globs(&["docs/**"]));
    docs.files_max = Some(1);
    let rules = ApprovalRules {
        approve: vec![docs],
        quiet_for: Duration::ZERO,
        ..ApprovalRules::default()
    };
    let meanwhile: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>> = Arc::default();
    let at_wait = Arc::clone(&meanwhile);
    let world = World::with(|options| {
        options.wait_observer = WaitObserver::new(move |_| {
            at_wait.get().expect("what happens meanwhile")();
        });
    });
    ["docs/a.md", "docs/b.md", "c"].iter().for_each(|name| world.put(name, "1\n2\n3\n"));
    let other = world.again();
    propose(&world, "person", vec![edit("c", "2", "two")]);
    other.apply(&ApplyRequest::default()).expect("applied, and not tidied yet");
    propose(&world, "one", vec![edit("docs/a.md", "2", "two")]);
    propose(&world, "two", vec![edit("docs/b.md", "2", "two")]);
    let mut of_other = rules.clone();
    of_other.approve[0].sessions = LabelGlobs::parse(["two"]).expect("globs");
    let applied = Arc::new(AtomicBool::new(false));
    let has_applied = Arc::clone(&applied);
    let _ = meanwhile.set(Box::new(move || {
        let outcomes = RuleRunner::new(of_other.clone()).run(&other).expect("looked at");
        has_applied.store(applied_rules(&outcomes) == 1, Ordering::Relaxed);
        other.tidy().expect("tidied");
    }));
    let outcomes = RuleRunner::new(rules).run(&world.layer).expect("looked at");
    assert!(applied.load(Ordering::Relaxed), "the other process has applied its set");
    assert_eq!(applied_rules(&outcomes), 0, "{outcomes:?}");
    assert_eq!(world.disk("docs/a.md").as_deref(), Some("1\n2\n3\n"));
}

/// One set cannot be decided, because the store cannot count what its rule has approved.
#[test]
fn an_error_of_one_set_hides_no_other_outcome_and_is_not_forgotten() {
    let world = populated();
    let mut rules = rules();
    rules.approve[1].files_max = Some(10);
    let mut runner = RuleRunner::new(rules);
    propose(&world, "agent", vec![edit("tools/run", "2", "two"), edit("tools/old", "2", "two")]);
    assert_eq!(applied_rules(&runner.run(&world.layer).expect("looked at")), 1);
    let too_large = "UPDATE patches SET staged_bytes = 9223372036854775807";
    world.store().execute(too_large, []).expect("their sum is no number");
    propose(&world, "one", vec![edit("docs/a.md", "2", "two")]);
    propose(&world, "two", vec![write("tools/new", "x\n")]);
    propose(&world, "three", vec![edit("docs/b.md", "2", "two")]);
    assert_eq!(applied_rules(&runner.run(&world.layer).expect("two are applied")), 2);
    // The third is tried again, but not at every call.
    for _ in 0..2 {
        let begun = std::time::Instant::now();
        while runner.run(&world.layer).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it is tried again");
            std::thread::yield_now();
        }
    }
}
