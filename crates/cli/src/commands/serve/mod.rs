//! `serve`: a program that runs agents, over JSON-RPC with one message a line.
//!
//! A thread reads lines and makes calls of them, the actors' thread answers, and a thread writes. What
//! was taken and not answered is limited, and so is what waits to be written: a client that does not
//! read is read no further. A short proposal is staged and answered by the thread that reads, as long as
//! nothing else is under way.

mod answers;
mod at_once;
mod by_name;
mod calls;
mod changes;
mod content;
mod deciding;
mod events;
mod input;
mod lanes;
mod output;
mod params;
mod proposing;
mod protocol;
mod reviewing;
mod room;
mod schema;
mod selecting;
mod server;
mod sessions;
#[cfg(unix)]
mod signals;
mod subscriptions;
mod taken;
mod views;

use std::rc::Rc;

use orchestrator_adapter::{Staging, actix};
use staging_core::StagingOptions;
use tokio::sync::mpsc;

use self::at_once::AtOnce;
use self::lanes::OpenSessions;
use self::output::Output;
use self::room::Room;
use self::server::Server;
use self::taken::Input;
use crate::failure::Failure;
use crate::location::Location;

pub(super) use schema::schema;

/// How many calls wait between the thread that reads and the one that answers.
const CALLS_MAX: usize = 64;

/// Serves one client on standard input and output until its input ends or the process is asked to
/// end. What was read by then is answered first. Its sessions stay open with what is pending in them.
pub(super) fn serve(location: Location, mut options: StagingOptions) -> Result<(), Failure> {
    // It serves sessions until it ends, so a session whose server is gone is orphaned.
    options.owns_sessions = true;
    actix::System::new().block_on(run(location, options))
}

async fn run(location: Location, options: StagingOptions) -> Result<(), Failure> {
    let staging = Staging::open(options).await?;
    let (sender, mut inputs) = mpsc::channel(CALLS_MAX);
    #[cfg(unix)]
    signals::end_at_terminate(sender.clone())
        .map_err(|source| Failure::io("cannot take signals", &source))?;
    let (output, written) = Output::start(sender.clone());
    let room = Room::default();
    let sessions = OpenSessions::default();
    let at_once = AtOnce::new(staging.layer().clone(), sessions.clone());
    input::start(sender, room.clone(), output.downgrade(), at_once);
    let server = Rc::new(Server::new(staging.clone(), location, output, sessions));
    while let Some(input) = inputs.recv().await {
        match input {
            Input::Call(call) => server.take(call),
            Input::End => break,
        }
    }
    // What was read before the signal came.
    inputs.close();
    while let Ok(input) = inputs.try_recv() {
        if let Input::Call(call) = input {
            server.take(call);
        }
    }
    room.emptied().await;
    server.end();
    drop(server);
    let outcome = written.await;
    staging.shutdown().await?;
    match outcome {
        Ok(Err(source)) => Err(Failure::output(&source)),
        _ => Ok(()),
    }
}
