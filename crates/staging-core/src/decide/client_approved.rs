//! What may be approved through an agent's client: less than a reviewer may approve.

use atomic_fs::RelPath;

use crate::error::{Result, StagingError};
use crate::patch::Patch;
use crate::risk::kind::{Risk, RiskKind};
use crate::risk::names;
use crate::signature::Signature;
use crate::signing::set_signature;

/// Refuses what no client may approve: a set without its signature, full replacements, and files that
/// determine what runs or who is asked.
///
/// # Errors
/// `SignatureMismatch` without a signature; `ConfirmationMissing` for full replacements;
/// `NotByClient` for guarded paths.
pub fn check_client_approval(patches: &[Patch], expect: Option<Signature>) -> Result<()> {
    let found = set_signature(patches);
    match expect {
        Some(expected) if expected == found => {}
        expected => {
            let expected = expected.unwrap_or_else(|| Signature::from_bytes([0; 32]));
            return Err(StagingError::SignatureMismatch { expected, found });
        }
    }
    check_diffs(patches)?;
    for patch in patches {
        let content = patch.diff.risks.iter().any(is_decisive).then_some(&patch.path);
        if let Some(path) = patch.paths().find(|path| is_guarded(path)).or(content) {
            return Err(StagingError::NotByClient { patch: patch.id, path: path.clone() });
        }
    }
    Ok(())
}

/// Refuses patches that replace a file as a whole: no reviewer has read their diff.
///
/// # Errors
/// `ConfirmationMissing` with these patches.
pub fn check_diffs(patches: &[Patch]) -> Result<()> {
    let unseen: Vec<Patch> =
        patches.iter().filter(|patch| patch.diff.full_replace).cloned().collect();
    match unseen.is_empty() {
        true => Ok(()),
        false => Err(StagingError::ConfirmationMissing { patches: unseen }),
    }
}

/// Whether a risk that a content shows decides what runs, or nobody has looked for one.
fn is_decisive(risk: &Risk) -> bool {
    matches!(risk.kind, RiskKind::Automation | RiskKind::NotExamined)
}

/// Whether a path is the repository's own, hidden, or one that tools and agents read or run on their
/// own, on whatever file system it lies.
fn is_guarded(path: &RelPath) -> bool {
    let decides = |risk: Risk| matches!(risk.kind, RiskKind::Hidden | RiskKind::Automation);
    path.names_git() || names::of(std::iter::once(path)).any(decides)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(".git/config", true)]
    #[case("sub/.GIT/hooks/pre-commit", true)]
    #[case("git~1/config", true)]
    #[case(".mcp.json", true)]
    #[case("a/.claude/settings.json", true)]
    #[case("OpenCode.json", true)]
    #[case("opencode.jsonc. ", true)]
    #[case("open\u{ad}code.json", true)]
    #[case("\u{ad}.git/config", true)]
    #[case("\u{200b}.mcp.json", true)]
    #[case("a/\u{feff}.claude/settings.json", true)]
    #[case("\u{ff0e}env", true)]
    #[case("docs/AGENTS.md", true)]
    #[case("src/main.rs", false)]
    #[case("a.git.rs", false)]
    #[case("na\u{200b}me.rs", false)]
    fn names_that_decide_what_runs_are_guarded(#[case] path: &str, #[case] expected: bool) {
        let path = RelPath::parse(path.as_bytes()).expect("it is a path");
        assert_eq!(is_guarded(&path), expected, "{path}");
    }
}
