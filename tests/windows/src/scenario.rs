//! `greenroom.exe` under Wine, as a person and an agent use it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use miette::{IntoDiagnostic as _, Result, miette};
use serde_json::{Value, json};

/// How many files the set has that is killed in the middle, and how often.
const KILLED_FILES: usize = 60;
const KILLS: u64 = 6;

/// Uses the binary; how many of its promises were seen to hold.
pub(super) fn run(wine: &Path, binary: &Path) -> Result<usize> {
    let folder = tempfile::tempdir().into_diagnostic()?;
    let user = User { wine, binary, folder: folder.path() };
    fs::create_dir_all(user.work()).into_diagnostic()?;
    let mut held = 0;
    let mut holds = |claim: &str, is_so: bool| {
        held += 1;
        if is_so { Ok(()) } else { Err(miette!("greenroom.exe under Wine: not so: {claim}")) }
    };

    user.put("a.txt", b"one\r\ntwo\r\n")?;
    user.put("gone.txt", b"gone\n")?;
    let before = user.files()?;
    user.propose("a.txt", b"one\r\nTWO\r\n")?;
    user.propose("new/b.txt", b"new\n")?;
    user.must(&["propose", "gone.txt", "--delete", "--session", "agent"])?;
    holds("a proposal leaves the workspace as it is", user.files()? == before)?;
    let diff = user.must(&["diff"])?;
    holds(
        "the diff shows the lines",
        diff.contains("-two\r\n+TWO\r\n") && diff.contains("+new\n"),
    )?;
    let wrong = user.greenroom(&["apply", "--expect", &"0".repeat(64)])?;
    holds("another signature is refused", wrong.status.code() == Some(4))?;
    holds("and changes nothing", user.files()? == before)?;
    let signature = user.signature()?;
    user.must(&["apply", "--expect", &signature])?;
    let applied = user.files()?;
    holds("what was approved is on the disk", {
        let file = |name: &str| applied.get(name).map(Vec::as_slice);
        file("a.txt") == Some(b"one\r\nTWO\r\n") && file("new/b.txt") == Some(b"new\n")
    })?;
    holds("and nothing else", !applied.contains_key("gone.txt") && applied.len() == 2)?;
    user.must(&["undo", "a1"])?;
    holds("an undo brings every file back", user.files()? == before)?;

    user.propose("a.txt", b"mine\n")?;
    let signature = user.signature()?;
    user.put("a.txt", b"the user's\n")?;
    let stale = user.greenroom(&["apply", "--expect", &signature])?;
    holds("a file that its user changed is stale", stale.status.code() == Some(3))?;
    holds("and stays", user.files()?.get("a.txt").is_some_and(|now| now == b"the user's\n"))?;
    for path in ["../out.txt", "sub/CON", "b.txt:stream", ".git/config"] {
        let refused = user.greenroom(&["propose", path, "--from", &user.outside("x", b"x")?])?;
        holds(path, refused.status.code() == Some(4))?;
    }
    held += killed(&user)?;
    held += served(&user)?;
    Ok(held)
}

/// Kills an apply after different times; the set is whole after recovery each time.
fn killed(user: &User<'_>) -> Result<usize> {
    let name = |number: usize| format!("killed/f{number}.txt");
    for number in 0..KILLED_FILES {
        user.put(&name(number), b"old\n")?;
    }
    let mut ends = BTreeMap::new();
    for round in 0..KILLS {
        let content = format!("round {round}\n").into_bytes();
        let old = user.files()?;
        let mut patch = String::new();
        for number in 0..KILLED_FILES {
            let path = name(number);
            let was = String::from_utf8_lossy(&old[&path]).into_owned();
            patch.push_str(&format!(
                "--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{was}+round {round}\n"
            ));
        }
        let patch = user.outside("set.patch", patch.as_bytes())?;
        user.must(&["propose", "--patch", &patch, "--session", "kills"])?;
        let signature = user.signature()?;
        let mut apply = user.command(&["apply", "--expect", &signature]);
        let mut apply =
            apply.stdout(Stdio::null()).stderr(Stdio::null()).spawn().into_diagnostic()?;
        std::thread::sleep(Duration::from_millis(150 + 130 * round));
        // What had ended by then was not killed, and is checked too.
        apply.kill().into_diagnostic()?;
        apply.wait().into_diagnostic()?;
        user.must(&["recover"])?;
        let now = user.files()?;
        let new = (0..KILLED_FILES).filter(|number| now[&name(*number)] == content).count();
        let same = (0..KILLED_FILES).filter(|n| now[&name(*n)] == old[&name(*n)]).count();
        let (all_new, all_old) = (new == KILLED_FILES, same == KILLED_FILES);
        if !all_new && !all_old || now.len() != old.len() {
            return Err(miette!(
                "killed after {round}: {new} of {KILLED_FILES} files are new: {:?}",
                now.keys()
            ));
        }
        *ends.entry(all_new).or_insert(0) += 1;
        if all_old {
            user.must(&["discard", "kills", "--yes"])?;
        }
    }
    let ended = |new| ends.get(&new).copied().unwrap_or(0);
    println!("  {KILLS} kills: {} all old, {} all new, none mixed", ended(false), ended(true));
    Ok(KILLS as usize)
}

/// The server of the Model Context Protocol: a write waits, and its agent reads it back.
fn served(user: &User<'_>) -> Result<usize> {
    let mut server = user.command(&["mcp"]);
    let mut server = server
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .into_diagnostic()?;
    let mut input = server.stdin.take().ok_or_else(|| miette!("no standard input"))?;
    let mut output = BufReader::new(server.stdout.take().ok_or_else(|| miette!("no output"))?);
    let mut call = |id: u32, method: &str, params: Value| -> Result<Value> {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        writeln!(input, "{request}").into_diagnostic()?;
        loop {
            let mut line = String::new();
            if output.read_line(&mut line).into_diagnostic()? == 0 {
                return Err(miette!("`greenroom.exe mcp` ended at `{method}`"));
            }
            let answer: Value = serde_json::from_str(&line).into_diagnostic()?;
            if answer["id"] == id {
                return Ok(answer);
            }
        }
    };
    let client = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": { "name": "xtask", "version": "1" },
    });
    let hello = call(1, "initialize", client)?;
    let write =
        json!({ "name": "write_file", "arguments": { "path": "mcp.txt", "content": "staged\n" } });
    let written = call(2, "tools/call", write)?;
    let read = json!({ "name": "read_text_file", "arguments": { "path": "mcp.txt" } });
    let read = call(3, "tools/call", read)?;
    drop(input);
    server.wait().into_diagnostic()?;
    let seen = read["result"]["content"][0]["text"].as_str().unwrap_or_default();
    let checks = [
        ("the server answers", hello["result"]["serverInfo"].is_object()),
        (
            "a write is staged",
            written["result"]["isError"] != json!(true) && written["result"].is_object(),
        ),
        ("its agent reads it back", seen.contains("staged")),
        ("the disk has none of it", !user.work().join("mcp.txt").exists()),
    ];
    for (claim, is_so) in checks {
        if !is_so {
            return Err(miette!("greenroom.exe mcp under Wine: not so: {claim}: {written} {read}"));
        }
    }
    Ok(checks.len())
}

/// Who sits before the machine: files are written from outside of Wine.
struct User<'a> {
    wine: &'a Path,
    binary: &'a Path,
    folder: &'a Path,
}

impl User<'_> {
    fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.work().join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).into_diagnostic()?;
        }
        fs::write(path, content).into_diagnostic()
    }

    /// A file outside of the workspace, by the name that Wine gives it.
    fn outside(&self, name: &str, content: &[u8]) -> Result<String> {
        let path = self.folder.join(name);
        fs::write(&path, content).into_diagnostic()?;
        Ok(windows_name(&path))
    }

    /// Every file in the workspace by its name.
    fn files(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.work()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_diagnostic()? {
                let path = entry.into_diagnostic()?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name =
                        path.strip_prefix(self.work()).into_diagnostic()?.display().to_string();
                    files.insert(name, fs::read(&path).into_diagnostic()?);
                }
            }
        }
        Ok(files)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.wine);
        command
            .arg(self.binary)
            .args(["--workspace", &windows_name(&self.work())])
            .args(["--state-dir", &windows_name(&self.folder.join("state"))])
            .args(arguments)
            .stdin(Stdio::null())
            .current_dir(self.work());
        command
    }

    fn greenroom(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments).output().into_diagnostic()
    }

    fn must(&self, arguments: &[&str]) -> Result<String> {
        let output = self.greenroom(arguments)?;
        if !output.status.success() {
            let (out, said) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            return Err(miette!(
                "`greenroom.exe {}` ({}): {out}{said}",
                arguments.join(" "),
                output.status
            ));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn propose(&self, path: &str, content: &[u8]) -> Result<String> {
        let from = self.outside("proposed", content)?;
        self.must(&["propose", path, "--from", &from, "--session", "agent"])
    }

    fn signature(&self) -> Result<String> {
        let status: Value =
            serde_json::from_str(&self.must(&["status", "--json"])?).into_diagnostic()?;
        status["signature"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| miette!("no signature: {status}"))
    }
}

/// Wine shows the whole file system as its drive Z.
fn windows_name(path: &Path) -> String {
    format!("Z:{}", path.display().to_string().replace('/', "\\"))
}
