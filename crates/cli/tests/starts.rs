//! The command starts and names what it can do.
//!
//! Being an integration test of this package, it also has `cargo test --workspace`
//! build the command, which the end-to-end tests run.

use std::process::Command;

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let output = Command::new(env!("CARGO_BIN_EXE_greenroom"))
        .arg("--help")
        .output()
        .expect("the command was built for this test");
    let help = String::from_utf8(output.stdout).expect("help is text");
    let commands = [
        "propose", "status", "diff", "show", "cat", "apply", "discard", "log", "session", "recover",
    ];
    for command in commands {
        assert!(help.contains(&format!("\n  {command}")), "help must name {command}:\n{help}");
    }
    assert!(help.contains("3 stale or in conflict"), "help must explain the exit codes:\n{help}");
}
