//! What README.md and docs/ show of a terminal is what the commands print, and their Rust runs.
//!
//! Each `console` block is a conversation: a line after `$` is run in bash, in an empty git
//! repository that the blocks of a document share, and what follows is its output, standard error
//! last. `…` stands for any text. A command whose output ends a line with `[y/N] y` is run on a
//! terminal, and answered so. A line `<!-- run: COMMAND -->` is run as well, and shown nowhere;
//! `<!-- workspace -->` begins an empty repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use end_to_end::{Fixture, greenroom_binary, output};
use orchestrator_adapter::{
    ApplyChangeSet, ApplyOutcome, ApproveRule, Event, PathGlobs, RequestId, ShowDiff, Staging,
    StagingOptions, safe_write,
};

use crate::terminal::Terminal;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie below the repository")
}

fn document(path: &str) -> String {
    fs::read_to_string(repository().join(path)).expect("the document is there")
}

/// What a document says to do.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// A workspace of its own for what follows.
    NewWorkspace,
    /// A command that nobody is shown.
    Prepare(String),
    /// A command and what it prints.
    Show { command: String, printed: String },
}

fn steps(document: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut is_console = false;
    for line in document.lines() {
        let hidden = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
        match (is_console, line, hidden) {
            (false, "```console", _) => is_console = true,
            (true, "```", _) => is_console = false,
            (false, _, Some("workspace")) => steps.push(Step::NewWorkspace),
            (false, _, Some(hidden)) => {
                let command = hidden.strip_prefix("run: ").map(str::to_owned);
                steps.extend(command.map(Step::Prepare));
            }
            (true, line, _) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    let command = command.to_owned();
                    steps.push(Step::Show { command, printed: String::new() });
                }
                (None, Some(Step::Show { printed, .. })) => {
                    printed.push_str(line);
                    printed.push('\n');
                }
                (None, _) => panic!("a block begins with a command: {line}"),
            },
            (false, ..) => {}
        }
    }
    steps
}

/// Whether `printed` is what is shown, in which `…` stands for any text.
fn is_as_shown(printed: &str, shown: &str) -> bool {
    let parts: Vec<&str> = shown.trim_end().split('…').collect();
    let printed = printed.trim_end();
    let [first, between @ .., last] = &parts[..] else { return printed == parts[0] };
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Runs a command as a shell in the workspace would; the exit code and what it printed.
fn run(stage: &Fixture, command: &str, last_code: i32) -> (i32, String) {
    let script = format!("umask 022\n(exit {last_code})\n{command}\n");
    let folder = greenroom_binary().parent().expect("it is in a folder");
    let path = std::env::var("PATH").expect("it is text");
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(stage.workspace()).env_clear();
    shell.envs(stage.command([""; 0]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", format!("{}:{path}", folder.display()));
    let output = output(&mut shell);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap_or(-1), printed + &String::from_utf8_lossy(&output.stderr))
}

/// Runs a command of Greenroom on a terminal and answers its question with yes.
fn run_and_agree(stage: &Fixture, command: &str) -> (i32, String) {
    let arguments = command.strip_prefix("greenroom ").expect("Greenroom asks such questions");
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.push("--color=never");
    let mut terminal = Terminal::run(stage, &arguments);
    let seen = terminal.until_asked().to_owned();
    let (code, rest) = terminal.answer_and_read("y\n");
    (code.unwrap_or(-1), (seen + &rest).replace("\r\n", "\n"))
}

/// Runs every step of a document; how many commands it shows.
fn check(path: &str) -> usize {
    let mut stage = Fixture::new();
    let mut last_code = 0;
    let mut shown = 0;
    for step in steps(&document(path)) {
        match step {
            Step::NewWorkspace => stage = Fixture::new(),
            Step::Prepare(command) => {
                let (code, printed) = run(&stage, &command, 0);
                assert_eq!(code, 0, "{path}: `{command}` prepares what follows:\n{printed}");
            }
            Step::Show { command, printed: expected } => {
                let asks = expected.lines().any(|line| line.ends_with("[y/N] y"));
                let (code, printed) = match asks {
                    true => run_and_agree(&stage, &command),
                    false => run(&stage, &command, last_code),
                };
                last_code = code;
                shown += 1;
                let holds = is_as_shown(&printed, &expected);
                assert!(holds, "{path} shows of `{command}`:\n{expected}\nit prints:\n{printed}");
            }
        }
    }
    shown
}

/// README.md and the pages of docs/.
fn documents() -> Vec<String> {
    let mut documents = vec!["README.md".to_owned()];
    let folder = fs::read_dir(repository().join("docs")).expect("the folder is there");
    documents.extend(folder.map(|entry| {
        let name = entry.expect("it can be read").file_name();
        format!("docs/{}", name.to_str().expect("a plain name"))
    }));
    documents
}

#[test]
fn every_command_that_a_document_shows_prints_what_is_shown() {
    let shown: usize = documents().iter().map(|path| check(path)).sum();
    assert!(shown >= 10, "the documents show only {shown} commands: are the blocks recognised?");
}

/// The command lines of Greenroom in code spans and in blocks of code.
fn command_lines(document: &str) -> Vec<String> {
    let spans = document.split('`').skip(1).step_by(2).map(str::to_owned);
    let lines = document.lines().map(|line| line.trim_start_matches("$ ").to_owned());
    let pieces = spans.chain(lines).filter_map(|text| {
        let rest = text.strip_prefix("greenroom ").map(str::to_owned)?;
        Some(rest.split(['|', '&', '\n', ';', '…']).next().unwrap_or_default().trim().to_owned())
    });
    pieces.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase())).collect()
}

#[test]
fn every_command_and_option_that_a_document_names_is_one() {
    let stage = Fixture::new();
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    for path in documents() {
        for line in command_lines(&document(&path)) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let nested = ["session", "plugin"].contains(&words[0]) && words.len() > 1;
            let name = words[..if nested { 2 } else { 1 }].join(" ");
            let help = helps.entry(name.clone()).or_insert_with(|| {
                let ran = stage.run(name.split(' ').chain(["--help"]));
                assert_eq!(ran.code, Some(0), "{path} names the command `greenroom {line}`");
                String::from_utf8_lossy(&ran.stdout).into_owned()
            });
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let option = option.split(['=', ']', '[', '"', ',', ')']).next().unwrap_or(option);
                assert!(help.contains(option), "{path}: `greenroom {line}` has no {option}");
            }
        }
    }
    assert!(helps.len() > 10, "only {:?} are named: are they recognised?", helps.keys());
}

#[test]
fn an_output_is_compared_to_its_last_byte_but_for_ellipses() {
    assert!(is_as_shown("one\ntwo\n", "one\ntwo\n"));
    assert!(!is_as_shown("one\ntwo\nthree\n", "one\ntwo\n"));
    assert!(is_as_shown("workspace /a\nb\nc\n", "workspace …\nc\n"));
    assert!(!is_as_shown("workspace /a\nb\nd\n", "workspace …\nc\n"));
    assert!(!is_as_shown("p1\n", "p1 modify …\n"));
}

#[test]
fn steps_are_taken_from_blocks_and_comments() {
    let text =
        "<!-- run: true -->\n```console\n$ a\nout\n$ b\n```\n<!-- workspace -->\n```sh\n$ c\n```\n";
    let show = |command: &str, printed: &str| Step::Show {
        command: command.to_owned(),
        printed: printed.to_owned(),
    };
    let expected =
        [Step::Prepare("true".to_owned()), show("a", "out\n"), show("b", ""), Step::NewWorkspace];
    assert_eq!(steps(text), expected);
}

#[test]
fn the_readmes_plugin_commands_are_steps_of_the_authors_page_which_a_test_runs() {
    let (readme, page) = (document("README.md"), document("docs/plugin-authors.md"));
    let (_, section) = readme.split_once("## Write a diff strategy").expect("it is there");
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let block = block.expect("it shows commands");
    for command in block.lines().filter(|line| !line.starts_with('#')) {
        let is_a_step = page.lines().any(|line| line == command);
        assert!(is_a_step, "docs/plugin-authors.md does not have `{command}`");
    }
}

/// The code of the documents' `rust` blocks, run.
mod embedding {
    use std::error::Error;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    pub(super) type Result = std::result::Result<(), Box<dyn Error>>;

    pub(super) async fn readme(project: PathBuf, state: PathBuf) -> Result {
        let staging = Staging::spawn(StagingOptions::new(&project, &state)).await?;
        let session = staging.open_session("refactorer").await?;
        safe_write(&session.actor, "src/greeting.txt", "good evening\n").await?;

        let shown = session.actor.send(ShowDiff::default()).await??;
        let approval = ApplyChangeSet { expect: Some(shown.signature), ..Default::default() };
        session.actor.send(approval).await??;
        staging.shutdown().await?;
        Ok(())
    }

    pub(super) async fn orchestrators(project: PathBuf, state: PathBuf) -> Result {
        let staging = Staging::spawn(StagingOptions::new(&project, &state)).await?;
        let session = staging.open_session("refactorer").await?.actor;
        safe_write(&session, "src/greeting.txt", "good evening\n").await?;

        let shown = session.send(ShowDiff::default()).await??;
        let request: RequestId = "deploy-7".parse()?;
        let approval = ApplyChangeSet {
            expect: Some(shown.signature),
            request: Some(request.clone()),
            ..Default::default()
        };
        let report = match timeout(Duration::from_secs(5), session.send(approval)).await {
            Ok(answer) => answer??,
            Err(_) => match staging.apply_status(request).await? {
                None => return Err("not begun: the same message may be sent again".into()),
                Some(status) => return Err(format!("begun, outcome {:?}", status.outcome).into()),
            },
        };
        assert_eq!(report.outcome, ApplyOutcome::Committed);
        staging.shutdown().await?;
        Ok(())
    }

    pub(super) async fn rules(project: PathBuf, state: PathBuf) -> Result {
        let mut options = StagingOptions::new(&project, &state);
        let mut docs = ApproveRule::new("docs", PathGlobs::parse(["docs/**"])?);
        docs.lines_max = Some(400);
        options.approval_rules.approve.push(docs);
        let staging = Staging::spawn(options).await?;
        let mut events = staging.events().await?;
        let session = staging.open_session("writer").await?.actor;
        safe_write(&session, "docs/greeting.txt", "good evening\n").await?;
        while let Some(delivery) = events.next().await {
            if matches!(delivery.record.event, Event::ApplyCommitted { .. }) {
                break;
            }
        }
        staging.shutdown().await?;
        Ok(())
    }
}

#[test]
fn the_documents_rust_stages_and_applies_a_file() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a thread of its own needs nothing");
    let check = |ran: embedding::Result, stage: &Fixture| {
        ran.expect("every call succeeds");
        assert_eq!(stage.read("src/greeting.txt"), b"good evening\n");
    };
    let stage = Fixture::new();
    let state = stage.beside("state").join("a");
    check(runtime.block_on(embedding::readme(stage.workspace(), state)), &stage);
    let stage = Fixture::new();
    let state = stage.beside("state").join("a");
    check(runtime.block_on(embedding::orchestrators(stage.workspace(), state)), &stage);
    let stage = Fixture::new();
    let state = stage.beside("state").join("a");
    runtime.block_on(embedding::rules(stage.workspace(), state)).expect("every call succeeds");
    assert_eq!(stage.read("docs/greeting.txt"), b"good evening\n");
}

#[test]
fn the_page_for_orchestrators_has_every_message_with_its_fields() {
    let messages = include_str!("../../../crates/orchestrator-adapter/src/messages.rs");
    let page = document("docs/orchestrators.md");
    for message in messages.split("\npub struct ").skip(1) {
        let (name, rest) = message.split_once([' ', ';']).expect("a struct has a name");
        let body = rest.split("\n}").next().unwrap_or_default();
        let fields =
            body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
        let fields = fields.collect::<Vec<_>>().join(", ");
        let whole = format!("`{name} {{ {fields} }}`");
        let is_by_name =
            page.contains(&format!("`{name}`")) && !page.contains(&format!("`{name} {{"));
        assert!(page.contains(&whole) || is_by_name, "docs/orchestrators.md lacks {whole}");
    }
}

#[test]
fn the_documents_rust_is_the_code_that_a_test_runs() {
    let flat = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let tested = flat(include_str!("documents.rs"));
    for path in ["README.md", "docs/orchestrators.md"] {
        let text = document(path);
        let blocks: Vec<&str> = text.split("```rust\n").skip(1).collect();
        assert!(!blocks.is_empty(), "{path} shows how it is embedded");
        for block in blocks {
            let code = flat(block.split("```").next().unwrap_or_default());
            assert!(tested.contains(code.trim()), "{path} shows code that no test runs:\n{code}");
        }
    }
}
