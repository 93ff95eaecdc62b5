//! What is in a tree: files and symbolic links. Directories are there as long as something is in them.

use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File { content: Vec<u8>, is_executable: bool },
    Link { target: Vec<u8> },
}

/// A tree, by names.
pub(crate) type Files = BTreeMap<String, Entry>;

/// A file's content, or a link's target.
pub(crate) fn bytes(entry: &Entry) -> &[u8] {
    match entry {
        Entry::File { content, .. } => content,
        Entry::Link { target } => target,
    }
}

/// Whether a name lies below another one.
pub(crate) fn lies_below(low: &str, high: &str) -> bool {
    low.strip_prefix(high).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether there is a directory of this name.
pub(crate) fn has_directory(files: &Files, name: &str) -> bool {
    files.keys().any(|file| lies_below(file, name))
}

/// Puts something at a name. What is in its way goes.
pub(crate) fn put(files: &mut Files, name: &str, entry: Entry) {
    files.retain(|file, _| !lies_below(file, name) && !lies_below(name, file));
    files.insert(name.to_owned(), entry);
}

pub(crate) fn shown(files: &Files) -> String {
    let shown = files.iter().map(|(name, entry)| match entry {
        Entry::File { content, is_executable } => {
            let mark = if *is_executable { "*" } else { "" };
            format!("  {name}{mark}: {}\n", content.escape_ascii())
        }
        Entry::Link { target } => format!("  {name} -> {}\n", target.escape_ascii()),
    });
    format!("\n{}", shown.collect::<String>())
}

/// A name of a patch as the names of files are.
pub(crate) fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
