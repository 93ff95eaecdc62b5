//! What a reviewer reads first of a set of patches.

use rstest::rstest;
use staging_core::{ApplyRequest, Proposal, Reversible, Risk, RiskKind, SetRisk};

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
#[case("docs/repo/HEAD", &[RiskKind::Automation])]
#[case("docs/HEAD.md", &[])]
#[case("sub/binding.gyp", &[RiskKind::Automation])]
#[case("lint-staged.config.mjs", &[RiskKind::Automation])]
#[case("QWEN.md", &[RiskKind::Automation])]
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

const HOOK: &str = r#"{"scripts": {"postinstall": "sh x"}}"#;
const UNREADABLE: Option<&str> = Some("its scripts cannot be read");
const POSTINSTALL: Option<&str> = Some("scripts of the installation: postinstall");

fn deep(inside: &str) -> Vec<u8> {
    format!("{{\"x\": {}{}, {inside}", "[".repeat(200), "]".repeat(200)).into_bytes()
}

/// What exactly tools read or run on their own.
fn automation(world: &World) -> Option<String> {
    let mut risks = world.pending().into_iter().flat_map(|patch| patch.diff.risks);
    risks.find(|risk| risk.kind == RiskKind::Automation).and_then(|risk| risk.detail)
}

/// Package managers read what the usual JSON readers refuse.
#[rstest]
#[case::a_number_out_of_range(
    "package.json",
    br#"{"x": 1e999, "scripts": {"postinstall": "x"}}"#,
    UNREADABLE
)]
#[case::half_a_pair(
    "package.json",
    br#"{"x": "\ud800", "scripts": {"postinstall": "x"}}"#,
    UNREADABLE
)]
#[case::no_utf8(
    "package.json",
    b"{\"x\": \"\xff\", \"scripts\": {\"postinstall\": \"x\"}}",
    UNREADABLE
)]
#[case::deep("package.json", deep(&HOOK[1..]), UNREADABLE)]
#[case::a_comment("package.json", b"{} // {}", UNREADABLE)]
#[case::empty("package.json", b"", UNREADABLE)]
#[case::a_mark("package.json", b"\xef\xbb\xbf{\"scripts\": {\"postinstall\": \"x\"}}", POSTINSTALL)]
#[case::a_mark_alone("package.json", b"\xef\xbb\xbf{}", None)]
#[case::twice("package.json", br#"{"scripts": {"postinstall": "x"}, "scripts": {}}"#, None)]
#[case::the_last_of_two(
    "package.json",
    br#"{"scripts": {}, "scripts": {"postinstall": "x"}}"#,
    POSTINSTALL
)]
#[case::an_escape("package.json", br#"{"scri\u0070ts": {"post\u0069nstall": "x"}}"#, POSTINSTALL)]
#[case::of_pnpm(
    "package.json",
    br#"{"scripts": {"pnpm:devPreinstall": "x"}}"#,
    Some("scripts of the installation: pnpm:devPreinstall")
)]
#[case::on_a_commit(
    "package.json",
    br#"{"lint-staged": {"*": "x"}}"#,
    Some("commands on a commit: lint-staged")
)]
#[case::of_both(
    "package.json",
    br#"{"husky": {}, "scripts": {"prepare": "x"}}"#,
    Some("scripts of the installation: prepare; commands on a commit: husky")
)]
#[case::of_composer(
    "composer.json",
    br#"{"scripts": {"post-install-cmd": "x"}}"#,
    Some("scripts of the installation: post-install-cmd")
)]
#[case::of_composer_that_is_called("composer.json", br#"{"scripts": {"test": "x"}}"#, None)]
#[case::of_composer_unreadable("composer.json", b"{", UNREADABLE)]
#[case::no_object("package.json", b"[]", None)]
#[case::in_another_case("web/Package.JSON", HOOK.as_bytes(), POSTINSTALL)]
#[case::with_a_dot_at_the_end("package.json.", HOOK.as_bytes(), POSTINSTALL)]
#[case::json5("package.json5", b"{}", UNREADABLE)]
#[case::yaml("package.yaml", b"scripts:\n  postinstall: x\n", UNREADABLE)]
#[case::yaml_with_an_escape("package.yaml", b"\"scri\\x70ts\": {}\n", UNREADABLE)]
#[case::yaml_of_another_tool("package.yaml", b"dependencies:\n- base\n", None)]
#[case::another_file("packages.json", HOOK.as_bytes(), None)]
fn a_manifest_is_read_as_package_managers_do(
    #[case] name: &str,
    #[case] new: impl AsRef<[u8]>,
    #[case] expected: Option<&str>,
) {
    let world = World::new();
    let content = new.as_ref().to_vec();
    let write = Proposal::Write { path: path(name), content, mode: None };
    world.layer.propose(world.session("agent"), write).expect("staged");
    assert_eq!(automation(&world).as_deref(), expected);
}

#[rstest]
#[case::moved_here("x.json", vec![rename("x.json", "package.json")], POSTINSTALL)]
#[case::moved_here_from_elsewhere("test/package.json", vec![rename("test/package.json", "package.json")], POSTINSTALL)]
#[case::moved_away("package.json", vec![rename("package.json", "x.json")], None)]
#[case::another_mode("package.json", vec![set_mode("package.json", 0o600)], None)]
#[case::removed("package.json", vec![delete("package.json")], None)]
fn a_manifest_raises_where_it_is_moved_to(
    #[case] before: &str,
    #[case] proposals: Vec<Proposal>,
    #[case] expected: Option<&str>,
) {
    let world = World::new();
    world.put(before, HOOK);
    world.layer.propose_all(world.session("agent"), proposals).expect("staged");
    assert_eq!(automation(&world).as_deref(), expected);
}

/// No proposal names the mode of a directory, but an undo brings it back.
#[rstest]
#[case(0o755, None)]
#[case(0o700, Some("risk: mode (1): `dir` (created with 700)"))]
#[case(0o777, Some("risk: mode (1): `dir` (created with 777, writable by everybody)"))]
#[case(0o1777, Some("risk: mode (1): `dir` (created with 1777, writable by everybody)"))]
fn a_directory_with_an_unusual_mode_raises(#[case] mode: u32, #[case] expected: Option<&str>) {
    let world = World::new();
    std::fs::create_dir(world.root().join("dir")).expect("made");
    world.chmod("dir", mode);
    world.layer.propose(world.session("agent"), delete("dir")).expect("staged");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    let Reversible { apply, patches, .. } = world.layer.undoable(None).expect("there is one");
    let undone = world.layer.reversed(apply, &patches).expect("read");
    let lines: Vec<String> = SetRisk::of(&undone).iter().map(SetRisk::line).collect();
    assert_eq!(lines, expected.into_iter().collect::<Vec<_>>());
}

/// An undo is another change of the same files, in the other direction.
#[test]
fn an_undo_raises_what_it_does() {
    let world = World::new();
    for name in ["gone", "runs", "emptied", "moved", "binary"] {
        world.put(name, format!("{name}\n").repeat(10));
    }
    world.put("package.json", HOOK);
    world.chmod("runs", 0o755);
    std::fs::create_dir(world.root().join("kept")).expect("made");
    let s = world.session("agent");
    for proposal in [
        write("new/file", "x\n"),
        Proposal::CreateDirectory { path: path("made") },
        delete("gone"),
        set_mode("runs", 0o644),
        write("emptied", &"y\n".repeat(1000)),
        rename("moved", ".moved"),
        write("binary", "\0"),
        write("package.json", "{}"),
    ] {
        world.layer.propose(s, proposal).expect("staged");
    }
    world
        .layer
        .apply(&ApplyRequest { confirm_full_replace: true, ..ApplyRequest::default() })
        .expect("applied");
    world.put("made/by-the-user", "x\n");
    let Reversible { apply, patches, .. } = world.layer.undoable(None).expect("there is one");
    let undone = world.layer.reversed(apply, &patches).expect("read");
    let lines: Vec<String> = SetRisk::of(&undone).iter().map(SetRisk::line).collect();
    assert_eq!(
        lines,
        [
            "risk: deleted (1): `new/file`",
            "risk: replaced as a whole (2): `binary` (the content is binary), `emptied` (1000 of 1000 lines)",
            "risk: shrunk by more than 90 % (1): `emptied` (2000 -> 80 bytes)",
            "risk: executable (1): `runs` (644 -> 755)",
            "risk: read or run by tools on their own (1): `package.json` (scripts of the installation: postinstall)",
            "risk: hidden (1): `.moved` -> `moved`",
        ]
    );
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
        [
            "risk: shrunk by more than 90 % (1): `.env` (100 -> 1 bytes)",
            "risk: hidden (1): `.env`",
            "risk: not examined for other risks (1): `.env`"
        ]
    );
}

#[test]
fn a_path_cannot_look_like_two() {
    let world = World::new();
    let s = world.session("agent");
    world.write(s, ".a`, `b", "x\n");
    assert_eq!(lines(&world), ["risk: hidden (1): `.a\\x60, \\x60b`"]);
}
