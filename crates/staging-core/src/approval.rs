//! How an approval was given, as the log and the store record it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The means by which an approval was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ApprovalMeans {
    /// A yes to a question on a terminal.
    Asked,
    /// The reviewed signature on the command line: `--expect`.
    Expect,
    /// `--yes` on the command line: apply without asking.
    Yes,
    /// An agent's client reported that its user approved.
    Client,
    /// A call from an embedding program, which has its own rules.
    #[default]
    Library,
}

impl ApprovalMeans {
    /// The word used in the store and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Expect => "expect",
            Self::Yes => "yes",
            Self::Client => "client",
            Self::Library => "library",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Asked, Self::Expect, Self::Yes, Self::Client, Self::Library]
            .into_iter()
            .find(|means| means.as_str() == word)
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
}

impl Approval {
    /// An approval by these means that names no agent.
    pub const fn by(means: ApprovalMeans) -> Self {
        Self { means, agent: None }
    }
}

/// For people: `a yes on a terminal`, `--yes under claude-code`.
impl std::fmt::Display for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.means {
            ApprovalMeans::Asked => "a yes on a terminal",
            ApprovalMeans::Expect => "--expect",
            ApprovalMeans::Yes => "--yes",
            ApprovalMeans::Client => "the word of the client",
            ApprovalMeans::Library => "a program",
        })?;
        match (&self.agent, self.means) {
            (Some(agent), ApprovalMeans::Client) => write!(f, " {agent}"),
            (Some(agent), _) => write!(f, " under {agent}"),
            (None, _) => Ok(()),
        }
    }
}
