//! Calls that fail, alone, in pairs and for good, and every way in which each can fail.

use crate::atomic_fs::simulated::{CallKind, Fault, Renames};

use super::windows;
use super::work::Work;
use crate::case::Violation;
use crate::fixture::Run;
use crate::plan::{EIO, Lasting, Plan};
use crate::search::Verdict;

impl Work<'_> {
    /// The scenario's own content was damaged before the search began.
    pub(super) fn damaged_content(&mut self) -> Verdict {
        self.search.counts.faults += 1;
        let run = self.search.apply(&Plan::default())?;
        self.search.recover_after(&run, &Plan::default())
    }

    pub(super) fn faults(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for (call, step) in plain.steps.iter().enumerate() {
            for fault in faults_at(step.kind, self.renames) {
                self.fault(&Plan::fault(call, *fault))?;
            }
        }
        Ok(())
    }

    pub(super) fn faults_in_recovery(&mut self) -> Verdict {
        let renames = self.renames;
        self.in_recovery(&|run| {
            let calls = run.steps.iter().enumerate();
            let faults = calls.flat_map(|(call, step)| {
                faults_at(step.kind, renames).iter().map(move |fault| Plan::fault(call, *fault))
            });
            faults.collect()
        })
    }

    /// No descriptors are left from any call on that needs one: in an apply, and in recovery.
    pub(super) fn descriptors(&mut self) -> Verdict {
        let opens = |run: &Run| -> Vec<Plan> {
            let calls = run.steps.iter().enumerate();
            let calls = calls.filter(|(_, step)| Lasting::Opens.concerns(step.kind));
            let plan = |call| Plan { lasting: Some((call, Lasting::Opens)), ..Plan::default() };
            calls.map(|(call, _)| plan(call)).collect()
        };
        let plain = self.search.apply(&Plan::default())?;
        for plan in opens(&plain) {
            self.fault(&plan)?;
        }
        self.in_recovery(&opens)
    }

    /// Applies with something going wrong, dies at any point or comes to an end, recovers,
    /// and tries again where the answer was that nothing has changed.
    pub(super) fn fault(&mut self, plan: &Plan) -> Verdict {
        self.search.counts.faults += 1;
        let run = self.search.apply(plan)?;
        self.search.check(|oracle| oracle.after_one_fault(&run, plan))?;
        self.search.recover_after(&run, &Plan::default())?;
        self.search.crash_everywhere(&run)?;
        self.search.retry_after(&run)
    }

    pub(super) fn fault_pairs(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for (first, step) in plain.steps.iter().enumerate() {
            let ways = faults_at(step.kind, self.renames);
            let one = ways.first().copied().unwrap_or(Fault::Fails(EIO));
            let alone = self.search.apply(&Plan::fault(first, one))?;
            for second in first + 1..alone.steps.len() {
                for other in faults_at(alone.steps[second].kind, self.renames) {
                    let faults = vec![(first, one), (second, *other)];
                    let run = self.pair(&Plan { faults, ..Plan::default() })?;
                    // Nothing but the sync goes wrong on the way back from what it stopped.
                    if alone.steps[second].kind == CallKind::SyncDir {
                        self.search.check(|oracle| oracle.files_are_present(&run))?;
                    }
                }
            }
            // The first fault in every way, and a device that stays bad after it.
            for one in ways {
                for lasting in Lasting::ALL {
                    let lasting = Some((first + 1, lasting));
                    self.pair(&Plan { lasting, ..Plan::fault(first, *one) })?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn pair(&mut self, plan: &Plan) -> Result<Run, Box<Violation>> {
        self.search.counts.faults += 1;
        let run = self.search.apply(plan)?;
        self.search.end_after(&run)?;
        Ok(run)
    }
}

/// Every way in which a call can go wrong. Errnos that would say something of the tree
/// that is not so, such as `ENOENT` for a file that is there, are not among them.
fn faults_at(kind: CallKind, renames: Renames) -> &'static [Fault] {
    if renames == Renames::Windows {
        return windows::faults_at(kind);
    }
    use Fault::{Fails, FailsAfterwards, Short, SyncDrops};
    const EPERM: i32 = 1;
    const ENOMEM: i32 = 12;
    const EACCES: i32 = 13;
    const EBUSY: i32 = 16;
    const EINVAL: i32 = 22;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const EFBIG: i32 = 27;
    const ENOSPC: i32 = 28;
    const EROFS: i32 = 30;
    const EMLINK: i32 = 31;
    const ENAMETOOLONG: i32 = 36;
    const ENOTSUP: i32 = 95;
    const EDQUOT: i32 = 122;
    const ESTALE: i32 = 116;
    match kind {
        CallKind::OpenDir => {
            &[Fails(EIO), Fails(EACCES), Fails(EMFILE), Fails(ENFILE), Fails(ENOMEM), Fails(ESTALE)]
        }
        CallKind::Identity | CallKind::FileStat => &[Fails(EIO), Fails(ENOMEM), Fails(ESTALE)],
        CallKind::Stat | CallKind::ReadLink => {
            &[Fails(EIO), Fails(EACCES), Fails(ENOMEM), Fails(ESTALE)]
        }
        CallKind::List => &[Fails(EIO), Fails(ENOMEM), Fails(ESTALE)],
        CallKind::OpenFile | CallKind::OpenOwnFile => {
            &[Fails(EIO), Fails(EACCES), Fails(EMFILE), Fails(ENFILE), Fails(ENOMEM), Fails(ESTALE)]
        }
        CallKind::CreateFile => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(EMFILE),
            Fails(ENOSPC),
            Fails(EDQUOT),
            Fails(EROFS),
            Fails(ENAMETOOLONG),
        ],
        CallKind::ReadAt => &[Fails(EIO), Fails(ENOMEM), Short],
        CallKind::WriteAt => {
            &[Fails(EIO), Fails(ENOSPC), Fails(EDQUOT), Fails(EFBIG), Short, FailsAfterwards(EIO)]
        }
        CallKind::Reserve => &[Fails(EIO), Fails(ENOSPC), Fails(EDQUOT), Fails(EFBIG)],
        CallKind::CopyMetadata => {
            &[Fails(EIO), Fails(EPERM), Fails(ENOSPC), Fails(EDQUOT), Fails(ENOTSUP)]
        }
        CallKind::SetModified => &[Fails(EIO), Fails(EPERM), Fails(EROFS)],
        CallKind::SetMode => &[Fails(EIO), Fails(EPERM), Fails(EROFS), FailsAfterwards(EIO)],
        CallKind::Lease | CallKind::LeaseHolds => &[Fails(EIO)],
        CallKind::SyncFile => {
            &[Fails(EIO), Fails(ENOSPC), Fails(EDQUOT), Fails(EROFS), SyncDrops(EIO)]
        }
        CallKind::SyncDir => &[Fails(EIO), Fails(ENOSPC), Fails(EROFS)],
        CallKind::Exchange => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(EINVAL),
            Fails(ENOSPC),
            Fails(EROFS),
            FailsAfterwards(EIO),
        ],
        CallKind::Link => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(EMLINK),
            Fails(ENOSPC),
            Fails(EDQUOT),
            Fails(EROFS),
            FailsAfterwards(EIO),
        ],
        CallKind::Rename | CallKind::RenameReplacing => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(EINVAL),
            Fails(ENOSPC),
            Fails(EDQUOT),
            Fails(EROFS),
            FailsAfterwards(EIO),
        ],
        CallKind::RemoveFile => {
            &[Fails(EIO), Fails(EACCES), Fails(EBUSY), Fails(EROFS), FailsAfterwards(EIO)]
        }
        CallKind::CreateSymlink => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(EPERM),
            Fails(ENOSPC),
            Fails(EDQUOT),
            Fails(EROFS),
            FailsAfterwards(EIO),
        ],
        CallKind::SetDirMode => &[Fails(EIO), Fails(EPERM), Fails(EROFS), FailsAfterwards(EIO)],
        CallKind::CreateDir => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(ENOSPC),
            Fails(EDQUOT),
            Fails(EMLINK),
            Fails(EROFS),
            FailsAfterwards(EIO),
        ],
        CallKind::RemoveDir => &[Fails(EIO), Fails(EACCES), Fails(EBUSY), FailsAfterwards(EIO)],
        // Of Windows alone.
        CallKind::ReplaceAway | CallKind::ReplaceArrive => &[],
    }
}
