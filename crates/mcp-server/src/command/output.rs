//! What a command prints, as far as an answer can bear it: the beginning and the end of each stream.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much of a stream's beginning and end is kept.
const HEAD_BYTES_MAX: usize = 8 << 10;
const TAIL_BYTES_MAX: usize = 16 << 10;
/// How much of what is new is passed on at once.
const NEW_BYTES_MAX: usize = 2 << 10;

/// Which stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Output,
    Error,
}

/// The streams of a command.
#[derive(Clone, Debug, Default)]
pub(super) struct Outputs(Arc<Mutex<Both>>);

#[derive(Debug, Default)]
struct Both {
    output: Bounded,
    error: Bounded,
    /// The last of both that nobody has taken.
    new: VecDeque<u8>,
    new_bytes: u64,
}

impl Outputs {
    pub(super) fn push(&self, stream: Stream, bytes: &[u8]) {
        let mut both = self.lock();
        match stream {
            Stream::Output => both.output.push(bytes),
            Stream::Error => both.error.push(bytes),
        }
        both.new_bytes += bytes.len() as u64;
        push_last(&mut both.new, bytes, NEW_BYTES_MAX);
    }

    /// What was printed since the last call; `None` if that is nothing.
    pub(super) fn take_new(&self) -> Option<Vec<u8>> {
        let mut both = self.lock();
        let bytes = std::mem::take(&mut both.new_bytes);
        // The rest of a character that is not complete yet comes with the next.
        let mut taken = Vec::from(std::mem::take(&mut both.new));
        let rest = taken.split_off(complete(&taken));
        both.new_bytes = rest.len() as u64;
        both.new.extend(rest);
        let left_out = bytes - both.new_bytes - taken.len() as u64;
        let from = if left_out > 0 { whole_from(&taken) } else { 0 };
        let left_out = left_out + from as u64;
        let taken = &taken[from..];
        match (left_out, taken) {
            (0, []) => None,
            (0, taken) => Some(taken.to_vec()),
            (left_out, taken) => Some([marker(left_out).as_bytes(), taken].concat()),
        }
    }

    /// Standard output and standard error, with how much of each is left out.
    pub(super) fn texts(&self) -> [(Vec<u8>, u64); 2] {
        let both = self.lock();
        [both.output.text(), both.error.text()]
    }

    fn lock(&self) -> MutexGuard<'_, Both> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning and the end of a stream.
#[derive(Debug, Default)]
struct Bounded {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    bytes: u64,
}

impl Bounded {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = (HEAD_BYTES_MAX - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        push_last(&mut self.tail, &bytes[room..], TAIL_BYTES_MAX);
    }

    /// What is kept, in which a line says how much is left out; and how much.
    fn text(&self) -> (Vec<u8>, u64) {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let kept = (self.head.len() + tail.len()) as u64;
        if self.bytes == kept {
            return ([self.head.as_slice(), &tail].concat(), 0);
        }
        // No character is cut.
        let head = &self.head[..complete(&self.head)];
        let tail = &tail[whole_from(&tail)..];
        let left_out = self.bytes - (head.len() + tail.len()) as u64;
        ([head, marker(left_out).as_bytes(), tail].concat(), left_out)
    }
}

fn marker(bytes: u64) -> String {
    format!("\n[{bytes} bytes are left out here]\n")
}

/// Appends, and keeps the last bytes.
fn push_last(to: &mut VecDeque<u8>, bytes: &[u8], max: usize) {
    let bytes = &bytes[bytes.len().saturating_sub(max)..];
    to.drain(..(to.len() + bytes.len()).saturating_sub(max));
    to.extend(bytes);
}

/// How long the text is without a character at its end that is not complete.
fn complete(bytes: &[u8]) -> usize {
    let back = bytes.iter().rev().take(3).position(|byte| *byte >= 0xC0);
    let Some(last) = back.map(|back| bytes.len() - 1 - back) else { return bytes.len() };
    match std::str::from_utf8(&bytes[last..]) {
        Err(error) if error.error_len().is_none() => last,
        _ => bytes.len(),
    }
}

/// Where the first whole character begins, in a text that was cut.
fn whole_from(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|byte| (0x80..0xC0).contains(*byte)).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use staging_core::escape_for_display;

    use super::*;

    fn pushed(parts: &[Vec<u8>]) -> (Vec<u8>, u64) {
        let outputs = Outputs::default();
        parts.iter().for_each(|part| outputs.push(Stream::Error, part));
        let [(output, _), error] = outputs.texts();
        assert!(output.is_empty());
        error
    }

    proptest! {
        #[test]
        fn all_that_is_not_left_out_is_shown(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20_000), 0..5),
        ) {
            let all = parts.concat();
            let (text, left_out) = pushed(&parts);
            if left_out == 0 {
                prop_assert_eq!(text, all);
            } else {
                let middle = marker(left_out);
                let at = text.windows(middle.len()).position(|part| part == middle.as_bytes());
                let at = at.expect("it says how much");
                let (head, tail) = (&text[..at], &text[at + middle.len()..]);
                prop_assert!(all.starts_with(head) && all.ends_with(tail));
                prop_assert_eq!(head.len() as u64 + left_out + tail.len() as u64, all.len() as u64);
                prop_assert!(text.len() <= HEAD_BYTES_MAX + TAIL_BYTES_MAX + middle.len());
            }
        }

        #[test]
        fn no_character_is_cut(before in "[a-c]{0,3}", letter in "[aäß€𝄞]", length in 0..30_000usize) {
            let text = before + &letter.repeat(length);
            let (shown, _) = pushed(&[text.clone().into_bytes()]);
            prop_assert!(std::str::from_utf8(&shown).is_ok());
        }

        #[test]
        fn what_is_new_comes_once_and_whole(text in "[aäß€𝄞]{0,300}", at in 0..300usize) {
            let outputs = Outputs::default();
            let at = at.min(text.len());
            outputs.push(Stream::Output, &text.as_bytes()[..at]);
            let mut taken = outputs.take_new().unwrap_or_default();
            prop_assert!(std::str::from_utf8(&taken).is_ok());
            outputs.push(Stream::Output, &text.as_bytes()[at..]);
            taken.extend(outputs.take_new().unwrap_or_default());
            prop_assert_eq!(taken, text.into_bytes());
            prop_assert_eq!(outputs.take_new(), None);
        }
    }

    #[test]
    fn of_what_is_new_the_end_is_passed_on_with_how_much_is_left_out() {
        let outputs = Outputs::default();
        outputs.push(Stream::Output, &[b'a'; 5000]);
        outputs.push(Stream::Error, b"end");
        let new = outputs.take_new().expect("something is new");
        let expected = format!("\n[{} bytes are left out here]\n", 5003 - NEW_BYTES_MAX);
        let new = escape_for_display(&new).into_owned();
        assert!(new.starts_with(&expected) && new.ends_with("aend"), "{new}");
    }
}
