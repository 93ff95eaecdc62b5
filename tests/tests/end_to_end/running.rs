//! `greenroom run`: what a command writes becomes patches, and nothing else is changed.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use end_to_end::{Fixture, Ran, git, spawn};
use rstest::rstest;
use serde_json::Value;

fn shell(fixture: &Fixture, script: &str) -> Ran {
    fixture.run(["run", "--session", "agent", "--", "sh", "-c", script])
}

/// The path and the operation of each pending patch, sorted.
pub(crate) fn pending(status: &Value) -> Vec<String> {
    let sessions = status["sessions"].as_array().expect("a list");
    let patches = sessions.iter().flat_map(|session| session["patches"].as_array()).flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines: Vec<String> = patches
        .map(|patch| format!("{} {}", text(&patch["operation"]), text(&patch["path"])))
        .collect();
    lines.sort_unstable();
    lines
}

/// A command that waits for the test after each line that it prints.
pub(crate) struct Agent {
    run: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Agent {
    pub(crate) fn start(fixture: &Fixture, script: &str) -> Self {
        Self::start_in(fixture, "auto", script)
    }

    pub(crate) fn start_in(fixture: &Fixture, view: &str, script: &str) -> Self {
        Self::start_with(fixture, &["--view", view], script)
    }

    pub(crate) fn start_with(fixture: &Fixture, options: &[&str], script: &str) -> Self {
        Self::start_as(fixture, "agent", options, script)
    }

    pub(crate) fn start_as(
        fixture: &Fixture,
        session: &str,
        options: &[&str],
        script: &str,
    ) -> Self {
        let run = ["run", "--session", session];
        let arguments = [&run, options, &["--", "sh", "-c", script]].concat();
        let mut command = fixture.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = spawn(&mut command);
        let input = run.stdin.take().expect("it is piped");
        let output = BufReader::new(run.stdout.take().expect("it is piped"));
        Self { run, input, output }
    }

    /// The process of `run`.
    pub(crate) fn id(&self) -> u32 {
        self.run.id()
    }

    /// Waits for its next line.
    pub(crate) fn reached(&mut self) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it lives");
        assert_eq!(line, "reached\n");
    }

    pub(crate) fn go_on(&mut self) {
        self.input.write_all(b"\n").expect("it waits");
    }

    pub(crate) fn end(self) -> Ran {
        drop(self.input);
        self.run.wait_with_output().expect("it ends").into()
    }
}

/// Lets the clock of the file system tick on, so that two changes have two times.
pub(crate) fn tick() {
    thread::sleep(Duration::from_millis(50));
}

#[rstest]
fn what_a_shell_writes_is_staged_and_the_disk_is_as_it_was(
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    for (name, content) in
        [(".gitignore", "target/\n"), ("a", "one\n"), ("b", "one\n"), ("d/e/f", "one\n"), ("m", "")]
    {
        fixture.write(name, content);
    }
    fixture.write("target/old", "object\n");
    git(&fixture.workspace(), &["add", "."]);
    let commit = "-c user.name=a -c user.email=a@b commit --quiet -m first";
    git(&fixture.workspace(), &commit.split(' ').collect::<Vec<_>>());
    let before = fixture.tree();
    let ran = shell(
        &fixture,
        "set -e
        echo two >> a; rm b; rm -r d; echo file > d; chmod 755 m; mkdir -p new/deep empty
        echo x > new/deep/g; ln -s a link; mkfifo fifo; echo object > target/new
        sed -i s/object/changed/ target/old; touch .gitignore
        git -c user.name=a -c user.email=a@b commit --quiet -am inside; exit 3",
    )
    .expect(3);
    assert_eq!(fixture.tree(), before);
    let status = fixture.run(["status", "--json"]).expect(0);
    let expected = [
        "create d",
        "create empty",
        "create link",
        "create new/deep/g",
        "delete b",
        "delete d/e/f",
        "mode m",
        "modify a",
    ];
    assert_eq!(pending(&status.json()), expected);
    for part in [
        "s2: 8 patches pending (4 create, 1 modify, 2 delete, 1 mode), signature ",
        "not proposed: `fifo`: a socket, a FIFO or a device\n",
        "2 ignored files (15 bytes) stay in the session; changed: target/old\n",
        "commits are not proposed, files are\n",
    ] {
        assert!(ran.stderr.contains(part), "{part}{}", ran.stderr);
    }
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("a"), b"one\ntwo\n");
    assert_eq!(fixture.read("d"), b"file\n");
    assert_eq!(fixture.mode("m"), 0o755);
    assert!(fixture.path("empty").is_dir() && !fixture.path("b").exists());
    let after = fixture.run(["status", "--json"]).expect(0);
    assert_eq!(pending(&after.json()), [""; 0], "{}", after.stderr);
    assert!(!after.stderr.contains("stale"), "{}", after.stderr);
}

#[rstest]
#[case::success(&["true"], 0)]
#[case::failure(&["sh", "-c", "exit 42"], 42)]
#[case::killed(&["sh", "-c", "kill -TERM $$"], 143)]
#[case::not_found(&["no-such-program"], 127)]
#[case::not_executable(&["./file"], 126)]
fn the_exit_code_is_the_command_s(
    #[case] command: &[&str],
    #[case] code: i32,
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("file", "no program");
    fixture.run([&["run", "--"], command].concat()).expect(code);
}

#[rstest]
fn a_session_goes_on_where_its_last_command_ended(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write(".gitignore", "cache\n");
    fixture.write("f", "one\n");
    shell(&fixture, "echo two >> f; echo kept > cache; echo new > n").expect(0);
    let ran = shell(&fixture, "cat f cache n; echo three >> f; rm n").expect(0);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "one\ntwo\nkept\nnew\n");
    assert_eq!(pending(&fixture.status()), ["modify f"]);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("f"), b"one\ntwo\nthree\n");
    // The file on the disk is the session's own now.
    shell(&fixture, "echo four >> f").expect(0);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("f"), b"one\ntwo\nthree\nfour\n");
}

#[rstest]
fn a_command_that_writes_nothing_leaves_nothing_pending(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    shell(&fixture, "touch f; chmod 600 f; chmod 644 f; exec 3<> f; echo x > t; rm t").expect(0);
    let status = fixture.run(["status", "--json"]).expect(0);
    assert_eq!(pending(&status.json()), [""; 0]);
    assert!(!status.stderr.contains("stale"), "{}", status.stderr);
}

#[test]
fn what_was_applied_and_goes_with_its_directory_is_proposed() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    fixture.write("d/old", "one\n");
    shell(&fixture, "echo two > d/new; mkdir e; echo two > e/new").expect(0);
    fixture.run(["apply", "--yes"]).expect(0);
    shell(&fixture, "rm -r d e").expect(0);
    assert_eq!(pending(&fixture.status()), ["delete d/new", "delete d/old", "delete e/new"]);
    fixture.run(["apply", "--yes"]).expect(0);
    assert!(!fixture.path("d").exists() && !fixture.path("e").exists());
}

#[rstest]
fn what_the_user_puts_into_a_directory_that_the_command_has_removed_stays(
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("d/a", "one\n");
    shell(&fixture, "rm -r d").expect(0);
    assert_eq!(pending(&fixture.status()), ["delete d/a"]);
    fixture.write("d/a", "user\n");
    fixture.write("d/new", "user\n");
    shell(&fixture, "true").expect(0);
    assert_eq!(pending(&fixture.status()), [""; 0]);
}

#[rstest]
fn an_ignore_rule_of_the_command_hides_nothing(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("src/f", "one\n");
    shell(&fixture, "echo 'src/' > .gitignore; echo two >> src/f; echo two > src/new").expect(0);
    let status = fixture.status();
    assert_eq!(pending(&status), ["create .gitignore", "create src/new", "modify src/f"]);
}

#[rstest]
fn nothing_inside_decides_or_reaches_the_state(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    fixture.propose("f", "proposed\n");
    let greenroom = end_to_end::greenroom_binary();
    let script = format!(
        "for command in 'apply --yes' 'undo --yes' 'discard --yes' status 'run -- true'; do
            '{0}' $command 2>/dev/null; echo $?
        done
        ls {1}; cat {1}/*/store.sqlite 2>&1 | grep -cE 'Permission denied|No such file'
        touch {1}/x 2>/dev/null || echo refused; touch {2}/x 2>/dev/null || echo refused",
        greenroom.display(),
        fixture.beside("state").display(),
        fixture.beside("config/greenroom").display(),
    );
    let ran = shell(&fixture, &script).expect(0);
    let state = fixture.state_dir();
    let state = state.file_name().and_then(|name| name.to_str()).expect("text");
    let listed = if view == "without" { state } else { "inside" };
    let expected = format!("4\n4\n4\n4\n125\n{listed}\n1\nrefused\nrefused\n");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), expected);
    assert_eq!(fixture.read("f"), b"one\n");
    assert_eq!(pending(&fixture.status()), ["modify f"]);
}

#[rstest]
fn another_terminal_sees_and_applies_what_was_written_so_far(
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    fixture.write("g", "one\n");
    let mut agent = Agent::start(
        &fixture,
        "echo two >> f; echo reached; read x; echo three >> f; echo two >> g; echo reached; read x",
    );
    agent.reached();
    assert_eq!(pending(&fixture.status()), ["modify f"]);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("f"), b"one\ntwo\n");
    agent.go_on();
    agent.reached();
    let status = fixture.run(["status", "--json"]).expect(0);
    assert_eq!(pending(&status.json()), ["modify f", "modify g"], "{}", status.stderr);
    agent.go_on();
    agent.end().expect(0);
    assert_eq!(fixture.read("f"), b"one\ntwo\n");
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("f"), b"one\ntwo\nthree\n");
}

/// How the user saves a file.
fn save(fixture: &Fixture, name: &str, content: &str, by_rename: bool) {
    tick();
    if by_rename {
        fixture.write("beside~", content);
        fs::rename(fixture.path("beside~"), fixture.path(name)).expect("saved");
    } else {
        fixture.write(name, content);
    }
    tick();
}

#[rstest]
#[case::before_the_copy_in_place("cat f; echo reached; read x; echo agent >> f", false, None)]
#[case::before_the_copy_by_rename("cat f; echo reached; read x; echo agent >> f", true, None)]
#[case::unread_by_rename("echo reached; read x; echo agent >> f", true, None)]
#[case::after_the_copy("echo agent >> f; echo reached; read x", false, Some(true))]
#[case::after_the_copy_by_rename("echo agent >> f; echo reached; read x", true, Some(true))]
#[case::replaced("sed s/one/agent/ f > t; mv t f; echo reached; read x", true, Some(true))]
#[case::removed("rm f; echo reached; read x", false, Some(true))]
fn an_edit_of_the_user_is_never_lost(
    #[case] script: &str,
    #[case] by_rename: bool,
    // Nothing where it depends on whether the command has noticed the edit, or writes in the moment in
    // which its view is refreshed.
    #[case] is_stale: Option<bool>,
    #[values("overlay", "copy", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    fixture.write("other", "one\n");
    tick();
    // A copy is as old as the command.
    let is_stale = if view == "overlay" { is_stale } else { Some(true) };
    let script = format!("exec 2>&1 3>&1; {script}; echo new > n");
    let asked = if view == "without" { "auto" } else { view };
    let mut agent = Agent::start_in(&fixture, asked, &script);
    // What it prints before is the file.
    loop {
        let mut line = String::new();
        agent.output.read_line(&mut line).expect("it lives");
        if line == "reached\n" {
            break;
        }
    }
    save(&fixture, "f", "one\nuser\n", by_rename);
    agent.go_on();
    let ran = agent.end().expect(0);
    assert_eq!(fixture.read("f"), b"one\nuser\n", "the run changes no file");
    let found_stale = ran.stderr.contains("stale: `f`");
    let is_stale = is_stale.unwrap_or(found_stale);
    let found_edited = ran.stderr.contains("you changed `f` while the command ran");
    assert_eq!(found_edited, !found_stale, "each edit is reported: {}", ran.stderr);
    assert_eq!(found_stale, is_stale, "{}", ran.stderr);
    let status = fixture.status();
    if is_stale {
        assert_eq!(pending(&status), ["create n"]);
        let stale = &status["sessions"].as_array().expect("a list").last().expect("one")["lapsed"];
        assert_eq!(stale[0]["path"], "f", "{status}");
    } else {
        assert_eq!(pending(&status), ["create n", "modify f"]);
    }
    fixture.run(["apply", "--yes", "--rest"]).expect(0);
    let after = String::from_utf8(fixture.read("f")).expect("text");
    assert!(after.contains("user\n"), "{after}");
}

#[rstest]
fn what_a_killed_run_wrote_is_staged_by_the_next_command(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    let mut agent =
        Agent::start(&fixture, "echo two >> f; echo new > n; chmod 0 n; echo reached; read x");
    agent.reached();
    agent.run.kill().expect("it lives");
    agent.run.wait().expect("it has ended");
    assert_eq!(fixture.read("f"), b"one\n");
    let status = fixture.run(["status", "--json"]).expect(0);
    assert!(pending(&status.json()).contains(&"modify f".to_owned()), "{}", status.stderr);
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("readable");
    let workspace = fixture.workspace();
    assert!(!mounts.contains(workspace.to_str().expect("text")), "nothing is left mounted");
    shell(&fixture, "cat f").expect(0);
}

#[rstest]
#[case::the_first_ends_first(true)]
#[case::the_second_ends_first(false)]
fn a_second_run_of_a_live_session_joins_its_view(
    #[case] first_ends_first: bool,
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    let before = fixture.tree();
    let mut first = Agent::start(&fixture, "echo 1 > a; echo reached; read x; cat b c > d");
    first.reached();
    let mut second = Agent::start(&fixture, "cat a > b; echo reached; read x; echo 2 > e");
    second.reached();
    shell(&fixture, "cat a b > c").expect(0);
    assert_eq!(pending(&fixture.status()), ["create a", "create b", "create c"]);
    let mut agents = [first, second];
    if !first_ends_first {
        agents.reverse();
    }
    let [mut one, mut other] = agents;
    one.go_on();
    one.end().expect(0);
    let joined = shell(&fixture, "echo 3 > f").expect(0);
    assert!(joined.stderr.contains("of its other command"), "{}", joined.stderr);
    other.go_on();
    other.end().expect(0);
    let all = ["create a", "create b", "create c", "create d", "create e", "create f"];
    assert_eq!(pending(&fixture.status()), all);
    assert_eq!(fixture.tree(), before);
    let again = shell(&fixture, "cat d").expect(0);
    assert_eq!(again.stdout, b"1\n1\n1\n");
    assert!(!again.stderr.contains("other command"), "{}", again.stderr);
}

#[rstest]
fn a_run_beside_what_a_killed_run_has_left_is_refused(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    // It holds no pipe of this test, and ends when the file comes.
    let end = fixture.beside("end");
    let script = format!(
        "(until [ -e '{}' ]; do sleep 0.05; done) < /dev/null > /dev/null 2>&1 & echo reached; read x",
        end.display()
    );
    let mut agent = Agent::start(&fixture, &script);
    agent.reached();
    agent.run.kill().expect("it lives");
    agent.run.wait().expect("it ends");
    let refused = shell(&fixture, "true").expect(125);
    assert!(refused.stderr.contains("still run"), "{}", refused.stderr);
    fs::write(end, "").expect("written");
    while shell(&fixture, "true").code == Some(125) {
        tick();
    }
}

#[rstest]
#[case::saved_by_rename("cat f", "f", true, "sed s/one/agent/ f > t; mv t f", "modify f")]
#[case::saved_in_place("cat f", "f", false, "sed s/one/agent/ f > t; mv t f", "modify f")]
#[case::saved_before_it_is_removed("cat f", "f", true, "rm f", "delete f")]
#[case::created_where_nothing_was(
    "cat g 2> /dev/null || true",
    "g",
    false,
    "sed s/one/agent/ g > t; mv t g",
    "modify g"
)]
#[case::created_in_a_new_directory(
    "ls",
    "d/e/g",
    false,
    "sed s/one/agent/ d/e/g > t; mv t d/e/g",
    "modify d/e/g"
)]
fn a_change_that_is_made_from_what_the_user_saved_meanwhile_is_pending(
    #[case] look: &str,
    #[case] name: &str,
    #[case] by_rename: bool,
    #[case] change: &str,
    #[case] patch: &str,
) {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    fixture.write("f", "one\n");
    tick();
    let script = format!(
        "exec 2>&1; ({look}) > /dev/null; echo reached; read x; cat {name}; echo reached; {change}"
    );
    let mut agent = Agent::start(&fixture, &script);
    agent.reached();
    save(&fixture, name, "one\nuser\n", by_rename);
    // No command reports that it is noted; a change before that is stale.
    let captures = fixture.state_dir().join("captures");
    let is_noted = || {
        let noted = fs::read_dir(&captures).expect("there").filter_map(|capture| {
            fs::read_to_string(capture.expect("read").path().join("renewed")).ok()
        });
        noted.into_iter().any(|noted| noted.contains(name))
    };
    for _ in 0..400 {
        if is_noted() {
            break;
        }
        tick();
    }
    agent.go_on();
    for line in ["one\n", "user\n"] {
        let mut seen = String::new();
        agent.output.read_line(&mut seen).expect("it lives");
        assert_eq!(seen, line, "the command sees what the user has saved");
    }
    let ran = agent.end().expect(0);
    assert!(!ran.stderr.contains("stale"), "{}", ran.stderr);
    let edited = format!("you changed `{name}` while the command ran");
    assert!(ran.stderr.contains(&edited), "{}", ran.stderr);
    assert_eq!(pending(&fixture.status()), [patch]);
    fixture.run(["apply", "--yes"]).expect(0);
    if patch.starts_with("modify") {
        assert_eq!(fixture.read(name), b"agent\nuser\n");
    }
}

#[rstest]
fn what_the_command_leaves_running_is_ended_and_named(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    let late = "(echo late > late; exec sleep 1000) &
        until grep -q sleep /proc/$!/comm; do sleep 0.01; done";
    let ran = shell(&fixture, late).expect(0);
    assert!(ran.stderr.contains("ended what was left running: sleep ("), "{}", ran.stderr);
    assert_eq!(pending(&fixture.status()), ["create late"]);
}

#[rstest]
fn a_directory_without_permissions_does_not_stop_an_import(
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    shell(&fixture, "mkdir -p d/e; echo x > d/e/f; chmod 0 d; echo y > g").expect(0);
    assert!(pending(&fixture.status()).contains(&"create g".to_owned()));
}

#[rstest]
fn a_closed_session_leaves_nothing(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    shell(&fixture, "mkdir d; echo x > d/f; chmod 0 d").expect(0);
    let captures = fixture.state_dir().join("captures");
    let count = || fs::read_dir(&captures).expect("readable").count();
    assert_eq!(count(), 1);
    fixture.run(["session", "close", "agent", "--yes"]).expect(0);
    let status = fixture.run(["status"]).expect(0);
    assert_eq!((count(), status.stderr.as_str()), (0, ""));
}

#[rstest]
fn a_hook_inside_does_not_deny_what_is_captured(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    let call = r#"{"session_id":"x","hook_event_name":"PreToolUse","tool_name":"Write",
        "tool_input":{"file_path":"f","content":"x"}}"#;
    fixture.write("call", call.replace('\n', ""));
    let script = format!("'{}' hook claude-code < call", end_to_end::greenroom_binary().display());
    let ran = shell(&fixture, &script).expect(0);
    assert!(ran.stdout.is_empty(), "{ran:?}");
}

#[test]
fn doctor_tries_a_view() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    let found = fixture.run(["doctor"]);
    let text = String::from_utf8_lossy(&found.stdout);
    assert!(text.contains("run: commands can run in a view of the workspace\n"), "{text}");
    let refused = Ran::from(end_to_end::output(
        std::process::Command::new("unshare")
            .args([
                "-Ur",
                "sh",
                "-c",
                "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"",
                "-",
            ])
            .arg(end_to_end::greenroom_binary())
            .args(["doctor", "--state-dir"])
            .arg(fixture.beside("state"))
            .current_dir(fixture.workspace()),
    ));
    let text = String::from_utf8_lossy(&refused.stdout);
    assert!(text.contains("Raise the limits `user.max_user_namespaces`"), "{refused:?}");
}

#[rstest]
fn a_command_is_tried_on_what_is_pending_and_its_result_counts_for_that_set(
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    for (name, content) in [(".gitignore", "cache\n"), ("f", "one\n"), ("d/gone", "x\n")] {
        fixture.write(name, content);
    }
    fixture.propose("f", "two\n");
    fixture.propose("new/g", "new\n");
    fixture.run(["propose", "d/gone", "--delete"]).expect(0);
    fixture.run(["propose", "link", "--symlink", "f"]).expect(0);
    let before = fixture.tree();
    let script = "cat f new/g link; ls d; echo x >> cache; echo dropped > f; wc -l < cache; exit 3";
    let exec = |script| fixture.run(["exec", "--", "sh", "-c", script]);
    fixture.run(["apply", "--yes", "--require-exec"]).expect(4);
    let ran = exec(script).expect(3);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "two\nnew\ntwo\n1\n");
    assert!(ran.stderr.contains("dropped 1 file that the command changed: f\n"), "{ran:?}");
    assert!(ran.stderr.contains("failed with exit code 3 on 4 patches, signature "), "{ran:?}");
    let refused = fixture.run(["apply", "--yes", "--require-exec"]).expect(4);
    assert!(refused.stderr.contains("failed with exit code 3 on the set"), "{}", refused.stderr);
    let again = exec("cat f; wc -l < cache").expect(0);
    assert_eq!(String::from_utf8_lossy(&again.stdout), "two\n1\n", "the cache stays");
    assert_eq!(fixture.tree(), before, "the workspace is as it was");
    let status = fixture.run(["status"]).expect(0);
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(text.contains("exec: `sh -c cat f; wc -l < cache` passed, "), "{text}");
    assert_eq!(fixture.status()["exec"][0]["code"], 0);
    fixture.propose("f", "three\n");
    fixture.run(["apply", "--yes", "--require-exec"]).expect(4);
    exec("true").expect(0);
    fixture.run(["apply", "--yes", "--require-exec"]).expect(0);
    assert_eq!(fixture.read("f"), b"three\n");
    exec("true").expect(125);
}

#[rstest]
fn nothing_is_tried_on_a_stale_patch(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    fixture.propose("f", "two\n");
    fixture.write("f", "the user's\n");
    let refused = fixture.run(["exec", "--", "touch", "ran"]).expect(3);
    assert!(refused.stderr.contains("changed since the agent read it"), "{}", refused.stderr);
    assert!(!fixture.path("ran").exists());
}

#[rstest]
fn a_run_that_leaves_nothing_leaves_no_session(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.run(["run", "--", "no-such-program"]).expect(127);
    fixture.run(["run", "--", "true"]).expect(0);
    assert_eq!(fixture.status()["sessions"], serde_json::json!([]));
    let captures = fs::read_dir(fixture.state_dir().join("captures")).expect("readable");
    assert_eq!(captures.count(), 0);
}

#[rstest]
fn what_a_reviewer_has_rejected_comes_back_only_when_the_command_changes_it_again(
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    fixture.write("gone", "one\n");
    shell(&fixture, "echo two >> f; echo new > n; rm gone; mkdir d; ln -s f l").expect(0);
    assert_eq!(fixture.pending(), 5);
    fixture.run(["discard", "agent", "--yes"]).expect(0);
    assert_eq!(fixture.pending(), 0);
    let seen = shell(&fixture, "touch f; cat f gone; ls n d l").stdout;
    assert_eq!(String::from_utf8_lossy(&seen), "one\none\n", "the command does not see it");
    assert_eq!(fixture.pending(), 0);
    shell(&fixture, "echo three >> f; echo back > gone").expect(0);
    assert_eq!(pending(&fixture.status()), ["modify f", "modify gone"]);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("f"), b"one\nthree\n");
}

#[rstest]
fn a_refreshed_patch_keeps_the_lines_of_the_user(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    let lines = |changed: &[(usize, &str)]| {
        let line = |number| match changed.iter().find(|(changed, _)| *changed == number) {
            Some((_, text)) => format!("{text}\n"),
            None => format!("{number}\n"),
        };
        (1..=20).map(line).collect::<String>()
    };
    fixture.write("f", lines(&[]));
    let mut agent = Agent::start(
        &fixture,
        "sed -i 's/^2$/two/' f; echo reached; read x; sed -i 's/^4$/four/' f; echo reached; read x",
    );
    agent.reached();
    assert_eq!(pending(&fixture.status()), ["modify f"]);
    save(&fixture, "f", &lines(&[(18, "USER")]), false);
    fixture.run(["status"]).expect(0);
    fixture.run(["refresh", "p1"]).expect(0);
    let merged = lines(&[(2, "two"), (18, "USER")]);
    let seen = || fixture.run(["cat", "f", "--session", "agent"]).expect(0).stdout;
    assert_eq!(String::from_utf8_lossy(&seen()), merged);
    agent.go_on();
    agent.reached();
    let status = fixture.run(["status"]).expect(0);
    assert!(status.stderr.contains("not staged: `f` changed while"), "{}", status.stderr);
    assert_eq!(String::from_utf8_lossy(&seen()), merged, "the merge stays");
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(String::from_utf8_lossy(&fixture.read("f")), merged);
    agent.go_on();
    agent.end().expect(0);
    fixture.run(["apply", "--yes", "--rest"]);
    assert!(String::from_utf8_lossy(&fixture.read("f")).contains("USER\n"));
}

#[rstest]
fn what_a_reviewer_proposes_in_the_session_stays(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    shell(&fixture, "echo two >> f").expect(0);
    fixture.run_with(["propose", "f", "--session", "agent"], b"the reviewer's\n").expect(0);
    for _ in 0..2 {
        let seen = fixture.run(["cat", "f", "--session", "agent"]).expect(0);
        assert_eq!(seen.stdout, b"the reviewer's\n");
    }
}

#[rstest]
fn a_dismissed_stale_patch_stays_dismissed(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    let mut agent = Agent::start(&fixture, "echo agent >> f; echo reached; read x");
    agent.reached();
    save(&fixture, "f", "user\n", false);
    agent.go_on();
    agent.end().expect(0);
    let stale = |status: &Value| {
        let sessions = status["sessions"].as_array().expect("a list").clone();
        sessions.iter().filter_map(|each| each["lapsed"].as_array().map(Vec::len)).sum::<usize>()
    };
    assert_eq!(stale(&fixture.status()), 1);
    fixture.run(["discard", "p1"]).expect(0);
    assert_eq!(stale(&fixture.status()), 0);
    assert_eq!(stale(&fixture.status()), 0);
}

#[rstest]
fn a_file_that_is_too_long_is_named_and_the_rest_is_staged(
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    let ran = shell(&fixture, "truncate -s 3G long; echo x > short").expect(0);
    assert!(ran.stderr.contains("`long`: it is longer than a session may stage"), "{ran:?}");
    assert_eq!(pending(&fixture.status()), ["create short"]);
}

#[rstest]
fn two_runs_of_two_sessions_do_not_take_each_other_for_leftovers(
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    let mut agent = Agent::start(&fixture, "echo reached; read x");
    agent.reached();
    for _ in 0..3 {
        fixture.run(["run", "--session", "other", "--", "true"]).expect(0);
    }
    agent.go_on();
    agent.end().expect(0);
}

/// Stages a set by commands, and tries a script on it.
#[rstest]
#[case::a_directory_with_its_file(&["rm d/f", "rm d"], "ls", "d-x\nf\n")]
#[case::a_file_for_a_directory(&["rm d/f", "put d"], "cat d", "new\n")]
#[case::a_directory_for_a_file(&["rm f", "put f/g"], "cat f/g", "new\n")]
#[case::beside_a_longer_name(&["rm f", "put f-x", "put f/g"], "cat f/g f-x", "new\nnew\n")]
#[case::into_the_place_of_a_directory(&["mv d/f e/f", "put d"], "cat d e/f", "new\nin d\n")]
#[case::a_mode(&["chmod f"], "stat -c %a f", "755\n")]
fn a_trial_shows_what_an_apply_makes(
    #[case] changes: &[&str],
    #[case] script: &str,
    #[case] expected: &str,
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    for (name, content) in [("f", "one\n"), ("d/f", "in d\n"), ("d-x", "x\n")] {
        fixture.write(name, content);
    }
    for change in changes {
        match change.split(' ').collect::<Vec<_>>()[..] {
            ["rm", path] => fixture.run(["propose", path, "--delete"]).expect(0),
            ["mv", path, to] => fixture.run(["propose", path, "--rename-to", to]).expect(0),
            ["chmod", path] => fixture.run(["propose", path, "--mode", "755"]).expect(0),
            ["put", path] => fixture.run_with(["propose", path], b"new\n").expect(0),
            _ => panic!("an unknown change"),
        };
    }
    let tried = fixture.run(["exec", "--", "sh", "-c", script]).expect(0);
    assert_eq!(String::from_utf8_lossy(&tried.stdout), expected);
    fixture.run(["apply", "--yes"]).expect(0);
    let applied = end_to_end::output(
        std::process::Command::new("sh").args(["-c", script]).current_dir(fixture.workspace()),
    );
    assert_eq!(String::from_utf8_lossy(&applied.stdout), expected);
}

#[rstest]
fn a_set_that_cannot_be_applied_is_not_tried(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write("f", "one\n");
    fixture.run_with(["propose", "f", "--session", "a"], b"a\n").expect(0);
    fixture.run_with(["propose", "f", "--session", "b"], b"b\n").expect(0);
    fixture.run(["exec", "--", "true"]).expect(3);
    let tried = fixture.run(["exec", "a", "--", "cat", "f"]).expect(0);
    assert_eq!(tried.stdout, b"a\n");
}

#[rstest]
fn what_a_trial_locks_does_not_stop_the_next_one(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.write(".gitignore", "kept\n");
    fixture.write("d/f", "one\n");
    fixture.propose("d/f", "two\n");
    let script = "stat -c %a d; echo x > d/new; echo x > d/kept; chmod 555 d; mkdir -p e/g; \
        echo x > e/g/h; chmod 0 e";
    for _ in 0..2 {
        let tried = fixture.run(["exec", "--", "sh", "-c", script]).expect(0);
        let mode = format!("{:o}\n", fixture.mode("d"));
        assert_eq!(String::from_utf8_lossy(&tried.stdout), mode, "{tried:?}");
    }
}

#[rstest]
fn what_a_killed_run_wrote_outlives_its_session(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.configure("[session]\nexpires_after = \"1s\"\n");
    fixture.write("f", "one\n");
    let mut agent = Agent::start(&fixture, "echo two >> f; echo reached; read x");
    agent.reached();
    agent.run.kill().expect("it lives");
    agent.run.wait().expect("it has ended");
    thread::sleep(Duration::from_millis(1500));
    let status = fixture.run(["status", "--json"]).expect(0);
    assert_eq!(pending(&status.json()), ["modify f"], "{}", status.stderr);
    let ran = shell(&fixture, "cat f").expect(0);
    assert_eq!(ran.stdout, b"one\ntwo\n");
}

#[rstest]
fn a_session_does_not_expire_under_its_command(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    fixture.configure("[session]\nexpires_after = \"1s\"\n");
    fixture.write("f", "one\n");
    shell(&fixture, "sleep 2; echo two >> f").expect(0);
    assert_eq!(pending(&fixture.status()), ["modify f"]);
}

#[rstest]
fn a_session_that_was_closed_under_its_command_says_so(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    let mut agent = Agent::start(&fixture, "echo x > n; echo reached; read x; echo y > m");
    agent.reached();
    fixture.run(["session", "close", "agent", "--yes"]).expect(0);
    agent.go_on();
    let ran = agent.end().expect(0);
    assert!(ran.stderr.contains("what the command wrote since is not staged"), "{}", ran.stderr);
    assert_eq!(fixture.pending(), 0);
}

#[test]
fn what_a_command_has_started_ends_when_the_process_that_keeps_its_view_is_killed() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    let file = fixture.beside("pid").display().to_string();
    let script = format!(
        "setsid sh -c 'echo $$ > {file}.new; mv {file}.new {file}; exec sleep 1000' > /dev/null 2>&1 &
        until [ -e {file} ]; do sleep 0.05; done; echo kept > f; echo reached; read x"
    );
    let mut agent = Agent::start(&fixture, &script);
    agent.reached();
    let keeper = fs::read_to_string(format!("/proc/{0}/task/{0}/children", agent.id()));
    let keeper = keeper.expect("it runs").trim().parse().ok();
    let keeper = keeper.and_then(rustix::process::Pid::from_raw).expect("it keeps the view");
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).expect("it is ours");
    agent.end().expect(125);
    let started = fs::read_to_string(&file).expect("there");
    let line = fs::read(format!("/proc/{}/cmdline", started.trim())).unwrap_or_default();
    assert!(line.is_empty(), "it has ended");
    let ran = fixture.run(["run", "--session", "agent", "--", "cat", "f"]).expect(0);
    assert_eq!(ran.stdout, b"kept\n");
}
