//! What happens on Windows alone: its errors, files that are held shut, and users between the
//! halves of a replacement.

use crate::atomic_fs::simulated::{CallKind, Fault};

use super::edits::edit;
use super::work::Work;
use crate::plan::{Edit, How, Plan};
use crate::search::Verdict;

/// What a user holds open in which way, and for how many calls.
const HELD_SHUT: [How; 7] = [
    How::HeldShut { calls: 1, writes: false, alone: false },
    How::HeldShut { calls: 6, writes: false, alone: false },
    How::HeldShut { calls: FOR_EVER, writes: false, alone: false },
    How::HeldShut { calls: 4, writes: true, alone: false },
    How::HeldShut { calls: 25, writes: true, alone: false },
    How::HeldShut { calls: 4, writes: true, alone: true },
    How::HeldShut { calls: 25, writes: true, alone: true },
];

/// More calls than any run makes.
const FOR_EVER: usize = 100_000;

impl Work<'_> {
    pub(super) fn held_shut(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for call in 0..plain.steps.len() {
            for path in self.scenario.paths() {
                for how in HELD_SHUT {
                    self.race(&Plan::edit(call, edit(&path, how, "through a held file")))?;
                }
            }
        }
        Ok(())
    }

    /// Before a replacement and between its halves a user saves, or puts back what was there.
    pub(super) fn races_in_replacement(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let halves = plain.steps.iter().enumerate();
        let first = halves.filter(|(_, step)| step.kind == CallKind::ReplaceAway);
        for (call, _) in first {
            for path in self.scenario.paths() {
                for before in [How::ByRename, How::RemoveAndCreate] {
                    for between in self.saves_between(&path) {
                        let edits = vec![(call, edit(&path, before, "first")), (call + 1, between)];
                        self.race(&Plan { edits, ..Plan::default() })?;
                    }
                }
            }
        }
        Ok(())
    }

    fn saves_between(&self, path: &[u8]) -> Vec<Edit> {
        let mut saves = vec![edit(path, How::ByRename, "second")];
        let old = self.scenario.old.file(path);
        saves.extend(old.map(|content| {
            let content = String::from_utf8(content.to_vec()).expect("scenarios are of text");
            Edit { content, ..edit(path, How::ByRename, "") }
        }));
        saves
    }
}

/// Every way in which a call can go wrong on Windows, by the errno that stands for its code.
/// Of a replacement no code is believed, so there are those that would say something of the tree
/// that is not so.
pub(super) fn faults_at(kind: CallKind) -> &'static [Fault] {
    use Fault::{Fails, FailsAfterwards, Pretends, Short, SyncDrops};
    /// The device failed, and everything that has no number here: 1175 to 1177 among them.
    const ANY: i32 = 5;
    /// `ERROR_FILE_NOT_FOUND`.
    const NOT_FOUND: i32 = 2;
    /// `ERROR_NOT_ENOUGH_MEMORY`.
    const NO_MEMORY: i32 = 12;
    /// `ERROR_ACCESS_DENIED`.
    const DENIED: i32 = 13;
    /// `ERROR_SHARING_VIOLATION`, `ERROR_LOCK_VIOLATION`, `ERROR_USER_MAPPED_FILE`.
    const IN_USE: i32 = 16;
    /// `ERROR_ALREADY_EXISTS`.
    const EXISTS: i32 = 17;
    /// `ERROR_INVALID_PARAMETER`.
    const INVALID: i32 = 22;
    /// `ERROR_TOO_MANY_OPEN_FILES`.
    const TOO_MANY: i32 = 24;
    /// `ERROR_DISK_FULL`.
    const FULL: i32 = 28;
    /// `ERROR_WRITE_PROTECT`.
    const PROTECTED: i32 = 30;
    /// `ERROR_NOT_SUPPORTED`.
    const UNSUPPORTED: i32 = 95;
    match kind {
        CallKind::OpenDir | CallKind::OpenFile | CallKind::OpenOwnFile => {
            &[Fails(ANY), Fails(DENIED), Fails(IN_USE), Fails(TOO_MANY), Fails(NO_MEMORY)]
        }
        CallKind::Identity | CallKind::FileStat | CallKind::List | CallKind::ReadLink => {
            &[Fails(ANY), Fails(NO_MEMORY)]
        }
        CallKind::Stat => &[Fails(ANY), Fails(DENIED), Fails(NO_MEMORY)],
        CallKind::CreateFile => {
            &[Fails(ANY), Fails(DENIED), Fails(TOO_MANY), Fails(FULL), Fails(PROTECTED)]
        }
        CallKind::ReadAt => &[Fails(ANY), Fails(IN_USE), Short],
        CallKind::WriteAt => &[Fails(ANY), Fails(FULL), Fails(IN_USE), Short, FailsAfterwards(ANY)],
        CallKind::Reserve => &[Fails(ANY), Fails(FULL)],
        CallKind::CopyMetadata => &[Fails(ANY), Fails(DENIED), Fails(FULL)],
        CallKind::SetModified => &[Fails(ANY), Fails(DENIED), Fails(PROTECTED)],
        CallKind::SetMode => {
            &[Fails(ANY), Fails(DENIED), Fails(IN_USE), Fails(PROTECTED), FailsAfterwards(ANY)]
        }
        CallKind::Lease | CallKind::LeaseHolds => &[Fails(ANY)],
        CallKind::SyncFile => &[
            Fails(ANY),
            Fails(DENIED),
            Fails(IN_USE),
            Fails(FULL),
            Fails(PROTECTED),
            SyncDrops(ANY),
        ],
        CallKind::SyncDir => &[Fails(ANY), Fails(DENIED), Fails(IN_USE), Fails(PROTECTED)],
        CallKind::ReplaceAway => &[
            Fails(ANY),
            Fails(DENIED),
            Fails(IN_USE),
            Fails(INVALID),
            Fails(FULL),
            FailsAfterwards(ANY),
            FailsAfterwards(NOT_FOUND),
            FailsAfterwards(UNSUPPORTED),
            Pretends,
        ],
        CallKind::ReplaceArrive => &[
            Fails(ANY),
            Fails(DENIED),
            Fails(INVALID),
            Fails(NOT_FOUND),
            Fails(EXISTS),
            Fails(UNSUPPORTED),
            FailsAfterwards(ANY),
            FailsAfterwards(DENIED),
            FailsAfterwards(NOT_FOUND),
            FailsAfterwards(EXISTS),
            FailsAfterwards(UNSUPPORTED),
            Pretends,
        ],
        CallKind::Rename | CallKind::RenameReplacing => &[
            Fails(ANY),
            Fails(DENIED),
            Fails(IN_USE),
            Fails(INVALID),
            Fails(FULL),
            Fails(PROTECTED),
            FailsAfterwards(ANY),
        ],
        CallKind::RemoveFile | CallKind::RemoveDir => {
            &[Fails(ANY), Fails(DENIED), Fails(IN_USE), Fails(PROTECTED), FailsAfterwards(ANY)]
        }
        // No links are made there, and a directory has no mode.
        CallKind::CreateSymlink | CallKind::SetDirMode => &[],
        CallKind::CreateDir => {
            &[Fails(ANY), Fails(DENIED), Fails(FULL), Fails(PROTECTED), FailsAfterwards(ANY)]
        }
        // Says that it is not supported, and then names are linked nowhere.
        CallKind::Exchange | CallKind::Link => &[],
    }
}
