//! Bytes made printable for messages.

/// How much of a line a message shows, at most.
const SHOWN_BYTES_MAX: usize = 120;

/// Bytes made printable for a message, in backquotes; unprintable bytes become `\xNN`.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let mut text = String::from("`");
    text.push_str(&escaped(cut));
    text.push('`');
    if cut.len() < bytes.len() {
        text.push('…');
    }
    text
}

/// Bytes made printable, without backquotes. The caller that shows the message spells out other
/// invisible characters.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\\' => text.push_str("\\\\"),
                letter if letter.is_control() => text.extend(letter.escape_unicode()),
                letter => text.push(letter),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
