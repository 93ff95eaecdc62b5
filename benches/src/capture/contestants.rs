//! The ways of running a command that are measured side by side.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic as _, Result, miette};

use super::work::{Measured, Work};
use crate::programs::{release_build, succeed};

/// A way of running a command.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    way: Way,
}

enum Way {
    Bare,
    Greenroom(PathBuf),
    Bubblewrap(PathBuf),
    Try(PathBuf),
}

impl Contestant {
    /// All that this machine has, the bare command first. What is missing is named.
    pub(super) fn all(root: &Path, folder: &Path) -> Result<Vec<Self>> {
        let greenroom = release_build(root)?;
        let mut all = vec![
            Self { name: "bare", way: Way::Bare },
            Self { name: "greenroom run", way: Way::Greenroom(greenroom) },
        ];
        let help = |program: &Path| {
            let output = Command::new(program).arg("--help").output().into_diagnostic()?;
            Ok::<_, miette::Report>(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        match in_path("bwrap") {
            Some(bwrap) if help(&bwrap)?.contains("--overlay ") => {
                all.push(Self { name: "bubblewrap", way: Way::Bubblewrap(bwrap) });
            }
            _ => println!("skipped: bubblewrap with --overlay (0.11) is not in the path"),
        }
        match in_path("try") {
            Some(own) => all.push(Self { name: "try", way: Way::Try(own) }),
            None => println!("skipped: try (github.com/binpash/try) is not in the path"),
        }
        fs::create_dir_all(folder.join("state")).into_diagnostic()?;
        Ok(all)
    }

    /// Does the work once, and brings everything back.
    pub(super) fn measure(&self, tree: &Path, folder: &Path, work: &Work) -> Result<Measured> {
        let times = folder.join("tools/times");
        // The clock starts again where the script says so.
        let script = format!(
            "begin() {{ date +%s%N > {times}; }}; begin; {}; date +%s%N >> {times}",
            work.script,
            times = times.display(),
        );
        // As a file: try joins the words of its command without quotes.
        let script_file = folder.join("tools/script");
        fs::write(&script_file, script).into_diagnostic()?;
        let layer = folder.join("layer");
        let mut command = match &self.way {
            Way::Bare => Command::new("sh"),
            Way::Greenroom(own) => {
                let mut command = Command::new(own);
                command.args(["--quiet", "--state-dir"]).arg(folder.join("state"));
                command.args(["run", "--session", "bench", "--", "sh"]);
                command
            }
            Way::Bubblewrap(own) => {
                for name in ["upper", "work"] {
                    fs::create_dir_all(layer.join(name)).into_diagnostic()?;
                }
                let mut command = Command::new(own);
                command.args(["--dev-bind", "/", "/", "--overlay-src"]).arg(tree).arg("--overlay");
                command.arg(layer.join("upper")).arg(layer.join("work")).arg(tree).arg("sh");
                command
            }
            Way::Try(own) => {
                fs::create_dir_all(&layer).into_diagnostic()?;
                let mut command = Command::new(own);
                command.arg("-N").arg(&layer).arg("sh");
                command
            }
        };
        command.arg(&script_file).current_dir(tree);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        succeed(&mut command)?;
        let all = begun.elapsed();
        let inside = read_times(&times, &layer)?;
        self.bring_back(tree, folder, work)?;
        Ok(Measured { inside, around: all.saturating_sub(inside) })
    }

    fn bring_back(&self, tree: &Path, folder: &Path, work: &Work) -> Result<()> {
        let quiet = |command: &mut Command| succeed(command.stdout(Stdio::null()));
        match &self.way {
            Way::Bare => quiet(Command::new("sh").args(["-c", work.undo]).current_dir(tree)),
            Way::Greenroom(own) => quiet(
                Command::new(own)
                    .args(["--quiet", "--state-dir"])
                    .arg(folder.join("state"))
                    .args(["session", "close", "bench", "--yes"])
                    .current_dir(tree),
            ),
            Way::Bubblewrap(_) | Way::Try(_) => {
                // The kernel's own directory in it has no permissions.
                let script = OsString::from("chmod -R u+rwx layer && rm -rf layer");
                quiet(Command::new("sh").arg("-c").arg(script).current_dir(folder))
            }
        }
    }
}

/// What the script wrote down; in a view that holds back more than the workspace it is in the layer.
fn read_times(times: &Path, layer: &Path) -> Result<Duration> {
    let held = layer.join("upperdir").join(times.strip_prefix("/").into_diagnostic()?);
    let text =
        fs::read_to_string(&held).or_else(|_| fs::read_to_string(times)).into_diagnostic()?;
    let numbers: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    match numbers[..] {
        [begun, ended] => Ok(Duration::from_nanos(ended.saturating_sub(begun))),
        _ => Err(miette!("the script did not write its times: {text:?}")),
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}
