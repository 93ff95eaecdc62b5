//! The engines that are measured side by side: from two contents to a unified diff.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use diff_engine::{DiffEngine, FileChange, FileHeader, Policy, RenderOptions, Side};
use imara_diff::{Algorithm as Imara, Diff, InternedInput};
use miette::{IntoDiagnostic as _, Result, miette};
use similar::{Algorithm as Similar, TextDiff};

use super::pairs::Pair;

/// A peer that has not answered after so long is not waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Engine {
    /// One of Greenroom's strategies, in this process.
    Ours(&'static str),
    /// `similar`'s Myers diff, in this process.
    SimilarMyers,
    /// imara-diff's histogram, in this process, without the text: it prints no bytes.
    ImaraHistogram,
    /// `git diff --no-index` with an algorithm, less its start-up.
    Git(&'static str),
    /// GNU `diff -u`, less its start-up.
    Gnu,
}

/// What one engine made of one pair.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Nothing where it took too long.
    pub time: Option<Duration>,
    /// Lines that come or go.
    pub changed: u64,
    /// Whether the work was cut short, and said to be.
    pub degraded: bool,
}

impl Engine {
    pub(super) const ALL: [Self; 10] = [
        Self::Ours("histogram"),
        Self::Ours("myers"),
        Self::Ours("patience"),
        Self::Ours("full-replace"),
        Self::SimilarMyers,
        Self::ImaraHistogram,
        Self::Git("histogram"),
        Self::Git("myers"),
        Self::Git("patience"),
        Self::Gnu,
    ];

    pub(super) fn name(self) -> String {
        match self {
            Self::Ours(strategy) => format!("greenroom {strategy}"),
            Self::SimilarMyers => "similar Myers".to_owned(),
            Self::ImaraHistogram => "imara histogram".to_owned(),
            Self::Git(algorithm) => format!("git {algorithm}"),
            Self::Gnu => "GNU diff".to_owned(),
        }
    }

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Ours(_))
    }

    pub(super) fn is_process(self) -> bool {
        matches!(self, Self::Git(_) | Self::Gnu)
    }
}

/// Runs engines; keeps the folder that processes work in.
pub(super) struct Runner {
    folder: PathBuf,
    git_start_up: Duration,
    gnu_start_up: Duration,
}

impl Runner {
    /// Measures how long processes take to start: over two contents of one line.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).into_diagnostic()?;
        let mut runner = Self {
            folder: folder.to_path_buf(),
            git_start_up: Duration::ZERO,
            gnu_start_up: Duration::ZERO,
        };
        runner.put(b"a\n", b"b\n")?;
        let least = |engine: Engine| -> Result<Duration> {
            let mut least = PATIENCE;
            for _ in 0..40 {
                least = least.min(runner.run_process(engine)?.unwrap_or(PATIENCE));
            }
            Ok(least)
        };
        let start_ups = (least(Engine::Git("histogram"))?, least(Engine::Gnu)?);
        (runner.git_start_up, runner.gnu_start_up) = start_ups;
        Ok(runner)
    }

    pub(super) fn start_ups(&self) -> (Duration, Duration) {
        (self.git_start_up, self.gnu_start_up)
    }

    /// The least of several runs over one pair: what disturbs a run only makes it longer.
    pub(super) fn measure(&self, engine: Engine, pair: &Pair) -> Result<Measured> {
        if engine.is_process() {
            return self.measure_process(engine, pair);
        }
        let mut best = Measured::default();
        let begun = Instant::now();
        for run in 0..RUNS {
            let measured = match engine {
                Engine::Ours(strategy) => ours(strategy, pair),
                Engine::SimilarMyers => similar_myers(pair),
                _ => imara_histogram(pair),
            };
            let faster = best.time.is_none_or(|best| measured.time.is_some_and(|time| time < best));
            if run == 0 || faster {
                best = measured;
            }
            if begun.elapsed() > LONG_ENOUGH {
                break;
            }
        }
        Ok(best)
    }

    fn measure_process(&self, engine: Engine, pair: &Pair) -> Result<Measured> {
        self.put(&pair.old, &pair.new)?;
        let mut best: Option<Duration> = None;
        let begun = Instant::now();
        for _ in 0..RUNS {
            let Some(time) = self.run_process(engine)? else { break };
            best = Some(best.map_or(time, |best| best.min(time)));
            if begun.elapsed() > LONG_ENOUGH {
                break;
            }
        }
        let start_up = if engine == Engine::Gnu { self.gnu_start_up } else { self.git_start_up };
        let changed = changed_lines(&fs::read(self.folder.join("out")).into_diagnostic()?);
        let time = best.map(|best| best.saturating_sub(start_up));
        Ok(Measured { time, changed, degraded: false })
    }

    fn put(&self, old: &[u8], new: &[u8]) -> Result<()> {
        fs::write(self.folder.join("old"), old).into_diagnostic()?;
        fs::write(self.folder.join("new"), new).into_diagnostic()
    }

    /// One run over what was put; nothing where it took too long.
    fn run_process(&self, engine: Engine) -> Result<Option<Duration>> {
        // Not to /dev/null, where GNU diff looks only whether the files differ.
        let out = File::create(self.folder.join("out")).into_diagnostic()?;
        let mut command = match engine {
            Engine::Git(algorithm) => {
                let mut git = Command::new("git");
                git.args(["diff", "--no-index", "--no-color", "--no-ext-diff", "--text"]);
                git.arg(format!("--diff-algorithm={algorithm}"));
                git
            }
            _ => {
                let mut diff = Command::new("diff");
                diff.args(["-u", "--text"]);
                diff
            }
        };
        command
            .args(["old", "new"])
            .current_dir(&self.folder)
            // It looks no further up than here: the attributes of the repository around the folder
            // are not part of the comparison.
            .env("GIT_CEILING_DIRECTORIES", self.folder.parent().unwrap_or(&self.folder))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null());
        let begun = Instant::now();
        let mut child = command.spawn().into_diagnostic()?;
        loop {
            if let Some(status) = child.try_wait().into_diagnostic()? {
                let spent = begun.elapsed();
                // 1 says that the files differ.
                return match status.code() {
                    Some(0 | 1) => Ok(Some(spent)),
                    _ => Err(miette!("{} ended with {status}", engine.name())),
                };
            }
            if begun.elapsed() > PATIENCE {
                child.kill().into_diagnostic()?;
                child.wait().into_diagnostic()?;
                return Ok(None);
            }
            // Short against what is measured, so that the end is seen when it comes.
            if begun.elapsed() > Duration::from_millis(50) {
                thread::sleep(Duration::from_millis(1));
            } else {
                thread::yield_now();
            }
        }
    }
}

/// How often a pair is measured at the most.
pub(super) const RUNS: usize = 9;
/// After so long a pair is not measured once more.
const LONG_ENOUGH: Duration = Duration::from_millis(500);

/// The engine with one of its strategies.
pub(super) fn engine_with(strategy: &str) -> DiffEngine {
    DiffEngine::bundled(Policy { strategy: strategy.to_owned(), ..Policy::default() })
}

fn ours(strategy: &str, pair: &Pair) -> Measured {
    let engine = engine_with(strategy);
    let mut out = Vec::new();
    let begun = Instant::now();
    let (old, new) = (Side::Text(&pair.old), Side::Text(&pair.new));
    let diff = engine.diff(old, new);
    let header = FileHeader::new(FileChange::Modify { path: b"file" });
    let options = RenderOptions::default();
    let rendered = engine.render(&header, &diff, old, new, &options, &mut out);
    let time = rendered.is_ok().then(|| begun.elapsed());
    Measured { time, changed: diff.added + diff.removed, degraded: diff.degraded }
}

fn similar_myers(pair: &Pair) -> Measured {
    let mut out = Vec::new();
    let begun = Instant::now();
    let diff = TextDiff::configure()
        .algorithm(Similar::Myers)
        // Where this is reached the answer is another than it would be; it counts as too long.
        .timeout(PATIENCE)
        .diff_lines(pair.old.as_slice(), pair.new.as_slice());
    let rendered = diff.unified_diff().header("a/file", "b/file").to_writer(&mut out);
    let spent = begun.elapsed();
    let time = (rendered.is_ok() && spent < PATIENCE).then_some(spent);
    Measured { time, changed: changed_lines(&out), degraded: false }
}

fn imara_histogram(pair: &Pair) -> Measured {
    let begun = Instant::now();
    let lines = |content| imara_diff::sources::byte_lines(content);
    let input = InternedInput::new(lines(&pair.old), lines(&pair.new));
    let mut diff = Diff::compute(Imara::Histogram, &input);
    diff.postprocess_lines(&input);
    let time = Some(begun.elapsed());
    let changed = u64::from(diff.count_additions()) + u64::from(diff.count_removals());
    Measured { time, changed, degraded: false }
}

/// How many lines a unified diff adds and removes, by the counts in its hunk headers.
fn changed_lines(patch: &[u8]) -> u64 {
    let mut changed = 0;
    let (mut old_left, mut new_left) = (0_u64, 0_u64);
    for line in patch.split(|byte| *byte == b'\n') {
        if old_left + new_left == 0 {
            if let Some((old, new)) = hunk_counts(line) {
                (old_left, new_left) = (old, new);
            }
            continue;
        }
        match line.first() {
            Some(b'-') => {
                old_left -= 1;
                changed += 1;
            }
            Some(b'+') => {
                new_left -= 1;
                changed += 1;
            }
            Some(b'\\') => {}
            _ => {
                old_left -= 1;
                new_left -= 1;
            }
        }
    }
    changed
}

fn hunk_counts(line: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(line.get(..80.min(line.len()))?).ok()?;
    let mut ranges = text.strip_prefix("@@ -")?.split(' ');
    let count = |range: &str| match range.split_once(',') {
        Some((_, count)) => count.parse().ok(),
        None => Some(1),
    };
    let old = count(ranges.next()?)?;
    let new = count(ranges.next()?.strip_prefix('+')?)?;
    Some((old, new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_are_counted_by_what_headers_say() {
        let patch = b"--- a\n+++ b\n@@ -1,2 +1,3 @@ f\n a\n--- b\n+++ c\n+d\n\\ No newline\n@@ -9 +9,0 @@\n-x\n";
        assert_eq!(changed_lines(patch), 4);
        assert_eq!(changed_lines(b""), 0);
    }
}
