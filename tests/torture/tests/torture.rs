//! Runs a short torture: few processes, killed for a few seconds, and everything checked.

use std::process::Command;

/// What is checked holds however few kills the machine has time for.
#[test]
fn what_was_acknowledged_stands_after_kills() {
    let ran = Command::new(env!("CARGO_BIN_EXE_torture"))
        .args(["--seconds", "3", "--agents", "2"])
        .output()
        .expect("the program starts");
    let (out, error) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}{error}");
    assert!(out.contains("acknowledged proposals"), "everything was checked: {out}");
}
