//! What a workspace says of the names in it.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]

mod common;

use std::os::unix::fs::symlink;

use common::{Fixture, rel};

#[test]
fn the_status_of_many_names_is_that_of_each() {
    let fixture = Fixture::default();
    for name in ["file", "dir/file", "dir/inner/file"] {
        fixture.put(name, b"x");
    }
    symlink("dir", fixture.at("link")).expect("new");
    let paths = [
        "absent/a",
        "absent/b",
        "absent/deeper/c",
        "absent",
        "dir/file",
        "dir/absent/a",
        "dir/absent/b",
        "dir/inner/file",
        "dir/none",
        "file",
        "file/below",
        "file/below/d",
        "link",
        "link/file",
        "link/none",
        "dir",
    ]
    .map(rel);
    let workspace = fixture.open();
    let all = workspace.stat_all(&paths);
    assert_eq!(all.len(), paths.len());
    for (path, found) in paths.iter().zip(all) {
        assert_eq!(format!("{found:?}"), format!("{:?}", workspace.stat(path)), "{path}");
    }
    let are_there =
        workspace.stat_all(&paths).into_iter().filter(|found| matches!(found, Ok(Some(_))));
    assert_eq!(are_there.count(), 5, "file, dir, link, dir/file and dir/inner/file");
}
