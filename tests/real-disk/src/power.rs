//! Power cuts during `run`, its import and an apply, on a disk whose every write was recorded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use crate::recorded_disk::{RecordedDisk, Recording, Unflushed};
use crate::tree::{self, Tree};
use crate::trial::Fixture;
use crate::volume::{self, Volume};

/// What the commands do, and what the diff shows of it.
const FIRST: (&str, &[&str]) = (
    "printf 'created\\n' > created && printf 'more\\n' >> modify && rm delete",
    &["+created", "+more", "-before: delete"],
);
const SECOND: (&str, &[&str]) = (
    "mkdir made && printf 'inner\\n' > made/inner && chmod 755 mode",
    &["+inner", "new mode 100755"],
);

/// Where in the recording each command had answered.
struct Milestones {
    first: usize,
    second: usize,
    apply_begun: usize,
    applied: usize,
}

/// Cuts power after every n-th point of a recorded day: two commands, an apply, one more command.
pub(super) fn run(
    greenroom: &Path,
    scratch: &Path,
    kind: &'static str,
    every: usize,
) -> Result<()> {
    let scratch = tempfile::tempdir_in(scratch).into_diagnostic()?;
    let [device, folder] = ["device", "mounted"].map(|name| scratch.path().join(name));
    for dir in [&device, &folder] {
        fs::create_dir_all(dir).into_diagnostic()?;
    }
    let image = scratch.path().join("image");
    if let Err(reason) = volume::make_image(kind, &image) {
        println!("{kind}: power cuts skipped, {reason}");
        return Ok(());
    }
    let content = fs::read(&image).into_diagnostic()?;
    let disk = match RecordedDisk::mount(content, &device) {
        Ok(disk) => disk,
        Err(reason) => {
            println!("{kind}: power cuts skipped, there is no FUSE: {reason}");
            return Ok(());
        }
    };
    let day = Day::record(greenroom, kind, &disk, &folder)?;
    drop(disk);
    day.cut(&image, every)
}

struct Day<'a> {
    greenroom: &'a Path,
    kind: &'static str,
    folder: PathBuf,
    recording: Recording,
    at: Milestones,
    stamps: BTreeMap<PathBuf, [i64; 5]>,
    old: Tree,
    new: Tree,
}

impl<'a> Day<'a> {
    fn record(
        greenroom: &'a Path,
        kind: &'static str,
        disk: &RecordedDisk,
        folder: &Path,
    ) -> Result<Self> {
        let volume = mounted(kind, &disk.file, folder)?;
        let fixture = Fixture::new(greenroom, &volume)?;
        for name in ["modify", "delete", "mode", "kept"] {
            let content = format!("before: {name}\n");
            fs::write(fixture.tree.join(name), content).into_diagnostic()?;
        }
        must_run(Command::new("sync"))?;
        let (stamps, old) = read(&fixture)?;
        let mut recording = disk.record();
        let run = |script| fixture.must(&["run", "--session=trial", "--", "sh", "-c", script]);
        run(FIRST.0)?;
        let first = disk.recorded();
        run(SECOND.0)?;
        let second = disk.recorded();
        fixture.must(&["diff"])?;
        let apply_begun = disk.recorded();
        fixture.must(&["apply", "--yes"])?;
        let applied = disk.recorded();
        run("printf 'later\\n' > later")?;
        let (_, new) = read(&fixture)?;
        drop(volume);
        disk.end(&mut recording);
        let at = Milestones { first, second, apply_begun, applied };
        Ok(Self { greenroom, kind, folder: folder.to_owned(), recording, at, stamps, old, new })
    }

    fn cut(&self, image: &Path, every: usize) -> Result<()> {
        let (mut cuts, mut rolled_back, mut whole) = (0, 0, 0);
        for (nth, point) in self.recording.points().into_iter().step_by(every).enumerate() {
            let seed = nth as u64;
            let random = [Unflushed::Some(2 * seed), Unflushed::Some(2 * seed + 1)];
            for unflushed in [Unflushed::Lost, Unflushed::Kept].into_iter().chain(random) {
                let case = format!("{}: power cut at {point}, {unflushed:?}", self.kind);
                self.recording.write_cut(point, unflushed, image).into_diagnostic()?;
                let is_new = self.check(point, image).wrap_err(case)?;
                cuts += 1;
                rolled_back += usize::from(point > self.at.apply_begun && !is_new);
                whole += usize::from(point < self.at.applied && is_new);
            }
        }
        let (writes, flushes) = self.recording.counts();
        println!(
            "{}: {writes} writes, {flushes} flushes, {cuts} power cuts ({rolled_back} of an apply that \
             was taken back, {whole} of one that had not answered and is whole)",
            self.kind
        );
        Ok(())
    }

    /// Mounts what is left and checks it. Returns whether the set is applied.
    fn check(&self, point: usize, image: &Path) -> Result<bool> {
        let volume = mounted(self.kind, image, &self.folder)?;
        let fixture = Fixture::new(self.greenroom, &volume)?;
        fixture.must(&["recover"])?;
        fixture.must(&["log", "--verify"])?;
        let (stamps, found) = read(&fixture)?;
        let is_new = found == self.new;
        if !is_new && found != self.old {
            return Err(miette!("the workspace is neither old nor new: {:?}", found.keys()));
        }
        if point <= self.at.apply_begun && stamps != self.stamps {
            return Err(miette!("the workspace was touched before anything was approved"));
        }
        if point >= self.at.applied && !is_new {
            return Err(miette!("an apply that had answered is lost"));
        }
        let diff = fixture.must(&["diff"])?;
        for ((_, shown), answered) in [(FIRST, self.at.first), (SECOND, self.at.second)] {
            let missing = shown.iter().find(|shown| !diff.contains(**shown));
            if let Some(missing) = missing.filter(|_| point >= answered && !is_new) {
                return Err(miette!("`{missing}` was staged and is lost: {diff}"));
            }
        }
        if is_new && diff.contains(FIRST.1[0]) {
            return Err(miette!("what is applied is pending: {diff}"));
        }
        let again = ["run", "--session=trial", "--", "sh", "-c", "echo again > again && cat kept"];
        match fixture.must(&again)?.as_str() {
            "before: kept\n" => Ok(is_new),
            seen => Err(miette!("the session goes on with other files: {seen:?}")),
        }
    }
}

fn read(fixture: &Fixture<'_>) -> Result<(BTreeMap<PathBuf, [i64; 5]>, Tree)> {
    let stamps = tree::stamps(&fixture.tree).into_diagnostic()?;
    Ok((stamps, tree::read(&fixture.tree).into_diagnostic()?))
}

fn mounted(kind: &'static str, image: &Path, folder: &Path) -> Result<Volume> {
    volume::of_image(kind, image, folder).map_err(|reason| miette!("{reason}"))
}

fn must_run(mut command: Command) -> Result<()> {
    volume::run(&mut command).map_err(|reason| miette!("{reason}"))
}
