//! The kinds of risks, and one risk of a patch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::string_enum::string_enum;

string_enum! {
    /// A kind of risk, in the order in which a reviewer reads them.
    pub RiskKind, "kind of risk" {
        /// A file, a symbolic link or a directory is removed.
        Deletion = "deletion",
        /// A path is removed and created in one set, or something of another kind takes its place.
        Replaced = "replaced",
        /// The whole content is replaced: it is binary or too long to be compared, or hardly a line
        /// of it is left.
        FullReplacement = "full_replacement",
        /// The agent has replaced what the reviewer had edited.
        EditReplaced = "edit_replaced",
        /// A file loses more than 90 % of its bytes.
        Shrunk = "shrunk",
        /// The line endings, the encoding or the byte order mark change.
        Encoding = "encoding",
        /// A file becomes executable, or is created so.
        Executable = "executable",
        /// Other permission bits change, or a file is created with unusual ones.
        Mode = "mode",
        /// A symbolic link is created or changed.
        SymbolicLink = "symbolic_link",
        /// Git, an editor, a shell or an agent reads or runs the file by itself.
        Automation = "automation",
        /// The file tells a continuous integration service what to run.
        Ci = "ci",
        /// The file decides which versions of dependencies are used.
        LockFile = "lock_file",
        /// The name, or that of a directory above, begins with a dot.
        Hidden = "hidden",
        /// An older version has staged it without looking for risks in its contents.
        NotExamined = "not_examined",
    }
}

/// How many kinds there are.
pub(crate) const KINDS: usize = 14;

impl RiskKind {
    /// What a line of such risks begins with.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Deletion => "deleted",
            Self::Replaced => "removed and created again",
            Self::FullReplacement => "replaced as a whole",
            Self::EditReplaced => "replaces your edit",
            Self::Shrunk => "shrunk by more than 90 %",
            Self::Encoding => "encoding or line endings",
            Self::Executable => "executable",
            Self::Mode => "mode",
            Self::SymbolicLink => "symbolic link",
            Self::Automation => "read or run by tools on their own",
            Self::Ci => "CI",
            Self::LockFile => "lock file",
            Self::Hidden => "hidden",
            Self::NotExamined => "not examined for other risks",
        }
    }
}

/// One risk of one patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Risk {
    /// Its kind.
    pub kind: RiskKind,
    /// What exactly, as `644 -> 755`. It may contain what an agent wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Risk {
    pub(crate) fn new(kind: RiskKind) -> Self {
        Self { kind, detail: None }
    }

    pub(crate) fn with(kind: RiskKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: Some(detail.into()) }
    }

    /// The risk as a sentence's part: `executable (644 -> 755)`.
    pub fn text(&self) -> String {
        let detail = self.detail.as_ref().map(|detail| format!(" ({detail})"));
        format!("{}{}", self.kind.title(), detail.unwrap_or_default())
    }
}
