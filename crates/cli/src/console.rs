//! Standard output, remarks and questions.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::env;
use std::io::{self, BufWriter, IsTerminal as _, Write};

use serde::Serialize;
use staging_core::{
    BinaryMode, DiffOptions, DiffStagingLayer, RecoverReport, StagingError, escape_for_display,
    escape_json_line, escape_line_for_display,
};

use crate::args::{ColorChoice, Global};
use crate::failure::Failure;
use crate::json::Object;
use crate::paging::Paging;
use crate::paint::{Painter, paint_stat};
use crate::recovery;
use crate::rows::Rows;
use crate::style::{Style, done_line};

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
    /// What the person reads it with.
    pub(crate) paging: Paging,
    /// Diffs go to a program that colours them itself.
    is_for_viewer: Cell<bool>,
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
        let wants_none =
            env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || is_dumb_terminal();
        let is_coloured = match options.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => !wants_none && (is_terminal || wants_colour_anyway()),
        };
        Self {
            json: options.json,
            is_quiet: options.quiet,
            is_verbose: options.verbose > 0,
            is_coloured,
            is_terminal,
            can_ask: is_terminal && io::stdin().is_terminal() && !options.json,
            paging: Paging::new(
                is_terminal && !options.json && !options.no_pager && !is_dumb_terminal(),
                say,
            ),
            is_for_viewer: Cell::new(false),
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

    /// The same with each line coloured for a person, by `paint`.
    pub(crate) fn coloured(&self, text: &str, paint: fn(&str) -> String) -> Result<(), Failure> {
        if !self.is_coloured {
            return self.text(text);
        }
        let text = escape_for_display(text);
        let lines: String = text
            .split_inclusive('\n')
            .map(|line| match line.strip_suffix('\n') {
                Some(line) => paint(line) + "\n",
                None => paint(line),
            })
            .collect();
        self.bytes(|out| out.write_all(lines.as_bytes()).map_err(output_failed))
    }

    /// A piece of text for a person: escaped, on one line, and coloured where colours are wanted.
    pub(crate) fn piece(&self, style: Style, text: &str) -> String {
        let text = escape_line_for_display(text);
        if self.is_coloured { style.paint(&text) } else { text.into_owned() }
    }

    /// The same without a colour.
    pub(crate) fn plain(&self, text: &str) -> String {
        escape_line_for_display(text).into_owned()
    }

    /// Whether text is coloured.
    pub(crate) fn has_colours(&self) -> bool {
        self.is_coloured
    }

    /// Whether a person reads standard output as text.
    pub(crate) fn has_reader(&self) -> bool {
        self.is_terminal && !self.json
    }

    /// Rings the bell of the terminal that a person looks at.
    pub(crate) fn ring(&self) {
        let bell = if self.is_terminal {
            io::stdout().lock().write_all(b"\x07").and_then(|()| io::stdout().flush())
        } else if io::stderr().is_terminal() {
            io::stderr().lock().write_all(b"\x07")
        } else {
            Ok(())
        };
        // Nobody hears it then.
        let _ = bell;
    }

    /// Prints lines that belong above the output: before it for a person, beside it into a pipe and for a
    /// viewer, which reads a diff and nothing else.
    pub(crate) fn above(&self, lines: &str) -> Result<(), Failure> {
        if self.is_terminal && !self.is_for_viewer.get() {
            return self.report(lines);
        }
        lines.lines().for_each(|line| self.remark(line));
        Ok(())
    }

    /// Says what a command did; nothing where remarks are not wanted.
    pub(crate) fn report(&self, text: &str) -> Result<(), Failure> {
        if self.is_quiet { Ok(()) } else { self.coloured(text, done_line) }
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
    ) -> Result<(), Failure> {
        let mut pager = self.paging.take();
        let written = match &mut pager {
            Some(pager) => buffered(pager, write),
            None => buffered(&mut io::stdout().lock(), write),
        };
        self.paging.put_back(pager);
        written
    }

    /// Writes a diff: painted for a person, as it is into a pipe.
    pub(crate) fn diff(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
    ) -> Result<(), Failure> {
        self.painted(self.is_coloured && !self.is_for_viewer.get(), write)
    }

    /// Has the diffs that are written from now on go to the program that the user wants to see them in,
    /// or else through the pager. What it reads has no colours, and nothing in it steers the terminal.
    pub(crate) fn page_diff(&self) {
        match self.paging.diff_command() {
            Some(command) => {
                self.paging.begin_with(command);
                self.is_for_viewer.set(true);
            }
            None => self.paging.begin(),
        }
    }

    /// Writes a diff that a question is about, which no pager takes away from the question; returns whether
    /// it is longer than the screen, of which `rows` are left for what comes behind it.
    pub(crate) fn diff_in_question(
        &self,
        rows: usize,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
    ) -> Result<bool, Failure> {
        let screen = screen();
        let mut out = Rows::new(io::stdout().lock(), screen.columns);
        buffered(&mut out, |out| {
            let mut painter = Painter::new(out, self.is_coloured);
            write(&mut painter)?;
            painter.flush().map_err(output_failed)
        })?;
        Ok(out.count() > screen.rows.saturating_sub(rows))
    }

    /// Shows a diff in the program that the user wants to see diffs in, or in the pager, and waits until
    /// the reader has left it.
    pub(crate) fn view_diff(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
    ) -> Result<(), Failure> {
        self.page_diff();
        let printed = self.diff(write);
        self.is_for_viewer.set(false);
        let has_left_early = printed.as_ref().is_err_and(|failure| failure.is_closed_pipe);
        if self.paging.finish() && has_left_early { Ok(()) } else { printed }
    }

    /// What was written through a pager, where a reader who has left it before its end goes on with
    /// what comes behind it.
    pub(crate) fn read(&self, printed: Result<(), Failure>) -> Result<(), Failure> {
        match printed {
            Err(failure) if failure.is_closed_pipe && self.paging.finish() => Ok(()),
            printed => printed,
        }
    }

    /// How a diff is written: for a person without what only programs read.
    pub(crate) fn diff_options(&self) -> DiffOptions {
        let binary = if self.is_terminal { BinaryMode::Sizes } else { BinaryMode::Patch };
        DiffOptions { binary, ..DiffOptions::default() }
    }

    /// How wide the output may be, as git has it: 80 columns where it is no terminal.
    pub(crate) fn columns(&self) -> usize {
        if self.is_terminal { screen().columns } else { COLUMNS }
    }

    /// Writes a diffstat: with its signs coloured for a person.
    pub(crate) fn stat(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
    ) -> Result<(), Failure> {
        let mut stat = Vec::new();
        write(&mut stat)?;
        if self.is_terminal || self.is_coloured {
            let lines = stat.split(|byte| *byte == b'\n');
            let lines: Vec<_> = lines.map(escape_line_for_display).collect();
            stat = lines.join("\n").into_bytes();
        }
        let stat = if self.is_coloured { paint_stat(&stat) } else { stat };
        self.bytes(|out| out.write_all(&stat).map_err(output_failed))
    }

    /// Writes a file's content: with nothing hidden on a terminal, as it is into a pipe.
    pub(crate) fn content(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
    ) -> Result<(), Failure> {
        self.painted(false, write)
    }

    /// Has what is written from now on go through the user's pager.
    pub(crate) fn page(&self) {
        self.paging.begin();
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
        self.paging.finish();
        match &self.notes {
            Some(notes) => notes.borrow_mut().push(text.to_owned()),
            None => say(text),
        }
    }

    /// Asks for a line; none where it is empty. What was typed before the question is no answer to it.
    pub(crate) fn ask_line(&self, question: &str) -> Result<Option<String>, Failure> {
        let failed = |source: io::Error| Failure::io("cannot ask", &source);
        discard_typed_ahead().map_err(failed)?;
        let mut err = io::stderr();
        write!(err, "{question}").and_then(|()| err.flush()).map_err(failed)?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(failed)?;
        Ok(Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty()))
    }

    /// Asks for a yes; anything else is a no. What was typed before the question is no answer
    /// to it.
    pub(crate) fn ask(&self, question: &str) -> Result<bool, Failure> {
        self.paging.finish();
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

fn buffered(
    out: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> Result<(), StagingError>,
) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
    let written = write(&mut out);
    let flushed = out.flush();
    written?;
    flushed.map_err(|source| Failure::output(&source))
}

/// Whether the user wants colours also where no terminal is, by <https://bixense.com/clicolors>.
fn wants_colour_anyway() -> bool {
    env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0")
}

fn is_dumb_terminal() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The columns of a terminal that does not say how many it has, and of what is none.
const COLUMNS: usize = 80;

/// The size of the terminal.
struct Screen {
    rows: usize,
    columns: usize,
}

fn screen() -> Screen {
    let (rows, columns) = terminal_size().unwrap_or((0, 0));
    let or = |size: usize, usual| if size == 0 { usual } else { size };
    let named = env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    Screen { rows: or(rows, 24), columns: or(named.unwrap_or(columns), COLUMNS) }
}

#[cfg(unix)]
fn terminal_size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some((size.ws_row.into(), size.ws_col.into()))
}

#[cfg(not(unix))]
fn terminal_size() -> Option<(usize, usize)> {
    None
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
pub(crate) fn discard_typed_ahead() -> io::Result<()> {
    use rustix::termios::{QueueSelector, tcflush};
    Ok(tcflush(io::stdin(), QueueSelector::IFlush)?)
}

/// The same of the console's input.
#[cfg(windows)]
pub(crate) fn discard_typed_ahead() -> io::Result<()> {
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
