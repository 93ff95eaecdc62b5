//! Decides which files the names in a patch mean, once the files can be looked at.

use crate::error::PatchError;
use crate::model::{Change, FilePatch, PatchText};
use crate::printable::escaped;
use crate::readings::{Evidence, Reading, Readings, Sides};

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
        let mut seen = Evidence::default();
        for file in &self.files {
            seen.note(file.readings.as_ref().and_then(|readings| readings.shows));
        }
        let mut changes: Vec<Option<Change>> = Vec::with_capacity(self.files.len());
        let mut found = Evidence { ..seen };
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
        seen: &Evidence,
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
        seen: &Evidence,
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
