//! A plugin can make a diff ugly, never wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use end_to_end::{Stage, misbehaving_plugin};
use tempfile::TempDir;

/// Puts the plugin below the target folder, where only its user can change it;
/// unless the repository itself lies in a folder like `/tmp`.
fn install() -> (TempDir, PathBuf, String) {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo made the folder");
    let library = dir.path().join("misbehaving.so");
    fs::copy(misbehaving_plugin(), &library).expect("ours");
    fs::set_permissions(&library, fs::Permissions::from_mode(0o700)).expect("ours");
    let digest = blake3::hash(&fs::read(&library).expect("ours")).to_hex().to_string();
    (dir, library, digest)
}

fn configure(stage: &Stage, library: &Path, digest: &str) {
    let library = library.display();
    stage.configure(&format!(
        "strategies = [{{ path = \"{library}\", blake3 = \"{digest}\" }}]\n\
         [diff]\nstrategy = \"misbehaving\"\n"
    ));
}

/// Whether others could put a folder of theirs in the place of one on the way.
fn others_can_write_above(path: &Path) -> bool {
    let mode = |dir: &Path| fs::metadata(dir).map_or(0, |metadata| metadata.permissions().mode());
    path.ancestors().skip(1).any(|dir| mode(dir) & 0o022 != 0)
}

#[test]
fn a_plugin_that_panics_is_replaced_with_a_warning() {
    let stage = Stage::new();
    stage.write("a.txt", "one\ntwo\n");
    let plain = {
        stage.propose("a.txt", "one\nplugin: panic\n");
        stage.run(["diff"]).expect(0).stdout
    };
    stage.run(["discard", "--yes"]).expect(0);

    let (_dir, library, digest) = install();
    configure(&stage, &library, &digest);
    let ran = stage.run_with(["propose", "a.txt"], b"one\nplugin: panic\n");
    if others_can_write_above(&library) {
        // Where anybody could have put it, it is not even loaded.
        let refused = ran.expect(2).stderr;
        assert!(refused.contains("can be written by other users"), "{refused}");
        return;
    }
    let ran = ran.expect(0);
    assert!(ran.stderr.contains("misbehaving"), "it says which failed: {}", ran.stderr);
    assert_eq!(stage.patch("p2")["diff"]["strategy"], "histogram", "a bundled one took its turn");
    assert_eq!(stage.run(["diff"]).expect(0).stdout, plain, "the diff is right all the same");
    stage.run(["apply", "--yes"]).expect(0);
    assert_eq!(stage.read("a.txt"), b"one\nplugin: panic\n");
}

#[test]
fn a_library_that_is_not_what_the_user_allowed_is_not_loaded() {
    let stage = Stage::new();
    let (_dir, library, _) = install();
    configure(&stage, &library, &"0".repeat(64));
    let ran = stage.run(["status"]).expect(2);
    let why = if others_can_write_above(&library) { "can be written" } else { "changed" };
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
}
