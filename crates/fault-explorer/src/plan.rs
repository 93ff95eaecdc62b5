//! What goes wrong during a run, and what a user does meanwhile, by the number of the call.

use std::sync::Arc;

use crate::atomic_fs::simulated::{
    Bystander, CallKind, Fault, Image, Inode, Instead, Sharing, World,
};
use serde::{Deserialize, Serialize};

use crate::beside::{Beside, Second};
use crate::scenario::ROOT;

/// What happens at which calls of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Calls that go wrong.
    pub faults: Vec<(usize, Fault)>,
    /// Edits that land right before a call.
    pub edits: Vec<(usize, Edit)>,
    /// Every later call of a kind fails as well, from this call on.
    pub lasting: Option<(usize, Lasting)>,
    /// What a second state's process does right before a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<(usize, Beside)>,
    /// Where a user moves a directory right before a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relocated: Option<(usize, Relocation)>,
}

/// A directory that a user moves; paths are from the top of the simulated disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relocation {
    /// The directory.
    pub from: String,
    /// Where it is then.
    pub to: String,
    /// What is in its place then.
    pub instead: Instead,
}

impl Relocation {
    /// Whether it is the whole workspace.
    pub fn is_of_the_root(&self) -> bool {
        self.from == ROOT
    }

    /// Moves it back, over what was put in its place; beside what the set itself put there.
    pub fn take_back(&self, image: &mut Image) {
        let Some(moved) = image.lookup(self.to.as_bytes()) else { return };
        let children = |image: &Image, dir| {
            let mut names = Vec::new();
            image.walk(dir, &mut |path, _, _| {
                if !path.contains(&b'/') {
                    names.push(path.to_vec());
                }
            });
            names
        };
        let there = image.lookup(self.from.as_bytes());
        if there.is_none_or(|there| children(image, there).is_empty()) {
            image.rename(self.to.as_bytes(), self.from.as_bytes());
            return;
        }
        for name in children(image, moved) {
            let below = |dir: &str| [dir.as_bytes(), b"/", &name].concat();
            if image.lookup(&below(&self.from)).is_none() {
                image.rename(&below(&self.to), &below(&self.from));
            }
        }
        image.remove(self.to.as_bytes());
    }
}

/// A device that has gone bad in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasting {
    /// No sync succeeds.
    Syncs,
    /// Nothing can be written.
    Writes,
    /// Nothing can be removed.
    Removals,
    /// No name can be moved.
    Moves,
    /// Nothing that changes anything succeeds, as on a file system gone read-only.
    Changes,
    /// Nothing can be opened or created: the process has no descriptors left.
    Opens,
}

impl Lasting {
    /// Every way.
    pub const ALL: [Self; 6] =
        [Self::Syncs, Self::Writes, Self::Removals, Self::Moves, Self::Changes, Self::Opens];

    /// What such a call fails with.
    fn errno(self) -> i32 {
        const EMFILE: i32 = 24;
        if self == Self::Opens { EMFILE } else { EIO }
    }

    pub(crate) fn concerns(self, kind: CallKind) -> bool {
        match self {
            Self::Syncs => kind.is_sync(),
            Self::Writes => kind == CallKind::WriteAt,
            Self::Removals => matches!(kind, CallKind::RemoveFile | CallKind::RemoveDir),
            Self::Moves => kind.moves_names(),
            Self::Changes => kind.is_mutating() || kind.is_sync(),
            Self::Opens => {
                use CallKind::{CreateFile, OpenDir, OpenFile, OpenOwnFile};
                matches!(kind, OpenDir | OpenFile | OpenOwnFile | CreateFile)
            }
        }
    }
}

/// What a user does to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The file, relative to the workspace's root.
    pub path: String,
    /// What is done.
    pub how: How,
    /// What is saved.
    pub content: String,
}

/// How a user changes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Opens, truncates, writes, closes.
    InPlace,
    /// Writes another file and renames it over this one.
    ByRename,
    /// Removes it.
    Remove,
    /// Removes it and writes a new one in its place.
    RemoveAndCreate,
    /// Makes it executable for its owner alone, or read-only on Windows.
    SetMode,
    /// Gives it these permission bits.
    SetModeTo(u32),
    /// Opens it for writing, writes after so many calls, and closes it.
    Held {
        /// Calls between opening and writing.
        calls: usize,
    },
    /// The same on Windows, sharing so little that nobody can rename the file meanwhile.
    HeldShut {
        /// Calls between opening and closing.
        calls: usize,
        /// Whether it is only read, or written to before it is closed.
        writes: bool,
        /// Whether nobody can so much as read it meanwhile.
        alone: bool,
    },
}

impl How {
    /// Every way that is over at once.
    pub const AT_ONCE: [Self; 5] =
        [Self::InPlace, Self::ByRename, Self::Remove, Self::RemoveAndCreate, Self::SetMode];
}

impl Plan {
    /// A single edit.
    pub fn edit(call: usize, edit: Edit) -> Self {
        Self { edits: vec![(call, edit)], ..Self::default() }
    }

    /// A second state's process alone.
    pub fn beside(call: usize, beside: Beside) -> Self {
        Self { beside: Some((call, beside)), ..Self::default() }
    }

    /// A single fault.
    pub fn fault(call: usize, fault: Fault) -> Self {
        Self { faults: vec![(call, fault)], ..Self::default() }
    }

    /// Whether one call goes wrong and nothing else happens.
    pub fn is_one_fault(&self) -> bool {
        self.faults.len() == 1 && self.edits.is_empty() && self.lasting.is_none()
    }

    /// Whether a user saves files, and neither removes any nor changes a mode.
    pub fn only_saves(&self) -> bool {
        let saves = |edit: &Edit| matches!(edit.how, How::InPlace | How::ByRename);
        self.faults.is_empty()
            && self.lasting.is_none()
            && !self.edits.is_empty()
            && self.edits.iter().all(|(_, edit)| saves(edit))
    }

    /// Whether nothing is planned.
    pub fn is_quiet(&self) -> bool {
        *self == Self::default()
    }
}

/// Carries a plan out.
pub(crate) struct PlanRunner {
    plan: Plan,
    /// Files that are held open: at which call they are written to, and with what.
    held: Vec<(usize, Inode, Edit)>,
    second: Arc<Second>,
}

/// How a user who shares no deletion holds a file open.
fn sharing(writes: bool, alone: bool) -> Sharing {
    match (writes, alone) {
        (_, true) => Sharing::Nothing,
        (true, false) => Sharing::Writing,
        (false, false) => Sharing::Reading,
    }
}

impl PlanRunner {
    pub(crate) fn new(plan: Plan, second: Arc<Second>) -> Self {
        Self { plan, held: Vec::new(), second }
    }
}

impl Bystander for PlanRunner {
    fn at_call(&mut self, number: usize, kind: CallKind, world: &mut World<'_>) -> Option<Fault> {
        self.held.retain(|(when, inode, edit)| {
            if *when <= number {
                if !matches!(edit.how, How::HeldShut { writes: false, .. }) {
                    world.write_through(*inode, &from_top(&edit.path), edit.content.as_bytes());
                }
                match edit.how {
                    How::HeldShut { .. } => world.let_go(*inode),
                    _ => world.close(*inode),
                }
            }
            *when > number
        });
        for (_, edit) in self.plan.edits.iter().filter(|(call, _)| *call == number) {
            let path = from_top(&edit.path);
            let (opened, calls) = match edit.how {
                How::Held { calls } => (world.open_for_writing(&path), calls),
                How::HeldShut { calls, writes, alone } => {
                    (world.hold_open(&path, sharing(writes, alone)), calls)
                }
                _ => {
                    make(edit, world);
                    continue;
                }
            };
            self.held.extend(opened.map(|inode| (number + calls, inode, edit.clone())));
        }
        if let Some((_, beside)) = self.plan.beside.as_ref().filter(|(call, _)| *call == number) {
            let (answer, died) = world.beside(|disk| self.second.run(beside, disk));
            if answer.is_some() {
                world.other_ended(answer);
            }
            if died || answer.is_none() {
                world.other_ended(None);
            }
        }
        if let Some((_, moved)) = self.plan.relocated.as_ref().filter(|(call, _)| *call == number) {
            world.relocate(moved.from.as_bytes(), moved.to.as_bytes(), moved.instead);
        }
        if let Some((from, lasting)) = self.plan.lasting
            && number >= from
            && lasting.concerns(kind)
        {
            return Some(Fault::Fails(lasting.errno()));
        }
        let fault = self.plan.faults.iter().find(|(call, _)| *call == number);
        fault.map(|(_, fault)| *fault)
    }
}

/// Input or output error, errno(3).
pub const EIO: i32 = 5;

/// Makes an edit that is over at once.
pub(crate) fn make(edit: &Edit, world: &mut World<'_>) {
    let path = from_top(&edit.path);
    match edit.how {
        How::InPlace | How::Held { .. } | How::HeldShut { .. } => {
            world.save_in_place(&path, edit.content.as_bytes())
        }
        How::ByRename => world.save_by_rename(&path, edit.content.as_bytes()),
        How::Remove => world.remove(&path),
        How::RemoveAndCreate => {
            world.remove(&path);
            world.save_by_rename(&path, edit.content.as_bytes());
        }
        How::SetMode => world.set_mode(&path, if world.is_windows() { 0o444 } else { 0o700 }),
        How::SetModeTo(mode) => world.set_mode(&path, mode),
    }
}

pub(crate) fn from_top(path: &str) -> Vec<u8> {
    format!("{ROOT}/{path}").into_bytes()
}
