//! Which file the names in a unified diff mean: with a prefix, as `git apply` reads them, or without.
//!
//! A diff does not say whether the first part of its names is a prefix (`a/`, `tool-1.0/`) or a
//! directory. Git always takes it for a prefix, when names have several parts. Here the other names of
//! the patch and the files that are there decide, and where two of them could be meant, neither is.
//!
//! The facts about git are those of `find_name_common`, `guess_p_value` and
//! `parse_traditional_patch` in its apply.c (2.47).

use crate::names::{has_prefix, without_first};

/// How a name is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
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
    pub(crate) literal: Option<Vec<u8>>,
    /// The name that `git apply` takes.
    pub(crate) gits: Vec<u8>,
    /// Which of the two is tried first when nothing else in the patch tells.
    pub(crate) first: Reading,
    /// Whether the patch has both names of the file: then their first parts tell something.
    pub(crate) sides: Sides,
    /// How the names can only have been meant, whatever files are there.
    pub(crate) shows: Option<Reading>,
    /// Where one of these is there as well and the part fits it too, none is meant.
    pub(crate) rivals: Vec<Vec<u8>>,
    /// Whether the part creates the file when there is none.
    pub(crate) creates: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sides {
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
pub(crate) struct Evidence {
    pub(crate) literal: bool,
    pub(crate) stripped: bool,
}

impl Evidence {
    pub(crate) fn note(&mut self, reading: Option<Reading>) {
        match reading {
            Some(Reading::Literal) => self.literal = true,
            Some(Reading::Stripped) => self.stripped = true,
            None => {}
        }
    }

    /// The one way in which all of them were meant.
    pub(crate) fn only(&self) -> Option<Reading> {
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
    pub(crate) fn names(&self, seen: &Evidence) -> Vec<&[u8]> {
        let Some(literal) = &self.literal else { return vec![&self.gits] };
        match seen.only().unwrap_or(self.first) {
            Reading::Literal => vec![literal, &self.gits],
            Reading::Stripped => vec![&self.gits, literal],
        }
    }

    /// The name that is meant as far as the part alone says.
    pub(crate) fn preferred(&self) -> &[u8] {
        self.names(&Evidence::default())[0]
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
    pub(crate) fn reading_of(&self, name: &[u8]) -> Option<Reading> {
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
