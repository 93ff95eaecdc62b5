//! What a client selects and names.

use staging_core::{RelPath, Selector, SessionId, StagingError};

use super::params::{Selected, SelectedBy};
use crate::failure::Failure;

/// What is selected. Without anything but exceptions it is everything, or everything of the session.
pub(super) fn selectors(
    session: Option<SessionId>,
    ids: Vec<Selected>,
) -> Result<Vec<Selector>, Failure> {
    let mut selectors = ids.into_iter().map(selector).collect::<Result<Vec<_>, _>>()?;
    if Selector::are_everything(&selectors) {
        selectors.extend(session.map(Selector::Session));
    }
    Ok(selectors)
}

fn selector(selected: Selected) -> Result<Selector, Failure> {
    Ok(match selected {
        Selected::Named(name) => {
            name.parse().map_err(|error| Failure::usage(format!("{error}")))?
        }
        Selected::By(SelectedBy::Path(path)) => Selector::Path(file(&path)?),
        Selected::By(SelectedBy::Except(selected)) => selector(*selected)?.except(),
    })
}

/// The file that a client names.
pub(super) fn file(named: &str) -> Result<RelPath, Failure> {
    named.parse().map_err(|error| Failure::from(StagingError::Path(error)).about(named))
}
