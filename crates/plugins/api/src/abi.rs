//! The binary interface, version 1. Authors of strategies never need it; hosts do.
//!
//! Everything here is frozen for major version 1: see the crate's notes on versioning. There are
//! no enums with data and no trait objects of ours, and an error travels as text that the plugin
//! itself has formatted, so that no code of the plugin runs outside its own panic guard.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RResult, RSlice, RStr, RString, RVec};

use crate::{Ctl, Input, Line, Op, Strategy};

/// The version of the interface.
pub const INTERFACE_VERSION: &str = "1.0.0";

/// What the name of the exported header starts with; the crate's name follows.
///
/// Each library exports one static [`LibHeader`](abi_stable::library::LibHeader) whose name ends
/// in its own crate's name. Were it one name for all, as `abi_stable` does by itself, no program
/// could link two strategies: a strategy's crate is a loadable library and a linked one at once,
/// one compilation makes both, and two `no_mangle` symbols of one name in one program are an
/// error (or, worse, silently the first). The host finds the name in the file's bytes, which it
/// has read already to hash them.
pub const SYMBOL_PREFIX: &str = "greenroom_strategy_v1_";

/// The `deadline_ns` that means: none.
pub const NO_DEADLINE: u64 = u64::MAX;

/// What a library exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = StrategyModuleRef)))]
#[sabi(missing_field(panic))]
pub struct StrategyModule {
    /// [`Strategy::NAME`].
    pub name: RStr<'static>,
    /// [`Strategy::VERSION`].
    pub version: RStr<'static>,
    /// [`Strategy::NEEDS_TEXT`].
    pub needs_text: bool,
    /// [`Strategy::diff`]; the error is a sentence.
    #[sabi(last_prefix_field)]
    pub diff: extern "C" fn(RawInput<'_>, RawCtl<'_>) -> RResult<RawScript, RString>,
}

impl RootModule for StrategyModuleRef {
    abi_stable::declare_root_module_statics! {StrategyModuleRef}
    const BASE_NAME: &'static str = "greenroom_strategy";
    const NAME: &'static str = "greenroom_strategy";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new(INTERFACE_VERSION);
}

/// [`Input`] as it crosses.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct RawInput<'a> {
    /// The ids of the old file's lines.
    pub old_ids: RSlice<'a, u32>,
    /// The ids of the new file's lines.
    pub new_ids: RSlice<'a, u32>,
    /// The bytes of the old file's lines, or nothing where not asked for.
    pub old_text: RSlice<'a, Line<'a>>,
    /// The bytes of the new file's lines, or nothing where not asked for.
    pub new_text: RSlice<'a, Line<'a>>,
}

impl<'a> From<Input<'a>> for RawInput<'a> {
    fn from(input: Input<'a>) -> Self {
        Self {
            old_ids: input.old.into(),
            new_ids: input.new.into(),
            old_text: input.old_text.into(),
            new_text: input.new_text.into(),
        }
    }
}

/// [`Ctl`] as it crosses.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct RawCtl<'a> {
    /// Set by the host when it no longer wants the answer.
    pub cancelled: &'a AtomicBool,
    /// The time allowed, in nanoseconds from the moment of the call, or [`NO_DEADLINE`].
    pub deadline_ns: u64,
}

/// A strategy's answer as it crosses.
#[repr(C)]
#[derive(Clone, Debug, StableAbi)]
pub struct RawScript {
    /// The edit script.
    pub ops: RVec<Op>,
    /// Whether [`Ctl::note_degraded`] was called.
    pub degraded: bool,
}

/// The module that exports `S`. Called by [`export_strategy!`](crate::export_strategy).
pub fn module_of<S: Strategy + Default + 'static>() -> StrategyModuleRef {
    StrategyModule {
        name: RStr::from_str(S::NAME),
        version: RStr::from_str(S::VERSION),
        needs_text: S::NEEDS_TEXT,
        diff: diff_across::<S>,
    }
    .leak_into_prefix()
}

/// Runs `S` for a caller on the other side of the interface; nothing unwinds out of it.
extern "C" fn diff_across<S: Strategy + Default>(
    input: RawInput<'_>,
    ctl: RawCtl<'_>,
) -> RResult<RawScript, RString> {
    guarded(|| {
        let time_allowed =
            (ctl.deadline_ns != NO_DEADLINE).then(|| Duration::from_nanos(ctl.deadline_ns));
        let ctl = Ctl::new(ctl.cancelled, time_allowed);
        let input = Input {
            old: input.old_ids.as_slice(),
            new: input.new_ids.as_slice(),
            old_text: input.old_text.as_slice(),
            new_text: input.new_text.as_slice(),
        };
        let ops = S::default().diff(&input, &ctl).map_err(|error| error.to_string())?;
        Ok(RawScript { ops: ops.into(), degraded: ctl.degraded() })
    })
    .map_err(RString::from)
    .into()
}

/// Runs `work` and turns a panic into an error that says what it was.
///
/// # Errors
///
/// The error of `work`, or the panic's message.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let message = panic_message(payload.as_ref());
        // Dropping a payload can panic again, and nothing may unwind from here.
        std::mem::forget(payload);
        Err(message)
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => format!("panicked: {text}"),
        None => "panicked".to_owned(),
    }
}
