//! Which libraries are loaded, and what comes of those that are not.
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]
#![cfg(target_os = "linux")]

mod libraries;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use diff_engine::{
    DiffEngine, LoadError, LoadedStrategy, Policy, Registry, Remark, Side, Writers, load_library,
};
use libraries::{Installed, install, library, misbehaving, myers};
use rstest::rstest;

trait Load {
    fn load(&self) -> Result<LoadedStrategy, LoadError>;

    /// One short sentence on why it is not loaded.
    fn refusal(&self) -> String;
}

impl Load for Installed {
    fn load(&self) -> Result<LoadedStrategy, LoadError> {
        load_library(&self.path, &self.trust)
    }

    fn refusal(&self) -> String {
        let error = self.load().expect_err("it must be refused");
        let said = error.to_string();
        assert!(said.len() < 500 && !said.contains('\n'), "too long: {said}");
        said.replace(&self.path.display().to_string(), "PLUGIN")
    }
}

#[test]
fn loaded_and_linked_strategies_give_the_same_diff() {
    for name in ["myers", "patience", "histogram", "full-replace"] {
        let package = format!("greenroom-strategy-{name}");
        let file = format!("libstrategy_{}.so", name.replace('-', "_"));
        let installed = install(&library(&file, &["-p", &package]));
        let loaded = installed.load().expect("our own library is a strategy");
        assert_eq!(loaded.name(), name, "each library gives its own strategy");
        assert_eq!(loaded.version(), env!("CARGO_PKG_VERSION"));
        let mut registry = Registry::empty();
        registry.add_in_process(installed.library(name)).expect("the name is free");
        let policy = Policy { strategy: name.to_owned(), ..Policy::default() };
        let with_library = DiffEngine::new(policy.clone(), registry);
        let linked = DiffEngine::bundled(policy);
        let old: Vec<u8> = (0..200).flat_map(|n| format!("{}\n", n % 37).into_bytes()).collect();
        let new: Vec<u8> =
            (0..200).flat_map(|n| format!("{}\n", n * 3 % 41).into_bytes()).collect();
        let (old, new) = (Side::Text(&old), Side::Text(&new));
        assert_eq!(with_library.diff(old, new), linked.diff(old, new));
    }
}

#[test]
fn a_library_that_panics_is_replaced() {
    let installed = install(&misbehaving());
    let mut registry = Registry::bundled();
    registry.add_in_process(installed.library("misbehaving")).expect("the name is free");
    let policy = Policy { strategy: "misbehaving".to_owned(), ..Policy::default() };
    let engine = DiffEngine::new(policy, registry);
    let diff = engine.diff(Side::Text(b"a\n"), Side::Text(b"plugin: panic\n"));
    let replaced = Remark::StrategyReplaced {
        chosen: "misbehaving".to_owned(),
        used: "histogram".to_owned(),
        why: "panicked: no idea  [31mwhat to do".to_owned(),
    };
    assert_eq!(diff.remarks, [replaced]);
}

#[test]
fn a_loaded_strategy_cannot_take_a_bundled_name() {
    let library = install(&myers()).library("myers");
    assert!(Registry::bundled().add_in_process(library).is_err());
}

#[test]
fn a_library_that_changed_is_refused() {
    let mut installed = install(&myers());
    installed.trust.expected_digest = blake3::hash(b"another");
    assert!(installed.refusal().contains("has changed since it was allowed"));
}

#[rstest]
#[case::group(0o620)]
#[case::world(0o602)]
fn a_library_that_others_can_write_is_refused(#[case] mode: u32) {
    let installed = install(&myers());
    fs::set_permissions(&installed.path, Permissions::from_mode(mode)).expect("it can be set");
    assert!(installed.refusal().contains("can be written by other users"));
}

#[test]
fn a_library_in_a_folder_that_others_can_write_is_refused() {
    let installed = install(&myers());
    let folder = installed.path.parent().expect("it is in a folder");
    fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("it can be set");
    let error = installed.load().expect_err("it must be refused");
    assert!(matches!(error, LoadError::Unsafe { culprit, .. } if culprit == folder));
}

#[test]
fn a_sticky_folder_is_no_safe_place_by_default() {
    let mut installed = install(&myers());
    let folder = installed.path.parent().expect("it is in a folder");
    fs::set_permissions(folder, Permissions::from_mode(0o1777)).expect("it can be set");
    assert!(installed.load().is_ok(), "the tests' own exception");
    installed.trust.writers = Writers::Nobody;
    assert!(installed.refusal().contains("can be written by other users"));
}

/// What a build under umask 002 leaves is tried where it lies; what everybody could have put there is
/// not. The folder is a temporary one, so it lies beneath a sticky one.
#[rstest]
#[case::the_file_by_its_group(0o664, 0o700, true)]
#[case::the_folder_by_its_group(0o644, 0o775, true)]
#[case::the_file_by_everybody(0o646, 0o700, false)]
#[case::the_folder_by_everybody(0o644, 0o777, false)]
#[case::a_sticky_folder_by_everybody(0o644, 0o1777, true)]
fn a_library_that_is_named_by_hand_may_be_written_by_its_group(
    #[case] file: u32,
    #[case] folder: u32,
    #[case] is_loaded: bool,
) {
    let mut installed = install(&myers());
    installed.trust.writers = Writers::Group;
    let above = installed.path.parent().expect("it is in a folder");
    for (path, mode) in [(installed.path.as_path(), file), (above, folder)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it can be set");
    }
    match installed.load() {
        Ok(_) => assert!(is_loaded),
        Err(error) => {
            assert!(!is_loaded && error.to_string().contains("can be written by other users"));
        }
    }
}

#[test]
fn links_folders_and_relative_paths_are_refused() {
    let installed = install(&myers());
    let folder = installed.path.parent().expect("it is in a folder");
    let link = folder.join("link.so");
    symlink(&installed.path, &link).expect("a symlink can be made");
    for (path, what) in [
        (link.as_path(), "a symlink"),
        (folder, "not a regular file"),
        (Path::new("plugin.so"), "a relative path"),
    ] {
        let error = load_library(path, &installed.trust).expect_err("it must be refused");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn libraries_cut_short_are_refused_before_they_are_mapped() {
    let whole = myers();
    for part in [1, 2, 10, 50, 90, 99] {
        let cut = &whole[..whole.len() * part / 100];
        let said = install(cut).refusal();
        assert!(said.contains("it is truncated"), "{part} %: {said}");
    }
    assert!(install(&whole[..3]).refusal().contains("not an ELF file"));
}

#[test]
fn files_that_are_no_libraries_are_refused() {
    for bytes in [&b""[..], b"#!/bin/sh\n", &[0x5a; 4096]] {
        assert!(install(bytes).refusal().contains("not an ELF file"));
    }
}

#[test]
fn libraries_that_are_no_strategies_are_refused_without_running_them() {
    let maps = fs::read_to_string("/proc/self/maps").expect("the system tells what is mapped");
    let other = maps
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .find(|path| path.contains("libc.so") || path.contains("libc-"))
        .expect("the test is linked with the system's library");
    let bytes = fs::read(other).expect("it can be read");
    assert!(install(&bytes).refusal().ends_with("it exports none"));
}

#[test]
fn a_header_that_is_not_exported_is_no_strategy() {
    // The name stands in the file, but no symbol has it.
    let mut bytes = myers();
    let name = b"greenroom_strategy_v1_strategy_myers\0";
    let places: Vec<_> = memchr::memmem::find_iter(&bytes, name).collect();
    assert!(!places.is_empty(), "the library exports its header");
    for place in places {
        bytes[place + name.len() - 2] = b'z';
    }
    // The hash table of the symbols no longer matches the name, so looking it up finds nothing.
    assert!(install(&bytes).refusal().ends_with("it exports none"));
}
