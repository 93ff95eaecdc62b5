//! The copy of atomic-fs, and the list of its broken variants.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::{env, fs};

use serde::Deserialize;

/// `mutants.toml`.
#[derive(Deserialize)]
struct Table {
    mutant: Vec<Mutant>,
}

/// One thing left out.
#[derive(Deserialize)]
struct Mutant {
    name: String,
    /// What it leaves out, as a sentence.
    leaves_out: String,
    #[serde(default)]
    edit: Vec<Edit>,
}

/// A change of one file of atomic-fs.
#[derive(Deserialize)]
struct Edit {
    /// The file's path below `src`.
    file: String,
    /// Whole lines that occur once in the file.
    old: String,
    new: String,
}

/// Writes `atomic_fs/` and `list.rs` into `OUT_DIR`.
///
/// Whoever changes lines of atomic-fs that are in the list changes them there as well: until then this
/// fails and prints all of them.
pub(crate) fn run() {
    for watched in ["build/copy.rs", "mutants.toml", "../atomic-fs/src"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let table = fs::read_to_string("mutants.toml").expect("mutants.toml can be read");
    let table: Table = toml::from_str(&table).unwrap_or_else(|error| panic!("{error}"));
    let mut copy = Copy {
        from: "../atomic-fs/src".into(),
        to: out.join("atomic_fs"),
        edits: BTreeMap::new(),
        misfits: Vec::new(),
    };
    for edit in table.mutant.iter().flat_map(|mutant| &mutant.edit) {
        copy.edits.entry(edit.file.clone()).or_default().push(edit);
    }
    let _ = fs::remove_dir_all(&copy.to);
    copy.dir(Path::new(""));
    let unused = copy.edits.keys().map(|file| format!("atomic-fs has no file {file}"));
    let misfits: Vec<String> = unused.chain(copy.misfits).collect();
    if !misfits.is_empty() {
        eprintln!("mutants.toml does not fit atomic-fs:\n\n{}", misfits.join("\n"));
        exit(1);
    }
    fs::write(out.join("list.rs"), list(&table)).expect("OUT_DIR can be written to");
}

struct Copy<'t> {
    from: PathBuf,
    to: PathBuf,
    /// Those that are still to be made, by file.
    edits: BTreeMap<String, Vec<&'t Edit>>,
    /// Edits that do not fit.
    misfits: Vec<String>,
}

impl Copy<'_> {
    fn dir(&mut self, below: &Path) {
        fs::create_dir_all(self.to.join(below)).expect("OUT_DIR can be written to");
        let entries = fs::read_dir(self.from.join(below)).expect("the sources can be read");
        for entry in entries {
            let file = below.join(entry.expect("the sources can be read").file_name());
            match self.from.join(&file).is_dir() {
                true => self.dir(&file),
                false => self.file(&file),
            }
        }
    }

    fn file(&mut self, file: &Path) {
        let text = fs::read_to_string(self.from.join(file)).expect("sources are text");
        let path = file.to_str().expect("sources have plain names").replace('\\', "/");
        let edits = self.edits.remove(&path).unwrap_or_default();
        let text = self.edited(&text, &edits);
        // The copy is a module of the fault explorer.
        let text = text.replace("crate::", "crate::mutated::");
        let text = text.replace(r#"feature = "simulated""#, r#"feature = "mutants""#);
        // The tests stay where they are: they need crates that this one has not.
        let text = text.replace("cfg(test)", "cfg(any())").replace("any(windows, test)", "windows");
        let text = if path == "lib.rs" { without_inner_lines(&text) } else { text };
        fs::write(self.to.join(file), text).expect("OUT_DIR can be written to");
    }

    /// Puts the new lines of all edits in the place of the old ones.
    fn edited(&mut self, text: &str, edits: &[&Edit]) -> String {
        let text = format!("\n{text}");
        let mut places = Vec::new();
        for edit in edits {
            let found: Vec<usize> =
                text.match_indices(&format!("\n{}", edit.old)).map(|(at, _)| at + 1).collect();
            match found.as_slice() {
                [at] => places.push((*at, *edit)),
                _ => self.misfits.push(format!(
                    "{} places in {}:\n{}",
                    found.len(),
                    edit.file,
                    edit.old
                )),
            }
        }
        places.sort_by_key(|(at, _)| *at);
        let (mut new, mut end) = (String::new(), 0);
        for (at, edit) in places {
            if at < end {
                self.misfits.push(format!("another edit has changed {}:\n{}", edit.file, edit.old));
                continue;
            }
            new.push_str(&text[end..at]);
            new.push_str(&edit.new);
            end = at + edit.old.len();
        }
        new.push_str(&text[end..]);
        new[1..].to_owned()
    }
}

/// What only stands at the head of a crate.
fn without_inner_lines(text: &str) -> String {
    let is_inner = |line: &&str| line.starts_with("//!") || line.starts_with("#![");
    let lines: Vec<&str> = text.lines().filter(|line| !is_inner(line)).collect();
    lines.join("\n")
}

/// The type that names the broken variants.
fn list(table: &Table) -> String {
    let (mut variants, mut names) = (String::new(), String::new());
    let (mut all, mut descriptions) = (String::new(), String::new());
    for Mutant { name, leaves_out, .. } in &table.mutant {
        writeln!(variants, "    /// {leaves_out}\n    {name},").expect("a string takes it");
        writeln!(all, "        Self::{name},").expect("a string takes it");
        writeln!(names, "            Self::{name} => {name:?},").expect("a string takes it");
        writeln!(descriptions, "            Self::{name} => {leaves_out:?},")
            .expect("a string takes it");
    }
    format!(
        "/// One thing left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {{
{variants}}}

impl Mutant {{
    /// All of them.
    pub const ALL: &[Self] = &[
{all}    ];

    /// Its name.
    pub fn name(self) -> &'static str {{
        match self {{
{names}        }}
    }}

    /// What it leaves out, as a sentence.
    pub fn description(self) -> &'static str {{
        match self {{
{descriptions}        }}
    }}
}}
"
    )
}
