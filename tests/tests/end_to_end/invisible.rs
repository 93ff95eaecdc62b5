//! Characters that a terminal does not show are spelled out wherever people read what agents wrote.

use std::sync::LazyLock;

use end_to_end::Fixture;
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::mcp::client::Client;
use crate::terminal::Terminal;

/// Unicode 17.0, DerivedCoreProperties.txt, `Default_Ignorable_Code_Point`; and PropList.txt,
/// `Bidi_Control`.
const RANGES: [(u32, u32); 19] = [
    (0xad, 0xad),
    (0x34f, 0x34f),
    (0x61c, 0x61c),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x202a, 0x202e),
    (0x2060, 0x206f),
    (0x2066, 0x2069),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfff8),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
    (0x200e, 0x200f),
];

fn all() -> &'static [char] {
    static ALL: LazyLock<Vec<char>> = LazyLock::new(listed);
    &ALL
}

fn listed() -> Vec<char> {
    let ranges = RANGES.iter().flat_map(|(first, last)| *first..=*last);
    let mut all: Vec<char> = ranges.filter_map(char::from_u32).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[track_caller]
fn assert_spelled_out(text: &str, place: &str) {
    let hidden: Vec<String> = text
        .chars()
        .filter(|character| all().binary_search(character).is_ok())
        .map(|character| format!("U+{:04X}", u32::from(character)))
        .collect();
    assert!(hidden.is_empty(), "{place} has {hidden:?}");
}

/// Files with these characters in their names and contents, proposed by an agent in a session whose
/// label has some of them.
struct Hostile {
    stage: Fixture,
    client: Client,
    label: String,
    names: usize,
}

impl Hostile {
    fn new() -> Self {
        let stage = Fixture::new();
        let text: String = all().iter().flat_map(|hidden| ['a', *hidden]).collect();
        let label = format!("l{}", all().iter().take(30).collect::<String>());
        let mut client = Client::greeted(&stage, &["--session", &label], json!({}));
        // A name has at most 255 bytes.
        let chunks: Vec<Vec<char>> = all().chunks(55).map(<[char]>::to_vec).collect();
        for (number, hidden) in chunks.iter().enumerate() {
            let name: String = hidden.iter().collect();
            let path = format!(".{number}{name}");
            client.ok("write_file", json!({"path": path, "content": format!("{text}\n")}));
        }
        Self { stage, client, label, names: chunks.len() }
    }

    fn text(&self, arguments: &[&str]) -> String {
        let ran = self.stage.run(arguments).expect(0);
        String::from_utf8(ran.stdout).expect("text") + &ran.stderr
    }
}

/// What the command writes for a person who reads it on a terminal.
fn on_a_terminal(stage: &Fixture, arguments: &[&str]) -> String {
    Terminal::run(stage, arguments).answer_and_read("").1
}

#[test]
fn nothing_that_an_agent_wrote_is_invisible() {
    let mut hostile = Hostile::new();
    let last = format!("p{}", hostile.names);

    for tool in ["pending", "diff"] {
        let called = hostile.client.call(tool, json!({"ids": ["p1", last]}));
        let called = if called.is_error { hostile.client.call(tool, json!({})) } else { called };
        assert!(called.text.contains("U+") || called.text.contains("\\xe"), "{}", called.text);
        assert_spelled_out(&called.text, tool);
    }
    let reason: String = all().iter().flat_map(|hidden| ['r', *hidden]).collect();
    hostile.stage.run(["discard", &last, "--reason", &reason]).expect(0);
    assert_spelled_out(&hostile.client.ok("pending", json!({})), "a reason for the agent");

    for arguments in [
        &["status"][..],
        &["log"],
        &["diff", "--stat"],
        &["session", "list"],
        &["status", "--json"],
        &["diff", "--json"],
        &["log", "--json"],
        &["show", &last, "--json"],
        &["session", "list", "--json"],
    ] {
        let text = hostile.text(arguments);
        assert!(text.len() > 30, "{arguments:?}: {text}");
        assert_spelled_out(&text, &arguments.join(" "));
    }
    assert!(hostile.text(&["status"]).contains("risk: hidden ("));
    let piped = hostile.stage.run(["diff"]).expect(0);
    assert_spelled_out(&piped.stderr, "what stands beside a diff for programs");
    let kept: String = all().iter().flat_map(|hidden| ['a', *hidden]).collect();
    let diff = String::from_utf8(piped.stdout).expect("UTF-8");
    assert!(diff.contains(&kept), "the diff for programs has every byte");

    for arguments in [&["diff"][..], &["show", "p1"], &["show", &last], &["status"], &["log"]] {
        let seen = on_a_terminal(&hostile.stage, arguments);
        assert!(seen.contains("<U+") || seen.contains("\\xe"), "{arguments:?}: {seen}");
        assert_spelled_out(&seen, &format!("{arguments:?} on a terminal"));
    }
    let mut terminal =
        Terminal::run(&hostile.stage, &["watch", "--since", "0", "--color", "never"]);
    assert_spelled_out(&terminal.read_until(&format!("  {last}")), "watch on a terminal");
    kill_process(terminal.pid(), Signal::INT).expect("it runs");
    assert_spelled_out(&terminal.until_its_end().1, "watch on a terminal");
    let word = format!(".{}", hostile.names - 1);
    for asked in [
        &["__complete", "zsh", "2", "greenroom", "diff", ""][..],
        &["__complete", "fish", "2", "greenroom", "diff", &word],
        &["__complete", "bash", "greenroom cat x --session ", " "],
        &["__complete", "powershell", "2", "greenroom", "log", ""],
    ] {
        let text = hostile.text(asked);
        assert!(text.starts_with("values\n"), "{text}");
        assert_spelled_out(&text, &asked.join(" "));
    }
    // Settings are a file of the workspace, where an agent may have written them.
    let command = json!(format!("/nowhere/{}/greenroom", all().iter().collect::<String>()));
    let settings = json!({"mcpServers": {"greenroom": {"command": command, "args": ["mcp"]}}});
    hostile.stage.run(["init", "claude-code", "--yes"]).expect(0);
    hostile.stage.write(".mcp.json", settings.to_string());
    for arguments in [&["doctor"][..], &["doctor", "--json"]] {
        let ran = hostile.stage.run(arguments).expect(1);
        let text = String::from_utf8(ran.stdout).expect("text") + &ran.stderr;
        assert!(text.contains("/nowhere/"), "{text}");
        assert_spelled_out(&text, &arguments.join(" "));
    }
    let mut terminal = Terminal::run(&hostile.stage, &["apply"]);
    assert_spelled_out(terminal.until_asked(), "the question of apply");
    assert_eq!(terminal.answer("n\n"), Some(4));
    let mut terminal = Terminal::run(&hostile.stage, &["discard"]);
    assert_spelled_out(terminal.until_asked(), "the question of discard");
    assert_eq!(terminal.answer("n\n"), Some(4));

    let unknown = hostile.stage.run(["diff", &reason]).expect(1);
    assert_spelled_out(&unknown.stderr, "an error");
    let closed = hostile.stage.run(["session", "close", &hostile.label, "--yes"]).expect(0);
    assert_spelled_out(&String::from_utf8_lossy(&closed.stdout), "a closed session");
}
