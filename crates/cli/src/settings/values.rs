//! What the configuration decides.

use std::path::PathBuf;
use std::time::Duration;

use staging_core::{ApprovalRules, StagingOptions};

use crate::paging::Readers;

/// The strategies that need no library.
pub(crate) const BUNDLED: [&str; 4] = ["histogram", "myers", "patience", "full-replace"];

/// What the user decides. What the file does not say keeps its default.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The options of the layer.
    pub(crate) options: StagingOptions,
    /// Whether a command that does not ask may change files in an agent's environment.
    pub(crate) allows_yes_under_agents: bool,
    /// The programs in which output and diffs are read.
    pub(crate) readers: Readers,
    /// Whether commands are confined that do not say otherwise.
    pub(crate) confines: bool,
    /// What stays writable when a command is confined, beside the usual places.
    pub(crate) confine_write: Vec<PathBuf>,
    /// Which ignored files that commands write are proposed.
    pub(crate) propose_ignored: Vec<String>,
    /// Which sets a long-lived process with `--apply-policy` applies without asking.
    pub(crate) policy: ApprovalRules,
    /// How much the commands of a session may write, what is not proposed included.
    pub(crate) layer_bytes_max: Option<u64>,
    /// Whether agents may run commands by a tool of the MCP server.
    pub(crate) offers_run_command: bool,
    /// The reviewer's editor, as a command.
    pub(crate) editor: Option<String>,
    pub(super) approves_by_elicitation: bool,
    pub(super) elicitation_wait: Duration,
}

impl Settings {
    /// The defaults, with these of the layer.
    pub(crate) fn new(options: StagingOptions) -> Self {
        Self {
            options,
            allows_yes_under_agents: false,
            readers: Readers::default(),
            confines: false,
            confine_write: Vec::new(),
            propose_ignored: Vec::new(),
            policy: ApprovalRules::default(),
            layer_bytes_max: None,
            offers_run_command: false,
            editor: None,
            approves_by_elicitation: false,
            elicitation_wait: Duration::from_secs(5 * 60),
        }
    }

    /// How long a question to the client's user stays open; none unless the user turned such
    /// questions on.
    pub(crate) fn elicitation_wait(&self) -> Option<Duration> {
        self.approves_by_elicitation.then_some(self.elicitation_wait)
    }
}
