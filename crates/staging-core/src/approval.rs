//! How an approval was given, as the log and the store record it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::string_enum::string_enum;

string_enum! {
    /// The means by which an approval was given.
    #[derive(Default)]
    #[non_exhaustive]
    pub ApprovalMeans, "means of approval" {
        /// A yes to a question on a terminal.
        Asked = "asked",
        /// The reviewed signature on the command line: `--expect`.
        Expect = "expect",
        /// `--yes` on the command line: apply without asking.
        Yes = "yes",
        /// An agent's client reported that its user approved.
        Client = "client",
        /// A rule of the user's configuration.
        Policy = "policy",
        /// A call from an embedding program, which has its own rules.
        #[default]
        Library = "library",
    }
}

/// How an approval was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// The means.
    pub means: ApprovalMeans,
    /// The agent in whose environment the command ran, or the client that reported the approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The name of the rule that approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl Approval {
    /// An approval by these means that names no agent.
    pub const fn by(means: ApprovalMeans) -> Self {
        Self { means, agent: None, rule: None }
    }
}

/// For people: `a yes on a terminal`, `--yes under claude-code`, ``the rule `docs` ``.
impl std::fmt::Display for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.means {
            ApprovalMeans::Asked => "a yes on a terminal",
            ApprovalMeans::Expect => "--expect",
            ApprovalMeans::Yes => "--yes",
            ApprovalMeans::Client => "the word of the client",
            ApprovalMeans::Policy => "the rule",
            ApprovalMeans::Library => "a program",
        })?;
        if let Some(rule) = &self.rule {
            write!(f, " `{rule}`")?;
        }
        match (&self.agent, self.means) {
            (Some(agent), ApprovalMeans::Client) => write!(f, " {agent}"),
            (Some(agent), _) => write!(f, " under {agent}"),
            (None, _) => Ok(()),
        }
    }
}
