//! A plugin in a process of its own costs its turn and nothing else.
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]
#![cfg(target_os = "linux")]

mod libraries;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diff_engine::{
    ChildLimits, DiffEngine, FileDiff, Library, PluginHost, Policy, Registry, Remark, Side,
    inspect_library, test_library,
};
use libraries::{Installed, install, library, misbehaving, myers, path_of};
use rstest::rstest;

/// Long enough for any machine to answer in.
const PATIENT: Duration = Duration::from_secs(60);

fn host() -> PluginHost {
    let program = path_of("plugin_host", &["--example", "plugin_host"]);
    PluginHost { program, arguments: Vec::new() }
}

fn named(installed: &Installed, name: &str) -> Library {
    let (path, trust) = (installed.path.clone(), installed.trust.clone());
    Library { name: name.to_owned(), path, trust }
}

/// An engine with one strategy in a child, and what its observer got.
struct Rig {
    engine: DiffEngine,
    reports: Arc<Mutex<Vec<String>>>,
    _installed: Installed,
}

impl Rig {
    fn new(bytes: &[u8], name: &str, deadline: Duration) -> Self {
        Self::with(bytes, name, deadline, &host(), ChildLimits::default())
    }

    fn with(
        bytes: &[u8],
        name: &str,
        deadline: Duration,
        host: &PluginHost,
        limits: ChildLimits,
    ) -> Self {
        let installed = install(bytes);
        let mut registry = Registry::bundled();
        registry.add_in_child(named(&installed, name), host, limits).expect("the name is free");
        let reports = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&reports);
        registry.on_misbehaviour(move |name, why| {
            heard.lock().expect("no test panics here").push(format!("{name}: {why}"));
        });
        let policy = Policy { strategy: name.to_owned(), deadline, ..Policy::default() };
        Self { engine: DiffEngine::new(policy, registry), reports, _installed: installed }
    }

    fn reports(&self) -> Vec<String> {
        self.reports.lock().expect("no test panics here").clone()
    }

    /// Gives the plugin an order, over a file of which it keeps less than histogram does.
    fn order(&self, order: &str) -> FileDiff {
        let new = format!("first\nplugin: {order}\nlast\n");
        self.engine.diff(Side::Text(b"old\nfirst\nlast\n"), Side::Text(new.as_bytes()))
    }
}

impl Rig {
    /// The process that the plugin runs in, as it says.
    fn process(&self) -> u32 {
        let lines: String = (0..u32::BITS).map(|bit| format!("line {bit}\n")).collect();
        let new = format!("{lines}plugin: tell\n");
        let diff = self.engine.diff(Side::Text(lines.as_bytes()), Side::Text(new.as_bytes()));
        assert_eq!(diff.strategy, "misbehaving", "{:?}", diff.remarks);
        let script = diff.script.expect("the files were compared");
        let goes = |bit: &u32| script.changes().iter().any(|change| change.old.contains(bit));
        (0..u32::BITS).filter(|bit| !goes(bit)).map(|bit| 1 << bit).sum()
    }
}

fn bundled(order: &str) -> FileDiff {
    let new = format!("first\nplugin: {order}\nlast\n");
    DiffEngine::bundled(Policy::default())
        .diff(Side::Text(b"old\nfirst\nlast\n"), Side::Text(new.as_bytes()))
}

fn why_replaced(diff: &FileDiff) -> &str {
    match diff.remarks.as_slice() {
        [Remark::StrategyReplaced { used, why, .. }] => {
            assert_eq!((used, "histogram"), (&diff.strategy, diff.strategy.as_str()));
            why
        }
        remarks => panic!("the replacement must be remarked on, once: {remarks:?}"),
    }
}

#[rstest]
#[case::panic("panic", "panicked: no idea  [31mwhat to do")]
#[case::error("give-up", "this is too hard")]
#[case::abort("abort", "its process was ended by signal 6 (SIGABRT)")]
#[case::exit("exit", "its process exited with 7")]
#[case::stack("overflow", "has overflowed its stack")]
#[case::memory("allocate", "memory allocation of 8388608 bytes failed")]
#[case::output("print", "it wrote to standard output: \"diff --git a/evil b/evil\\n\"")]
#[case::lie("lie", "operation 0 goes past the end of the file")]
#[case::flood("flood", "panicked: ")]
fn a_plugin_that_misbehaves_costs_its_turn_alone(#[case] order: &str, #[case] reason: &str) {
    let limits = ChildLimits { memory_bytes_max: 256 << 20 };
    let rig = Rig::with(&misbehaving(), "misbehaving", PATIENT, &host(), limits);
    let first = rig.order(order);
    assert_eq!(first.script, bundled(order).script, "histogram takes the file over");
    let why = why_replaced(&first);
    assert!(why.contains(reason), "{why}");
    let second = rig.order("nothing");
    assert_eq!(second.script, bundled("nothing").script, "and every file after it");
    assert_eq!((second.strategy.as_str(), second.remarks.as_slice()), ("histogram", &[][..]));
    assert_eq!(rig.reports(), [format!("misbehaving: {why}")], "it is reported once");
}

#[test]
fn a_plugin_that_loops_is_killed_at_its_deadline() {
    let rig = Rig::new(&misbehaving(), "misbehaving", Duration::from_millis(700));
    let first = rig.order("loop");
    assert_eq!(first.script, bundled("loop").script);
    let why = why_replaced(&first);
    assert!(why.starts_with("it did not answer in time, "), "{why}");
    assert_eq!(rig.order("nothing").remarks, []);
}

#[test]
fn a_plugin_knows_its_deadline() {
    let rig = Rig::new(&misbehaving(), "misbehaving", Duration::from_millis(700));
    let first = rig.order("stop-when-asked");
    let why = why_replaced(&first);
    // Which of the two comes first is the machine's business.
    let is_over = why.starts_with("it did not answer in time, ");
    assert!(why == "it was asked to stop" || is_over, "{why}");
}

#[test]
fn a_plugin_that_behaves_is_asked_and_may_mutter() {
    let rig = Rig::new(&misbehaving(), "misbehaving", PATIENT);
    for order in ["nothing", "mutter", "nothing"] {
        let diff = rig.order(order);
        assert_eq!((diff.strategy.as_str(), diff.remarks.as_slice()), ("misbehaving", &[][..]));
        assert_ne!(diff.script, bundled(order).script, "it has its own idea of the file");
    }
    assert_eq!(rig.reports(), [""; 0]);
}

#[test]
fn one_child_serves_every_file() {
    let rig = Rig::new(&misbehaving(), "misbehaving", PATIENT);
    let changed = |diff: FileDiff| (diff.added, diff.removed);
    let new = "first\nplugin: count\nlast\n";
    let again = || rig.engine.diff(Side::Text(b"first\nlast\n"), Side::Text(new.as_bytes()));
    assert_eq!(changed(again()), (3, 2), "the first call of its process");
    assert_eq!(changed(again()), (2, 1), "and the second");
}

/// Waits until a process has ended, for as long as it takes.
fn wait_for_end(process: u32) {
    let state = || fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let runs = |stat: &str| !stat.is_empty() && !stat.contains(") Z");
    while runs(&state()) {
        std::thread::yield_now();
    }
}

fn kill(process: u32) {
    let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status();
    assert!(killed.expect("there is such a command").success());
    wait_for_end(process);
}

#[test]
fn a_child_that_something_else_killed_is_started_again_and_not_for_ever() {
    let rig = Rig::new(&misbehaving(), "misbehaving", PATIENT);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let process = rig.process();
        assert!(!seen.contains(&process), "it is another process");
        seen.push(process);
        kill(process);
    }
    let why = rig.order("nothing");
    assert_eq!(why_replaced(&why), "its process was killed again and again");
}

#[test]
fn a_child_ends_with_its_engine() {
    let rig = Rig::new(&misbehaving(), "misbehaving", PATIENT);
    let process = rig.process();
    assert!(Path::new(&format!("/proc/{process}")).exists());
    drop(rig);
    wait_for_end(process);
}

#[test]
fn a_child_has_nothing_of_its_host() {
    // Left open across the start of every process, as a careless host would.
    let leaked = fs::File::open("/dev/zero").expect("it can be opened");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("it is ours");
    let rig = Rig::new(&misbehaving(), "misbehaving", PATIENT);
    let process = PathBuf::from(format!("/proc/{}", rig.process()));
    let open = fs::read_dir(process.join("fd")).expect("it is ours and runs");
    let mut open: Vec<String> = open
        .map(|entry| {
            let target = fs::read_link(entry.expect("it runs").path()).expect("it runs");
            let name = target.to_string_lossy().into_owned();
            name.split([':', '(']).next().unwrap_or_default().trim().to_owned()
        })
        .collect();
    open.sort();
    // The socket once for the protocol and once for who waits for its end.
    assert_eq!(open, ["/dev/null", "/memfd", "pipe", "pipe", "socket", "socket"]);
    let environment = fs::read(process.join("environ")).expect("it is ours");
    assert_eq!(environment, b"MALLOC_ARENA_MAX=1\0");
    assert_eq!(fs::read_link(process.join("cwd")).expect("it is ours"), Path::new("/"));
}

#[test]
fn a_plugin_that_crashes_while_it_is_loaded_is_replaced() {
    let bytes = library("libcrashing_plugin.so", &["--example", "crashing_plugin"]);
    let rig = Rig::new(&bytes, "crashing", PATIENT);
    let diff = rig.order("nothing");
    assert_eq!(why_replaced(&diff), "its process was ended by signal 6 (SIGABRT)");
    assert_eq!(rig.reports().len(), 1, "it is the library's fault");
}

#[rstest]
#[case::another_name(myers(), "hers", "calls itself \"myers\" but was allowed as \"hers\"")]
#[case::text(b"#!/bin/sh\n".to_vec(), "mine", "is not a complete library for this system")]
#[case::cut_short(myers()[..10_000].to_vec(), "mine", "it is truncated")]
fn a_library_that_is_none_is_replaced_and_nothing_is_held_against_it(
    #[case] bytes: Vec<u8>,
    #[case] name: &str,
    #[case] reason: &str,
) {
    let rig = Rig::new(&bytes, name, PATIENT);
    let diff = rig.order("nothing");
    let why = why_replaced(&diff);
    assert!(why.contains(reason), "{why}");
    assert_eq!(rig.order("nothing").remarks, [], "once is enough");
    assert_eq!(rig.reports(), [""; 0], "no code of a strategy has run");
}

/// It would be in the way of every command once the configuration names it.
#[test]
fn a_library_with_a_name_that_nobody_can_type_is_no_plugin() {
    let mut bytes = misbehaving();
    let name = b"misbehaving";
    let places: Vec<_> = memchr::memmem::find_iter(&bytes, name).collect();
    for place in places {
        // The name of its header stays.
        if bytes.get(place + name.len()) != Some(&b'_') {
            bytes[place..place + name.len()].copy_from_slice(b"mis\x1b[31ming");
        }
    }
    let installed = install(&bytes);
    let found = inspect_library(&host(), &named(&installed, ""), ChildLimits::default());
    let why = found.expect_err("nobody can choose it");
    assert!(why.starts_with("\"mis\\u{1b}[31ming\" cannot name a strategy"), "{why}");
}

#[rstest]
#[case::missing("/no/such/program", "could not be started")]
#[case::silent("/bin/true", "its process exited with 0")]
fn a_program_that_is_no_host_is_recognized(#[case] program: &str, #[case] reason: &str) {
    let host = PluginHost { program: PathBuf::from(program), arguments: Vec::new() };
    let rig = Rig::with(&myers(), "mine", PATIENT, &host, ChildLimits::default());
    let diff = rig.order("nothing");
    let why = why_replaced(&diff);
    assert!(why.contains(reason), "{why}");
}

#[test]
fn a_quarantined_strategy_is_not_started() {
    let host = PluginHost { program: PathBuf::from("/no/such/program"), arguments: Vec::new() };
    let rig = Rig::with(&myers(), "mine", PATIENT, &host, ChildLimits::default());
    rig.engine.registry().quarantine("mine", "it crashed yesterday");
    assert_eq!(rig.order("nothing").remarks, []);
    assert_eq!(rig.engine.registry().failure_of("mine"), Some("it crashed yesterday"));
}

#[test]
fn in_a_child_and_linked_in_strategies_give_the_same_diff() {
    for name in ["myers", "patience", "histogram"] {
        let package = format!("greenroom-strategy-{name}");
        let file = format!("libstrategy_{}.so", name.replace('-', "_"));
        let installed = install(&library(&file, &["-p", &package]));
        let mut registry = Registry::empty();
        registry
            .add_in_child(named(&installed, name), &host(), ChildLimits::default())
            .expect("the name is free");
        let policy = Policy { strategy: name.to_owned(), deadline: PATIENT, ..Policy::default() };
        let (in_child, linked) =
            (DiffEngine::new(policy.clone(), registry), DiffEngine::bundled(policy));
        for lines in [0_u32, 1, 200, 30_000] {
            let text = |factor: u32, of: u32| -> Vec<u8> {
                (0..lines).flat_map(|n| format!("{}\n", n * factor % of).into_bytes()).collect()
            };
            let (old, new) = (text(1, 37), text(3, 41));
            let (old, new) = (Side::Text(&old), Side::Text(&new));
            assert_eq!(in_child.diff(old, new), linked.diff(old, new), "{name}, {lines} lines");
        }
    }
}

#[test]
fn threads_share_a_child() {
    let rig = Rig::new(&misbehaving(), "misbehaving", PATIENT);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(rig.order("nothing").strategy, "misbehaving");
                }
            });
        }
    });
    rig.order("abort");
    assert_eq!(rig.reports().len(), 1);
}

#[test]
fn the_conformance_kit_runs_over_a_library() {
    let limits = ChildLimits::default();
    let bytes = library("libstrategy_full_replace.so", &["-p", "greenroom-strategy-full-replace"]);
    let installed = install(&bytes);
    let found = test_library(&host(), &named(&installed, ""), limits, PATIENT);
    let found = found.expect("it is a strategy");
    assert_eq!((found.name.as_str(), found.checks.len()), ("full-replace", 6));
    assert!(found.passed(), "{:?}", found.checks);
}

#[test]
fn a_check_that_takes_too_long_fails_and_the_next_one_runs() {
    let bytes = library("libstrategy_full_replace.so", &["-p", "greenroom-strategy-full-replace"]);
    let installed = install(&bytes);
    // No machine lines up a million lines in this time, or is asked to.
    let hurry = Duration::from_micros(100);
    let found = test_library(&host(), &named(&installed, ""), ChildLimits::default(), hurry);
    let found = found.expect("it is a strategy");
    assert_eq!(found.checks.len(), 6);
    for check in &found.checks[4..] {
        let failed = check.failed.as_deref().expect("there was no time");
        assert!(failed.contains("it did not answer in time"), "{failed}");
    }
    assert!(!found.passed());
}

#[test]
fn the_conformance_kit_refuses_what_is_no_strategy() {
    let installed = install(b"#!/bin/sh\n");
    let refused = test_library(&host(), &named(&installed, ""), ChildLimits::default(), PATIENT);
    assert!(refused.expect_err("a script").contains("not an ELF file"));
}
