//! `run` and `exec` on machines that refuse something: namespaces, files, room.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::chown;

use end_to_end::{Fixture, Ran};
use rstest::rstest;

use crate::running::pending;
use crate::users::{Someone, as_everyone, has_programs, home};

/// Starts what follows where no user namespace can be made any more.
const NO_NAMESPACES: &[&str] = &[
    "unshare",
    "-Ur",
    "sh",
    "-c",
    "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"",
];

/// Starts what follows with a filter that refuses `unshare` and `mount`, as Docker's does. seccomp(2)
const DOCKER: &[&str] = &[
    "perl",
    "-e",
    r#"my @filter = ([0x20, 0, 0, 0], [0x15, 2, 0, 272], [0x15, 1, 0, 165], [6, 0, 0, 0x7fff0000], [6, 0, 0, 0x50001]);
    my $program = join "", map { pack "SCCL", @$_ } @filter;
    syscall(157, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!";
    syscall(157, 22, 2, pack("S x6 P", scalar @filter, $program)) == 0 or die "seccomp: $!";
    exec @ARGV or die $!"#,
];

#[rstest]
#[case::without_namespaces(NO_NAMESPACES, "user.max_user_namespaces")]
#[case::with_the_filter_of_docker(DOCKER, "--security-opt seccomp=unconfined")]
fn a_machine_that_refuses_namespaces_is_named_and_has_no_overlay(
    #[case] machine: &[&str],
    #[case] remedy: &str,
) {
    if machine == DOCKER && !cfg!(target_arch = "x86_64") {
        println!("skipped: the filter is one for x86_64");
        return;
    }
    let Some(home) = home().filter(|_| has_programs(&[machine[0]])) else { return };
    as_everyone(home, |someone| {
        someone.fixture.write("f", "one\n");
        someone.give();
        someone.shell(&[], "echo two >> f").expect(0);
        let before = someone.fixture.tree();
        for command in ["run", "exec"] {
            let place = someone.fixture.beside("home/ran");
            let place_name = place.to_str().expect("plain");
            let arguments = [command, "--view", "overlay", "--", "touch", place_name];
            let ran = someone.started_by(machine, &arguments).expect(125);
            assert!(
                ran.stderr.contains("cannot make user and mount namespaces"),
                "{command}: {}",
                ran.stderr
            );
            assert!(ran.stderr.contains(remedy), "{command}: {}", ran.stderr);
            assert!(!place.exists(), "{command}: something ran");
        }
        // Where no overlay is asked for, the command works in a copy.
        for command in [&["exec"][..], &["run", "--session", "other"]] {
            let script = ["--", "sh", "-c", "cat f; echo x > made"];
            let ran = someone.started_by(machine, &[command, &script].concat()).expect(0);
            assert!(ran.stderr.contains("works in a copy at `"), "{command:?}: {}", ran.stderr);
            assert!(ran.stderr.contains(remedy), "{command:?}: {}", ran.stderr);
        }
        assert_eq!(someone.fixture.tree(), before);
        let status = someone.greenroom(&["status", "--json"]).expect(0).json();
        assert_eq!(pending(&status), ["create made", "modify f"], "what is pending stays");
    });
}

#[test]
fn a_file_of_another_user_is_named_and_the_rest_is_held_back() {
    let Some(home) = home() else { return };
    as_everyone(home, |someone| {
        if !rustix::process::getuid().is_root() || someone.is_own() {
            println!("skipped: root gives a file away, and an ordinary user runs the command");
            return;
        }
        someone.fixture.write("theirs", "one\n");
        someone.fixture.write("ours", "one\n");
        someone.give();
        chown(someone.fixture.path("theirs"), Some(0), Some(0)).expect("root");
        fs::set_permissions(someone.fixture.path("theirs"), fs::Permissions::from_mode(0o666))
            .expect("root");
        let ran = someone.shell(&[], "cat theirs; echo two >> ours; { echo x >> theirs; } 2>&1; :");
        let ran = ran.expect(0);
        let named = "of another user or group, so that the command cannot write it: `theirs`";
        assert!(ran.stderr.contains(named), "{}", ran.stderr);
        let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(printed.starts_with("one\n") && printed.contains("Value too large"), "{printed}");
        assert_eq!(someone.fixture.read("theirs"), b"one\n");
        let status = someone.greenroom(&["status", "--json"]).expect(0).json();
        assert_eq!(pending(&status), ["modify ours"]);
    });
}

/// Runs a script that has the state on a small disk, in which `$GR` is the command.
fn on_a_small_disk(someone: &Someone, bytes: &str, script: &str) -> Ran {
    fs::create_dir(someone.fixture.beside("small")).expect("new");
    someone.give();
    let script = format!(
        "set -e; mount -t tmpfs -o size={bytes},mode=0700 none ../small
        export GREENROOM_STATE_DIR=\"$PWD/../small\"; GR=\"$1\"
        {script}"
    );
    let machine = ["unshare", "-Urm", "sh", "-c", &script, "-"];
    someone.started_by(&machine, &[])
}

#[test]
fn a_command_that_fills_the_disk_gets_an_error_and_its_other_files_are_staged() {
    let Some(home) = home().filter(|_| has_programs(&["unshare", "mount"])) else { return };
    as_everyone(home, |someone| {
        someone.fixture.write("f", "one\n");
        let script = r#""$GR" run --session agent -- sh -c '
            echo kept > kept; echo two >> f; head -c 20000000 /dev/zero > large && exit 9; rm large; :'
        "$GR" diff | grep '^[+]'; cat f"#;
        let ran = on_a_small_disk(someone, "6m", script).expect(0);
        assert!(ran.stderr.contains("No space left on device"), "{}", ran.stderr);
        let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(printed, "+++ b/f\n+two\n+++ b/kept\n+kept\none\n", "{}", ran.stderr);
    });
}

#[test]
fn what_cannot_be_staged_on_a_full_disk_is_staged_when_there_is_room() {
    let Some(home) = home().filter(|_| has_programs(&["unshare", "mount"])) else { return };
    as_everyone(home, |someone| {
        someone.fixture.write("f", "one\n");
        // What the command leaves fills the disk, and the store has no room for any of it.
        let script = r#"head -c 4000000 /dev/zero > ../small/ballast
        "$GR" run --session agent -- sh -c '
            echo two >> f; echo new > new; head -c 20000000 /dev/zero > large; :'
        cat f; rm ../small/ballast
        "$GR" cat f --session agent; "$GR" cat new --session agent; cat f"#;
        let ran = on_a_small_disk(someone, "8m", script).expect(0);
        let kept = "what the command wrote is kept: the next `greenroom` command stages it";
        assert!(ran.stderr.contains(kept), "{}", ran.stderr);
        let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(printed, "one\none\ntwo\nnew\none\n", "{}", ran.stderr);
    });
}

#[test]
fn a_session_s_limit_of_patches_is_reported_and_nothing_is_lost() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    let files: u32 = std::env::var("FILES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let script = format!("mkdir d; cd d; seq {files} | split -l 1 -a 5 - f");
    fixture.configure(&format!("[limits]\nsession_patches_max = {}\n", files - 1));
    let ran = fixture.run(["run", "--session", "agent", "--", "sh", "-c", &script]).expect(0);
    assert!(ran.stderr.contains("a session has pending is limited to"), "{}", ran.stderr);
    assert_eq!(fixture.pending(), 0, "all or none");
    fixture.configure(&format!("[limits]\nsession_patches_max = {files}\n"));
    assert_eq!(fixture.pending(), files as usize, "the next command stages it");
}
