//! Writing an allowed library into the user's configuration, and nothing else of it.

use std::io;
use std::path::Path;

use staging_core::{Hosting, TrustedLibrary};
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value, value};

use crate::config_file::replace;
use crate::failure::Failure;
use crate::files::read_settings;
use crate::paths::shown;

/// Adds the library, in the place of one of the same name or path; has it chosen if that is asked
/// for. Comments and everything else stay as they are.
///
/// # Durability
///
/// The file is replaced whole, by a rename, and is on the disk on return.
pub(crate) fn write(file: &Path, library: &TrustedLibrary, choose: bool) -> Result<(), Failure> {
    let failed = |source: io::Error| {
        Failure::io(format_args!("cannot change the configuration `{}`", shown(file)), &source)
    };
    let text = match read_settings(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let text = with_library(&text, library, choose).map_err(|why| {
        Failure::usage(format!("the configuration `{}`: {why}", shown(file)))
            .advise("Correct the file and allow the plugin again.")
    })?;
    replace(file, &text).map_err(failed)
}

fn with_library(text: &str, library: &TrustedLibrary, choose: bool) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let path = library.path.to_str().ok_or("a path that is not UTF-8 cannot be written there")?;
    let is_same = |entry: &dyn TableLike| {
        let text = |key| entry.get(key).and_then(Item::as_str);
        text("name") == Some(library.name.as_str()) || text("path") == Some(path)
    };
    let mut fields = InlineTable::new();
    fields.insert("name", library.name.as_str().into());
    fields.insert("path", path.into());
    fields.insert("blake3", library.blake3.to_string().into());
    if library.hosting == Hosting::InProcess {
        fields.insert("in_process", true.into());
    }
    let strategies =
        document.entry("strategies").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    match strategies {
        Item::ArrayOfTables(tables) => {
            tables.retain(|table| !is_same(table));
            tables.push(fields.into_table());
        }
        Item::Value(Value::Array(array)) => {
            array.retain(|entry| !entry.as_inline_table().is_some_and(|entry| is_same(entry)));
            array.push(fields);
        }
        _ => return Err("`strategies` is not a list".to_owned()),
    }
    if choose {
        let diff = document.entry("diff").or_insert_with(|| Item::Table(Table::new()));
        let diff = diff.as_table_like_mut().ok_or("`diff` is not a table")?;
        diff.insert("strategy", value(library.name.as_str()));
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rstest::rstest;

    use super::*;

    const HEX: &str = "abababababababababababababababababababababababababababababababab";

    fn library(name: &str, path: &str) -> TrustedLibrary {
        let blake3 = HEX.parse().expect("64 hex digits");
        TrustedLibrary {
            name: name.to_owned(),
            path: PathBuf::from(path),
            blake3,
            hosting: Hosting::Child,
        }
    }

    #[test]
    fn a_new_configuration_holds_the_library() {
        let text = with_library("", &library("mine", "/lib/mine.so"), true).expect("it is empty");
        let expected = format!(
            "[[strategies]]\nname = \"mine\"\npath = \"/lib/mine.so\"\nblake3 = \"{HEX}\"\n\n\
             [diff]\nstrategy = \"mine\"\n"
        );
        assert_eq!(text, expected);
    }

    #[rstest]
    #[case::tables("# mine\n[session] # short\nexpires_after = \"1h\"\n")]
    #[case::inline(
        "# mine\nstrategies = [{ name = \"a\", path = \"/a.so\", blake3 = \"\" }] # b\n"
    )]
    fn what_else_is_there_stays(#[case] text: &str) {
        let once =
            with_library(text, &library("mine", "/lib/mine.so"), false).expect("it is right");
        assert!(text.lines().all(|line| once.contains(line.split(" }").next().expect("one"))));
        let twice = with_library(&once, &library("mine", "/lib/mine.so"), false);
        assert_eq!(twice.expect("still right"), once, "the same library once");
        let renamed = with_library(&once, &library("ours", "/lib/mine.so"), false);
        let renamed = renamed.expect("still right");
        assert!(renamed.contains("ours") && !renamed.contains("\"mine\""), "{renamed}");
    }

    #[test]
    fn what_is_no_list_is_not_touched() {
        let refused = with_library("strategies = 1\n", &library("a", "/a.so"), false);
        assert_eq!(refused, Err("`strategies` is not a list".to_owned()));
    }
}
