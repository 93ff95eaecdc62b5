//! The checked strategy: linked in, or from a library.

use std::sync::atomic::AtomicBool;

use strategy_api::abi::{NO_DEADLINE, RawCtl, RawInput, StrategyModuleRef};
use strategy_api::{Ctl, Input, Op, Strategy};

/// A strategy without its type, so that one kit checks both kinds.
pub trait Subject: Sync {
    /// The name of the strategy.
    fn name(&self) -> String;

    /// Whether it needs the lines' bytes.
    fn needs_text(&self) -> bool;

    /// Compares two files; the error is a sentence.
    ///
    /// # Errors
    ///
    /// Those of the strategy.
    fn line_up(&self, input: &Input<'_>, cancelled: &AtomicBool) -> Result<Vec<Op>, String>;
}

impl<S: Strategy> Subject for S {
    fn name(&self) -> String {
        S::NAME.to_owned()
    }

    fn needs_text(&self) -> bool {
        S::NEEDS_TEXT
    }

    fn line_up(&self, input: &Input<'_>, cancelled: &AtomicBool) -> Result<Vec<Op>, String> {
        self.diff(input, &Ctl::new(cancelled, None)).map_err(|error| error.to_string())
    }
}

/// A strategy from a loaded library, called through the binary interface.
#[derive(Clone, Copy)]
pub struct Library(pub StrategyModuleRef);

impl Subject for Library {
    fn name(&self) -> String {
        self.0.name().to_string()
    }

    fn needs_text(&self) -> bool {
        self.0.needs_text()
    }

    fn line_up(&self, input: &Input<'_>, cancelled: &AtomicBool) -> Result<Vec<Op>, String> {
        let ctl = RawCtl { cancelled, deadline_ns: NO_DEADLINE };
        let script =
            self.0.diff()(RawInput::from(*input), ctl).into_result().map_err(String::from)?;
        Ok(script.ops.into_vec())
    }
}
