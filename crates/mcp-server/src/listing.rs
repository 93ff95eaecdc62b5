//! The tools that look at directories.

use serde::Serialize;
use staging_core::{FileKind, escape_bytes, escape_path};

use crate::arguments::{ListWithSizes, OnePath, Search, SortBy, Tree};
use crate::context::{Context, child};
use crate::failure::Failure;
use crate::paths::shown;
use crate::patterns::Patterns;
use crate::reading::READ_BYTES_MAX;

/// `list_directory`
pub(crate) fn list_directory(context: &Context, arguments: &OnePath) -> Result<String, Failure> {
    let (_, entries) = context.list(&arguments.path)?;
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| format!("{} {}", tag(entry.kind), escape_bytes(&entry.name)))
        .collect();
    Ok(lines.join("\n"))
}

/// `list_directory_with_sizes`
pub(crate) fn list_directory_with_sizes(
    context: &Context,
    arguments: &ListWithSizes,
) -> Result<String, Failure> {
    let (place, entries) = context.list(&arguments.path)?;
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = child(&place, &entry.name)?;
        // What a symlink leads to is what has a size; one that leads nowhere has none.
        let path = match entry.kind {
            FileKind::Symlink => context.view.resolve(&path).ok(),
            _ => Some(path),
        };
        let status = path.and_then(|path| context.view.status(&path).ok().flatten());
        rows.push((entry, status.map_or(0, |status| status.bytes)));
    }
    if arguments.sort_by == SortBy::Size {
        rows.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    }
    let is_dir = |kind: FileKind| kind == FileKind::Directory;
    let mut lines: Vec<String> = rows
        .iter()
        .map(|(entry, bytes)| {
            let size =
                if is_dir(entry.kind) { String::new() } else { format!("{:>10}", size(*bytes)) };
            format!("{} {:<30} {size}", tag(entry.kind), escape_bytes(&entry.name))
        })
        .collect();
    let files = rows.iter().filter(|(entry, _)| !is_dir(entry.kind));
    let (count, total) = files
        .fold((0, 0_u64), |(count, total), (_, bytes)| (count + 1, total.saturating_add(*bytes)));
    lines.push(String::new());
    lines.push(format!("Total: {count} files, {} directories", rows.len() - count));
    lines.push(format!("Combined size: {}", size(total)));
    Ok(lines.join("\n"))
}

/// A name of a tree, with the fields in the order in which they are written.
#[derive(Serialize)]
struct Node {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<Vec<Node>>,
}

/// `directory_tree`
pub(crate) fn directory_tree(context: &Context, arguments: &Tree) -> Result<String, Failure> {
    let excluded = Patterns::names(&arguments.exclude_patterns)?;
    // The nodes by depth, each list waiting for the directory that it belongs to.
    let mut levels: Vec<Vec<Node>> = vec![Vec::new()];
    context.walk(&arguments.path, &mut |found| {
        if excluded.matches(found.relative) {
            return false;
        }
        let depth = found.relative.iter().filter(|byte| **byte == b'/').count();
        close_to(&mut levels, depth + 1);
        let is_dir = found.kind == FileKind::Directory;
        levels[depth].push(Node {
            name: escape_bytes(found.path.file_name()),
            kind: if is_dir { "directory" } else { "file" },
            children: is_dir.then(Vec::new),
        });
        if is_dir {
            levels.push(Vec::new());
        }
        true
    })?;
    close_to(&mut levels, 1);
    serde_json::to_string_pretty(&levels[0]).map_err(|error| Failure::new(error.to_string()))
}

/// Gives what was gathered deeper down to the directories that it lies in.
fn close_to(levels: &mut Vec<Vec<Node>>, depth: usize) {
    while levels.len() > depth {
        let children = levels.pop();
        let directory = levels.last_mut().and_then(|level| level.last_mut());
        if let Some(directory) = directory {
            directory.children = children;
        }
    }
}

/// `search_files`
pub(crate) fn search_files(context: &Context, arguments: &Search) -> Result<String, Failure> {
    let wanted = Patterns::plain(std::slice::from_ref(&arguments.pattern))?;
    let excluded = Patterns::plain(&arguments.exclude_patterns)?;
    let (mut found_paths, mut bytes) = (Vec::new(), 0);
    context.walk(&arguments.path, &mut |found| {
        if excluded.matches(found.relative) {
            return false;
        }
        if wanted.matches(found.relative) && bytes <= READ_BYTES_MAX {
            let full = context.allowed.full(&Some(found.path.clone()));
            let path = escape_path(full.as_os_str());
            bytes += path.len() + 1;
            found_paths.push(path);
        }
        true
    })?;
    if bytes > READ_BYTES_MAX {
        return Err(Failure::new("too many files match: search with a narrower pattern"));
    }
    Ok(if found_paths.is_empty() { "No matches found".into() } else { found_paths.join("\n") })
}

/// `get_file_info`
pub(crate) fn get_file_info(context: &Context, arguments: &OnePath) -> Result<String, Failure> {
    let status = match context.resolve(&arguments.path)? {
        None => Some(context.root_status()?),
        Some(path) => context.view.status(&path)?,
    };
    let status = status.ok_or_else(|| {
        Failure::new(format!("there is no file or directory `{}`", shown(&arguments.path)))
    })?;
    let mut lines = vec![format!("size: {}", status.bytes)];
    lines.extend(status.modified_at.map(|at| format!("modified: {at}")));
    lines.push(format!("isDirectory: {}", status.kind == FileKind::Directory));
    lines.push(format!("isFile: {}", status.kind == FileKind::Regular));
    lines.push(format!("permissions: {:03o}", status.mode & 0o777));
    lines.extend(status.patch.map(|patch| format!("pending: {patch}")));
    Ok(lines.join("\n"))
}

/// Whatever is no directory is shown as a file, as the reference server does.
fn tag(kind: FileKind) -> &'static str {
    if kind == FileKind::Directory { "[DIR]" } else { "[FILE]" }
}

/// A size for people: `512 B`, `1.50 KB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let unit = ((bytes.ilog2() / 10) as usize).min(UNITS.len() - 1);
    let scaled = bytes as f64 / (1_u64 << (10 * unit)) as f64;
    format!("{scaled:.2} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 B")]
    #[case(1023, "1023 B")]
    #[case(1536, "1.50 KB")]
    #[case(3 << 20, "3.00 MB")]
    #[case(1 << 50, "1024.00 TB")]
    fn sizes_are_for_people(#[case] bytes: u64, #[case] expected: &str) {
        assert_eq!(size(bytes), expected);
    }
}
