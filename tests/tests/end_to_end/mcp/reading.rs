//! Every reading tool shows the session its own pending changes over the disk.

use std::os::unix::fs::symlink;

use end_to_end::Fixture;
use serde_json::{Value, json};

use super::client::Client;

/// A workspace and a client that has one change of every kind pending.
fn staged() -> (Fixture, Client) {
    let stage = Fixture::new();
    for name in ["kept.txt", "changed.txt", "gone.txt", "moved.txt", "src/lib.rs", "src/gone.rs"] {
        stage.write(name, format!("{name}\n"));
    }
    let before = stage.tree();
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "changed.txt", "content": "one\ntwo\nthree\n"}));
    client.ok("write_file", json!({"path": "new/deep/er.rs", "content": "new\n"}));
    client.ok("delete_file", json!({"path": "gone.txt"}));
    client.ok("delete_file", json!({"path": "src/gone.rs"}));
    client.ok("move_file", json!({"source": "moved.txt", "destination": "src/moved.txt"}));
    client.ok("create_directory", json!({"path": "empty/inner"}));
    assert_eq!(stage.tree(), before, "nothing reached the disk");
    (stage, client)
}

#[test]
fn files_are_read_as_they_are_pending() {
    let (_stage, mut client) = staged();
    let mut read = |arguments: Value| client.call("read_text_file", arguments);
    assert_eq!(read(json!({"path": "changed.txt"})).text, "one\ntwo\nthree\n");
    assert_eq!(read(json!({"path": "changed.txt", "head": 2})).text, "one\ntwo");
    assert_eq!(read(json!({"path": "changed.txt", "tail": 2})).text, "two\nthree\n");
    assert_eq!(read(json!({"path": "src/moved.txt"})).text, "moved.txt\n");
    for gone in ["gone.txt", "moved.txt", "nowhere"] {
        let called = read(json!({"path": gone}));
        assert!(called.is_error && called.text.starts_with("there is no file"), "{}", called.text);
    }
    assert!(read(json!({"path": "src"})).is_error, "a directory is no file");
    assert!(read(json!({"path": "kept.txt", "head": 1, "tail": 1})).is_error);
    assert!(read(json!({"path": "kept.txt", "head": 1.5})).is_error);
    let several = client.ok("read_multiple_files", json!({"paths": ["changed.txt", "gone.txt"]}));
    assert_eq!(
        several,
        "changed.txt:\none\ntwo\nthree\n\n\n---\ngone.txt: Error - there is no file `gone.txt`"
    );
}

#[test]
fn directories_are_listed_as_they_are_pending() {
    let (stage, mut client) = staged();
    assert_eq!(
        client.ok("list_directory", json!({"path": "."})),
        "[DIR] .git\n[FILE] changed.txt\n[DIR] empty\n[FILE] kept.txt\n[DIR] new\n[DIR] src"
    );
    let full = stage.path("src").display().to_string();
    assert_eq!(
        client.ok("list_directory", json!({"path": full})),
        "[FILE] lib.rs\n[FILE] moved.txt"
    );
    let sized = client.ok("list_directory_with_sizes", json!({"path": "src", "sortBy": "size"}));
    assert_eq!(
        sized,
        format!(
            "[FILE] {:<30} {:>10}\n[FILE] {:<30} {:>10}\n\n\
             Total: 2 files, 0 directories\nCombined size: 21 B",
            "lib.rs", "11 B", "moved.txt", "10 B"
        )
    );
    assert!(client.refused("list_directory", json!({"path": "gone.txt"})).contains("no directory"));
}

#[test]
fn trees_and_searches_are_as_they_are_pending() {
    let (stage, mut client) = staged();
    let tree =
        client.ok("directory_tree", json!({"path": ".", "excludePatterns": [".git", "src"]}));
    let tree: Value = serde_json::from_str(&tree).expect("a tree is JSON");
    let file = |name: &str| json!({"name": name, "type": "file"});
    let dir = |name: &str, children: Value| json!({"name": name, "type": "directory", "children": children});
    assert_eq!(
        tree,
        json!([
            file("changed.txt"),
            dir("empty", json!([dir("inner", json!([]))])),
            file("kept.txt"),
            dir("new", json!([dir("deep", json!([file("er.rs")]))])),
        ])
    );
    let full = |name: &str| stage.path(name).display().to_string();
    let mut search = |arguments: Value| client.ok("search_files", arguments);
    assert_eq!(
        search(json!({"path": ".", "pattern": "**/*.rs"})),
        [full("new/deep/er.rs"), full("src/lib.rs")].join("\n")
    );
    assert_eq!(
        search(json!({"path": ".", "pattern": "**/*.rs", "excludePatterns": ["new"]})),
        full("src/lib.rs")
    );
    assert_eq!(search(json!({"path": ".", "pattern": "*.rs"})), "No matches found");
    assert_eq!(search(json!({"path": "src", "pattern": "m*"})), full("src/moved.txt"));
}

#[test]
fn what_a_file_is_like_is_as_it_is_pending() {
    let (_stage, mut client) = staged();
    let info = client.ok("get_file_info", json!({"path": "changed.txt"}));
    assert!(info.starts_with("size: 14\nmodified: 2"), "{info}");
    assert!(info.ends_with("isDirectory: false\nisFile: true\npermissions: 644\npending: p1"));
    let dir = client.ok("get_file_info", json!({"path": "empty"}));
    assert!(dir.contains("isDirectory: true\nisFile: false"), "{dir}");
    assert!(client.ok("get_file_info", json!({"path": "."})).contains("isDirectory: true"));
    client.refused("get_file_info", json!({"path": "gone.txt"}));
}

#[test]
fn media_is_given_with_its_type_and_every_byte() {
    let stage = Fixture::new();
    stage.write("dot.png", [0x89, b'P', 0xff, 0x00]);
    stage.write("some data", [0xff, 0x00]);
    let mut client = Client::new(&stage);
    let png = client.call("read_media_file", json!({"path": "dot.png"})).result;
    let expected = json!([{"type": "image", "data": "iVD/AA==", "mimeType": "image/png"}]);
    assert_eq!(png["content"], expected);
    assert_eq!(png["structuredContent"]["content"], expected);
    let data = client.call("read_media_file", json!({"path": "some data"})).result;
    let uri = format!("file://{}", stage.path("some%20data").display());
    let resource = json!({"uri": uri, "mimeType": "application/octet-stream", "blob": "/wA="});
    assert_eq!(data["content"], json!([{"type": "resource", "resource": resource}]));
}

#[test]
fn nothing_outside_of_the_workspace_is_read() {
    let stage = Fixture::new();
    std::fs::write(stage.beside("secret"), "secret").expect("it is ours");
    symlink(stage.beside("secret"), stage.path("link")).expect("it is ours");
    symlink(stage.beside(""), stage.path("out")).expect("it is ours");
    stage.write(".git/config", "secret");
    let mut client = Client::new(&stage);
    let outside = stage.beside("secret").display().to_string();
    for path in ["../secret", "link", "out/secret", outside.as_str(), "~/secret", ".git/config"] {
        for tool in ["read_text_file", "read_media_file", "get_file_info", "list_directory"] {
            let text = client.refused(tool, json!({"path": path}));
            assert!(!text.contains("secret content"), "{text}");
        }
        let text = client.ok("read_multiple_files", json!({"paths": [path]}));
        assert!(text.starts_with(&format!("{path}: Error - ")), "{text}");
    }
    client.refused("directory_tree", json!({"path": "out"}));
    client.refused("search_files", json!({"path": "..", "pattern": "**"}));
    let found = client.ok("search_files", json!({"path": ".", "pattern": "**/*"}));
    let names = [".git", "link", "out"].map(|name| stage.path(name).display().to_string());
    assert_eq!(found, names.join("\n"), "what leads out, and .git, is named and not entered");
}

#[test]
fn roots_only_narrow_what_the_command_line_allowed() {
    let stage = Fixture::new();
    stage.write("src/a.txt", "a\n");
    stage.write("b.txt", "b\n");
    let mut client = Client::start(&stage, &[]);
    client.greet("2025-06-18", json!({"roots": {"listChanged": true}}));
    let answer = |client: &mut Client, uris: &[String]| {
        let asked = client.wait_for(|message| message["method"] == "roots/list");
        let roots: Vec<Value> = uris.iter().map(|uri| json!({"uri": uri})).collect();
        client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": roots}}));
    };
    let uri = |name: &str| format!("file://{}", stage.path(name).display());
    answer(&mut client, &[uri("src"), "file:///etc".to_owned()]);
    let src = stage.path("src").display().to_string();
    assert_eq!(
        client.ok("list_allowed_directories", json!({})),
        format!("Allowed directories:\n{src}")
    );
    assert_eq!(client.ok("read_text_file", json!({"path": "a.txt"})), "a\n");
    let outside = stage.path("b.txt").display().to_string();
    client.refused("read_text_file", json!({"path": outside}));
    client.refused("read_text_file", json!({"path": "/etc/hostname"}));
    client.refused("write_file", json!({"path": outside, "content": ""}));
    let patch = "--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n";
    let staged = client.ok("propose", json!({"patch": patch}));
    assert!(staged.starts_with("Staged p1 create src/new.txt"), "{staged}");
    client.refused("propose", json!({"patch": patch, "directory": ".."}));
    for name in ["../b.txt", outside.as_str()] {
        let patch = format!("*** Begin Patch\n*** Update File: {name}\n-x\n+y\n*** End Patch\n");
        let text = client.refused("propose", json!({"patch": patch}));
        assert!(text.contains("leads out of the directories"), "nothing of it is shown: {text}");
    }

    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}));
    answer(&mut client, &[format!("file://{}", stage.beside("").display())]);
    assert_eq!(client.ok("read_text_file", json!({"path": "b.txt"})), "b\n");
    client.refused("read_text_file", json!({"path": "../secret"}));

    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}));
    answer(&mut client, &["file:///etc".to_owned()]);
    let text = client.refused("read_text_file", json!({"path": "b.txt"}));
    assert!(text.contains("the client's roots allow none"), "{text}");
}
