//! The workspace that an agent works in, and what its hook stages there.

use std::collections::HashSet;
use std::path::PathBuf;

use staging_core::{
    AGENT_NAME_BYTES_MAX, DiskOwner, Patch, PatchRequest, Proposal, RelPath, ReviewCommands,
    agent_label, placement_remarks, set_signature,
};

use super::payload::{self, Call, Payload};
use crate::args::{Global, Harness, agent_name};
use crate::commands::import_captures;
use crate::commands::options::options;
use crate::commands::text::{line, names, risks};
use crate::console::say;
use crate::failure::Failure;
use crate::location::{Location, current_dir};
use crate::recovery;

/// Claude Code looks at the disk before it asks a hook, and refuses an edit of text that is only
/// staged.
const CLAUDE_CODE_ADVICE: &str = "To change it again, pass the whole file to Write: Edit searches \
    for its text on the disk.";

/// The workspace, and who writes into it.
pub(super) struct HookContext {
    agent: Harness,
    pub(super) location: Location,
    pub(super) layer: DiskOwner,
    pub(super) label: String,
}

impl HookContext {
    /// None for a call that only reads, in a workspace without a state.
    pub(super) fn open(
        agent: Harness,
        global: &Global,
        payload: &Payload,
        call: &Call,
    ) -> Result<Option<Self>, Failure> {
        let here = current_dir()?;
        // The workspace is the project's, wherever in it or outside of it the agent has gone.
        let project = match agent {
            Harness::ClaudeCode => std::env::var_os("CLAUDE_PROJECT_DIR").map(PathBuf::from),
            Harness::Codex => None,
        };
        let project = project.filter(|dir| dir.is_absolute()).unwrap_or_else(|| here.clone());
        let current = payload.cwd.clone().filter(|dir| dir.is_absolute()).unwrap_or(here);
        let current = dunce::canonicalize(&current)
            .map_err(|source| Failure::io("cannot find the agent's directory", &source))?;
        let location = Location::find_from(global, &project)?.standing_in(current);
        if matches!(call, Call::Read { .. }) && !location.has_state() {
            return Ok(None);
        }
        let layer = DiskOwner::open(options(global, &location)?)?;
        for line in recovery::lines(&layer.take_recovered(), false) {
            say(&line);
        }
        import_captures(&layer, |_| {}, say);
        let name = payload.session_id.clone().unwrap_or_else(|| agent_name(&agent));
        let label = agent_label(&name).ok_or_else(|| {
            Failure::usage(format!(
                "`session_id` must have 1 to {AGENT_NAME_BYTES_MAX} bytes without spaces"
            ))
        })?;
        Ok(Some(Self { agent, location, layer, label }))
    }

    pub(super) fn file(&self, named: &str) -> Result<RelPath, Failure> {
        if named.starts_with('~') {
            let reason = format!("`{named}` begins with `~`: name the file in full");
            return Err(Failure::usage(reason));
        }
        self.location.file(named.as_ref())
    }

    /// Stages a change and says so to the agent.
    pub(super) fn stage(&self, change: payload::Change) -> Result<String, Failure> {
        match change {
            payload::Change::Write(payload::Write { path, content }) => {
                let path = self.file(&path)?;
                let write = Proposal::Write { path, content: content.into(), mode: None };
                self.propose(vec![write])
            }
            payload::Change::Edits(payload::Edits { path, edits }) => {
                let path = self.file(&path)?;
                let proposals = edits.into_iter().map(|edit| Proposal::Edit {
                    path: path.clone(),
                    old: edit.old.into_bytes(),
                    new: edit.new.into_bytes(),
                    replace_all: edit.replace_all,
                });
                self.propose(proposals.collect())
            }
            payload::Change::Patch(payload::Patch { text }) => {
                let session = self.layer.open_session(&self.label)?;
                let directory = self.location.directory()?;
                let request = PatchRequest { text: text.into(), directory, ..Default::default() };
                let answer = self.layer.propose_patch(session.id, &request)?;
                let remarks = placement_remarks(&answer.fitted);
                Ok(self.staged(&answer.proposed, remarks))
            }
        }
    }

    /// Advice for the agent, to follow a sentence.
    pub(super) fn advice(&self) -> String {
        match self.agent {
            Harness::ClaudeCode => format!(" {CLAUDE_CODE_ADVICE}"),
            Harness::Codex => String::new(),
        }
    }

    pub(super) fn propose(&self, proposals: Vec<Proposal>) -> Result<String, Failure> {
        let session = self.layer.open_session(&self.label)?;
        let proposed = self.layer.propose_all(session.id, proposals)?;
        Ok(self.staged(&proposed, Vec::new()))
    }

    /// The answer to the agent about what it staged.
    pub(super) fn staged(
        &self,
        proposed: &[staging_core::Proposed],
        mut remarks: Vec<String>,
    ) -> String {
        // Of several edits of one file, the last one has the result.
        let all = proposed.iter().flat_map(|one| one.patch.iter().chain(&one.also_changed));
        let mut patches: Vec<Patch> = all.cloned().collect();
        let mut seen = HashSet::new();
        patches.reverse();
        patches.retain(|patch| seen.insert(patch.id));
        patches.reverse();
        if patches.is_empty() {
            return "Greenroom staged nothing: the file on the disk already has this content. This is \
                    not an error; continue."
                .to_owned();
        }
        let (signature, risks) = (set_signature(&patches), risks(&patches));
        let mut text = String::from(
            "Staged in Greenroom for the user's approval. The denial of this tool call is expected, not \
             an error: the file on the disk is unchanged until the user approves. Do not write it \
             again or in another way; continue as if it were written.",
        );
        text.push_str(&self.advice());
        text.push('\n');
        for patch in &patches {
            text.push_str(&line(patch));
            text.push('\n');
            let of_patch = patch.diff.remarks.iter();
            remarks
                .extend(of_patch.map(|remark| format!("{} `{}`: {remark}", patch.id, patch.path)));
        }
        text.push_str(&risks);
        for others in proposed.iter().map(|one| &one.also_pending_in).filter(|ids| !ids.is_empty())
        {
            remarks.push(format!("the same file is also pending in {}", names(others)));
        }
        remarks.extend(self.layer.take_strategy_warnings());
        for remark in remarks {
            text.push_str(&format!("note: {remark}\n"));
        }
        text.push_str(&format!("signature {signature}\n"));
        text.push_str(&format!(
            "The user reviews it with `{}` and approves or rejects it in a terminal \
             of their own. You cannot approve it.",
            ReviewCommands::of(&patches).diff
        ));
        text
    }
}
