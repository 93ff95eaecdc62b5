//! What a run does while its command runs: it stages what was written, keeps the session open, shows the
//! command what the user changes, and stops it when it has written too much.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use capture::{Report, SessionCapture, View, Watch};
use staging_core::{DiskOwner, RelPath, SessionId};

use super::caller::Caller;
use super::imported::failure_of;
use super::layer_watch::LayerWatch;
use crate::console::Console;
use crate::failure::Failure;

/// How often a run extends the life of its session, and stages what was written so far, at the
/// least.
const IMPORT_EVERY: Duration = Duration::from_secs(600);

/// How long changes of the user are gathered before the view is refreshed: an editor makes several,
/// and each refresh costs the command what the kernel remembers of the view.
const GATHER: Duration = Duration::from_millis(50);

/// How long processes that the command has left, or that are stopped, may take to end.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Works for a session while its command runs.
pub(super) struct Attendant<'a> {
    console: &'a Console,
    owner: &'a DiskOwner,
    capture: &'a SessionCapture<'a>,
    session: SessionId,
    layer: LayerWatch<'a>,
    /// Why the command was stopped.
    stopped: Option<String>,
    import_every: Duration,
    import_at: Instant,
    /// Who asked for the command, if that is another process.
    caller: Option<&'a Caller>,
    is_called_off: bool,
    /// Nothing before the first turn, and where the system cannot watch.
    watch: Option<Watch>,
    is_begun: bool,
    /// What the user may have changed, and when the view is refreshed for it.
    changed: BTreeSet<Vec<u8>>,
    refresh_at: Option<Instant>,
    /// The files that became stale, and those that the user and the command have changed, to be
    /// reported at the end.
    unproven: BTreeSet<RelPath>,
    edited: BTreeSet<RelPath>,
}

impl<'a> Attendant<'a> {
    pub(super) fn new(
        console: &'a Console,
        owner: &'a DiskOwner,
        capture: &'a SessionCapture<'a>,
        session: SessionId,
        layer_bytes_max: Option<u64>,
        caller: Option<&'a Caller>,
    ) -> Self {
        let import_every = IMPORT_EVERY.min(owner.options().session_expires_after / 3);
        Self {
            console,
            owner,
            capture,
            session,
            layer: LayerWatch::new(console, capture, session, layer_bytes_max),
            stopped: None,
            import_every,
            import_at: Instant::now() + import_every,
            caller,
            is_called_off: false,
            watch: None,
            is_begun: false,
            changed: BTreeSet::new(),
            refresh_at: None,
            unproven: BTreeSet::new(),
            edited: BTreeSet::new(),
        }
    }

    /// Adds what earlier imports have found to the last one's report.
    pub(super) fn complete(mut self, report: &mut Report) {
        if let Some(reason) = &self.stopped {
            self.console.warn(&format!("stopped the command: {reason}. What it wrote is kept"));
        }
        self.unproven.extend(std::mem::take(&mut report.imported.unproven));
        self.edited.extend(std::mem::take(&mut report.edited));
        report.edited = self.edited.difference(&self.unproven).cloned().collect();
        report.imported.unproven = self.unproven.into_iter().collect();
    }

    /// Become readable when the user changes something, and when the caller calls the command off.
    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let watch = self.watch.as_ref().map(Watch::as_fd);
        let caller = self.caller.filter(|_| !self.is_called_off).map(Caller::as_fd);
        watch.into_iter().chain(caller).collect()
    }

    /// Does what is due; returns when the next thing is.
    pub(super) fn attend(&mut self, view: &mut View) -> Duration {
        if !self.is_begun {
            self.is_begun = true;
            if let Some(caller) = self.caller {
                caller.report_start();
            }
            self.start_watching();
        }
        if self.caller.is_some_and(Caller::has_gone) && !self.is_called_off {
            self.is_called_off = true;
            stop(view);
        }
        if let Some(watch) = &mut self.watch
            && watch.read()
        {
            self.changed.append(&mut watch.changed());
            self.refresh_at.get_or_insert_with(|| Instant::now() + GATHER);
        }
        if self.refresh_at.is_some_and(|at| at <= Instant::now()) {
            self.refresh(view);
        }
        if self.import_at <= Instant::now() {
            self.import_at = Instant::now() + self.import_every;
            self.import();
        }
        if let Some(reason) = self.layer.check().filter(|_| self.stopped.is_none()) {
            self.stopped = Some(reason);
            stop(view);
        }
        let next = self.import_at.min(self.layer.next());
        let next = self.refresh_at.map_or(next, |at| at.min(next));
        next.saturating_duration_since(Instant::now())
    }

    /// Begins after the command has started, which need not wait for it. A copy does not follow the
    /// workspace while a command runs.
    fn start_watching(&mut self) {
        let dir = self.capture.dir();
        if dir.has_copy() || dir.has_working_copy() {
            return;
        }
        match self.capture.watch() {
            Ok(watch) => {
                if !watch.is_complete() {
                    self.console.remark(
                        "the system cannot watch all directories (fs.inotify.max_user_watches): the \
                         command may see old versions of files that you change",
                    );
                }
                self.watch = Some(watch);
            }
            Err(error) => {
                let failure = failure_of(error);
                self.console.remark(&format!(
                    "{}: the command may see old versions of files that you change",
                    failure.message
                ));
            }
        }
    }

    /// Lets the command see what the user has changed, and takes note of what it sees.
    fn refresh(&mut self, view: &mut View) {
        self.refresh_at = None;
        let changed = std::mem::take(&mut self.changed);
        if self.capture.has_written(&changed).unwrap_or(true) {
            self.import();
        }
        if let Err(error) = view.refresh() {
            tracing::debug!(%error, "the command sees some files as they were");
            return;
        }
        match self.capture.renew(view.identity(), changed) {
            Ok(mut again) => {
                if !again.soon.is_empty() {
                    self.refresh_at = Some(Instant::now() + 4 * GATHER);
                }
                self.changed = again.soon;
                self.changed.append(&mut again.held);
            }
            Err(error) => tracing::debug!(%error, "changes of these files may be stale"),
        }
    }

    /// The session lives as long as its command, and a crash loses less.
    fn import(&mut self) {
        let kept = self
            .owner
            .session_view(self.session)
            .map_err(Failure::from)
            .and_then(|_| self.capture.import().map_err(failure_of));
        match kept {
            Ok(report) => {
                self.unproven.extend(report.imported.unproven);
                self.edited.extend(report.edited);
            }
            Err(failure) => tracing::warn!(error = failure.message, "staged again later"),
        }
    }
}

/// Ends the command and everything that it has started.
fn stop(view: &mut View) {
    if let Err(error) = view.stop(GRACE) {
        tracing::warn!(%error, "the command cannot be stopped");
    }
}
