//! What a reviewer reads first of a set of patches.

use rstest::rstest;
use staging_core::{Proposal, Risk, RiskKind, SetRisk};

use crate::world::{World, delete, path, rename, set_mode, write};

fn lines(world: &World) -> Vec<String> {
    SetRisk::of(&world.pending()).iter().map(SetRisk::line).collect()
}

/// What a change of a file with this content to that one raises.
#[track_caller]
fn check(name: &str, old: &str, new: &str, expected: &[&str]) {
    let world = World::new();
    world.put(name, old);
    let s = world.session("agent");
    world.write(s, name, new);
    assert_eq!(lines(&world), expected);
}

#[rstest]
#[case::to_a_tenth(&"x".repeat(100), &"y".repeat(10), &[])]
#[case::to_less(&"x".repeat(100), &"y".repeat(9), &["risk: shrunk by more than 90 % (1): `f` (100 -> 9 bytes)"])]
#[case::emptied("x", "", &["risk: shrunk by more than 90 % (1): `f` (1 -> 0 bytes)"])]
#[case::endings("a\nb\n", "a\r\nb\r\n", &["risk: encoding or line endings (1): `f` (line endings flipped from LF to CRLF)"])]
#[case::mark("a\n", "\u{feff}a\n", &["risk: encoding or line endings (1): `f` (gained a byte order mark (BOM))"])]
#[case::binary("a\n", "a\0\n", &["risk: replaced as a whole (1): `f` (the content is binary)"])]
#[case::plain("a\n", "b\n", &[])]
fn a_change_of_content_raises(#[case] old: &str, #[case] new: &str, #[case] expected: &[&str]) {
    check("f", old, new, expected);
}

#[test]
fn a_text_of_which_hardly_a_line_is_left_is_replaced_as_a_whole() {
    let text = |word: &str, lines: usize| -> String {
        (0..lines).map(|line| format!("{word} {line}\n")).collect()
    };
    let expected = "risk: replaced as a whole (1): `f` (30 of 30 lines)";
    check("f", &text("old", 30), &text("new", 30), &[expected]);
    check("f", &text("old", 19), &text("new", 19), &[]);
    let (kept, rest) = (text("same", 4), text("new", 26));
    check("f", &(kept.clone() + &text("old", 26)), &(kept + &rest), &[]);
    check("f", &text("old", 30), &(text("old", 30) + &rest), &[]);
}

#[rstest]
#[case::created(None, 0o644, 0o644, None)]
#[case::created_elsewhere(None, 0o664, 0o664, None)]
#[case::program(None, 0o755, 0o644, Some("executable (1): `f`"))]
#[case::private_program(None, 0o700, 0o600, Some("executable (1): `f`"))]
#[case::open(None, 0o666, 0o644, Some("mode (1): `f` (created with 666, writable by everybody)"))]
#[case::wider(None, 0o644, 0o600, Some("mode (1): `f` (created with 644, readable by everybody)"))]
#[case::closed(None, 0, 0o644, Some("mode (1): `f` (created with 000, unreadable for its owner)"))]
#[case::sticky(
    None,
    0o1777,
    0o644,
    Some("executable (1): `f` (created with 1777, writable by everybody)")
)]
#[case::made(Some(0o644), 0o755, 0o644, Some("executable (1): `f` (644 -> 755)"))]
#[case::no_longer(Some(0o755), 0o644, 0o644, Some("mode (1): `f` (755 -> 644)"))]
#[case::was(Some(0o755), 0o777, 0o644, Some("mode (1): `f` (755 -> 777, writable by everybody)"))]
#[case::opened(
    Some(0o600),
    0o606,
    0o644,
    Some("mode (1): `f` (600 -> 606, writable by everybody, readable by everybody)")
)]
fn permission_bits_raise(
    #[case] old: Option<u32>,
    #[case] new: u32,
    #[case] plain: u32,
    #[case] expected: Option<&str>,
) {
    let world = World::with(|options| options.new_file_mode = plain);
    let s = world.session("agent");
    match old {
        Some(old) => {
            world.put("f", "x\n");
            world.chmod("f", old);
            world.layer.propose(s, set_mode("f", new)).expect("staged");
        }
        None => {
            let (path, content) = (path("f"), b"x\n".to_vec());
            let write = Proposal::Write { path, content, mode: Some(new) };
            world.layer.propose(s, write).expect("staged");
        }
    }
    let expected = expected.map(|line| format!("risk: {line}"));
    assert_eq!(lines(&world), expected.into_iter().collect::<Vec<_>>());
}

#[rstest]
#[case("src/main.rs", &[])]
#[case("src/hooks.rs", &[])]
#[case("a.b/c", &[])]
#[case(".env", &[RiskKind::Hidden])]
#[case("a/.b/c", &[RiskKind::Hidden])]
#[case(".husky/pre-commit", &[RiskKind::Automation, RiskKind::Hidden])]
#[case("sub/.githooks/x", &[RiskKind::Automation, RiskKind::Hidden])]
#[case(".Claude/settings.json", &[RiskKind::Automation, RiskKind::Hidden])]
#[case(".vscode/tasks.json", &[RiskKind::Automation, RiskKind::Hidden])]
#[case(".envrc", &[RiskKind::Automation, RiskKind::Hidden])]
#[case("AGENTS.md", &[RiskKind::Automation])]
#[case("agents.md.txt", &[])]
#[case("x.code-workspace", &[RiskKind::Automation])]
#[case(".github/workflows/ci.yml", &[RiskKind::Ci, RiskKind::Hidden])]
#[case(".github/workflows.md", &[RiskKind::Hidden])]
#[case(".gitlab-ci.yml", &[RiskKind::Ci, RiskKind::Hidden])]
#[case("Jenkinsfile.release", &[RiskKind::Ci])]
#[case("azure-pipelines.yml", &[RiskKind::Ci])]
#[case("Cargo.lock", &[RiskKind::LockFile])]
#[case("web/package-lock.json", &[RiskKind::LockFile])]
fn names_raise(#[case] name: &str, #[case] expected: &[RiskKind]) {
    let world = World::new();
    let s = world.session("agent");
    world.write(s, name, "x\n");
    let kinds = |world: &World| -> Vec<RiskKind> {
        SetRisk::of(&world.pending()).iter().map(|risk| risk.kind).collect()
    };
    assert_eq!(kinds(&world), expected);

    // Under both names of a rename.
    let world = World::new();
    world.put("plain", "x\n");
    world.put(name, "x\n");
    let s = world.session("agent");
    world.layer.propose(s, rename(name, "else")).expect("staged");
    assert_eq!(kinds(&world), expected, "what a file no longer is");
}

#[rstest]
#[case::of_the_installation(
    r#"{"scripts": {"test": "x"}}"#,
    r#"{"scripts": {"test": "x", "postinstall": "sh x"}}"#,
    Some("scripts of the installation: postinstall")
)]
#[case::others(r#"{"scripts": {"test": "x"}}"#, r#"{"scripts": {"test": "y"}}"#, None)]
#[case::none(r#"{"a": 1}"#, r#"{"a": 2}"#, None)]
#[case::gone(r#"{"scripts": {"install": "x"}}"#, "{\"scripts\": {}}", None)]
fn a_manifest_raises_where_its_installation_runs_something_else(
    #[case] old: &str,
    #[case] new: &str,
    #[case] expected: Option<&str>,
) {
    let world = World::new();
    world.put("web/package.json", old);
    let s = world.session("agent");
    let patch = world.write(s, "web/package.json", new).patch.expect("pending");
    let automation =
        |detail: &str| Risk { kind: RiskKind::Automation, detail: Some(detail.to_owned()) };
    assert_eq!(patch.diff.risks, expected.map(automation).into_iter().collect::<Vec<_>>());
}

/// What is removed and created at one path is shown, whichever patches do so.
#[test]
fn a_set_raises_what_none_of_its_patches_shows() {
    let world = World::new();
    for name in ["file", "dir/only", "old", "gone", "keep/a"] {
        world.put(name, "x\n");
    }
    let s = world.session("agent");
    for proposal in [
        delete("file"),
        write("file/below", "x\n"),
        delete("dir/only"),
        write("dir", "x\n"),
        delete("gone"),
        rename("old", "gone"),
        // No reason: other paths.
        delete("keep/a"),
        write("keep/b", "x\n"),
    ] {
        world.layer.propose(s, proposal).expect("staged");
    }
    let pending = world.pending();
    let risks = SetRisk::of(&pending);
    let replaced = risks.iter().find(|risk| risk.kind == RiskKind::Replaced).expect("there are");
    let id = |name: &str| {
        let found = pending.iter().find(|patch| patch.path.to_string() == name);
        found.unwrap_or_else(|| panic!("{name} is pending")).id
    };
    let mut found: Vec<(String, String)> = replaced
        .paths
        .iter()
        .map(|path| (path.path.to_string(), path.detail.clone().expect("by which")))
        .collect();
    found.sort();
    let by = |name: &str| format!("{} removes `{name}`", id(name));
    assert_eq!(
        found,
        [
            ("dir".to_owned(), by("dir/only")),
            ("file/below".to_owned(), by("file")),
            ("old".to_owned(), by("gone")),
        ]
    );
}

/// A store of an older version has no risks.
#[test]
fn a_patch_that_an_older_version_stored_has_the_risks_of_its_row() {
    let world = World::new();
    world.put(".env", "x".repeat(100));
    let s = world.session("agent");
    world.write(s, ".env", "y");
    world.store().execute("UPDATE patches SET risks = NULL", []).expect("the column is there");
    assert_eq!(
        lines(&world),
        ["risk: shrunk by more than 90 % (1): `.env` (100 -> 1 bytes)", "risk: hidden (1): `.env`"]
    );
}

#[test]
fn a_path_cannot_look_like_two() {
    let world = World::new();
    let s = world.session("agent");
    world.write(s, ".a`, `b", "x\n");
    assert_eq!(lines(&world), ["risk: hidden (1): `.a\\x60, \\x60b`"]);
}
