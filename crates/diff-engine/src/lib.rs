//! Bytes in, a validated edit script and a git-style unified diff out.
//!
//! [`DiffEngine::diff`] decides how two contents are compared ([`Policy`]), runs a strategy from the
//! [`Registry`] on their lines, and validates its answer; [`DiffEngine::render`] writes the result as
//! a patch from which `git apply` and `patch` make exactly the new bytes. Contents are bytes and need
//! not be UTF-8: a line ends at a line feed and nowhere else.
//!
//! ```
//! use diff_engine::{DiffEngine, FileChange, FileHeader, Policy, RenderOptions, Side};
//!
//! let engine = DiffEngine::bundled(Policy::default());
//! let (old, new) = (Side::Text(b"a\nb\n"), Side::Text(b"a\nc\n"));
//! let diff = engine.diff(old, new);
//! let header = FileHeader::new(FileChange::Modify { path: b"letters" });
//! let mut out = Vec::new();
//! engine.render(&header, &diff, old, new, &RenderOptions::default(), &mut out)?;
//! assert!(out.ends_with(b"@@ -1,2 +1,2 @@\n a\n-b\n+c\n"));
//! # std::io::Result::Ok(())
//! ```

#![deny(missing_docs)]

mod content;
mod edit_script;
mod engine;
mod error;
mod intern;
mod lines;
mod merge;
mod policy;
mod remarks;
mod render;
mod slide;
mod strategies;
mod window;

pub use content::{Content, Side, is_binary};
pub use edit_script::{Change, EditScript};
pub use engine::{DiffEngine, FileDiff};
pub use error::{Danger, LoadError, RegistryError, ScriptError};
pub use intern::{Interned, intern};
pub use lines::Lines;
pub use merge::{Merge, MergeConflict};
pub use policy::Policy;
pub use remarks::{HEAD_BYTES, Remark};
pub use render::header::{FileChange, FileHeader, SYMLINK, write_directory};
pub use render::names::quote;
pub use render::stat::{Amount, FileStat, render_stat};
pub use render::summary::write_summary;
pub use render::unified::{BinaryMode, RenderOptions};
pub use strategies::library::Library;
pub use strategies::loading::{LoadedStrategy, Trust, Writers, digest_of, load_library};
pub use strategies::process::{
    CheckOutcome, ChildLimits, Confinement, Conformance, PluginHost, inspect_library, serve_plugin,
    test_library,
};
pub use strategies::registry::Registry;
pub use strategy_api::{Op, Strategy};
