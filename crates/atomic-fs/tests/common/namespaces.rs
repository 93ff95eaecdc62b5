//! Running a test once more, in a process with namespaces of its own.

use std::process::Command;

const INSIDE: &str = "GREENROOM_TEST_INSIDE_A_NAMESPACE";

/// Runs the test that calls this in another process, below unshare(1) with these arguments, and
/// fails as that one does. True in that process; false in the first one, which has nothing left to do,
/// also where the machine gives no such namespaces.
pub fn is_inside(arguments: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let test = std::thread::current().name().expect("the harness names it").to_owned();
    let unshare = |command: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(arguments).arg("--").arg(command);
        unshare
    };
    if !unshare("true").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this machine gives no such namespaces");
        return false;
    }
    let program = std::env::current_exe().expect("this test");
    let output = unshare(program.to_str().expect("built below a plain path"))
        .args(["--exact", &test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && printed.contains("1 passed");
    assert!(passed, "{printed}\n{complained}");
    false
}
