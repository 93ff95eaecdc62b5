//! What every part of the example uses.

use std::error::Error;
use std::time::Duration;

/// Long enough for a busy machine; then something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Story<T> = Result<T, Box<dyn Error>>;
