//! Risks that a patch's row shows.

use atomic_fs::EntryKind;

use crate::base::Base;
use crate::patch::{Operation, Patch};
use crate::risk::kind::{Risk, RiskKind};
use crate::risk::names;

/// The targets of a patch's symbolic links, before and after, where they are known.
#[derive(Default)]
pub(crate) struct Targets {
    pub(crate) old: Option<String>,
    pub(crate) new: Option<String>,
}

/// The risks that a patch's row shows. A created file is compared with `plain_mode`, the
/// permission bits of an ordinary new file, where these are known.
pub(crate) fn of_row(patch: &Patch, plain_mode: Option<u32>, targets: Targets) -> Vec<Risk> {
    let base = patch.base.as_ref().map(Base::kind);
    let staged = patch.staged.map(|staged| staged.kind());
    let old = |kind| named(kind, targets.old.as_deref());
    let mut risks = Vec::new();
    if patch.operation == Operation::Delete {
        let detail = base.filter(|kind| *kind != EntryKind::File).map(old);
        risks.push(Risk { kind: RiskKind::Deletion, detail });
    }
    if let (Some(before), Some(after)) = (base, staged)
        && before != after
    {
        let after = named(after, targets.new.as_deref());
        let detail = format!("{} replaced by {after}", old(before));
        risks.push(Risk::with(RiskKind::Replaced, detail));
    }
    risks.extend(shrunk(patch));
    risks.extend(mode(patch, plain_mode));
    if staged == Some(EntryKind::Symlink) {
        let detail = targets.new.map(|target| format!("to `{target}`"));
        risks.push(Risk { kind: RiskKind::SymbolicLink, detail });
    }
    risks.extend(names::of(patch.paths()));
    risks
}

/// The risks of a patch that was stored without them: what its row shows, and that nobody has looked at
/// its contents.
pub(crate) fn of_old_row(patch: &Patch) -> Vec<Risk> {
    let mut risks = of_row(patch, None, Targets::default());
    risks.push(Risk::new(RiskKind::NotExamined));
    if patch.diff.full_replace {
        risks.push(Risk::new(RiskKind::FullReplacement));
    }
    risks
}

/// An entry of a kind; a symbolic link with its target.
fn named(kind: EntryKind, target: Option<&str>) -> String {
    match (kind, target) {
        (EntryKind::File, _) => "file".to_owned(),
        (EntryKind::Directory, _) => "directory".to_owned(),
        (EntryKind::Symlink, None) => "symbolic link".to_owned(),
        (EntryKind::Symlink, Some(target)) => format!("symbolic link to `{target}`"),
    }
}

/// Whether a file lost more than 90 % of its bytes.
fn shrunk(patch: &Patch) -> Option<Risk> {
    let (base, staged) = patch.base.as_ref().zip(patch.staged)?;
    let (old, new) = (base.content.bytes, staged.bytes);
    let are_files = base.kind() == EntryKind::File && staged.kind() == EntryKind::File;
    let is_shrunk = are_files && old > 0 && u128::from(new) * 10 < u128::from(old);
    is_shrunk.then(|| Risk::with(RiskKind::Shrunk, format!("{old} -> {new} bytes")))
}

/// The permission bits of a file or a directory, where they change or are not those of an ordinary new
/// file, program or directory.
fn mode(patch: &Patch, plain: Option<u32>) -> Option<Risk> {
    let staged = patch.staged.filter(|staged| staged.kind() != EntryKind::Symlink)?;
    let is_directory = staged.kind() == EntryKind::Directory;
    let plain = if is_directory { plain.map(made_executable) } else { plain };
    let new = staged.permissions();
    let base = patch.base.as_ref().filter(|base| base.kind() == staged.kind());
    let base = base.map(|base| base.content.permissions());
    let runs = !is_directory && new & 0o111 != 0 && base.is_none_or(|old| old & 0o111 == 0);
    let kind = if runs { RiskKind::Executable } else { RiskKind::Mode };
    let detail = match (base, plain) {
        (Some(old), _) if old != new => format!("{old:03o} -> {new:03o}"),
        (None, Some(plain)) if new != plain && new != made_executable(plain) => {
            format!("created with {new:03o}")
        }
        _ => return runs.then(|| Risk::new(kind)),
    };
    let opened = opened(base.or(plain).unwrap_or(new), new);
    Some(Risk::with(kind, std::iter::once(detail).chain(opened).collect::<Vec<_>>().join(", ")))
}

/// The mode of an ordinary new program, where that of an ordinary new file is this one.
pub(crate) const fn made_executable(plain: u32) -> u32 {
    plain | ((plain & 0o444) >> 2)
}

/// What new permission bits open or close to whom.
fn opened(old: u32, new: u32) -> Vec<String> {
    let gains = |bits: u32| new & bits != 0 && old & bits == 0;
    let words = [
        (gains(0o002), "writable by everybody"),
        (gains(0o004), "readable by everybody"),
        (new & 0o400 == 0 && old & 0o400 != 0, "unreadable for its owner"),
    ];
    words.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word.to_owned()).collect()
}
