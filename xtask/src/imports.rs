//! Which file of a crate imports from which: modules are files, and names are followed to theirs.
//!
//! A file imports from another one when it names an item that is defined there: by a `use`, or by a
//! path such as `crate::a::f` or, for a module of its own, `a::f`. A name that a module re-exports
//! leads to the file that defines it, and re-exporting alone is not importing. Items under
//! `#[cfg(test)]` are skipped.
//!
//! # Limitations
//! Macros are not expanded, and the types of method calls are not known.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::files::File;
use crate::tokens::is_punct;

/// The files that each file imports from.
pub(crate) type Imports = BTreeMap<String, BTreeSet<String>>;

/// The imports of the crate whose root is the file `root`, one of `files`.
pub(crate) fn of_crate(files: &[File], root: &str) -> Imports {
    let sources = files.iter().filter_map(|file| Some((file.path.as_str(), file.text()?)));
    let mut tree = Tree { sources: sources.collect(), modules: BTreeMap::new() };
    tree.add_file(Vec::new(), root, folder_of(root));
    tree.imports()
}

/// The names of a module and those above it; the crate's root has none.
type Path = Vec<String>;

/// The modules of a crate, those inside of files included.
struct Tree<'files> {
    sources: BTreeMap<&'files str, &'files str>,
    modules: BTreeMap<Path, Module>,
}

#[derive(Default)]
struct Module {
    file: String,
    /// The modules that it declares, with the path that an attribute gives, and the body.
    children: Vec<(String, Option<String>, Option<TokenStream>)>,
    /// Other items that it defines, and those that they define.
    items: BTreeSet<String>,
    /// Names that it imports or re-exports, and what they stand for.
    aliases: BTreeMap<String, Path>,
    /// The aliases that are re-exported.
    exports: BTreeSet<String>,
    /// Where everything is imported or re-exported from.
    globs: Vec<Path>,
    /// Paths by which it imports.
    paths: BTreeSet<Path>,
    /// First words of all paths.
    mentioned: BTreeSet<String>,
}

impl Tree<'_> {
    /// Adds the module `path` that is the source `file`; modules that it declares are in `folder`.
    fn add_file(&mut self, path: Path, file: &str, folder: &str) {
        let stream = self.sources.get(file).and_then(|text| text.parse().ok());
        self.add(path, file, folder, stream.unwrap_or_default());
    }

    fn add(&mut self, path: Path, file: &str, folder: &str, stream: TokenStream) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        module.read(stream);
        for (name, given, body) in std::mem::take(&mut module.children) {
            let inside = [path.as_slice(), std::slice::from_ref(&name)].concat();
            let below = join(folder, &name);
            if let Some(body) = body {
                self.add(inside, file, &below, body);
                continue;
            }
            let given = given.map(|given| join(folder_of(file), &given));
            let usual = [format!("{below}.rs"), format!("{below}/mod.rs")];
            let places = given.into_iter().chain(usual);
            let place = places.into_iter().find(|place| self.sources.contains_key(place.as_str()));
            if let Some(file) = place {
                self.add_file(inside, &file, &below);
            }
        }
        self.modules.insert(path, module);
    }

    fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (path, module) in &self.modules {
            let used = module.exports.intersection(&module.mentioned);
            let used = used.filter_map(|name| module.aliases.get(name));
            let found = module.paths.iter().chain(used).filter_map(|to| self.resolve(path, to, 0));
            let others = found.map(|found| found.file.clone()).filter(|file| *file != module.file);
            imports.entry(module.file.clone()).or_default().extend(others);
        }
        imports
    }

    /// The module that `target`, as it is written in the module `from`, is or is defined in;
    /// nothing for what another crate defines.
    fn resolve(&self, from: &[String], target: &[String], depth: usize) -> Option<&Module> {
        // Modules can re-export each other's names in a circle.
        if depth > 16 {
            return None;
        }
        let mut at = from.to_vec();
        for (index, name) in target.iter().enumerate() {
            match name.as_str() {
                "crate" => at.clear(),
                "super" => drop(at.pop()),
                "self" => {}
                _ => {
                    at.push(name.clone());
                    if self.modules.contains_key(&at) {
                        continue;
                    }
                    at.pop();
                    let module = self.modules.get(&at)?;
                    let follow = |start: &Path, from: usize| {
                        self.resolve(&at, &[start, &target[from..]].concat(), depth + 1)
                    };
                    return if module.items.contains(name) {
                        Some(module)
                    } else if let Some(alias) = module.aliases.get(name) {
                        follow(alias, index + 1)
                    } else if index == 0 {
                        None
                    } else {
                        let mut through =
                            module.globs.iter().filter_map(|glob| follow(glob, index));
                        through.find(|found| found.items.contains(name)).or(Some(module))
                    };
                }
            }
        }
        self.modules.get(&at)
    }
}

const ITEMS: [&str; 9] =
    ["const", "enum", "fn", "macro_rules", "static", "struct", "trait", "type", "union"];

impl Module {
    /// Reads what a module, or something in it, holds.
    fn read(&mut self, stream: TokenStream) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let (mut at, mut given) = (0, None);
        while let Some(tree) = trees.get(at) {
            let rest = &trees[at + 1..];
            match (tree, rest) {
                (hash, [TokenTree::Group(attribute), ..]) if is_punct(hash, '#') => {
                    given = path_attribute(attribute).or(given);
                    at += 2 + if is_for_tests(attribute) { item_length(&rest[1..]) } else { 0 };
                    continue;
                }
                (TokenTree::Group(group), _) => self.read(group.stream()),
                (TokenTree::Ident(word), [TokenTree::Ident(name), after @ ..]) if word == "mod" => {
                    let body = match after.first() {
                        Some(TokenTree::Group(body)) => Some(body.stream()),
                        _ => None,
                    };
                    self.children.push((name.to_string(), given.take(), body));
                    at += 3;
                    continue;
                }
                (TokenTree::Ident(word), _) if word == "use" => {
                    let length = item_length(rest);
                    self.read_use(&rest[..length], &[], is_visibility(&trees[..at]));
                    at += 1 + length;
                    continue;
                }
                (TokenTree::Ident(word), _) => {
                    if ITEMS.contains(&word.to_string().as_str()) {
                        let name = rest.iter().find(|tree| !is_punct(tree, '!'));
                        self.items.extend(name.and_then(ident));
                    }
                    at += self.read_path(word.to_string(), rest);
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Reads a path that begins with `first`; how many of the trees after it belong to it.
    fn read_path(&mut self, first: String, mut after: &[TokenTree]) -> usize {
        let (mut path, length) = (vec![first], after.len());
        while let [one, two, name, rest @ ..] = after
            && is_punct(one, ':')
            && is_punct(two, ':')
            && let Some(name) = ident(name)
        {
            path.push(name);
            after = rest;
        }
        self.mentioned.insert(path[0].clone());
        if path.len() > 1 {
            self.paths.insert(path);
        }
        length - after.len()
    }

    /// Reads what follows `use`, or a branch of it that the names `before` lead to.
    fn read_use(&mut self, trees: &[TokenTree], before: &[String], is_export: bool) {
        let mut path = before.to_vec();
        for (at, tree) in trees.iter().enumerate() {
            match tree {
                TokenTree::Group(group) => {
                    let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in branches.split(|tree| is_punct(tree, ',')) {
                        self.read_use(branch, &path, is_export);
                    }
                    return;
                }
                TokenTree::Ident(word) if word == "as" => {
                    let name = trees.get(at + 1).and_then(ident);
                    return self.add_use(name, path, is_export);
                }
                TokenTree::Ident(word) => path.push(word.to_string()),
                star if is_punct(star, '*') => {
                    self.globs.push(path.clone());
                    return self.add_use(None, path, is_export);
                }
                _ => {}
            }
        }
        // An empty branch comes after a comma at the end.
        if path.len() > before.len() {
            path.pop_if(|last| last == "self" && !before.is_empty());
            self.add_use(path.last().cloned(), path, is_export);
        }
    }

    fn add_use(&mut self, name: Option<String>, path: Path, is_export: bool) {
        if is_export {
            self.exports.extend(name.clone());
        } else {
            self.paths.insert(path.clone());
        }
        self.aliases.extend(name.map(|name| (name, path)));
    }
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn ident(tree: &TokenTree) -> Option<String> {
    match tree {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

/// Whether `trees` end in `pub` or `pub(…)`.
fn is_visibility(trees: &[TokenTree]) -> bool {
    let trees = match trees {
        [before @ .., TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => {
            before
        }
        _ => trees,
    };
    trees.last().and_then(ident).is_some_and(|word| word == "pub")
}

/// How many trees belong to the item at the start: up to a `;` or a body.
fn item_length(trees: &[TokenTree]) -> usize {
    let is_body = |tree: &TokenTree| matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let ends = |at: &usize| {
        is_punct(&trees[*at], ';')
            || is_body(&trees[*at]) && !trees.get(at + 1).is_some_and(|next| is_punct(next, ';'))
    };
    (0..trees.len()).find(ends).map_or(trees.len(), |last| last + 1)
}

fn is_for_tests(attribute: &Group) -> bool {
    attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// The file that `path = "file"` names.
fn path_attribute(attribute: &Group) -> Option<String> {
    let trees: Vec<TokenTree> = attribute.stream().into_iter().collect();
    match &trees[..] {
        [TokenTree::Ident(name), _, TokenTree::Literal(file)] if name == "path" => {
            Some(file.to_string().trim_matches('"').to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the imports of a crate of `a/lib.rs` and of files of modules beside it.
    fn check(sources: &[(&str, &str)], expected: &[&str]) {
        let file = |(path, text): &(&str, &str)| {
            let bytes = text.as_bytes().to_vec();
            File { path: format!("a/{path}"), bytes }
        };
        let files: Vec<File> = sources.iter().map(file).collect();
        let imports = of_crate(&files, "a/lib.rs");
        let arrows = imports.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
        let arrows: Vec<String> =
            arrows.map(|(from, to)| format!("{} {}", &from[2..], &to[2..])).collect();
        assert_eq!(arrows, expected, "the imports of {sources:?}");
    }

    #[test]
    fn uses_and_paths_are_imports() {
        let root = ("lib.rs", "mod b; mod c; mod d;");
        let b = ("b.rs", "use crate::{c::{self as other, X}, d};");
        check(&[root, b, ("c.rs", ""), ("d.rs", "")], &["b.rs c.rs", "b.rs d.rs"]);
        let b = ("b.rs", "fn f() { assert!(crate::c::g(super::d::h)); std::c::x(); }");
        check(&[root, b, ("c.rs", ""), ("d.rs", "")], &["b.rs c.rs", "b.rs d.rs"]);
    }

    #[test]
    fn a_file_and_its_modules_are_different_files() {
        let b = ("b.rs", "mod e; struct B; fn f() { e::g() }");
        let e = ("b/e.rs", "use super::B; mod inside { use super::super::B; }");
        check(&[("lib.rs", "mod b;"), b, e], &["b.rs b/e.rs", "b/e.rs b.rs"]);
        let given = ("lib.rs", r#"#[path = "x/y.rs"] mod b; use b::B;"#);
        check(&[given, ("x/y.rs", "")], &["lib.rs x/y.rs"]);
        check(&[("lib.rs", "mod b; use b::*;"), ("b/mod.rs", "")], &["lib.rs b/mod.rs"]);
    }

    #[test]
    fn a_re_exported_name_leads_to_the_file_that_defines_it() {
        let b = ("b.rs", "use crate::{C, D};");
        let rest = [b, ("c.rs", "pub struct C;"), ("d.rs", "pub struct D;")];
        let root = ("lib.rs", "mod b; mod c; mod d; pub use c::C; pub(crate) use d::*;");
        check(&[&[root], &rest[..]].concat(), &["b.rs c.rs", "b.rs d.rs"]);
        let root = ("lib.rs", "mod b; mod c; mod d; pub use c::C; use d::D; fn f(_: C) {}");
        let used = ["b.rs c.rs", "b.rs d.rs", "lib.rs c.rs", "lib.rs d.rs"];
        check(&[&[root], &rest[..]].concat(), &used);
    }

    #[test]
    fn tests_and_other_crates_import_nothing() {
        let root = ("lib.rs", "mod b; use std::b; use serde::{b, c};");
        let b = ("b.rs", "#[cfg(test)] use crate::f; #[cfg(test)] mod tests { use crate::f; }");
        check(&[root, b], &[]);
    }

    #[test]
    fn names_that_are_re_exported_in_a_circle_end() {
        let b = ("b.rs", "pub use crate::c::X;");
        let c = ("c.rs", "pub use crate::b::X; fn f(_: X) {}");
        check(&[("lib.rs", "mod b; mod c;"), b, c], &[]);
    }
}
