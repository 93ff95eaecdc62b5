//! Rules by which sets are approved without asking a person. They are plain data of the user; nothing of a
//! workspace is read for them.

mod globs;

use std::time::Duration;

pub(crate) use self::globs::folded_path;
pub use self::globs::{AskGlobs, GlobMistake, LabelGlobs, PathGlobs};

use crate::patch::Operation;
use crate::risk::kind::RiskKind;

/// Which sets are approved by rules. None is without rules.
#[derive(Clone, Debug)]
pub struct ApprovalRules {
    /// The rules that approve. The first one that covers every patch of a set counts.
    pub approve: Vec<ApproveRule>,
    /// The rules that keep a set for a person, whatever the others say.
    pub always_ask: Vec<AskRule>,
    /// How long nothing has to have changed in a session before its set is decided: an agent writes
    /// one file after the other.
    pub quiet_for: Duration,
}

impl Default for ApprovalRules {
    fn default() -> Self {
        let (approve, always_ask) = (Vec::new(), Vec::new());
        Self { approve, always_ask, quiet_for: Duration::from_secs(2) }
    }
}

/// A rule that approves.
#[derive(Clone, Debug)]
pub struct ApproveRule {
    /// Its name, which the log has.
    pub name: String,
    /// Every name of every patch has to match one of these.
    pub paths: PathGlobs,
    /// The labels of the sessions whose sets it approves; any without globs. A label is what the
    /// agent's program calls itself, and proves nothing.
    pub sessions: LabelGlobs,
    /// What the patches may do.
    pub operations: Vec<Operation>,
    /// The kinds of risk that it covers all the same, of those in [`COVERABLE`](Self::COVERABLE).
    pub risks: Vec<RiskKind>,
    /// How many patches it approves within [`within`](Self::within), of all sets.
    pub files_max: Option<u64>,
    /// How many lines these add and remove.
    pub lines_max: Option<u64>,
    /// How many bytes the files have that they stage.
    pub bytes_max: Option<u64>,
    /// The time over which the limits hold.
    pub within: Duration,
}

impl ApproveRule {
    /// The kinds of risk that a rule may cover if it names them. Deletions and changes of the mode are
    /// operations, and no rule covers the other kinds.
    pub const COVERABLE: [RiskKind; 6] = [
        RiskKind::Shrunk,
        RiskKind::Encoding,
        RiskKind::Automation,
        RiskKind::Ci,
        RiskKind::LockFile,
        RiskKind::Hidden,
    ];

    /// A rule of this name over these paths, with the defaults: files are created and modified, at
    /// most as many as the limits say in one hour.
    pub fn new(name: impl Into<String>, paths: PathGlobs) -> Self {
        Self {
            name: name.into(),
            paths,
            sessions: LabelGlobs::default(),
            operations: vec![Operation::Create, Operation::Modify],
            risks: Vec::new(),
            files_max: None,
            lines_max: None,
            bytes_max: None,
            within: Duration::from_secs(60 * 60),
        }
    }
}

/// A rule that keeps a set for a person.
#[derive(Clone, Debug)]
pub struct AskRule {
    /// Its name.
    pub name: String,
    /// One name of a patch that matches is enough. Everything matches without globs.
    pub paths: AskGlobs,
    /// The labels of the sessions that are meant; all without globs.
    pub sessions: LabelGlobs,
    /// What the patches do that are meant; anything when empty.
    pub operations: Vec<Operation>,
}
