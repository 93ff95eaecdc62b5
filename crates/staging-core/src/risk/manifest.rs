//! The risk that a package's manifest has other scripts that its installation runs.
//!
//! What cannot be read here counts as changed. Package managers read more than JSON: numbers out of range,
//! halves of surrogate pairs, bytes that are not UTF-8 and deep nesting, and pnpm also YAML and JSON5.

use atomic_fs::{EntryKind, RelPath, folded_stem};
use memchr::memmem;
use serde_json::Value;

use crate::base::Base;
use crate::patch::Patch;
use crate::risk::kind::{Risk, RiskKind};
use crate::risk::of_contents::Texts;

/// The scripts that package managers run when they install a package or prepare one for others.
const INSTALL_SCRIPTS: [&str; 9] = [
    "preinstall",
    "install",
    "postinstall",
    "preprepare",
    "prepare",
    "postprepare",
    "prepublish",
    "dependencies",
    "pnpm:devPreinstall",
];

/// The forms of a manifest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    /// For pnpm. The same name is that of a manifest without scripts elsewhere.
    Yaml,
    /// For pnpm.
    Json5,
}

impl Form {
    /// By the name, as the file systems compare it that tell the fewest names apart.
    fn of(path: &RelPath) -> Option<Self> {
        match folded_stem(path.file_name()).as_slice() {
            b"package.json" => Some(Self::Json),
            b"package.yaml" => Some(Self::Yaml),
            b"package.json5" => Some(Self::Json5),
            _ => None,
        }
    }

    /// The scripts in a manifest that its installation runs; `None` where they cannot be read.
    fn scripts(self, text: &[u8]) -> Option<Vec<(&'static str, Value)>> {
        match self {
            Self::Json => install_scripts(text),
            // A key has an escape or is spelled out.
            Self::Yaml => {
                let is_without = |part: &[u8]| memmem::find(text, part).is_none();
                (is_without(b"scripts") && is_without(b"\\")).then(Vec::new)
            }
            Self::Json5 => None,
        }
    }
}

/// Whether a package's manifest has other scripts that its installation runs.
pub(crate) fn changed_scripts(patch: &Patch, texts: &Texts<'_>) -> Option<Risk> {
    let staged = patch.staged.filter(|staged| staged.kind() == EntryKind::File)?;
    let target = patch.target()?;
    let form = Form::of(target)?;
    // Nothing runs the scripts of a file that is moved here from another place.
    let was_there = |base: &&Base| *target == patch.path && base.kind() == EntryKind::File;
    let base = patch.base.as_ref().filter(was_there);
    if base.is_some_and(|base| base.content.digest == staged.digest) {
        return None;
    }
    let Some(new) = texts.new.and_then(|text| form.scripts(text)) else {
        return Some(Risk::with(RiskKind::Automation, "its scripts cannot be read"));
    };
    let old = texts.old.filter(|_| base.is_some()).and_then(|text| form.scripts(text));
    let old = old.unwrap_or_default();
    let changed: Vec<&str> =
        new.iter().filter(|script| !old.contains(script)).map(|(name, _)| *name).collect();
    let detail = || format!("scripts of the installation: {}", changed.join(", "));
    (!changed.is_empty()).then(|| Risk::with(RiskKind::Automation, detail()))
}

fn install_scripts(text: &[u8]) -> Option<Vec<(&'static str, Value)>> {
    // Package managers skip a byte order mark.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let manifest: Value = serde_json::from_slice(text).ok()?;
    let all = manifest.get("scripts");
    let named = |name| Some((name, all?.get(name)?.clone()));
    Some(INSTALL_SCRIPTS.into_iter().filter_map(named).collect())
}
