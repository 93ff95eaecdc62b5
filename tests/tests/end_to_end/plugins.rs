//! A plugin can make a diff ugly, never wrong; and what it does to itself costs its turn alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use actix::System;
use end_to_end::{Fixture, Ran, greenroom_binary, misbehaving_plugin, spawn};
use orchestrator_adapter::{
    Confinement, Hosting, PluginHost, SafeWrite, ShowDiff, Staging, StagingOptions, TrustedLibrary,
    workspace_key,
};
use rstest::rstest;
use tempfile::TempDir;

/// A plugin that does what a line `plugin: …` of the new file tells it to.
pub(crate) struct Installed {
    pub(crate) dir: TempDir,
    pub(crate) library: PathBuf,
    pub(crate) digest: String,
}

/// Puts a library below the target folder, where only its user can change it. None where the
/// repository lies in a folder like `/tmp`: there it is refused, as a test of its own shows.
pub(crate) fn install(built: &Path) -> Option<Installed> {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo made the folder");
    let library = dir.path().join("plugin.so");
    fs::copy(built, &library).expect("ours");
    fs::set_permissions(&library, fs::Permissions::from_mode(0o700)).expect("ours");
    let digest = blake3::hash(&fs::read(&library).expect("ours")).to_hex().to_string();
    let mode = |dir: &Path| fs::metadata(dir).map_or(0, |metadata| metadata.permissions().mode());
    let is_safe = library.ancestors().skip(1).all(|dir| mode(dir) & 0o022 == 0);
    is_safe.then_some(Installed { dir, library, digest })
}

impl Installed {
    fn configure(&self, stage: &Fixture, more: &str) {
        let (library, digest) = (self.library.display(), &self.digest);
        stage.configure(&format!(
            "strategies = [{{ name = \"misbehaving\", path = \"{library}\", blake3 = \"{digest}\"\
             {more} }}]\n[diff]\nstrategy = \"misbehaving\"\n[plugins]\ndeadline_ms = 5000\n\
             memory_max_bytes = 268435456\n"
        ));
    }
}

const OLD: &str = "old\nfirst\nlast\n";

fn ordered(order: &str) -> String {
    format!("first\nplugin: {order}\nlast\n")
}

/// What the bundled strategy makes of it.
fn bundled_diff(order: &str) -> Vec<u8> {
    let stage = Fixture::new();
    stage.write("a.txt", OLD);
    stage.propose("a.txt", ordered(order));
    stage.run(["diff"]).expect(0).stdout
}

fn remarks(ran: &Ran) -> Vec<String> {
    let lines = ran.stderr.lines().filter(|line| line.contains("misbehaving"));
    lines.map(str::to_owned).collect()
}

#[rstest]
#[case::panic("panic", "panicked: no idea")]
#[case::abort("abort", "its process was ended by signal 6 (SIGABRT)")]
#[case::stack("overflow", "has overflowed its stack")]
#[case::memory("allocate", "memory allocation of")]
#[case::hang("loop", "it did not answer in time, for one file in 5000 ms")]
#[case::output("print", "it wrote to standard output")]
#[case::lie("lie", "operation 0 goes past the end of the file")]
fn a_plugin_that_misbehaves_is_replaced_with_one_warning(
    #[case] order: &str,
    #[case] reason: &str,
) {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    plugin.configure(&stage, "");
    stage.write("a.txt", OLD);
    stage.write("b.txt", OLD);

    let ran = stage.run_with(["propose", "a.txt"], ordered(order).as_bytes()).expect(0);
    let warned = remarks(&ran);
    assert_eq!(warned.len(), 1, "one warning: {}", ran.stderr);
    assert!(
        warned[0].contains("compared by histogram") && warned[0].contains(reason),
        "{warned:?}"
    );
    assert_eq!(ran.stdout.iter().filter(|byte| **byte == b'\n').count(), 1, "and nothing else");
    assert_eq!(stage.patch("p1")["diff"]["strategy"], "histogram", "a bundled one took its turn");
    assert_eq!(stage.run(["diff"]).expect(0).stdout, bundled_diff(order), "the diff is right");

    // The next process does not ask it: it would misbehave again, and be warned of.
    let ran = stage.run_with(["propose", "b.txt"], ordered(order).as_bytes()).expect(0);
    assert_eq!(remarks(&ran), [""; 0], "a plugin that misbehaved is left alone");
    assert_eq!(stage.patch("p2")["diff"]["strategy"], "histogram");

    stage.run(["apply", "--yes"]).expect(0);
    assert_eq!(stage.read("a.txt"), ordered(order).as_bytes());
}

/// Words of a library, which no reviewer has read, in every place that repeats them.
#[test]
fn what_a_plugin_says_hides_nothing() {
    const HIDDEN: [char; 6] = ['\x1b', '\u{7}', '\u{202e}', '\u{200b}', '\u{e0041}', '\u{2028}'];
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    plugin.configure(&stage, "");
    stage.write("a.txt", OLD);
    let said: String = HIDDEN.iter().flat_map(|hidden| ['x', *hidden]).collect();
    let order = ordered(&format!("say it was {said} me"));
    let proposed = stage.run_with(["propose", "a.txt"], order.as_bytes()).expect(0);
    assert!(proposed.stderr.contains("it was x"), "it is repeated: {}", proposed.stderr);
    let commands: [&[&str]; 6] = [
        &["status"],
        &["show", "p1"],
        &["status", "--json"],
        &["plugin", "list"],
        &["plugin", "list", "--json"],
        &["log", "--json"],
    ];
    let mut shown = vec![proposed.stderr];
    for command in commands {
        let ran = stage.run(command).expect(0);
        shown.push(String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr);
    }
    assert!(shown[4].contains("it was x"), "it is repeated: {}", shown[4]);
    for text in shown {
        // A diff that no terminal shows is the bytes of the file, which holds the order.
        let words = text.split("\ndiff --git ").next().unwrap_or_default();
        let hidden = words.chars().find(|character| HIDDEN.contains(character));
        assert_eq!(hidden, None, "{text:?}");
    }
}

#[test]
fn a_plugin_that_fails_while_a_diff_is_shown_is_warned_of_there() {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    stage.write("a.txt", OLD);
    stage.propose("a.txt", ordered("abort"));
    plugin.configure(&stage, "");
    let shown = stage.run(["diff"]).expect(0);
    assert_eq!(shown.stdout, bundled_diff("abort"), "the diff is right");
    let warned = remarks(&shown);
    assert!(warned.len() == 1 && warned[0].contains("SIGABRT"), "{}", shown.stderr);
    let again = stage.run(["diff"]).expect(0);
    assert_eq!((remarks(&again).len(), again.stdout), (0, shown.stdout), "and once");
}

#[test]
fn a_plugin_that_behaves_compares() {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    plugin.configure(&stage, "");
    stage.write("a.txt", OLD);
    let ran = stage.run_with(["propose", "a.txt"], ordered("nothing").as_bytes()).expect(0);
    assert_eq!(remarks(&ran), [""; 0]);
    assert_eq!(stage.patch("p1")["diff"]["strategy"], "misbehaving");
    let diff = stage.run(["diff"]).expect(0).stdout;
    assert_ne!(diff, bundled_diff("nothing"), "it has its own idea of the file");
    let mut git = std::process::Command::new("git");
    git.args(["apply", "--check", "-"]).current_dir(stage.workspace()).stdin(Stdio::piped());
    let mut child = spawn(&mut git);
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), &diff).expect("it reads");
    assert!(child.wait().expect("ours").success(), "ugly, and right");
}

#[test]
fn in_this_process_only_when_that_is_reported() {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    stage.write("a.txt", OLD);
    // The command that it takes along cannot remember what it did.
    for (more, own) in [(", in_process = true", true), ("", false)] {
        plugin.configure(&stage, more);
        let mut command = stage.command(["propose", "a.txt"]);
        let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::null()));
        std::io::Write::write_all(
            &mut child.stdin.take().expect("piped"),
            ordered("abort").as_bytes(),
        )
        .expect("it reads");
        let ended = child.wait().expect("ours");
        assert_eq!(
            ended.success(),
            !own,
            "the command crashes with it where the configuration allows that: {ended}"
        );
    }
}

/// The process that the command has started to serve a plugin, once it has used so much time that
/// the plugin must be at work.
fn busy_child_of(command: u32) -> u32 {
    const TICKS: u64 = 20;
    loop {
        let listing = fs::read_dir("/proc").expect("Linux has it").flatten();
        let processes = listing.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let found = processes.into_iter().find(|process: &u32| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            // What follows the name, which may hold anything: state, parent, …, user time.
            let fields = stat.rsplit(") ").next().unwrap_or_default();
            let fields: Vec<&str> = fields.split(' ').collect();
            let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
            number(1) == Some(u64::from(command)) && number(11) > Some(TICKS)
        });
        match found {
            Some(process) => return process,
            None => std::thread::yield_now(),
        }
    }
}

#[test]
fn a_plugin_has_no_file_of_the_command_and_does_not_outlive_it() {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    plugin.configure(&stage, "");
    // Long enough for the test to come first.
    let patient = fs::read_to_string(stage.beside("config").join("greenroom/config.toml"));
    stage.configure(&patient.expect("just written").replace("5000", "600000"));
    stage.write("a.txt", OLD);
    let mut command = stage.command(["propose", "a.txt"]);
    let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::null()));
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), ordered("loop").as_bytes())
        .expect("it reads");
    let process = busy_child_of(child.id());
    for entry in fs::read_dir(format!("/proc/{process}/fd")).expect("it is ours and runs") {
        let open = fs::read_link(entry.expect("it runs").path()).expect("it runs");
        let open = open.to_string_lossy().into_owned();
        let is_own = ["/dev/null", "/memfd:", "pipe:", "socket:"];
        assert!(is_own.iter().any(|own| open.starts_with(own)), "a lock or the store: {open}");
    }
    child.kill().expect("ours");
    child.wait().expect("ours");
    let runs = || {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z")
    };
    while runs() {
        std::thread::yield_now();
    }
}

#[test]
fn a_library_that_is_not_what_was_allowed_is_not_loaded() {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    let changed = Installed { digest: "0".repeat(64), ..plugin };
    changed.configure(&stage, "");
    stage.write("a.txt", OLD);
    let ran = stage.run_with(["propose", "a.txt"], ordered("panic").as_bytes()).expect(0);
    let warned = remarks(&ran);
    assert!(warned.len() == 1 && warned[0].contains("has changed since it was"), "{warned:?}");
    let listed = stage.run(["plugin", "list"]).expect(0).stdout;
    assert!(String::from_utf8_lossy(&listed).contains("not used: has changed since"));
}

#[test]
fn a_library_where_others_could_put_theirs_is_not_loaded() {
    let stage = Fixture::new();
    let open = stage.beside("open");
    fs::create_dir(&open).expect("it is new");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("ours");
    let library = open.join("plugin.so");
    fs::copy(misbehaving_plugin(), &library).expect("ours");
    for command in ["allow", "test"] {
        let ran = stage.run(["plugin".as_ref(), command.as_ref(), library.as_os_str()]).expect(4);
        assert!(ran.stderr.contains("can be written by other users"), "{}", ran.stderr);
    }
    assert!(!stage.beside("config").join("greenroom/config.toml").exists());
}

/// As a build under umask 002 leaves it.
#[test]
fn a_library_that_its_group_can_write_is_tried_and_not_allowed() {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    for path in [plugin.library.as_path(), plugin.dir.path()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o775)).expect("ours");
    }
    let library = plugin.library.to_str().expect("a plain path");
    let tested = stage.run(["plugin", "test", library, "--json"]).expect(0).json();
    assert_eq!(tested["passed"], true);
    let refused = stage.run(["plugin", "allow", library]).expect(4);
    assert!(refused.stderr.contains("`chmod go-w`"), "{}", refused.stderr);
    assert!(!stage.beside("config").join("greenroom/config.toml").exists());
}

#[test]
fn what_the_system_refuses_a_plugin_is_reported_where_plugins_are_looked_at() {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    let confinement = Confinement::of_this_system();
    let listed = stage.run(["plugin", "list", "--json"]).expect(0).json();
    let expected = serde_json::json!({
        "files": confinement.files,
        "system_calls": confinement.system_calls,
    });
    assert_eq!(listed["confinement"], expected);
    plugin.configure(&stage, "");
    let said = format!("this system refuses a plugin's own process {confinement}\n");
    for command in [&["plugin", "list"][..], &["doctor"]] {
        let ran = stage.run(command).expect(0);
        let shown = String::from_utf8_lossy(&ran.stdout);
        assert!(shown.contains(&said), "{shown}");
    }
    plugin.configure(&stage, ", in_process = true");
    let ran = stage.run(["doctor"]).expect(0);
    let shown = String::from_utf8_lossy(&ran.stdout);
    assert!(shown.contains("note plugins: `misbehaving` runs in this process"), "{shown}");
}

#[test]
fn nothing_inside_the_workspace_is_allowed_or_loaded() {
    let stage = Fixture::new();
    fs::copy(misbehaving_plugin(), stage.path("plugin.so")).expect("ours");
    let ran = stage.run(["plugin", "allow", "plugin.so"]).expect(4);
    assert!(ran.stderr.contains("is inside the workspace"), "{}", ran.stderr);
    let library = stage.path("plugin.so").display().to_string();
    let digest = "0".repeat(64);
    stage.configure(&format!(
        "strategies = [{{ name = \"x\", path = \"{library}\", blake3 = \"{digest}\" }}]\n"
    ));
    assert!(stage.run(["status"]).expect(4).stderr.contains("is inside the workspace"));
}

#[test]
fn a_plugin_is_allowed_listed_and_used() {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    stage.configure("# my own words\ndurable_proposals = true\n");
    let library = plugin.library.to_str().expect("a plain path");
    let allowed = stage.run(["plugin", "allow", library, "--json"]).expect(0).json();
    assert_eq!(allowed["name"], "misbehaving");
    assert_eq!((&allowed["version"], &allowed["chosen"]), (&"1.2.3".into(), &false.into()));
    assert_eq!(allowed["blake3"], plugin.digest.as_str());
    stage.run(["plugin", "allow", library, "--use"]).expect(0);
    let configured = fs::read_to_string(stage.beside("config").join("greenroom/config.toml"));
    let configured = configured.expect("it was written");
    assert!(configured.starts_with("# my own words\ndurable_proposals = true\n"), "{configured}");

    let listed = stage.run(["plugin", "list", "--json"]).expect(0).json();
    let listed = listed["strategies"].as_array().expect("a list").clone();
    let names: Vec<_> = listed.iter().map(|strategy| strategy["name"].clone()).collect();
    assert_eq!(names, ["histogram", "myers", "patience", "full-replace", "misbehaving"]);
    assert_eq!(listed[4]["chosen"], true);
    assert_eq!(listed[4]["problem"], serde_json::Value::Null);

    stage.write("a.txt", OLD);
    stage.run_with(["propose", "a.txt"], ordered("abort").as_bytes()).expect(0);
    let listed = stage.run(["plugin", "list"]).expect(0).stdout;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    assert!(listed.contains("not used: in this workspace for now: its process was"), "{listed}");
    // Allowing it again is a second chance.
    stage.run(["plugin", "allow", library]).expect(0);
    stage.run_with(["propose", "a.txt"], ordered("nothing").as_bytes()).expect(0);
    assert_eq!(stage.patch("p1")["diff"]["strategy"], "misbehaving");
}

#[test]
fn what_is_no_strategy_is_refused_in_one_sentence() {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    let whole = fs::read(&plugin.library).expect("ours");
    let cases: [(&[u8], &str); 3] = [
        (b"#!/bin/sh\necho hello\n", "is not a complete library for this system: it is not an ELF"),
        (&whole[..whole.len() / 2], "is not a complete library for this system: it is truncated"),
        (&fs::read("/proc/self/exe").expect("it runs"), "is not a strategy for interface 1.0.0"),
    ];
    for (bytes, reason) in cases {
        let file = plugin.dir.path().join("other.so");
        fs::write(&file, bytes).expect("ours");
        for command in ["allow", "test"] {
            let ran = stage.run(["plugin".as_ref(), command.as_ref(), file.as_os_str()]).expect(4);
            assert!(ran.stderr.contains(reason), "{}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "one sentence: {}", ran.stderr);
        }
    }
    let gone = stage.run(["plugin", "allow", "/no/such/library.so"]).expect(1);
    assert!(gone.stderr.contains("/no/such/library.so"), "{}", gone.stderr);
}

#[test]
fn serving_a_plugin_is_nothing_for_people() {
    let stage = Fixture::new();
    let ran = stage.run(["__serve-plugin"]).expect(2);
    assert!(ran.stderr.contains("this command is for greenroom itself"), "{}", ran.stderr);
}

/// The Rust door with the plugin in a child of the `greenroom` command.
fn embedded(stage: &Fixture, plugin: &Installed) -> StagingOptions {
    let state = stage.beside("state").join(workspace_key(&stage.workspace()));
    let mut options = StagingOptions::new(stage.workspace(), state);
    options.plugin_host = Some(PluginHost::new(greenroom_binary()));
    options.plugin_limits.memory_bytes_max = 256 << 20;
    options.diff.deadline = std::time::Duration::from_secs(5);
    options.diff.strategy = "misbehaving".to_owned();
    options.strategies.push(TrustedLibrary {
        name: "misbehaving".to_owned(),
        path: plugin.library.clone(),
        blake3: plugin.digest.parse().expect("64 hex digits"),
        hosting: Hosting::Child,
    });
    options
}

#[rstest]
#[case::panic("panic", "panicked: no idea")]
#[case::abort("abort", "its process was ended by signal 6 (SIGABRT)")]
#[case::stack("overflow", "has overflowed its stack")]
#[case::memory("allocate", "memory allocation of")]
#[case::hang("loop", "it did not answer in time, for one file in 5000 ms")]
#[case::output("print", "it wrote to standard output")]
#[case::lie("lie", "operation 0 goes past the end of the file")]
fn an_orchestrator_survives_a_plugin_that_misbehaves(#[case] order: &str, #[case] reason: &str) {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    for name in ["a.txt", "b.txt", "c.txt"] {
        stage.write(name, OLD);
    }
    System::new().block_on(async {
        let staging = Staging::open(embedded(&stage, &plugin)).await.expect("it opens");
        let session = staging.open_session("agent").await.expect("a session opens").actor;
        let write = |name: &str, order: &str| SafeWrite {
            path: orchestrator_adapter::RelPath::parse(name.as_bytes()).expect("a plain path"),
            content: ordered(order).into_bytes(),
            mode: None,
        };
        let mut warned = Vec::new();
        let mut strategies = Vec::new();
        for (name, order) in [("a.txt", "nothing"), ("b.txt", order), ("c.txt", order)] {
            let sent = session.send(write(name, order)).await.expect("it runs");
            let proposed = sent.expect("the change is staged");
            let patch = proposed.patch.expect("it is new content");
            warned.extend(patch.diff.remarks);
            strategies.push(patch.diff.strategy);
        }
        assert_eq!(strategies, ["misbehaving", "histogram", "histogram"]);
        assert!(warned.len() == 1 && warned[0].contains(reason), "one warning: {warned:?}");
        let shown = session.send(ShowDiff::default()).await.expect("it runs").expect("it shows");
        let both = [b"a.txt", b"b.txt", b"c.txt"]
            .iter()
            .all(|name| shown.text.windows(5).any(|text| text == *name));
        assert!(both, "every file is shown");
        staging.shutdown().await.expect("the actors stop");
    });
}

#[test]
fn without_a_host_a_plugin_for_a_child_is_a_mistake_of_the_embedder() {
    let Some(plugin) = install(misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    System::new().block_on(async {
        let mut options = embedded(&stage, &plugin);
        options.plugin_host = None;
        let refused = Staging::open(options).await.map(|_| ()).expect_err("there is no host");
        assert!(refused.to_string().contains("has no plugin host to run in"), "{refused}");
    });
}
