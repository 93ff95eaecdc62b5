//! The short form: one line for each file, and the totals, as `git diff --stat`.

use std::io::{self, Write};

use crate::engine::FileDiff;
use crate::header::FileChange;
use crate::names::quote;

/// One file's line in the short form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// The name shown; `old => new` for a rename.
    pub name: Vec<u8>,
    /// Lines that come.
    pub added: u64,
    /// Lines that go.
    pub removed: u64,
    /// Whether the content is binary, so that lines mean nothing.
    pub binary: bool,
}

impl FileStat {
    /// The line for one file.
    pub fn of(change: FileChange<'_>, diff: &FileDiff) -> Self {
        let (from, to) = change.paths();
        let name = if from == to {
            quote(to)
        } else {
            [quote(from), b" => ".to_vec(), quote(to)].concat()
        };
        Self { name, added: diff.added, removed: diff.removed, binary: diff.binary }
    }
}

/// Writes the lines and the totals, at most `width` columns wide where names allow it.
///
/// # Errors
///
/// Those of `out`.
pub fn render_stat(files: &[FileStat], width: usize, out: &mut dyn Write) -> io::Result<()> {
    let columns = |name: &[u8]| String::from_utf8_lossy(name).chars().count();
    let name_columns = files.iter().map(|file| columns(&file.name)).max().unwrap_or(0);
    let most = files.iter().map(|file| file.added + file.removed).max().unwrap_or(0);
    let any_binary = files.iter().any(|file| file.binary);
    let number_columns = most.to_string().len().max(if any_binary { 3 } else { 0 });
    let graph_columns = width.saturating_sub(name_columns + number_columns + 5).max(10) as u64;
    for file in files {
        let padding = " ".repeat(name_columns - columns(&file.name));
        out.write_all(b" ")?;
        out.write_all(&file.name)?;
        if file.binary {
            writeln!(out, "{padding} | {:>number_columns$}", "Bin")?;
            continue;
        }
        let changed = file.added + file.removed;
        let graph = format!(
            "{}{}",
            "+".repeat(scaled(file.added, most, graph_columns)),
            "-".repeat(scaled(file.removed, most, graph_columns))
        );
        let line = format!("{padding} | {changed:>number_columns$} {graph}");
        writeln!(out, "{}", line.trim_end())?;
    }
    write_totals(files, out)
}

/// How many signs stand for `count`; never none for some.
fn scaled(count: u64, most: u64, columns: u64) -> usize {
    if count == 0 {
        return 0;
    }
    let signs = if most <= columns {
        count
    } else {
        (u128::from(count) * u128::from(columns) / u128::from(most)) as u64
    };
    signs.max(1) as usize
}

fn write_totals(files: &[FileStat], out: &mut dyn Write) -> io::Result<()> {
    let counted = |count: u64, one: &str, many: &str| {
        format!("{count} {}", if count == 1 { one } else { many })
    };
    let added: u64 = files.iter().map(|file| file.added).sum();
    let removed: u64 = files.iter().map(|file| file.removed).sum();
    let mut parts = vec![counted(files.len() as u64, "file changed", "files changed")];
    if added > 0 {
        parts.push(counted(added, "insertion(+)", "insertions(+)"));
    }
    if removed > 0 {
        parts.push(counted(removed, "deletion(-)", "deletions(-)"));
    }
    writeln!(out, " {}", parts.join(", "))
}
