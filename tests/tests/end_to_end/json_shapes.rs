//! What machines read: every object's fields, and no others.

use end_to_end::Fixture;
use serde_json::Value;

#[track_caller]
fn check_keys(object: &Value, expected: &[&str]) {
    let mut keys: Vec<_> = object.as_object().expect("an object").keys().map(|k| &**k).collect();
    let mut expected = expected.to_vec();
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected, "{object}");
}

#[track_caller]
fn check_hex(value: &Value) {
    let text = value.as_str().expect("a string");
    assert!(text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
}

#[track_caller]
fn check_time(value: &Value) {
    let text = value.as_str().expect("a string");
    let bytes = text.as_bytes();
    let punctuation = (bytes[4], bytes[7], bytes[10], bytes[13], bytes[16], bytes[bytes.len() - 1]);
    assert_eq!(punctuation, (b'-', b'-', b'T', b':', b':', b'Z'), "RFC 3339: {text}");
}

const PATCH: [&str; 12] = [
    "id",
    "session",
    "path",
    "operation",
    "rename_to",
    "state",
    "reason",
    "signature",
    "revision",
    "base",
    "staged",
    "diff",
];

#[track_caller]
fn check_patch(patch: &Value) {
    check_keys(patch, &PATCH);
    check_hex(&patch["signature"]);
    let mut diff = vec!["strategy", "added", "removed", "full_replace", "binary"];
    if let Some(risks) = patch["diff"]["risks"].as_array() {
        diff.push("risks");
        assert!(!risks.is_empty(), "left out where there are none");
    }
    check_keys(&patch["diff"], &diff);
    if !patch["base"].is_null() {
        check_keys(&patch["base"], &["blake3", "mode", "bytes", "modified_at"]);
        check_time(&patch["base"]["modified_at"]);
    }
    if !patch["staged"].is_null() {
        check_keys(&patch["staged"], &["blake3", "mode", "bytes"]);
    }
}

/// A modify, a create, a delete, a rename and a change of mode.
fn stage() -> Fixture {
    let stage = Fixture::new();
    for name in ["a.txt", "c.txt", "d.txt", "e.txt"] {
        stage.write(name, "one\ntwo\n");
    }
    stage.propose("a.txt", "one\n2\n");
    stage.propose("b.txt", "new\n");
    stage.run(["propose", "c.txt", "--delete"]).expect(0);
    stage.run(["propose", "d.txt", "--rename-to", "dd.txt"]).expect(0);
    stage.run(["propose", "e.txt", "--mode", "755"]).expect(0);
    stage
}

#[test]
fn status_names_files_that_hold_a_users_displaced_bytes() {
    let stage = stage();
    let conflicts = stage.state_dir().join("conflicts");
    std::fs::write(conflicts.join("greenroom-a1-0.a.txt"), "by hand").expect("it is ours");
    let status = stage.run(["status", "--json"]).expect(0);
    let kept = status.json()["kept"][0].as_str().map(str::to_owned).expect("one file");
    assert!(kept.ends_with("greenroom-a1-0.a.txt"), "{kept}");
    assert!(status.stderr.contains("merge it by hand"));
}

#[test]
fn status_names_sessions_and_patches() {
    let stage = stage();
    let status = stage.status();
    check_keys(&status, &["schema", "workspace", "signature", "risks", "sessions"]);
    let risks = status["risks"].as_array().expect("a list");
    risks.iter().for_each(|risk| check_keys(risk, &["kind", "paths"]));
    let kinds: Vec<_> = risks.iter().map(|risk| &risk["kind"]).collect();
    assert_eq!(kinds, ["deletion", "executable"]);
    check_keys(&risks[0]["paths"][0], &["patch", "path"]);
    check_keys(&risks[1]["paths"][0], &["patch", "path", "detail"]);
    check_hex(&status["signature"]);
    assert_eq!(status["workspace"], stage.workspace().to_str().expect("a plain path"));
    let session = &status["sessions"][0];
    let keys = ["id", "label", "state", "signature", "created_at", "expires_at", "patches"];
    check_keys(session, &keys);
    check_time(&session["created_at"]);
    check_time(&session["expires_at"]);
    let named = (&session["id"], &session["label"], &session["state"]);
    assert_eq!(named, (&"s1".into(), &"cli".into(), &"open".into()));
    let patches = session["patches"].as_array().expect("a list");
    patches.iter().for_each(check_patch);
    let operations: Vec<_> = patches.iter().map(|patch| &patch["operation"]).collect();
    assert_eq!(operations, ["modify", "create", "delete", "rename", "mode"]);

    let modify = &patches[0];
    assert_eq!(modify["path"], "a.txt");
    assert_eq!((&modify["state"], &modify["reason"]), (&"pending".into(), &Value::Null));
    assert_eq!(modify["base"]["blake3"], blake3::hash(b"one\ntwo\n").to_hex().as_str());
    assert_eq!(modify["staged"]["blake3"], blake3::hash(b"one\n2\n").to_hex().as_str());
    assert_eq!((&modify["base"]["mode"], &modify["base"]["bytes"]), (&"100644".into(), &8.into()));
    let diff = &modify["diff"];
    assert_eq!((&diff["strategy"], &diff["added"]), (&"histogram".into(), &1.into()));
    assert!(patches[1]["base"].is_null(), "a create has no base");
    assert!(patches[2]["staged"].is_null(), "a delete stages nothing");
    assert_eq!(patches[3]["rename_to"], "dd.txt");
    assert_eq!(patches[4]["staged"]["mode"], "100755");
}

#[test]
fn propose_and_apply_answer_with_ids() {
    let stage = Fixture::new();
    let ran = stage.run_with(["propose", "a.txt", "--json"], b"x\n").expect(0);
    let proposed = ran.json();
    check_keys(&proposed, &["schema", "session", "patches"]);
    assert_eq!(proposed["session"], "s1");
    check_patch(&proposed["patches"][0]);
    let text = String::from_utf8(ran.stdout).expect("JSON is text");
    assert!(text.starts_with("{\"schema\":1,\"session\":\"s1\",\"patches\":[{\"id\":\"p1\","));

    let signature = stage.signature();
    let applied = stage.run(["apply", "--yes", "--json"]).expect(0);
    assert_eq!(
        String::from_utf8(applied.stdout).expect("JSON is text"),
        format!(
            r#"{{"schema":1,"apply":"a1","outcome":"committed","patches":["p1"],"stale":[],"signature":"{signature}","totals":{{"files":1,"directories":0,"added":1,"removed":0}}}}"#
        ) + "\n"
    );
}

#[test]
fn errors_are_one_object_and_one_sentence() {
    let stage = Fixture::new();
    let ran = stage.run(["propose", "gone.txt", "--delete", "--json"]).expect(1);
    let error = ran.json();
    check_keys(&error, &["schema", "error"]);
    check_keys(&error["error"], &["kind", "message", "path"]);
    let named = (&error["error"]["kind"], &error["error"]["path"]);
    assert_eq!(named, (&"not_found".into(), &"gone.txt".into()));
    assert!(ran.stderr.starts_with("greenroom: "), "{}", ran.stderr);
    let unknown = stage.run(["show", "p9", "--json"]).expect(1);
    assert_eq!(unknown.error_kind(), "not_found");
    let usage = stage.run(["apply", "--expect", "xyz", "--json"]).expect(2);
    assert_eq!(usage.error_kind(), "usage");
}

#[test]
fn reading_commands_answer_with_the_same_patches() {
    let stage = stage();
    let diff = stage.run(["diff", "--json"]).expect(0).json();
    check_keys(&diff, &["schema", "signature", "risks", "patches", "text"]);
    assert_eq!(diff["signature"], stage.status()["signature"]);
    assert!(diff["text"].as_str().expect("it is UTF-8").starts_with("diff --git a/a.txt"));
    let show = stage.run(["show", "p1", "--json"]).expect(0).json();
    check_patch(&show["patch"]);
    check_time(&show["created_at"]);
    assert_eq!((&show["session"], &show["apply"]), (&"s1".into(), &Value::Null));
    let cat = stage.run(["cat", "a.txt", "--session", "cli", "--json"]).expect(0).json();
    check_keys(&cat, &["schema", "session", "path", "bytes", "blake3", "text"]);
    assert_eq!(cat["blake3"], blake3::hash(b"one\n2\n").to_hex().as_str());
    assert_eq!(cat["text"], "one\n2\n");
    let sessions = stage.run(["session", "list", "--json"]).expect(0).json();
    check_keys(
        &sessions["sessions"][0],
        &[
            "id",
            "label",
            "state",
            "created_at",
            "last_active_at",
            "expires_at",
            "owner_pid",
            "orphaned_at",
        ],
    );
}

#[test]
fn deciding_commands_answer_with_what_they_decided() {
    let stage = stage();
    let discarded = stage.run(["discard", "p1", "--json"]).expect(0).json();
    check_keys(&discarded, &["schema", "patches"]);
    check_patch(&discarded["patches"][0]);
    assert_eq!(discarded["patches"][0]["reason"], "rejected");
    let closed = stage.run(["session", "close", "cli", "--yes", "--json"]).expect(0).json();
    assert_eq!(closed["session"]["state"], "closed");
    let recovered = stage.run(["recover", "--json"]).expect(0).json();
    let keys = ["schema", "recovered", "kept", "blobs_removed", "quarantined", "foreign_slots"];
    check_keys(&recovered, &keys);
    let log = stage.run(["log", "--json"]).expect(0).json();
    let seqs: Vec<_> =
        log["events"].as_array().expect("a list").iter().map(|e| &e["seq"]).collect();
    assert!(seqs.iter().enumerate().all(|(at, seq)| **seq == at + 1), "no gaps: {seqs:?}");
    let verified = stage.run(["log", "--verify", "--json"]).expect(0).json();
    assert_eq!(verified["log"]["events"], seqs.len());
}

#[test]
fn no_line_of_json_has_anything_that_splits_or_hides_it() {
    let stage = Fixture::new();
    let content = "a\u{2028}b\u{2029}c\u{85}d\u{9b}e\u{202e}f\u{e0063}g👩‍💻é\n";
    let label = "l\u{2028}a\u{ad}b";
    let name = "n\u{2028}a\u{200b}me";
    let propose = ["propose", name, "--session", label, "--json"];
    stage.run_with(propose, content.as_bytes()).expect(0);
    let commands: [&[&str]; 5] =
        [&["diff"], &["status"], &["show", "p1"], &["log"], &["diff", "no\u{2028}where"]];
    for command in commands {
        let ran = stage.run([command, &["--json"]].concat());
        let line = String::from_utf8(ran.stdout).expect("JSON is UTF-8");
        let hides = |c: char| !c.is_ascii() && !"👩💻é".contains(c);
        assert_eq!(line.chars().find(|c| hides(*c)), None, "{command:?}: {line}");
    }
    let shown = stage.run(["diff", "--json"]).expect(0).json();
    let text = shown["text"].as_str().expect("the diff is UTF-8");
    assert!(text.contains(content.trim_end()), "it means what it meant: {text:?}");
    assert_eq!(shown["patches"][0]["path"], name, "a path is exact");
    let failed = stage.run(["diff", "no\u{2028}where", "--json"]).json();
    let message = failed["error"]["message"].as_str().expect("a failure has a message");
    assert!(message.is_ascii() && message.contains("no<U+2028>where"), "people read it: {message}");
    assert_eq!(stage.status()["sessions"][0]["label"], label, "a label is exact");
}
