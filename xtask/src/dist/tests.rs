//! What is packed is checked before anything is written.

use super::*;

fn program(path: &str, target: Target) -> Program {
    Program { path: path.into(), target, bytes: Vec::new() }
}

fn linux(version: GlibcVersion) -> Target {
    let glibc = target::Glibc { version, symbol: "close_range".to_owned(), needs_libgcc: false };
    Target { architecture: target::Arch::X86_64, system: target::System::Glibc(glibc) }
}

fn static_linux() -> Target {
    Target { architecture: target::Arch::X86_64, system: target::System::Static }
}

/// Checks what is reported of these programs; nothing where they are packed.
fn check_report(programs: &[Program], max: Option<GlibcVersion>, expected: Option<&str>) {
    let report = check(programs, max).err().map(|report| report.to_string());
    assert_eq!(report.as_deref(), expected);
}

#[test]
fn a_symbol_above_the_promised_glibc_is_named() {
    let programs = [program("a", linux(GlibcVersion(2, 34)))];
    check_report(&programs, None, None);
    check_report(&programs, Some(GlibcVersion(2, 34)), None);
    let report = "a needs glibc 2.34, and at most 2.17 is allowed: close_range";
    check_report(&programs, Some(GlibcVersion(2, 17)), Some(report));
    check_report(&[program("a", static_linux())], Some(GlibcVersion(2, 17)), None);
}

#[test]
fn a_platform_is_packed_once() {
    let version = GlibcVersion(2, 17);
    check_report(&[program("a", linux(version)), program("b", static_linux())], None, None);
    let newer = GlibcVersion(2, 34);
    let programs = [program("a", linux(version)), program("b", linux(newer))];
    check_report(&programs, None, Some("b and a are for the same platform"));
}

#[test]
fn files_of_another_run_are_not_published_with_these() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let artefact = |name: &str| output::Artefact { name: name.to_owned(), bytes: b"x".to_vec() };
    let mut output = Output::default();
    output.add(artefact("new"));
    output.write(folder.path()).expect("it is empty");
    output.write(folder.path()).expect("its files are replaced");
    let sums = fs::read_to_string(folder.path().join("SHA256SUMS")).expect("it is written");
    assert_eq!(sums, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  new\n");
    fs::write(folder.path().join("old"), "").expect("it is written");
    let report = output.write(folder.path()).expect_err("a file is left over").to_string();
    assert!(report.contains("contains old, which is not written"), "{report}");
}
