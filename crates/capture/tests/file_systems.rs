//! A view on file systems of other kinds, which the test mounts in a namespace of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

mod support;

use std::error::Error;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use support::{Fixture, HELPER, Outcome, code, lines};

/// Runs a script as a user who may mount. The fixture's directories are `$W` and `$S`, the program
/// that runs a command in a view is `$H`.
fn with_mounts(fixture: &Fixture, script: &str) -> Result<Output, Box<dyn Error>> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-e", "-c", script]);
    command.env("H", HELPER).env("W", &fixture.workspace).env("S", &fixture.state);
    Ok(command.current_dir("/").output()?)
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_full_upper_directory_is_an_error_for_the_command_and_loses_nothing() -> Outcome {
    let Some(fixture) = Fixture::new(&[("a", "real\n")])? else { return Ok(()) };
    let script = "mount -t tmpfs -o size=256k x \"$S\"; mkdir \"$S/upper\" \"$S/work\"
        \"$H\" run \"$S\" \"$W\" -- sh -c 'cd \"$W\"; echo kept > kept; echo more >> a
            ! head -c 1000000 /dev/zero > large || exit 9; rm large; echo after > after'
        cat \"$S/upper/kept\" \"$S/upper/a\" \"$S/upper/after\"";
    let output = with_mounts(&fixture, script)?;
    assert!(error(&output).contains("No space left on device"), "{}", error(&output));
    assert_eq!(lines(&output.stdout), ["kept", "real", "more", "after"], "{}", error(&output));
    assert_eq!(fixture.read("a"), "real\n");
    Ok(())
}

/// As in a container, whose root is an overlay.
#[test]
fn a_workspace_on_an_overlay_can_be_shown() -> Outcome {
    let Some(fixture) = Fixture::new(&[("a", "real\n")])? else { return Ok(()) };
    let script = "mkdir \"$S/u\" \"$S/w\"; cd \"$S\"; ln -s \"$W\" l
        mount -t overlay -o userxattr,lowerdir=l,upperdir=u,workdir=w x \"$W\"; cd /
        \"$H\" run \"$S\" \"$W\" -- sh -c 'echo more >> \"$W/a\"; cat \"$W/a\"'; cat \"$W/a\"";
    let output = with_mounts(&fixture, script)?;
    assert_eq!(lines(&output.stdout), ["real", "more", "real"], "{}", error(&output));
    assert_eq!(fixture.read_upper("a"), "real\nmore\n");
    Ok(())
}

#[test]
fn a_state_directory_on_an_overlay_is_refused_with_the_remedy() -> Outcome {
    let Some(fixture) = Fixture::new(&[("a", "real\n")])? else { return Ok(()) };
    let script = "cd \"$W/..\"; mkdir u w; mount -t tmpfs x w; mkdir w/u w/w
        mount -t overlay -o userxattr,lowerdir=state,upperdir=w/u,workdir=w/w x state; cd /
        \"$H\" probe \"$S\" 2>&1 || :; \"$H\" run \"$S\" \"$W\" -- true";
    let output = with_mounts(&fixture, script)?;
    assert_eq!(code(&output), Some(125));
    assert_eq!(lines(&output.stdout), ["Create Some(22) MoveState"]);
    assert!(error(&output).starts_with("cannot make the overlay: overlay: "), "{}", error(&output));
    Ok(())
}

/// git reads a file again when its index and the stat of the file differ.
#[test]
fn git_trusts_its_index_in_a_view() -> Outcome {
    let files: Vec<String> = (0..20).map(|number| format!("tracked-{number}")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), "x\n")).collect();
    let Some(fixture) = Fixture::new(&files)? else { return Ok(()) };
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        Command::new("git").args(identity).args(arguments).current_dir(&fixture.workspace).output()
    };
    // What changed in the second of the index is read again anywhere.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for (name, _) in &files {
        let file = std::fs::File::options().append(true).open(fixture.workspace.join(name))?;
        file.set_modified(long_ago)?;
    }
    for arguments in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "all"]] {
        let output = git(arguments)?;
        assert!(output.status.success(), "{}", error(&output));
    }
    std::fs::write(fixture.workspace.join("untracked"), "x\n")?;
    let script = "strace -f -e trace=open,openat -o trace git status --porcelain; cat trace";
    let output = fixture.shell(script)?;
    let opened = output.lines().filter(|line| line.contains("\"tracked-")).count();
    assert!(output.contains("?? untracked"), "git ran: {output}");
    assert!(output.contains("/index\""), "strace ran: {output}");
    assert_eq!(opened, 0, "{output}");
    Ok(())
}
