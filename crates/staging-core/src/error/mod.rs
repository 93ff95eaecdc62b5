//! Errors of the staging layer, their kinds and their messages.

mod about;
mod kind;
mod messages;
mod staging;
mod store;

pub use self::kind::ErrorKind;
pub use self::messages::with_causes;
pub use self::staging::{Result, StagingError};
