//! The histogram diff strategy, linked in and as a loadable plugin.
