//! Proposals through the actors: as fast as they are answered, and at a pace.

use std::time::{Duration, Instant};

use actix::System;
use actix::prelude::*;
use miette::{IntoDiagnostic as _, Result};
use orchestrator_adapter::{EventDelivery, OpenedSession, SafeWrite, Staging, StagingOptions};

use super::world::{World, content, path};

/// Every second proposal is the first one on its file, the other replaces it.
pub(super) const FILES: usize = 6_000;
const REVISIONS: usize = 2;

/// Who proposes, and how.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) sessions: usize,
    pub(super) drive: Drive,
    /// Whether somebody subscribes to the events, whose diffs are then written.
    pub(super) subscribed: bool,
    /// Whether each proposal survives a power cut before it is answered.
    pub(super) durable: bool,
}

/// When the next proposal is sent.
#[derive(Clone, Copy)]
pub(super) enum Drive {
    /// So many of each session wait for their answer; one that is answered makes room.
    InFlight(usize),
    /// So many a second of all sessions, whether the ones before are answered or not.
    /// How long one took is counted from when it was due.
    Pace(u32),
}

/// What is measured.
pub(super) const SHAPES: [Shape; 8] = [
    Shape::in_flight(1, 1),
    Shape::in_flight(1, 16),
    Shape::in_flight(8, 1),
    Shape::in_flight(8, 16),
    Shape::in_flight(64, 1),
    Shape { subscribed: true, ..Shape::in_flight(8, 1) },
    Shape { durable: true, ..Shape::in_flight(8, 1) },
    Shape { drive: Drive::Pace(5_000), ..Shape::in_flight(8, 1) },
];

impl Shape {
    const fn in_flight(sessions: usize, in_flight: usize) -> Self {
        let drive = Drive::InFlight(in_flight);
        Self { sessions, drive, subscribed: false, durable: false }
    }

    /// The shape in words.
    pub(super) fn name(&self) -> String {
        let drive = match self.drive {
            Drive::InFlight(count) => format!("{count:02} in flight each"),
            Drive::Pace(rate) => format!("{rate} a second are sent"),
        };
        let subscribed = if self.subscribed { ", a subscriber" } else { "" };
        let durable = if self.durable { ", durable" } else { "" };
        format!("{:02} sessions, {drive}{subscribed}{durable}", self.sessions)
    }
}

/// What came out.
pub(super) struct Measured {
    /// Answers a second, from the first send to the last answer.
    pub(super) rate: f64,
    /// From being sent (or due) to being answered, in order of length.
    latencies: Vec<Duration>,
}

impl Measured {
    pub(super) fn at(&self, share: f64) -> Duration {
        self.latencies[((self.latencies.len() - 1) as f64 * share) as usize]
    }
}

/// Proposes everything once in this shape.
pub(super) fn measure(world: &World, shape: &Shape) -> Result<Measured> {
    let state = tempfile::tempdir_in(world.folder()).into_diagnostic()?;
    let mut options = StagingOptions::new(world.root(), state.path().join("state"));
    options.durable_proposals = shape.durable;
    System::new().block_on(async {
        let staging = Staging::open(options).await.into_diagnostic()?;
        let mut agents = Vec::new();
        for session in 0..shape.sessions {
            let opened = staging.open_session(&format!("agent-{session}")).await;
            agents.push(opened.into_diagnostic()?);
        }
        if shape.subscribed {
            staging.subscribe(Listener.start().recipient()).await.into_diagnostic()?;
        }
        let begun = Instant::now();
        let mut latencies = match shape.drive {
            Drive::InFlight(count) => closed_loop(agents, count).await?,
            Drive::Pace(rate) => open_loop(agents, rate).await?,
        };
        let rate = latencies.len() as f64 / begun.elapsed().as_secs_f64();
        staging.shutdown().await.into_diagnostic()?;
        latencies.sort();
        Ok(Measured { rate, latencies })
    })
}

struct Listener;

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<EventDelivery> for Listener {
    type Result = ();

    fn handle(&mut self, _: EventDelivery, _: &mut Self::Context) {}
}

async fn closed_loop(agents: Vec<OpenedSession>, in_flight: usize) -> Result<Vec<Duration>> {
    let lanes = agents.len() * in_flight;
    let working: Vec<_> = agents
        .into_iter()
        .flat_map(|agent| (0..in_flight).map(move |_| agent.clone()))
        .enumerate()
        .map(|(lane, agent)| {
            actix::spawn(async move {
                let mut latencies = Vec::new();
                for index in (lane..FILES).step_by(lanes) {
                    for revision in 1..=REVISIONS {
                        latencies.push(propose(&agent, index, revision, None).await?);
                    }
                }
                Ok::<_, miette::Report>(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for lane in working {
        latencies.extend(lane.await.into_diagnostic()??);
    }
    Ok(latencies)
}

async fn open_loop(agents: Vec<OpenedSession>, rate: u32) -> Result<Vec<Duration>> {
    let begun = Instant::now();
    let mut answers = Vec::with_capacity(FILES * REVISIONS);
    for number in 0..FILES * REVISIONS {
        let due = begun + Duration::from_secs(1) * number as u32 / rate;
        // A timer takes a millisecond however short its time is.
        let early = due.saturating_duration_since(Instant::now());
        if early.is_zero() {
            tokio::task::yield_now().await;
        } else {
            actix::clock::sleep(early).await;
        }
        let (index, revision) = (number / REVISIONS, number % REVISIONS + 1);
        let agent = agents[index % agents.len()].clone();
        answers
            .push(actix::spawn(async move { propose(&agent, index, revision, Some(due)).await }));
    }
    let mut latencies = Vec::with_capacity(answers.len());
    for answer in answers {
        latencies.push(answer.await.into_diagnostic()??);
    }
    Ok(latencies)
}

async fn propose(
    agent: &OpenedSession,
    index: usize,
    revision: usize,
    due: Option<Instant>,
) -> Result<Duration> {
    let message = SafeWrite { path: path(index)?, content: content(index, revision), mode: None };
    let sent = due.unwrap_or_else(Instant::now);
    agent.actor.send(message).await.into_diagnostic()?.into_diagnostic()?;
    Ok(sent.elapsed())
}
