//! A library that holds a strategy, and what it calls itself.

use std::path::PathBuf;

use crate::error::RegistryError;
use crate::strategies::loading::Trust;

/// A library that the user allowed, which is loaded when its strategy is first asked.
#[derive(Clone, Debug)]
pub struct Library {
    /// What the strategy calls itself; a library that says something else is not used.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What makes it the one that was allowed.
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
            "its library calls itself {called:?} and was allowed as {name:?}; allow it again"
        ))
    }
}

/// Whether users could type it, which keeps everything else out of messages and configurations too.
pub(crate) fn check_name(name: &str) -> Result<(), RegistryError> {
    const NAME_MAX_BYTES: usize = 64;
    let typable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > NAME_MAX_BYTES || !name.bytes().all(typable) {
        return Err(RegistryError::BadName { name: name.to_owned() });
    }
    Ok(())
}

/// What a strategy said, fit for a terminal: short, and without control characters.
pub(crate) fn short_for_display(text: &str) -> String {
    const CHARACTERS_MAX: usize = 200;
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(CHARACTERS_MAX)
        .collect()
}
