//! A library that contains a strategy, and the name of that strategy.

use std::path::PathBuf;

use crate::error::RegistryError;
use crate::strategies::loading::Trust;

/// A library that the user allowed, which is loaded when its strategy is first used.
#[derive(Clone, Debug)]
pub struct Library {
    /// The name of its strategy; a library with another name is not used.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// The conditions on which it is loaded.
    pub trust: Trust,
}

impl Library {
    /// Refuses a strategy of another name than the one that was allowed.
    pub(crate) fn check_called(&self, called: &str) -> Result<(), String> {
        let Self { name, .. } = self;
        if called == name {
            return Ok(());
        }
        Err(format!(
            "its library calls itself {called:?} but was allowed as {name:?}: allow it again"
        ))
    }
}

/// Refuses a name that users cannot type, so that messages and configurations contain no others.
pub(crate) fn check_name(name: &str) -> Result<(), RegistryError> {
    const NAME_MAX_BYTES: usize = 64;
    let typable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > NAME_MAX_BYTES || !name.bytes().all(typable) {
        return Err(RegistryError::BadName { name: name.to_owned() });
    }
    Ok(())
}

/// The text of a strategy, shortened and without control characters, for a terminal.
pub(crate) fn short_for_display(text: &str) -> String {
    const CHARACTERS_MAX: usize = 200;
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(CHARACTERS_MAX)
        .collect()
}
