//! Bytes in, a validated edit script and a git-style unified diff out.
//!
//! [`DiffEngine::diff`] decides how two contents are compared ([`Policy`]), lets a strategy from
//! the [`Registry`] line up their lines, and checks what it answers; [`DiffEngine::render`] writes
//! it as a patch that `git apply` and `patch` turn back into exactly the new bytes. Contents are
//! bytes and never text: a line ends at a line feed and nowhere else.
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

mod binary;
mod child;
mod edit_script;
mod engine;
mod error;
mod full_replace;
mod header;
mod intern;
mod lines;
mod loading;
mod merge;
mod names;
mod policy;
mod registry;
mod remarks;
mod runner;
mod slide;
mod stat;
mod unified;
mod window;

pub use child::{
    CheckOutcome, ChildLimits, Confinement, Conformance, PluginHost, inspect_library, serve_plugin,
    test_library,
};
pub use edit_script::{Change, EditScript, Step};
pub use engine::{DiffEngine, FileDiff, Side};
pub use error::{Danger, LoadError, RegistryError, ScriptError};
pub use full_replace::Content;
pub use header::{FileChange, FileHeader, SYMLINK, write_directory};
pub use intern::{Interned, intern};
pub use lines::Lines;
pub use loading::{LoadedStrategy, Trust, Writers, digest_of, load_library};
pub use merge::{Merge, MergeConflict};
pub use names::quote;
pub use policy::{Policy, is_binary};
pub use registry::{Library, Registry};
pub use remarks::{HEAD_BYTES, Remark};
pub use stat::{Amount, FileStat, render_stat};
pub use strategy_api::{Op, Strategy};
pub use unified::{BinaryMode, RenderOptions};
