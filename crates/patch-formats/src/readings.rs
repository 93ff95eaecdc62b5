//! Which file the names in a unified diff mean: with a prefix, as `git apply` reads them, or without.
//!
//! A diff does not say whether the first part of its names is a prefix (`a/`, `tool-1.0/`) or a
//! directory. Git always takes it for a prefix, when names have several parts. Here the files that
//! are there decide, and where two of them could be meant, neither is.
//!
//! The facts about git are those of `find_name_common`, `guess_p_value` and
//! `parse_traditional_patch` in its apply.c (2.47).

use std::collections::BTreeSet;

use crate::error::{PatchError, escaped};
use crate::model::{Change, FilePatch};
use crate::names::{has_prefix, have_prefixes, without_first};

/// The files that the names of a patch are looked up in.
pub trait Tree {
    /// What a file's content is held in.
    type Content: AsRef<[u8]>;
    /// Why something cannot be looked up.
    type Error: From<PatchError>;

    /// Whether there is a file of this name.
    ///
    /// # Errors
    /// When it cannot be looked up.
    fn has_file(&mut self, name: &[u8]) -> Result<bool, Self::Error>;

    /// Whether there is a directory of this name.
    ///
    /// # Errors
    /// When it cannot be looked up.
    fn has_directory(&mut self, name: &[u8]) -> Result<bool, Self::Error>;

    /// The content of a file that is there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn content(&mut self, name: &[u8]) -> Result<Self::Content, Self::Error>;
}

/// The names that a part may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readings {
    /// The first of these that is there is meant. The first one is the change's own name.
    pub(crate) names: Vec<Vec<u8>>,
    /// Where one of these is there as well and the part fits it too, none is meant.
    pub(crate) rivals: Vec<Vec<u8>>,
    /// Whether the part creates the file when there is none.
    pub(crate) creates: bool,
}

/// How the names of a part are read when it brings a new file.
enum Arrival<'r> {
    /// Nothing but this can be meant.
    Plain(&'r [u8]),
    /// Its first part may be a directory; git takes it for a prefix.
    Unprefixed { literal: &'r [u8], stripped: &'r [u8] },
    /// Its first part is a prefix that git writes when asked to, but may be a directory.
    Prefixed { literal: &'r [u8], stripped: &'r [u8] },
}

impl Readings {
    /// The names of a file that is there before and afterwards, or may be; nothing when no name can
    /// be made of them.
    pub(crate) fn of_both(old: &[u8], new: &[u8], creates: bool) -> Option<Self> {
        let (old_rest, new_rest) = (without_first(old), without_first(new));
        // Git strips nothing where the new name has one part, or the old one if only that has.
        let is_whole = new_rest.is_none();
        let (gits, gits_other) = match is_whole {
            true => chosen(Some(old), Some(new))?,
            false => chosen(old_rest, new_rest)?,
        };
        let first =
            |name: &[u8], rest: Option<&[u8]>| rest.map(|r| name[..name.len() - r.len()].to_vec());
        let is_one_tree = first(old, old_rest) == first(new, new_rest);
        let (literal, literal_other) = match is_one_tree && !is_whole {
            true => chosen(Some(old), Some(new))?,
            false => (gits, None),
        };
        let is_prefixed = have_prefixes(old, new) || (has_prefix(old) && has_prefix(new));
        let is_here = old.starts_with(b"./") && new.starts_with(b"./");
        let names = match is_prefixed || is_here {
            true => [gits, literal],
            false => [literal, gits],
        };
        let rivals = [Some(literal), Some(gits), literal_other, gits_other];
        Some(Self::new(&names, rivals.into_iter().flatten(), creates, is_here))
    }

    /// The names of a file of which the patch has one name.
    pub(crate) fn of_one(name: &[u8], creates: bool) -> Self {
        let stripped = without_first(name).unwrap_or(name);
        let is_here = name.starts_with(b"./");
        let names = if has_prefix(name) || is_here { [stripped, name] } else { [name, stripped] };
        Self::new(&names, names, creates, is_here)
    }

    fn new<'n>(
        names: &[&[u8]],
        rivals: impl IntoIterator<Item = &'n [u8]>,
        creates: bool,
        is_here: bool,
    ) -> Self {
        let mut seen = BTreeSet::new();
        // `./f` and `f` are one file.
        let mut is_new =
            |name: &&[u8]| !(is_here && name.starts_with(b"./")) && seen.insert(name.to_vec());
        let names: Vec<Vec<u8>> =
            names.iter().copied().filter(|n| is_new(n)).map(<[u8]>::to_vec).collect();
        let rivals = rivals.into_iter().filter(|n| is_new(n)).map(<[u8]>::to_vec).collect();
        Self { names, rivals, creates }
    }

    /// The name that is meant as far as the patch alone says.
    pub(crate) fn preferred(&self) -> &[u8] {
        self.names.first().map_or(b"", Vec::as_slice)
    }

    /// Every name that may be meant.
    pub(crate) fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().chain(&self.rivals).map(Vec::as_slice)
    }

    fn arrival(&self) -> Arrival<'_> {
        match &self.names[..] {
            [literal, stripped] if without_first(literal) == Some(stripped) => {
                Arrival::Unprefixed { literal, stripped }
            }
            [stripped, literal] if !literal.starts_with(b"a/") && !literal.starts_with(b"b/") => {
                Arrival::Prefixed { literal, stripped }
            }
            _ => Arrival::Plain(self.preferred()),
        }
    }
}

/// Which of a file's two names git takes, and the other one where that is another: the new one, but
/// the old one where the new one only has something behind it, as in `f` and `f.new`.
fn chosen<'n>(
    old: Option<&'n [u8]>,
    new: Option<&'n [u8]>,
) -> Option<(&'n [u8], Option<&'n [u8]>)> {
    match (old.filter(|n| !n.is_empty()), new.filter(|n| !n.is_empty())) {
        (Some(old), Some(new)) if old == new => Some((old, None)),
        (Some(old), Some(new)) if new.starts_with(old) => Some((old, Some(new))),
        (Some(old), Some(new)) => Some((new, Some(old))),
        (Some(one), None) | (None, Some(one)) => Some((one, None)),
        (None, None) => None,
    }
}

impl FilePatch<'_> {
    /// What happens to which file, now that the files can be looked at.
    ///
    /// Of the names that may be meant, the first that is there is, unless another one is there as
    /// well and the part fits both.
    ///
    /// # Errors
    /// [`PatchError::TwoFiles`] when two files may be meant; else what the tree says.
    pub fn resolve<T: Tree>(&self, tree: &mut T) -> Result<Change, T::Error> {
        let Some(readings) = &self.readings else { return Ok(self.change.clone()) };
        if matches!(self.change, Change::Create { .. }) {
            return Ok(Change::Create { path: self.arriving(readings, tree)? });
        }
        let mut there: Vec<&[u8]> = Vec::new();
        for name in &readings.names {
            if tree.has_file(name)? {
                there.push(name);
            }
        }
        let Some((meant, rest)) = there.split_first() else {
            return Ok(match readings.creates {
                true => Change::Create { path: self.arriving(readings, tree)? },
                false => self.change.clone(),
            });
        };
        let mut rivals = rest.to_vec();
        for name in &readings.rivals {
            if tree.has_file(name)? {
                rivals.push(name);
            }
        }
        let mut fits = |name: &[u8]| -> Result<bool, T::Error> {
            Ok(self.fit(tree.content(name)?.as_ref(), false).is_ok())
        };
        if !rivals.is_empty() && fits(meant)? {
            for rival in rivals {
                if fits(rival)? {
                    return Err(self.two_files(meant, rival).into());
                }
            }
        }
        let path = meant.to_vec();
        Ok(match self.change {
            Change::Delete { .. } => Change::Delete { path },
            _ => Change::Modify { path },
        })
    }

    /// Where a new file comes to be: below a directory that is there, its name has no prefix.
    fn arriving<T: Tree>(&self, readings: &Readings, tree: &mut T) -> Result<Vec<u8>, T::Error> {
        let first =
            |literal: &[u8], rest: &[u8]| literal[..literal.len() - rest.len() - 1].to_vec();
        match readings.arrival() {
            Arrival::Plain(path) => Ok(path.to_vec()),
            Arrival::Unprefixed { literal, stripped } => {
                match tree.has_directory(&first(literal, stripped))? {
                    true => Ok(literal.to_vec()),
                    false => Err(self.two_files(literal, stripped).into()),
                }
            }
            Arrival::Prefixed { literal, stripped } => {
                match tree.has_directory(&first(literal, stripped))? {
                    true => Err(self.two_files(literal, stripped).into()),
                    false => Ok(stripped.to_vec()),
                }
            }
        }
    }

    fn two_files(&self, one: &[u8], other: &[u8]) -> PatchError {
        PatchError::TwoFiles { line: self.line, one: escaped(one), other: escaped(other) }
    }
}
