//! Which contents are compared, and by which strategy.

use std::time::Duration;

use crate::content::{Side, is_binary};

/// The limits and choices of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// If either content has more bytes, they are not compared and the whole file is replaced.
    pub size_max_bytes: u64,
    /// How many unchanged lines are shown around a change.
    pub context_lines: u32,
    /// The name of the strategy.
    pub strategy: String,
    /// How long a strategy that is not bundled may take for one file. The bundled ones count steps
    /// instead, so that their diffs are the same on every machine.
    pub deadline: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            size_max_bytes: 1 << 20,
            context_lines: 3,
            strategy: "histogram".to_owned(),
            deadline: Duration::from_secs(2),
        }
    }
}

/// How a pair of contents is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Both contents are the same.
    Same,
    /// One file does not exist, so there is nothing to compare.
    OneSided,
    /// Compared by a strategy.
    Compare,
    /// Not compared; the whole file is replaced.
    Replace(Why),
}

/// Why a whole file is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    TooLarge,
    Binary,
}

impl Policy {
    pub(crate) fn treatment(&self, old: Side<'_>, new: Side<'_>) -> Treatment {
        match (old, new) {
            (Side::Absent, Side::Absent) => return Treatment::Same,
            (Side::Text(old), Side::Text(new)) if old == new => return Treatment::Same,
            _ => {}
        }
        let binary = |side| matches!(side, Side::Text(content) if is_binary(content));
        if binary(old) || binary(new) {
            return Treatment::Replace(Why::Binary);
        }
        let too_large = |side| match side {
            Side::Absent => false,
            Side::Text(content) => content.len() as u64 > self.size_max_bytes,
            Side::TooLarge { .. } => true,
        };
        if too_large(old) || too_large(new) {
            return Treatment::Replace(Why::TooLarge);
        }
        match (old, new) {
            (Side::Absent, _) | (_, Side::Absent) => Treatment::OneSided,
            _ => Treatment::Compare,
        }
    }
}
