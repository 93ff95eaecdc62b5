//! Strategy libraries: identifying, testing and checking them.

use std::path::Path;
use std::time::Duration;

use atomic_fs::Digest;
use diff_engine::{
    ChildLimits, Conformance, Library, PluginHost, Trust, Writers, digest_of, inspect_library,
    test_library,
};

use crate::error::with_causes;
use crate::options::TrustedLibrary;

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct PluginError {
    /// The reason, with what to do about it.
    pub reason: String,
}

/// Identifies a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginIdentity {
    /// The name of its strategy.
    pub name: String,
    /// The strategy's version.
    pub version: String,
    /// The digest of the file, by which a library is allowed.
    pub blake3: Digest,
}

/// Computes a library's digest, and loads it in a child process to read its strategy's name.
///
/// # Errors
/// [`PluginError`] when another user could change the file, or when it is not a strategy for this
/// interface.
pub fn identify_plugin(
    path: &Path,
    host: &PluginHost,
    limits: ChildLimits,
) -> Result<PluginIdentity, PluginError> {
    let (library, blake3) = unnamed(path, Writers::Nobody)?;
    let (name, version) =
        inspect_library(host, &library, limits).map_err(|reason| PluginError { reason })?;
    Ok(PluginIdentity { name, version, blake3 })
}

/// Runs the conformance kit on a library in child processes; each check may take `time_allowed`.
///
/// # Errors
/// As [`identify_plugin`]. A check that fails is a part of the result, not an error.
pub fn test_plugin(
    path: &Path,
    host: &PluginHost,
    limits: ChildLimits,
    time_allowed: Duration,
) -> Result<Conformance, PluginError> {
    // The group may write: whoever built the library names it in this call.
    let (library, _) = unnamed(path, Writers::Group)?;
    test_library(host, &library, limits, time_allowed).map_err(|reason| PluginError { reason })
}

/// Checks that a library is still the one that was allowed, without running it.
///
/// # Errors
/// [`PluginError`] with the reason why it would not be loaded.
pub fn check_plugin(allowed: &TrustedLibrary) -> Result<(), PluginError> {
    let actual = digest(&allowed.path, Writers::Nobody)?;
    if actual == allowed.blake3 {
        return Ok(());
    }
    Err(PluginError { reason: "has changed since it was allowed; allow it again".to_owned() })
}

fn unnamed(path: &Path, writers: Writers) -> Result<(Library, Digest), PluginError> {
    let blake3 = digest(path, writers)?;
    let mut trust = Trust::in_digest(blake3::Hash::from_bytes(*blake3.as_bytes()));
    trust.writers = writers;
    Ok((Library { name: String::new(), path: path.to_owned(), trust }, blake3))
}

fn digest(path: &Path, writers: Writers) -> Result<Digest, PluginError> {
    // Only the file's permissions are checked here: `digest_of` ignores the expected digest.
    let mut nothing = Trust::in_digest(blake3::hash(b""));
    nothing.writers = writers;
    let found =
        digest_of(path, &nothing).map_err(|error| PluginError { reason: with_causes(&error) })?;
    Ok(Digest::from_bytes(*found.as_bytes()))
}

/// The library as the diff engine loads it; systems that cannot load a library from memory copy
/// it to `private`.
pub(crate) fn library(allowed: &TrustedLibrary, private: &Path, sticky: bool) -> Library {
    let mut trust = Trust::in_digest(blake3::Hash::from_bytes(*allowed.blake3.as_bytes()));
    trust.private_folder = Some(private.to_owned());
    if sticky {
        trust.writers = Writers::NobodyBeneathSticky;
    }
    Library { name: allowed.name.clone(), path: allowed.path.clone(), trust }
}
