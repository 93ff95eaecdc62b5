//! Others who change the tree or the state after a crash, before anybody recovers.

use crate::atomic_fs::simulated::Instead;

use super::Obstacles;
use super::work::Work;
use crate::beside::{Beside, OtherChange};
use crate::plan::{Plan, Relocation};
use crate::scenario::ROOT;
use crate::search::Verdict;
use crate::snapshot::Thing;
use crate::tamper;

impl Work<'_> {
    /// Any of the slots are gone: `git clean`, `rsync --delete`, a cleaner of temporary files.
    pub(super) fn slots_removed(&mut self) -> Verdict {
        self.crashes(Obstacles::Moves, &mut |search, run| {
            search.tamper_after_crashes(run, &tamper::removals_of_slots)
        })
    }

    /// One or two slots are something else, or somewhere else.
    pub(super) fn slots_replaced(&mut self) -> Verdict {
        self.crashes(Obstacles::Moves, &mut |search, run| {
            search.tamper_after_crashes(run, &tamper::replacements_of_slots)
        })
    }

    /// The journal has rotted, or is gone.
    pub(super) fn journals_damaged(&mut self, step: usize) -> Verdict {
        self.crashes(Obstacles::Moves, &mut |search, run| {
            search.tamper_after_crashes(run, &|image| tamper::damages_of_journals(image, step))
        })
    }

    /// A second state works on the same tree before any call of an apply, and is killed, too.
    pub(super) fn beside(&mut self, step: usize) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for call in (0..=plain.steps.len()).step_by(step) {
            for beside in self.besides() {
                self.search.apply_beside(&Plan::beside(call, beside.clone()))?;
                for dies_at in (0..CALLS_MAX).step_by(2 * step + 1) {
                    let beside = Beside { dies_at: Some(dies_at), ..beside.clone() };
                    let run = self.search.apply_beside(&Plan::beside(call, beside))?;
                    // It has come to its end before.
                    if !run.other_died() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// The same before any call of a recovery from a kill.
    pub(super) fn beside_recovery(&mut self, step: usize) -> Verdict {
        let besides = self.besides();
        self.crashes(Obstacles::No, &mut |search, run| {
            search.recover_beside(run, &|recovery| {
                let calls = (0..=recovery.steps.len()).step_by(step);
                let each = calls.flat_map(|call| besides.iter().map(move |it| (call, it.clone())));
                each.map(|(call, beside)| Plan::beside(call, beside)).collect()
            })
        })
    }

    /// A user moves a directory with a part of the set out of the workspace, or elsewhere in it, or
    /// the whole workspace, before any call of an apply.
    pub(super) fn directories_moved(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for instead in [Instead::Nothing, Instead::Directory] {
            for call in 0..=plain.steps.len() {
                let (from, to) = (ROOT.to_owned(), format!("outside/{ROOT}"));
                let relocated = Some((call, Relocation { from, to, instead }));
                self.search.apply_relocated(&Plan { relocated, ..Plan::default() })?;
            }
        }
        let paths = self.scenario.paths();
        let has_part = |dir: &&str| paths.iter().any(|path| path.starts_with(dir.as_bytes()));
        for dir in ["d/", "e/"].into_iter().filter(has_part) {
            let dir = dir.trim_end_matches('/');
            let beside = if dir == "d" { "e" } else { "d" };
            for to in [format!("outside/{dir}"), format!("{ROOT}/{beside}/{dir}")] {
                for instead in [Instead::Nothing, Instead::Directory, Instead::Symlink] {
                    for call in 0..=plain.steps.len() {
                        let (from, to) = (format!("{ROOT}/{dir}"), to.clone());
                        let relocated = Some((call, Relocation { from, to, instead }));
                        self.search.apply_relocated(&Plan { relocated, ..Plan::default() })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Recovering and sweeping over the whole tree and over a part of it; a set over other files,
    /// and one over the first file of the first set.
    fn besides(&self) -> Vec<Beside> {
        let bystander = OtherChange {
            path: "bystander".to_owned(),
            old: Some("not in any set\n".to_owned()),
            mode: 0o644,
            new: "the other state's\n".to_owned(),
        };
        let created = OtherChange {
            path: "other".to_owned(),
            old: None,
            new: "made by the other state\n".to_owned(),
            ..bystander.clone()
        };
        let in_words = |content: &[u8]| String::from_utf8_lossy(content).into_owned();
        let shared = self.scenario.paths().into_iter().find_map(|path| {
            let (old, mode) = match self.scenario.old.get(&path) {
                Some(Thing::File { content, mode, .. }) => (Some(in_words(content)), *mode),
                Some(_) => return None,
                None => (None, 0o644),
            };
            let new = "the other state's own\n".to_owned();
            Some(OtherChange { path: in_words(&path), old, mode, new })
        });
        let child = Beside { root: format!("{ROOT}/d"), ..Beside::recovers() };
        let mut all =
            vec![Beside::recovers(), child, Beside::applies(vec![bystander.clone(), created])];
        all.extend(shared.map(|shared| Beside::applies(vec![bystander, shared])));
        all
    }
}

/// More calls than a process of the second state makes.
const CALLS_MAX: usize = 400;
