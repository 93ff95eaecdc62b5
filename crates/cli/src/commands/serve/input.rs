//! Reads lines of limited length and makes calls of them, in a thread of its own.

use std::io::{self, BufRead, BufReader};
use std::thread;

use staging_core::ErrorKind;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;

use super::at_once::AtOnce;
use super::output::{Line, WeakOutput};
use super::protocol::{Code, Id, LINE_BYTES_MAX, Refusal, read};
use super::room::Room;
use super::taken::{Input, Taken};
use crate::failure::Failure;

const BUFFER_BYTES: usize = 64 * 1024;

/// Starts the thread. It ends with the input, or when nobody takes its calls any more.
pub(super) fn start(calls: mpsc::Sender<Input>, room: Room, output: WeakOutput, at_once: AtOnce) {
    thread::spawn(move || {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, io::stdin().lock());
        if let Err(error) = take_all(&mut input, &calls, &room, &output, &at_once) {
            tracing::warn!(%error, "standard input cannot be read any more");
        }
        // Nobody may be there.
        let _ = calls.blocking_send(Input::End);
    });
}

fn take_all(
    input: &mut BufReader<impl io::Read>,
    calls: &mpsc::Sender<Input>,
    room: &Room,
    output: &WeakOutput,
    at_once: &AtOnce,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        room.wait();
        let answer = match read_line(input, &mut line, LINE_BYTES_MAX)? {
            Read::End => return Ok(()),
            Read::TooLong => Err(too_long()),
            Read::Line => read(&line),
        };
        let ticket = room.take(line.len());
        match answer {
            Ok(None) => {}
            Ok(Some((id, call))) => {
                // A server that ends waits for every ticket. This call's is taken already, so that either the
                // server waits for it or this sees that the server is ending.
                let is_alone = input.buffer().is_empty() && room.has_one() && !calls.is_closed();
                let is_short = line.len() <= BUFFER_BYTES;
                let answered = (is_alone && is_short).then(|| at_once.answer(&id, &call)).flatten();
                if let Some(text) = answered {
                    output.blocking_write(Line { text, ticket: Some(ticket), permit: None });
                } else if let Err(SendError(Input::Call(Taken { id, ticket, .. }))) =
                    calls.blocking_send(Input::Call(Taken { id, call, ticket }))
                {
                    let text = Refusal::of(id, ending()).to_line();
                    output.blocking_send(Line { text, ticket: Some(ticket), permit: None });
                    return Ok(());
                }
            }
            Err(refusal) => {
                let ticket = Some(ticket);
                output.blocking_send(Line { text: refusal.to_line(), ticket, permit: None });
            }
        }
        line.clear();
        // One long line does not keep its memory.
        line.shrink_to(BUFFER_BYTES);
    }
}

/// The process was asked to end before a call began.
fn ending() -> Failure {
    Failure::new(ErrorKind::Stopped, "the server is ending: the call was not begun")
}

fn too_long() -> Refusal {
    let message = format!("the line is longer than {LINE_BYTES_MAX} bytes: send less at once");
    Refusal::new(Id::None, Code::InvalidRequest, ErrorKind::Limit, message)
}

/// The result of reading a line.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Line,
    TooLong,
    End,
}

/// Reads one line without its newline; of one that is too long nothing is kept. A last line without
/// a newline is one all the same.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, bytes_max: usize) -> io::Result<Read> {
    let mut is_too_long = false;
    loop {
        let available = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            available => available?,
        };
        if available.is_empty() {
            return Ok(match (is_too_long, line.is_empty()) {
                (true, _) => Read::TooLong,
                (false, true) => Read::End,
                (false, false) => Read::Line,
            });
        }
        let newline = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..newline.unwrap_or(available.len())];
        if line.len() + part.len() > bytes_max {
            is_too_long = true;
            line.clear();
        }
        if !is_too_long {
            line.extend_from_slice(part);
        }
        let consumed = part.len() + usize::from(newline.is_some());
        input.consume(consumed);
        if newline.is_some() {
            return Ok(if is_too_long { Read::TooLong } else { Read::Line });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_in_order_and_long_ones_skipped_whole() {
        // The buffer is shorter than every line.
        let mut input = BufReader::with_capacity(2, &b"one\n\ntoo long\nlast"[..]);
        let mut seen = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = read_line(&mut input, &mut line, 5).expect("it is in memory");
            if read == Read::End {
                break;
            }
            seen.push((read, String::from_utf8(line).expect("it is text")));
        }
        let line = |text: &str| (Read::Line, text.to_owned());
        assert_eq!(seen, [line("one"), line(""), (Read::TooLong, String::new()), line("last")]);
    }
}
