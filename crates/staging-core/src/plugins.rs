//! Strategy libraries: what they are, whether they hold, and what became of them.

use std::path::Path;
use std::time::Duration;

use atomic_fs::Digest;
use diff_engine::{
    ChildLimits, Conformance, Library, PluginHost, Trust, Writers, digest_of, inspect_library,
    test_library,
};

use crate::options::TrustedLibrary;

/// Why a library is not one to use.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct PluginError {
    /// In a sentence that says what to do about it.
    pub reason: String,
}

/// What a library is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginIdentity {
    /// What its strategy calls itself.
    pub name: String,
    /// The strategy's version.
    pub version: String,
    /// The digest of its bytes, which is what is allowed.
    pub blake3: Digest,
}

/// Looks at a library, and loads it in a child to learn its strategy's name.
///
/// # Errors
///
/// When somebody else could change the file, or when it is not a strategy for this interface.
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

/// Runs the conformance kit over a library in children of its own; each check has `time_allowed`.
///
/// # Errors
///
/// Those of [`identify_plugin`]; a check that fails is no error.
pub fn test_plugin(
    path: &Path,
    host: &PluginHost,
    limits: ChildLimits,
    time_allowed: Duration,
) -> Result<Conformance, PluginError> {
    // Named here and now, by who has just built it.
    let (library, _) = unnamed(path, Writers::Group)?;
    test_library(host, &library, limits, time_allowed).map_err(|reason| PluginError { reason })
}

/// Whether a library is still what was allowed. Runs nothing of it.
///
/// # Errors
///
/// Why it would not be loaded.
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
    // What is expected is not looked at, only who could have put it there.
    let mut nothing = Trust::in_digest(blake3::hash(b""));
    nothing.writers = writers;
    let found = digest_of(path, &nothing).map_err(|error| {
        let source = std::error::Error::source(&error);
        let reason =
            source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
        PluginError { reason }
    })?;
    Ok(Digest::from_bytes(*found.as_bytes()))
}

/// The library as the engine takes it; systems that cannot load from memory copy it to `private`.
pub(crate) fn library(allowed: &TrustedLibrary, private: &Path, sticky: bool) -> Library {
    let mut trust = Trust::in_digest(blake3::Hash::from_bytes(*allowed.blake3.as_bytes()));
    trust.private_folder = Some(private.to_owned());
    if sticky {
        trust.writers = Writers::NobodyBeneathSticky;
    }
    Library { name: allowed.name.clone(), path: allowed.path.clone(), trust }
}
