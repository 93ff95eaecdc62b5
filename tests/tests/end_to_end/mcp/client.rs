//! A client that speaks the protocol by hand, so that it can also speak it wrongly.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use end_to_end::{Fixture, spawn};
use serde_json::{Value, json};

/// Far longer than any answer takes, so that a machine under load fails no test.
const ANSWER_WAIT: Duration = Duration::from_secs(120);

/// One client and its server.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<Value>,
    /// Messages that were not the one that was waited for.
    pub(crate) others: Vec<Value>,
    next_id: u64,
}

/// What a tool answered.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) text: String,
    pub(crate) is_error: bool,
    pub(crate) result: Value,
}

impl Client {
    /// A server in the stage's workspace, before any handshake.
    pub(crate) fn start(stage: &Fixture, arguments: &[&str]) -> Self {
        Self::of(stage.command(["mcp"].iter().chain(arguments)))
    }

    /// The server that a command starts.
    pub(crate) fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = spawn(&mut command);
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let message = serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("{error}: only messages, not `{line}`"));
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { child, input, answers, others: Vec::new(), next_id: 1 }
    }

    /// A server after the handshake of a version, by a client with these capabilities.
    pub(crate) fn greeted(stage: &Fixture, arguments: &[&str], capabilities: Value) -> Self {
        let mut client = Self::start(stage, arguments);
        let answer = client.greet("2025-06-18", capabilities);
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
        client
    }

    /// A server for a plain client.
    pub(crate) fn new(stage: &Fixture) -> Self {
        Self::greeted(stage, &[], json!({}))
    }

    /// The handshake; the answer to `initialize`.
    pub(crate) fn greet(&mut self, version: &str, capabilities: Value) -> Value {
        let answer = self.request(
            "initialize",
            json!({"protocolVersion": version, "capabilities": capabilities,
                   "clientInfo": {"name": "test", "version": "1"}}),
        );
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    /// Writes a message.
    pub(crate) fn send(&mut self, message: &Value) {
        self.send_line(message.to_string().as_bytes());
    }

    /// Writes a line, whatever it is.
    pub(crate) fn send_line(&mut self, line: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(line).and_then(|()| input.write_all(b"\n")).expect("the server reads");
        input.flush().expect("the server reads");
    }

    /// Writes the beginning of a line.
    pub(crate) fn send_unended(&mut self, line: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(line).and_then(|()| input.flush()).expect("the server reads");
    }

    /// The next message that fits.
    pub(crate) fn wait_for(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.others.iter().position(&fits) {
            return self.others.remove(at);
        }
        loop {
            let message = self.answers.recv_timeout(ANSWER_WAIT).expect("the server answers");
            if fits(&message) {
                return message;
            }
            self.others.push(message);
        }
    }

    /// The answer to the request of this id.
    pub(crate) fn answer_to(&mut self, id: &Value) -> Value {
        self.wait_for(|message| message.get("id") == Some(id) && message.get("method").is_none())
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = json!(self.next_id);
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        self.answer_to(&id)
    }

    /// Calls a tool.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Called {
        self.call_with(json!({"name": tool, "arguments": arguments}))
    }

    /// Calls a tool with these parameters.
    pub(crate) fn call_with(&mut self, params: Value) -> Called {
        let answer = self.request("tools/call", params);
        let result = answer["result"].clone();
        assert!(result.is_object(), "a tool answers with a result: {answer}");
        let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        Called { text, is_error: result["isError"] == true, result }
    }

    /// Calls a tool that has to work; its text.
    #[track_caller]
    pub(crate) fn ok(&mut self, tool: &str, arguments: Value) -> String {
        let called = self.call(tool, arguments);
        assert!(!called.is_error, "{tool}: {}", called.text);
        let text = &called.result["structuredContent"]["content"];
        assert!(text.is_array() || text == &json!(called.text), "both forms say the same");
        called.text
    }

    /// Calls a tool that has to refuse; its text.
    #[track_caller]
    pub(crate) fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let called = self.call(tool, arguments);
        assert!(called.is_error, "{tool} has to refuse: {}", called.text);
        called.text
    }

    /// Whether the server still answers.
    pub(crate) fn assert_serves(&mut self) {
        assert_eq!(self.request("ping", json!({}))["result"], json!({}), "it goes on");
    }

    /// The server's process.
    pub(crate) fn id(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Kills the server.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Calls a tool without waiting; the request's id.
    pub(crate) fn begin(&mut self, params: Value) -> Value {
        let id = json!(self.next_id);
        self.next_id += 1;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        self.send(&request);
        id
    }

    /// Closes the input and waits for the end; what was still answered, and the exit code.
    pub(crate) fn end(&mut self) -> (Vec<Value>, Option<i32>) {
        drop(self.input.take());
        let code = self.child.wait().expect("it is our child").code();
        let mut left = std::mem::take(&mut self.others);
        left.extend(self.answers.iter());
        (left, code)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends by itself; a test that failed does not wait for it.
        if std::thread::panicking() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
