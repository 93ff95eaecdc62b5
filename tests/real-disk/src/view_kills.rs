//! SIGKILL at every system call of `run` and of the import that follows it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use crate::kill::count;
use crate::tree;
use crate::trial::Fixture;
use crate::volume::{self, Volume, is_installed};

/// What the command does: each change, and then a line outside of the workspace that says so.
const STEPS: [(&str, &str); 5] = [
    ("printf 'created\\n' > created", "+created"),
    ("printf 'more\\n' >> modify", "+more"),
    ("rm delete", "-before: delete"),
    ("mkdir made && printf 'inner\\n' > made/inner", "+inner"),
    ("chmod 755 mode", "new mode 100755"),
];

/// How long the command of a killed `run` may go on.
const END_MAX: Duration = Duration::from_secs(20);

/// Kills `run`, its keeper and its command, and then the import of what a killed `run` has left.
pub(super) fn run(greenroom: &Path, volume: &Volume, every: usize) -> Result<()> {
    if !is_installed("strace") {
        println!("{}: kills of `run` skipped, strace is not installed", volume.name);
        return Ok(());
    }
    let trial = Trial::new(greenroom, volume)?;
    let probe = trial.fixture.greenroom(&["run", "--view", "overlay", "--", "true"])?;
    if !probe.status.success() {
        let said = String::from_utf8_lossy(&probe.stderr);
        println!("{}: kills of `run` skipped: {}", volume.name, said.trim_end());
        return Ok(());
    }
    trial.kill_runs("`run`", &[], every)?;
    trial.kill_runs("any process of `run`", &["-f"], every)?;
    trial.kill_imports(every)
}

struct Trial<'a> {
    fixture: Fixture<'a>,
    volume: &'a Volume,
    script: String,
    before: BTreeMap<std::path::PathBuf, [i64; 5]>,
}

impl<'a> Trial<'a> {
    fn new(greenroom: &'a Path, volume: &'a Volume) -> Result<Self> {
        let fixture = Fixture::new(greenroom, volume)?;
        for name in ["modify", "delete", "mode", "kept"] {
            let content = format!("before: {name}\n");
            fs::write(fixture.tree.join(name), content).into_diagnostic()?;
        }
        let told = volume.folder.join("told").display().to_string();
        let steps = STEPS.iter().enumerate();
        let steps: String = steps
            .map(|(step, (change, _))| format!("{change} && echo {step} >> {told} || exit\n"))
            .collect();
        let script = format!("echo $$ > {told}.id\n{steps}");
        // What was written in this moment is not yet taken for unchanged.
        thread::sleep(Duration::from_millis(50));
        let before = tree::stamps(&fixture.tree).into_diagnostic()?;
        Ok(Self { fixture, volume, script, before })
    }

    /// Kills at each call of `run`, or of any of its processes with strace's option for that.
    fn kill_runs(&self, who: &str, options: &[&str], every: usize) -> Result<()> {
        let name = self.volume.name;
        self.lay()?;
        let calls = self.calls(options, &self.run_arguments())?;
        let total: usize = calls.values().sum();
        let (mut killed, mut tried, mut begun, mut complete) = (0, 0, 0, 0);
        for (call, nth) in points(&calls).step_by(every) {
            self.lay()?;
            let case = format!("{name}: {who} killed at {call} number {nth}");
            let output = self.traced(options, &inject(call, nth), &self.run_arguments())?;
            tried += 1;
            killed += usize::from(!output.status.success());
            let done = self.check(&case)?;
            begun += usize::from(done > 0);
            complete += usize::from(done == STEPS.len());
        }
        if killed < tried * 8 / 10 || begun == 0 || complete == 0 || begun == tried {
            return Err(miette!(
                "{name}: too few kills hit {who}: {killed} of {tried}, the command had begun in \
                 {begun} and ended in {complete}"
            ));
        }
        println!(
            "{name}: {who}: {total} system calls, {killed} kills ({begun} after the command had \
             written, {complete} after its last change), nothing written was lost"
        );
        Ok(())
    }

    /// Kills the command that imports what a killed `run` has left.
    fn kill_imports(&self, every: usize) -> Result<()> {
        let name = self.volume.name;
        self.lay()?;
        self.leave_unimported()?;
        let template = self.volume.folder.join("template");
        let copy = |from: &Path, to: &Path| {
            remove(to)?;
            volume::run(Command::new("cp").args(["-a"]).arg(from).arg(to))
                .map_err(|error| miette!("{error}"))
        };
        copy(&self.fixture.state, &template)?;
        let status = ["status"];
        let calls = self.calls(&[], &status)?;
        let expected = self.signature()?;
        let total: usize = calls.values().sum();
        let (mut killed, mut tried) = (0, 0);
        for (call, nth) in points(&calls).step_by(every) {
            copy(&template, &self.fixture.state)?;
            let case = format!("{name}: import killed at {call} number {nth}");
            let output = self.traced(&[], &inject(call, nth), &status)?;
            tried += 1;
            killed += usize::from(!output.status.success());
            let found = self.signature().wrap_err_with(|| case.clone())?;
            if found != expected {
                return Err(miette!("{case}: the set has signature {found}, not {expected}"));
            }
            self.check(&case)?;
        }
        if killed < tried * 8 / 10 {
            return Err(miette!("{name}: too few kills hit the import: {killed} of {tried}"));
        }
        println!("{name}: import: {total} system calls, {killed} kills, each set was the same");
        Ok(())
    }

    /// Ends with a layer that holds every change, and a store that has none of them.
    fn leave_unimported(&self) -> Result<()> {
        // The command is the keeper's child, which is the child of `run`.
        let kill = "read -r _ _ _ run _ < /proc/$PPID/stat; kill -KILL $run; exec sleep 1000";
        let script = format!("{}{kill}", self.script);
        let output =
            self.fixture.greenroom(&["run", "--session=trial", "--", "sh", "-c", &script])?;
        if output.status.code().is_some() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(miette!("`run` was not killed: {said}"));
        }
        self.await_end("a killed `run`")
    }

    fn run_arguments(&self) -> [&str; 6] {
        ["run", "--session=trial", "--", "sh", "-c", &self.script]
    }

    fn traced(
        &self,
        options: &[&str],
        inject: &str,
        arguments: &[&str],
    ) -> Result<std::process::Output> {
        let runner = ["strace", "-o", "/dev/null", "-e", inject];
        let runner: Vec<&str> = runner.iter().chain(options).copied().collect();
        self.fixture.command(&runner, arguments).output().into_diagnostic()
    }

    /// How often a process makes each call at most.
    fn calls(&self, options: &[&str], arguments: &[&str]) -> Result<BTreeMap<String, usize>> {
        let log = self.volume.folder.join("strace.log").display().to_string();
        let runner = ["strace", "-o", log.as_str()];
        let runner: Vec<&str> = runner.iter().chain(options).copied().collect();
        let output = self.fixture.command(&runner, arguments).output().into_diagnostic()?;
        if !output.status.success() {
            return Err(miette!("traced: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let log = fs::read_to_string(&log).into_diagnostic()?;
        let mut most: BTreeMap<String, usize> = BTreeMap::new();
        let mut processes: BTreeMap<&str, String> = BTreeMap::new();
        for line in log.lines() {
            // Without `-f` the lines have no number of the process.
            let (id, rest) = match line.split_once(' ') {
                Some((id, rest)) if id.bytes().all(|byte| byte.is_ascii_digit()) => (id, rest),
                _ => ("", line),
            };
            let text = processes.entry(id).or_default();
            text.push_str(&format!("1 {}\n", rest.trim_start()));
        }
        for text in processes.values() {
            for (call, number) in count(text) {
                let most = most.entry(call).or_default();
                *most = number.max(*most);
            }
        }
        Ok(most)
    }

    /// An empty state.
    fn lay(&self) -> Result<()> {
        remove(&self.fixture.state)?;
        fs::create_dir_all(&self.fixture.state).into_diagnostic()?;
        for name in ["told", "told.id"] {
            let _ = fs::remove_file(self.volume.folder.join(name));
        }
        Ok(())
    }

    /// How many changes the command has reported. Each of them must be pending, the workspace
    /// untouched, nothing mounted, and the session able to go on.
    fn check(&self, case: &str) -> Result<usize> {
        let broken = |what: String| Err(miette!("{case}: {what}"));
        self.await_end(case)?;
        let told = fs::read_to_string(self.volume.folder.join("told")).unwrap_or_default();
        let done = told.lines().count();
        let diff = self.fixture.must(&["diff"]).wrap_err_with(|| case.to_owned())?;
        for (change, shown) in &STEPS[..done] {
            if !diff.contains(shown) {
                return broken(format!("`{change}` is lost: {diff}"));
            }
        }
        let now = tree::stamps(&self.fixture.tree).into_diagnostic()?;
        if now != self.before {
            return broken("the workspace has changed".to_owned());
        }
        let state = self.fixture.state.display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").into_diagnostic()?;
        if mounts.lines().any(|line| line.contains(&format!("{state}/"))) {
            return broken("something is still mounted".to_owned());
        }
        if done > 0 {
            let again = ["run", "--session", "trial", "--", "cat", "created"];
            let seen = self.fixture.must(&again).wrap_err_with(|| case.to_owned())?;
            if seen != "created\n" {
                return broken(format!("the session goes on without its file: {seen:?}"));
            }
        }
        Ok(done)
    }

    /// Waits until the command has ended, as it does with `run`.
    fn await_end(&self, case: &str) -> Result<()> {
        let id = fs::read_to_string(self.volume.folder.join("told.id")).unwrap_or_default();
        let deadline = Instant::now() + END_MAX;
        let is_there = || {
            let status = fs::read_to_string(format!("/proc/{}/status", id.trim()));
            !id.is_empty() && status.is_ok_and(|status| !status.contains("State:\tZ"))
        };
        while is_there() {
            if Instant::now() > deadline {
                return Err(miette!("{case}: the command goes on"));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// The signature of everything that is pending.
    fn signature(&self) -> Result<String> {
        let status = self.fixture.must(&["--json", "status"])?;
        let status: serde_json::Value = serde_json::from_str(&status).into_diagnostic()?;
        Ok(status["signature"].to_string())
    }
}

fn inject(call: &str, nth: usize) -> String {
    format!("inject={call}:signal=KILL:when={nth}")
}

fn points(calls: &BTreeMap<String, usize>) -> impl Iterator<Item = (&String, usize)> {
    calls.iter().flat_map(|(call, number)| (1..=*number).map(move |nth| (call, nth)))
}

/// Removes a directory, also what the kernel left in it without permissions.
fn remove(directory: &Path) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    let script = "chmod -R u+rwx \"$0\" && rm -rf \"$0\"";
    volume::run(Command::new("sh").arg("-c").arg(script).arg(directory))
        .map_err(|error| miette!("{error}"))
}
