//! Sets in which one change makes way for another, and other special trees.

use super::builder::Builder;

type Build = fn(&mut Builder);

/// How each is built, by its name.
const TABLE: [(&str, Build); 16] = [
    ("onto-deleted", |builder| {
        builder.file("a", "old a\n");
        builder.file("b", "old b\n");
        builder.delete("a");
        builder.rename("b", "a");
    }),
    ("create-onto-deleted", |builder| {
        builder.file("a", "old a\n");
        builder.file("b", "old b\n");
        builder.delete("a");
        builder.create("a", "new a\n");
        builder.modify("b", "new b\n", 0o644);
    }),
    ("rotation", |builder| {
        for name in ["a", "b", "c"] {
            builder.file(name, &format!("old {name}\n"));
        }
        builder.rename("a", "b");
        builder.rename("b", "c");
        builder.rename("c", "a");
    }),
    ("exchange", |builder| {
        builder.file("a", "old a\n");
        builder.file("d/b", "old b\n");
        builder.rename("a", "d/b");
        builder.rename("d/b", "a");
    }),
    ("file-to-directory", |builder| {
        builder.file("a", "old a\n");
        builder.delete("a");
        builder.create("a/b", "new b\n");
    }),
    ("large", |builder| {
        builder.file("a", &"old line of a\n".repeat(700));
        builder.modify("a", &"new line of a\n".repeat(650), 0o644);
        builder.create("b", &"new line of b\n".repeat(330));
    }),
    ("state-elsewhere", |builder| {
        builder.file("a", "old a\n");
        builder.file("b", "old b\n");
        builder.modify("a", "new a\n", 0o644);
        builder.delete("b");
    }),
    ("empty-files", |builder| {
        builder.file("a", "");
        builder.file("b", "old b\n");
        builder.modify("a", "new a\n", 0o644);
        builder.modify("b", "", 0o644);
        builder.create("c", "");
    }),
    ("links", |builder| {
        builder.link("a", "bystander");
        builder.link("b", "d/gone");
        builder.make_link("a", "d/elsewhere");
        builder.delete("b");
        builder.make_link("d/c", "../bystander");
    }),
    ("link-to-file", |builder| {
        builder.link("a", "bystander");
        builder.file("b", "old b\n");
        builder.modify("a", "new a\n", 0o644);
        builder.make_link("b", "bystander");
    }),
    ("directory-to-file", |builder| {
        builder.dir("g", 0o750);
        builder.dir("g/h", 0o700);
        builder.file("g/a", "old a\n");
        builder.file("g/h/b", "old b\n");
        builder.delete("g/a");
        builder.delete("g/h/b");
        builder.create("g", "new g\n");
    }),
    ("directory-to-link", |builder| {
        builder.dir("g", 0o755);
        builder.file("g/a", "old a\n");
        builder.rename("g/a", "a");
        builder.make_link("g", "a");
    }),
    ("directories", |builder| {
        builder.dir("g", 0o700);
        builder.dir("g/h", 0o711);
        builder.dir("k", 0o755);
        builder.file("g/h/a", "old a\n");
        builder.delete("g/h/a");
        builder.remove_dir("g/h");
        builder.remove_dir("g");
        builder.remove_dir("k");
        builder.make_dir("m/n");
    }),
    ("emptied", |builder| {
        builder.dir("g", 0o700);
        builder.dir("g/h", 0o711);
        builder.file("g/h/a", "old a\n");
        builder.file("g/b", "old b\n");
        builder.rename("g/h/a", "a");
        builder.delete("g/b");
    }),
    ("into-itself", |builder| {
        builder.file("a", "old a\n");
        builder.rename("a", "a/b");
    }),
    ("out-of-itself", |builder| {
        builder.dir("g", 0o700);
        builder.file("g/a", "old a\n");
        builder.rename("g/a", "g");
    }),
];

/// The names, in the order in which the sets are explored.
pub const CHAINS: [&str; TABLE.len()] = {
    let mut names = [""; TABLE.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = TABLE[at].0;
        at += 1;
    }
    names
};

/// How the set of this name is built.
pub(super) fn build(name: &str) -> Option<Build> {
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, build)| *build)
}

/// Whether a set makes symbolic links, which are not made on Windows.
pub(crate) fn makes_links(name: &str) -> bool {
    name.contains("link")
}
