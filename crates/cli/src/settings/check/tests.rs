//! Mistakes of a configuration are named with their places and what is allowed there.

use rstest::rstest;
use staging_core::StagingOptions;

use super::*;

fn found_in(text: &str) -> Vec<String> {
    mistakes(text, &mut Settings::new(StagingOptions::new("/w", "/s")))
}

#[rstest]
#[case::unknown("colour = true", "line 1, column 1: there is no key `colour`; known are `durable")]
#[case::misspelt("allow-git = true", "there is no key `allow-git`; did you mean `allow_git`?")]
#[case::in_a_table(
    "\n[diff]\nsize = 1",
    "line 3, column 1: there is no key `diff.size`; did you mean `diff.size_max_bytes`?"
)]
#[case::in_the_wrong_table("keep_for = \"1d\"", "did you mean `history.keep_for`?")]
#[case::dotted("diff.strateyg = \"myers\"", "line 1, column 6: there is no key `diff.strateyg`")]
#[case::no_switch("allow_git = 1", "line 1, column 13: `allow_git` is `1`; expected true or false")]
#[case::text_for_a_switch(
    "allow_git = \"yes\"",
    "`allow_git` is `\"yes\"`; expected true or false"
)]
#[case::no_time(
    "[session]\n  expires_after = \"soon\"",
    "line 2, column 19: `session.expires_after` is `\"soon\"`; expected text with"
)]
#[case::no_unit(
    "[session]\nexpires_after = 24",
    "`session.expires_after` is `24`; expected text with"
)]
#[case::unknown_unit("[history]\nkeep_for = \"2w\"", "is `\"2w\"`; expected text with")]
#[case::no_time_at_all("[history]\nkeep_for = \"0s\"", "is `\"0s\"`; expected text with")]
#[case::a_unit_for_bytes(
    "[limits]\nstored_bytes_max = \"1GB\"",
    "expected a whole number of bytes, 0 or more"
)]
#[case::negative("[diff]\nsize_max_bytes = -1", "`diff.size_max_bytes` is `-1`; expected a whole")]
#[case::a_fraction("[diff]\nsize_max_bytes = 1.5", "is `1.5`; expected a whole")]
#[case::too_many("[limits]\nsession_patches_max = 5_000_000_000", "from 0 to 4294967295")]
#[case::no_deadline("[plugins]\ndeadline_ms = 0", "a whole number of milliseconds, 1 or more")]
#[case::no_table("diff = \"myers\"", "`diff` is `\"myers\"`; expected a table")]
#[case::a_list_of_tables("[[diff]]\nstrategy = \"myers\"", "`diff` is")]
#[case::no_strategy(
    "[diff]\nstrategy = \"patiance\"",
    "line 2, column 12: `diff.strategy` is `\"patiance\"`, which is no strategy; did you mean `patience`?"
)]
#[case::no_list("strategies = 1", "`strategies` is `1`; expected a list of tables")]
#[case::no_entry("strategies = [1]", "line 1, column 15: `strategies[1]` is `1`; expected a table")]
#[case::lacking(
    "strategies = [{ path = \"/x.so\" }]",
    "`strategies[1]` lacks `blake3`: the 64 hex digits"
)]
#[case::relative(
    "strategies = [{ path = \"x.so\" }]",
    "line 1, column 24: `strategies[1].path` is `\"x.so\"`; expected an absolute path"
)]
#[case::relative_in_a_list(
    "[run]\nconfine_write = [\"/a\", \"b\"]",
    "line 2, column 17: `run.confine_write` is `[\"/a\", \"b\"]`; expected a list of absolute paths"
)]
#[case::no_list_of_paths(
    "run.confine_write = \"/a\"",
    "`run.confine_write` is `\"/a\"`; expected a list of absolute paths"
)]
#[case::no_digest(
    "[[strategies]]\nblake3 = \"12\"",
    "line 2, column 10: `strategies[1].blake3` is `\"12\"`; expected the 64 hex digits"
)]
#[case::a_bundled_name(
    "[[strategies]]\nname = \"myers\"",
    "`strategies[1].name` is `myers`, as another strategy is named"
)]
#[case::a_name_twice(
    "[[strategies]]\nname = \"x\"\n[[strategies]]\nname = \"x\"",
    "line 4, column 8: `strategies[2].name` is `x`"
)]
#[case::a_rule_without_paths(
    "[[policy.approve]]\nname = \"docs\"",
    "`policy.approve[1]` lacks `paths`: a list of globs"
)]
#[case::a_rule_without_a_name(
    "[[policy.always_ask]]\npaths = [\"a\"]",
    "`policy.always_ask[1]` lacks `name`: text"
)]
#[case::no_glob(
    "[[policy.approve]]\nname = \"x\"\npaths = [\"/etc/**\"]",
    "line 3, column 9: in `policy.approve[1].paths`, `/etc/**` cannot be used as a glob: paths begin"
)]
#[case::no_glob_of_what_is_kept(
    "[[policy.always_ask]]\nname = \"x\"\npaths = [\"docs\", \"./x\"]",
    "line 3, column 9: in `policy.always_ask[1].paths`, `./x` cannot be used as a glob: a path has no"
)]
#[case::no_glob_of_labels(
    "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\nsessions = [\"[\"]",
    "line 4, column 12: in `policy.approve[1].sessions`, `[` cannot be used as a glob: unclosed"
)]
#[case::limits_over_more_than_the_history(
    "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\nmax_files = 1\nwithin = \"8d\"",
    "line 5, column 10: the rule `x` has limits `within` a longer time than `history.keep_for`"
)]
#[case::limits_over_more_than_a_short_history(
    "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\nmax_files = 1\n[history]\nkeep_for = \"30m\"",
    "line 1, column 1: the rule `x` has limits `within` a longer time"
)]
#[case::no_paths_at_all(
    "[[policy.approve]]\nname = \"x\"\npaths = []",
    "`policy.approve[1].paths` is `[]`; expected a list of globs"
)]
#[case::no_operation(
    "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\noperations = [\"chmod\"]",
    "expected a list of \"create\""
)]
#[case::a_risk_that_no_rule_covers(
    "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\nrisks = [\"executable\"]",
    "line 4, column 9: `policy.approve[1].risks` is `[\"executable\"]`; expected a list of \"shrunk\""
)]
#[case::a_rule_twice(
    "[[policy.approve]]\nname = \"x\"\npaths = [\"a\"]\n[[policy.approve]]\nname = \"x\"\npaths = [\"b\"]",
    "line 5, column 8: `policy.approve[2].name` is `x`, as another rule is named"
)]
#[case::no_toml("allow_git = true\n[diff", "line 2, column ")]
#[case::no_value("allow_git =\n", "line 1, column ")]
#[case::twice(
    "allow_git = true\nallow_git = true",
    "line 2, column 1: this is no TOML: duplicate key"
)]
#[case::behind_letters_of_several_bytes(
    "[diff]\nstrategy = \"ä\" # ä\n\"ä\" = 1",
    "line 3, column 1: there is no key `diff.ä`"
)]
fn a_mistake_is_named_with_its_place_and_what_is_allowed(
    #[case] text: &str,
    #[case] expected: &str,
) {
    let found = found_in(text);
    assert!(found.iter().any(|mistake| mistake.contains(expected)), "{found:#?}");
}

#[test]
fn a_wrong_name_is_no_strategy() {
    let found = found_in("strategies = [{ name = 1 }, { name = 2 }]\ndiff.strategy = \"x\"");
    assert!(found.iter().all(|mistake| !mistake.contains("another strategy")), "{found:#?}");
    assert!(found.iter().any(|mistake| mistake.ends_with("`full-replace`")), "{found:#?}");
}

#[test]
fn every_mistake_is_named_in_the_order_of_the_file() {
    let found = found_in("[diff]\nstrategy = 1\nsize = 2\n[session]\nexpires_after = true\n");
    let lines: Vec<&str> = found.iter().filter_map(|mistake| mistake.split(',').next()).collect();
    assert_eq!(lines, ["line 2", "line 3", "line 5"], "{found:#?}");
}

#[test]
fn a_number_may_be_written_in_every_way_of_toml() {
    for number in ["1_048_576", "0x100000", "+1048576", "0b1", "0o7"] {
        assert_eq!(found_in(&format!("[diff]\nsize_max_bytes = {number}\n")), [""; 0]);
    }
}
