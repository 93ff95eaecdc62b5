//! The interface between Greenroom and diff strategy plugins.
