//! `greenroom run` and `exec` in a copy of the workspace, where no overlay over it is possible.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use end_to_end::{Fixture, Machine, Ran, greenroom_binary, output, without_namespaces};
use rstest::rstest;

fn run(fixture: &Fixture, script: &str) -> Ran {
    fixture.run(["run", "--view", "copy", "--session", "agent", "--", "sh", "-c", script])
}

fn patches(fixture: &Fixture) -> Vec<String> {
    let status = fixture.status();
    let sessions = status["sessions"].as_array().expect("a list");
    let all = sessions.iter().flat_map(|session| session["patches"].as_array()).flatten();
    let mut lines: Vec<String> = all
        .map(|patch| {
            let text = |key: &str| patch[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("operation"), text("path"))
        })
        .collect();
    lines.sort_unstable();
    lines
}

#[rstest]
fn what_a_command_writes_is_staged_and_the_disk_is_as_it_was(
    #[values("copy", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    for (name, content) in [
        (".gitignore", "out/\n"),
        ("a", "one\n"),
        ("b", "one\n"),
        ("d/e", "other\n"),
        ("out/o", "o\n"),
    ] {
        fixture.write(name, content);
    }
    fs::set_permissions(fixture.path("d"), fs::Permissions::from_mode(0o2750)).expect("set");
    let before = fixture.tree();
    // A view has the same path.
    let here = fixture.workspace();
    let here = if view == "copy" { here.to_str().expect("text") } else { "." };
    let script = format!(
        "cd '{here}' && echo two >> a; rm b; mv d/e d/f; cat out/o; echo p > out/p; ln -s a l"
    );
    let ran = run(&fixture, &script).expect(0);
    assert_eq!(ran.stdout, b"o\n");
    let remark = match view {
        "copy" => "the command gets a copy of the workspace: as asked",
        _ => "the command works in a copy at `",
    };
    assert!(ran.stderr.contains(remark), "{}", ran.stderr);
    assert!(!ran.stderr.contains("not proposed"), "{}", ran.stderr);
    assert_eq!(fixture.tree(), before);
    assert_eq!(patches(&fixture), ["create l", "delete b", "modify a", "rename d/e"]);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("a"), b"one\ntwo\n");
    let again = run(&fixture, "cat a out/p; ls b d/e 2>/dev/null; stat -c %a d").expect(0);
    assert_eq!(again.stdout, b"one\ntwo\np\n2750\n");
    assert_eq!(fixture.pending(), 0);
}

#[rstest]
fn the_copy_follows_the_workspace_between_commands(#[values("copy", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    for name in ["changed", "removed", "d/below", "kind", "agents"] {
        fixture.write(name, "one\n");
    }
    run(&fixture, "echo agent >> agents").expect(0);
    fixture.write("changed", "two\n");
    fixture.write("new/deep", "two\n");
    fs::remove_file(fixture.path("removed")).expect("removed");
    fs::remove_dir_all(fixture.path("d")).expect("removed");
    fs::remove_file(fixture.path("kind")).expect("removed");
    fixture.write("kind/now/a-directory", "two\n");
    let script = "cat changed new/deep kind/now/a-directory agents; ls removed d 2>&1 | wc -l; echo agent >> changed";
    let ran = run(&fixture, script).expect(0);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "two\ntwo\ntwo\none\nagent\n2\n");
    assert_eq!(patches(&fixture), ["modify agents", "modify changed"]);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("changed"), b"two\nagent\n");
}

#[rstest]
fn a_pending_set_is_tried_in_a_copy(#[values("copy", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    run(&fixture, "echo two >> f; echo new > n").expect(0);
    for _ in 0..2 {
        let ran = fixture
            .run(["exec", "--view", "copy", "--", "sh", "-c", "cat f n; echo dropped > x"])
            .expect(0);
        assert_eq!(ran.stdout, b"one\ntwo\nnew\n");
        assert!(
            ran.stderr.contains("dropped 1 file that the command changed: x"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(fixture.read("f"), b"one\n");
}

/// Runs a shell script as root, in a mount namespace of its own; none, visibly, for another user.
fn as_root(fixture: &Fixture, script: &str) -> Option<Ran> {
    if !is_roots(fixture) {
        println!("skipped: only root can mount and give files away");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec", script]);
    let program = match fixture.machine() {
        Machine::Own => greenroom_binary().to_owned(),
        Machine::WithoutNamespaces => {
            let program = fixture.beside("greenroom");
            let (filter, greenroom) =
                (without_namespaces().display(), greenroom_binary().display());
            let script = format!("#!/bin/sh\nexec '{filter}' '{greenroom}' \"$@\"\n");
            fs::write(&program, script).expect("written");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
            program
        }
    };
    command.env("GR", program).env("WS", fixture.workspace());
    command.env("GREENROOM_STATE_DIR", fixture.beside("state"));
    command.env("HOME", fixture.beside("home")).env("XDG_CONFIG_HOME", fixture.beside("config"));
    Some(output(command.current_dir(fixture.workspace())).into())
}

fn is_roots(fixture: &Fixture) -> bool {
    fs::metadata(fixture.workspace()).is_ok_and(|found| found.uid() == 0)
}

#[test]
fn a_workspace_with_a_mount_below_it_is_copied() {
    let Some(fixture) = Fixture::with_view("copy") else { return };
    fixture.write("f", "one\n");
    fs::create_dir(fixture.path("data")).expect("made");
    fs::create_dir(fixture.beside("volume")).expect("made");
    fs::write(fixture.beside("volume").join("v"), "volume\n").expect("written");
    let script = "mount --bind ../volume data
        \"$GR\" run -- sh -c 'cat data/v; echo two >> f; echo two >> data/v'
        \"$GR\" doctor | grep -c 'run: commands get a copy of the workspace: .*data. is a mount'
        cat f data/v; \"$GR\" apply --yes > /dev/null; cat f data/v";
    let Some(ran) = as_root(&fixture, script) else { return };
    let ran = ran.expect(0);
    let out = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(out, "volume\n1\none\nvolume\none\ntwo\nvolume\n", "{}", ran.stderr);
    for part in ["is a mount, and no overlay can show it", "not proposed: `data/v`"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
fn a_directory_that_a_group_shares_is_copied() {
    let Some(fixture) = Fixture::with_view("copy") else { return };
    fixture.write("f", "one\n");
    let folder = fixture.beside(".");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let script =
        "user() { setpriv --reuid 1234 --regid 1234 --groups 5555 --bounding-set -all \"$@\"; }
        user \"$GR\" --version > /dev/null || exit 77
        chown -R 1234:5555 \"$WS\"; chmod -R g+w \"$WS\"
        chown -R 1234 \"$GREENROOM_STATE_DIR\" \"$HOME\" \"$XDG_CONFIG_HOME\"
        user \"$GR\" run -- sh -c 'echo two >> f; echo new > n'
        cat f; user \"$GR\" apply --yes > /dev/null; cat f n; stat -c %u:%g f";
    let Some(ran) = as_root(&fixture, script) else { return };
    if ran.code == Some(77) {
        println!("skipped: another user cannot reach the command: {}", ran.stderr);
        return;
    }
    let ran = ran.expect(0);
    let out = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(out, "one\none\ntwo\nnew\n1234:5555\n", "{}", ran.stderr);
    assert!(ran.stderr.contains("its files belong to another user or group"), "{}", ran.stderr);
}

#[rstest]
fn a_copy_that_does_not_fit_leaves_nothing_behind(#[values("copy", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("small", "one\n");
    fixture.write("large", vec![b'x'; 4 << 20]);
    let script = "mkdir -p ../full; mount -t tmpfs -o size=3m,mode=0700 none ../full
        export GREENROOM_STATE_DIR=\"$PWD/../full\"
        \"$GR\" run --view copy --session agent -- touch run && exit 1
        du -sk ../full | cut -f 1; rm large
        \"$GR\" run --view copy --session agent -- sh -c 'cat small; echo two >> small'";
    let Some(ran) = as_root(&fixture, script) else { return };
    let ran = ran.expect(0);
    let out = String::from_utf8_lossy(&ran.stdout);
    let (kibibytes, rest) = out.split_once('\n').expect("two answers");
    assert!(kibibytes.parse::<u32>().is_ok_and(|used| used < 2048), "{out}");
    assert_eq!(rest, "one\n");
    assert!(ran.stderr.contains("No space left on device"), "{}", ran.stderr);
    assert!(!fixture.path("run").exists());
}
