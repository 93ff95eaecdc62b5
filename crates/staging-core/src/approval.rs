//! How an approval was given, as the log and the store keep it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// By what an approval was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ApprovalMeans {
    /// A yes to a question on a terminal.
    Asked,
    /// The signature that was reviewed, given on the command line.
    Expect,
    /// A command line that said not to ask.
    Yes,
    /// The word of an agent's client that its user approved.
    Client,
    /// A call from a program that embeds Greenroom, by whatever rule it has.
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
    /// By what.
    pub means: ApprovalMeans,
    /// The agent in whose environment the command ran, or the client that gave its word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

impl Approval {
    /// An approval by these means, under no agent.
    pub const fn by(means: ApprovalMeans) -> Self {
        Self { means, agent: None }
    }
}

/// In plain words: `a yes on a terminal`, `--yes under claude-code`.
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
