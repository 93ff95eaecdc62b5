//! The licences of the libraries that are linked into the command, which ask to be passed on with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use miette::{IntoDiagnostic as _, Result};

use super::crates::{Crate, Crates};

/// The list of the crates, and the texts that their packages contain, each once.
pub(super) fn text(crates: &Crates) -> Result<String> {
    let mut linked: Vec<&Crate> = crates.linked().collect();
    linked.sort_by_key(|each| (&each.name, &each.version));
    let mut text = "The greenroom command contains these libraries. Their sources are at \
                    https://crates.io/crates/NAME/VERSION.\n\n"
        .to_owned();
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for each in linked {
        let name = format!("{} {}", each.name, each.version);
        let licence = each.licence.as_deref().unwrap_or("see its text below");
        let _ = writeln!(text, "{name}: {licence}");
        for found in texts(each)? {
            users.entry(found).or_default().push(name.clone());
        }
    }
    for (licence, users) in users {
        let _ = write!(text, "\n{}\n{}:\n\n{licence}\n", "-".repeat(80), users.join(", "));
    }
    Ok(text)
}

/// The texts in the package that are about licences, as far as they are UTF-8.
fn texts(each: &Crate) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(&each.folder).into_diagnostic()? {
        let entry = entry.into_diagnostic()?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let is_licence = ["license", "licence", "copying", "copyright", "notice", "unlicense"]
            .iter()
            .any(|start| name.starts_with(start));
        if is_licence && entry.file_type().into_diagnostic()?.is_file() {
            let bytes = fs::read(entry.path()).into_diagnostic()?;
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            // The same licence is indented and wrapped alike nearly everywhere.
            found.push(text.trim_matches('\n').to_owned());
        }
    }
    found.sort();
    Ok(found)
}
