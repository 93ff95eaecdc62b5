//! Reads the text around a `*** Begin Patch`: prose, fences of Markdown, here-documents of a shell.
//!
//! Prose is skipped, as `git apply` skips the text around a diff. A here-document may end with any
//! word. Of the command before it, `cd DIR &&` sets the directory of the names; any other command is
//! refused, because it is not run here.

use crate::error::PatchError;
use crate::printable::shown;
use crate::reader::{Margin, Reader};

pub(crate) const BEGIN: &[u8] = b"*** Begin Patch";
pub(crate) const END: &[u8] = b"*** End Patch";

/// What precedes a patch.
#[derive(Default)]
pub(crate) struct Opening {
    /// The directory that a `cd` before it names.
    pub(crate) directory: Option<Vec<u8>>,
    /// The word that ends the here-document around it.
    word: Option<Vec<u8>>,
}

/// Goes to the next `*** Begin Patch`; `None` if there is none before the end of the text, or if a
/// unified diff comes first.
pub(crate) fn find(reader: &mut Reader<'_>) -> Result<Option<Opening>, PatchError> {
    reader.margin = Margin::None;
    // The last line that is not blank.
    let mut above = None;
    while let Some(line) = reader.peek_header() {
        let text = line.trim_ascii();
        if text == BEGIN {
            let opening = match above {
                Some((line, text)) => opening(text, line, reader)?,
                None => Opening::default(),
            };
            let indent = line.len() - line.trim_ascii_start().len();
            if reader.margin == Margin::None && indent > 0 {
                reader.margin = margin(reader, indent);
            }
            return Ok(Some(opening));
        }
        if line.starts_with(b"diff --git ") || reader.at_file_names() {
            return Ok(None);
        }
        if is_fence(text) {
            above = None;
        } else if !text.is_empty() {
            above = Some((reader.line(), text));
        }
        reader.next();
    }
    Ok(None)
}

fn is_fence(text: &[u8]) -> bool {
    text.starts_with(b"```") || text.starts_with(b"~~~")
}

/// The margin of a patch that is indented as a whole, as in a list: every line has it. Otherwise no
/// line of a hunk could add or remove anything.
fn margin(reader: &Reader<'_>, indent: usize) -> Margin {
    let mut ahead = reader.clone();
    while let Some(line) = ahead.peek() {
        let blanks = line.iter().take_while(|byte| **byte == b' ').count();
        if blanks < indent && !line.trim_ascii().is_empty() {
            return Margin::None;
        }
        if line.trim_ascii() == END {
            return Margin::Blanks(indent);
        }
        ahead.next();
    }
    Margin::None
}

/// Reads the line above a patch.
fn opening(text: &[u8], line: usize, reader: &mut Reader<'_>) -> Result<Opening, PatchError> {
    let Some(document) = HereDocument::read(text) else { return Ok(Opening::default()) };
    let (command, tail) = (document.command, document.tail);
    let is_named = |part: &[u8]| memchr::memmem::find(part, b"apply_patch").is_some();
    let (directories, command) = changes_of_directory(command);
    let is_ours = match command {
        b"" | b"apply_patch" | b"applypatch" | b"greenroom propose --patch -" => tail.is_empty(),
        b"cat" => tail.strip_prefix(b"|").is_some_and(|to| to.trim_ascii() == b"apply_patch"),
        _ => false,
    };
    if !is_ours && !is_named(command) && !is_named(tail) && !document.ends(reader) {
        // Prose that resembles the beginning of a here-document.
        return Ok(Opening::default());
    }
    if !is_ours {
        let reason = "is not supported: around a patch only `cd DIR &&`, `apply_patch` and a \
                      here-document are; send the patch alone";
        return Err(PatchError::malformed(line, format!("{} {reason}", shown(text))));
    }
    let mut directory: Option<Vec<u8>> = None;
    for named in directories {
        let named = plain_word(named).ok_or_else(|| {
            let reason = format!("the directory in {} is not supported: write it without variables, options or escapes", shown(text));
            PatchError::malformed(line, reason)
        })?;
        directory = Some(match directory {
            Some(above) if !named.starts_with(b"/") => [&above, &b"/"[..], named].concat(),
            _ => named.to_vec(),
        });
    }
    if document.strips_tabs {
        reader.margin = Margin::Tabs;
    }
    Ok(Opening { directory, word: Some(document.word.to_vec()) })
}

/// The beginning of a here-document: `COMMAND <<WORD TAIL`.
struct HereDocument<'t> {
    command: &'t [u8],
    word: &'t [u8],
    /// From `<<-`: tabs at the beginnings of its lines are not part of it.
    strips_tabs: bool,
    tail: &'t [u8],
}

/// Refuses a unified diff in a here-document after `cd`: its names would be in another directory.
pub(crate) fn check_above_diff(text: &[u8], line: usize) -> Result<(), PatchError> {
    let text = text.trim_ascii();
    match HereDocument::read(text) {
        Some(document) if document.command.starts_with(b"cd ") => {
            let reason = "is not supported: send the patch alone, with names from the workspace";
            Err(PatchError::malformed(line, format!("{} {reason}", shown(text))))
        }
        _ => Ok(()),
    }
}

impl<'t> HereDocument<'t> {
    fn read(text: &'t [u8]) -> Option<Self> {
        let at = memchr::memmem::rfind(text, b"<<")?;
        let (command, rest) = (text[..at].trim_ascii(), &text[at + 2..]);
        let (strips_tabs, rest) = match rest.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let rest = rest.trim_ascii_start();
        let (word, tail) = word(rest)?;
        if word.is_empty() || command.ends_with(b"<") {
            return None;
        }
        Some(Self { command, word, strips_tabs, tail: tail.trim_ascii() })
    }

    /// Whether one of the next lines ends it, before another patch begins.
    fn ends(&self, reader: &Reader<'_>) -> bool {
        let mut ahead = reader.clone();
        ahead.next();
        while let Some(line) = ahead.peek_header().filter(|line| line.trim_ascii() != BEGIN) {
            if line == self.word {
                return true;
            }
            ahead.next();
        }
        false
    }
}

/// The first word of a shell command, with or without quotes, and the rest.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(quote @ (b'\'' | b'"')) = text.first() {
        let end = memchr::memchr(*quote, &text[1..])?;
        return Some((&text[1..=end], &text[end + 2..]));
    }
    let text = text.strip_prefix(b"\\").unwrap_or(text);
    let is_plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.+:/@%,=".contains(byte) || *byte >= 0x80;
    let end = text.iter().position(|byte| !is_plain(byte)).unwrap_or(text.len());
    Some((&text[..end], &text[end..]))
}

/// The directories that a command changes to, as they are written, and the rest of the command.
fn changes_of_directory(mut command: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut directories = Vec::new();
    while let Some(rest) = command.strip_prefix(b"cd ").map(<[u8]>::trim_ascii_start) {
        let quote = rest.first().filter(|byte| matches!(byte, b'\'' | b'"'));
        let end = match quote {
            Some(quote) => memchr::memchr(*quote, &rest[1..]).map(|end| end + 2),
            None => rest.iter().position(|byte| matches!(byte, b' ' | b'\t' | b';' | b'&')),
        };
        let Some((named, rest)) = end.and_then(|end| rest.split_at_checked(end)) else { break };
        let rest = rest.trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b"&&").or_else(|| rest.strip_prefix(b";")) else {
            break;
        };
        directories.push(named);
        command = rest.trim_ascii_start();
    }
    (directories, command)
}

/// A word that a shell does not expand, without its quotes.
fn plain_word(text: &[u8]) -> Option<&[u8]> {
    let (word, rest) = word(text)?;
    let is_quoted = text.starts_with(b"'");
    let is_expanded = !is_quoted && word.iter().any(|byte| b"$`\\".contains(byte));
    let is_special = word.starts_with(b"-") || word.starts_with(b"\\") || text.starts_with(b"\\");
    (rest.is_empty() && !word.is_empty() && !is_expanded && !is_special).then_some(word)
}

impl Opening {
    /// Skips what closes the patch, whose last line was just read.
    pub(crate) fn close(&self, reader: &mut Reader<'_>) -> Result<(), PatchError> {
        reader.skip_blank();
        if let Some(word) = &self.word {
            if reader.peek_header().is_some_and(|line| line == word) {
                reader.next();
            }
            reader.margin = Margin::None;
            reader.skip_blank();
            // A shell would run it as a command. After a fence, prose follows again.
            if let Some(text) = reader.peek_header().map(<[u8]>::trim_ascii)
                && !is_fence(text)
                && text != BEGIN
                && HereDocument::read(text).is_none()
            {
                let reason = "follows the here-document, and commands are not run: send the \
                              patch alone";
                return Err(behind(reader, reason));
            }
        }
        reader.margin = Margin::None;
        while let Some(line) = reader.peek_header() {
            if line.trim_ascii() == BEGIN {
                return Ok(());
            }
            if [&b"*** "[..], b"@@", b"+"].iter().any(|head| line.starts_with(head)) {
                return Err(behind(reader, "follows `*** End Patch`"));
            }
            // The line above the next patch may be a command.
            if HereDocument::read(line.trim_ascii()).is_some() {
                return Ok(());
            }
            reader.next();
        }
        Ok(())
    }

    /// A name in the patch, relative to the directory in which the patch is applied.
    pub(crate) fn named(&self, name: &[u8]) -> Vec<u8> {
        match &self.directory {
            Some(directory) if !name.is_empty() && !name.starts_with(b"/") => {
                [directory, &b"/"[..], name].concat()
            }
            _ => name.to_vec(),
        }
    }

    /// Whether a line is the one that ends the here-document.
    pub(crate) fn is_word(&self, line: &[u8]) -> bool {
        self.word.as_deref() == Some(line)
    }
}

/// Refuses a line after a patch.
pub(crate) fn behind(reader: &Reader<'_>, reason: &str) -> PatchError {
    let text = shown(reader.peek_header().unwrap_or_default().trim_ascii());
    PatchError::malformed(reader.line(), format!("{text} {reason}"))
}
