//! An editor that saves a file again and again while sets that change it are applied.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic as _, Result, miette};

use super::ground::Ground;
use super::trial::Place;

/// How long a save may be out of sight while an exchange is taken back.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
enum Way {
    InPlace,
    ByRename,
    UnlinkAndCreate,
}

/// Saves in each way for so long, and looks for every save right after it.
pub(super) fn run(greenroom: &Path, ground: &Ground, each: Duration) -> Result<()> {
    for way in [Way::InPlace, Way::ByRename, Way::UnlinkAndCreate] {
        let place = Place::new(greenroom, ground)?;
        super::tree::clear(&place.tree).into_diagnostic()?;
        super::tree::clear(&place.state).into_diagnostic()?;
        let stop = AtomicBool::new(false);
        let (saves, applies) = std::thread::scope(|scope| {
            let agent = scope.spawn(|| apply_until(&place, &stop));
            let saves = save_for(&place, way, each);
            stop.store(true, Ordering::SeqCst);
            let applies = agent.join().map_err(|_| miette!("the agent panicked"))?;
            Ok::<_, miette::Report>((saves?, applies?))
        })?;
        let Applies { committed, refused, discarded } = applies;
        if saves == 0 || committed == 0 || refused == 0 {
            return Err(miette!(
                "{}, {way:?}: nothing met: {saves} saves, {committed} sets applied, {refused} refused",
                ground.name
            ));
        }
        println!(
            "{}, {way:?}: {saves} saves, none lost; {committed} sets applied, {refused} refused, \
             {discarded} withdrawn by the agent",
            ground.name
        );
    }
    Ok(())
}

fn marker(save: usize) -> String {
    format!("the user's save {save};\n")
}

fn save_for(place: &Place<'_>, way: Way, each: Duration) -> Result<usize> {
    let (begun, file) = (Instant::now(), place.tree.join("shared"));
    let mut saves = 0;
    while begun.elapsed() < each {
        saves += 1;
        let text = marker(saves);
        save(&file, way, text.as_bytes()).into_diagnostic()?;
        find(place, &file, &text)?;
        // Not in step with the agent, and not the same for two saves.
        std::thread::sleep(Duration::from_micros((saves as u64 * 7919) % 12_000));
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
fn find(place: &Place<'_>, file: &Path, text: &str) -> Result<()> {
    let holds =
        |content: &[u8]| content.windows(text.len()).any(|window| window == text.as_bytes());
    let begun = Instant::now();
    loop {
        if fs::read(file).is_ok_and(|content| holds(&content)) {
            return Ok(());
        }
        if place.kept()?.iter().any(|content| holds(content)) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
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

/// An agent that adds a line to what it has read, and another file beside it. It takes
/// its proposal back when the diff says that a line of the user's would go, as a reviewer
/// would.
fn apply_until(place: &Place<'_>, stop: &AtomicBool) -> Result<Applies> {
    let mut applies = Applies::default();
    let file = place.tree.join("shared");
    let mut turn = 0;
    while !stop.load(Ordering::SeqCst) {
        turn += 1;
        let Ok(mut content) = fs::read(&file) else { continue };
        content.extend(format!("the agent's line {turn}\n").bytes());
        place.propose("shared", &content)?;
        place.propose("beside", format!("beside {turn}\n").as_bytes())?;
        let diff = place.greenroom(&["diff"])?;
        let removes = String::from_utf8_lossy(&diff.stdout)
            .lines()
            .any(|line| line.starts_with("-the user's"));
        if removes || !diff.status.success() {
            place.greenroom(&["discard", "--yes"])?;
            applies.discarded += 1;
            continue;
        }
        match place.greenroom(&["apply", "--yes"])?.status.code() {
            Some(0) => applies.committed += 1,
            Some(1 | 3) => {
                applies.refused += 1;
                place.greenroom(&["discard", "--yes"])?;
            }
            code => return Err(miette!("apply ended with {code:?}")),
        }
    }
    Ok(applies)
}
