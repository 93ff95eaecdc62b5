//! The part of a repository that a command has written in a view: new objects, and where its branches
//! lead. It is read as data: no file of it is given to git but objects, whose names git checks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::error::{Result, failed};
use crate::files::open;
use crate::held_git;
use crate::import::read_beneath;
use crate::layer::Layer;
use crate::made::{MADE, snapshot};
use crate::repository::Repository;
use crate::session::SessionCapture;
use crate::stat::Kind;
use crate::walk::{self, Visit, directory_beneath, open_beneath};

/// The names of a repository's branches, tags and other references, and the objects that they name.
///
/// A command wrote them: a name may be any text, and the object may not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateRefs {
    /// The hexadecimal name of the object of each reference; `HEAD` is among them when it names a
    /// commit itself.
    pub refs: BTreeMap<String, String>,
    /// Whether there are more in a format that is not read here.
    pub has_other_format: bool,
}

impl SessionCapture<'_> {
    /// Reads what the session's commands have written in the repository of the workspace's root, which
    /// may lie outside: copies objects into the directory `objects`, and returns the references that were
    /// changed.
    ///
    /// # Errors
    /// An error of the state directory or of `objects`.
    pub fn private_commits(&self, objects: &Path) -> Result<PrivateRefs> {
        let mut found = PrivateRefs::default();
        let Some(repository) = Repository::at(&self.layer.options().workspace) else {
            return Ok(found);
        };
        if let Some(common) = self.written_in(&repository.common_dir)? {
            let path = self.dir().path();
            let copied = self.copied_in(&repository.common_dir)?;
            copy_objects(common.as_fd(), &copied, objects)
                .map_err(failed("copy the objects to", objects))?;
            found = read_refs(common.as_fd()).map_err(failed("read", path))?;
        }
        let head = self.written_in(&repository.git_dir)?.map(|own| text(own.as_fd(), b"HEAD"));
        found.add("HEAD", &head.unwrap_or_default());
        Ok(found)
    }

    /// What was written in a directory of git: below the upper directory, or below the layer of a
    /// directory outside. None where nothing was, or where a link or a file is in its place.
    fn written_in(&self, directory: &Path) -> Result<Option<OwnedFd>> {
        let workspace = &self.layer.options().workspace;
        let outside = held_git::read(&self.dir)?.into_iter();
        let outside = outside.map(|layer| (layer.directory(), layer.upper(&self.dir)));
        for (above, upper) in
            [(workspace.clone(), Layer::of(&self.dir)?.path)].into_iter().chain(outside)
        {
            let Ok(below) = directory.strip_prefix(above) else { continue };
            let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let opened = open(&upper)?;
            return Ok(rustix::fs::openat2(opened, below, flags, Mode::empty(), walk::BENEATH).ok());
        }
        Ok(None)
    }

    /// What a working copy has in a directory of git as it was copied, by the paths below that.
    fn copied_in(&self, directory: &Path) -> Result<BTreeSet<Vec<u8>>> {
        let below = directory.strip_prefix(&self.layer.options().workspace);
        let (Ok(below), true) = (below, self.dir.has_working_copy()) else {
            return Ok(BTreeSet::new());
        };
        let prefix = [below.as_os_str().as_bytes(), b"/"].concat();
        let changed = Layer::of(&self.dir)?.entries(&mut |_, _| false)?;
        let made = snapshot(&self.dir, MADE)?;
        let copied = made.iter().filter(|(path, _)| !changed.contains_key(*path));
        Ok(copied.filter_map(|(path, _)| Some(path.strip_prefix(&*prefix)?.to_vec())).collect())
    }
}

impl PrivateRefs {
    /// Adds a reference, if its file has the name of an object.
    fn add(&mut self, name: &str, content: &[u8]) {
        let object = String::from_utf8_lossy(content);
        if is_name(object.trim_end()) {
            self.refs.insert(name.to_owned(), object.trim_end().to_owned());
        }
    }
}

/// Copies regular files with the names of objects and packs that were not `copied` before; nothing else
/// decides what git reads.
fn copy_objects(git: BorrowedFd<'_>, copied: &BTreeSet<Vec<u8>>, to: &Path) -> io::Result<()> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    walk::walk(
        git,
        &mut |reached| {
            let words: Vec<&[u8]> = reached.path.split(|byte| *byte == b'/').collect();
            Ok(match (reached.kind, &words[..]) {
                (Kind::Directory, [b"objects"] | [b"objects", _]) => Visit::Enter,
                (Kind::File, [b"objects", folder, name])
                    if is_object(folder, name) && !copied.contains(reached.path) =>
                {
                    found.push(reached.path.to_vec());
                    Visit::Skip
                }
                _ => Visit::Skip,
            })
        },
        &mut |_| {},
    )?;
    for path in found {
        let Ok(file) = open_beneath(git, &path) else { continue };
        if walk::stat_of(file.as_fd())?.kind != Kind::File {
            continue;
        }
        // Their names are letters, digits, `-` and `.`.
        let name = String::from_utf8_lossy(&path).into_owned();
        let target = to.join(name.strip_prefix("objects/").unwrap_or(&name));
        write(&file, &target)?;
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "the caller's temporary directory")]
fn write(mut file: &File, target: &Path) -> io::Result<()> {
    fs::create_dir_all(target.parent().unwrap_or(target))?;
    let mut copy = fs::OpenOptions::new().write(true).create_new(true).open(target)?;
    io::copy(&mut file, &mut copy)?;
    Ok(())
}

fn is_object(folder: &[u8], name: &[u8]) -> bool {
    let is_hex = |text: &[u8]| text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if folder == b"pack" {
        let name = name.strip_prefix(b"pack-").unwrap_or_default();
        let end = name.iter().position(|byte| *byte == b'.').unwrap_or(name.len());
        let is_known = matches!(&name[end..], b".pack" | b".idx");
        return is_known && matches!(end, 40 | 64) && is_hex(&name[..end]);
    }
    folder.len() == 2 && is_hex(folder) && matches!(name.len(), 38 | 62) && is_hex(name)
}

fn read_refs(git: BorrowedFd<'_>) -> io::Result<PrivateRefs> {
    let mut found = PrivateRefs {
        has_other_format: directory_beneath(git, b"reftable").is_ok(),
        ..PrivateRefs::default()
    };
    // What is packed is the older one.
    for line in String::from_utf8_lossy(&text(git, b"packed-refs")).lines() {
        if let Some((object, name)) = line.split_once(' ').filter(|(object, _)| is_name(object)) {
            found.refs.insert(name.to_owned(), object.to_owned());
        }
    }
    let mut loose: Vec<Vec<u8>> = Vec::new();
    walk::walk(
        git,
        &mut |reached| {
            let is_ref = reached.path.split(|byte| *byte == b'/').next() == Some(b"refs");
            if is_ref && reached.kind == Kind::File {
                loose.push(reached.path.to_vec());
            }
            Ok(if is_ref { Visit::Enter } else { Visit::Skip })
        },
        &mut |_| {},
    )?;
    for path in loose {
        if let Ok(name) = std::str::from_utf8(&path) {
            found.add(name, &text(git, &path));
        }
    }
    Ok(found)
}

/// The text of a regular file; nothing where there is none.
fn text(git: BorrowedFd<'_>, path: &[u8]) -> Vec<u8> {
    /// A repository of a hundred thousand references has no longer list.
    const LIST_BYTES_MAX: u64 = 16 << 20;
    let is_file =
        walk::stat_beneath(git, path).ok().flatten().is_some_and(|stat| stat.kind == Kind::File);
    if !is_file {
        return Vec::new();
    }
    if path != b"packed-refs" {
        return read_beneath(git, path).unwrap_or_default();
    }
    let mut content = Vec::new();
    let read = open_beneath(git, path).map_err(io::Error::from);
    let read = read.and_then(|file| file.take(LIST_BYTES_MAX).read_to_end(&mut content));
    read.map_or_else(|_| Vec::new(), |_| content)
}

fn is_name(object: &str) -> bool {
    matches!(object.len(), 40 | 64) && object.bytes().all(|byte| byte.is_ascii_hexdigit())
}
