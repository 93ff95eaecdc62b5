//! One command: the process that runs it, what it prints, and its end.

use std::io::{self, BufReader, Read, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Stop;
use super::output::{Outputs, Stream};
use crate::command_host::{CommandEnded, CommandHost, CommandMessage, CommandRequest};
use crate::failure::Failure;

/// How long the process may take to end the command and to stage what it wrote, before it is killed.
const END_WAIT: Duration = Duration::from_secs(60);

/// How long what was printed is read when the process has ended. Only a process that has escaped from the
/// view still has the pipe then.
const READ_WAIT: Duration = Duration::from_secs(1);

/// A command that runs.
pub(super) struct Process {
    child: Child,
    connection: Connection,
    messages: mpsc::UnboundedReceiver<CommandMessage>,
    /// Gone when all is read.
    readers: [oneshot::Receiver<()>; 2],
}

/// The process ends the command when this is shut down.
struct Connection(UnixStream);

impl Drop for Connection {
    fn drop(&mut self) {
        // The thread that reads has it, too.
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

/// How it has ended.
pub(super) enum Outcome {
    Ended(CommandEnded),
    /// It was not started.
    Failed(String),
    /// The process was killed.
    Gone,
}

impl Process {
    /// Starts the process and asks it for the command. This blocks.
    pub(super) fn start(
        host: &CommandHost,
        request: &CommandRequest,
        outputs: &Outputs,
    ) -> Result<Self, Failure> {
        Self::spawn(host, request, outputs).map_err(|error| {
            Failure::new(format!("cannot start the process that runs commands: {error}"))
        })
    }

    fn spawn(host: &CommandHost, request: &CommandRequest, outputs: &Outputs) -> io::Result<Self> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let (connection, theirs) = UnixStream::pair()?;
        let answers = BufReader::new(connection.try_clone()?);
        let mut command = Command::new(&host.program);
        command.args(&host.arguments).stdin(Stdio::from(OwnedFd::from(theirs)));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // It holds the other end of the connection, too.
        drop(command);
        let (sender, messages) = mpsc::unbounded_channel();
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let readers = || -> io::Result<_> {
            thread::Builder::new().spawn(move || receive(answers, &sender))?;
            Ok([read(stdout, outputs, Stream::Output)?, read(stderr, outputs, Stream::Error)?])
        };
        let readers = match readers() {
            Ok(readers) => readers,
            // It has not been asked for anything yet.
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        // Where the process has ended, no message comes.
        let _ = (&connection).write_all(&line);
        let connection = Connection(connection);
        Ok(Self { child, connection, messages, readers })
    }

    /// Waits until the command has ended, and all that it printed is read. It is ended when its time is over,
    /// or when it is called off; the answer says then why.
    pub(super) async fn attend(
        mut self,
        timeout: Duration,
        called_off: impl Future<Output = Stop>,
    ) -> (Outcome, Option<Stop>) {
        let mut called_off = std::pin::pin!(called_off);
        let (mut stop, mut deadline) = (None, None);
        let outcome = loop {
            let due = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let stop_now = tokio::select! {
                message = self.messages.recv() => match message {
                    Some(CommandMessage::Started) => {
                        deadline = deadline.or(Some(Instant::now() + timeout));
                        continue;
                    }
                    Some(CommandMessage::Ended(ended)) => break Outcome::Ended(ended),
                    Some(CommandMessage::Failed { reason }) => break Outcome::Failed(reason),
                    None => break Outcome::Gone,
                },
                why = &mut called_off, if stop.is_none() => why,
                () = due => Stop::TimedOut,
            };
            deadline = match stop {
                None => {
                    stop = Some(stop_now);
                    let _ = self.connection.0.shutdown(Shutdown::Write);
                    Some(Instant::now() + END_WAIT)
                }
                Some(_) => {
                    let _ = self.child.kill();
                    None
                }
            };
        };
        self.end().await;
        (outcome, stop)
    }

    /// Reads the rest, and waits for the process.
    async fn end(self) {
        let Self { mut child, readers, .. } = self;
        let waited = tokio::task::spawn_blocking(move || child.wait()).await;
        if !matches!(waited, Ok(Ok(_))) {
            tracing::warn!("the process that ran a command is not waited for");
        }
        for reader in readers {
            let _ = tokio::time::timeout(READ_WAIT, reader).await;
        }
    }
}

/// Passes on what the process answers. A thread does it, as the others do, since an event loop can read
/// no pipe of another process without the part of tokio that nothing else here needs.
fn receive(answers: impl io::BufRead, sender: &mpsc::UnboundedSender<CommandMessage>) {
    for line in answers.lines().map_while(Result::ok) {
        let Ok(message) = serde_json::from_str(&line) else { return };
        if sender.send(message).is_err() {
            return;
        }
    }
}

/// Reads what comes through a pipe.
fn read(
    mut pipe: impl Read + Send + 'static,
    outputs: &Outputs,
    stream: Stream,
) -> io::Result<oneshot::Receiver<()>> {
    let outputs = outputs.clone();
    let (reading, gone) = oneshot::channel();
    thread::Builder::new().spawn(move || {
        let _reading: oneshot::Sender<()> = reading;
        let mut buffer = vec![0; 64 << 10];
        while let Ok(bytes @ 1..) = pipe.read(&mut buffer) {
            outputs.push(stream, &buffer[..bytes]);
        }
    })?;
    Ok(gone)
}
