//! Writes the short form: one line for each file, and the totals, as `git diff --stat`.
//!
//! The layout is git's for output that is no terminal: see `git-diff(1)`, "--stat".

use std::io::{self, Write};
use std::iter;

use crate::render::header::FileChange;
use crate::render::names::quote;

/// One file's line in the short form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// The name shown; for a rename, `{old => new}` around the part that differs.
    pub name: Vec<u8>,
    /// How much changes.
    pub amount: Amount,
}

/// How much changes in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Lines, of a content that was compared.
    Lines {
        /// How many are added.
        added: u64,
        /// How many are removed.
        removed: u64,
    },
    /// Bytes, of a content that is binary or too large to be compared.
    Bytes {
        /// The size before; 0 if the file did not exist.
        old: u64,
        /// The size after.
        new: u64,
    },
}

impl FileStat {
    /// The line for one file.
    pub fn of(change: FileChange<'_>, amount: Amount) -> Self {
        let (from, to) = change.paths();
        let name = if from == to { quote(to) } else { renamed(from, to) };
        Self { name, amount }
    }
}

impl Amount {
    fn lines(self) -> (u64, u64) {
        match self {
            Self::Lines { added, removed } => (added, removed),
            Self::Bytes { .. } => (0, 0),
        }
    }
}

/// Writes the lines and the totals, at most `width` columns wide if that leaves 10 columns for a name
/// and 6 for signs.
///
/// # Errors
///
/// Those of `out`.
pub fn render_stat(files: &[FileStat], width: usize, out: &mut dyn Write) -> io::Result<()> {
    let columns = Columns::of(files, width);
    for file in files {
        let (dots, name) = shortened(&file.name, columns.name);
        let padding = columns.name.saturating_sub(dots.len() + name.len());
        out.write_all(b" ")?;
        out.write_all(dots)?;
        out.write_all(name)?;
        write!(out, "{:padding$} | ", "")?;
        let number = columns.number;
        match file.amount {
            Amount::Bytes { old: 0, new: 0 } => writeln!(out, "{:>number$}", "Bin")?,
            Amount::Bytes { old, new } => {
                writeln!(out, "{:>number$} {old} -> {new} bytes", "Bin")?;
            }
            Amount::Lines { added: 0, removed: 0 } => writeln!(out, "{:>number$}", 0)?,
            Amount::Lines { added, removed } => {
                let (plus, minus) = columns.signs(added, removed);
                let signs = ["+".repeat(plus), "-".repeat(minus)].concat();
                writeln!(out, "{:>number$} {signs}", added + removed)?;
            }
        }
    }
    write_totals(files, out)
}

/// How wide each part of a line is.
struct Columns {
    name: usize,
    number: usize,
    signs: usize,
    /// The most lines that change in one file.
    most: u64,
}

impl Columns {
    fn of(files: &[FileStat], width: usize) -> Self {
        const BETWEEN: usize = 6;
        const NAME_MIN: usize = 10;
        const SIGNS_MIN: usize = 6;
        let digits = |number: u64| number.to_string().len();
        let longest = files.iter().map(|file| file.name.len()).max().unwrap_or(0);
        let changed = |file: &FileStat| {
            let (added, removed) = file.amount.lines();
            added + removed
        };
        let most = files.iter().map(changed).max().unwrap_or(0);
        let bytes_shown = |file: &FileStat| match file.amount {
            Amount::Bytes { old, new } => Some("Bin  ->  bytes".len() + digits(old) + digits(new)),
            Amount::Lines { .. } => None,
        };
        let widest_bytes = files.iter().filter_map(bytes_shown).max();
        let number = digits(most).max(widest_bytes.map_or(0, |_| "Bin".len()));
        let width = width.max(NAME_MIN + SIGNS_MIN + number + BETWEEN);
        // The text after `Bin` has to fit into the columns of the signs.
        let signs_wanted = (most as usize).max(widest_bytes.unwrap_or(0).saturating_sub(4));
        let (mut name, mut signs) = (longest, signs_wanted);
        if name + number + BETWEEN + signs > width {
            // Signs get three eighths of a line and names the rest; each gets what the other leaves.
            let fair = (width * 3 / 8).saturating_sub(number + BETWEEN);
            if signs > fair {
                signs = fair.max(SIGNS_MIN);
            }
            let room = width - number - BETWEEN;
            if name > room - signs {
                name = room - signs;
            } else {
                signs = room - name;
            }
        }
        Self { name, number, signs, most }
    }

    /// How many signs represent these lines; at least one for any.
    fn signs(&self, added: u64, removed: u64) -> (usize, usize) {
        if self.signs as u64 > self.most {
            return (added as usize, removed as usize);
        }
        let scaled = |count: u64| match count {
            0 => 0,
            _ => 1 + (count as u128 * (self.signs as u128 - 1) / u128::from(self.most)) as usize,
        };
        let both = usize::from(added > 0) + usize::from(removed > 0);
        let total = scaled(added + removed).max(both);
        if added < removed {
            let plus = scaled(added);
            (plus, total - plus)
        } else {
            let minus = scaled(removed);
            (total - minus, minus)
        }
    }
}

/// The end of a name that is too long, after dots; it starts at a `/` if there is one.
fn shortened(name: &[u8], columns: usize) -> (&'static [u8], &[u8]) {
    const DOTS: &[u8] = b"...";
    if name.len() <= columns {
        return (b"", name);
    }
    let end = &name[name.len() - columns.saturating_sub(DOTS.len())..];
    let slash = end.iter().position(|byte| *byte == b'/').unwrap_or(0);
    (DOTS, &end[slash..])
}

/// Both names of a rename, with the folders that they share written once.
pub(crate) fn renamed(from: &[u8], to: &[u8]) -> Vec<u8> {
    let (quoted_from, quoted_to) = (quote(from), quote(to));
    if quoted_from != from || quoted_to != to {
        return [&quoted_from[..], b" => ", &quoted_to].concat();
    }
    let common = iter::zip(from, to).take_while(|(from, to)| from == to).count();
    let start = from[..common].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    // The slash that ends the common start may be the one that begins the common end.
    let overlap = start.saturating_sub(1);
    let (from_rest, to_rest) = (&from[overlap..], &to[overlap..]);
    let equal = iter::zip(from_rest.iter().rev(), to_rest.iter().rev())
        .take_while(|(from, to)| from == to)
        .count();
    let tail = &from[from.len() - equal..];
    let end = tail.iter().position(|byte| *byte == b'/').map_or(0, |slash| tail.len() - slash);
    let middle = |name: &[u8]| name[start..name.len().saturating_sub(end).max(start)].to_vec();
    let both = [middle(from), b" => ".to_vec(), middle(to)].concat();
    if start + end == 0 {
        return both;
    }
    [&from[..start], b"{", &both, b"}", &from[from.len() - end..]].concat()
}

fn write_totals(files: &[FileStat], out: &mut dyn Write) -> io::Result<()> {
    let counted = |count: u64, one: &str, many: &str| {
        format!("{count} {}", if count == 1 { one } else { many })
    };
    if files.is_empty() {
        return Ok(());
    }
    let added: u64 = files.iter().map(|file| file.amount.lines().0).sum();
    let removed: u64 = files.iter().map(|file| file.amount.lines().1).sum();
    let mut parts = vec![counted(files.len() as u64, "file changed", "files changed")];
    if added > 0 || removed == 0 {
        parts.push(counted(added, "insertion(+)", "insertions(+)"));
    }
    if removed > 0 || added == 0 {
        parts.push(counted(removed, "deletion(-)", "deletions(-)"));
    }
    writeln!(out, " {}", parts.join(", "))
}
