//! Programs tell what they run on.

use super::*;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_program_tells_its_platform_and_its_glibc() {
    let running = std::fs::read("/proc/self/exe").expect("it can be read");
    let target = Target::of(&running).expect("it is a program");
    assert_eq!(target.architecture.name(), std::env::consts::ARCH);
    let glibc = target.glibc().expect("it is linked against glibc");
    assert!(glibc.version >= GlibcVersion(2, 17), "Rust asks for it: {glibc:?}");
    assert!(!glibc.symbol.is_empty(), "it is named: {glibc:?}");
}

#[test]
fn versions_are_compared_as_numbers() {
    let version = |text: &str| text.parse::<GlibcVersion>();
    assert_eq!(version("2.2.5"), Ok(GlibcVersion(2, 2)));
    assert!(version("2.9") < version("2.17"), "nine is less than seventeen");
    for text in ["", "2", "2.x", "2.17.x", "new"] {
        assert!(version(text).is_err(), "{text}");
    }
}

#[test]
fn a_wheel_is_for_the_oldest_systems_that_run_the_program() {
    let check = |architecture, system, expected: &[&str]| {
        assert_eq!(Target { architecture, system }.wheel_platforms(), expected);
    };
    let glibc = |major, minor| {
        let version = GlibcVersion(major, minor);
        System::Glibc(Glibc { version, symbol: String::new(), needs_libgcc: false })
    };
    let oldest: &[&str] = &["manylinux_2_17_x86_64", "manylinux2014_x86_64"];
    check(Arch::X86_64, glibc(2, 14), oldest);
    check(Arch::X86_64, glibc(2, 17), oldest);
    check(Arch::Aarch64, glibc(2, 34), &["manylinux_2_34_aarch64"]);
    check(
        Arch::Aarch64,
        System::Static,
        &["manylinux_2_17_aarch64", "manylinux2014_aarch64", "musllinux_1_1_aarch64"],
    );
    check(Arch::Aarch64, System::MacOs(11, 3), &["macosx_11_0_arm64"]);
    check(Arch::X86_64, System::MacOs(10, 12), &["macosx_10_12_x86_64"]);
    check(Arch::X86_64, System::Windows, &["win_amd64"]);
}

#[test]
fn a_program_for_macos_tells_its_oldest_version() {
    // A head, and the command LC_BUILD_VERSION for macOS (1) 11.3 with the SDK 14.0.
    let words: [u32; 14] =
        [0xfeed_facf, 0x0100_000c, 0, 2, 1, 24, 0, 0, 0x32, 24, 1, 0x000b_0300, 0x000e_0000, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let target = Target::of(&bytes).expect("it is a program");
    assert_eq!(target.triple(), "aarch64-apple-darwin");
    assert_eq!(target.system, System::MacOs(11, 3));
}

#[test]
fn what_is_no_program_is_not_packed() {
    for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &[0; 64]] {
        assert!(Target::of(bytes).is_err(), "{bytes:?}");
    }
}
