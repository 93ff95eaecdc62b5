//! What reviewers read: what is pending, its diff, and the log.

use staging_core::{DiffOptions, PatchState, Selector, SetRisk};

use super::calls::{ApplyStatusView, AskApply, Diff, Events, EventsView, Show};
use super::protocol::body;
use super::selecting::selectors;
use super::server::{Answered, Server};
use crate::commands::diff::text_of;
use crate::commands::layers;
use crate::json::{self, PatchView, SelectionView, ShownView, StatusView, TextView};
use crate::trials::Trials;

/// How many entries of the log are answered at once, and how many without a limit.
const EVENTS_MAX: usize = 1000;
const EVENTS_USUAL: usize = 256;

impl Server {
    pub(super) async fn status(&self) -> Answered {
        self.import_all().await;
        let root = self.location.root.clone();
        self.reading(move |layer| {
            let (status, trials) = (layer.status()?, Trials::read(layer));
            let layers = layers::recorded(layer)?;
            Ok(body(&StatusView::new(&root, &status, &trials, &layers)))
        })
        .await
    }

    pub(super) async fn diff(&self, params: Diff) -> Answered {
        let Diff { session, ids, context_lines } = params;
        self.import_all().await;
        let ids = selectors(session, ids)?;
        self.reading(move |layer| {
            let selection = layer.select(&ids)?;
            let mut options = DiffOptions::default();
            options.context_lines = context_lines.unwrap_or(options.context_lines);
            let mut text = Vec::new();
            layer.write_diff(&selection.patches, &options, &mut text)?;
            Ok(body(&SelectionView {
                signature: selection.signature,
                risks: SetRisk::of(&selection.patches),
                patches: json::patches(&selection.patches),
                lapsed: json::patches(&selection.lapsed),
                diff: text.into(),
            }))
        })
        .await
    }

    pub(super) async fn show(&self, Show { patch: id }: Show) -> Answered {
        self.import_all().await;
        self.reading(move |layer| {
            if layer.patch(id)?.state == PatchState::Pending {
                // Looks at the file, so that a stale patch is not shown as pending.
                layer.select(&[Selector::Patch(id)])?;
            }
            let (patch, applies) = (layer.patch(id)?, layer.applies_of(id)?);
            let patches = std::slice::from_ref(&patch);
            let diff = match patch.content_kept {
                true => text_of(layer, patches)?,
                false => TextView::default(),
            };
            Ok(body(&ShownView {
                session: patch.session,
                patch: PatchView::from(&patch),
                remarks: &patch.diff.remarks,
                reason_text: patch.reason_text.as_deref(),
                comments: &patch.comments,
                created_at: patch.created_at,
                updated_at: patch.updated_at,
                apply: patch.apply,
                applies: &applies,
                diff,
            }))
        })
        .await
    }

    pub(super) async fn apply_status(&self, AskApply { request }: AskApply) -> Answered {
        self.reading(move |layer| {
            Ok(body(&ApplyStatusView { status: layer.apply_status(&request)? }))
        })
        .await
    }

    pub(super) async fn events(&self, Events { since, limit }: Events) -> Answered {
        let limit = limit.unwrap_or(EVENTS_USUAL).min(EVENTS_MAX);
        self.reading(move |layer| {
            Ok(body(&EventsView { events: layer.events_since(since, limit)? }))
        })
        .await
    }
}
