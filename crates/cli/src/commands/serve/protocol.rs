//! JSON-RPC 2.0 messages: what is read of a line, and what is written.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use staging_core::{ErrorKind, escape_json_line};

use super::calls::Call;
use crate::console::json_line;
use crate::failure::Failure;

/// The version of the protocol; it grows when something changes its meaning.
pub(super) const PROTOCOL: u32 = 1;

/// The longest line that is read, and the longest answer to a call that changes nothing, in bytes without the
/// newline.
pub(super) const LINE_BYTES_MAX: usize = 64 << 20;

/// The version of JSON-RPC.
const VERSION: &str = "2.0";

/// The id of a call, which its answer repeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Id {
    Number(serde_json::Number),
    Text(String),
    /// That of an answer to what cannot be read.
    #[serde(skip_deserializing)]
    None,
}

/// The code of an error, by JSON-RPC 2.0, section 5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    ParseError,
    InvalidRequest,
    MethodNotFound,
    InvalidParams,
    /// Greenroom refused or failed; the kind says how.
    Failed,
}

impl Code {
    const fn number(self) -> i32 {
        match self {
            Self::ParseError => -32700,
            Self::InvalidRequest => -32600,
            Self::MethodNotFound => -32601,
            Self::InvalidParams => -32602,
            Self::Failed => -32000,
        }
    }
}

/// An error as a client reads it.
#[derive(Serialize, JsonSchema)]
pub(super) struct ErrorView<'a> {
    /// By JSON-RPC 2.0, section 5.1; -32000 where the call was read and could not be done.
    code: i32,
    /// A sentence for people.
    message: &'a str,
    /// The error as `--json` has it; programs decide by its `kind`.
    data: &'a Failure,
}

impl<'a> ErrorView<'a> {
    /// A failure of something that was read; `message` is its sentence with what to do next.
    pub(super) fn of(message: &'a str, failure: &'a Failure) -> Self {
        Self { code: Code::Failed.number(), message, data: failure }
    }
}

/// An error, and the call that it answers.
#[derive(Debug)]
pub(super) struct Refusal {
    id: Id,
    code: Code,
    failure: Box<Failure>,
}

impl Refusal {
    pub(super) fn new(id: Id, code: Code, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { id, code, failure: Box::new(Failure::new(kind, shortened(message.into()))) }
    }

    /// A call that was read and could not be done.
    pub(super) fn of(id: Id, failure: Failure) -> Self {
        Self { id, code: Code::Failed, failure: Box::new(failure) }
    }

    pub(super) fn to_line(&self) -> String {
        #[derive(Serialize)]
        struct Message<'a> {
            jsonrpc: &'static str,
            id: &'a Id,
            error: ErrorView<'a>,
        }
        let message = &self.failure.with_advice();
        let error = ErrorView { code: self.code.number(), message, data: &self.failure };
        json_line(&Message { jsonrpc: VERSION, id: &self.id, error })
    }
}

/// The result of a call as JSON, to be put into its answer.
pub(super) fn body(result: &impl Serialize) -> String {
    json_line(result)
}

/// The answer to a call.
pub(super) fn answer(id: &Id, body: &str) -> String {
    let id = escape_json_line(serde_json::to_string(id).expect("an id is a number or a text"));
    format!("{{\"jsonrpc\":\"{VERSION}\",\"id\":{id},\"result\":{body}}}")
}

/// A message that answers nothing.
pub(super) fn notification(method: &'static str, params: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Message<'a, P> {
        jsonrpc: &'static str,
        method: &'static str,
        params: &'a P,
    }
    json_line(&Message { jsonrpc: VERSION, method, params })
}

/// What is read of a message before its method is known.
#[derive(Deserialize)]
struct Head<'m> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'m, str>>,
    #[serde(default)]
    id: Option<serde_json::Value>,
    #[serde(borrow, default)]
    method: Option<Cow<'m, str>>,
    #[serde(default)]
    params: Option<IgnoredAny>,
}

/// The call in a line; nothing in an empty one.
pub(super) fn read(line: &[u8]) -> Result<Option<(Id, Call)>, Refusal> {
    // A byte order mark in front belongs to how the text was sent.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let invalid =
        |id, message: &str| Refusal::new(id, Code::InvalidRequest, ErrorKind::Usage, message);
    let head = match serde_json::from_slice::<Head<'_>>(line) {
        // A list could be read as the fields in their order.
        Ok(_) if !line.starts_with(b"{") => {
            let message = "a message is one JSON object; batches are not supported: send each \
                           message on its own line";
            return Err(invalid(Id::None, message));
        }
        Ok(head) => head,
        Err(error) if error.is_data() => {
            let message = format!("a message is one JSON object of JSON-RPC 2.0: {error}");
            return Err(invalid(Id::None, &message));
        }
        Err(error) => {
            let message = format!("this line is not valid JSON: {error}");
            return Err(Refusal::new(Id::None, Code::ParseError, ErrorKind::Usage, message));
        }
    };
    let id = head.id.and_then(|id| serde_json::from_value(id).ok());
    let Some(id) = id else {
        return Err(invalid(
            Id::None,
            "a call needs an `id`, a number or a text: nothing was done",
        ));
    };
    if head.jsonrpc.as_deref() != Some(VERSION) {
        return Err(invalid(id, "the message does not say `\"jsonrpc\":\"2.0\"`"));
    }
    let Some(method) = head.method else {
        return Err(invalid(id, "the message has no `method`"));
    };
    match Call::read(&method, line, head.params.is_some()) {
        Some(Ok(call)) => Ok(Some((id, call))),
        Some(Err(error)) => {
            let message = format!("the parameters of `{method}` cannot be read: {error}");
            Err(Refusal::new(id, Code::InvalidParams, ErrorKind::Usage, message))
        }
        None => {
            let message = format!("there is no method `{method}`");
            Err(Refusal::new(id, Code::MethodNotFound, ErrorKind::Usage, message))
        }
    }
}

/// A message that repeats no more of what was sent than its begin. Its end says what is expected.
fn shortened(message: String) -> String {
    const EACH_BYTES_MAX: usize = 1024;
    if message.len() <= 2 * EACH_BYTES_MAX {
        return message;
    }
    let begin = message.floor_char_boundary(EACH_BYTES_MAX);
    let end = message.ceil_char_boundary(message.len() - EACH_BYTES_MAX);
    format!("{} … {}", &message[..begin], &message[end..])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("not json", "-32700", "null")]
    #[case("[]", "-32600", "null")]
    #[case("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}]", "-32600", "null")]
    #[case("{\"jsonrpc\":\"2.0\",\"method\":\"status\"}", "-32600", "null")]
    #[case("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"status\"}", "-32600", "null")]
    #[case("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"status\"}", "-32600", "null")]
    #[case("{\"id\":1,\"method\":\"status\"}", "-32600", "1")]
    #[case("{\"jsonrpc\":\"2.0\",\"id\":\"a\"}", "-32600", "\"a\"")]
    #[case("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stat\"}", "-32601", "1")]
    #[case("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"read\"}", "-32602", "1")]
    #[case(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"apply\",\"params\":{\"expct\":\"ab\"}}",
        "-32602",
        "1"
    )]
    #[case("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\",\"params\":[1]}", "-32602", "1")]
    fn what_is_no_call_is_refused_under_its_id(
        #[case] line: &str,
        #[case] code: &str,
        #[case] id: &str,
    ) {
        let refusal = read(line.as_bytes()).expect_err("it is no call").to_line();
        let begins = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},");
        assert!(refusal.starts_with(&begins), "{refusal}");
    }

    #[test]
    fn an_error_does_not_repeat_all_of_what_was_sent() {
        let long = "ä".repeat(100_000);
        let begin = r#"{"jsonrpc":"2.0","id":1,"method":""#;
        let kind =
            format!(r#"propose","params":{{"session":"s1","proposals":[{{"kind":"{long}"}}]}}}}"#);
        for (rest, end) in [(kind, "expected"), (format!("{long}\"}}"), "ä")] {
            let refusal = read(format!("{begin}{rest}").as_bytes()).expect_err("it is no call");
            let message = &refusal.failure.message;
            assert!(message.len() < 2100 && message.contains('…'), "{message}");
            assert!(message[message.find('…').expect("it is there")..].contains(end), "{message}");
        }
    }

    #[rstest]
    #[case("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}")]
    #[case(
        "\u{feff}{\"params\":{},\"method\":\"status\",\"id\":1,\"jsonrpc\":\"2.0\",\"more\":[1]}\r"
    )]
    fn a_call_is_read_in_any_order_of_its_fields(#[case] line: &str) {
        let (id, call) = read(line.as_bytes()).ok().flatten().expect("it is a call");
        assert!(matches!(call, Call::Status(_)));
        assert_eq!(answer(&id, "{}"), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    }
}
