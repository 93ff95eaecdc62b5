//! Two layers on one state directory.
