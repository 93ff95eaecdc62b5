//! What comes of a patch here, by the rules of the staging layer.

use std::collections::{BTreeMap, BTreeSet};

use patch_formats::{
    Change, FilePatch, MatchLevel, MisfitError, ModeChange, PatchError, PatchText, Tree,
};

use crate::{Files, Kind};

#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) kind: Option<Kind>,
    pub(crate) message: String,
}

impl From<PatchError> for Refused {
    fn from(error: PatchError) -> Self {
        let message = error.to_string();
        let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
        let kind = match error {
            PatchError::CutOff { .. } => Some(Kind::CutOff),
            PatchError::NamedTwice { .. } => Some(Kind::Twice),
            PatchError::TwoFiles { .. } => Some(Kind::TwoFiles),
            PatchError::BadName { .. } => Some(Kind::Names),
            PatchError::Unsupported { .. } => Some(Kind::Unsupported),
            PatchError::Malformed { .. } if says(&["does not follow"]) => Some(Kind::CutOff),
            PatchError::Malformed { .. } if says(&["lines than it says", "lacks", "overlaps"]) => {
                Some(Kind::Lines)
            }
            PatchError::Malformed { .. }
                if says(&["which the header above names", "a deletion needs"]) =>
            {
                Some(Kind::Disagreeing)
            }
            PatchError::Malformed { .. } => Some(Kind::Headers),
            _ => None,
        };
        Self { kind, message }
    }
}

impl From<MisfitError> for Refused {
    fn from(error: MisfitError) -> Self {
        let message = error.to_string();
        let kind = match error {
            MisfitError::Ambiguous { .. } => Some(Kind::SeveralPlaces),
            MisfitError::Misplaced { .. } if message.contains("bring them into order") => {
                Some(Kind::Lines)
            }
            MisfitError::Misplaced { .. } if message.contains("has no context") => {
                Some(Kind::NoContext)
            }
            MisfitError::Misplaced { .. }
                if message.contains("does not end") || message.contains("says that the file") =>
            {
                Some(Kind::FinalNewline)
            }
            MisfitError::NotFound { expected, found, .. }
                if format!("{}\\n`", expected.strip_suffix('`').unwrap_or(&expected)) == found =>
            {
                Some(Kind::FinalNewline)
            }
            _ => None,
        };
        Self { kind, message }
    }
}

fn refused<T>(kind: impl Into<Option<Kind>>, message: String) -> Result<T, Refused> {
    Err(Refused { kind: kind.into(), message })
}

struct Lookup<'f>(&'f Files);

impl<'f> Lookup<'f> {
    fn find(&self, name: &[u8]) -> Option<&'f (Vec<u8>, bool)> {
        self.0.get(std::str::from_utf8(name).ok()?)
    }
}

impl Tree for Lookup<'_> {
    type Content = Vec<u8>;
    type Error = Refused;

    fn has_file(&mut self, name: &[u8]) -> Result<bool, Refused> {
        Ok(self.find(name).is_some())
    }

    fn has_directory(&mut self, name: &[u8]) -> Result<bool, Refused> {
        let below = [name, b"/"].concat();
        Ok(self.0.keys().any(|file| file.as_bytes().starts_with(&below)))
    }

    fn content(&mut self, name: &[u8]) -> Result<Vec<u8>, Refused> {
        Ok(self.find(name).expect("it was asked for").0.clone())
    }
}

/// What comes of a patch here, and why git might not take it.
pub(crate) struct Taken {
    pub(crate) files: Files,
    pub(crate) lenient: BTreeSet<Kind>,
}

/// The files after the patch, by the rules of the staging layer.
pub(crate) fn ours(before: &Files, text: &[u8]) -> Result<Taken, Refused> {
    let patch = PatchText::parse(text)?;
    let mut lenient = BTreeSet::new();
    if memchr::memmem::find(text, b"\t1970-01-01").is_some() {
        lenient.insert(Kind::Time);
    }
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    if lines.any(|line| line.starts_with(b"diff --git ") && line.ends_with(b"\r\n")) {
        lenient.insert(Kind::LineEnds);
    }
    let mut parts = Vec::new();
    let changes = patch.resolve(&mut Lookup(before))?;
    for (file, change) in patch.files.iter().zip(changes) {
        let (content, run) = fitted(before, file, &change, &mut lenient).map_err(|refused| {
            // Git creates the file wherever a hunk puts its first lines.
            let is_missing = refused.message.contains("no such file");
            let kind = refused.kind.or((is_missing && inserts(text)).then_some(Kind::NoContext));
            // A time is seen in front of a carriage return, and git takes it for a part of the name.
            let kind = kind.or((is_missing && has_returned_label(text)).then_some(Kind::Headers));
            Refused { kind, ..refused }
        })?;
        let name = change.source().or(change.target());
        if name.is_some_and(|name| stands_unprefixed(text, name)) {
            lenient.insert(Kind::Unprefixed);
        }
        parts.push((change, content, run));
    }
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (mut sources, mut targets) = (BTreeSet::new(), BTreeSet::new());
    let mut moves = BTreeMap::new();
    for (change, ..) in &parts {
        let is_twice = change.source().is_some_and(|source| !sources.insert(name(source)))
            || change.target().is_some_and(|target| !targets.insert(name(target)));
        if is_twice {
            return refused(Kind::Twice, format!("{change:?} is changed twice"));
        }
        if let Change::Rename { from, to } = change {
            moves.insert(name(from), name(to));
        }
    }
    if targets.iter().any(|target| sources.contains(target) && !is_modified(&parts, target)) {
        lenient.insert(Kind::Order);
    }
    for first in moves.keys() {
        let mut next = &moves[first];
        while let Some(to) = moves.get(next) {
            if next == first {
                return refused(Kind::Renames, "renames in a circle".to_owned());
            }
            next = to;
        }
    }
    let mut files = before.clone();
    for (change, ..) in &parts {
        if let Change::Delete { path } | Change::Rename { from: path, .. } = change {
            files.remove(&name(path));
        }
    }
    for (change, content, run) in parts {
        let Some(target) = change.target().map(name) else { continue };
        let is_new = !matches!(change, Change::Modify { .. });
        if is_new && files.contains_key(&target) {
            return refused(Kind::Renames, format!("`{target}` is there"));
        }
        let lies_below = |low: &str, high: &str| low.starts_with(&format!("{high}/"));
        if files.keys().any(|file| lies_below(file, &target) || lies_below(&target, file)) {
            return refused(Kind::Renames, format!("`{target}` is in the way of a file"));
        }
        files.insert(target, (content, run));
    }
    Ok(Taken { files, lenient })
}

/// Whether a hunk puts lines where none are, at another line than the first.
fn inserts(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        let old = line.strip_prefix(b"@@ -").and_then(|rest| rest.split(|b| *b == b' ').next());
        old.is_some_and(|old| old.ends_with(b",0") && old != b"0,0")
    })
}

/// Whether a label of the patch ends in a carriage return.
fn has_returned_label(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| {
        (line.starts_with(b"--- ") || line.starts_with(b"+++ ")) && line.ends_with(b"\r")
    })
}

/// Whether a label of the patch is this name as it stands.
fn stands_unprefixed(text: &[u8], name: &[u8]) -> bool {
    let mut quoted = b"\"".to_vec();
    for byte in name {
        match byte {
            0x80.. => quoted.extend(format!("\\{byte:o}").bytes()),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'"');
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| {
        let label = line.strip_prefix(b"--- ").or_else(|| line.strip_prefix(b"+++ "));
        let label = label.and_then(|label| label.split(|byte| *byte == b'\t').next());
        label.is_some_and(|label| label == name || label.starts_with(&quoted))
    })
}

fn is_modified(parts: &[(Change, Vec<u8>, bool)], name: &str) -> bool {
    let path = name.as_bytes().to_vec();
    parts.iter().any(|(change, ..)| *change == Change::Modify { path: path.clone() })
}

fn fitted(
    before: &Files,
    file: &FilePatch<'_>,
    change: &Change,
    lenient: &mut BTreeSet<Kind>,
) -> Result<(Vec<u8>, bool), Refused> {
    let found = match change.source() {
        None => None,
        Some(source) => match Lookup(before).find(source) {
            Some(found) => Some(found),
            None => return refused(None, format!("{change:?}: no such file")),
        },
    };
    let content = found.map_or(&b""[..], |(content, _)| content);
    let fitted = file.fit(content, false)?;
    if fitted.placements.iter().any(|place| place.level > MatchLevel::Exact) {
        lenient.insert(Kind::LineEnds);
    }
    let is_new = matches!(change, Change::Create { .. });
    if file.names_base(content) == Some(true) || (is_new && file.is_from_top) {
        lenient.insert(Kind::Incomplete);
    }
    let was_run = found.is_some_and(|(_, run)| *run);
    let run = match file.mode {
        None => was_run,
        Some(ModeChange::Executable(run)) if found.is_some() && run == was_run => {
            return refused(Kind::Mode, "it has this mode already".to_owned());
        }
        Some(ModeChange::Executable(run)) => run,
        Some(ModeChange::Exact { old: Some(old), .. })
            if old != if was_run { 0o755 } else { 0o644 } =>
        {
            return refused(Kind::Mode, "it has another mode".to_owned());
        }
        Some(ModeChange::Exact { new, .. }) => new & 0o100 != 0,
    };
    Ok((fitted.content, run))
}
