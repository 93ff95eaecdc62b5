//! What `serve` speaks is what `schema serve` publishes and docs/serve.md describes.

use std::collections::BTreeSet;

use end_to_end::Fixture;
use serde_json::{Value, json};

use super::{Server, propose_of};

/// The parts of JSON Schema that the published one uses.
struct Schema(Value);

impl Schema {
    fn published() -> Self {
        let printed = Fixture::new().run(["schema", "serve"]).expect(0).stdout;
        Self(serde_json::from_slice(&printed).expect("JSON"))
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => {
                let name = reference.strip_prefix("#/$defs/").expect("it leads into `$defs`");
                &self.0["$defs"][name]
            }
            None => schema,
        }
    }

    /// What keeps a value from being described by a schema; unknown fields do as well, so that none
    /// is left out of it.
    fn fault(&self, value: &Value, schema: &Value) -> Option<String> {
        let schema = self.resolved(schema);
        for alternatives in ["anyOf", "oneOf"] {
            if let Some(alternatives) = schema[alternatives].as_array() {
                let faults: Vec<_> = alternatives
                    .iter()
                    .map(|one| self.fault(value, &merged(schema, one)))
                    .collect();
                let is_described = faults.iter().any(Option::is_none);
                return (!is_described).then(|| format!("{value} is none of: {faults:?}"));
            }
        }
        let is_of = |kind: &Value| match kind.as_str().unwrap_or_default() {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "integer" => value.is_u64() || value.is_i64(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("the type {other} is not expected"),
        };
        let kinds = match &schema["type"] {
            Value::Null => Vec::new(),
            Value::Array(kinds) => kinds.clone(),
            kind => vec![kind.clone()],
        };
        if !kinds.is_empty() && !kinds.iter().any(is_of) {
            return Some(format!("{value} is no {kinds:?}"));
        }
        if schema.get("const").is_some_and(|only| only != value) {
            return Some(format!("{value} is not {}", schema["const"]));
        }
        if let Some(values) = schema["enum"].as_array()
            && !values.contains(value)
        {
            return Some(format!("{value} is none of {values:?}"));
        }
        match value {
            Value::Array(items) => items.iter().find_map(|item| self.fault(item, &schema["items"])),
            Value::Object(fields) => self.fault_of_fields(fields, schema),
            _ => None,
        }
    }

    fn fault_of_fields(
        &self,
        fields: &serde_json::Map<String, Value>,
        schema: &Value,
    ) -> Option<String> {
        let required = schema["required"].as_array().into_iter().flatten();
        let missing = required.filter_map(Value::as_str).find(|name| !fields.contains_key(*name));
        if let Some(name) = missing {
            return Some(format!("`{name}` is missing"));
        }
        fields.iter().find_map(|(name, value)| {
            let field = match (&schema["properties"][name], &schema["additionalProperties"]) {
                (Value::Null, Value::Null | Value::Bool(false)) => {
                    return Some(format!("`{name}` is not published"));
                }
                (Value::Null, others) => others,
                (field, _) => field,
            };
            self.fault(value, field).map(|fault| format!("{name}: {fault}"))
        })
    }
}

/// An alternative with what all of them have.
fn merged(schema: &Value, alternative: &Value) -> Value {
    let mut whole = alternative.clone();
    for part in ["properties", "required"] {
        match (&schema[part], &mut whole[part]) {
            (Value::Object(common), Value::Object(own)) => own.extend(common.clone()),
            (Value::Array(common), Value::Array(own)) => own.extend(common.clone()),
            (Value::Null, own) if own.is_null() => {
                whole.as_object_mut().expect("a schema is an object").remove(part);
            }
            (common, own) if own.is_null() => *own = common.clone(),
            _ => {}
        }
    }
    whole
}

/// Calls of every method, some of which are refused.
fn conversation(session: &str) -> Vec<(&'static str, Value)> {
    let propose = |change: Value| ("propose", json!({"session": session, "proposals": [change]}));
    let patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n";
    vec![
        ("hello", json!({})),
        ("subscribe", json!({"since": 0, "diffs": true})),
        ("propose_patch", json!({"session": session, "patch": {"text": patch}})),
        ("propose", propose_of(session, "a.txt", "three\n")),
        propose(
            json!({"kind": "write", "path": "x", "content": {"base64": "AP8="}, "mode": "755"}),
        ),
        propose(
            json!({"kind": "edit", "path": "a.txt", "old": {"text": "none"}, "new": {"text": ""}}),
        ),
        propose(json!({"kind": "delete", "path": "gone.txt"})),
        propose(json!({"kind": "rename", "path": "b.txt", "to": "c.txt"})),
        propose(json!({"kind": "set_mode", "path": "d.txt", "mode": "600"})),
        propose(json!({"kind": "symlink", "path": "l", "target": {"text": "a.txt"}})),
        propose(json!({"kind": "create_directory", "path": "dir"})),
        propose(json!({"kind": "write_from", "path": "y", "file": "/nothing/here"})),
        ("read", json!({"session": session, "path": "a.txt"})),
        ("read", json!({"session": session, "path": "../a"})),
        ("status", json!({})),
        ("diff", json!({"session": session})),
        ("diff", json!({"ids": ["s1", "agent", {"path": "a.txt"}, {"except": {"path": "x"}}]})),
        ("show", json!({"patch": "p1"})),
        ("apply", json!({"session": session, "expect": "0".repeat(64)})),
        ("apply", json!({"session": session, "dry_run": true, "confirm_full_replace": true})),
        ("apply", json!({"session": session, "confirm_full_replace": true, "request": "r"})),
        ("apply_status", json!({"request": "r"})),
        ("undo", json!({"ids": [{"path": "a.txt"}]})),
        ("undo", json!({})),
        ("redo", json!({})),
        ("undo", json!({"apply": "a99"})),
        ("applies", json!({"limit": 2})),
        ("applies", json!({})),
        ("show_apply", json!({"apply": "a1"})),
        ("show_apply", json!({"apply": "a2"})),
        ("show_apply", json!({"apply": "a99"})),
        ("propose", propose_of(session, "z.txt", "z\n")),
        (
            "discard",
            json!({
                "session": session, "reason": "no",
                "comments": [{"path": "z.txt", "line": 1, "comment": "call it a"}],
            }),
        ),
        ("show", json!({"patch": "p1"})),
        ("refresh", json!({"ids": ["p1"]})),
        ("recover", json!({})),
        ("sessions", json!({})),
        ("events", json!({"since": 0, "limit": 2})),
        ("unsubscribe", json!({"subscription": 1})),
        ("close_session", json!({"session": session})),
    ]
}

#[test]
fn every_message_is_as_published() {
    let schema = Schema::published();
    let stage = Fixture::new();
    for name in ["a.txt", "b.txt", "d.txt"] {
        stage.write(name, "one\n");
    }
    let mut server = Server::start(&stage);
    let opened = server.result("open_session", &json!({"session": "agent"}));
    let mut called = BTreeSet::from(["open_session"]);
    let methods = &schema.0["methods"];
    assert_eq!(schema.fault(&opened, &methods["open_session"]["result"]), None);
    let (mut errors, mut events) = (0, 0);
    for (method, params) in conversation("s1") {
        called.insert(method);
        assert_eq!(schema.fault(&params, &methods[method]["params"]), None, "{method} {params}");
        let id = server.begin(method, &params);
        loop {
            let message = server.next();
            let (part, of) = match &message {
                event if event["method"] == "event" => {
                    events += 1;
                    ("params", &schema.0["notifications"]["event"]["params"])
                }
                error if !error["error"].is_null() => {
                    errors += 1;
                    ("error", &schema.0["error"])
                }
                _ => ("result", &methods[method]["result"]),
            };
            assert_eq!(schema.fault(&message[part], of), None, "{method} {params}: {message}");
            if message["id"] == id {
                break;
            }
        }
    }
    let published: BTreeSet<_> =
        methods.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(called, published, "the conversation has every method");
    assert!(errors >= 5 && events >= 5, "{errors} errors and {events} events were compared");
}

#[test]
fn the_page_describes_every_method_and_parameter() {
    let schema = Schema::published();
    let page = include_str!("../../../../docs/serve.md");
    for (name, method) in schema.0["methods"].as_object().expect("an object") {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/serve.md has no row for `{name}`"));
        let properties = schema.resolved(&method["params"])["properties"].as_object();
        for parameter in properties.into_iter().flatten().map(|(name, _)| name) {
            assert!(row.contains(&format!("`{parameter}")), "{row}\nlacks `{parameter}`");
        }
    }
    for change in schema.0["$defs"]["Change"]["oneOf"].as_array().expect("a list") {
        let properties = change["properties"].as_object().expect("an object");
        let kind = properties["kind"]["const"].as_str().expect("a kind is a text");
        let row = page.lines().find(|line| line.starts_with(&format!("| `{kind}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/serve.md has no row for `{kind}`"));
        for field in properties.keys().filter(|field| !["kind", "path"].contains(&&***field)) {
            assert!(row.contains(&format!("`{field}")), "{row}\nlacks `{field}`");
        }
    }
}
