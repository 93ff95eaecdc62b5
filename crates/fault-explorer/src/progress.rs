//! Shows how far a search has come.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How far a search has come: a bar on a terminal, a line every ten seconds in a pipe.
pub(crate) struct Progress {
    name: &'static str,
    total: usize,
    state: Mutex<State>,
}

struct State {
    done: usize,
    recoveries: u64,
    begun: Instant,
    shown: Instant,
}

impl Progress {
    pub(crate) fn new(name: &'static str, total: usize) -> Self {
        let (begun, shown) = (Instant::now(), Instant::now());
        Self { name, total, state: Mutex::new(State { done: 0, recoveries: 0, begun, shown }) }
    }

    pub(crate) fn step(&self, recoveries: u64) {
        let mut state = self.state.lock().expect("showing a line does not panic");
        state.done += 1;
        state.recoveries += recoveries;
        let terminal = std::io::stdout().is_terminal();
        let pause = if terminal { Duration::from_millis(100) } else { Duration::from_secs(10) };
        if state.shown.elapsed() < pause {
            return;
        }
        state.shown = Instant::now();
        let State { done, recoveries, begun, .. } = *state;
        let (name, total, seconds) = (self.name, self.total, begun.elapsed().as_secs());
        if terminal {
            let filled = done * 30 / total.max(1);
            let bar = format!("{}{}", "#".repeat(filled), ".".repeat(30 - filled));
            print!("\r{name} [{bar}] {done}/{total}, {recoveries} recoveries, {seconds} s ");
            let _ = std::io::stdout().flush();
        } else {
            println!("{name}: {done} of {total} jobs, {recoveries} recoveries, {seconds} s");
        }
    }

    pub(crate) fn end(&self) {
        if std::io::stdout().is_terminal() {
            print!("\r{:100}\r", "");
        }
        let state = self.state.lock().expect("showing a line does not panic");
        let (seconds, jobs) = (state.begun.elapsed().as_secs_f64(), state.done);
        println!("{}: {jobs} jobs, {} recoveries, {seconds:.1} s", self.name, state.recoveries);
    }
}
