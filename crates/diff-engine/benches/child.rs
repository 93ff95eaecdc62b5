//! What a plugin's own process costs beside the same library in this one.
//!
//! `cargo bench -p greenroom-diff-engine --bench child`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use diff_engine::{
    ChildLimits, DiffEngine, Library, PluginHost, Policy, Registry, Side, Trust, digest_of,
    serve_plugin,
};

fn main() -> ExitCode {
    if PluginHost::is_asked_for(std::env::args_os()) {
        return serve_plugin();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let program = std::env::current_exe()?;
    let name = format!(
        "{}strategy_histogram{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let path = program.parent().ok_or("a program is in a folder")?.join(name);
    let digest = digest_of(&path, &Trust::in_digest(blake3::hash(b"")))?;
    let library = || Library {
        name: "histogram".to_owned(),
        path: path.clone(),
        trust: Trust::in_digest(digest),
    };
    let engine = |registry| {
        let policy = Policy { deadline: Duration::from_secs(60), ..Policy::default() };
        DiffEngine::new(policy, registry)
    };
    let linked = engine(Registry::bundled());
    let mut registry = Registry::empty();
    registry.add_in_process(library())?;
    let in_process = engine(registry);
    let host = PluginHost::new(program);
    let in_child = || -> Result<DiffEngine, Box<dyn std::error::Error>> {
        let mut registry = Registry::empty();
        registry.add_in_child(library(), &host, ChildLimits::default())?;
        Ok(engine(registry))
    };

    let starts: Vec<Duration> = (0..50)
        .map(|_| {
            let engine = in_child()?;
            Ok(time(&engine, b"a\nb\n", b"a\nc\n"))
        })
        .collect::<Result<_, Box<dyn std::error::Error>>>()?;
    let (p50, p99) = percentiles(starts);
    println!("start of a child, its first file included: p50 {p50:?}, p99 {p99:?}\n");

    println!(
        "| file | lines | linked in, p50 | library in this process, p50 (p99) | library in a child, p50 (p99) | the child beside linked in |"
    );
    println!("|---|---|---|---|---|---|");
    let in_child = in_child()?;
    for (what, lines, line_bytes, calls) in [
        ("10 KB", 300_u32, 33_usize, 2000),
        ("1 MB", 30_000, 34, 300),
        ("1 MB of short lines", 500_000, 2, 50),
    ] {
        let (old, new) = (content(lines, line_bytes, 0), content(lines, line_bytes, 97));
        let measure = |engine: &DiffEngine| {
            time(engine, &old, &new);
            percentiles((0..calls).map(|_| time(engine, &old, &new)).collect())
        };
        let (alone, _) = measure(&linked);
        let (here, here_p99) = measure(&in_process);
        let (there, there_p99) = measure(&in_child);
        println!(
            "| {what} | {lines} | {alone:.1?} | {here:.1?} ({here_p99:.1?}) | \
             {there:.1?} ({there_p99:.1?}) | {:.1?} |",
            there.saturating_sub(alone)
        );
    }
    Ok(())
}

/// Lines of about this length; every 97th differs where `changed` is not 0.
fn content(lines: u32, line_bytes: usize, changed: u32) -> Vec<u8> {
    let mut content = Vec::with_capacity(lines as usize * line_bytes);
    for line in 0..lines {
        let is_changed = changed > 0 && line % changed == 0;
        let text = format!("{}{line:x}", if is_changed { "x" } else { "" });
        let text = &text.as_bytes()[..text.len().min(line_bytes.max(2) - 1)];
        content.extend_from_slice(text);
        content.extend(std::iter::repeat_n(b' ', (line_bytes - 1).saturating_sub(text.len())));
        content.push(b'\n');
    }
    content
}

fn time(engine: &DiffEngine, old: &[u8], new: &[u8]) -> Duration {
    let begun = Instant::now();
    let diff = engine.diff(Side::Text(old), Side::Text(new));
    let took = begun.elapsed();
    assert_eq!(diff.strategy, "histogram", "{:?}", diff.remarks);
    took
}

fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
