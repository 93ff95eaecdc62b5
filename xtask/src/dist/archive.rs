//! The archive that is unpacked below a prefix, such as `~/.local` or `/usr/local`.

use miette::Result;

use super::documents::Documents;
use super::entries::{Directories, Entry, tar_gz, zip};
use super::output::Artefact;
use super::release::Release;
use super::target::{System, Target};

/// `greenroom-VERSION-TARGET`, with the extension.
pub(super) fn name(version: &str, target: &Target) -> String {
    let extension = if target.system == System::Windows { "zip" } else { "tar.gz" };
    format!("greenroom-{version}-{}.{extension}", target.triple())
}

pub(super) fn of(
    release: &Release,
    target: &Target,
    program: &[u8],
    documents: &Documents,
) -> Result<Artefact> {
    let name = name(&release.version, target);
    let prefix = format!("greenroom-{}-{}/", release.version, target.triple());
    let is_windows = target.system == System::Windows;
    let folder = if is_windows { "" } else { "share/doc/greenroom/" };
    let mut entries = documents.legal(folder);
    let readme = release.with_absolute_links(&documents.readme, "");
    entries.push(Entry::file(format!("{folder}README.md"), readme));
    let changelog = release.with_absolute_links(&documents.changelog, "");
    entries.push(Entry::file(format!("{folder}CHANGELOG.md"), changelog));
    let bytes = if is_windows {
        entries.push(Entry::program(target.program_name(), program));
        entries.sort();
        for entry in &mut entries {
            entry.path.insert_str(0, &prefix);
        }
        zip(&entries, release.epoch)?
    } else {
        entries.extend(documents.shared());
        entries.push(Entry::program("bin/greenroom", program));
        tar_gz(&prefix, entries, Directories::Left, release.epoch)?
    };
    Ok(Artefact { name, bytes })
}
