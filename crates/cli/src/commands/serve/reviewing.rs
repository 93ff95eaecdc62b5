//! What reviewers read: what is pending, its diff, and the log.

use staging_core::{DiffOptions, Selector, SetRisk};

use super::params::{Applies, AskApply, Diff, Events, Show, ShowApply};
use super::protocol::body;
use super::selecting::selectors;
use super::server::{Answered, Server};
use super::views::{ApplyStatusView, EventsView};
use crate::commands::layers;
use crate::commands::show::{in_any_state, view};
use crate::commands::show_apply;
use crate::json::{self, AppliesView, SelectionView, StatusView};
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
            let patch = in_any_state(layer, &Selector::Patch(id))?;
            let (applies, earlier) = (layer.applies_of(id)?, layer.earlier_revisions(id)?);
            Ok(body(&view(layer, &patch, &applies, &earlier)?))
        })
        .await
    }

    pub(super) async fn apply_status(&self, AskApply { request }: AskApply) -> Answered {
        self.reading(move |layer| {
            Ok(body(&ApplyStatusView { status: layer.apply_status(&request)? }))
        })
        .await
    }

    pub(super) async fn applies(&self, Applies { limit }: Applies) -> Answered {
        self.reading(move |layer| {
            let applies = layer.applies(limit.unwrap_or(usize::MAX))?;
            Ok(body(&AppliesView { applies: &applies }))
        })
        .await
    }

    pub(super) async fn show_apply(&self, ShowApply { apply }: ShowApply) -> Answered {
        self.reading(move |layer| {
            let (record, applied) = layer.applied(apply)?;
            Ok(body(&show_apply::view(layer, &record, &applied)?))
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
