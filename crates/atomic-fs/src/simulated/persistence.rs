//! Which trees a crash may leave.
//!
//! The models are those that crash-consistency research tests applications against:
//! Pillai et al., "All File Systems Are Not Created Equal" (ALICE, OSDI 2014), for the
//! weak one, and Mohan et al., "Finding Crash-Consistency Bugs with Bounded Black-Box
//! Crash Testing" (OSDI 2018), for the journalling ones.

use serde::{Deserialize, Serialize};

use super::effect::{Alteration, Effect};
use super::image::Image;
use super::log::{Entry, Log};

mod model;
mod point;
mod states;

pub use model::Persistence;
use point::Point;

/// How much of an effect survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of it.
    Whole,
    /// The first half of a piece of content.
    Half,
    /// A piece of content of the right length and of other bytes.
    Garbage,
}

/// One crash and what it left: enough to make the tree again from the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// How many entries of the log came before the crash.
    pub end: usize,
    /// What survived of the entries that were not sure to; the others are lost. For a
    /// kill, the entry that was in the middle of happening.
    pub survived: Vec<(usize, Part)>,
}

/// A tree that a crash may leave.
#[derive(Clone, Debug)]
pub struct State {
    /// The tree.
    pub image: Image,
    /// How it arises.
    pub choice: Choice,
}

/// How many states of one crash point are made before it is sampled.
#[derive(Clone, Copy, Debug)]
pub struct StateCap {
    /// At most so many combinations of file contents for each set of surviving names.
    pub contents: usize,
    /// At most so many sets of surviving names.
    pub names: usize,
    /// What the samples are drawn by.
    pub seed: u64,
}

/// The crashes in one log under one model.
pub struct Crashes<'l> {
    log: &'l Log,
    model: Persistence,
    /// What everything before an entry comes to, so that the next kill need not begin anew.
    so_far: (usize, Image),
}

impl<'l> Crashes<'l> {
    /// Those in this log.
    pub fn new(log: &'l Log, model: Persistence) -> Self {
        Self { log, model, so_far: (0, log.untouched()) }
    }

    /// Makes every tree that a crash between the last two boundaries before entry `end` may
    /// leave, or samples of them beyond `cap`; returns whether it had to sample.
    ///
    /// `is_new` gets each tree's digest and says whether `found` is to see the tree. It is
    /// quickest where each `end` comes after the last.
    pub fn states(
        &mut self,
        end: usize,
        cap: StateCap,
        is_new: &mut dyn FnMut(u64) -> bool,
        found: &mut dyn FnMut(State),
    ) -> bool {
        if self.model == Persistence::Kill {
            self.roll_to(end);
            for choice in kills(self.log, end) {
                let image = killed(self.log, self.so_far.1.clone(), &choice);
                if is_new(image.digest()) {
                    found(State { image, choice });
                }
            }
            return false;
        }
        let point = Point::new(self.log, end, self.model);
        point.visit(cap, is_new, found)
    }

    fn roll_to(&mut self, end: usize) {
        let (done, image) = &mut self.so_far;
        let drops = |entry: &Entry| matches!(entry, Entry::Dropped(_));
        if *done > end || self.log.entries[*done..end].iter().any(drops) {
            // What a failed sync throws away came before it.
            *image = everything(self.log, end);
        } else {
            for entry in &self.log.entries[*done..end] {
                if let Entry::Changed { effect, .. } = entry {
                    image.apply(effect);
                }
            }
        }
        *done = end;
    }
}

/// The crash points that matter for a power cut: between two of them, the trees that an
/// earlier crash can leave are among those of a later one, since an effect may be lost.
pub fn boundaries(log: &Log, model: Persistence) -> Vec<usize> {
    let count = log.entries.len();
    // A crash in the middle of a user's own save is not ours to answer for.
    let is_mid_save = |at: usize| {
        at.checked_sub(1).is_some_and(|before| {
            matches!(log.entries[before], Entry::Changed { by_user: true, .. })
        })
    };
    if model == Persistence::Kill {
        // A system call is made whole or not at all, whoever dies.
        let is_mid_rename =
            |at: usize| matches!(log.entries.get(at), Some(Entry::Changed { after: Some(_), .. }));
        return (0..=count).filter(|at| !is_mid_save(*at) && !is_mid_rename(*at)).collect();
    }
    let is_boundary = |entry: &Entry| {
        matches!(
            entry,
            Entry::Passed
                | Entry::Answered(_)
                | Entry::Kept(_)
                | Entry::OtherEnded(_)
                | Entry::Relocated
                | Entry::Dropped(_)
                | Entry::SyncFailed(_)
                | Entry::Saved(_)
                | Entry::Changed { by_user: true, .. }
        )
    };
    let before = (0..count).filter(|at| is_boundary(&log.entries[*at]));
    // After an answer the same tree must keep what was answered.
    let after = (0..count).filter(|at| is_boundary(&log.entries[*at])).map(|at| at + 1);
    let mut all: Vec<usize> = before.chain(after).chain([count]).collect();
    all.retain(|at| !is_mid_save(*at));
    all.sort_unstable();
    all.dedup();
    all
}

impl Log {
    /// The entries before `end` that a power cut there may lose.
    pub fn unsure(&self, model: Persistence, end: usize) -> Vec<usize> {
        let point = Point::new(self, end, model);
        let changes = point.changes(end).map(|(at, _)| at);
        changes.filter(|at| !point.sure[*at] && !point.dropped[*at]).collect()
    }
}

fn kills(log: &Log, end: usize) -> Vec<Choice> {
    let mut choices = vec![Choice { end, survived: Vec::new() }];
    if let Some(Entry::Changed { effect, by_user: false, .. }) = log.entries.get(end)
        && let Effect::Altered(_, Alteration::Data { content, .. }) = effect
        && content.len() > 1
    {
        choices.push(Choice { end, survived: vec![(end, Part::Half)] });
    }
    choices
}

/// Makes the tree of one crash again.
pub fn materialise(log: &Log, model: Persistence, choice: &Choice) -> Image {
    if model == Persistence::Kill {
        return killed(log, everything(log, choice.end), choice);
    }
    let mut image = log.untouched();
    let point = Point::new(log, choice.end, model);
    for (at, effect) in point.changes(choice.end) {
        if point.dropped[at] {
            continue;
        }
        match choice.survived.iter().find(|(survivor, _)| *survivor == at) {
            _ if point.sure[at] => image.apply(effect),
            Some((_, part)) => image.apply(&cut(effect, *part)),
            None => {}
        }
    }
    image
}

/// All that was done before an entry, but for what a failed sync threw away.
pub(super) fn everything(log: &Log, end: usize) -> Image {
    let mut image = log.untouched();
    let dropped = log.dropped(end);
    for (entry, dropped) in log.entries[..end].iter().zip(dropped) {
        if let Entry::Changed { effect, .. } = entry
            && !dropped
        {
            image.apply(effect);
        }
    }
    image
}

/// What a process leaves that is killed once everything in an image is done.
fn killed(log: &Log, mut image: Image, choice: &Choice) -> Image {
    for (at, part) in &choice.survived {
        if let Entry::Changed { effect, .. } = &log.entries[*at] {
            let effect = cut(effect, *part);
            if let Effect::Altered(inode, Alteration::Data { offset, content }) = &effect
                && let super::image::Body::File { bytes, .. } = image.node(*inode).body
            {
                let end = offset + content.len() as u64;
                if end > bytes {
                    image.apply(&Effect::Altered(*inode, Alteration::Size(end)));
                }
            }
            image.apply(&effect);
        }
    }
    // The dead process's leases are gone, and who waited for them writes.
    for (inode, saved) in log.waiting(choice.end) {
        let content = saved.content.unwrap_or_default();
        let bytes = content.len() as u64;
        let data = Alteration::Data { offset: 0, content };
        for alteration in [Alteration::Size(0), data, Alteration::Size(bytes)] {
            image.apply(&Effect::Altered(inode, alteration));
        }
    }
    image
}

fn cut(effect: &Effect, part: Part) -> Effect {
    let Effect::Altered(inode, Alteration::Data { offset, content }) = effect else {
        return effect.clone();
    };
    let content = match part {
        Part::Whole => content.clone(),
        Part::Half => content[..content.len().div_ceil(2)].into(),
        Part::Garbage => content.iter().map(|byte| byte ^ 0x5a).collect(),
    };
    Effect::Altered(*inode, Alteration::Data { offset: *offset, content })
}
