//! A recording of a terminal as an asciicast, version 2
//! (<https://docs.asciinema.org/manual/asciicast/v2/>).
//!
//! The bytes are those of a real session. The times are not: a person types and reads more slowly
//! than a test, and a recording of the same session has to be the same file.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::shell::{Shell, Size};

/// Milliseconds that a person takes for a key, and a program for its answer.
const KEY_MS: u64 = 55;
const ANSWER_MS: u64 = 120;
/// And that a person takes before a command or an answer is begun.
const PAUSE_MS: u64 = 350;

/// What a shell shows, written down.
pub(super) struct Cast {
    events: String,
    now_ms: u64,
}

impl Cast {
    pub(super) fn new(size: Size, title: &str) -> Self {
        let (rows, columns) = size;
        let header = json!({
            "version": 2, "width": columns, "height": rows, "title": title,
            "env": {"TERM": "xterm-256color", "SHELL": "/bin/bash"},
        });
        Self { events: format!("{header}\n"), now_ms: 0 }
    }

    /// A chapter begins here.
    pub(super) fn chapter(&mut self, name: &str) {
        self.event("m", &json!(name));
    }

    /// What the shell has shown since the last call.
    pub(super) fn take(&mut self, shell: &mut Shell) {
        let bytes = shell.take_written();
        if !bytes.is_empty() {
            self.event("o", &json!(String::from_utf8(bytes).expect("whole characters")));
        }
    }

    /// Types a line, key by key, and reads what is answered for so long.
    pub(super) fn line(&mut self, shell: &mut Shell, line: &str, question: &str, read_ms: u64) {
        self.now_ms += PAUSE_MS;
        for key in line.chars() {
            self.now_ms += KEY_MS;
            shell.answer(key.encode_utf8(&mut [0; 4]), &key.to_string());
            self.take(shell);
        }
        self.key(shell, "\n", question, read_ms);
    }

    /// Presses a key that is an answer, and reads what comes for so long.
    pub(super) fn key(&mut self, shell: &mut Shell, key: &str, question: &str, read_ms: u64) {
        self.now_ms += ANSWER_MS;
        shell.answer(key, question);
        self.take(shell);
        self.now_ms += read_ms;
    }

    fn event(&mut self, code: &str, data: &Value) {
        let (seconds, ms) = (self.now_ms / 1000, self.now_ms % 1000);
        let _ = writeln!(self.events, "[{seconds}.{ms:03}, \"{code}\", {data}]");
    }

    /// The whole recording, and how long it takes to watch.
    pub(super) fn end(mut self) -> (String, u64) {
        // The last screen stays for that long.
        self.event("o", &json!(""));
        (self.events, self.now_ms)
    }
}
