//! Finds a message's id without holding or parsing the message, for one that is too long to hold
//! or no valid JSON.

use serde_json::Value;

/// Longer pairs than this are no id.
const PAIR_BYTES_MAX: usize = 512;

/// Scans one JSON object in pieces for its own `"id"`, wherever it stands.
///
/// It checks nothing else: what it finds in a text that is no JSON is the text's own fault.
#[derive(Default)]
pub(crate) struct TopLevelId {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The bytes of the current pair that belong to the object itself.
    pair: Vec<u8>,
    found: Option<Value>,
    /// A response is never answered.
    is_response: bool,
}

impl TopLevelId {
    /// Scans the next piece.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.step(byte);
        }
    }

    /// The id under which the message is answered, if one was found: a string or an integer.
    pub(crate) fn found(self) -> Option<Value> {
        self.found.filter(|_| !self.is_response)
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'{' | b'[' => {
                // A pair with something nested is no id; a bracket keeps it from being one.
                self.keep(byte);
                self.depth = self.depth.saturating_add(1);
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.end_pair();
                }
            }
            b',' if self.depth == 1 => self.end_pair(),
            b'"' => {
                self.keep(byte);
                self.in_string = true;
            }
            byte => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.pair.len() <= PAIR_BYTES_MAX {
            self.pair.push(byte);
        }
    }

    fn end_pair(&mut self) {
        let pair = std::mem::take(&mut self.pair);
        let start = pair.trim_ascii_start();
        self.is_response |= start.starts_with(b"\"result\"") || start.starts_with(b"\"error\"");
        if pair.len() > PAIR_BYTES_MAX {
            return;
        }
        let object = [b"{".as_slice(), &pair, b"}"].concat();
        let Ok(Value::Object(mut object)) = serde_json::from_slice(&object) else { return };
        let id = object.remove("id").filter(can_be_id);
        self.found = id.or(self.found.take());
    }
}

/// Whether a request can have this id, under which it is answered.
pub(crate) fn can_be_id(value: &Value) -> bool {
    value.is_string() || value.is_i64() || value.is_u64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn scan(text: &[u8], piece_bytes: usize) -> Option<Value> {
        let mut scanner = TopLevelId::default();
        text.chunks(piece_bytes).for_each(|piece| scanner.feed(piece));
        scanner.found()
    }

    #[rstest]
    #[case(r#"{"id":7,"params":{"id":1}}"#, Some(json!(7)))]
    #[case(r#"{"params":{"id":1,"x":[{"id":2}]},"id":"a,b"}"#, Some(json!("a,b")))]
    #[case(r#"{"params":{"id":1}}"#, None)]
    #[case(r#"{"text":"\"id\":3, \\","id":4}"#, Some(json!(4)))]
    #[case(r#"{"id":null}"#, None)]
    #[case(r#"{"id":{"a":1}}"#, None)]
    #[case(r#"{"id":1.5}"#, None)]
    #[case(r#"[{"id":1}]"#, None)]
    #[case("{\"id\":9,\"unfinished\":\"", Some(json!(9)))]
    #[case("{\"id\":9,\"cut within the number\":1,\"id\":1", Some(json!(9)))]
    #[case(r#"{"id":1,"params":{"content":"cut \ud83d here"}}"#, Some(json!(1)))]
    #[case(r#"{"method":"x","id":1,}"#, Some(json!(1)))]
    #[case("\u{feff}{\"id\":1}", Some(json!(1)))]
    #[case("{\"text\":\"a\x01b\",\"id\":1}", Some(json!(1)))]
    #[case(r#"{"id":1,"result":{"x":"\ud83d"}}"#, None)]
    #[case(r#"{"error":{"code":1},"id":1,}"#, None)]
    #[case(r#"{"id":1,"results":2}"#, Some(json!(1)))]
    fn the_id_of_the_message_itself_is_found(#[case] text: &str, #[case] id: Option<Value>) {
        for piece_bytes in [1, 3, 1000] {
            assert_eq!(scan(text.as_bytes(), piece_bytes), id, "in pieces of {piece_bytes}");
        }
    }

    #[test]
    fn the_id_is_found_beside_bytes_that_are_no_text_and_below_any_depth() {
        let invalid = b"{\"text\":\"\xff\xfe\",\"id\":1}";
        let deep = format!("{{\"x\":{}{},\"id\":1}}", "[".repeat(3000), "]".repeat(3000));
        for text in [invalid.as_slice(), deep.as_bytes()] {
            assert_eq!(scan(text, 7), Some(json!(1)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_scanned_alike(
            text in proptest::collection::vec(any::<u8>(), 0..200),
            piece_bytes in 1..50usize,
        ) {
            prop_assert_eq!(scan(&text, piece_bytes), scan(&text, 1000));
        }
    }
}
