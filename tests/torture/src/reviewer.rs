//! The reviewer's process: applies and discards at random, until it is killed.

use std::path::Path;
use std::time::Duration;

use miette::{IntoDiagnostic as _, Result};
use orchestrator_adapter::{ApplyRequest, DiskOwner, Selector};

use crate::world::{self, Acknowledged};

/// Applies and discards what is pending, a few patches of one session at a time.
pub(crate) fn run(folder: &Path) -> Result<()> {
    let acknowledged = Acknowledged::open(folder, "reviewer")?;
    let layer = DiskOwner::open(world::options(folder)).into_diagnostic()?;
    loop {
        let status = layer.status().into_diagnostic()?;
        let pending: Vec<_> = status.sessions.iter().filter(|s| !s.patches.is_empty()).collect();
        if pending.is_empty() {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        let session = pending[fastrand::usize(..pending.len())];
        let from = fastrand::usize(..session.patches.len());
        let chosen: Vec<_> = session.patches[from..].iter().take(6).map(|p| p.id).collect();
        let ids: Vec<Selector> = chosen.iter().map(|id| Selector::Patch(*id)).collect();
        if fastrand::u64(..3) == 0 {
            if let Ok(discarded) = layer.discard(&ids, Some("at random")) {
                for patch in discarded {
                    acknowledged.line(&[&"discarded", &patch.id])?;
                }
            }
            continue;
        }
        let request = ApplyRequest { ids, confirm_full_replace: true, ..Default::default() };
        if let Ok(report) = layer.apply(&request) {
            for patch in report.patches {
                acknowledged.line(&[&"applied", &patch])?;
            }
        }
        layer.tidy().into_diagnostic()?;
    }
}
