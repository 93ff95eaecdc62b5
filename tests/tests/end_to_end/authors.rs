//! What docs/plugin-authors.md tells an author to do is all there is to do.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use end_to_end::{Fixture, Ran, greenroom_binary, output};
use tempfile::TempDir;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie below the repository")
}

/// A step of the document.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Run(String),
    Write(PathBuf, String),
}

/// The steps of a section: each block of code in it, every one of which is marked.
fn steps(document: &str, heading: &str) -> Vec<Step> {
    let (_, rest) = document.split_once(heading).expect("the section is there");
    let section = rest.split("\n## ").next().expect("a section has a text");
    let mut steps = Vec::new();
    let mut lines = section.lines();
    let mut before = "";
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let code = code.join("\n") + "\n";
            let mark = before.strip_prefix("<!-- step").and_then(|mark| mark.strip_suffix(" -->"));
            let mark = mark.unwrap_or_else(|| panic!("a block of code is a step:\n{code}"));
            steps.push(match mark.strip_prefix(": ") {
                Some(file) => Step::Write(PathBuf::from(file), code),
                None => Step::Run(code),
            });
        }
        before = line;
    }
    steps
}

/// A shell with a home of its own, where only its user can write, and nothing built elsewhere but
/// what cargo keeps in its own folders.
fn shell(script: &str, folder: &Path, home: &Path) -> Command {
    let binaries = greenroom_binary().parent().expect("it is in a folder").to_owned();
    let mut path = vec![binaries];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let real_home = env::home_dir().expect("whoever builds has a home");
    let tool_folder = |variable: &str, name: &str| {
        env::var_os(variable).map_or_else(|| real_home.join(name), PathBuf::from)
    };
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", env::join_paths(path).expect("they came from one"))
        .env("HOME", home)
        .env("GREENROOM", repository())
        .env("CARGO_HOME", tool_folder("CARGO_HOME", ".cargo"))
        .env("RUSTUP_HOME", tool_folder("RUSTUP_HOME", ".rustup"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        // What is downloaded already must do, and what was compiled for one crate serves another.
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_BUILD_BUILD_DIR", strangers().join("build"));
    if let Some(toolchain) = env::var_os("RUSTUP_TOOLCHAIN") {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    command
}

/// Where crates from outside of the workspace are compiled.
fn strangers() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("strangers")
}

/// A folder below the target folder, where only its user can write; none where the repository
/// lies in a folder like `/tmp`, as a plugin there is refused.
fn private_home() -> Option<TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo made the folder");
    let mode = |dir: &Path| fs::metadata(dir).map_or(0, |metadata| metadata.permissions().mode());
    let is_safe = home.path().ancestors().all(|dir| mode(dir) & 0o022 == 0);
    is_safe.then_some(home)
}

#[test]
fn the_documented_steps_lead_from_nothing_to_a_loaded_plugin() {
    let Some(home) = private_home() else { return };
    let folder = TempDir::new().expect("a temporary folder");
    let document = fs::read_to_string(repository().join("docs/plugin-authors.md"));
    let steps = steps(&document.expect("it is there"), "## From nothing to a loaded plugin\n");
    assert_eq!(steps.len(), 7, "as many as the document counts");
    let mut at = folder.path().to_owned();
    let mut printed = Vec::new();
    for step in &steps {
        match step {
            Step::Write(file, text) => fs::write(folder.path().join(file), text).expect("ours"),
            Step::Run(script) => {
                // A person's shell stays where it is from one step to the next.
                let script = format!("{script}pwd >&3\n");
                let there = folder.path().join("there");
                // As most systems have it where each user has a group of their own.
                let script = format!("umask 002\nexec 3> '{}'\n{script}", there.display());
                let ran = Ran::from(output(&mut shell(&script, &at, home.path()))).expect(0);
                at = PathBuf::from(fs::read_to_string(there).expect("it says").trim_end());
                printed.push(String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr);
            }
        }
    }
    let [_, tested, kit, _, allowed, shown] = &printed[..] else { panic!("{printed:?}") };
    assert!(tested.contains("test it_conforms ... ok"), "{tested}");
    assert_eq!(kit.lines().filter(|line| line.starts_with("passed  ")).count(), 6, "{kit}");
    assert!(allowed.contains("\n* common-prefix  "), "it is the one in use: {allowed}");
    assert!(!allowed.contains("not used"), "{allowed}");
    assert!(shown.contains("common-prefix"), "{shown}");
    assert!(!shown.contains("histogram"), "it was asked, and its answer held: {shown}");
}

#[test]
fn the_example_outside_of_the_workspace_builds_and_conforms() {
    let Some(home) = private_home() else { return };
    let folder = TempDir::new().expect("a temporary folder");
    fs::create_dir(folder.path().join("src")).expect("ours");
    let example = repository().join("examples/paragraphs");
    let read = |file: &str| fs::read_to_string(example.join(file)).expect("it is there");
    // As whoever copied it would have it, with the repository elsewhere.
    let crates = repository().join("crates").display().to_string();
    let manifest = read("Cargo.toml").replace("../../crates", &crates);
    fs::write(folder.path().join("Cargo.toml"), manifest).expect("ours");
    fs::write(folder.path().join("src/lib.rs"), read("src/lib.rs")).expect("ours");
    let script = "cargo test\ncargo build --release\nmkdir -p ~/lib\n\
                  cp target/release/libparagraphs.so ~/lib/\n\
                  greenroom plugin test --json ~/lib/libparagraphs.so\n";
    let ran = Ran::from(output(&mut shell(script, folder.path(), home.path()))).expect(0);
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(printed.contains("test result: ok. 3 passed"), "{printed}");
    assert!(printed.contains("\"name\":\"paragraphs\"") && printed.contains("\"passed\":true"));
}

#[test]
fn a_strategy_that_breaks_a_rule_fails_the_kit_and_says_where() {
    let Some(plugin) = crate::plugins::install(end_to_end::misbehaving_plugin()) else { return };
    let stage = Fixture::new();
    let library = plugin.library.to_str().expect("a plain path");
    // It keeps the rules unless a file tells it not to, and the kit's files do not.
    let passed = stage.run(["plugin", "test", library, "--json"]).expect(0).json();
    assert_eq!(passed["passed"], true);
    // With less memory than the large files take.
    stage.configure("[plugins]\nmemory_max_bytes = 120000000\n");
    let failed = stage.run(["plugin", "test", library, "--json"]).expect(1);
    let checks = failed.json()["checks"].as_array().expect("a list").clone();
    let large = checks[4]["failed"].as_str().expect("it ran out of memory");
    assert!(large.contains("memory") && large.contains("(over a million lines"), "{large}");
    assert!(failed.stderr.contains("misbehaving failed"), "{}", failed.stderr);
}
