//! The tool `run_command`: several commands, what a client hears meanwhile, and every way in which one ends.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::Fixture;

use serde_json::{Value, json};

use super::client::Client;
use super::commands::{allowed, begin, client, pending, reached, run, shell};

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_printed_comes_as_progress_while_other_tools_answer() {
    let Some(fixture) = allowed() else { return };
    fixture.write("a", "one\n");
    let mut client = client(&fixture);
    let (id, go) = begin(&mut client, &fixture, "echo two >> a", "echo end; echo three >> a");
    let read = client.ok("read_text_file", json!({"path": "a"}));
    assert_eq!(read, "one\ntwo\n", "what was written so far is seen");
    client.ok("write_file", json!({"path": "b", "content": "x\n"}));
    assert_eq!(pending(&fixture), ["create b", "modify a"]);
    fs::write(go, "").expect("ours");
    let ran = client.answer_to(&id)["result"]["structuredContent"].clone();
    assert_eq!(ran["stdout"], "reached\nend\n", "{ran}");
    assert_eq!(ran["patches_pending"], 2);
    assert_eq!(client.ok("read_text_file", json!({"path": "a"})), "one\ntwo\nthree\n");
    client.assert_serves();
    let progress: Vec<f64> = client
        .others
        .iter()
        .filter(|message| message["method"] == "notifications/progress")
        .filter_map(|message| message["params"]["progress"].as_f64())
        .collect();
    assert!(progress.is_sorted_by(|one, next| one < next), "{progress:?}");
}

#[test]
fn without_a_token_nothing_is_notified() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    shell(&mut client, "echo a; sleep 0.6; echo b");
    assert_eq!(client.others, Vec::<Value>::new());
}

/// A script that starts a process of a session of its own that ignores SIGTERM, and waits with it. The
/// process's id is in a file outside.
fn stubborn(fixture: &Fixture) -> (String, String) {
    let file = fixture.beside("pid").display().to_string();
    let script = format!(
        "echo written > f; trap '' TERM\n\
         setsid sh -c 'trap \"\" TERM; echo $$ > {file}.new; mv {file}.new {file}; \
         while :; do sleep 1; done' &\n\
         until [ -e {file} ]; do sleep 0.05; done; echo reached; while :; do sleep 1; done"
    );
    (script, file)
}

/// Begins such a command; the id of its call, and the number of that process.
fn begin_stubborn(client: &mut Client, fixture: &Fixture) -> (Value, String) {
    let (script, file) = stubborn(fixture);
    let arguments = json!({"command": script, "timeout_s": 1000});
    let params = json!({
        "name": "run_command", "arguments": arguments, "_meta": {"progressToken": 7},
    });
    let id = client.begin(params);
    reached(client);
    let number = fs::read_to_string(file).expect("it is there").trim().to_owned();
    assert!(lives(&number));
    (id, number)
}

fn lives(process: &str) -> bool {
    // One that nobody has waited for has no command line any more.
    fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn a_cancelled_command_ends_with_everything_that_it_has_started() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let (id, process) = begin_stubborn(&mut client, &fixture);
    let params = json!({"requestId": id, "reason": "enough"});
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    // It begins when nothing of the first is left.
    let ran = shell(&mut client, "cat f; echo more > g");
    assert!(!lives(&process));
    assert_eq!(ran["stdout"], "written\n", "what it wrote is there");
    assert_eq!(pending(&fixture), ["create f", "create g"]);
    let is_answer = |message: &&Value| message["id"] == id;
    assert_eq!(client.others.iter().filter(is_answer).count(), 0, "it is not answered");
}

#[test]
fn a_command_that_changes_its_name_all_the_time_ends_too() {
    if !crate::users::has_programs(&["perl"]) {
        return;
    }
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let script = r#"exec perl -e '$SIG{TERM} = "IGNORE"; while (1) { $0 = "n" . $i++ }'"#;
    let ran = run(&mut client, json!({"command": script, "timeout_s": 1}));
    assert_eq!(ran["timed_out"], true, "{ran}");
}

#[test]
fn a_command_whose_time_is_over_ends_with_everything_that_it_has_started() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let (script, file) = stubborn(&fixture);
    let ran = run(&mut client, json!({"command": script, "timeout_s": 1}));
    assert_eq!(ran["timed_out"], true);
    assert_eq!(ran["exit_code"], Value::Null, "{ran}");
    let process = fs::read_to_string(file);
    assert!(process.is_err() || !lives(process.expect("it is there").trim()));
    assert_eq!(pending(&fixture), ["create f"]);
    assert_eq!(shell(&mut client, "cat f")["stdout"], "written\n");
}

#[test]
fn what_a_command_leaves_running_ends_with_it() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let ran = shell(&mut client, "sleep 1000 > /dev/null 2>&1 & echo $!; echo x > f");
    let process = ran["stdout"].as_str().expect("a text").trim().to_owned();
    assert!(!lives(&process));
    // It may not have become `sleep` yet.
    let named = format!("({process})");
    assert!(ran["notes"][0].as_str().is_some_and(|note| note.contains(&named)), "{ran}");
    let held = shell(&mut client, "sleep 1000 & echo held; exit 2");
    assert_eq!((&held["stdout"], &held["exit_code"]), (&json!("held\n"), &json!(2)));
}

#[test]
fn a_client_that_leaves_ends_its_command() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let (id, process) = begin_stubborn(&mut client, &fixture);
    let (left, code) = client.end();
    assert_eq!(code, Some(0));
    assert!(!lives(&process));
    let answer = left.iter().find(|message| message["id"] == id).expect("it is answered");
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(pending(&fixture), ["create f"]);
}

#[test]
fn a_server_that_is_killed_ends_its_command_and_what_it_wrote_is_staged() {
    let Some(fixture) = allowed() else { return };
    let mut first = client(&fixture);
    let (_, process) = begin_stubborn(&mut first, &fixture);
    first.kill();
    until("the process ends with the server", || !lives(&process));
    let begins = || {
        let ran = fixture.run(["run", "--session", "shared", "--", "cat", "f"]);
        ran.code == Some(0) && ran.stdout == b"written\n"
    };
    until("another command has a view", begins);
    assert_eq!(pending(&fixture), ["create f"]);
    assert_eq!(shell(&mut client(&fixture), "cat f")["stdout"], "written\n");
}

#[test]
fn commands_of_one_session_run_one_after_the_other() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let (id, go) = begin(&mut client, &fixture, "", "echo first > f");
    let next = ["cat f; echo second > f", "cat f; cat g"].map(|script| {
        client.begin(json!({"name": "run_command", "arguments": {"command": script}}))
    });
    // What is staged while they wait is seen.
    client.ok("write_file", json!({"path": "g", "content": "staged\n"}));
    fs::write(go, "").expect("ours");
    for (id, expected) in
        [(&id, "reached\n"), (&next[0], "first\n"), (&next[1], "second\nstaged\n")]
    {
        let ran = client.answer_to(id)["result"]["structuredContent"].clone();
        assert_eq!(ran["stdout"], expected, "{ran}");
    }
}

#[test]
fn a_command_that_waits_can_be_cancelled() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let (id, go) = begin(&mut client, &fixture, "", "");
    let arguments = json!({"command": "touch ran"});
    let waiting = client.begin(json!({"name": "run_command", "arguments": arguments}));
    let params = json!({"requestId": waiting});
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    client.assert_serves();
    fs::write(go, "").expect("ours");
    client.answer_to(&id);
    assert_eq!(shell(&mut client, "ls")["stdout"], "");
}

#[test]
fn commands_of_two_sessions_run_at_once_and_see_only_their_own() {
    let Some(fixture) = allowed() else { return };
    let mut client = Client::new(&fixture);
    let call = |session: &str, script: String| json!({"name": "run_command", "arguments": {"command": script}, "_meta": {"sessionId": session}});
    let [one, two] = ["one", "two"].map(|name| fixture.beside(name).display().to_string());
    // Each waits for the other.
    let script = |mine: &str, other: &str| {
        format!("echo {mine} > f; touch {mine}; until [ -e {other} ]; do sleep 0.05; done; cat f")
    };
    let ids =
        [client.begin(call("a", script(&one, &two))), client.begin(call("b", script(&two, &one)))];
    for (id, expected) in ids.iter().zip([&one, &two]) {
        let ran = client.answer_to(id)["result"]["structuredContent"].clone();
        assert_eq!(ran["stdout"], format!("{expected}\n"), "{ran}");
    }
    assert_eq!(pending(&fixture), ["create f", "create f"]);
}

#[test]
fn commands_of_two_servers_in_one_session_are_all_run() {
    let Some(fixture) = allowed() else { return };
    let mut clients = [client(&fixture), client(&fixture)];
    for round in 0..4 {
        let ids: Vec<Value> = clients
            .iter_mut()
            .enumerate()
            .map(|(number, client)| {
                let command = format!("echo {round} > f{number}; sleep 0.{round}");
                client.begin(json!({"name": "run_command", "arguments": {"command": command}}))
            })
            .collect();
        for (client, id) in clients.iter_mut().zip(&ids) {
            let answer = client.answer_to(id)["result"].clone();
            assert_eq!(answer["structuredContent"]["exit_code"], 0, "{answer}");
        }
    }
    assert_eq!(pending(&fixture), ["create f0", "create f1"]);
    let ran = shell(&mut clients[1], "cat f0 f1");
    assert_eq!(ran["stdout"], "3\n3\n");
}

#[test]
fn where_the_process_that_runs_it_is_killed_the_next_command_goes_on() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let (id, _) = begin(&mut client, &fixture, "echo x > f", "");
    let host = child_of(client.id()).expect("it runs");
    let keeper = child_of(host).expect("it keeps the view");
    for process in [keeper, host] {
        let process = rustix::process::Pid::from_raw(process).expect("a process");
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    }
    assert_eq!(client.answer_to(&id)["result"]["isError"], true);
    let begun = Instant::now();
    let mut said = String::new();
    while said != "x\n" {
        assert!(begun.elapsed() < Duration::from_secs(60), "another command has a view");
        let called = client.call("run_command", json!({"command": "cat f"}));
        said = called.result["structuredContent"]["stdout"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(pending(&fixture), ["create f"]);
}

/// A child of a process, whichever of its threads has started it.
fn child_of(process: i32) -> Option<i32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let mut children = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    children.find_map(|children| children.split_whitespace().next()?.parse().ok())
}

#[test]
fn a_session_that_was_closed_while_its_command_ran_is_followed_by_another() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let (id, go) = begin(&mut client, &fixture, "echo x > f", "echo y > g");
    fixture.run(["session", "close", "shared", "--yes"]).expect(0);
    fs::write(go, "").expect("ours");
    let answer = client.answer_to(&id)["result"].clone();
    let text = answer["content"][0]["text"].as_str().expect("a text");
    assert!(answer["isError"] == true && text.contains("is open now"), "{answer}");
    assert_eq!(shell(&mut client, "ls")["stdout"], "", "the next one begins anew");
    assert_eq!(fixture.pending(), 0);
}
