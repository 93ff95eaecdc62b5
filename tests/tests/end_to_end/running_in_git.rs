//! `run` in repositories: ignored files, renamed directories, linked worktrees and submodules.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use end_to_end::{Fixture, Ran, git, output, tree_of};
use rstest::rstest;

use crate::running::pending;
use crate::terminal::with_usual_signals;

const NAMED: [&str; 4] = ["-c", "user.name=a", "-c", "user.email=a@b"];

/// A repository with a commit; none, visibly, where this machine has no view.
fn fixture() -> Option<Fixture> {
    let fixture = Fixture::with_view("auto")?;
    for (name, content) in [("d/f", "f\n"), ("d/deep/g", "g\n"), ("a", "one\n")] {
        fixture.write(name, content);
    }
    commit(&fixture);
    Some(fixture)
}

fn commit(fixture: &Fixture) {
    git(&fixture.workspace(), &["add", "-A"]);
    let commit = [&NAMED[..], &["commit", "--quiet", "-m", "first"]].concat();
    git(&fixture.workspace(), &commit);
}

fn shell(fixture: &Fixture, script: &str) -> Ran {
    fixture.run(["run", "--session", "agent", "--", "sh", "-c", script])
}

#[test]
fn what_tools_write_is_applied_as_they_write_it_without_a_view() {
    let Some(fixture) = fixture() else { return };
    for name in ["packed/one", "packed/deep/two", "py", "back"] {
        fixture.write(name, format!("{name}\n"));
    }
    commit(&fixture);
    let bare = fixture.beside("bare");
    git(&fixture.beside(""), &["clone", "--quiet", "--no-hardlinks", "workspace", "bare"]);
    let script = "set -e; echo two >> a; sed -i s/f/changed/ d/f; printf '%s' 'no newline' > new
        tar -cf t.tar packed; rm -r packed; mkdir un; tar -xf t.tar -C un; rm t.tar
        echo away > back; git checkout --quiet back; git rm --quiet d/deep/g
        perl -pi -e 's/y/why/' py; ln -s a link; chmod 755 a; cp -p a copied; install -m 600 a private";
    let bare_ran = output(std::process::Command::new("sh").args(["-c", script]).current_dir(&bare));
    assert!(bare_ran.status.success(), "{}", String::from_utf8_lossy(&bare_ran.stderr));
    shell(&fixture, script).expect(0);
    fixture.run(["apply", "--yes"]).expect(0);
    let contents = |root: &std::path::Path| {
        let tree = tree_of(root).into_iter().filter(|(path, _)| !path.starts_with(".git"));
        tree.filter_map(|(path, entry)| Some((path, entry.mode, entry.content?)))
            .collect::<Vec<_>>()
    };
    assert_eq!(contents(&fixture.workspace()), contents(&bare));
}

#[rstest]
#[case::moved("mv d e", &["rename d/deep/g", "rename d/f"])]
#[case::moved_and_changed("mv d e; echo two >> e/f", &["create e/f", "delete d/f", "rename d/deep/g"])]
#[case::made_and_moved("mkdir n; echo x > n/f; mv n m", &["create m/f"])]
#[case::by_python("python3 -c 'import shutil; shutil.move(\"d\", \"e\")'", &["rename d/deep/g", "rename d/f"])]
fn a_moved_directory_is_the_moves_of_its_files(#[case] script: &str, #[case] expected: &[&str]) {
    let Some(fixture) = fixture() else { return };
    let before = fixture.tree();
    shell(&fixture, script).expect(0);
    assert_eq!(fixture.tree(), before);
    assert_eq!(pending(&fixture.status()), expected);
    fixture.run(["apply", "--yes"]).expect(0);
}

#[test]
fn git_cannot_move_a_directory_of_the_workspace_and_changes_nothing() {
    let Some(fixture) = fixture() else { return };
    let ran =
        shell(&fixture, "git mv d e; echo code $?; git status --porcelain; git mv a b").expect(0);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "code 128\n", "{}", ran.stderr);
    assert!(ran.stderr.contains("Invalid cross-device link"), "{}", ran.stderr);
    assert_eq!(pending(&fixture.status()), ["rename a"], "a file can be moved");
}

#[test]
fn thousands_of_ignored_files_are_counted_and_changed_ones_are_named() {
    let Some(fixture) = fixture() else { return };
    fixture.write(".gitignore", "node_modules/\n.env\n");
    fixture.write(".env", "KEY=user\n");
    let before = fixture.tree();
    let script = "echo KEY=agent > .env; mkdir -p node_modules/p; cd node_modules/p
        seq 5000 | split -l 1 -a 4 - f; ls | wc -l";
    let ran = shell(&fixture, script).expect(0);
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "5000");
    let counted = "5001 ignored files (";
    assert!(ran.stderr.contains(counted), "{}", ran.stderr);
    assert!(ran.stderr.contains("stay in the session; changed: .env\n"), "{}", ran.stderr);
    assert_eq!(pending(&fixture.status()), [""; 0]);
    assert_eq!(fixture.tree(), before);
}

#[test]
fn a_linked_worktree_keeps_commits_and_pending_patches_for_the_next_command() {
    let Some(fixture) = fixture() else { return };
    let linked = fixture.beside("linked");
    let path = linked.to_str().expect("plain");
    git(&fixture.workspace(), &["worktree", "add", "--quiet", path]);
    let (before, repository) = (tree_of(&linked), fixture.tree());
    let run = |script: &str| {
        let mut command = fixture.command(["run", "--session", "agent", "--", "sh", "-c", script]);
        Ran::from(output(command.current_dir(&linked))).expect(0)
    };
    let pending = || {
        let mut status = fixture.command(["status", "--json"]);
        pending(&Ran::from(output(status.current_dir(&linked))).expect(0).json())
    };
    let commit = "git -c user.name=a -c user.email=a@b commit -qm";
    run(&format!("echo two >> a; git add a; {commit} inside; echo x > n"));
    assert_eq!(pending(), ["create n", "modify a"]);
    let ran =
        run(&format!("git status --porcelain; git add n; {commit} again; git log --format=%s"));
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "?? n\nagain\ninside\nfirst\n");
    assert_eq!(pending(), ["create n", "modify a"]);
    assert_eq!((tree_of(&linked), fixture.tree()), (before, repository));
}

#[test]
fn files_and_commits_of_a_submodule_stay_in_the_session() {
    let Some(fixture) = fixture() else { return };
    let other = Fixture::new();
    other.write("s", "one\n");
    commit(&other);
    let path = other.workspace();
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
    let add = [&add[..], &[path.to_str().expect("plain"), "sub"]].concat();
    git(&fixture.workspace(), &add);
    commit(&fixture);
    let before = fixture.tree();
    let script = "cd sub; echo two >> s; git -c user.name=a -c user.email=a@b commit -qam inside; git log --format=%s";
    let ran = shell(&fixture, script).expect(0);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "inside\nfirst\n");
    assert_eq!(fixture.tree(), before, "its repository is in the `.git` of the workspace");
    let status = fixture.status();
    assert_eq!(pending(&status), ["modify sub/s"], "{status}");
}

#[rstest]
#[case::interrupt("INT", 130)]
#[case::terminate("TERM", 143)]
#[case::hang_up("HUP", 129)]
fn a_signal_before_the_command_begins_keeps_it_from_beginning(
    #[case] signal: &str,
    #[case] expected: i32,
) {
    let Some(fixture) = fixture() else { return };
    // While the workspace is read, git is asked what it tracks.
    let programs = fixture.beside("programs");
    fs::create_dir(&programs).expect("new");
    let git = programs.join("git");
    fs::write(&git, format!("#!/bin/sh\nkill -s {signal} $PPID\n")).expect("new");
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).expect("ours");
    let mut run =
        fixture.command(["run", "--session", "agent", "--", "sh", "-c", "echo x > begun"]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(programs).chain(std::env::split_paths(&path));
    run.env("PATH", std::env::join_paths(path).expect("plain names"));
    with_usual_signals(&mut run);
    let ran = output(&mut run);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(expected), "{errors}");
    assert!(errors.contains("interrupted before the command began"), "{errors}");
    assert_eq!(fixture.pending(), 0);
    // Nothing of it is in the way of the next one.
    shell(&fixture, "echo x > begun").expect(0);
    assert_eq!(pending(&fixture.status()), ["create begun"]);
}
