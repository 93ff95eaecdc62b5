//! How settings name the command: `greenroom`, or by the path of the binary that a script starts.
//!
//! npm puts a script for Node.js on the PATH. It takes some fifty milliseconds to start, and hooks start the
//! command at each call of a tool. Settings of one user name the binary instead.

use std::borrow::Cow;
use std::env;
use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

const NAME: &str = "greenroom";

/// The path of this binary, where `greenroom` on the PATH is a script that starts it.
pub(super) fn behind_a_script() -> Option<String> {
    let mut begin = [0; 2];
    File::open(on_the_path()?).ok()?.read_exact(&mut begin).ok()?;
    let binary = env::current_exe().ok()?;
    // Windows does not start a script by such a line.
    (cfg!(unix) && begin == *b"#!").then(|| binary.to_str().map(str::to_owned))?
}

/// The `greenroom` that agents find.
pub(super) fn on_the_path() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).filter(|dir| !is_passing(dir)).map(|dir| dir.join(NAME));
    found.into_iter().find(|file| file.is_file())
}

/// Whether this binary is in a cache, from which it goes some day.
pub(super) fn is_cached() -> bool {
    env::current_exe().is_ok_and(|binary| is_passing(&binary))
}

/// Whether npx or uvx have put something there for a single run.
fn is_passing(path: &Path) -> bool {
    let names: Vec<Cow<'_, str>> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy()),
            _ => None,
        })
        .collect();
    names.iter().any(|name| name == "_npx")
        || names.windows(2).any(|pair| {
            let of_uv = ["archive-v", "environments-v"];
            pair[0] == "uv" && of_uv.iter().any(|start| pair[1].starts_with(start))
        })
}

/// A value with the command by its path, alone or at the start of a command line.
pub(super) fn by_path(value: &Value, path: &str) -> Value {
    map(value, &|text| match text.strip_prefix(NAME) {
        Some("") => path.to_owned(),
        Some(rest) if rest.starts_with(' ') => quoted(path) + rest,
        _ => text.to_owned(),
    })
}

/// Whether two values are the same, whatever path they name the command by.
pub(crate) fn is_same(one: &Value, other: &Value) -> bool {
    map(one, &by_name) == map(other, &by_name)
}

fn by_name(text: &str) -> String {
    // A program alone is not quoted, and a path may have blanks.
    if Path::new(text).is_absolute() && Path::new(text).ends_with(NAME) && !text.contains(" /") {
        return NAME.to_owned();
    }
    let (program, rest) = match text.strip_prefix('\'').and_then(|text| text.split_once('\'')) {
        Some(parts) => parts,
        None => text.split_at(text.find(' ').unwrap_or(text.len())),
    };
    let is_command = Path::new(program).is_absolute() && Path::new(program).ends_with(NAME);
    match is_command && (rest.is_empty() || rest.starts_with(' ')) {
        true => format!("{NAME}{rest}"),
        false => text.to_owned(),
    }
}

/// A path as a word of a command line.
fn quoted(path: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+@".contains(letter);
    match path.chars().all(is_plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

fn map(value: &Value, of: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(of(text)),
        Value::Array(list) => list.iter().map(|one| map(one, of)).collect(),
        Value::Object(object) => {
            object.iter().map(|(key, one)| (key.clone(), map(one, of))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("/opt/x/greenroom", "/opt/x/greenroom hook codex || exit 2")]
    #[case("/my files/greenroom", "'/my files/greenroom' hook codex || exit 2")]
    fn only_the_command_is_named_by_its_path(#[case] path: &str, #[case] line: &str) {
        let value = json!({
            "command": "greenroom", "args": ["greenroom", "mcp"], "timeout": 1,
            "hooks": [{ "command": "greenroom hook codex || exit 2" }], "allow": "mcp__greenroom",
            "greenroom": "greenrooms", "other": "run greenroom",
        });
        let changed = by_path(&value, path);
        let expected = json!({
            "command": path, "args": [path, "mcp"], "timeout": 1,
            "hooks": [{ "command": line }], "allow": "mcp__greenroom",
            "greenroom": "greenrooms", "other": "run greenroom",
        });
        assert_eq!(changed, expected);
        assert!(is_same(&changed, &value), "the path does not matter");
        assert!(!is_same(&changed, &json!({})), "everything else does");
    }

    #[rstest]
    #[case("/opt/other hook codex")]
    #[case("/opt/other hook /opt/greenroom")]
    #[case("greenroom/greenroom hook codex")]
    #[case("/opt/greenroom-old hook codex")]
    #[case("'/opt/greenroom'x hook codex")]
    fn another_program_is_another_one(#[case] line: &str) {
        assert!(!is_same(&json!(line), &json!("greenroom hook codex")), "{line}");
    }

    #[test]
    fn what_npx_and_uvx_run_passes() {
        for path in ["/h/.npm/_npx/1a2b/node_modules/.bin", "/h/.cache/uv/archive-v0/x/bin"] {
            assert!(is_passing(Path::new(path)), "{path}");
        }
        for path in ["/h/.local/share/uv/tools/greenroom/bin", "/usr/bin", "/h/npm/bin", "/uv/bin"]
        {
            assert!(!is_passing(Path::new(path)), "{path}");
        }
    }
}
