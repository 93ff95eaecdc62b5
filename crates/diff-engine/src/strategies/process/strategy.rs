//! A strategy whose library a child serves.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::child::{Child, Fault};
use super::{ChildLimits, PluginHost, Threads};
use crate::intern::FilePair;
use crate::strategies::library::Library;
use crate::strategies::runner::{Answer, Failure};

/// Starts its child on first use, and keeps it.
pub(crate) struct InChild {
    library: Library,
    host: PluginHost,
    limits: ChildLimits,
    /// Calls run one after the other; the time of a call starts when it has the lock.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    /// How often another process ended the child.
    found_gone: u32,
    /// Set once it misbehaved, so that calls which waited meanwhile fail at once.
    broken: Option<Failure>,
}

/// A child that another process ends (a person, a system short of memory) is started again, at most
/// this often.
const FOUND_GONE_MAX: u32 = 3;

impl InChild {
    pub(crate) fn new(library: Library, host: PluginHost, limits: ChildLimits) -> Self {
        Self { library, host, limits, state: Mutex::default() }
    }

    /// Compares two files, within the time allowed for the start and the call together.
    pub(crate) fn run(
        &self,
        pair: &FilePair<'_>,
        time_allowed: Duration,
    ) -> Result<Answer, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = &state.broken {
            return Err(failure.clone());
        }
        let until = Instant::now() + time_allowed;
        let mut attempt = || loop {
            let mut child = match state.child.take() {
                Some(child) => child,
                None => self.start(until)?,
            };
            match child.diff(pair, time_allowed, until) {
                Ok(answer) => {
                    state.child = Some(child);
                    return Ok(answer);
                }
                Err(Fault::Gone) if state.found_gone < FOUND_GONE_MAX => state.found_gone += 1,
                Err(fault) => return Err(failure_of(fault)),
            }
        };
        let outcome = attempt();
        if let Err(failure) = &outcome {
            state.broken = Some(failure.clone());
        }
        outcome
    }

    /// Ends the child of a strategy that is not used any more.
    pub(crate) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).child = None;
    }

    fn start(&self, until: Instant) -> Result<Child, Failure> {
        let child = Child::start(&self.host, &self.library, self.limits, Threads::Refused, until)
            .map_err(failure_of)?;
        self.library.check_called(&child.name).map_err(Failure::not_loaded)?;
        Ok(child)
    }
}

fn failure_of(fault: Fault) -> Failure {
    match fault {
        Fault::NotStarted(why) => Failure::not_loaded(why),
        Fault::GaveUp(why) | Fault::Misbehaved(why) => Failure::misbehaved(why),
        Fault::Gone => Failure::misbehaved("its process was killed again and again".to_owned()),
    }
}
