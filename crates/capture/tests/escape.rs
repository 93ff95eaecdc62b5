//! What a command in a view may try to reach the real workspace or the state directory.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rstest::rstest;
use support::{Fixture, HELPER, Outcome, code, lines};

/// Checks that nothing of a fixture has changed but the upper directory.
fn check_untouched(fixture: &Fixture) -> Outcome {
    assert_eq!(fixture.read("a"), "real\n");
    assert_eq!(fs::read_to_string(fixture.state.join("secret"))?, "real\n");
    assert!(!fixture.workspace.join("escaped").exists());
    assert!(!fixture.state.join("escaped").exists());
    Ok(())
}

fn fixture() -> Result<Option<Fixture>, Box<dyn std::error::Error>> {
    let Some(fixture) = Fixture::new(&[("a", "real\n"), ("sub/b", "real\n")])? else {
        return Ok(None);
    };
    fs::write(fixture.state.join("secret"), "real\n")?;
    Ok(Some(fixture))
}

/// Each script has the workspace in `$W`, the state directory in `$S`, and the process that
/// started the view, outside of it, in `$PPID`'s parent `$P`. Each tries to succeed.
#[rstest]
#[case::unmount_the_view("umount \"$W\"")]
#[case::unmount_the_view_lazily("umount -l \"$W\"")]
#[case::unmount_the_mask("umount -l \"$S\"")]
#[case::remount_the_mask("mount -o remount,rw \"$S\"")]
#[case::remount_the_mask_nested("unshare -Urm mount -o remount,rw \"$S\"")]
#[case::remount_the_mask_nested_as_bind(
    "unshare -Urm mount -o remount,bind,rw \"$S\" && echo x > \"$S/escaped\""
)]
#[case::write_into_the_mask("echo x > \"$S/escaped\"")]
#[case::read_the_state("cat \"$S/secret\"")]
#[case::read_the_upper_directory("ls \"$S/upper\"")]
#[case::unmount_nested("unshare -Urm umount \"$W\"")]
#[case::unmount_lazily_nested("unshare -Urm umount -l \"$W\"")]
#[case::unmount_the_mask_nested("unshare -Urm umount -l \"$S\"")]
#[case::look_below_by_a_bind_mount(
    "unshare -Urm sh -c 'mkdir \"$W/m\"; mount --bind \"$W/..\" \"$W/m\"'"
)]
#[case::look_below_by_a_bind_mount_of_the_root(
    "unshare -Urm sh -c 'mkdir \"$W/m\"; mount --bind / \"$W/m\"'"
)]
#[case::root_of_the_process_outside("ls /proc/$P/root/")]
#[case::directory_of_the_process_outside("ls /proc/$P/cwd/")]
#[case::write_by_the_root_outside("echo x > \"/proc/$P/root$W/escaped\"")]
#[case::descriptors_outside("readlink /proc/$P/fd/0")]
#[case::memory_outside("head -c 1 /proc/$P/mem")]
#[case::environment_outside("cat /proc/$P/environ")]
#[case::root_of_the_keeper("ls /proc/$PPID/root/")]
#[case::descriptors_of_the_keeper("readlink /proc/$PPID/fd/0")]
#[case::memory_of_the_keeper("head -c 1 /proc/$PPID/mem")]
#[case::enter_the_namespaces_outside("nsenter -t $P -U -m --preserve-credentials true")]
#[case::enter_the_mounts_outside("nsenter -t $P -m true")]
#[case::enter_the_mounts_of_the_keeper("nsenter -t $PPID -m true")]
fn every_way_out_is_refused(#[case] script: &str) -> Outcome {
    let Some(fixture) = fixture()? else { return Ok(()) };
    // A program must be refused, not missing.
    let refused = "export W S P; P=$(sed 's/.*) . \\([0-9]*\\) .*/\\1/' /proc/$PPID/stat)
        echo before > \"$W/ran\"; (eval \"$SCRIPT\"); code=$?
        if [ $code = 127 ]; then exit 0; fi; exit $code";
    let output = fixture
        .helper(&["sh", "-c", refused])
        .env("W", &fixture.workspace)
        .env("S", &fixture.state)
        .env("SCRIPT", script)
        .output()?;
    assert_ne!(code(&output), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(fixture.read_upper("ran"), "before\n", "the script ran in the view");
    check_untouched(&fixture)
}

#[test]
fn a_command_may_make_namespaces_of_its_own_and_stays_in_the_view() -> Outcome {
    let Some(fixture) = fixture()? else { return Ok(()) };
    let script = "unshare -Urm sh -c 'echo nested > a && mount -t tmpfs x sub && echo x > sub/b'
        cat a sub/b";
    let printed = fixture.shell(script)?;
    assert_eq!(lines(printed.as_bytes()), ["nested", "real"]);
    assert_eq!(fixture.read_upper("a"), "nested\n");
    check_untouched(&fixture)
}

/// Runs a script with mounts of its own, as a user who may mount, then a view in it.
fn with_mounts(fixture: &Fixture, script: &str) -> Result<Output, Box<dyn std::error::Error>> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-e", "-c", script]);
    command.env("H", HELPER).env("W", &fixture.workspace).env("S", &fixture.state);
    let other = fixture.outside("other");
    fs::create_dir(&other)?;
    fs::write(fixture.outside("file"), "")?;
    Ok(command.env("O", other).env("F", fixture.outside("file")).output()?)
}

fn check_passed(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Every case mounts something at `$O` or `$F`, and writes there in the view.
#[rstest]
#[case::the_workspace(
    "mount --bind \"$W\" \"$O\"",
    "echo x > \"$O/a\"; echo x > \"$O/escaped\"",
    "a"
)]
#[case::a_directory_above("mount --bind \"$W/..\" \"$O\"", "echo x > \"$O/workspace/a\"", "a")]
#[case::a_directory_below("mount --bind \"$W/sub\" \"$O\"", "echo x > \"$O/b\"", "sub/b")]
#[case::a_file("mount --bind \"$W/sub/b\" \"$F\"", "echo x > \"$F\"", "sub/b")]
#[case::twice("mount --bind \"$W\" \"$O\"; mount --bind \"$O\" \"$O\"", "echo x > \"$O/a\"", "a")]
fn another_mount_of_the_workspace_leads_into_the_view(
    #[case] mounts: &str,
    #[case] write: &str,
    #[case] written: &str,
) -> Outcome {
    let Some(fixture) = fixture()? else { return Ok(()) };
    let script = format!("{mounts}; cd /; exec \"$H\" run \"$S\" \"$W\" -- sh -ec '{write}'");
    check_passed(&with_mounts(&fixture, &script)?);
    assert_eq!(fixture.read_upper(written), "x\n");
    assert_eq!(fixture.read("sub/b"), "real\n");
    check_untouched(&fixture)
}

#[rstest]
#[case::the_state_directory("mount --bind \"$S\" \"$O\"", "cat \"$O/secret\"")]
#[case::a_directory_above("mount --bind \"$S/..\" \"$O\"", "cat \"$O/state/secret\"")]
#[case::a_directory_below("mount --bind \"$S/upper\" \"$O\"", "echo x > \"$O/escaped\"")]
#[case::a_file("mount --bind \"$S/secret\" \"$F\"", "grep real \"$F\"")]
fn another_mount_of_the_state_directory_is_hidden(
    #[case] mounts: &str,
    #[case] read: &str,
) -> Outcome {
    let Some(fixture) = fixture()? else { return Ok(()) };
    // The script works outside of the view.
    let script = format!(
        "{mounts}; sh -c '{read}'; rm -f \"$S/upper/escaped\"; cd /
        exec \"$H\" run \"$S\" \"$W\" -- sh -c '! {{ {read}; }} 2> /dev/null'"
    );
    check_passed(&with_mounts(&fixture, &script)?);
    assert!(fixture.upper()?.is_empty());
    check_untouched(&fixture)
}

#[test]
fn a_mount_below_the_workspace_is_refused_by_its_name() -> Outcome {
    let Some(fixture) = fixture()? else { return Ok(()) };
    let script = "mount -t tmpfs x \"$W/sub\"; cd /; \"$H\" run \"$S\" \"$W\" -- true";
    let output = with_mounts(&fixture, script)?;
    assert_eq!(code(&output), Some(125));
    let sub = fixture.workspace.join("sub");
    let expected = format!(
        "cannot show what is mounted below the workspace: `{}` is a mount, and no overlay can show it",
        sub.display()
    );
    assert_eq!(lines(&output.stderr), [expected]);
    Ok(())
}

/// Without the filter, the answer is that standard input is no terminal. The numbers are those of
/// `errno`.
#[rstest]
#[case::native("native", &["1"])]
#[case::with_high_bits("high", &["1"])]
#[case::x32("x32", &["1"])]
// A kernel without 32-bit programs ends one.
#[case::i386("i386", &["1", "killed"])]
fn nothing_is_typed_into_the_terminal(#[case] way: &str, #[case] expected: &[&str]) -> Outcome {
    if way != "native" && way != "high" && !cfg!(target_arch = "x86_64") {
        println!("skipped: this processor has one way into the kernel");
        return Ok(());
    }
    let Some(fixture) = fixture()? else { return Ok(()) };
    for request in ["TIOCSTI", "TIOCLINUX"] {
        let outside = Command::new(HELPER).args(["type", way, request]).output()?;
        let inside = fixture.helper(&[HELPER, "type", way, request]).output()?;
        let answer = |output: &Output| match code(output) {
            Some(0) => lines(&output.stdout).concat(),
            _ => "killed".to_owned(),
        };
        assert!(expected.contains(&answer(&inside).as_str()), "{way}: {}", answer(&inside));
        // A test that runs in a view has the filter already.
        if !is_filtered()? {
            assert_ne!(answer(&outside), "1", "{way}: outside, the kernel has another reason");
        }
    }
    // Every other request goes through.
    let printed = fixture.helper(&[HELPER, "type", way, "TCGETS"]).output()?;
    assert_ne!(lines(&printed.stdout), ["1"]);
    assert!(Path::new("/proc/self/ns/user").exists());
    Ok(())
}

/// Whether this process has a filter of system calls. proc_pid_status(5)
fn is_filtered() -> Result<bool, Box<dyn std::error::Error>> {
    Ok(std::fs::read_to_string("/proc/self/status")?.lines().any(|line| line == "Seccomp:\t2"))
}
