//! The files that a name in a unified diff may mean: with a prefix, as `git apply` reads it, or
//! without.
//!
//! A diff does not show whether the first part of its names is a prefix (`a/`, `tool-1.0/`) or a
//! directory. Git always takes it for a prefix if names have several parts. Here the other names of
//! the patch and the existing files decide, and if two files could be meant, the patch is refused.
//!
//! The facts about git are those of `find_name_common`, `guess_p_value` and
//! `parse_traditional_patch` in its apply.c (2.47).

use crate::names::{has_prefix, without_first};

/// How a name is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As it is written.
    Literal,
    /// Without its first part, as git reads it.
    Stripped,
}

/// The names that a part may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readings {
    /// The name as it is written; `None` if it can only be read without its first part, or has only
    /// one part.
    pub(crate) literal: Option<Vec<u8>>,
    /// The name that `git apply` takes.
    pub(crate) gits: Vec<u8>,
    /// Which of the two is tried first if nothing else in the patch decides.
    pub(crate) first: Reading,
    /// Whether the patch has both names of the file, so that their first parts can be compared.
    pub(crate) sides: Sides,
    /// The only possible reading of the names, whatever files exist.
    pub(crate) shows: Option<Reading>,
    /// If one of these exists as well and the part fits it too, the part is refused.
    pub(crate) rivals: Vec<Vec<u8>>,
    /// Whether the part creates the file if it does not exist.
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

/// The readings that the parts of a patch prove: usually one program wrote all names.
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

    /// The only reading that was found.
    pub(crate) fn only(&self) -> Option<Reading> {
        match (self.literal, self.stripped) {
            (true, false) => Some(Reading::Literal),
            (false, true) => Some(Reading::Stripped),
            _ => None,
        }
    }
}

impl Readings {
    /// The names of a file that exists, or may exist, before and after the change; `None` if they
    /// contain no name.
    pub(crate) fn of_both(
        old: &[u8],
        new: &[u8],
        spelling: Spelling,
        creates: bool,
    ) -> Option<Self> {
        let (old_rest, new_rest) = (without_first(old), without_first(new));
        // Git strips nothing if the new name has one part.
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

    /// The names of a file of which the patch has only one.
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

    /// The names, in the order in which they are tried.
    pub(crate) fn names(&self, seen: &Evidence) -> Vec<&[u8]> {
        let Some(literal) = &self.literal else { return vec![&self.gits] };
        match seen.only().unwrap_or(self.first) {
            Reading::Literal => vec![literal, &self.gits],
            Reading::Stripped => vec![&self.gits, literal],
        }
    }

    /// The name that the part alone suggests.
    pub(crate) fn preferred(&self) -> &[u8] {
        self.names(&Evidence::default())[0]
    }

    /// Every name that is possible.
    pub(crate) fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.literal.iter().chain([&self.gits]).chain(&self.rivals).map(Vec::as_slice)
    }

    /// Whether only one name is possible.
    pub(crate) fn is_sure(&self) -> bool {
        self.literal.is_none() && self.rivals.is_empty()
    }

    /// Whether a label of a `---` or `+++` line below git's header names the file. Git always strips
    /// labels there; it refuses a name of one part, which can mean one file only.
    pub(crate) fn stands_for(&self, label: &[u8]) -> bool {
        without_first(label) == Some(&self.gits)
            || self.literal.as_deref() == Some(label)
            || (label == self.gits && !label.contains(&b'/'))
    }

    /// The reading by which this name was chosen.
    pub(crate) fn reading_of(&self, name: &[u8]) -> Option<Reading> {
        let literal = self.literal.as_deref()?;
        if name == literal {
            return Some(Reading::Literal);
        }
        (name == self.gits).then_some(Reading::Stripped)
    }
}

/// The one of a file's two names that git takes, and the other one if it differs. Git takes the new
/// name, or the old one if the new one begins with it, as in `f` and `f.new`.
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
