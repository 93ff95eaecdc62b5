//! A plugin that compares on a thread of its own, which a plugin's process does not have. The tests
//! load it.

use strategy_api::toolbox::ScriptBuilder;
use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};

#[derive(Default)]
struct Threading;

impl Strategy for Threading {
    const NAME: &'static str = "threading";

    fn diff(&self, input: &Input<'_>, _ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        let (old, new) = (input.old.len() as u32, input.new.len() as u32);
        let compare = move || ScriptBuilder::new().finish(old, new);
        let thread = std::thread::Builder::new().spawn(compare);
        let thread = thread.map_err(|error| format!("no thread: {error}"))?;
        thread.join().map_err(|_| "it panicked".into())
    }
}

export_strategy!(Threading);
