//! Bytes in, a validated edit script and a git-style unified diff out.
