//! Standard output, remarks and questions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::io::{self, BufWriter, IsTerminal as _, Write};

use serde::Serialize;
use staging_core::{
    DiffStagingLayer, RecoverReport, StagingError, escape_for_display, escape_json_line,
};

use crate::args::{ColorChoice, Global};
use crate::failure::Failure;
use crate::json::Object;
use crate::paint::Painter;
use crate::recovery;

const BUFFER_BYTES: usize = 64 * 1024;

/// Where a command's words go.
pub(crate) struct Console {
    pub(crate) json: bool,
    /// Whether to print only requested output, errors and questions.
    pub(crate) is_quiet: bool,
    /// Whether everything is to be named.
    pub(crate) is_verbose: bool,
    is_coloured: bool,
    /// A person reads standard output.
    is_terminal: bool,
    /// And can answer on standard input.
    pub(crate) can_ask: bool,
    /// The command's layer, which may recover something at any call.
    layer: RefCell<Option<DiffStagingLayer>>,
    /// What the layer has recovered, as reported so far.
    recovered: RefCell<RecoverReport>,
    /// The remarks and warnings of a process whose standard error belongs to a command.
    notes: Option<RefCell<Vec<String>>>,
}

impl Console {
    pub(crate) fn new(options: &Global) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let wants_none = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_coloured = match options.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => is_terminal && !wants_none,
        };
        Self {
            json: options.json,
            is_quiet: options.quiet,
            is_verbose: options.verbose > 0,
            is_coloured,
            is_terminal,
            can_ask: is_terminal && io::stdin().is_terminal() && !options.json,
            layer: RefCell::new(None),
            recovered: RefCell::default(),
            notes: None,
        }
    }

    /// One that keeps remarks and warnings for [`take_notes`](Self::take_notes).
    #[cfg(target_os = "linux")]
    pub(crate) fn taking_notes(options: &Global) -> Self {
        Self { notes: Some(RefCell::default()), ..Self::new(options) }
    }

    /// The remarks and warnings so far.
    #[cfg(target_os = "linux")]
    pub(crate) fn take_notes(&self) -> Vec<String> {
        self.notes.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Says what the command's layer has recovered, now and from now on, before what the command
    /// itself has to say.
    pub(crate) fn follow(&self, layer: &DiffStagingLayer) {
        self.layer.replace(Some(layer.clone()));
        self.report_recovered();
    }

    /// Says what is left to say of that, and lets go of the layer.
    pub(crate) fn unfollow(&self) {
        self.report_recovered();
        self.layer.replace(None);
    }

    fn report_recovered(&self) {
        let report = match &*self.layer.borrow() {
            Some(layer) => layer.take_recovered(),
            None => return,
        };
        self.report_recovery(report);
    }

    /// Says what was recovered on the way to what the command was asked for.
    pub(crate) fn report_recovery(&self, report: RecoverReport) {
        if !self.is_quiet || recovery::needs_a_person(&report) {
            for line in recovery::lines(&report, self.is_verbose) {
                self.warn(&line);
            }
        }
        self.recovered.borrow_mut().add(report);
    }

    /// Prints one JSON object, headed by the schema's version, with what was recovered on the way.
    pub(crate) fn object(&self, fields: impl Serialize) -> Result<(), Failure> {
        self.report_recovered();
        self.raw_object(&Object::new(fields).with_recovery(&self.recovered.borrow()))
    }

    /// Prints one JSON object with a list, each element as it comes: a long list is held by nobody.
    ///
    /// # Errors
    /// Where an element cannot be had, the object stays cut off.
    pub(crate) fn list<T: Serialize>(
        &self,
        name: &'static str,
        next: &mut dyn FnMut() -> Result<Option<T>, StagingError>,
    ) -> Result<(), Failure> {
        self.report_recovered();
        let empty = HashMap::from([(name, [(); 0])]);
        let object = json_line(&Object::new(empty).with_recovery(&self.recovered.borrow()));
        // The list is the first field behind the version.
        let (before, behind) = object.split_once(']').expect("it has a list");
        self.bytes(|out| {
            let mut separator = "";
            out.write_all(before.as_bytes()).map_err(output_failed)?;
            while let Some(element) = next()? {
                write!(out, "{separator}{}", json_line(&element)).map_err(output_failed)?;
                separator = ",";
            }
            writeln!(out, "]{behind}").map_err(output_failed)
        })
    }

    /// Prints one JSON object that names its schema itself, on one line.
    pub(crate) fn raw_object(&self, object: &impl Serialize) -> Result<(), Failure> {
        let mut text = json_line(object);
        text.push('\n');
        self.bytes(|out| out.write_all(text.as_bytes()).map_err(output_failed))
    }

    /// Prints lines for people, who may read them through a pager.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        let text = escape_for_display(text);
        self.bytes(|out| out.write_all(text.as_bytes()).map_err(output_failed))
    }

    /// Says what a command did; nothing where remarks are not wanted.
    pub(crate) fn report(&self, text: &str) -> Result<(), Failure> {
        if self.is_quiet { Ok(()) } else { self.text(text) }
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
    ) -> Result<(), Failure> {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        let written = write(&mut out);
        let flushed = out.flush();
        written?;
        flushed.map_err(|source| Failure::output(&source))
    }

    /// Writes a diff: painted for a person, as it is into a pipe.
    pub(crate) fn diff(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
    ) -> Result<(), Failure> {
        self.painted(self.is_coloured, write)
    }

    /// Writes a file's content: with nothing hidden on a terminal, as it is into a pipe.
    pub(crate) fn content(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
    ) -> Result<(), Failure> {
        self.painted(false, write)
    }

    fn painted(
        &self,
        is_coloured: bool,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
    ) -> Result<(), Failure> {
        if !self.is_terminal && !is_coloured {
            return self.bytes(write);
        }
        self.bytes(|out| {
            let mut painter = Painter::new(out, is_coloured);
            write(&mut painter)?;
            painter.flush().map_err(output_failed)
        })
    }

    /// Says something beside the output, on standard error.
    pub(crate) fn remark(&self, text: &str) {
        if !self.is_quiet {
            self.warn(text);
        }
    }

    /// Says something that nobody should miss.
    pub(crate) fn warn(&self, text: &str) {
        match &self.notes {
            Some(notes) => notes.borrow_mut().push(text.to_owned()),
            None => say(text),
        }
    }

    /// Asks for a yes; anything else is a no. What was typed before the question is no answer
    /// to it.
    pub(crate) fn ask(&self, question: &str) -> Result<bool, Failure> {
        let failed = |source: io::Error| Failure::io("cannot ask", &source);
        discard_typed_ahead().map_err(failed)?;
        let mut err = io::stderr();
        let question = escape_for_display(question);
        write!(err, "{question} [y/N] ").and_then(|()| err.flush()).map_err(failed)?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(failed)?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// Writes a line to standard error.
pub(crate) fn say(text: &str) {
    // There is nowhere left to say that standard error is gone.
    let _ = writeln!(io::stderr(), "{}", escape_for_display(text));
}

/// An object as one line of JSON, which no reader splits.
pub(crate) fn json_line(object: &impl Serialize) -> String {
    escape_json_line(serde_json::to_string(object).expect("the shapes have string keys only"))
}

/// Discards what the terminal holds and nobody has read.
#[cfg(unix)]
fn discard_typed_ahead() -> io::Result<()> {
    use rustix::termios::{QueueSelector, tcflush};
    Ok(tcflush(io::stdin(), QueueSelector::IFlush)?)
}

/// The same of the console's input.
#[cfg(windows)]
fn discard_typed_ahead() -> io::Result<()> {
    use std::os::windows::io::AsRawHandle as _;
    let console = io::stdin().as_raw_handle();
    // SAFETY: the handle is standard input's, which lives as long as the process.
    match unsafe { windows_sys::Win32::System::Console::FlushConsoleInputBuffer(console) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn output_failed(source: io::Error) -> StagingError {
    StagingError::Output { source }
}
