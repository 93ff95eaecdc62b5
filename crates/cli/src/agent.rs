//! Detects the environment of a coding agent.

use std::env;

/// Variables that agents set for the commands that they run, and for nothing that their user runs
/// in a terminal of their own: what an editor's integrated terminal has as well is not among them.
const SET_BY: [(&str, &str); 16] = [
    ("CLAUDECODE", "claude-code"),
    ("CODEX_THREAD_ID", "codex"),
    ("CODEX_SANDBOX", "codex"),
    ("CODEX_SANDBOX_NETWORK_DISABLED", "codex"),
    ("CODEX_CI", "codex"),
    ("GEMINI_CLI", "gemini"),
    ("QWEN_CODE", "qwen-code"),
    ("CURSOR_AGENT", "cursor"),
    ("OPENCODE", "opencode"),
    ("COPILOT_CLI", "copilot"),
    ("COPILOT_AGENT_SESSION_ID", "copilot"),
    ("CLINE_ACTIVE", "cline"),
    ("AUGMENT_AGENT", "augment"),
    ("GOOSE_TERMINAL", "goose"),
    ("AMP_CURRENT_THREAD_ID", "amp"),
    ("AI_AGENT", "an agent"),
];

/// The agent in whose environment the command runs, if one says so. It is a hint: whoever sets
/// the environment can leave it out.
pub(crate) fn in_environment() -> Option<&'static str> {
    find(|variable| env::var_os(variable).is_some_and(|value| !value.is_empty() && value != "0"))
}

fn find(is_set: impl Fn(&str) -> bool) -> Option<&'static str> {
    SET_BY.iter().find(|(variable, _)| is_set(variable)).map(|(_, agent)| *agent)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["PATH", "CLAUDECODE"], Some("claude-code"))]
    #[case(&["CODEX_HOME", "CURSOR_TRACE_ID", "TERM_PROGRAM"], None)]
    #[case(&["CODEX_SANDBOX"], Some("codex"))]
    fn an_agent_is_known_by_what_it_alone_sets(
        #[case] environment: &[&str],
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(find(|variable| environment.contains(&variable)), expected);
    }
}
