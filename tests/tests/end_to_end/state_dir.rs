//! A state directory that cannot be written is an error, and nothing changes.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use end_to_end::{Fixture, output};

/// `nobody` nearly everywhere; permissions mean nothing to root.
const SOMEBODY: u32 = 65534;

fn each(dir: &Path, act: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            each(&path, act);
        }
        act(&path);
    }
    act(dir);
}

#[test]
fn a_limit_on_the_size_of_files_fails_the_command_and_does_not_kill_it() {
    let stage = Fixture::new();
    stage.propose("before", "small\n");
    fs::write(stage.beside("big"), vec![b'x'; 4 << 20]).expect("ours");
    let mut command = Command::new("sh");
    let greenroom = stage.command(["propose", "big", "--from", "../big"]);
    command.arg("-c").arg("ulimit -f 1024; exec \"$@\"").arg("sh").arg(greenroom.get_program());
    command.args(greenroom.get_args()).current_dir(stage.workspace());
    for (name, value) in greenroom.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let ran: end_to_end::Ran = output(&mut command).into();
    let ran = ran.expect(1);
    assert!(ran.stderr.contains("File too large"), "{}", ran.stderr);
    assert_eq!(stage.pending(), 1, "what was staged before is there");
}

#[test]
fn a_state_directory_that_is_read_only_is_reported_and_the_workspace_stays_as_it_was() {
    let stage = Fixture::new();
    stage.write("a.txt", "old\n");
    stage.propose("a.txt", "new\n");
    let is_root = rustix::process::geteuid().is_root();
    let home = stage.workspace().parent().expect("all of it lies in one folder").to_owned();
    if is_root {
        each(&home, &mut |path| chown(path, Some(SOMEBODY), Some(SOMEBODY)).expect("as root"));
    }
    let command = |arguments: &[&str]| {
        let mut command = stage.command(arguments);
        if is_root {
            command.uid(SOMEBODY).gid(SOMEBODY);
        }
        command
    };
    // Where the tests were built may be out of somebody else's reach.
    let mut reached: Command = command(&["--version"]);
    match reached.stdout(std::process::Stdio::null()).status() {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            eprintln!("skipped: user {SOMEBODY} cannot run the command where it was built");
            return;
        }
        Err(error) => panic!("{error}"),
    }
    let before = stage.tree();
    let state = stage.state_dir();
    let allow = |file: u32, folder: u32| {
        each(&state, &mut |path| {
            let mode = if path.is_dir() { folder } else { file };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
        });
    };
    allow(0o400, 0o500);
    for arguments in [["propose", "b.txt", "--json"].as_slice(), &["apply", "--yes", "--json"]] {
        let ran: end_to_end::Ran = output(&mut command(arguments)).into();
        let ran = ran.expect(1);
        assert!(ran.json()["error"]["path"].is_null(), "no file of the user's is to blame");
        assert!(ran.stderr.contains("Permission denied"), "{}", ran.stderr);
        assert!(ran.stderr.contains(state.to_str().expect("plain")), "{}", ran.stderr);
        assert!(ran.stderr.contains("o file was changed"), "{}", ran.stderr);
    }
    let looked: end_to_end::Ran = output(&mut command(&["status", "--json"])).into();
    let sessions = looked.expect(0).json()["sessions"].clone();
    assert_eq!(sessions[0]["patches"].as_array().map(Vec::len), Some(1), "it can be looked at");
    assert_eq!(stage.tree(), before);
    allow(0o600, 0o700);
    let ran: end_to_end::Ran = output(&mut command(&["apply", "--yes"])).into();
    ran.expect(0);
    assert_eq!(stage.read("a.txt"), b"new\n", "nothing of the proposal was lost");
}
