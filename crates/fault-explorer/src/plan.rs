//! What goes wrong during a run, and what a user does meanwhile, by the number of the call.

use atomic_fs::simulated::{Bystander, CallKind, Fault, Inode, Sharing, World};
use serde::{Deserialize, Serialize};

use crate::scenario::ROOT;

/// What happens at which calls of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Calls that go wrong.
    pub faults: Vec<(usize, Mishap)>,
    /// Edits that land right before a call.
    pub edits: Vec<(usize, Edit)>,
    /// Every later call of a kind fails as well, from this call on.
    pub lasting: Option<(usize, Lasting)>,
}

/// How a call goes wrong; what [`Fault`] says, in a form that can be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mishap {
    /// Nothing happens.
    Fails(i32),
    /// It happens all the same.
    FailsAfterwards(i32),
    /// Half of it happens, without an error.
    Short,
    /// A sync that loses what it should have kept.
    SyncDrops(i32),
    /// Half of a replacement that does not happen, and the whole is answered as done.
    Pretends,
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
}

impl Lasting {
    /// Every way.
    pub const ALL: [Self; 5] =
        [Self::Syncs, Self::Writes, Self::Removals, Self::Moves, Self::Changes];

    fn concerns(self, kind: CallKind) -> bool {
        match self {
            Self::Syncs => kind.is_sync(),
            Self::Writes => kind == CallKind::WriteAt,
            Self::Removals => matches!(kind, CallKind::RemoveFile | CallKind::RemoveDir),
            Self::Moves => kind.moves_names(),
            Self::Changes => kind.is_mutating() || kind.is_sync(),
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

    /// A single mishap.
    pub fn fault(call: usize, mishap: Mishap) -> Self {
        Self { faults: vec![(call, mishap)], ..Self::default() }
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
pub(crate) struct Fate {
    plan: Plan,
    /// Files that are held open: at which call they are written to, and with what.
    held: Vec<(usize, Inode, Edit)>,
}

/// How a user who shares no deletion holds a file open.
fn sharing(writes: bool, alone: bool) -> Sharing {
    match (writes, alone) {
        (_, true) => Sharing::Nothing,
        (true, false) => Sharing::Writing,
        (false, false) => Sharing::Reading,
    }
}

impl Fate {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, held: Vec::new() }
    }
}

impl Bystander for Fate {
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
        if let Some((from, lasting)) = self.plan.lasting
            && number >= from
            && lasting.concerns(kind)
        {
            return Some(Fault::Fails(EIO));
        }
        let mishap = self.plan.faults.iter().find(|(call, _)| *call == number);
        mishap.map(|(_, mishap)| match *mishap {
            Mishap::Fails(errno) => Fault::Fails(errno),
            Mishap::FailsAfterwards(errno) => Fault::FailsAfterwards(errno),
            Mishap::Short => Fault::Short,
            Mishap::SyncDrops(errno) => Fault::SyncDrops(errno),
            Mishap::Pretends => Fault::Pretends,
        })
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
