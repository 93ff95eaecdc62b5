//! What the libraries trace, on standard error, when `-v` asks for it.

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
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
