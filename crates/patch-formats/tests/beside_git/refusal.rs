//! Why a patch is refused here, and by which kind of difference from git.

use patch_formats::{MisfitError, PatchError};

use crate::kind::Kind;

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

pub(crate) fn refused<T>(kind: impl Into<Option<Kind>>, message: String) -> Result<T, Refused> {
    Err(Refused { kind: kind.into(), message })
}
