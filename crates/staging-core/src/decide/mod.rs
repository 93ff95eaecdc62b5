//! What a reviewer decides: selecting, applying, undoing, discarding.

pub(crate) mod apply;
pub(crate) mod by_rules;
pub(crate) mod changes;
pub(crate) mod chosen;
pub(crate) mod client_approved;
pub(crate) mod comments;
pub(crate) mod conclude;
pub(crate) mod covered;
pub(crate) mod discard;
pub(crate) mod part;
pub(crate) mod put_back;
pub(crate) mod redo;
pub(crate) mod reversed;
pub(crate) mod select;
pub(crate) mod set_ids;
pub(crate) mod undo;
