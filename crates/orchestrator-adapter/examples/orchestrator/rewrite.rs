//! What the agents do to a text: bytes in, bytes out, no files.

use orchestrator_adapter::RelPath;

/// The identifier that the refactorer renames, and what it becomes.
const RENAMED: (&str, &str) = ("Refusal", "PathRefusal");

/// The text with the identifier renamed, and the moved module named anew.
pub(crate) fn rewritten(path: &RelPath, text: &str) -> String {
    let mut text = with_identifier_renamed(text, RENAMED.0, RENAMED.1);
    if path.to_string().starts_with("crates/staging-core/src/") {
        text = text.replace("crate::time::", "crate::timestamp::");
    }
    if path.to_string() == "crates/staging-core/src/lib.rs" {
        text = text.replace("mod time;", "mod timestamp;");
        text = text.replace("pub use time::", "pub use timestamp::");
    }
    text
}

/// Renames whole identifiers, not parts of longer ones.
fn with_identifier_renamed(text: &str, from: &str, to: &str) -> String {
    let is_part =
        |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        let stands_before = before.chars().next_back().or(renamed.chars().next_back());
        let is_whole = !is_part(stands_before) && !is_part(after.chars().next());
        renamed.push_str(before);
        renamed.push_str(if is_whole { to } else { from });
        rest = after;
    }
    renamed + rest
}

/// A module's body in its parent's file.
pub(crate) fn inlined(name: &str, body: &str) -> String {
    let indented = |line: &str| if line.is_empty() { String::new() } else { format!("    {line}") };
    let body: Vec<_> = body.lines().map(indented).collect();
    format!("mod {name} {{\n{}\n}}\n", body.join("\n"))
}

/// A line for each module, with the first sentence of its documentation.
pub(crate) fn module_index(texts: &[(RelPath, String)]) -> String {
    let mut index = String::new();
    for (path, text) in texts {
        let name = path.file_name().strip_suffix(b".rs").unwrap_or_default();
        let words = text.lines().map_while(|line| line.strip_prefix("//! "));
        let paragraph = words.collect::<Vec<_>>().join(" ");
        let sentence = paragraph.split_inclusive(". ").next().unwrap_or_default().trim();
        index.push_str(&format!("- `{}`: {sentence}\n", String::from_utf8_lossy(name)));
    }
    index
}

/// The text with the index behind its documentation.
pub(crate) fn with_index(text: &str, index: &str) -> String {
    let documented = text.lines().take_while(|line| line.starts_with("//!")).count();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let index = index.lines().map(|line| format!("//! {line}"));
    let section = ["//!".to_owned(), "//! # Modules".to_owned(), "//!".to_owned()];
    lines.splice(documented..documented, section.into_iter().chain(index));
    lines.join("\n") + "\n"
}
