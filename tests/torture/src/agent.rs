//! An agents' process: proposes in eight sessions at once, through the actors.

use std::path::Path;

use actix::System;
use miette::{IntoDiagnostic as _, Result};
use orchestrator_adapter::{RelPath, SafeWrite, Staging};

use crate::world::{self, Acknowledged};

const SESSIONS: usize = 8;
const PROPOSALS: usize = 500;

/// Proposes until every session has made its proposals; `number` tells the processes apart.
pub(crate) fn run(number: usize, folder: &Path) -> Result<()> {
    System::new().block_on(async {
        let staging = Staging::open(world::options(folder)).await.into_diagnostic()?;
        let mut working = Vec::new();
        for lane in 0..SESSIONS {
            let label = format!("agent-{number}-{lane}");
            let opened = staging.open_session(&label).await.into_diagnostic()?;
            let acknowledged = Acknowledged::open(folder, &label)?;
            working.push(actix::spawn(async move {
                for round in 0..PROPOSALS {
                    let name = if fastrand::u64(..4) == 0 {
                        world::shared(fastrand::u64(..world::SHARED_FILES))
                    } else {
                        format!("own/{label}/f{}.txt", fastrand::u64(..30))
                    };
                    let content = content(&label, round);
                    let digest = blake3::hash(&content).to_hex();
                    let path = RelPath::parse(name.as_bytes()).into_diagnostic()?;
                    let message = SafeWrite { path, content, mode: None };
                    match opened.actor.send(message).await.into_diagnostic()? {
                        Ok(proposed) => {
                            if let Some(patch) = proposed.patch {
                                acknowledged.line(&[&"proposed", &patch.id, &name, &digest])?;
                            }
                        }
                        // The file was applied to meanwhile, or a session expired.
                        Err(error) if error.staging().is_some() => {
                            acknowledged.line(&[&"refused", &format!("{:?}", error.kind())])?;
                        }
                        Err(error) => return Err(error).into_diagnostic(),
                    }
                }
                Ok::<(), miette::Report>(())
            }));
        }
        for lane in working {
            lane.await.into_diagnostic()??;
        }
        staging.shutdown().await.into_diagnostic()
    })
}

/// Mostly short, now and then too long for a pack.
fn content(label: &str, round: usize) -> Vec<u8> {
    let lines = if fastrand::u8(..60) == 0 { 20_000 } else { fastrand::usize(1..=300) };
    format!("{label} {round} {}\n", fastrand::u16(..1000)).repeat(lines).into_bytes()
}
