//! The labels of sessions that agents name.

/// The longest name that an agent can give its session, in bytes.
pub const AGENT_NAME_BYTES_MAX: usize = 120;

/// The label of the session that an agent names; none for an empty or long name, and for one with
/// blanks or control characters.
///
/// The name is what the agent says, so it is no reason for trust. The prefix keeps it apart from the
/// labels that people give: no agent can name its way into their sessions.
pub fn agent_label(name: &str) -> Option<String> {
    let is_plain = |letter: char| !letter.is_control() && !letter.is_whitespace();
    let fits = (1..=AGENT_NAME_BYTES_MAX).contains(&name.len());
    (fits && name.chars().all(is_plain)).then(|| format!("agent:{name}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0a-1b", true)]
    #[case("s1", true)]
    #[case("ä", true)]
    #[case("", false)]
    #[case("a b", false)]
    #[case("a\u{3000}b", false)]
    #[case("a\nb", false)]
    #[case("a\u{7f}", false)]
    fn an_agent_names_only_sessions_of_agents(#[case] name: &str, #[case] is_plain: bool) {
        assert_eq!(agent_label(name), is_plain.then(|| format!("agent:{name}")));
    }

    #[test]
    fn a_name_has_a_longest_length() {
        assert!(agent_label(&"a".repeat(AGENT_NAME_BYTES_MAX)).is_some());
        assert!(agent_label(&"a".repeat(AGENT_NAME_BYTES_MAX + 1)).is_none());
    }
}
