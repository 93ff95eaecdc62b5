//! Every writing tool stages whole or not at all, and keeps the bytes that it was not asked about.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::json;

use super::client::Client;

/// The words of the command that the answer says approves it, after `greenroom`, with the
/// signature that the answer names.
fn approval(text: &str) -> Vec<String> {
    let after = |start: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("the answer says `{start}`: {text}"))
    };
    let command = after("to approve, the user runs: greenroom ");
    assert!(!command.contains("--expect"), "no command is handed over that approves: {text}");
    let words = command.split(' ').chain(["--expect", after("signature: ")]);
    words.map(str::to_owned).collect()
}

#[test]
fn a_write_waits_for_the_command_that_its_answer_names() {
    let stage = Fixture::new();
    stage.write("src/a.txt", "old\n");
    let before = stage.tree();
    let mut client = Client::new(&stage);
    let text = client.ok("write_file", json!({"path": "src/a.txt", "content": "new\n"}));
    assert!(text.starts_with("Staged p1 modify src/a.txt (+1 -1).\n"), "{text}");
    assert!(text.contains("\nto review: greenroom diff p1\n"), "{text}");
    assert_eq!(client.ok("read_file", json!({"path": "src/a.txt"})), "new\n");
    assert_eq!(stage.tree(), before, "the disk is as it was");
    stage.run(approval(&text)).expect(0);
    assert_eq!(stage.read("src/a.txt"), b"new\n");
    let pending = client.ok("pending", json!({}));
    assert_eq!(pending, "p1 src/a.txt is applied\n\nNothing is pending in this session.");
    assert_eq!(client.ok("pending", json!({})), "Nothing is pending in this session.");
}

#[test]
fn an_approval_of_what_was_replaced_since_is_refused() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    let first = client.ok("write_file", json!({"path": "a.txt", "content": "first\n"}));
    let second = client.ok("write_file", json!({"path": "a.txt", "content": "second\n"}));
    assert!(second.contains("Staged p1 ") && second.contains("revision 2"), "{second}");
    stage.run(approval(&first)).expect(4);
    assert!(!stage.path("a.txt").exists());
    stage.run(approval(&second)).expect(0);
    assert_eq!(stage.read("a.txt"), b"second\n");
}

#[rstest]
#[case::crlf(b"one\r\ntwo\r\n", "two\n", "TWO\n2\n", b"one\r\nTWO\r\n2\r\n")]
#[case::byte_order_mark(b"\xef\xbb\xbfone\ntwo\n", "two", "TWO", b"\xef\xbb\xbfone\nTWO\n")]
#[case::no_final_newline(b"one\ntwo", "two", "TWO", b"one\nTWO")]
#[case::not_utf8(b"caf\xe9\ntwo\n", "two", "TWO", b"caf\xe9\nTWO\n")]
#[case::mixed_endings(b"one\r\ntwo\nthree\r\n", "two", "TWO", b"one\r\nTWO\nthree\r\n")]
#[case::dollars(b"a b\n", "b", "$& $1 $$", b"a $& $1 $$\n")]
fn an_edit_keeps_every_byte_that_it_was_not_asked_about(
    #[case] before: &[u8],
    #[case] old: &str,
    #[case] new: &str,
    #[case] after: &[u8],
) {
    let stage = Fixture::new();
    stage.write("a.txt", before);
    fs::set_permissions(stage.path("a.txt"), fs::Permissions::from_mode(0o750)).expect("ours");
    let mut client = Client::new(&stage);
    let edits = json!([{"oldText": old, "newText": new}]);
    let text = client.ok("edit_file", json!({"path": "a.txt", "edits": edits}));
    assert!(text.starts_with("```diff\ndiff --git a/a.txt b/a.txt\n"), "{text}");
    assert_eq!(stage.read("a.txt"), before);
    stage.run(approval(&text)).expect(0);
    assert_eq!(stage.read("a.txt"), after);
    assert_eq!(stage.mode("a.txt"), 0o750);
}

#[test]
fn a_refused_edit_shows_what_differs_in_the_file() {
    let stage = Fixture::new();
    let utf16: Vec<u8> = "one\ntwo\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    stage.write("wide.txt", utf16);
    stage.write("accents.txt", "cafe\u{301}\n");
    stage.write("tabs.txt", "if x:\n\tgo()\n");
    let mut client = Client::new(&stage);
    for (path, old, says) in [
        ("wide.txt", "two", "the file is UTF-16"),
        ("accents.txt", "caf\u{e9}", "NFC or NFD"),
        ("tabs.txt", "if x:\n    go()", "blanks at the beginnings or ends of lines"),
    ] {
        let edits = json!([{"oldText": old, "newText": "x"}]);
        let text = client.refused("edit_file", json!({"path": path, "edits": edits}));
        assert!(text.contains(says) && !text.contains("read the file again"), "{text}");
    }
    assert_eq!(stage.pending(), 0);
}

#[test]
fn edits_are_staged_all_or_none() {
    let stage = Fixture::new();
    stage.write("a.txt", "one\ntwo\ntwo\n");
    let mut client = Client::new(&stage);
    let mut edit = |edits: serde_json::Value, dry_run: bool| {
        client.call("edit_file", json!({"path": "a.txt", "edits": edits, "dryRun": dry_run}))
    };
    let fits = json!({"oldText": "one", "newText": "1"});
    for (old, says) in [("three", "occurs 0 times"), ("two", "occurs 2 times"), ("", "write_file")]
    {
        let called = edit(json!([fits, {"oldText": old, "newText": "x"}]), false);
        assert!(called.is_error && called.text.contains("edit 2 of 2"), "{}", called.text);
        assert!(called.text.contains(says), "{}", called.text);
    }
    assert!(edit(json!([]), false).is_error);
    let dry = edit(json!([fits, {"oldText": "1\n", "newText": ""}]), true);
    assert_eq!(
        dry.text,
        "```diff\ndiff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n\
         @@ -1,3 +1,2 @@\n-one\n two\n two\n```\n\n"
    );
    assert_eq!(stage.pending(), 0, "refusals and previews stage nothing");
}

#[test]
fn what_could_not_be_shown_is_not_written_back() {
    let stage = Fixture::new();
    stage.write("latin1.txt", b"caf\xe9\n");
    let mut client = Client::new(&stage);
    let read = client.ok("read_text_file", json!({"path": "latin1.txt"}));
    assert_eq!(read, "caf\u{fffd}\n");
    let text = client.refused("write_file", json!({"path": "latin1.txt", "content": read}));
    assert!(text.contains("is not UTF-8"), "{text}");
    client.ok("write_file", json!({"path": "latin1.txt", "content": "café\n"}));
    client.ok("write_file", json!({"path": "new.txt", "content": "\u{fffd}\n"}));
}

#[test]
fn files_and_directories_move_where_nothing_is() {
    let stage = Fixture::new();
    for name in ["a.txt", "dir/b.txt", "dir/in/c.txt", "taken.txt"] {
        stage.write(name, name);
    }
    let mut client = Client::new(&stage);
    let mut moved =
        |from: &str, to: &str| client.call("move_file", json!({"source": from, "destination": to}));
    assert!(moved("a.txt", "taken.txt").is_error);
    assert!(moved("nowhere", "x").is_error);
    assert!(moved("dir", "dir/in/deeper").is_error, "not into itself");
    assert!(moved("a.txt", "../a.txt").is_error);
    assert!(!moved("a.txt", "new/a.txt").is_error);
    let all = moved("dir", "other");
    assert!(all.text.starts_with("The directory dir moves to other."), "{}", all.text);
    assert_eq!(client.ok("read_text_file", json!({"path": "other/in/c.txt"})), "dir/in/c.txt");
    let pending = client.ok("pending", json!({}));
    stage.run(approval(&pending)).expect(0);
    assert_eq!(stage.read("other/b.txt"), b"dir/b.txt");
    assert_eq!(stage.read("new/a.txt"), b"a.txt");
    assert!(!stage.path("dir/b.txt").exists() && !stage.path("a.txt").exists());
}

#[test]
fn a_directory_is_a_change_that_holds_what_is_put_there() {
    let stage = Fixture::new();
    stage.write("file", "");
    let before = stage.tree();
    let mut client = Client::new(&stage);
    client.ok("create_directory", json!({"path": "a/b"}));
    client.ok("create_directory", json!({"path": "a/b"}));
    assert_eq!(client.ok("list_directory", json!({"path": "a"})), "[DIR] b");
    client.refused("create_directory", json!({"path": "file/x"}));
    client.refused("create_directory", json!({"path": "file"}));
    client.refused("create_directory", json!({"path": "../x"}));
    client.refused("delete_file", json!({"path": "a"}));
    client.ok("move_file", json!({"source": "a", "destination": "c"}));
    assert_eq!(
        client.ok("list_directory", json!({"path": "."})),
        "[DIR] .git\n[DIR] c\n[FILE] file"
    );
    assert_eq!((stage.pending(), stage.tree()), (1, before), "c/b waits for approval");
    client.ok("write_file", json!({"path": "c/x.txt", "content": "x"}));
    let pending = client.ok("pending", json!({}));
    stage.run(approval(&pending)).expect(0);
    assert_eq!(stage.read("c/x.txt"), b"x");
    assert!(stage.path("c/b").is_dir(), "an empty directory");
    client.refused("delete_file", json!({"path": "c"}));
    client.ok("delete_file", json!({"path": "c/b"}));
    let pending = client.ok("pending", json!({}));
    stage.run(approval(&pending)).expect(0);
    assert!(!stage.path("c/b").exists());
}

#[test]
fn a_directory_moves_with_its_links_and_empty_directories() {
    let stage = Fixture::new();
    stage.write("dir/in/c.txt", "c\n");
    std::os::unix::fs::symlink("in/c.txt", stage.path("dir/link")).expect("a link");
    std::fs::create_dir_all(stage.path("dir/e/f")).expect("directories");
    let mut client = Client::new(&stage);
    client.ok("move_file", json!({"source": "dir", "destination": "other"}));
    assert_eq!(client.ok("read_text_file", json!({"path": "other/link"})), "c\n");
    let pending = client.ok("pending", json!({}));
    stage.run(approval(&pending)).expect(0);
    assert_eq!(stage.read("other/link"), b"c\n");
    assert!(stage.path("other/e/f").is_dir() && !stage.path("dir/link").exists());
    stage.run(["undo", "--yes"]).expect(0);
    assert_eq!(stage.read("dir/link"), b"c\n");
    assert!(stage.path("dir/e/f").is_dir() && !stage.path("other").exists());
}

#[test]
fn a_patch_is_staged_whole_or_not_at_all() {
    let stage = Fixture::new();
    stage.write("a.txt", "one\ntwo\n");
    stage.write("b.txt", "b\n");
    let mut client = Client::new(&stage);
    let good = "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n";
    let bad = "--- a/b.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-c\n+C\n";
    let text = client.refused("propose", json!({"patch": format!("{good}{bad}")}));
    assert!(text.contains("b.txt"), "{text}");
    client.refused("propose", json!({"patch": "no patch at all"}));
    client.refused("propose", json!({"patch": good.replace("a.txt", "../a.txt")}));
    assert_eq!(stage.pending(), 0);
    let called = client.call("propose", json!({"patch": good}));
    let staged = &called.result["structuredContent"];
    assert_eq!(staged["session"], "s1");
    assert_eq!(staged["patches"][0]["path"], "a.txt");
    assert_eq!(staged["signature"], stage.signature(), "it is all that is pending");
    let shown = client.ok("diff", json!({}));
    assert_eq!(shown.as_bytes(), stage.run(["diff"]).expect(0).stdout);
    stage.run(approval(&called.text)).expect(0);
    assert_eq!(stage.read("a.txt"), b"one\nTWO\n");
}

#[rstest]
#[case::git(json!({"path": ".git/hooks/x", "content": ""}))]
#[case::outside(json!({"path": "../x", "content": ""}))]
#[case::through_a_link(json!({"path": "out/x", "content": ""}))]
#[case::hard_linked(json!({"path": "hard.txt", "content": "new"}))]
#[case::the_root(json!({"path": ".", "content": ""}))]
#[case::a_directory(json!({"path": "dir", "content": ""}))]
#[case::below_a_file(json!({"path": "hard.txt/x", "content": ""}))]
#[case::too_long_a_name(json!({"path": "x".repeat(300), "content": ""}))]
fn what_may_not_be_written_is_refused_and_nothing_is_staged(#[case] write: serde_json::Value) {
    let stage = Fixture::new();
    stage.write("hard.txt", "both\n");
    stage.write("dir/x", "");
    fs::hard_link(stage.path("hard.txt"), stage.path("other.txt")).expect("ours");
    std::os::unix::fs::symlink(stage.beside(""), stage.path("out")).expect("ours");
    let before = stage.tree();
    let mut client = Client::new(&stage);
    client.refused("write_file", write);
    assert_eq!((stage.pending(), stage.tree()), (0, before));
}

#[test]
fn the_answer_to_an_edit_is_short_however_long_the_line_is() {
    let stage = Fixture::new();
    let (head, tail) = ("var a=1;".repeat(40_000), "var b=2;".repeat(40_000));
    stage.write("app.min.js", format!("{head}MARK;{tail}\n"));
    let mut client = Client::new(&stage);
    let edit = |dry_run: bool| {
        json!({"path": "app.min.js", "dryRun": dry_run,
               "edits": [{"oldText": "MARK", "newText": "mark"}]})
    };
    for dry_run in [true, false] {
        let called = client.call("edit_file", edit(dry_run));
        assert!(called.result.to_string().len() < 20_000, "twice the text, and no more");
        let text = called.text;
        assert!(text.contains("bytes longer than shown"), "{text}");
        assert!(text.contains("the tool `diff` gives it in full"), "{text}");
    }
    let whole = client.ok("diff", json!({"ids": ["p1"]}));
    assert!(whole.contains(&format!("+{head}mark;{tail}\n")), "nothing is left out of it");
}

#[test]
fn what_is_reported_of_a_patch_hides_nothing_and_what_is_read_is_exact() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    let name = "na\u{200b}me";
    let content = "a\u{e0063}\u{202e}b\u{2028}\n";
    let staged = client.ok("write_file", json!({"path": name, "content": content}));
    let diff = client.ok("diff", json!({}));
    let refused = client.refused("read_text_file", json!({"path": "no\u{202e}where"}));
    for text in [&staged, &diff, &refused] {
        let left: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
        assert!(left.is_empty(), "{left:?} in {text}");
    }
    assert!(diff.contains("+a<U+E0063><U+202E>b<U+2028>\n"), "{diff}");
    assert_eq!(client.ok("read_text_file", json!({"path": name})), content);
}
