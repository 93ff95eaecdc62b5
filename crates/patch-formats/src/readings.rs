//! Which file the names in a unified diff mean: with a prefix, as `git apply` reads them, or without.
//!
//! A diff does not say whether the first part of its names is a prefix (`a/`, `tool-1.0/`) or a
//! directory. Git always takes it for a prefix, when names have several parts. Here the other names of
//! the patch and the files that are there decide, and where two of them could be meant, neither is.
//!
//! The facts about git are those of `find_name_common`, `guess_p_value` and
//! `parse_traditional_patch` in its apply.c (2.47).

use crate::error::{PatchError, escaped};
use crate::model::{Change, FilePatch, PatchText};
use crate::names::{has_prefix, without_first};

/// The files that the names of a patch are looked up in.
pub trait Tree {
    /// What a file's content is held in.
    type Content: AsRef<[u8]>;
    /// Why something cannot be looked up.
    type Error: From<PatchError>;

    /// Says whose names are looked up from now on.
    fn enter(&mut self, _part: &FilePatch<'_>) {}

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

/// How a name is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As it stands.
    Literal,
    /// Without its first part, as git reads it.
    Stripped,
}

/// The names that a part may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readings {
    /// The name as it stands; nothing where it can only be read without its first part, or has one
    /// part alone.
    literal: Option<Vec<u8>>,
    /// The name that `git apply` takes.
    gits: Vec<u8>,
    /// Which of the two is tried first when nothing else in the patch tells.
    first: Reading,
    /// Whether the patch has both names of the file: then their first parts tell something.
    sides: Sides,
    /// How the names can only have been meant, whatever files are there.
    shows: Option<Reading>,
    /// Where one of these is there as well and the part fits it too, none is meant.
    rivals: Vec<Vec<u8>>,
    /// Whether the part creates the file when there is none.
    creates: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sides {
    One,
    Both,
}

/// How the second of two names is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    Plain,
    /// In quotes. Git takes such a name whatever the first one is.
    Quoted,
}

/// How the names of a patch were seen to be meant: one program wrote them all, most of the time.
#[derive(Default)]
struct Seen {
    literal: bool,
    stripped: bool,
}

impl Seen {
    fn note(&mut self, reading: Option<Reading>) {
        match reading {
            Some(Reading::Literal) => self.literal = true,
            Some(Reading::Stripped) => self.stripped = true,
            None => {}
        }
    }

    /// The one way in which all of them were meant.
    fn only(&self) -> Option<Reading> {
        match (self.literal, self.stripped) {
            (true, false) => Some(Reading::Literal),
            (false, true) => Some(Reading::Stripped),
            _ => None,
        }
    }
}

impl Readings {
    /// The names of a file that is there before and afterwards, or may be; nothing when no name can
    /// be made of them.
    pub(crate) fn of_both(
        old: &[u8],
        new: &[u8],
        spelling: Spelling,
        creates: bool,
    ) -> Option<Self> {
        let (old_rest, new_rest) = (without_first(old), without_first(new));
        // Git strips nothing where the new name has one part.
        let is_whole = new_rest.is_none();
        let (gits, gits_other) = match is_whole {
            true => chosen(Some(old), Some(new), spelling)?,
            false => chosen(old_rest, new_rest, spelling)?,
        };
        let is_here = old.starts_with(b"./") && new.starts_with(b"./");
        let first_part = |name: &[u8], rest: Option<&[u8]>| {
            rest.map(|rest| name[..name.len() - rest.len()].to_vec())
        };
        let is_one_tree = first_part(old, old_rest) == first_part(new, new_rest);
        let literal = match is_one_tree && !is_whole && !is_here {
            true => Some(chosen(Some(old), Some(new), spelling)?),
            false => None,
        };
        let shows = match (is_whole, is_one_tree) {
            (true, true) => Some(Reading::Literal),
            (false, false) => Some(Reading::Stripped),
            _ => None,
        };
        let first = match has_prefix(old) && has_prefix(new) {
            true => Reading::Stripped,
            false => Reading::Literal,
        };
        let rivals = [literal.and_then(|(_, other)| other), gits_other];
        Some(Self {
            literal: literal.map(|(name, _)| name.to_vec()),
            gits: gits.to_vec(),
            first,
            sides: Sides::Both,
            shows,
            rivals: rivals.into_iter().flatten().map(<[u8]>::to_vec).collect(),
            creates,
        })
    }

    /// The names of a file of which the patch has one name.
    pub(crate) fn of_one(name: &[u8], creates: bool) -> Self {
        let rest = without_first(name);
        Self {
            literal: rest.filter(|_| !name.starts_with(b"./")).map(|_| name.to_vec()),
            gits: rest.unwrap_or(name).to_vec(),
            first: if has_prefix(name) { Reading::Stripped } else { Reading::Literal },
            sides: Sides::One,
            shows: rest.is_none().then_some(Reading::Literal),
            rivals: Vec::new(),
            creates,
        }
    }

    /// The names, the one that is tried first before the other.
    fn names(&self, seen: &Seen) -> Vec<&[u8]> {
        let Some(literal) = &self.literal else { return vec![&self.gits] };
        match seen.only().unwrap_or(self.first) {
            Reading::Literal => vec![literal, &self.gits],
            Reading::Stripped => vec![&self.gits, literal],
        }
    }

    /// The name that is meant as far as the part alone says.
    pub(crate) fn preferred(&self) -> &[u8] {
        match (&self.literal, self.first) {
            (Some(literal), Reading::Literal) => literal,
            _ => &self.gits,
        }
    }

    /// Whether the part creates the file when there is none.
    pub(crate) fn creates(&self) -> bool {
        self.creates
    }

    /// Every name that may be meant.
    pub(crate) fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.literal.iter().chain([&self.gits]).chain(&self.rivals).map(Vec::as_slice)
    }

    /// Whether the part alone says which name is meant.
    pub(crate) fn is_sure(&self) -> bool {
        self.literal.is_none() && self.rivals.is_empty()
    }

    /// Whether a label of a `---` or `+++` line below git's header stands for the file. Git always
    /// strips labels there; a name of one part is refused by git and can mean one file only.
    pub(crate) fn stands_for(&self, label: &[u8]) -> bool {
        without_first(label) == Some(&self.gits)
            || self.literal.as_deref() == Some(label)
            || (label == self.gits && !label.contains(&b'/'))
    }

    /// How a name that was decided on was read.
    fn reading_of(&self, name: &[u8]) -> Option<Reading> {
        let literal = self.literal.as_deref()?;
        if name == literal {
            return Some(Reading::Literal);
        }
        (name == self.gits).then_some(Reading::Stripped)
    }
}

/// Which of a file's two names git takes, and the other one where that is another: the new one, but
/// the old one where the new one only has something behind it, as in `f` and `f.new`.
fn chosen<'n>(
    old: Option<&'n [u8]>,
    new: Option<&'n [u8]>,
    spelling: Spelling,
) -> Option<(&'n [u8], Option<&'n [u8]>)> {
    match (old.filter(|n| !n.is_empty()), new.filter(|n| !n.is_empty())) {
        (Some(old), Some(new)) if old == new => Some((old, None)),
        (Some(old), Some(new)) if new.starts_with(old) && spelling == Spelling::Plain => {
            Some((old, Some(new)))
        }
        (Some(old), Some(new)) => Some((new, Some(old))),
        (Some(one), None) | (None, Some(one)) => Some((one, None)),
        (None, None) => None,
    }
}

impl PatchText<'_> {
    /// What happens to which file, part by part, now that the files can be looked at.
    ///
    /// Of the names that a part may mean, the first that is there is, unless another one is there as
    /// well and the part fits both. Which one comes first, and what a new file is called, is told by
    /// the parts whose names can be read in one way only.
    ///
    /// # Errors
    /// [`PatchError::TwoFiles`] when two files may be meant; else what the tree says.
    pub fn resolve<T: Tree>(&self, tree: &mut T) -> Result<Vec<Change>, T::Error> {
        let mut seen = Seen::default();
        for file in &self.files {
            seen.note(file.readings.as_ref().and_then(|readings| readings.shows));
        }
        let mut changes: Vec<Option<Change>> = Vec::with_capacity(self.files.len());
        let mut found = Seen { ..seen };
        for file in &self.files {
            changes.push(match &file.readings {
                None => Some(file.change.clone()),
                Some(readings) if readings.sides == Sides::Both => {
                    tree.enter(file);
                    let decided = file.decide(readings, &seen, tree)?;
                    if let Some(Change::Modify { path } | Change::Delete { path }) = &decided {
                        found.note(readings.reading_of(path));
                    }
                    decided
                }
                Some(_) => None,
            });
        }
        let mut resolved = Vec::with_capacity(changes.len());
        let mut told = None;
        for (file, change) in self.files.iter().zip(changes) {
            resolved.push(match (change, &file.readings) {
                (Some(change), _) => change,
                (None, None) => file.change.clone(),
                (None, Some(readings)) => {
                    tree.enter(file);
                    let change = match file.decide(readings, &found, tree)? {
                        Some(change) => change,
                        None => file.missing(readings, &found, tree)?,
                    };
                    // What only the files told of two parts is not told of both in two ways.
                    let name = change.source().or(change.target()).unwrap_or_default();
                    let reading = readings.reading_of(name).filter(|_| found.only().is_none());
                    if reading.is_some_and(|reading| *told.get_or_insert(reading) != reading) {
                        let literal = readings.literal.as_deref().unwrap_or(name);
                        return Err(file.two_files(literal, &readings.gits).into());
                    }
                    change
                }
            });
        }
        Ok(resolved)
    }
}

impl FilePatch<'_> {
    /// What happens to a file that is there; nothing where none of the part's names is, or where it
    /// has to be new.
    fn decide<T: Tree>(
        &self,
        readings: &Readings,
        seen: &Seen,
        tree: &mut T,
    ) -> Result<Option<Change>, T::Error> {
        if matches!(self.change, Change::Create { .. }) {
            return Ok(None);
        }
        if readings.is_sure() && !readings.creates {
            return Ok(Some(self.change.clone()));
        }
        let mut there: Vec<&[u8]> = Vec::new();
        for name in readings.names(seen) {
            if tree.has_file(name)? {
                there.push(name);
            }
        }
        let Some((meant, rest)) = there.split_first() else { return Ok(None) };
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
        Ok(Some(match self.change {
            Change::Delete { .. } => Change::Delete { path },
            _ => Change::Modify { path },
        }))
    }

    /// What happens when none of the part's names is there: it creates the file, or the caller
    /// finds that it is missing.
    fn missing<T: Tree>(
        &self,
        readings: &Readings,
        seen: &Seen,
        tree: &mut T,
    ) -> Result<Change, T::Error> {
        let path = readings.names(seen)[0].to_vec();
        match self.change {
            Change::Delete { .. } => return Ok(Change::Delete { path }),
            Change::Create { .. } => {}
            _ if readings.creates => {}
            _ => return Ok(Change::Modify { path }),
        }
        let (Some(literal), None) = (&readings.literal, seen.only()) else {
            return Ok(Change::Create { path });
        };
        let is_told_both = seen.literal && seen.stripped;
        // Nothing but the directories tells whether the first part is one.
        let first = literal.split(|byte| *byte == b'/').next().unwrap_or(literal);
        match (tree.has_directory(first)?, readings.first) {
            (true, Reading::Literal) if !is_told_both => Ok(Change::Create { path }),
            (false, Reading::Stripped) => Ok(Change::Create { path }),
            _ => Err(self.two_files(literal, &readings.gits).into()),
        }
    }

    fn two_files(&self, one: &[u8], other: &[u8]) -> PatchError {
        PatchError::TwoFiles { line: self.line, one: escaped(one), other: escaped(other) }
    }
}
