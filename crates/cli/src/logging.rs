//! What the libraries trace, on standard error, when `-v` asks for it.

use tracing_subscriber::filter::LevelFilter;

/// Warnings are remarks of the commands already; `-v` adds what is being done,
/// `-vv` everything.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
