//! The engine: from two contents to a diff, and from a diff to a patch.

use std::io::{self, Write};
use std::sync::Arc;

use crate::content::{Content, Side};
use crate::edit_script::EditScript;
use crate::intern::FilePair;
use crate::lines::{Lines, count_lines};
use crate::policy::{Policy, Treatment, Why};
use crate::remarks::{self, Remark};
use crate::render::header::{FileChange, FileHeader};
use crate::render::unified::{BinaryMode, RenderOptions, write_hunks};
use crate::render::whole_file::{write_description, write_whole_file};
use crate::strategies::registry::Registry;
use crate::window::Window;

/// Compares contents and writes patches. Cheap to clone; clones share the strategies.
#[derive(Clone, Debug)]
pub struct DiffEngine {
    policy: Policy,
    registry: Arc<Registry>,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiff {
    /// The validated script; `None` if the whole file is replaced.
    pub script: Option<EditScript>,
    /// The strategy that made the script; `full-replace` if none was run.
    pub strategy: String,
    /// How many lines are added; 0 if the content is binary or was not loaded.
    pub added: u64,
    /// How many lines are removed; 0 if the content is binary or was not loaded.
    pub removed: u64,
    /// Whether either content is binary.
    pub binary: bool,
    /// Whether the strategy used up its steps.
    pub degraded: bool,
    /// What a reviewer should not miss.
    pub remarks: Vec<Remark>,
}

impl FileDiff {
    /// Whether the contents were not compared, because one is binary or over the limit. The patch
    /// replaces the whole file, and a reviewer has to confirm that explicitly.
    pub fn is_whole_file(&self) -> bool {
        self.script.is_none()
    }

    fn of_script(script: EditScript, strategy: &str) -> Self {
        Self {
            added: script.added(),
            removed: script.removed(),
            script: Some(script),
            strategy: strategy.to_owned(),
            binary: false,
            degraded: false,
            remarks: Vec::new(),
        }
    }
}

impl DiffEngine {
    /// An engine with these limits and strategies.
    pub fn new(policy: Policy, registry: Registry) -> Self {
        Self { policy, registry: Arc::new(registry) }
    }

    /// An engine with the bundled strategies alone.
    pub fn bundled(policy: Policy) -> Self {
        Self::new(policy, Registry::bundled())
    }

    /// The engine's limits and choices.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The engine's strategies.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether contents of these sizes are not compared, so that neither needs to be loaded; pass 0
    /// for a file that does not exist.
    pub fn over_limit(&self, old_bytes: u64, new_bytes: u64) -> bool {
        old_bytes.max(new_bytes) > self.policy.size_max_bytes
    }

    /// Compares two contents. If the strategy fails, a bundled one is used and a remark is added; this
    /// never fails.
    pub fn diff(&self, old: Side<'_>, new: Side<'_>) -> FileDiff {
        let treatment = self.policy.treatment(old, new);
        let binary = treatment == Treatment::Replace(Why::Binary);
        let mut diff = match treatment {
            Treatment::Same => {
                let script = EditScript::unchanged(count_lines(old.content()) as usize);
                FileDiff::of_script(script, &self.policy.strategy)
            }
            Treatment::OneSided => {
                let lines = |side: Side<'_>| count_lines(side.content()) as usize;
                let script = EditScript::replacing(lines(old), lines(new));
                FileDiff::of_script(script, &self.policy.strategy)
            }
            Treatment::Compare => self.compare(old.content(), new.content()),
            Treatment::Replace(why) => self.replace(why, old, new),
        };
        if treatment != Treatment::Same {
            diff.remarks.extend(remarks::of_contents(old, new, binary));
        }
        diff
    }

    /// Writes one file's part of a patch.
    ///
    /// `old` and `new` are the contents that `diff` compares. Nothing is written for a modification
    /// that does not change the content or the mode.
    ///
    /// # Errors
    ///
    /// Those of `out`; [`io::ErrorKind::InvalidInput`] if a content has to be written that was not
    /// loaded: use [`DiffEngine::render_whole_file`] for it.
    pub fn render(
        &self,
        header: &FileHeader<'_>,
        diff: &FileDiff,
        old: Side<'_>,
        new: Side<'_>,
        options: &RenderOptions,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let Some(script) = &diff.script else {
            return self.render_replaced(header, diff, old, new, options, out);
        };
        if script.is_unchanged() && !header.stands_alone() {
            return Ok(());
        }
        let (old, new) = (old.content(), new.content());
        let has_hunks = !script.is_unchanged();
        let similarity = match header.change {
            FileChange::Rename { .. } => similarity(script, old, new),
            _ => 0,
        };
        header.write_extended(similarity, has_hunks, out)?;
        if has_hunks {
            header.write_link_index(old, new, out)?;
            header.write_names(out)?;
            let context = options.context_lines.unwrap_or(self.policy.context_lines);
            write_hunks(script, old, new, context, out)?;
            return Ok(());
        }
        header.write_empty_index(out)
    }

    /// Writes one file's part of a patch from contents too large to load; `None` is a file that does
    /// not exist.
    ///
    /// Each content is read up to three times from its start, and must not change in between.
    ///
    /// # Errors
    ///
    /// Those of the contents and of `out`.
    pub fn render_whole_file(
        &self,
        header: &FileHeader<'_>,
        old: Option<&mut dyn Content>,
        new: Option<&mut dyn Content>,
        options: &RenderOptions,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        write_whole_file(header, old, new, options.binary, out)
    }

    fn compare(&self, old: &[u8], new: &[u8]) -> FileDiff {
        let chosen = &self.policy.strategy;
        let window = match self.registry.needs_changes_only(chosen) {
            true => Window::of_changes(old, new),
            false => Window::whole(old, new),
        };
        let pair = FilePair::of(window.old, window.new);
        let outcome = self.registry.line_up(chosen, &pair, self.policy.deadline);
        let script = outcome.script.within(window.lines_before, window.lines_behind);
        let mut diff = FileDiff::of_script(script, &outcome.used);
        diff.degraded = outcome.degraded;
        if let Some(why) = outcome.replaced_because {
            let (chosen, used) = (chosen.clone(), outcome.used.clone());
            diff.remarks.push(Remark::StrategyReplaced { chosen, used, why });
        }
        if diff.degraded {
            diff.remarks.push(Remark::Degraded { strategy: outcome.used });
        }
        diff
    }

    fn replace(&self, why: Why, old: Side<'_>, new: Side<'_>) -> FileDiff {
        let (binary, limit_bytes) = (why == Why::Binary, self.policy.size_max_bytes);
        let lines = |side: Side<'_>| {
            if binary { 0 } else { count_lines(side.content()) }
        };
        FileDiff {
            script: None,
            strategy: "full-replace".to_owned(),
            added: lines(new),
            removed: lines(old),
            binary,
            degraded: false,
            remarks: vec![match why {
                Why::Binary => Remark::ReplacedBinary,
                Why::TooLarge => Remark::ReplacedTooLarge { limit_bytes },
            }],
        }
    }

    fn render_replaced(
        &self,
        header: &FileHeader<'_>,
        diff: &FileDiff,
        old: Side<'_>,
        new: Side<'_>,
        options: &RenderOptions,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if options.binary == BinaryMode::Describe {
            let sizes = (old.bytes(), new.bytes());
            return write_description(header, diff.binary, sizes, out);
        }
        if matches!(old, Side::TooLarge { .. }) || matches!(new, Side::TooLarge { .. }) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the content was not loaded: render it with render_whole_file",
            ));
        }
        let (mut old, mut new) = (old.reader(), new.reader());
        write_whole_file(
            header,
            old.as_mut().map(|content| content as &mut dyn Content),
            new.as_mut().map(|content| content as &mut dyn Content),
            options.binary,
            out,
        )
    }
}

/// The part of the larger content that is kept, in percent of its bytes; 100 only for equal contents.
fn similarity(script: &EditScript, old: &[u8], new: &[u8]) -> u8 {
    if script.is_unchanged() {
        return 100;
    }
    let lines = Lines::of(old);
    let removed: usize = script
        .changes()
        .iter()
        .map(|change| lines.range(change.old.start as usize, change.old.end as usize).len())
        .sum();
    let larger = old.len().max(new.len()).max(1);
    let kept = old.len() - removed;
    (kept * 100 / larger).min(99) as u8
}
