//! Deletes every old line and inserts every new one.

use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy, toolbox::ScriptBuilder};

/// The strategy that shows two files one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct FullReplace;

impl Strategy for FullReplace {
    const NAME: &'static str = "full-replace";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn diff(&self, input: &Input<'_>, _ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        let mut script = ScriptBuilder::new();
        if input.old == input.new {
            script.keep(0, 0, input.old.len() as u32);
        }
        Ok(script.finish(input.old.len() as u32, input.new.len() as u32))
    }
}

export_strategy!(FullReplace);
