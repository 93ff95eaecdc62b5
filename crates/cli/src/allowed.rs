//! Writing an allowed library into the user's configuration, and nothing else of it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use staging_core::{Hosting, TrustedLibrary};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

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
    let is_same = |name: Option<&str>, at: Option<&str>| {
        name == Some(library.name.as_str()) || at == Some(path)
    };
    let blake3 = library.blake3.to_string();
    let mut fields = vec![
        ("name", Value::from(library.name.as_str())),
        ("path", Value::from(path)),
        ("blake3", Value::from(blake3)),
    ];
    if library.hosting == Hosting::InProcess {
        fields.push(("in_process", Value::from(true)));
    }
    let strategies =
        document.entry("strategies").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    match strategies {
        Item::ArrayOfTables(tables) => {
            let text =
                |table: &Table, key| table.get(key).and_then(Item::as_str).map(str::to_owned);
            tables.retain(|table| {
                !is_same(text(table, "name").as_deref(), text(table, "path").as_deref())
            });
            tables.push(fields.into_iter().map(|(key, field)| (key, value(field))).collect());
        }
        Item::Value(Value::Array(array)) => {
            let text =
                |entry: &Value, key| entry.as_inline_table()?.get(key)?.as_str().map(str::to_owned);
            array.retain(|entry| {
                !is_same(text(entry, "name").as_deref(), text(entry, "path").as_deref())
            });
            push(array, fields.into_iter().collect());
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

fn push(array: &mut Array, library: InlineTable) {
    array.push(library);
}

/// The file itself, where its name is a link to it.
#[allow(clippy::disallowed_methods, reason = "the user asked for this line in their configuration")]
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    if let Ok(old) = fs::metadata(&target) {
        new.as_file().set_permissions(old.permissions())?;
    }
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(&target)?;
    fs::File::open(folder)?.sync_all()
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
