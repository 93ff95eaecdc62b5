//! A plugin that ends its process while it is being loaded. The tests load it.

use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};

#[derive(Default)]
struct Crashing;

impl Strategy for Crashing {
    const NAME: &'static str = "crashing";

    fn diff(&self, _input: &Input<'_>, _ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        Err("it was never to be asked".into())
    }
}

/// Runs when the library is mapped, before anything about it can be asked.
extern "C" fn on_load() {
    std::process::abort();
}

#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
static ON_LOAD: extern "C" fn() = on_load;

export_strategy!(Crashing);
