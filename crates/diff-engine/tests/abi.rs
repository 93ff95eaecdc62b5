//! What was built against one minor version of the interface works with every other of its major
//! version, and nothing else is loaded.
//!
//! The interface of 1.0.0 is kept, frozen, in `fixtures/abi`. Plugins and hosts are built against
//! it, against today's, and against changed copies, as strangers to this workspace would build
//! them: each in a workspace of its own.
#![allow(clippy::disallowed_methods, reason = "the test writes the crates that it builds")]
#![cfg(target_os = "linux")]

mod libraries;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use diff_engine::{DiffEngine, Policy, Registry, Side, load_library};
use libraries::install;
use rstest::rstest;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// A copy of the interface, and what is changed in it.
struct Interface {
    name: &'static str,
    frozen: bool,
    changes: &'static [(&'static str, &'static str, &'static str)],
}

const OLD: Interface = Interface { name: "old", frozen: true, changes: &[] };
const TODAY: Interface = Interface { name: "today", frozen: false, changes: &[] };
const NEWER: Interface = Interface {
    name: "newer",
    frozen: false,
    changes: &[
        ("abi.rs", "INTERFACE_VERSION: &str = \"1.0", "INTERFACE_VERSION: &str = \"1.7"),
        ("Cargo.toml", "version = \"1.0.0\"", "version = \"1.7.0\""),
    ],
};
const OTHER_MAJOR: Interface = Interface {
    name: "other_major",
    frozen: false,
    changes: &[("abi.rs", "INTERFACE_VERSION: &str = \"1.", "INTERFACE_VERSION: &str = \"2.")],
};
const OTHER_TYPE: Interface = Interface {
    name: "other_type",
    frozen: true,
    changes: &[
        ("abi.rs", "pub degraded: bool", "pub degraded: u8"),
        ("abi.rs", "degraded: ctl.degraded()", "degraded: ctl.degraded().into()"),
    ],
};
const OTHER_ORDER: Interface = Interface {
    name: "other_order",
    frozen: true,
    changes: &[
        ("op.rs", "pub old: u32,", "pub aside: u32,"),
        ("op.rs", "pub new: u32,", "pub old: u32,"),
        ("op.rs", "pub aside: u32,", "pub new: u32,"),
    ],
};
const OTHER_FUNCTION: Interface = Interface {
    name: "other_function",
    frozen: true,
    changes: &[
        (
            "abi.rs",
            "RawCtl<'_>) -> RResult<RawScript, RString>,",
            "RawCtl<'_>, u8) -> RResult<RawScript, RString>,",
        ),
        ("abi.rs", "    ctl: RawCtl<'_>,\n)", "    ctl: RawCtl<'_>,\n    _: u8,\n)"),
    ],
};

impl Interface {
    /// Writes the copy of the interface into the folder.
    fn copy_to(&self, folder: &Path) {
        let frozen = Path::new(CRATE).join("tests/fixtures/abi/strategy-api-1.0.0");
        let today = Path::new(CRATE).join("../plugins/api");
        let from = if self.frozen { &frozen } else { &today };
        let mut files = sources(&from.join("src"), Path::new("src"));
        let manifest = if self.frozen {
            fs::read_to_string(frozen.join("manifest.toml")).expect("it is there")
        } else {
            manifest_alone(&today)
        };
        files.push((PathBuf::from("Cargo.toml"), manifest));
        for (file, text) in files {
            let name = file.file_name().expect("a file has a name").to_owned();
            let changes = self.changes.iter().filter(|(changed, ..)| *changed == name);
            let text = changes.fold(text, |text, (_, from, to)| {
                assert!(text.contains(from), "{name:?} of the interface has {from:?}");
                text.replace(from, to)
            });
            write(&folder.join(file), &text);
        }
    }

    /// Builds the plugin against this interface; its bytes.
    fn plugin(&self) -> Vec<u8> {
        let text = "[lib]\ncrate-type = [\"cdylib\"]\n";
        fs::read(self.build("plugin", "lib.rs", text, &format!("libplugin_{}.so", self.name)))
            .expect("cargo built it")
    }

    /// Builds the host against this interface.
    fn host(&self) -> PathBuf {
        self.build("host", "main.rs", "", &format!("host_{}", self.name))
    }

    fn build(&self, role: &str, source: &str, more: &str, output: &str) -> PathBuf {
        // Several tests build the same crate; cargo must not read what is half written.
        static BUILDS: Mutex<()> = Mutex::new(());
        let _turn = BUILDS.lock().unwrap_or_else(PoisonError::into_inner);
        let strangers = Path::new(env!("CARGO_TARGET_TMPDIR")).join("strangers");
        let folder = strangers.join(format!("abi-{role}-{}", self.name));
        // Cargo tells crates in one target folder apart by where they are in their workspace.
        let interface = format!("strategy-api-for-{role}-{}", self.name);
        self.copy_to(&folder.join(&interface));
        let fixture = Path::new(CRATE).join("tests/fixtures/abi").join(role).join(source);
        let text = fs::read_to_string(fixture).expect("it is there");
        write(&folder.join("src").join(source), &text);
        let name = self.name;
        let manifest = format!(
            "[package]\nname = \"{role}_{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
             [dependencies]\ngreenroom-strategy-api = {{ path = \"{interface}\" }}\n\
             abi_stable = {{ version = \"0.11.3\", default-features = false }}\n{more}[workspace]\n"
        );
        write(&folder.join("Cargo.toml"), &manifest);
        // The versions that this workspace was built with are those that are here.
        let lock = fs::read_to_string(Path::new(CRATE).join("../../Cargo.lock"));
        if !folder.join("Cargo.lock").exists() {
            write(&folder.join("Cargo.lock"), &lock.expect("a workspace has a lock"));
        }
        let target = strangers.join("target");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--offline", "--target-dir"])
            .arg(&target)
            .current_dir(&folder)
            .output()
            .expect("cargo runs");
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{role} for {name} must build:\n{errors}");
        target.join("debug").join(output)
    }
}

/// A member's manifest with what it has of its workspace written out.
fn manifest_alone(member: &Path) -> String {
    let read = |path: PathBuf| fs::read_to_string(path).expect("a crate has a manifest");
    let (manifest, workspace) =
        (read(member.join("Cargo.toml")), read(Path::new(CRATE).join("../../Cargo.toml")));
    let mut alone = String::new();
    for line in manifest.replace("[lints]\nworkspace = true\n", "").lines() {
        let inherited = line.strip_suffix(".workspace = true").map(|key| {
            let mut lines = workspace.lines();
            let written = lines.find(|line| line.starts_with(&format!("{key} = ")));
            written.unwrap_or_else(|| panic!("the workspace has {key}"))
        });
        alone.push_str(inherited.unwrap_or(line));
        alone.push('\n');
    }
    alone
}

/// The Rust sources of a folder.
fn sources(folder: &Path, name: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        let name = name.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            found.extend(sources(&path, &name));
        } else {
            found.push((name, fs::read_to_string(&path).expect("it is text")));
        }
    }
    found
}

/// Writes a file unless it says that already, so that cargo builds what changed and nothing else.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("it is ours");
    fs::write(path, text).expect("it is ours");
}

#[rstest]
#[case::old_plugin(&OLD)]
#[case::todays_plugin(&TODAY)]
#[case::newer_plugin(&NEWER)]
fn this_host_loads_every_plugin_of_its_major_version(#[case] interface: &Interface) {
    let installed = install(&interface.plugin());
    let loaded = load_library(&installed.path, &installed.trust).expect("it is a strategy");
    assert_eq!((loaded.name().as_str(), loaded.version().as_str()), ("replacing", "3.2.1"));
    let mut registry = Registry::bundled();
    registry.add_in_process(installed.library("replacing")).expect("the name is free");
    let policy = Policy { strategy: "replacing".to_owned(), ..Policy::default() };
    let diff = DiffEngine::new(policy, registry).diff(Side::Text(b"a\nb\n"), Side::Text(b"a\nc\n"));
    assert_eq!((diff.strategy.as_str(), diff.added, diff.degraded), ("replacing", 2, true));
}

#[rstest]
#[case::todays_plugin_on_an_old_host(&TODAY, &OLD)]
#[case::newer_plugin_on_an_old_host(&NEWER, &OLD)]
#[case::old_plugin_on_a_newer_host(&OLD, &NEWER)]
fn hosts_and_plugins_of_a_major_version_go_together(
    #[case] plugin: &Interface,
    #[case] host: &Interface,
) {
    let installed = install(&plugin.plugin());
    let mut command = Command::new(host.host());
    command.arg(&installed.path).arg(format!("greenroom_strategy_v1_plugin_{}", plugin.name));
    let ran = command.output().expect("it runs");
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{errors}");
    let expected = "replacing 3.2.1 [[1, 0, 0, 2], [2, 2, 0, 3]] true\n";
    assert_eq!(String::from_utf8_lossy(&ran.stdout), expected);
}

#[rstest]
#[case::another_major(&OTHER_MAJOR, "it was built for interface 2.0.0")]
#[case::another_type(&OTHER_TYPE, "its types are laid out differently")]
#[case::another_order(&OTHER_ORDER, "its types are laid out differently")]
#[case::another_function(&OTHER_FUNCTION, "its types are laid out differently")]
fn anything_else_is_refused_in_one_sentence(#[case] interface: &Interface, #[case] reason: &str) {
    let installed = install(&interface.plugin());
    let refused = load_library(&installed.path, &installed.trust).expect_err("it is another one");
    let said = refused.to_string();
    assert!(said.contains(reason), "{said}");
    assert!(said.len() < 400 && !said.contains('\n'), "one sentence: {said}");
}
