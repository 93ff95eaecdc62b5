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

    /// Called before the names of `_part` are looked up.
    fn enter(&mut self, _part: &FilePatch<'_>) {}

    /// Whether a file of this name exists.
    ///
    /// # Errors
    /// If the name cannot be looked up.
    fn has_file(&mut self, name: &[u8]) -> Result<bool, Self::Error>;

    /// Whether a directory of this name exists.
    ///
    /// # Errors
    /// If the name cannot be looked up.
    fn has_directory(&mut self, name: &[u8]) -> Result<bool, Self::Error>;

    /// The content of an existing file.
    ///
    /// # Errors
    /// If it cannot be read.
    fn content(&mut self, name: &[u8]) -> Result<Self::Content, Self::Error>;
}

impl PatchText<'_> {
    /// Decides, part by part, what happens to which file.
    ///
    /// Of the names that a part may mean, the first existing one is taken, unless another one exists
    /// as well and the part fits both. The parts whose names can be read in one way only decide which
    /// name comes first and what a new file is called.
    ///
    /// # Errors
    /// [`PatchError::TwoFiles`] if two files may be meant; otherwise the errors of the tree.
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
        let mut decided = None;
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
                    // If only the files decide about two parts, they have to decide alike.
                    let name = change.source().or(change.target()).unwrap_or_default();
                    let reading = readings.reading_of(name).filter(|_| found.only().is_none());
                    if reading.is_some_and(|reading| *decided.get_or_insert(reading) != reading) {
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
    /// What happens to an existing file; `None` if none of the part's names exists, or if the file
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

    /// What happens if none of the part's names exists: the part creates the file, or the caller
    /// reports that it is missing.
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
        let is_ambiguous = seen.literal && seen.stripped;
        // Only the directories show whether the first part is one of them.
        let first = literal.split(|byte| *byte == b'/').next().unwrap_or(literal);
        match (tree.has_directory(first)?, readings.first) {
            (true, Reading::Literal) if !is_ambiguous => Ok(Change::Create { path }),
            (false, Reading::Stripped) => Ok(Change::Create { path }),
            _ => Err(self.two_files(literal, &readings.gits).into()),
        }
    }

    fn two_files(&self, one: &[u8], other: &[u8]) -> PatchError {
        PatchError::TwoFiles { line: self.line, one: escaped(one), other: escaped(other) }
    }
}
