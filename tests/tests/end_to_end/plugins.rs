//! A plugin can make a diff ugly, never wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use end_to_end::{Stage, panicking_plugin};
use tempfile::TempDir;

/// Puts the plugin where only its user can change it, as it has to be; `/tmp` is
/// no such place.
fn install() -> (TempDir, PathBuf, String) {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo made the folder");
    let library = dir.path().join("panicking.so");
    fs::copy(panicking_plugin(), &library).expect("ours");
    fs::set_permissions(&library, fs::Permissions::from_mode(0o700)).expect("ours");
    let digest = blake3::hash(&fs::read(&library).expect("ours")).to_hex().to_string();
    (dir, library, digest)
}

fn configure(stage: &Stage, library: &Path, digest: &str) {
    let library = library.display();
    stage.configure(&format!(
        "strategies = [{{ path = \"{library}\", blake3 = \"{digest}\" }}]\n\
         [diff]\nstrategy = \"panicking\"\n"
    ));
}

#[test]
fn a_plugin_that_panics_is_replaced_with_a_warning() {
    let stage = Stage::new();
    stage.write("a.txt", "one\ntwo\n");
    let plain = {
        stage.propose("a.txt", "one\n2\n");
        stage.run(["diff"]).expect(0).stdout
    };
    stage.run(["discard", "--yes"]).expect(0);

    let (_dir, library, digest) = install();
    configure(&stage, &library, &digest);
    let ran = stage.run_with(["propose", "a.txt"], b"one\n2\n").expect(0);
    assert!(ran.stderr.contains("panicking"), "it says which failed: {}", ran.stderr);
    assert_eq!(stage.patch("p2")["diff"]["strategy"], "histogram", "a bundled one took its turn");
    assert_eq!(stage.run(["diff"]).expect(0).stdout, plain, "the diff is right all the same");
    stage.run(["apply", "--yes"]).expect(0);
    assert_eq!(stage.read("a.txt"), b"one\n2\n");
}

#[test]
fn a_library_that_is_not_what_the_user_allowed_is_not_loaded() {
    let stage = Stage::new();
    let (_dir, library, _) = install();
    configure(&stage, &library, &"0".repeat(64));
    let ran = stage.run(["status"]).expect(2);
    assert!(ran.stderr.contains("changed"), "{}", ran.stderr);
}
