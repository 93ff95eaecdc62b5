//! The myers diff strategy, linked in and as a loadable plugin.
