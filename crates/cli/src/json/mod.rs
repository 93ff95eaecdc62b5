//! The shapes that `--json` prints, and that `serve` answers with.

mod applies;
mod object;
mod patches;
mod plugins;
mod proposals;
mod status;

pub(crate) use self::applies::{
    AppliedPatchView, AppliedView, AppliesView, RecoverView, RedoneView, ShownApplyView, UndoneView,
};
pub(crate) use self::object::{ErrorView, InitView, Object};
pub(crate) use self::patches::{
    ContentView, EarlierView, PatchView, SelectionView, SeveralShownView, ShownView, TextView,
    patches,
};
pub(crate) use self::plugins::{
    AllowedView, CheckView, ConfinementView, StrategiesView, StrategyView, TestedView,
};
pub(crate) use self::proposals::{CopiedView, DiscardedView, NotProposedView, ProposedView};
pub(crate) use self::status::{ClosedView, LayerView, StatusView};
