//! The package for Debian, Ubuntu and their like.
//!
//! Written here and not by cargo-deb, which builds for minutes before it can pack and would be one more
//! tool on each machine that packs. The format is that of `deb(5)`, and the tests install the package
//! with dpkg.

use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic as _, Result, WrapErr as _};

use super::documents::Documents;
use super::entries::{Directories, Entry, gzip, tar_gz};
use super::output::Artefact;
use super::release::Release;
use super::target::{Arch, System, Target};

/// What the package depends on; nothing where there is none.
pub(super) fn dependencies(target: &Target) -> Option<String> {
    match &target.system {
        System::Glibc(glibc) => {
            let libgcc = if glibc.needs_libgcc { ", libgcc-s1" } else { "" };
            Some(format!("libc6 (>= {}){libgcc}", glibc.version))
        }
        // Where glibc is, its flavour is the better one: it loads plugins.
        System::Static | System::MacOs(..) | System::Windows => None,
    }
}

pub(super) fn of(
    root: &Path,
    release: &Release,
    target: &Target,
    depends: &str,
    program: &[u8],
    documents: &Documents,
) -> Result<Artefact> {
    let folder = root.join("packaging/deb");
    let read = |name: &str| {
        fs::read_to_string(folder.join(name))
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot read packaging/deb/{name}"))
    };
    let architecture = match target.architecture {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
    };
    let data = data(release, program, documents, &read)?;
    let size: usize = data.iter().map(|entry| entry.content.len().div_ceil(1024)).sum();
    let homepage = release.repository.as_ref().map(|url| format!("Homepage: {url}\n"));
    let control = read("control")?
        .replace("@version@", &release.version)
        .replace("@architecture@", architecture)
        .replace("@size@", &size.to_string())
        .replace("@depends@", depends)
        .replace("@homepage@\n", homepage.as_deref().unwrap_or_default())
        .replace("@description@", &release.description);
    let control = vec![
        Entry::file("control", control),
        Entry::program("postinst", read("postinst")?),
        Entry::program("postrm", read("postrm")?),
    ];
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", tar_gz("./", control, Directories::Listed, release.epoch)?),
        ("data.tar.gz", tar_gz("./", data, Directories::Listed, release.epoch)?),
    ];
    let name = format!("greenroom_{}-1_{architecture}.deb", release.version);
    Ok(Artefact { name, bytes: ar(&members, release.epoch) })
}

/// What is installed.
fn data(
    release: &Release,
    program: &[u8],
    documents: &Documents,
    read: &impl Fn(&str) -> Result<String>,
) -> Result<Vec<Entry>> {
    let mut entries = vec![
        Entry::program("usr/bin/greenroom", program),
        Entry::file(
            "usr/lib/systemd/user/greenroom-recover.service",
            read("greenroom-recover.service")?,
        ),
    ];
    for mut entry in documents.shared() {
        entry.path = match entry.path.strip_prefix("share/zsh/site-functions/") {
            // The other folder is for what the administrator puts there.
            Some(name) => format!("usr/share/zsh/vendor-completions/{name}"),
            None => format!("usr/{}", entry.path),
        };
        if entry.path.starts_with("usr/share/man/") {
            entry.path.push_str(".gz");
            entry.content = gzip(&entry.content)?;
        }
        entries.push(entry);
    }
    let doc = |name: &str| format!("usr/share/doc/greenroom/{name}");
    let mit = documents.licences.iter().find(|(name, _)| name == "LICENSE-MIT");
    let mit = mit.map(|(_, text)| indented(text)).unwrap_or_default();
    let copyright = read("copyright")?.replace("@mit@\n", &mit);
    entries.push(Entry::file(doc("copyright"), copyright));
    let third_party = gzip(documents.third_party.as_bytes())?;
    entries.push(Entry::file(doc("THIRD-PARTY-LICENSES.gz"), third_party));
    let readme = release.with_absolute_links(&documents.readme, "");
    entries.push(Entry::file(doc("README.md.gz"), gzip(readme.as_bytes())?));
    let changelog = release.with_absolute_links(&documents.changelog, "");
    entries.push(Entry::file(doc("changelog.gz"), gzip(changelog.as_bytes())?));
    let debian = read("changelog")?
        .replace("@version@", &release.version)
        .replace("@time@", &release.mail_time()?);
    entries.push(Entry::file(doc("changelog.Debian.gz"), gzip(debian.as_bytes())?));
    Ok(entries)
}

/// A text as the value of a field: empty lines have a dot.
fn indented(text: &str) -> String {
    let lines = text.trim_end().lines();
    lines.map(|line| format!(" {}\n", if line.is_empty() { "." } else { line })).collect()
}

/// The archive of archives that a package is: each member has a head of 60 bytes and is padded to an
/// even length.
fn ar(members: &[(&str, Vec<u8>)], epoch: u64) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let (size, mode) = (content.len(), "100644");
        let head = format!("{name:<16}{epoch:<12}{:<6}{:<6}{mode:<8}{size:<10}`\n", 0, 0);
        archive.extend(head.bytes());
        archive.extend(content);
        if size % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_padded_and_their_sizes_are_not() {
        let archive = ar(&[("a", b"odd".to_vec()), ("b", b"even".to_vec())], 5);
        let expected = "!<arch>\n\
            a               5           0     0     100644  3         `\nodd\n\
            b               5           0     0     100644  4         `\neven";
        assert_eq!(String::from_utf8_lossy(&archive), expected);
    }
}
