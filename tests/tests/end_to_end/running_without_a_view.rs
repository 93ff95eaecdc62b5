//! `greenroom run` and `exec` on a machine that allows no namespaces: the command works in a copy at another
//! path. What holds there as in a view is tested beside the views.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use end_to_end::{Fixture, Ran, git, greenroom_binary, spawn, without_namespaces};
use rstest::rstest;

use crate::running::pending;

fn run(fixture: &Fixture, script: &str) -> Ran {
    fixture.run(["run", "--session", "agent", "--", "sh", "-c", script])
}

fn discard(fixture: &Fixture, path: &str) {
    let status = fixture.status();
    let patches = status["sessions"][0]["patches"].as_array().expect("a list").clone();
    let found = patches.iter().find(|patch| patch["path"] == path).expect("it is pending");
    fixture.run(["discard", found["id"].as_str().expect("an id"), "--yes"]).expect(0);
}

/// The working copy of the only session.
fn working_copy(fixture: &Fixture) -> PathBuf {
    let captures = fs::read_dir(fixture.state_dir().join("captures")).expect("there");
    let copies = captures.map(|capture| capture.expect("read").path().join("working-copy"));
    copies.into_iter().find(|copy| copy.is_dir()).expect("a command has worked in one")
}

#[test]
fn the_command_starts_in_the_copy_of_its_directory() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    fixture.write("d/f", "one\n");
    let mut command = fixture.command(["run", "--session", "agent", "--", "sh", "-c"]);
    let script =
        "[ \"$PWD\" = \"$(pwd -P)\" ] && pwd -P && cat f && mktemp > /dev/null && echo made";
    command.arg(script).current_dir(fixture.path("d"));
    let ran = Ran::from(end_to_end::output(&mut command)).expect(0);
    let expected = format!("{}/d\none\nmade\n", working_copy(&fixture).display());
    assert_eq!(String::from_utf8_lossy(&ran.stdout), expected);
    for part in
        ["works in a copy at `", "--security-opt seccomp=unconfined", "directly in them: `/"]
    {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
fn a_machine_whose_limit_of_namespaces_is_used_up_allows_no_view() {
    let fixture = Fixture::new();
    fixture.write("f", "one\n");
    let script = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"";
    let run = |arguments: &[&str]| {
        let plain = fixture.command(arguments);
        let mut command = std::process::Command::new("unshare");
        command.args(["-Ur", "sh", "-c", script, "-"]);
        command.arg(greenroom_binary()).args(arguments).current_dir(fixture.workspace());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::from(end_to_end::output(&mut command))
    };
    let ran = run(&["run", "--", "sh", "-c", "echo two >> f"]);
    if ran.code != Some(0) {
        println!("skipped: {}", ran.stderr);
        return;
    }
    assert!(ran.stderr.contains("Raise the limits `user.max_user_namespaces`"), "{}", ran.stderr);
    assert_eq!(fixture.read("f"), b"one\n");
    assert_eq!(pending(&fixture.status()), ["modify f"]);
    let found = run(&["doctor"]);
    let text = String::from_utf8_lossy(&found.stdout);
    assert!(text.contains("commands work in a copy of the workspace at another path"), "{found:?}");
}

#[rstest]
#[case::overlay(&["run", "--view", "overlay"], "cannot make user and mount namespaces")]
#[case::confined(&["run", "--confine"], "can only be confined in a view")]
#[case::no_network(&["exec", "--no-network"], "can only be confined in a view")]
fn what_is_only_possible_in_a_view_is_refused(#[case] arguments: &[&str], #[case] reason: &str) {
    let Some(fixture) = Fixture::with_view("without") else { return };
    fixture.propose("f", "two\n");
    let ran = fixture.run([arguments, &["--", "touch", "ran"]].concat()).expect(125);
    assert!(ran.stderr.contains(reason), "{}", ran.stderr);
    assert!(!fixture.path("ran").exists());
}

#[test]
fn what_landlock_does_not_refuse_is_reported_by_name() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    for name in ["mode", "times", "attributes", "nothing", "d/f"] {
        fixture.write(name, "one\n");
    }
    let here = fixture.workspace();
    let script = format!(
        "cd '{}'; chmod 600 mode; touch -d 2001-01-01 times; chown $(id -u) attributes; chmod 700 d; \
         echo x > d/new; echo x >> nothing",
        here.display()
    );
    let ran = run(&fixture, &script);
    for part in
        ["the mode of `d`, `mode`\n", "time of modification of `times`\n", "of `attributes`\n"]
    {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("nothing`"), "{}", ran.stderr);
    assert_eq!(fixture.read("nothing"), b"one\n");
    // What the user writes is no change of the command.
    fixture.write("nothing", "two\n");
    let again = run(&fixture, "true").expect(0);
    assert!(!again.stderr.contains("in the workspace itself"), "{}", again.stderr);
}

#[test]
fn an_unguarded_command_is_warned_of_and_what_it_writes_is_reported() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    fixture.write("f", "one\n");
    let script = format!(
        "cd '{}'; echo two >> f; echo new > new; '{}' apply --yes; echo $?; '{1}' status; echo $?",
        fixture.workspace().display(),
        greenroom_binary().display()
    );
    let arguments = ["run", "--unguarded", "--session", "agent", "--", "sh", "-c", &script];
    let ran = fixture.run(arguments).expect(0);
    assert_eq!(ran.stdout, b"4\n4\n");
    for part in [
        "nothing keeps the command from",
        "itself while the command ran: the content of `f`, `new`",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
fn a_session_stays_in_its_copy_where_a_view_is_possible_again() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    let Some(without) = Fixture::with_view("without") else { return };
    drop(without);
    fixture.write("f", "one\n");
    let in_copy = |script: &str| {
        let plain = fixture.command(["run", "--session", "agent", "--", "sh", "-c", script]);
        let mut command = std::process::Command::new(without_namespaces());
        command.arg(plain.get_program()).args(plain.get_args());
        command.current_dir(fixture.workspace()).env_clear().stdin(Stdio::null());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::from(end_to_end::output(&mut command))
    };
    in_copy("echo two >> f").expect(0);
    let ran = run(&fixture, "cat f; echo three >> f").expect(0);
    assert_eq!(ran.stdout, b"one\ntwo\n");
    assert!(ran.stderr.contains("as before"), "{}", ran.stderr);
    let arguments = ["run", "--view", "overlay", "--session", "agent", "--", "true"];
    let refused = fixture.run(arguments).expect(125);
    assert!(refused.stderr.contains("work in a copy"), "{}", refused.stderr);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("f"), b"one\ntwo\nthree\n");
}

#[test]
fn what_an_overlay_holds_is_in_a_copy_as_far_as_it_is_pending() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    let Some(without) = Fixture::with_view("without") else { return };
    drop(without);
    fixture.write(".gitignore", "cache\n");
    fixture.run(["run", "--session", "staged", "--", "sh", "-c", "echo x > n"]).expect(0);
    fixture.run(["run", "--session", "other", "--", "sh", "-c", "echo x > cache"]).expect(0);
    let cat = |session: &str| {
        let plain = fixture.command(["run", "--session", session, "--", "cat", "n"]);
        let mut command = std::process::Command::new(without_namespaces());
        command.arg(plain.get_program()).args(plain.get_args()).current_dir(fixture.workspace());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::from(end_to_end::output(&mut command))
    };
    let ran = cat("staged").expect(0);
    assert_eq!(ran.stdout, b"x\n");
    assert_eq!(pending(&fixture.status()), ["create n"]);
    // Private files of the session are only there.
    let refused = cat("other").expect(125);
    assert!(refused.stderr.contains("is in an overlay"), "{}", refused.stderr);
}

#[test]
fn a_copy_begins_with_what_is_pending_and_without_what_was_rejected() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    for (name, content) in
        [(".gitignore", "*.o\n"), ("f", "one\n"), ("d/a", "one\n"), ("e/a", "one\n")]
    {
        fixture.write(name, content);
    }
    // Of an earlier command, and of another door.
    run(&fixture, "echo two >> f; echo new > n; rm d/a; echo x > d/x.o; rm -r e").expect(0);
    let propose = ["propose", "p", "--session", "agent"];
    fixture.run_with(propose, b"proposed\n").expect(0);
    let all = ["create n", "create p", "delete d/a", "delete e/a", "modify f"];
    assert_eq!(pending(&fixture.status()), all);
    let ran = run(&fixture, "cat f n p d/x.o; ls d; ls -d e || :").expect(0);
    let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(printed, "one\ntwo\nnew\nproposed\nx\nx.o\n", "{}", ran.stderr);
    assert_eq!(pending(&fixture.status()), all, "nothing was changed");
    // A change of what is pending replaces its patch, which keeps its base.
    run(&fixture, "echo three >> f; echo more >> p").expect(0);
    assert_eq!(pending(&fixture.status()), all);
    // What was rejected is gone, and does not come back; private files stay.
    for path in ["n", "d/a", "e/a"] {
        discard(&fixture, path);
    }
    let ran = run(&fixture, "cat f p d/x.o d/a e/a; ls").expect(0);
    let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
    let expected = "one\ntwo\nthree\nproposed\nmore\nx\none\none\nd\ne\nf\np\n";
    assert_eq!(printed, expected, "{}", ran.stderr);
    assert_eq!(pending(&fixture.status()), ["create p", "modify f"]);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("f"), b"one\ntwo\nthree\n");
    assert_eq!(fixture.read("p"), b"proposed\nmore\n");
}

#[test]
fn what_was_rejected_does_not_come_back_after_a_kill_before_the_copy_is_renewed() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    fixture.write("f", "one\n");
    run(&fixture, "echo two >> f; echo new > n").expect(0);
    discard(&fixture, "n");
    // A run that ends between its preparation and the renewal of the copy leaves what this one leaves.
    let refused = fixture.run(["run", "--session", "agent", "--view", "overlay", "--", "true"]);
    refused.expect(125);
    assert_eq!(pending(&fixture.status()), ["modify f"]);
    let ran = run(&fixture, "cat f; ls").expect(0);
    assert_eq!(ran.stdout, b"one\ntwo\nf\n");
    assert_eq!(pending(&fixture.status()), ["modify f"]);
}

#[test]
fn a_repository_outside_is_not_written_to() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    let main = fixture.beside("main");
    fs::create_dir(&main).expect("new");
    git(&main, &["init", "--quiet", "--initial-branch=main"]);
    let commit =
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m"];
    git(&main, &[&commit[..], &["first"]].concat());
    fs::remove_dir_all(fixture.workspace()).expect("ours");
    let here = fixture.workspace();
    git(&main, &["worktree", "add", "--quiet", "-b", "topic", here.to_str().expect("plain")]);
    fixture.write("f", "one\n");
    let before = end_to_end::tree_of(&main);
    let script = format!(
        "git log --format=%s || exit 1; git add f; git {} second; git branch other; \
         git --git-dir='{}' update-ref refs/heads/third HEAD; git config a.b c; echo $?",
        commit.join(" "),
        main.join(".git").display()
    );
    let ran = run(&fixture, &script).expect(0);
    let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(printed.starts_with("first\n") && !printed.ends_with("\n0\n"), "{printed}");
    assert!(ran.stderr.contains("cannot write to it: it works in a copy"), "{}", ran.stderr);
    assert_eq!(end_to_end::tree_of(&main), before);
}

#[test]
fn ignored_files_of_a_copy_are_proposed_as_wanted() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    fixture.write(".gitignore", "out/\n*.o\n");
    fixture.write("out/there", "one\n");
    fixture.write("d/a", "one\n");
    let script = "echo two >> out/there; echo x > out/new; echo x > a.o; echo x > d/b.o";
    let arguments =
        ["run", "--session", "agent", "--propose-ignored", "out/", "--", "sh", "-c", script];
    fixture.run(arguments).expect(0);
    assert_eq!(pending(&fixture.status()), ["create out/new", "modify out/there"]);
    fixture.run(["propose", "a.o", "d", "--from-session", "agent"]).expect(0);
    let all = ["create a.o", "create d/b.o", "create out/new", "modify out/there"];
    assert_eq!(pending(&fixture.status()), all);
    let ran = run(&fixture, "cat a.o d/b.o out/new out/there").expect(0);
    assert_eq!(ran.stdout, b"x\nx\nx\none\ntwo\n");
    assert_eq!(pending(&fixture.status()), all);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("out/there"), b"one\ntwo\n");
}

#[test]
fn the_limit_of_a_layer_counts_what_commands_have_changed_in_the_copy() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    fixture.write("large", vec![b'x'; 9_000_000]);
    fixture.write(".gitignore", "out\n");
    fixture.configure("[limits]\nlayer_bytes_max = 3000000\n");
    run(&fixture, "head -c 2000000 /dev/zero | tr '\\0' x > out").expect(0);
    let layers = fixture.status()["layers"].clone();
    assert_eq!(layers[0]["bytes"], 2_000_000, "{layers}");
    assert!(layers[0]["copy_bytes"].as_u64() >= Some(9_000_000), "{layers}");
    run(&fixture, "head -c 2000000 /dev/zero | tr '\\0' x >> out; :");
    let refused = run(&fixture, "true").expect(125);
    assert!(refused.stderr.contains("have written 4.0 MB"), "{}", refused.stderr);
}

#[test]
fn the_copy_keeps_what_the_command_has_changed_and_follows_the_user_in_the_rest() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    for name in ["dir/a", "dir/b", "gone/a", "file", "merged/a", "link/a", "locked/a"] {
        fixture.write(name, "one\n");
    }
    fixture.write(".gitignore", "cache/\n");
    fixture.write("cache/kept", "one\n");
    let script = "rm -r gone dir link; echo file > dir; ln -s /tmp link; echo x > merged/mine; rm file
        mkdir file; echo x > file/x; echo agent > cache/kept; echo agent > cache/new; chmod 555 locked";
    run(&fixture, script).expect(0);
    let before = pending(&fixture.status());
    // The user goes on in the same places.
    for name in ["gone/user", "dir/user", "link/user", "merged/user", "locked/user", "cache/user"] {
        fixture.write(name, "user\n");
    }
    fs::remove_file(fixture.path("merged/a")).expect("there");
    let script = "cat dir; readlink link; cat merged/mine merged/user cache/kept cache/new cache/user \
        locked/user file/x gone/user; ls -d gone/a merged/a 2> /dev/null; stat -c %a locked";
    let ran = run(&fixture, script).expect(0);
    let expected = "file\n/tmp\nx\nuser\nagent\nagent\nuser\nuser\nx\nuser\n555\n";
    assert_eq!(String::from_utf8_lossy(&ran.stdout), expected);
    assert!(!std::path::Path::new("/tmp/user").exists(), "no link is followed");
    assert_eq!(pending(&fixture.status()), before);
    assert_eq!(fixture.read("cache/kept"), b"one\n");
}

#[test]
fn a_copy_that_was_not_finished_is_finished_and_no_change_is_made_up() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    for name in ["agents", "users", "removed"] {
        fixture.write(name, "one\n");
    }
    run(&fixture, "echo two >> agents; echo new > n").expect(0);
    let expected = ["create n", "modify agents"];
    assert_eq!(pending(&fixture.status()), expected);
    // It is killed while it brings the copy up to date: some is done, and the end is not recorded.
    let copy = working_copy(&fixture);
    let renewal = copy.with_file_name("renewal");
    fs::write(&renewal, r#"{"kept":["agents","n"],"restored":[]}"#).expect("ours");
    fixture.write("users", "two\n");
    fs::write(copy.join("users"), "tw").expect("ours");
    fs::remove_file(copy.join("removed")).expect("there");
    assert_eq!(pending(&fixture.status()), expected);
    let ran = run(&fixture, "cat agents users removed n").expect(0);
    assert_eq!(ran.stdout, b"one\ntwo\ntwo\none\nnew\n");
    assert_eq!(pending(&fixture.status()), expected);
    assert_eq!(fs::read_to_string(renewal).expect("there"), "null");
}

#[test]
fn what_a_command_has_written_survives_the_kill_of_its_keeper() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    fixture.write("f", "one\n");
    let script = "echo two >> f; echo new > n; echo $PPID; echo reached; sleep 1000";
    let mut command = fixture.command(["run", "--session", "agent", "--", "sh", "-c", script]);
    let mut run = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut output = BufReader::new(run.stdout.take().expect("piped")).lines();
    let keeper = output.next().expect("a line").expect("it lives");
    assert_eq!(output.next().expect("a line").expect("it lives"), "reached");
    let keeper = keeper.parse().ok().and_then(rustix::process::Pid::from_raw).expect("an id");
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).expect("it lives");
    assert_ne!(run.wait().expect("it ends").code(), Some(0));
    let status = fixture.run(["status", "--json"]).expect(0);
    assert_eq!(pending(&status.json()), ["create n", "modify f"], "{}", status.stderr);
    assert_eq!(fixture.read("f"), b"one\n");
}

#[test]
fn a_trial_starts_from_the_workspace_and_keeps_ignored_outputs() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    for (name, content) in [(".gitignore", "cache\n"), ("f", "one\n"), ("d/e", "one\n")] {
        fixture.write(name, content);
    }
    fixture.propose("f", "two\n");
    fixture.propose("new/g", "new\n");
    let script = "cat f new/g d/e; echo x >> cache; wc -l < cache; rm -r d; echo x > f; echo x > o";
    for round in 1..3 {
        let ran = fixture.run(["exec", "--", "sh", "-c", script]).expect(0);
        let expected = format!("two\nnew\none\n{round}\n");
        assert_eq!(String::from_utf8_lossy(&ran.stdout), expected, "{}", ran.stderr);
        assert!(ran.stderr.contains("that the command changed: d, d/e, f, o\n"), "{}", ran.stderr);
    }
    // A patch that is gone is not in the next trial.
    fixture.run(["discard", "p2", "--yes"]).expect(0);
    let ran = fixture.run(["exec", "--", "sh", "-c", "cat f; ls"]).expect(0);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "two\ncache\nd\nf\n");
}

#[test]
fn a_working_copy_is_no_workspace() {
    let Some(fixture) = Fixture::with_view("without") else { return };
    git(&fixture.workspace(), &["status"]);
    run(&fixture, "echo x > n; chmod 700 .").expect(0);
    let copy = working_copy(&fixture);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).expect("ours");
    let mut command = fixture.command(["status"]);
    let refused = Ran::from(end_to_end::output(command.current_dir(copy))).expect(4);
    assert!(refused.stderr.contains("is in the state directory"), "{}", refused.stderr);
}
