//! `--confine`: which places a confined command can write to, and what works inside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use end_to_end::{Fixture, Ran, output};
use rstest::rstest;

use crate::running::{Agent, pending};
use crate::users::{Someone, as_everyone, has_programs, home};

/// Says of each of these whether it could be written.
const TRY: &str = r#"try() { for path; do
    if { echo x >> "$path"; } 2> /dev/null; then echo "wrote $path"; else echo "held $path"; fi
done; }
"#;

/// Runs a script as each user, confined by these options; `check` gets what it printed.
fn confined(options: &[&str], script: &str, check: impl Fn(&Someone, &str)) {
    let Some(home) = home() else { return };
    as_everyone(home, |someone| {
        prepare(someone);
        let ran = someone.shell(options, &format!("{TRY}{script}")).expect(0);
        check(someone, &String::from_utf8_lossy(&ran.stdout));
    });
}

/// Directories of the user beside the workspace, and a file in each.
fn prepare(someone: &Someone) {
    for name in ["outside/deep", "other"] {
        fs::create_dir_all(someone.fixture.beside(name)).expect("new");
        fs::write(someone.fixture.beside(name).join("file"), "one\n").expect("new");
    }
    symlink("outside", someone.fixture.beside("link")).expect("new");
    someone.fixture.write("d/f", "one\n");
    someone.give();
}

const PLACES: &str =
    "try f d/f ../outside/new ../outside/deep/file ../other/file ../other/new ../new";

#[rstest]
#[case::nothing(&["--confine"], "")]
#[case::nothing_in_a_copy(&["--confine", "--view", "copy"], "")]
#[case::a_directory(&["--allow-write", "../outside"], "../outside/new ../outside/deep/file")]
#[case::a_directory_in_a_copy(
    &["--view", "copy", "--allow-write", "../outside"],
    "../outside/new ../outside/deep/file"
)]
#[case::a_link_to_it(&["--allow-write", "../link"], "../outside/new ../outside/deep/file")]
#[case::one_below(&["--allow-write", "../outside/deep"], "../outside/deep/file")]
#[case::a_file(&["--allow-write", "../other/file"], "../other/file")]
#[case::two(
    &["--allow-write", "../other/file", "--allow-write", "../outside/deep"],
    "../outside/deep/file ../other/file"
)]
#[case::one_in_the_workspace(&["--allow-write", "d"], "")]
#[case::one_that_holds_everything(
    &["--allow-write", ".."],
    "../outside/new ../outside/deep/file ../other/file ../other/new ../new"
)]
fn a_confined_command_writes_where_it_is_allowed_to(
    #[case] options: &[&str],
    #[case] allowed: &str,
) {
    let allowed: Vec<&str> = ["f", "d/f"].into_iter().chain(allowed.split_whitespace()).collect();
    confined(options, PLACES, |someone, printed| {
        let wrote: Vec<&str> =
            printed.lines().filter_map(|line| line.strip_prefix("wrote ")).collect();
        assert_eq!(wrote, allowed);
        assert_eq!(someone.fixture.read("d/f"), b"one\n", "the workspace is held back anyway");
        assert!(!someone.fixture.path("f").exists());
        let pending = pending(&someone.greenroom(&["status", "--json"]).expect(0).json());
        assert_eq!(pending, ["create f", "modify d/f"]);
    });
}

#[test]
fn a_place_that_holds_the_state_does_not_show_it() {
    let Some(home) = home() else { return };
    as_everyone(home, |someone| {
        fs::write(someone.fixture.beside("state/secret"), "secret\n").expect("ours");
        someone.give();
        let script = "cat ../state/secret; echo x > ../state/new; echo x > ../config/greenroom/new";
        let ran = someone.shell(&["--allow-write", ".."], &format!("{{ {script}; }} 2>&1; exit 0"));
        let printed = String::from_utf8_lossy(&ran.expect(0).stdout).into_owned();
        assert!(!printed.contains("secret\n"), "{printed}");
        for name in ["state/new", "config/greenroom/new"] {
            assert!(!someone.fixture.beside(name).exists(), "{name}: {printed}");
        }
    });
}

#[rstest]
#[case::missing("../missing", "cannot keep ../missing writable: ")]
#[case::the_root("/", "`--allow-write` names the root")]
fn a_place_that_cannot_be_allowed_is_refused_and_nothing_runs(
    #[case] place: &str,
    #[case] expected: &str,
) {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    for command in ["run", "exec"] {
        fixture.write("f", "one\n");
        fixture.propose("f", "two\n");
        let ran = fixture.run([command, "--allow-write", place, "--", "touch", "ran"]).expect(125);
        assert!(ran.stderr.contains(expected), "{command}: {}", ran.stderr);
        assert_eq!(fixture.pending(), 1, "{command}: nothing has run");
    }
}

#[rstest]
#[case::confine("confine = true", &[], "held held")]
#[case::except("confine = true", &["--no-confine"], "wrote wrote")]
#[case::not("", &[], "wrote wrote")]
#[case::writable("confine = true\nconfine_write = [\"OUTSIDE\", \"/no/such/place\"]", &[], "wrote held")]
#[case::writable_if_confined("confine_write = [\"OUTSIDE\"]", &["--confine"], "wrote held")]
#[case::both("confine_write = [\"OUTSIDE\"]", &["--allow-write", "../other"], "wrote wrote")]
fn the_configuration_confines(
    #[case] run: &str,
    #[case] options: &[&str],
    #[case] expected: &str,
    #[values("run", "exec")] command: &str,
) {
    let Some(home) = home() else { return };
    as_everyone(home, |someone| {
        prepare(someone);
        let outside = someone.fixture.beside("outside");
        let run = run.replace("OUTSIDE", outside.to_str().expect("plain"));
        someone.fixture.configure(&format!("[run]\n{run}\n"));
        someone.give();
        someone.shell(&[], "echo two >> d/f").expect(0);
        let script = format!("{TRY}try ../outside/new ../other/new | cut -d ' ' -f 1");
        let arguments = [&[command], options, &["--", "sh", "-c", &script]].concat();
        let ran = someone.greenroom(&arguments).expect(0);
        let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(printed.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{command}");
    });
}

#[test]
fn a_workspace_in_a_temporary_directory_is_held_back_too() {
    let temporary = std::env::temp_dir();
    as_everyone(&temporary, |someone| {
        someone.fixture.write("f", "one\n");
        someone.give();
        let before = someone.fixture.tree();
        let place = someone.fixture.workspace();
        let script = format!("echo two >> f; cd /; echo new > '{}/n'", place.display());
        someone.shell(&["--confine"], &script).expect(0);
        assert_eq!(someone.fixture.tree(), before);
        let status = someone.greenroom(&["status", "--json"]).expect(0).json();
        assert_eq!(pending(&status), ["create n", "modify f"]);
    });
}

#[test]
fn a_home_that_is_a_symbolic_link_is_confined_as_what_it_leads_to() {
    let Some(home) = home() else { return };
    as_everyone(home, |someone| {
        let (real, link) = (someone.fixture.beside("home"), someone.fixture.beside("link"));
        fs::create_dir(real.join(".cache")).expect("new");
        symlink("home", &link).expect("new");
        someone.give();
        let script = format!("{TRY}try ~/.cache/new ~/new '{0}/.cache/n' '{0}/n'", real.display());
        let run = ["run", "--confine", "--", "sh", "-c", &script];
        let mut command = someone.command(&run);
        // As a login of a user whose home directory was moved.
        command.env("HOME", &link);
        let ran = Ran::from(output(&mut command)).expect(0);
        let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
        let said: Vec<&str> =
            printed.lines().map(|line| line.split(' ').next().unwrap_or(line)).collect();
        assert_eq!(said, ["wrote", "held", "wrote", "held"], "{printed}");
    });
}

#[test]
fn attributes_elsewhere_cannot_be_changed() {
    if !has_programs(&["setfattr", "chmod", "touch"]) {
        return;
    }
    let script =
        "for change in 'setfattr -n user.x -v y' 'chmod 600' 'touch -d 2001-01-01' 'chown -h 0'; do
        $change ../other/file 2>&1 | grep -o 'Read-only file system'; done";
    confined(&["--confine"], script, |_, printed| {
        assert_eq!(printed, "Read-only file system\n".repeat(4));
    });
}

/// Sandboxes that agents make: each writes in the workspace, and says what it cannot do.
#[rstest]
#[case::namespaces(&["unshare"], "unshare -Urmpf --mount-proc sh -c 'echo x > f; ls /proc | grep -c ^1$'", "1\n")]
#[case::bubblewrap(
    &["bwrap"],
    "bwrap --ro-bind / / --dev /dev --proc /proc --bind \"$PWD\" \"$PWD\" --unshare-all --die-with-parent \
        --new-session sh -c 'echo x > f; ls /proc | grep -c ^1$'",
    "1\n"
)]
#[case::bubblewrap_with_files_read_only(
    &["bwrap"],
    "mkdir g; bwrap --ro-bind / / --dev /dev --bind \"$PWD\" \"$PWD\" --ro-bind \"$PWD/g\" \"$PWD/g\" \
        --tmpfs /tmp --unshare-user --unshare-pid --proc /proc --cap-drop ALL \
        sh -c 'echo x > f; { echo x > g/f; } 2>&1 | grep -c Read-only; rmdir /tmp/../tmp 2> /dev/null; echo x > /tmp/t'",
    "1\n"
)]
fn a_sandbox_that_the_command_makes_works(
    #[case] programs: &[&str],
    #[case] script: &str,
    #[case] expected: &str,
    #[values(&[], &["--confine"])] options: &[&str],
) {
    let Some(home) = home().filter(|_| has_programs(programs)) else { return };
    as_everyone(home, |someone| {
        let ran = someone.shell(options, script).expect(0);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), expected, "{}", ran.stderr);
        assert!(!someone.fixture.path("f").exists());
        let status = someone.greenroom(&["status", "--json"]).expect(0).json();
        assert!(pending(&status).contains(&"create f".to_owned()), "{status}");
    });
}

/// In a home directory in which the agent has never run.
#[rstest]
#[case("claude", ".claude", true)]
#[case("codex", ".codex", true)]
#[case("other", ".claude", false)]
fn an_agent_can_keep_its_own_files_when_it_starts_for_the_first_time(
    #[case] program: &str,
    #[case] directory: &str,
    #[case] keeps: bool,
) {
    let Some(home) = home() else { return };
    as_everyone(home, |someone| {
        let script = format!("#!/bin/sh\nmkdir -p ~/{directory}; echo x > ~/{directory}/new\n");
        someone.fixture.write(program, script);
        set_executable(&someone.fixture.path(program));
        someone.give();
        let program = format!("./{program}");
        let ran = someone.greenroom(&["run", "--confine", "--", &program]);
        assert_eq!(ran.code == Some(0), keeps, "{}", ran.stderr);
        assert_eq!(someone.fixture.beside("home").join(directory).join("new").exists(), keeps);
    });
}

fn set_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
}

#[rstest]
#[case::as_the_view_is(&["--confine"], &[], "held ../outside/new\n")]
#[case::alike(&["--confine"], &["--confine"], "held ../outside/new\n")]
#[case::less(&["--no-network"], &["--confine"], "held ../outside/new\n")]
#[case::more(&[], &["--confine"], "runs without `--confine`")]
#[case::without_network(&["--confine"], &["--no-network"], "runs without `--no-network`")]
fn a_command_that_joins_a_view_is_confined_as_the_view_is_or_refused(
    #[case] first: &[&str],
    #[case] second: &[&str],
    #[case] expected: &str,
) {
    let Some(home) = home() else { return };
    let fixture = Fixture::new_in(home);
    if fixture.run(["run", "--confine", "--", "true"]).code == Some(125) {
        println!("skipped: there is no view here");
        return;
    }
    fs::create_dir(fixture.beside("outside")).expect("new");
    let mut agent = Agent::start_with(&fixture, first, "echo reached; read x");
    agent.reached();
    let script = format!("{TRY}try ../outside/new");
    let run = ["run", "--session", "agent"];
    let joined = fixture.run([&run, second, &["--", "sh", "-c", &script]].concat());
    if joined.code == Some(0) {
        assert_eq!(String::from_utf8_lossy(&joined.stdout), expected);
    } else {
        let refused = joined.expect(125);
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    agent.go_on();
    agent.end().expect(0);
    assert!(!fixture.beside("outside/new").exists());
}
