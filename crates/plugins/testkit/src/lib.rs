//! Conformance tests that the author of a diff strategy runs.
