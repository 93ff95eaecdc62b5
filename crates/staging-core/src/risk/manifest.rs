//! The risk that a package's manifest has other commands that its installation or a commit runs.
//!
//! What cannot be read here counts as changed. Package managers read more than JSON: numbers out of range,
//! halves of surrogate pairs, bytes that are not UTF-8 and deep nesting, and pnpm also YAML and JSON5.

use atomic_fs::{EntryKind, RelPath, folded_stem};
use memchr::memmem;
use serde_json::Value;

use crate::base::Base;
use crate::patch::Patch;
use crate::risk::kind::{Risk, RiskKind};

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

/// What tools that hook into git run on a commit, by their keys.
const COMMIT_KEYS: [&str; 4] = ["lint-staged", "simple-git-hooks", "husky", "gitHooks"];

/// What Composer runs when it installs or updates packages.
const COMPOSER_EVENTS: [&str; 20] = [
    "pre-install-cmd",
    "post-install-cmd",
    "pre-update-cmd",
    "post-update-cmd",
    "pre-autoload-dump",
    "post-autoload-dump",
    "post-root-package-install",
    "post-create-project-cmd",
    "pre-operations-exec",
    "pre-package-install",
    "post-package-install",
    "pre-package-update",
    "post-package-update",
    "pre-package-uninstall",
    "post-package-uninstall",
    "init",
    "command",
    "pre-file-download",
    "post-file-download",
    "pre-pool-create",
];

/// The forms of a manifest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Composer,
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
            b"composer.json" => Some(Self::Composer),
            b"package.yaml" => Some(Self::Yaml),
            b"package.json5" => Some(Self::Json5),
            _ => None,
        }
    }

    /// The commands in a manifest that its installation or a commit runs; `None` where they cannot be read.
    fn scripts(self, text: &[u8]) -> Option<Vec<(&'static str, Value)>> {
        match self {
            Self::Json => {
                let manifest = read(text)?;
                let mut scripts = named(manifest.get("scripts"), &INSTALL_SCRIPTS);
                scripts.extend(named(Some(&manifest), &COMMIT_KEYS));
                Some(scripts)
            }
            Self::Composer => Some(named(read(text)?.get("scripts"), &COMPOSER_EVENTS)),
            // A key has an escape or is spelled out.
            Self::Yaml => {
                let is_without = |part: &[u8]| memmem::find(text, part).is_none();
                (is_without(b"scripts") && is_without(b"\\")).then(Vec::new)
            }
            Self::Json5 => None,
        }
    }
}

/// Whether a package's manifest has other commands that its installation or a commit runs. A content
/// that is too long to be loaded cannot be read.
pub(crate) fn changed_scripts(
    patch: &Patch,
    old: Option<&[u8]>,
    new: Option<&[u8]>,
) -> Option<Risk> {
    let staged = patch.staged.filter(|staged| staged.kind() == EntryKind::File)?;
    let target = patch.target()?;
    let form = Form::of(target)?;
    // Nothing runs the scripts of a file that is moved here from another place.
    let was_there = |base: &&Base| *target == patch.path && base.kind() == EntryKind::File;
    let base = patch.base.as_ref().filter(was_there);
    if base.is_some_and(|base| base.content.digest == staged.digest) {
        return None;
    }
    let Some(new) = new.and_then(|text| form.scripts(text)) else {
        return Some(Risk::with(RiskKind::Automation, "its scripts cannot be read"));
    };
    let old = old.filter(|_| base.is_some()).and_then(|text| form.scripts(text));
    let old = old.unwrap_or_default();
    let changed: Vec<&str> =
        new.iter().filter(|script| !old.contains(script)).map(|(name, _)| *name).collect();
    let of_commit = changed.iter().position(|name| COMMIT_KEYS.contains(name));
    let (install, commit) = changed.split_at(of_commit.unwrap_or(changed.len()));
    let parts = [("scripts of the installation", install), ("commands on a commit", commit)];
    let details: Vec<String> = parts
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", names.join(", ")))
        .collect();
    (!details.is_empty()).then(|| Risk::with(RiskKind::Automation, details.join("; ")))
}

fn read(text: &[u8]) -> Option<Value> {
    // Package managers skip a byte order mark.
    serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)).ok()
}

/// What an object has under these names.
fn named(object: Option<&Value>, names: &[&'static str]) -> Vec<(&'static str, Value)> {
    let named = |name: &&'static str| Some((*name, object?.get(name)?.clone()));
    names.iter().filter_map(named).collect()
}
