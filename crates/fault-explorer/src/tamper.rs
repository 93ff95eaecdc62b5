//! What others do to the tree and to the state while no process of Greenroom's lives.
//!
//! `git clean`, `rsync --delete`, a cleaner of temporary files, a disk that rots, a restored backup,
//! a person who moves directories about. All of it is durable at once, and nothing of it is undone
//! by recovery except what only a set's slots and journal held.

use std::sync::Arc;

use crate::atomic_fs::simulated::{Body, Image};
use crate::atomic_fs::{Digest, is_slot_name};
use serde::{Deserialize, Serialize};

use crate::plan::Relocation;
use crate::scenario::ROOT;

/// One thing that is done; paths are from the top of the simulated disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tamper {
    /// Removes a name and everything below it.
    Remove(String),
    /// Puts an empty directory in the place of what is there.
    Directory(String),
    /// Puts a symbolic link to a file outside of the workspace in the place of what is there.
    Symlink(String),
    /// Puts a user's file in the place of what is there.
    File {
        /// Where.
        path: String,
        /// Its content.
        content: String,
    },
    /// Renames.
    Move {
        /// What.
        from: String,
        /// Where to.
        to: String,
    },
    /// A directory that a user moved goes back.
    TakeBack(Relocation),
    /// Cuts a file's content off.
    Truncate {
        /// The file.
        path: String,
        /// How many bytes are left.
        bytes: usize,
    },
    /// Turns one bit of a file's content.
    Flip {
        /// The file.
        path: String,
        /// Which byte.
        byte: usize,
        /// Which bit of it.
        bit: u8,
    },
    /// Fills a range of a file's content with zeros.
    Zero {
        /// The file.
        path: String,
        /// The first byte.
        from: usize,
        /// How many.
        bytes: usize,
    },
    /// Appends to a file's content.
    Append {
        /// The file.
        path: String,
        /// What.
        content: String,
    },
    /// Writes a journal that is sound, and no set's: one that is there, with other words in it.
    Forge {
        /// The journal that is copied.
        from: String,
        /// Where the forged one is.
        path: String,
        /// What is put in the place of what, in each record.
        words: Vec<(String, String)>,
    },
}

impl Tamper {
    /// Does it; where there is nothing to do it to, nothing happens.
    pub fn apply(&self, image: &mut Image) {
        match self {
            Self::Remove(path) => {
                image.remove(path.as_bytes());
            }
            Self::Directory(path) => {
                let device = image.node(0).device;
                replace(image, path, |image, dir, name| {
                    image.add_dir(dir, name, device);
                });
            }
            Self::Symlink(path) => replace(image, path, |image, dir, name| {
                image.add_symlink(dir, name, b"../outside/sentinel");
            }),
            Self::File { path, content } => replace(image, path, |image, dir, name| {
                image.add_file(dir, name, content.as_bytes(), 0o644);
            }),
            Self::Move { from, to } => {
                image.rename(from.as_bytes(), to.as_bytes());
            }
            Self::TakeBack(relocation) => relocation.take_back(image),
            Self::Truncate { path, bytes } => rewrite(image, path, |content| {
                content.truncate(*bytes);
            }),
            Self::Flip { path, byte, bit } => rewrite(image, path, |content| {
                if let Some(byte) = content.get_mut(*byte) {
                    *byte ^= 1 << bit;
                }
            }),
            Self::Zero { path, from, bytes } => rewrite(image, path, |content| {
                for byte in content.iter_mut().skip(*from).take(*bytes) {
                    *byte = 0;
                }
            }),
            Self::Append { path, content } => {
                rewrite(image, path, |all| all.extend_from_slice(content.as_bytes()));
            }
            Self::Forge { from, path, words } => {
                let content = image.lookup(from.as_bytes());
                let content = content.and_then(|inode| image.node(inode).content());
                let forged = content.map(|content| forged(&content, words));
                replace(image, path, |image, dir, name| {
                    image.add_file(dir, name, &forged.unwrap_or_default(), 0o600);
                });
            }
        }
    }

    /// Whether it is done to a journal.
    pub fn concerns_a_journal(&self) -> bool {
        let (Self::Remove(path)
        | Self::Truncate { path, .. }
        | Self::Flip { path, .. }
        | Self::Zero { path, .. }
        | Self::Append { path, .. }
        | Self::Forge { path, .. }) = self
        else {
            return false;
        };
        path.starts_with(JOURNALS)
    }

    /// Whether it is done to the journal of the set, and not to one beside it.
    pub fn damages_the_journal(&self) -> bool {
        let is_beside = matches!(self, Self::Forge { from, path, .. } if from != path);
        self.concerns_a_journal() && !is_beside
    }

    /// A user's bytes that it brings: they are to be found afterwards.
    pub fn brings(&self) -> Option<Arc<[u8]>> {
        match self {
            Self::File { content, .. } => Some(Arc::from(content.as_bytes())),
            _ => None,
        }
    }

    /// The path below the workspace's root at which it leaves something that is in neither tree.
    pub fn leaves(&self) -> Option<Vec<u8>> {
        let (Self::File { path, .. } | Self::Move { to: path, .. }) = self else { return None };
        let below = path.strip_prefix(ROOT)?.strip_prefix('/')?;
        Some(below.as_bytes().to_vec())
    }
}

/// The records with other words in them, each with the checksum that it has to have.
fn forged(journal: &[u8], words: &[(String, String)]) -> Vec<u8> {
    const CHECKSUM_HEX: usize = 16;
    let mut all = Vec::new();
    for line in journal.split_inclusive(|byte| *byte == b'\n') {
        let json = line.strip_suffix(b"\n").and_then(|line| line.get(CHECKSUM_HEX + 1..));
        let Some(json) = json.and_then(|json| std::str::from_utf8(json).ok()) else { continue };
        let with = |json: String, (old, new): &(String, String)| json.replace(old, new);
        let json = words.iter().fold(json.to_owned(), with);
        let sum = Digest::of(json.as_bytes()).to_string();
        all.extend_from_slice(format!("{} {json}\n", &sum[..CHECKSUM_HEX]).as_bytes());
    }
    all
}

/// Takes away what is at a path and puts something else there.
fn replace(image: &mut Image, path: &str, put: impl FnOnce(&mut Image, u32, &[u8])) {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    image.remove(path.as_bytes());
    if let Some(dir) = image.lookup(dir.as_bytes()) {
        put(image, dir, name.as_bytes());
    }
}

/// Gives a file another content, in place.
fn rewrite(image: &mut Image, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let Some(inode) = image.lookup(path.as_bytes()) else { return };
    let Some(mut content) = image.node(inode).content() else { return };
    change(&mut content);
    let bytes = content.len() as u64;
    image.edit(inode).body = Body::File { blocks: Arc::new(content), bytes };
}

/// Every slot in the workspace, by its path from the top.
pub fn slots(image: &Image) -> Vec<String> {
    let mut slots = Vec::new();
    let root = image.lookup(ROOT.as_bytes()).unwrap_or(0);
    image.walk(root, &mut |path, _, _| {
        if is_slot_name(path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)) {
            slots.push(format!("{ROOT}/{}", String::from_utf8_lossy(path)));
        }
    });
    slots
}

/// Every journal with its content, by its path from the top.
pub fn journals(image: &Image) -> Vec<(String, Vec<u8>)> {
    let mut journals = Vec::new();
    let dir = image.lookup(JOURNALS.as_bytes()).unwrap_or(0);
    image.walk(dir, &mut |path, _, node| {
        if let Some(content) = node.content() {
            journals.push((format!("{JOURNALS}/{}", String::from_utf8_lossy(path)), content));
        }
    });
    journals
}

const JOURNALS: &str = "state/journal";

/// Every way to take away some of the slots; of a set with more than six, each alone and all.
pub fn removals_of_slots(image: &Image) -> Vec<Vec<Tamper>> {
    let slots = slots(image);
    let remove = |slot: &String| Tamper::Remove(slot.clone());
    if slots.len() > 6 {
        let alone = slots.iter().map(|slot| vec![remove(slot)]);
        return alone.chain([slots.iter().map(remove).collect()]).collect();
    }
    let subsets = 1_usize..1 << slots.len();
    subsets
        .map(|subset| {
            let chosen = slots.iter().enumerate().filter(|(at, _)| subset >> at & 1 == 1);
            chosen.map(|(_, slot)| remove(slot)).collect()
        })
        .collect()
}

/// Every other thing that can become of one slot, and of two at once.
pub fn replacements_of_slots(image: &Image) -> Vec<Vec<Tamper>> {
    let ways = |slot: &String| -> Vec<Tamper> {
        let path = slot.clone();
        let content = image.lookup(slot.as_bytes()).and_then(|inode| image.node(inode).content());
        let bytes = content.map_or(0, |content| content.len());
        let moved = slot.replace(".greenroom-", "moved-");
        vec![
            Tamper::Directory(path.clone()),
            Tamper::Symlink(path.clone()),
            Tamper::File { path: path.clone(), content: format!("a user's own words in {path}\n") },
            Tamper::Move { from: path.clone(), to: moved },
            Tamper::Truncate { path: path.clone(), bytes: bytes / 2 },
            Tamper::Truncate { path, bytes: 0 },
        ]
    };
    let slots = slots(image);
    let each: Vec<Vec<Tamper>> = slots.iter().map(ways).collect();
    let alone = each.iter().flatten().map(|tamper| vec![tamper.clone()]);
    let mut all: Vec<Vec<Tamper>> = alone.collect();
    for (at, first) in each.iter().enumerate() {
        for second in &each[at + 1..] {
            all.extend(first.iter().zip(second).map(|(one, two)| vec![one.clone(), two.clone()]));
        }
    }
    all
}

/// Every journal damaged: a bit of every `step`-th byte, ranges of zeros, cut off before every
/// `step`-th byte, garbage behind it, and the whole of it gone, alone and with any of the slots; and forged ones, of a set that nobody
/// has begun, with a user's file for a slot, with another file to change, and under another's name.
pub fn damages_of_journals(image: &Image, step: usize) -> Vec<Vec<Tamper>> {
    let mut all = Vec::new();
    for (path, content) in journals(image) {
        // What is reserved behind the records is zeros, and no part of them.
        let end = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for byte in (0..end).step_by(step) {
            let bit = u8::try_from(byte % 7).expect("below seven");
            all.push(vec![Tamper::Flip { path: path.clone(), byte, bit }]);
            all.push(vec![Tamper::Truncate { path: path.clone(), bytes: byte }]);
        }
        for (from, bytes) in [(0, 1), (0, 16), (0, end), (end / 2, 1), (end / 2, end)] {
            all.push(vec![Tamper::Zero { path: path.clone(), from, bytes }]);
        }
        for content in ["x", "garbage\n", "0123456789abcdef {\"record\":\"committed\"}\n"] {
            let content = content.to_owned();
            all.push(vec![Tamper::Append { path: path.clone(), content }]);
        }
        let words = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect()
        };
        let from = path.clone();
        let forge = |path: &str, words: Vec<_>| {
            vec![Tamper::Forge { from: from.clone(), path: path.to_owned(), words }]
        };
        let other = format!("{JOURNALS}/u9.journal");
        let all_of_another = words(&[("\"t1\"", "\"u9\""), ("-t1-", "-u9-")]);
        all.push(forge(&other, all_of_another));
        all.push(forge(&other, Vec::new()));
        all.push(forge(&path, words(&[("\".greenroom-t1-0.tmp\"", "\"bystander\"")])));
        all.push(forge(&path, words(&[("\"f0\"", "\"bystander\"")])));
        for slots in removals_of_slots(image) {
            all.push(slots.into_iter().chain([Tamper::Remove(path.clone())]).collect());
        }
        all.push(vec![Tamper::Remove(path)]);
    }
    all
}
