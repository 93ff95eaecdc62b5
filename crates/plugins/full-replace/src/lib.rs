//! The full-replace diff strategy, linked in and as a loadable plugin.
