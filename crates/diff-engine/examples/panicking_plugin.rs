//! A plugin that panics, with a message that would upset a terminal. The tests load it.

use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};

#[derive(Default)]
struct Panicking;

impl Strategy for Panicking {
    const NAME: &'static str = "panicking";

    fn diff(&self, _input: &Input<'_>, _ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        // Quiet: the message goes to the host, not to the terminal.
        std::panic::set_hook(Box::new(|_| ()));
        panic!("no idea\n\x1b[31mwhat to do");
    }
}

export_strategy!(Panicking);
