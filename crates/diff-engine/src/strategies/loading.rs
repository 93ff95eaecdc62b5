//! Checks and loads plugin libraries.
//!
//! Loading a library runs its code before it can be asked anything, so everything is checked first,
//! on one open file: that it is a regular file that nobody else can write, that its bytes are those
//! the user allowed, that it is complete, and that it needs no libraries except the system's own. A
//! private copy of the hashed bytes is loaded, so that nothing can be replaced or truncated in
//! between.
//!
//! # Limitations
//!
//! A library is never unloaded. Outside Linux the copy is a file in a directory of the caller. The
//! needed libraries are checked only for ELF files, so not on macOS and Windows, and the owner of a
//! file is not checked on Windows.

use std::fmt;
use std::path::{Path, PathBuf};

use abi_stable::library::{AbiHeaderRef, LibraryError, RawLibrary};
use strategy_api::abi::{INTERFACE_VERSION, SYMBOL_PREFIX, StrategyModuleRef};

use crate::error::LoadError;

mod copy;
#[cfg_attr(any(not(unix), target_vendor = "apple"), path = "loading/other_format.rs")]
mod elf;
mod trust;

pub use trust::{Trust, Writers};

/// A strategy from a library; it stays loaded until the process ends.
#[derive(Clone, Copy)]
pub struct LoadedStrategy(pub(crate) StrategyModuleRef);

impl LoadedStrategy {
    /// The name of the strategy.
    pub fn name(&self) -> String {
        self.0.name().to_string()
    }

    /// The version of the strategy.
    pub fn version(&self) -> String {
        self.0.version().to_string()
    }
}

impl fmt::Debug for LoadedStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoadedStrategy").field(&self.name()).finish()
    }
}

/// The digest by which a library is allowed. Runs none of its code.
///
/// # Errors
///
/// If it is not a regular file, or if another user could write it.
pub fn digest_of(path: &Path, trust: &Trust) -> Result<blake3::Hash, LoadError> {
    let bytes = trust::read_checked(path, trust)?;
    Ok(blake3::hash(&bytes))
}

/// Loads a strategy into this process.
///
/// # Errors
///
/// If the file is not the allowed one or another user could change it, if it needs other libraries,
/// or if it is not a strategy for this interface. Its code has run only in the last case.
pub fn load_library(path: &Path, trust: &Trust) -> Result<LoadedStrategy, LoadError> {
    CheckedLibrary::read(path, trust)?.load()
}

/// A library that was read, checked and copied; none of its code has run.
pub(crate) struct CheckedLibrary {
    path: PathBuf,
    /// The copy that is loaded.
    private: PathBuf,
    /// The names under which it may export its header.
    symbols: Vec<Vec<u8>>,
}

impl CheckedLibrary {
    /// Checks everything that can be checked without running it, and loads the system's libraries
    /// that it needs.
    pub(crate) fn read(path: &Path, trust: &Trust) -> Result<Self, LoadError> {
        let bytes = trust::read_checked(path, trust)?;
        let actual = blake3::hash(&bytes);
        if actual != trust.expected_digest {
            return Err(LoadError::DigestMismatch {
                path: path.to_owned(),
                actual: actual.to_hex().to_string(),
            });
        }
        let needed = elf::libraries_needed(&bytes)
            .map_err(|why| LoadError::NotALibrary { path: path.to_owned(), why })?;
        if let Some(other) = needed.iter().find(|name| !is_of_the_system(name.as_str())) {
            let needs = other.escape_default().take(NAME_SHOWN_CHARS_MAX).collect();
            return Err(LoadError::NeedsAnotherLibrary { path: path.to_owned(), needs });
        }
        let symbols = exported_names(&bytes);
        if symbols.is_empty() {
            return Err(not_a_strategy(path, "it exports none"));
        }
        needed.iter().try_for_each(|name| load_of_the_system(path, name))?;
        let private = copy::private_copy(&bytes, trust)
            .map_err(|source| LoadError::Copy { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), private, symbols })
    }

    /// Loads it, which runs its constructors. Opens no file except the copy.
    pub(crate) fn load(self) -> Result<LoadedStrategy, LoadError> {
        let Self { path, private, symbols } = self;
        let loaded = RawLibrary::load_at(&private).map_err(|error| refusal(&path, &error));
        copy::forget(&private);
        let library = loaded?;
        // Even if it is refused, its code has run and may have started threads.
        let library: &'static RawLibrary = Box::leak(Box::new(library));
        let module = module_of(library, &symbols).map_err(|error| match error {
            Some(error) => refusal(&path, &error),
            None => not_a_strategy(&path, "it exports none"),
        })?;
        Ok(LoadedStrategy(module))
    }
}

const NAME_SHOWN_CHARS_MAX: usize = 200;

/// Whether this names the C library, a part of it, the loader, or a library that compilers add to
/// every program. The system's own programs use these, so an attacker who can replace them needs no
/// plugin.
///
/// The name is enough: [`load_of_the_system`] loads the library under it before the plugin.
fn is_of_the_system(name: &str) -> bool {
    const STEMS: [&str; 9] =
        ["libc", "libm", "libmvec", "libpthread", "libdl", "librt", "libutil", "libgcc_s", "ld64"];
    const STEM_STARTS: [&str; 3] = ["ld-linux", "libc.musl-", "ld-musl-"];
    let Some((stem, version)) = name.split_once(".so") else { return false };
    let is_version = version.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_known = STEMS.contains(&stem)
        || (STEM_STARTS.iter().any(|start| stem.starts_with(start)) && stem.chars().all(is_plain));
    is_known && is_version
}

/// Loads a library that the plugin needs, from where this program finds it.
///
/// The loader uses a library that is loaded under the needed name, so it does not search the plugin's
/// own path (`DT_RUNPATH`), and opens no file later.
fn load_of_the_system(path: &Path, name: &str) -> Result<(), LoadError> {
    let library = RawLibrary::load_at(Path::new(name)).map_err(|error| refusal(path, &error))?;
    // It stays loaded, like the plugin.
    std::mem::forget(library);
    Ok(())
}

/// The names under which the file may export a header, found by their prefix.
///
/// Every format of library contains the names of symbols unchanged, followed by a zero byte. A name
/// that is not exported is skipped later.
fn exported_names(bytes: &[u8]) -> Vec<Vec<u8>> {
    const NAMES_MAX: usize = 64;
    let mut names: Vec<Vec<u8>> = Vec::new();
    for start in memchr::memmem::find_iter(bytes, SYMBOL_PREFIX) {
        let name = &bytes[start..];
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let length = name.iter().take_while(|byte| is_part(byte)).count();
        let ends = name.get(length) == Some(&0);
        let mut name = name[..length].to_vec();
        name.push(0);
        if ends && length > SYMBOL_PREFIX.len() && !names.contains(&name) {
            names.push(name);
        }
        if names.len() == NAMES_MAX {
            break;
        }
    }
    names
}

/// The root module of the first exported name.
///
/// `load_from_file` is no use here: it keeps one module for the whole process, whatever the path.
fn module_of(
    library: &'static RawLibrary,
    names: &[Vec<u8>],
) -> Result<StrategyModuleRef, Option<LibraryError>> {
    for name in names {
        // SAFETY: whatever exports a name with our prefix exports a header under it; this is the
        // contract of `export_strategy!`, and the header itself starts with a magic text that is
        // compared before anything else in it is used.
        let Ok(symbol) = (unsafe { library.get::<AbiHeaderRef>(name) }) else {
            continue;
        };
        return symbol
            .upgrade()
            .and_then(|header| header.init_root_module::<StrategyModuleRef>())
            .map_err(Some);
    }
    Err(None)
}

/// One sentence for the long errors of `abi_stable`.
fn refusal(path: &Path, error: &LibraryError) -> LoadError {
    let why = match error {
        LibraryError::OpenError { err, .. } => {
            return LoadError::NotALibrary {
                path: path.to_owned(),
                why: first_line(&err.to_string()),
            };
        }
        LibraryError::IncompatibleVersionNumber { actual_version, .. } => {
            format!("it was built for interface {actual_version}")
        }
        LibraryError::AbiInstability(_) => {
            "its types are laid out differently: build it again with the current greenroom-strategy-api"
                .to_owned()
        }
        LibraryError::InvalidAbiHeader(_) => {
            "it was built with an incompatible abi_stable".to_owned()
        }
        other => first_line(&other.to_string()),
    };
    not_a_strategy(path, &why)
}

fn not_a_strategy(path: &Path, why: &str) -> LoadError {
    LoadError::NotAStrategy {
        path: path.to_owned(),
        interface: INTERFACE_VERSION,
        why: why.to_owned(),
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or("no reason given").trim().chars().take(200).collect()
}
