//! Changing TOML that people write: comments, order and layout stay as they are.

use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};

use super::agents::Want;
use super::program::is_same;

/// The text with everything wanted in it, or with nothing of that. Says in words why it cannot be.
pub(super) fn edit(text: &str, wants: &[Want], remove: bool) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        format!("it is not valid TOML: {}", error.message())
    })?;
    for want in wants {
        let Want::Set { at, value } = want else {
            return Err("lists in TOML are not supported".to_owned());
        };
        let value = value_of(value).ok_or("TOML has no such value")?;
        if remove {
            unset(document.as_table_mut(), at, &value)?;
        } else {
            set(document.as_table_mut(), at, value)?;
        }
    }
    Ok(document.to_string())
}

/// Whether a text has no settings.
pub(super) fn is_empty(text: &str) -> bool {
    text.trim().is_empty()
}

/// Whether a table in the text has a key; a text that cannot be read has none.
pub(crate) fn has(text: &str, at: &[String]) -> bool {
    let Ok(document) = text.parse::<DocumentMut>() else { return false };
    let found = at.iter().try_fold(document.as_item(), |item, key| item.get(key));
    found.is_some_and(|item| !item.is_none())
}

/// What a key in the text has; nothing where the text cannot be read.
pub(crate) fn value(text: &str, at: &[String]) -> Option<Json> {
    let document: toml::Table = toml::from_str(text).ok()?;
    let whole = serde_json::to_value(document).ok()?;
    at.iter().try_fold(&whole, |table, key| table.get(key)).cloned()
}

fn set(top: &mut Table, at: &[String], value: Value) -> Result<(), String> {
    let [path @ .., key] = at else { return Ok(()) };
    let mut table: &mut dyn TableLike = top;
    for (depth, key) in path.iter().enumerate() {
        let is_last = depth + 1 == path.len();
        if !table.contains_key(key) {
            let mut made = Table::new();
            // `[a.b]` alone says that there is an `a`.
            made.set_implicit(!is_last);
            table.insert(key, Item::Table(made));
        }
        table = table
            .get_mut(key)
            .and_then(Item::as_table_like_mut)
            .ok_or_else(|| format!("`{}` is not a table", path[..=depth].join(".")))?;
    }
    match table.get_mut(key) {
        None => {
            table.insert(key, Item::Value(value));
        }
        Some(there) => {
            let there =
                there.as_value_mut().ok_or_else(|| format!("`{}` is a table", at.join(".")))?;
            if !same(there, &value) {
                let decor = there.decor().clone();
                *there = value;
                *there.decor_mut() = decor;
            }
        }
    }
    Ok(())
}

fn unset(table: &mut dyn TableLike, at: &[String], value: &Value) -> Result<(), String> {
    let [key, rest @ ..] = at else { return Ok(()) };
    let Some(there) = table.get_mut(key) else { return Ok(()) };
    if rest.is_empty() {
        if there.as_value().is_some_and(|there| same_command(there, value)) {
            table.remove(key);
        }
        return Ok(());
    }
    let below = there.as_table_like_mut().ok_or_else(|| format!("`{key}` is not a table"))?;
    let before = below.len();
    unset(below, rest, value)?;
    if below.is_empty() && before > 0 {
        table.remove(key);
    }
    Ok(())
}

/// The same, whatever path they name the command by.
fn same_command(one: &Value, other: &Value) -> bool {
    match (one.as_str(), other.as_str()) {
        (Some(one), Some(other)) => is_same(&one.into(), &other.into()),
        _ => same(one, other),
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.value() == other.value(),
        (Value::Boolean(one), Value::Boolean(other)) => one.value() == other.value(),
        (Value::Integer(one), Value::Integer(other)) => one.value() == other.value(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other.iter()).all(|(a, b)| same(a, b))
        }
        _ => false,
    }
}

fn value_of(value: &Json) -> Option<Value> {
    Some(match value {
        Json::String(text) => text.as_str().into(),
        Json::Bool(is) => (*is).into(),
        Json::Number(number) => number.as_i64()?.into(),
        Json::Array(list) => Value::Array(list.iter().map(value_of).collect::<Option<Array>>()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn wants() -> Vec<Want> {
        let set = |at: &[&str], value| Want::Set {
            at: at.iter().map(|key| (*key).to_owned()).collect(),
            value,
        };
        vec![
            set(&["sandbox_mode"], json!("read-only")),
            set(&["mcp_servers", "greenroom", "command"], json!("greenroom")),
            set(&["mcp_servers", "greenroom", "args"], json!(["mcp"])),
        ]
    }

    #[rstest]
    #[case::nothing("")]
    #[case::keys("# mine\nmodel = \"x\" # why\n")]
    #[case::tables("# mine\nmodel = \"x\"\n\n# theirs\n[mcp_servers.other]\ncommand = \"y\"\n")]
    #[case::only_tables("# theirs\n[mcp_servers.other]\ncommand = \"y\"\n\n[tui]\n")]
    #[case::tables_in_a_line("mcp_servers = { other = { command = \"y\" } }\n")]
    #[case::crlf("model = \"x\"\r\n")]
    fn what_is_there_stays_and_comes_back(#[case] text: &str) {
        let edited = edit(text, &wants(), false).expect("it can be changed");
        assert_eq!(edit(&edited, &wants(), false).as_deref(), Ok(&*edited), "once is enough");
        let read: toml::Table = toml::from_str(&edited).expect("it is still TOML");
        assert_eq!(read["sandbox_mode"].as_str(), Some("read-only"));
        assert_eq!(read["mcp_servers"]["greenroom"]["args"][0].as_str(), Some("mcp"));
        for line in text.lines().filter(|line| !line.contains('{')) {
            assert!(edited.contains(line), "`{line}` is gone in\n{edited}");
        }
        let back = edit(&edited, &wants(), true).expect("it can be taken out");
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeeze(&back), squeeze(text), "nothing else went with it");
    }

    #[test]
    fn another_value_is_replaced_with_its_comment_kept() {
        let text = "sandbox_mode = \"workspace-write\" # for now\n";
        let edited = edit(text, &wants()[..1], false).expect("it can be changed");
        assert_eq!(edited, "sandbox_mode = \"read-only\" # for now\n");
        assert_eq!(edit(text, &wants()[..1], true).as_deref(), Ok(text), "it is not ours");
    }

    #[rstest]
    #[case("mcp_servers = 1\n", "`mcp_servers` is not a table")]
    #[case("mcp_servers = \n", "not valid TOML")]
    #[case("[mcp_servers.greenroom.command]\n", "is a table")]
    fn what_cannot_be_changed_safely_is_refused(#[case] text: &str, #[case] words: &str) {
        let refusal = edit(text, &wants(), false).expect_err("it is refused");
        assert!(refusal.contains(words), "{refusal}");
    }
}
