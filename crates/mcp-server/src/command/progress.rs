//! What a command prints, while it runs, to a client that wants to know how far a call is.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use staging_core::escape_for_display;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::output::Outputs;

/// How often what is new is passed on.
const EVERY: Duration = Duration::from_millis(250);
/// How often a client hears from a command that prints nothing, so that it does not give up.
const AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// The notifications of one call; none where the client wants none.
pub(super) struct Progress(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// Begins for a call that carries a token. The progress of a call is its time in seconds.
    pub(super) fn start(context: &RequestContext<RoleServer>, outputs: Outputs) -> Self {
        let Some(token) = context.meta.get_progress_token() else { return Self(None) };
        let (peer, begun) = (context.peer.clone(), Instant::now());
        let (sender, mut stopped) = oneshot::channel();
        let passing_on = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut last = begun;
            loop {
                tokio::select! {
                    _ = &mut stopped => return,
                    _ = ticks.tick() => {}
                }
                let message = match outputs.take_new() {
                    Some(new) => escape_for_display(&new).into_owned(),
                    None if last.elapsed() >= AT_LEAST_EVERY => {
                        format!("{} s", begun.elapsed().as_secs())
                    }
                    None => continue,
                };
                last = Instant::now();
                let progress = begun.elapsed().as_secs_f64();
                let notification = ProgressNotificationParam::new(token.clone(), progress);
                if peer.notify_progress(notification.with_message(message)).await.is_err() {
                    return;
                }
            }
        });
        Self(Some((sender, passing_on)))
    }

    /// Ends it. After that nothing is sent any more.
    pub(super) async fn stop(self) {
        if let Some((sender, passing_on)) = self.0 {
            drop(sender);
            let _ = passing_on.await;
        }
    }
}
