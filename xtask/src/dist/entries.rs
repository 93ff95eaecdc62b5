//! Files in an archive: sorted, owned by root, with one of two modes and one time.
//!
//! # Limitations
//!
//! No links, and names of at most 255 bytes.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use miette::{IntoDiagnostic as _, Result, miette};
use tar::{Builder, EntryType, Header};
use time::OffsetDateTime;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Relative, with `/` between the parts.
    pub(super) path: String,
    pub(super) mode: Mode,
    pub(super) content: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    File,
    Program,
}

impl Entry {
    pub(super) fn file(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode: Mode::File, content: content.into() }
    }

    pub(super) fn program(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode: Mode::Program, content: content.into() }
    }
}

impl Mode {
    fn bits(self) -> u32 {
        match self {
            Self::File => 0o644,
            Self::Program => 0o755,
        }
    }
}

/// Whether an archive lists the directories, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directories {
    Listed,
    /// tar gives listed directories their modes, also where they exist already, such as `~/.local/bin`.
    Left,
}

/// A compressed tar archive; the names are `prefix` and the entries' paths.
pub(super) fn tar_gz(
    prefix: &str,
    mut entries: Vec<Entry>,
    directories: Directories,
    epoch: u64,
) -> Result<Vec<u8>> {
    entries.sort();
    let mut archive = Builder::new(Vec::new());
    let mut listed: Vec<String> = Vec::new();
    for entry in &entries {
        let path = format!("{prefix}{}", entry.path);
        if directories == Directories::Listed {
            for (at, _) in path.match_indices('/') {
                let directory = &path[..=at];
                if !listed.iter().any(|known| known == directory) {
                    listed.push(directory.to_owned());
                    append(&mut archive, EntryType::Directory, directory, 0o755, &[], epoch)?;
                }
            }
        }
        append(&mut archive, EntryType::Regular, &path, entry.mode.bits(), &entry.content, epoch)?;
    }
    compressed(&archive.into_inner().into_diagnostic()?, Compression::default())
}

fn append(
    archive: &mut Builder<Vec<u8>>,
    kind: EntryType,
    path: &str,
    mode: u32,
    content: &[u8],
    epoch: u64,
) -> Result<()> {
    let mut header = Header::new_ustar();
    // `set_path` takes the `./` away with which the paths of a Debian package begin.
    let name =
        header.as_ustar_mut().map(|ustar| &mut ustar.name).ok_or_else(|| miette!("no ustar"))?;
    match (path.starts_with("./"), name.get_mut(..path.len())) {
        (true, Some(place)) => place.copy_from_slice(path.as_bytes()),
        _ => header.set_path(path).into_diagnostic()?,
    }
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_username("root").into_diagnostic()?;
    header.set_groupname("root").into_diagnostic()?;
    header.set_mtime(epoch);
    header.set_size(content.len() as u64);
    header.set_cksum();
    archive.append(&header, content).into_diagnostic()
}

/// A small file as well compressed as it can be, which Debian asks of documents.
pub(super) fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    compressed(content, Compression::best())
}

/// Compresses without a name or a time.
fn compressed(content: &[u8], level: Compression) -> Result<Vec<u8>> {
    const UNKNOWN_SYSTEM: u8 = 255;
    let builder = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM);
    let mut writer = builder.write(Vec::new(), level);
    writer.write_all(content).into_diagnostic()?;
    writer.finish().into_diagnostic()
}

/// A zip archive; the entries are in their order.
pub(super) fn zip(entries: &[Entry], epoch: u64) -> Result<Vec<u8>> {
    let time = dos_time(epoch)?;
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for entry in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(6))
            .last_modified_time(time)
            .system(System::Unix)
            .unix_permissions(entry.mode.bits());
        archive.start_file(&entry.path, options).into_diagnostic()?;
        archive.write_all(&entry.content).into_diagnostic()?;
    }
    Ok(archive.finish().into_diagnostic()?.into_inner())
}

/// The time in a zip archive, where there is none before 1980.
fn dos_time(epoch: u64) -> Result<DateTime> {
    const YEAR_1980: u64 = 315_532_800;
    let seconds = i64::try_from(epoch.max(YEAR_1980)).into_diagnostic()?;
    let time = OffsetDateTime::from_unix_timestamp(seconds).into_diagnostic()?;
    let year = u16::try_from(time.year()).into_diagnostic()?;
    let (month, day) = (u8::from(time.month()), time.day());
    DateTime::from_date_and_time(year, month, day, time.hour(), time.minute(), time.second())
        .into_diagnostic()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const EPOCH: u64 = 1_700_000_000;

    fn entries() -> Vec<Entry> {
        vec![Entry::program("bin/a", "one"), Entry::file("share/b", "two"), Entry::file("c", "")]
    }

    /// A line for each entry: kind and mode, owner, time, name.
    fn listed(archive: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
        let entries = archive.entries().expect("it is an archive").map(|entry| {
            let entry = entry.expect("it is whole");
            let header = entry.header();
            let (mode, time) =
                (header.mode().expect("a number"), header.mtime().expect("a number"));
            let owner = header.uid().expect("a number") + header.gid().expect("a number");
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            format!("{mode:o} {owner} {time} {name}")
        });
        entries.collect()
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter() {
        let forth = tar_gz("x/", entries(), Directories::Left, EPOCH).expect("it is packed");
        let back = entries().into_iter().rev().collect();
        assert_eq!(forth, tar_gz("x/", back, Directories::Left, EPOCH).expect("it is packed"));
        let expected =
            ["755 0 1700000000 x/bin/a", "644 0 1700000000 x/c", "644 0 1700000000 x/share/b"];
        assert_eq!(listed(&forth), expected);
    }

    #[test]
    fn directories_are_listed_once_and_before_what_is_in_them() {
        let packed = tar_gz("./", entries(), Directories::Listed, EPOCH).expect("it is packed");
        let names: Vec<String> = listed(&packed).iter().map(|line| line[17..].to_owned()).collect();
        assert_eq!(names, ["./", "./bin/", "./bin/a", "./c", "./share/", "./share/b"]);
    }

    #[test]
    fn programs_in_a_zip_archive_can_be_run() {
        let packed = zip(&entries(), EPOCH).expect("it is packed");
        let mut archive =
            zip::ZipArchive::new(std::io::Cursor::new(packed)).expect("it is an archive");
        let mut program = archive.by_name("bin/a").expect("it is there");
        assert_eq!(program.unix_mode(), Some(0o100_755));
        let time = program.last_modified().expect("it has a time");
        assert_eq!(time.to_string(), "2023-11-14 22:13:20");
        let mut content = String::new();
        program.read_to_string(&mut content).expect("it is text");
        assert_eq!(content, "one");
    }

    #[test]
    fn a_time_before_those_of_zip_is_the_first_of_them() {
        assert_eq!(dos_time(0).expect("a time").to_string(), "1980-01-01 00:00:00");
    }
}
