//! What the libraries trace, on standard error, when `-v` asks for it.

use std::io::{self, Write};

use staging_core::escape_for_display;
use tracing_subscriber::EnvFilter;

/// Warnings are remarks of the commands already; `-v` adds what is being done,
/// `-vv` everything.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // The protocol's library would log whole messages, and with them what files hold.
    let filter = EnvFilter::new(format!("{level},rmcp=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Escaped)
        .with_ansi(false)
        .init();
}

/// Standard error, with nothing hidden: names and messages of agents are traced as well.
struct Escaped;

impl Write for Escaped {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(escape_for_display(line).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
