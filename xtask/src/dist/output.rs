//! The files that are written, and their sums.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use sha2::{Digest as _, Sha256};

const SUMS: &str = "SHA256SUMS";

/// A file of the output.
#[derive(Debug)]
pub(super) struct Artefact {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Output {
    files: BTreeMap<String, Vec<u8>>,
}

impl Output {
    pub(super) fn add(&mut self, artefact: Artefact) {
        let before = self.files.insert(artefact.name, artefact.bytes);
        debug_assert!(before.is_none(), "each artefact has a name of its own");
    }

    pub(super) fn add_all(&mut self, artefacts: impl IntoIterator<Item = Artefact>) {
        artefacts.into_iter().for_each(|artefact| self.add(artefact));
    }

    /// How many files are written, the sums included.
    pub(super) fn len(&self) -> usize {
        self.files.len() + 1
    }

    /// Writes the files and `SHA256SUMS`, as `sha256sum --check` reads it.
    ///
    /// # Errors
    ///
    /// The directory contains something else, such as the files of another version: what is published from
    /// it would be more than what the sums list.
    pub(super) fn write(&self, out: &Path) -> Result<()> {
        let cannot = || format!("cannot write to {}", out.display());
        fs::create_dir_all(out).into_diagnostic().wrap_err_with(cannot)?;
        for entry in fs::read_dir(out).into_diagnostic().wrap_err_with(cannot)? {
            let name = entry.into_diagnostic()?.file_name();
            if !name.to_str().is_some_and(|name| name == SUMS || self.files.contains_key(name)) {
                let (name, out) = (name.display(), out.display());
                return Err(miette!(
                    "{out} contains {name}, which is not written: remove the directory"
                ));
            }
        }
        let mut sums = String::new();
        for (name, bytes) in &self.files {
            fs::write(out.join(name), bytes).into_diagnostic().wrap_err_with(cannot)?;
            let _ = writeln!(sums, "{}  {name}", sha256(bytes));
        }
        fs::write(out.join(SUMS), sums).into_diagnostic().wrap_err_with(cannot)
    }
}

/// The digest in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
