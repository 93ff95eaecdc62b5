//! Changing JSON that people write: comments, order and layout stay as they are.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode};
use serde_json::Value;

use super::agents::Want;
use super::program::is_same;

/// UTF-8's byte order mark, which stands before the text and is none of it.
const MARK: char = '\u{feff}';

/// The text with everything wanted in it, or with nothing of that. Says in words why it cannot be.
pub(super) fn edit(text: &str, wants: &[Want], remove: bool) -> Result<String, String> {
    let (mark, text) = match text.strip_prefix(MARK) {
        Some(text) => ("\u{feff}", text),
        None => ("", text),
    };
    let is_blank = text.trim().is_empty();
    let root = CstRootNode::parse(if is_blank { "{}\n" } else { text }, &options())
        .map_err(|error| format!("it is not valid JSON: {error}"))?;
    let top = root.object_value().ok_or("it is not an object")?;
    for want in wants {
        let changed = if remove { take_out(&top, want) } else { bring_in(&top, want) };
        changed?;
    }
    let edited = root.to_string();
    if is_blank && remove {
        return Ok(format!("{mark}{text}"));
    }
    Ok(format!("{mark}{edited}"))
}

/// Whether a text has no settings.
pub(super) fn is_empty(text: &str) -> bool {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    text.chars().filter(|letter| !letter.is_whitespace()).eq("{}".chars())
}

/// Whether an object in the text has a key; a text that cannot be read has none.
pub(crate) fn has(text: &str, at: &[String]) -> bool {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let Ok(root) = CstRootNode::parse(text, &options()) else { return false };
    let Some(top) = root.object_value() else { return false };
    let [path @ .., key] = at else { return false };
    let last = path.iter().try_fold(top, |object, key| object.object_value(key));
    last.is_some_and(|object| object.get(key).is_some())
}

/// What a key in the text has; nothing where the text cannot be read.
pub(crate) fn value(text: &str, at: &[String]) -> Option<Value> {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let top = CstRootNode::parse(text, &options()).ok()?.object_value()?;
    let (key, path) = at.split_last()?;
    let object = path.iter().try_fold(top, |object, key| object.object_value(key))?;
    object.get(key)?.to_serde_value()
}

/// Comments and trailing commas, which several agents let pass; nothing else that JSON has not.
fn options() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn bring_in(top: &CstObject, want: &Want) -> Result<(), String> {
    let (Want::Set { at, value } | Want::Include { at, value }) = want;
    let Some((object, key)) = parent(top, at, Missing::Make)? else { return Ok(()) };
    let is_it = |there: Option<Value>| there.as_ref() == Some(value);
    match (want, property(&object, key)?) {
        (Want::Set { .. }, None) => drop(object.append(key, input(value))),
        (Want::Set { .. }, Some(there)) if is_it(there.to_serde_value()) => {}
        (Want::Set { .. }, Some(there)) => there.set_value(input(value)),
        (Want::Include { .. }, None) => {
            object.append(key, input(&Value::Array(vec![value.clone()])));
        }
        (Want::Include { .. }, Some(there)) => {
            let list = list(&there, at)?;
            let is_ours =
                |one: &CstNode| one.to_serde_value().is_some_and(|one| is_same(&one, value));
            let ours = list.elements().into_iter().enumerate().find(|(_, one)| is_ours(one));
            match ours {
                None => drop(list.append(input(value))),
                Some((_, one)) if is_it(one.to_serde_value()) => {}
                // It names the command by another path.
                Some((index, one)) => {
                    list.insert(index, input(value));
                    one.remove();
                }
            }
        }
    }
    Ok(())
}

fn take_out(top: &CstObject, want: &Want) -> Result<(), String> {
    let (Want::Set { at, value } | Want::Include { at, value }) = want;
    let Some((object, key)) = parent(top, at, Missing::Leave)? else { return Ok(()) };
    let Some(there) = property(&object, key)? else { return Ok(()) };
    let is_it = |there: Option<Value>| there.is_some_and(|there| is_same(&there, value));
    let is_empty = match want {
        Want::Set { .. } => is_it(there.to_serde_value()),
        Want::Include { .. } => {
            let list = list(&there, at)?;
            let mut ours = list.elements();
            ours.retain(|one| is_it(one.to_serde_value()));
            let has_ours = !ours.is_empty();
            ours.into_iter().for_each(|one| one.remove());
            has_ours && list.elements().is_empty()
        }
    };
    if is_empty {
        there.remove();
        prune(top, &at[..at.len() - 1]);
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Missing {
    Make,
    Leave,
}

/// The object that holds the last key; nothing when it is not there and is not to be made.
fn parent<'k>(
    top: &CstObject,
    at: &'k [String],
    missing: Missing,
) -> Result<Option<(CstObject, &'k str)>, String> {
    let [path @ .., key] = at else { return Ok(None) };
    let mut object = top.clone();
    for (depth, key) in path.iter().enumerate() {
        object = match (property(&object, key)?, missing) {
            (Some(there), _) => there
                .object_value()
                .ok_or_else(|| format!("`{}` is not an object", path[..=depth].join(".")))?,
            (None, Missing::Leave) => return Ok(None),
            (None, Missing::Make) => object.object_value_or_set(key),
        };
    }
    Ok(Some((object, key)))
}

/// A key's property. Of two of one name, programs do not agree which one counts.
fn property(object: &CstObject, key: &str) -> Result<Option<CstObjectProp>, String> {
    let named = |there: &CstObjectProp| there.decoded_name().as_deref() == Some(key);
    let mut found = object.properties().into_iter().filter(named);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(format!("`{key}` occurs twice")),
        (found, None) => Ok(found),
    }
}

fn list(there: &CstObjectProp, at: &[String]) -> Result<CstArray, String> {
    there.array_value().ok_or_else(|| format!("`{}` is not a list", at.join(".")))
}

/// Takes away objects that are empty now, from the innermost out.
fn prune(top: &CstObject, at: &[String]) {
    let Some((key, path)) = at.split_last() else { return };
    let parent = path.iter().try_fold(top.clone(), |object, key| object.object_value(key));
    let Some(parent) = parent else { return };
    let is_empty = |there: &CstObjectProp| {
        there.object_value().is_some_and(|object| object.properties().is_empty())
    };
    if let Some(there) = parent.get(key).filter(is_empty) {
        there.remove();
        prune(top, path);
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(is) => CstInputValue::Bool(*is),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(list) => CstInputValue::Array(list.iter().map(input).collect()),
        Value::Object(object) => {
            let mut fields: Vec<_> = object.iter().collect();
            // In the order in which people write them.
            fields.sort_by_key(|(key, _)| {
                let rank = HEAD.iter().position(|head| head == key);
                (rank.unwrap_or(HEAD.len()), *key)
            });
            let fields = fields.into_iter().map(|(key, value)| (key.clone(), input(value)));
            CstInputValue::Object(fields.collect())
        }
    }
}

/// The keys that come first.
const HEAD: [&str; 3] = ["type", "matcher", "command"];

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn wants() -> Vec<Want> {
        let at = |keys: [&str; 2]| keys.map(str::to_owned).to_vec();
        vec![
            Want::Set {
                at: at(["mcpServers", "greenroom"]),
                value: json!({"command": "greenroom"}),
            },
            Want::Include { at: at(["permissions", "deny"]), value: json!("Write") },
            Want::Include { at: at(["permissions", "deny"]), value: json!("Edit") },
        ]
    }

    #[rstest]
    #[case::nothing("")]
    #[case::blank("\n")]
    #[case::empty("{}")]
    #[case::one_line("{\"a\": 1}")]
    #[case::tabs(
        "{\n\t\"a\": [1, 2], // why\n\t\"permissions\": {\n\t\t\"allow\": [\"Read\"]\n\t}\n}\n"
    )]
    #[case::comments(
        "// head\n{\n  /* a */ \"a\": 1e2,\n  // servers\n  \"mcpServers\": {\n    \"other\": {\"command\": \"x\"}\n  }\n}\n// tail\n"
    )]
    #[case::trailing_commas(
        "{\n  \"permissions\": {\n    \"deny\": [\n      \"WebFetch\",\n    ],\n  },\n}\n"
    )]
    #[case::crlf("{\r\n  \"a\": \"\\u00e4\"\r\n}\r\n")]
    #[case::byte_order_mark("\u{feff}{\n  \"a\": 1\n}\n")]
    fn what_is_there_stays_and_comes_back(#[case] text: &str) {
        let edited = edit(text, &wants(), false).expect("it can be changed");
        assert_eq!(edit(&edited, &wants(), false).as_deref(), Ok(&*edited), "once is enough");
        let plain = edited.trim_start_matches(MARK);
        let root = CstRootNode::parse(plain, &options()).expect("it is still JSON");
        let value = root.to_serde_value().expect("a value");
        assert_eq!(value["mcpServers"]["greenroom"]["command"], "greenroom");
        let denied = value["permissions"]["deny"].as_array().expect("a list");
        assert!(["Write", "Edit"].iter().all(|tool| denied.contains(&json!(tool))), "{edited}");
        let squeeze = |text: &str| -> String {
            text.chars().filter(|letter| !letter.is_whitespace()).collect()
        };
        for line in text.lines() {
            let line = squeeze(line);
            let line = line.trim_start_matches('{').trim_end_matches([',', '}', ']']);
            assert!(squeeze(&edited).contains(line), "`{line}` is gone in\n{edited}");
        }
        assert_eq!(text.contains("\r\n"), edited.contains("\r\n"), "line endings stay");
        let back = edit(&edited, &wants(), true).expect("it can be taken out");
        let before = if squeeze(text).is_empty() { "{}".to_owned() } else { squeeze(text) };
        assert_eq!(squeeze(&back), before, "nothing else went with it");
        assert_eq!(edit(&back, &wants(), true).as_deref(), Ok(&*back), "and nothing more goes");
    }

    #[rstest]
    #[case::no_json("{", "not valid JSON")]
    #[case::json5("{a: 1}", "not valid JSON")]
    #[case::a_list("[]", "is not an object")]
    #[case::another_shape("{\"permissions\": []}", "`permissions` is not an object")]
    #[case::no_list("{\"permissions\": {\"deny\": \"all\"}}", "`permissions.deny` is not a list")]
    #[case::twice("{\"permissions\": {}, \"permissions\": {}}", "`permissions` occurs twice")]
    fn what_cannot_be_changed_safely_is_refused(#[case] text: &str, #[case] words: &str) {
        let refusal = edit(text, &wants(), false).expect_err("it is refused");
        assert!(refusal.contains(words), "{refusal}");
    }

    #[test]
    fn what_was_changed_since_is_not_taken_out() {
        let text = "{\n  \"mcpServers\": {\n    \"greenroom\": {\"command\": \"mine\"}\n  }\n}\n";
        assert_eq!(edit(text, &wants(), true).as_deref(), Ok(text));
    }
}
