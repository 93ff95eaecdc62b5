//! An editor that saves a file again and again while sets that change it are applied.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic as _, Result, miette};

use crate::tree;
use crate::trial::Fixture;
use crate::volume::Volume;

/// How long a save may be missing while an exchange is taken back.
const MISSING_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
enum Way {
    InPlace,
    ByRename,
    UnlinkAndCreate,
}

/// Saves in each way for so long, and looks for every save right after it.
pub(super) fn run(greenroom: &Path, volume: &Volume, each: Duration) -> Result<()> {
    for way in [Way::InPlace, Way::ByRename, Way::UnlinkAndCreate] {
        let fixture = Fixture::new(greenroom, volume)?;
        tree::clear(&fixture.tree).into_diagnostic()?;
        tree::clear(&fixture.state).into_diagnostic()?;
        let stop = AtomicBool::new(false);
        let (saves, applies) = std::thread::scope(|scope| {
            let agent = scope.spawn(|| apply_until(&fixture, &stop));
            let saves = save_for(&fixture, way, each);
            stop.store(true, Ordering::SeqCst);
            let applies = agent.join().map_err(|_| miette!("the agent panicked"))?;
            Ok::<_, miette::Report>((saves?, applies?))
        })?;
        let Applies { committed, refused, discarded } = applies;
        if saves == 0 || committed == 0 || refused == 0 {
            return Err(miette!(
                "{}, {way:?}: edits and applies did not meet: {saves} saves, {committed} sets applied, {refused} refused",
                volume.name
            ));
        }
        println!(
            "{}, {way:?}: {saves} saves, none lost; {committed} sets applied, {refused} refused, \
             {discarded} withdrawn by the agent",
            volume.name
        );
    }
    Ok(())
}

fn marker(save: usize) -> String {
    format!("the user's save {save};\n")
}

fn save_for(fixture: &Fixture<'_>, way: Way, each: Duration) -> Result<usize> {
    let (begun, file) = (Instant::now(), fixture.tree.join("shared"));
    let mut saves = 0;
    while begun.elapsed() < each {
        saves += 1;
        let text = marker(saves);
        save(&file, way, text.as_bytes()).into_diagnostic()?;
        find(fixture, &file, &text)?;
        // Not in step with the agent: now and then long enough for a set to come through.
        let scattered = saves as u64 * 7919;
        let pause_us = if saves % 4 == 0 { scattered % 400_000 } else { scattered % 12_000 };
        std::thread::sleep(Duration::from_micros(pause_us));
    }
    Ok(saves)
}

fn save(file: &Path, way: Way, content: &[u8]) -> std::io::Result<()> {
    match way {
        Way::InPlace => {
            let mut open = OpenOptions::new();
            open.write(true).create(true).truncate(true).open(file)?.write_all(content)
        }
        Way::ByRename => {
            let beside = file.with_extension("swp");
            fs::write(&beside, content)?;
            fs::rename(&beside, file)
        }
        Way::UnlinkAndCreate => {
            match fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::write(file, content)
        }
    }
}

/// The save is in the file, which the agent only adds to, or in `conflicts/`.
fn find(fixture: &Fixture<'_>, file: &Path, text: &str) -> Result<()> {
    let holds =
        |content: &[u8]| content.windows(text.len()).any(|window| window == text.as_bytes());
    let begun = Instant::now();
    loop {
        if fs::read(file).is_ok_and(|content| holds(&content)) {
            return Ok(());
        }
        if fixture.kept()?.iter().any(|content| holds(content)) {
            return Ok(());
        }
        if begun.elapsed() > MISSING_MAX {
            let now = fs::read_to_string(file);
            return Err(miette!("`{}` is lost; the file holds {now:?}", text.trim_end()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What became of the agent's sets.
#[derive(Default)]
struct Applies {
    committed: usize,
    refused: usize,
    discarded: usize,
}

/// Long enough that writing it takes as long as a save: the editor's saves then come
/// between the last look at a file and its swap, too.
const BESIDE_BYTES: usize = 900_000;

/// An agent that adds a line to what it has read, and changes another file beside it. It
/// takes its proposal back when it would remove a line of the user's, as a reviewer
/// would.
fn apply_until(fixture: &Fixture<'_>, stop: &AtomicBool) -> Result<Applies> {
    let mut applies = Applies::default();
    let file = fixture.tree.join("shared");
    let mut turn = 0;
    while !stop.load(Ordering::SeqCst) {
        turn += 1;
        let mut beside = format!("beside {turn}\n").into_bytes();
        beside.resize(BESIDE_BYTES, b'.');
        fixture.propose("beside", &beside)?;
        let Ok(mut content) = fs::read(&file) else { continue };
        content.extend(format!("the agent's line {turn}\n").bytes());
        let proposed = fixture.propose("shared", &content)?;
        if proposed["patches"][0]["diff"]["removed"] != 0 {
            fixture.greenroom(&["discard", "--yes"])?;
            applies.discarded += 1;
            continue;
        }
        let output = fixture.greenroom(&["--json", "apply", "--yes"])?;
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).into_diagnostic()?;
        match (output.status.code(), answer["patches"].as_array().map(Vec::len)) {
            (Some(0), Some(2)) => applies.committed += 1,
            (Some(1 | 3), _) => {
                applies.refused += 1;
                fixture.greenroom(&["discard", "--yes"])?;
            }
            (code, _) => return Err(miette!("apply ended with {code:?}: {answer}")),
        }
    }
    Ok(applies)
}
