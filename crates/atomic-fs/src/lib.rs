//! Crash-proof change sets: the only crate of Greenroom that writes into a workspace.
