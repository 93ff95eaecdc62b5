//! Reports that some process may have changed the store.
//!
//! SQLite writes each commit to the store's log, and the system reports such writes. The report may
//! come a moment before the commit can be read: look again shortly after.

use std::path::Path;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::layer::DiffStagingLayer;

/// Calls back while the store changes; dropping it ends that.
pub struct StoreWatch {
    _system: RecommendedWatcher,
}

impl DiffStagingLayer {
    /// Calls `changed` whenever any process may have changed the store, this one included, from a
    /// thread of its own; it must not block. `None` where the system does not report that in time:
    /// ask every so often instead.
    pub fn watch_store(&self, changed: impl Fn() + Send + 'static) -> Option<StoreWatch> {
        // The other systems report a write late, or only once the file is closed.
        if !cfg!(target_os = "linux") {
            return None;
        }
        let log = self.0.store.log_path();
        let directory = log.parent().unwrap_or(Path::new(".")).to_owned();
        let report = move |event: notify::Result<Event>| match event {
            Ok(event) if !event.need_rescan() && !is_change(&event, &log) => {}
            // What was lost may have been a change.
            Ok(_) | Err(_) => changed(),
        };
        let watched = notify::recommended_watcher(report).and_then(|mut system| {
            system.watch(&directory, RecursiveMode::NonRecursive)?;
            Ok(StoreWatch { _system: system })
        });
        watched
            .inspect_err(|error| tracing::debug!(%error, "changes of the store are not reported"))
            .ok()
    }
}

/// Whether a file was written, not only opened.
fn is_change(event: &Event, file: &Path) -> bool {
    let is_write = matches!(event.kind, EventKind::Modify(_) | EventKind::Create(_));
    is_write && event.paths.iter().any(|path| path.file_name() == file.file_name())
}
