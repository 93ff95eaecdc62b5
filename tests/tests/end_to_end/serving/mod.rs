//! `serve`: a program that runs agents, over lines of JSON-RPC.

mod at_once;
mod calls;
mod deciding;
mod python;
mod schema;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use end_to_end::{Fixture, Ran, spawn};
use rstest::rstest;
use serde_json::{Value, json};

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server and what it has written.
struct Server {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    last: u64,
}

impl Server {
    fn start(stage: &Fixture) -> Self {
        let (server, begin) = Self::start_unread(stage);
        begin.send(()).expect("its thread waits");
        server
    }

    /// A server of which nothing is read before it is allowed.
    fn start_unread(stage: &Fixture) -> (Self, Sender<()>) {
        let mut command = stage.command(["serve"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(&mut command);
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        let (begin, begun) = channel();
        std::thread::spawn(move || {
            let _ = begun.recv();
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        (Self { child, input, lines, last: 0 }, begin)
    }

    fn write(&mut self, line: &[u8]) {
        let input = self.input.as_mut().expect("it is open");
        input.write_all(line).and_then(|()| input.write_all(b"\n")).expect("the server reads");
    }

    /// Calls a method without waiting; the call's id.
    fn begin(&mut self, method: &str, params: &Value) -> u64 {
        self.last += 1;
        let id = self.last;
        let call = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.write(call.to_string().as_bytes());
        id
    }

    /// The next message.
    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a message comes");
        serde_json::from_str(&line).expect("a line is JSON")
    }

    /// Calls a method; its answer. Notifications before it are passed over.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        let id = self.begin(method, params);
        std::iter::repeat_with(|| self.next()).find(|message| message["id"] == id).expect("endless")
    }

    #[track_caller]
    fn result(&mut self, method: &str, params: &Value) -> Value {
        let answer = self.call(method, params);
        assert!(answer["error"].is_null(), "{method} {params}: {answer}");
        answer["result"].clone()
    }

    /// The data of the error that a call answers.
    #[track_caller]
    fn error(&mut self, method: &str, params: &Value) -> Value {
        let answer = self.call(method, params);
        assert!(answer["result"].is_null(), "{method} {params}: {answer}");
        answer["error"]["data"].clone()
    }

    fn open(&mut self, label: &str) -> String {
        let opened = self.result("open_session", &json!({ "session": label }));
        opened["session"]["id"].as_str().expect("a session has an id").to_owned()
    }

    fn end_input(&mut self) {
        self.input = None;
    }

    /// Waits for the end: the exit code, and the messages that were not taken.
    fn wait(mut self) -> (Option<i32>, Vec<Value>) {
        let left = std::iter::from_fn(|| self.lines.recv_timeout(PATIENCE).ok());
        let left = left.map(|line| serde_json::from_str(&line).expect("a line is JSON")).collect();
        (self.child.wait().expect("it is our child").code(), left)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended where a test has come to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_of(path: &str, content: &str) -> Value {
    json!({"kind": "write", "path": path, "content": {"text": content}})
}

fn propose_of(session: &str, path: &str, content: &str) -> Value {
    json!({"session": session, "proposals": [write_of(path, content)]})
}

#[test]
fn what_cannot_be_read_is_answered_and_the_server_goes_on() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let long = vec![b' '; (64 << 20) + 1];
    for (line, code, kind) in [
        (&b"not json"[..], -32700, "usage"),
        (b"\xff\xfe", -32700, "usage"),
        (b"[1, 2]", -32600, "usage"),
        (b"{\"jsonrpc\":\"2.0\",\"method\":\"status\"}", -32600, "usage"),
        (&long, -32600, "limit"),
    ] {
        server.write(line);
        let answer = server.next();
        let (found, data) = (&answer["error"]["code"], &answer["error"]["data"]);
        assert_eq!((found, &data["kind"]), (&json!(code), &json!(kind)), "{answer}");
        assert!(answer["id"].is_null() && answer["jsonrpc"] == "2.0", "{answer}");
    }
    server.write(b"");
    assert_eq!(server.result("hello", &json!({}))["protocol"], 1);
}

#[test]
fn a_misspelled_parameter_approves_nothing() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    server.result("propose", &propose_of(&session, "a.txt", "1\n"));
    let error = server.error("apply", &json!({"expct": "00"}));
    assert_eq!(error["kind"], "usage");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("expct")), "{error}");
    assert!(!stage.path("a.txt").exists());
}

#[test]
fn the_end_of_the_input_answers_what_was_asked_and_keeps_what_is_pending() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    server.result("subscribe", &json!({"since": 0}));
    let calls: Vec<u64> = (0..100)
        .map(|number| {
            server.begin("propose", &propose_of(&session, &format!("{number}.txt"), "x\n"))
        })
        .collect();
    let first = json!({"session": session, "ids": ["p1"]});
    let applied = server.begin("apply", &first);
    server.end_input();
    let (code, left) = server.wait();
    assert_eq!(code, Some(0));
    let answered: Vec<_> = left.iter().filter_map(|message| message["id"].as_u64()).collect();
    assert_eq!(
        answered,
        [calls, vec![applied]].concat(),
        "each is answered, in the session's order"
    );
    assert!(left.iter().all(|message| message["error"].is_null()), "{left:?}");
    let events = left.iter().filter(|message| message["method"] == "event");
    let events: Vec<_> = events.map(|message| message["params"]["event"]["seq"].as_u64()).collect();
    // A later process has found that the session's owner is gone.
    let happened = stage.events().into_iter().filter(|name| name != "session_orphaned");
    let newest = happened.count() as u64;
    assert_eq!(events.last(), Some(&Some(newest)), "everything that has happened is sent");
    assert_eq!(stage.pending(), 99);
    assert_eq!(stage.read("0.txt"), b"x\n");
    let sessions = stage.run(["session", "list", "--json"]).expect(0).json();
    assert_eq!(sessions["sessions"][0]["state"], "open");
}

#[cfg(unix)]
#[test]
fn a_server_that_is_asked_to_end_answers_what_was_asked() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    server.result("propose", &propose_of(&session, "a.txt", "x\n"));
    let pid = i32::try_from(server.child.id()).expect("a process has a small number");
    let pid = rustix::process::Pid::from_raw(pid).expect("it is not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is our child");
    // Its input is open, and it ends all the same.
    let input = server.input.take();
    let (code, left) = server.wait();
    drop(input);
    assert_eq!((code, left), (Some(0), Vec::new()));
    assert_eq!(stage.pending(), 1);
}

#[test]
fn a_server_whose_client_is_gone_ends() {
    let stage = Fixture::new();
    let mut command = stage.command(["serve"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    drop(child.stdout.take());
    let mut input = child.stdin.take().expect("it is piped");
    writeln!(input, r#"{{"jsonrpc":"2.0","id":1,"method":"hello"}}"#).expect("the server reads");
    // The input stays open.
    let ran: Ran = child.wait_with_output().expect("it is our child").into();
    drop(input);
    assert_eq!(ran.code, Some(0), "as for every command whose reader leaves: {}", ran.stderr);
}

#[test]
fn two_servers_and_the_command_work_on_one_workspace() {
    let stage = Fixture::new();
    let (mut one, mut other) = (Server::start(&stage), Server::start(&stage));
    other.result("subscribe", &json!({}));
    let session = one.open("agent");
    one.result("propose", &propose_of(&session, "a.txt", "x\n"));
    let event = std::iter::repeat_with(|| other.next())
        .find(|message| message["params"]["event"]["event"] == "patch_proposed");
    assert_eq!(event.expect("endless")["params"]["event"]["path"], "a.txt");
    let error = other.error("propose", &propose_of(&session, "b.txt", "x\n"));
    assert_eq!((&error["kind"], &error["session"]), (&json!("closed"), &json!("s1")));
    stage.run(["apply", "--expect", &stage.signature()]).expect(0);
    let error = one.error("apply", &json!({"ids": ["p1"]}));
    assert_eq!((&error["kind"], &error["patches"]), (&json!("closed"), &json!(["p1"])));
}

#[test]
fn a_client_that_reads_late_misses_no_event() {
    let stage = Fixture::new();
    let (mut late, begin) = Server::start_unread(&stage);
    late.begin("subscribe", &json!({"since": 0}));
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    // More than the pipe and every queue hold; nothing that holds them grows.
    for batch in 0..6 {
        let write = |number: u32| write_of(&format!("{batch}/{number}.txt"), "x\n");
        let proposals: Vec<Value> = (0..250).map(write).collect();
        server.result("propose", &json!({"session": session, "proposals": proposals}));
    }
    begin.send(()).expect("its thread waits");
    let newest = 1 + 6 * 250;
    let messages = std::iter::repeat_with(|| late.next()).filter(|one| one["method"] == "event");
    let seqs = messages.map(|event| event["params"]["event"]["seq"].as_u64().expect("a number"));
    let seqs: Vec<u64> = seqs.take(newest as usize).collect();
    assert_eq!(seqs, (1..=newest).collect::<Vec<_>>(), "each once, in the order of the log");
}

#[test]
fn an_applies_outcome_is_asked_for_by_another_process() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    let asked = json!({"request": "deploy-7"});
    assert!(server.result("apply_status", &asked)["status"].is_null(), "it has not begun");
    server.result("propose", &propose_of(&session, "a.txt", "x\n"));
    server.result("apply", &json!({"session": session, "request": "deploy-7"}));
    server.end_input();
    server.wait();
    let mut server = Server::start(&stage);
    let status = server.result("apply_status", &asked)["status"].clone();
    assert_eq!((&status["outcome"], &status["apply"]), (&json!("committed"), &json!("a1")));
    let again = server.result("apply", &json!({"request": "deploy-7"}));
    assert_eq!(again["apply"], "a1", "it is not applied again");
}

#[rstest]
#[case::in_a_view("auto")]
#[case::in_a_copy("without")]
fn a_command_of_run_reaches_no_server(#[case] kind: &str) {
    let Some(stage) = Fixture::with_view(kind) else { return };
    let ran =
        stage.run(["run", "--", end_to_end::greenroom_binary().to_str().expect("text"), "serve"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("decides nothing"), "{}", ran.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn what_run_writes_in_a_session_is_seen_and_decided() {
    let Some(stage) = Fixture::with_view("auto") else { return };
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    stage.run(["run", "--session", "agent", "--", "sh", "-c", "echo run > r.txt"]).expect(0);
    let read = server.result("read", &json!({"session": session, "path": "r.txt"}));
    assert_eq!(read["text"], "run\n");
    let shown = server.result("diff", &json!({"session": session}));
    server.result("apply", &json!({"session": session, "expect": shown["signature"]}));
    assert_eq!(stage.read("r.txt"), b"run\n");
}
