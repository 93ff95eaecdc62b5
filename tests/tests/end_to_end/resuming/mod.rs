//! A view begins with what is pending in its session: what earlier commands wrote, what other doors have
//! proposed, and nothing that was rejected.

mod ignored;
mod kept;
mod killed;

use std::process::Command;

use end_to_end::{Fixture, Ran, output};
use rstest::rstest;

use crate::running::pending;

/// Lists everything that is not private: kind, mode, path, target of a link, then all contents.
const LIST: &str =
    "find . -name .git -prune -o -name '*.log' -prune -o -printf '%y %m %p %l\\n' | sort
    find . -name .git -prune -o -name '*.log' -prune -o -type f -print | sort |
    while read -r file; do echo \"$file:\"; cat \"$file\"; done";

fn run(fixture: &Fixture, view: &str, script: &str) -> Ran {
    let view = if view == "without" { "auto" } else { view };
    fixture.run(["run", "--view", view, "--session", "agent", "--", "sh", "-c", script])
}

fn workspace() -> Option<Fixture> {
    workspace_for("auto")
}

/// A workspace on a machine that allows no view, for `without`.
fn workspace_for(view: &str) -> Option<Fixture> {
    let fixture = Fixture::with_view(if view == "without" { view } else { "auto" })?;
    let files = [
        (".gitignore", "*.log\n"),
        ("f", "one\n"),
        ("g", "one\n"),
        ("d/a", "in d\n"),
        ("d/sub/b", "in d/sub\n"),
        ("mixed/a", "in mixed\n"),
        ("mixed/old.log", "ignored\n"),
    ];
    for (name, content) in files {
        fixture.write(name, content);
    }
    Some(fixture)
}

/// Does what a line says: a command in the view, another door, the reviewer or the user.
fn step(fixture: &Fixture, view: &str, line: &str) {
    let (door, what) = line.split_once(' ').expect("a door and what it does");
    let (path, content) = what.split_once(' ').unwrap_or((what, ""));
    let agent = ["--session", "agent"];
    if door == "user" {
        fixture.write(path, format!("{content}\n"));
        return;
    }
    match door {
        "run" => run(fixture, view, what).expect(0),
        "put" => {
            let content = format!("{content}\n");
            fixture
                .run_with([&["propose", path][..], &agent].concat(), content.as_bytes())
                .expect(0)
        }
        "rm" => fixture.run([&["propose", path, "--delete"][..], &agent].concat()).expect(0),
        "mv" => {
            fixture.run([&["propose", path, "--rename-to", content][..], &agent].concat()).expect(0)
        }
        "reject" if path == "all" => fixture.run(["discard", "agent", "--yes"]).expect(0),
        "reject" => fixture.run(["discard", &id_of(fixture, path), "--yes"]).expect(0),
        "apply" if path == "all" => fixture.run(["apply", "--yes"]).expect(0),
        "apply" => fixture.run(["apply", &id_of(fixture, path), "--yes"]).expect(0),
        _ => panic!("an unknown door: {line}"),
    };
}

fn id_of(fixture: &Fixture, path: &str) -> String {
    let status = fixture.status();
    let sessions = status["sessions"].as_array().expect("a list");
    let mut patches = sessions.iter().flat_map(|session| session["patches"].as_array()).flatten();
    let found = patches.find(|patch| patch["path"] == path).expect("it is pending");
    found["id"].as_str().expect("an id").to_owned()
}

/// A command sees what an apply would make, and what is pending afterwards is what is expected.
fn check(steps: &[&str], expected: &[&str], view: &str) -> Option<(Fixture, String)> {
    let fixture = workspace_for(view)?;
    for line in steps {
        step(&fixture, view, line);
    }
    let before = fixture.tree();
    let listed = run(&fixture, view, LIST).expect(0);
    assert_eq!(fixture.tree(), before, "a command changes no file");
    let status = fixture.run(["status", "--json"]).expect(0);
    assert_eq!(pending(&status.json()), expected, "{}", status.stderr);
    if !expected.is_empty() {
        fixture.run(["apply", "--yes"]).expect(0);
    }
    let applied =
        Ran::from(output(Command::new("sh").args(["-c", LIST]).current_dir(fixture.workspace())));
    let (listed, applied) =
        (String::from_utf8_lossy(&listed.stdout), String::from_utf8_lossy(&applied.stdout));
    assert_eq!(listed, applied, "a command sees what an apply makes: {steps:?}");
    let after = fixture.run(["status", "--json"]).expect(0);
    assert_eq!(pending(&after.json()), [""; 0], "nothing is proposed twice: {}", after.stderr);
    let listed = listed.into_owned();
    Some((fixture, listed))
}

#[rstest]
// What other doors have proposed.
#[case::a_new_file(&["put n new"], &["create n"])]
#[case::a_changed_file(&["put f two"], &["modify f"])]
#[case::a_new_file_in_new_directories(&["put n/m/o new"], &["create n/m/o"])]
#[case::a_deletion(&["rm f"], &["delete f"])]
#[case::a_move(&["mv f h"], &["rename f"])]
#[case::a_move_into_the_place_of_a_deletion(&["rm f", "mv g f"], &["delete f", "rename g"])]
#[case::the_last_files_of_a_directory(&["rm d/a", "rm d/sub/b"], &["delete d/a", "delete d/sub/b"])]
#[case::beside_an_ignored_file(&["rm mixed/a"], &["delete mixed/a"])]
// What a command makes of that.
#[case::changed_again(&["put f two", "run grep -q two f; echo three >> f"], &["modify f"])]
#[case::changed_as_a_whole(&["put f two", "run echo three > t; mv t f"], &["modify f"])]
#[case::a_new_file_changed(&["put n new", "run echo more >> n"], &["create n"])]
#[case::taken_back(&["put f two", "run echo one > f"], &[])]
#[case::a_new_file_removed(&["put n new", "run rm n"], &[])]
#[case::a_changed_file_removed(&["put f two", "run rm f"], &["delete f"])]
#[case::a_removed_file_written(&["rm f", "run test ! -e f; echo three > f"], &["modify f"])]
#[case::a_removed_file_brought_back(&["rm f", "run echo one > f"], &[])]
#[case::a_new_directory_removed(&["put n/m new", "run rm -r n"], &[])]
#[case::a_new_directory_kept_empty(&["put n/m new", "run rm n/m"], &["create n"])]
#[case::a_new_directory_added_to(&["put n/m new", "run echo x > n/o"], &["create n/m", "create n/o"])]
#[case::a_new_directory_replaced(&["put n/m new", "run rm -r n; echo x > n"], &["create n"])]
#[case::a_new_file_replaced_by_a_directory(&["put n new", "run rm n; mkdir n"], &["create n"])]
#[case::a_new_file_replaced_by_a_full_directory(
    &["put n new", "run rm n; mkdir n; echo x > n/m"],
    &["create n/m"]
)]
#[case::a_moved_file_changed(&["mv f h", "run test ! -e f; echo two >> h"], &["rename f"])]
#[case::a_moved_file_removed(&["mv f h", "run rm h"], &["delete f"])]
#[case::a_moved_file_moved_on(&["put n new", "run mv n o"], &["create o"])]
#[case::a_moved_file_replaced_at_its_old_path(&["mv f h", "run echo x > f"], &["create h", "modify f"])]
#[case::an_emptied_directory_made_again(
    &["rm d/a", "rm d/sub/b", "run test ! -e d; mkdir d; echo x > d/n"],
    &["create d/n", "delete d/a", "delete d/sub/b"]
)]
#[case::an_emptied_directory_replaced(
    &["rm d/a", "rm d/sub/b", "run echo x > d"],
    &["create d", "delete d/a", "delete d/sub/b"]
)]
#[case::a_mode(&["put n new", "run chmod 755 n"], &["create n"])]
#[case::only_touched(&["put f two", "run touch f; exec 3<> f"], &["modify f"])]
#[case::a_link(&["put f two", "run ln -sf f l; ln -sf g f"], &["create l", "modify f"])]
// What several commands make.
#[case::of_one_file(&["run echo two >> f", "run echo three >> f"], &["modify f"])]
#[case::removed_and_brought_back(&["run rm f", "run test ! -e f; echo one > f"], &[])]
#[case::created_and_removed(&["run echo x > n", "run rm n"], &[])]
#[case::a_directory_replaced_by_a_file(
    &["run rm -r d; echo x > d", "run echo y >> d"],
    &["create d", "delete d/a", "delete d/sub/b"]
)]
#[case::a_directory_replaced_by_a_file_and_back(
    &["run rm -r d; echo x > d", "run rm d; mkdir -p d/sub; echo in d > d/a; echo in d/sub > d/sub/b"],
    &[]
)]
#[case::a_directory_replaced_by_another_one(
    &["run rm -r d; mkdir d; echo x > d/n", "run echo y >> d/n"],
    &["create d/n", "delete d/a", "delete d/sub/b"]
)]
#[case::a_directory_removed_and_made_again(
    &["run rm -r d", "run mkdir -p d/sub; echo in d > d/a; echo in d/sub > d/sub/b"],
    &[]
)]
#[case::a_directory_moved(
    &["run mv d e", "run echo x >> e/a"],
    &["rename d/a", "rename d/sub/b"]
)]
#[case::an_empty_directory(&["run mkdir n", "run test -d n"], &["create n"])]
#[case::an_empty_directory_filled(&["run mkdir n", "run echo x > n/m"], &["create n", "create n/m"])]
#[case::an_empty_directory_removed(&["run mkdir n", "run rmdir n"], &[])]
#[case::a_link_to_another_file(&["run ln -s f l", "run ln -sfn g l"], &["create l"])]
#[case::a_link_replaced_by_a_file(&["run ln -s f l", "run rm l; echo x > l"], &["create l"])]
// The doors in turn.
#[case::then_another_door(&["run echo two >> f", "put f three"], &["modify f"])]
#[case::in_turn(&["run echo two >> f", "put f three", "run grep -q three f; echo four >> f"], &["modify f"])]
#[case::removed_by_another_door(&["run echo x > n; echo y > m", "rm n"], &["create m"])]
// What the reviewer and the user do.
#[case::rejected(&["run echo two >> f; echo x > n; rm g; mkdir m; ln -s f l", "reject all"], &[])]
#[case::rejected_in_part(&["run echo two >> f; echo x > n", "reject f"], &["create n"])]
#[case::rejected_and_changed_again(
    &["run echo two >> f", "reject all", "run echo three >> f"],
    &["modify f"]
)]
#[case::a_removed_directory_rejected(&["run rm -r d", "reject all"], &[])]
#[case::a_replaced_directory_rejected(&["run rm -r d; echo x > d", "reject all"], &[])]
#[case::a_renewed_directory_rejected(&["run rm -r d; mkdir d; echo x > d/n", "reject all"], &[])]
#[case::applied(&["run echo two >> f; rm g", "apply all"], &[])]
#[case::applied_and_changed_again(
    &["run echo two >> f", "apply all", "run echo three >> f"],
    &["modify f"]
)]
#[case::applied_in_part(&["run echo two >> f; echo x > n", "apply f"], &["create n"])]
#[case::changed_by_the_user(&["run echo two >> f", "user f mine"], &[])]
#[case::changed_by_the_user_and_by_the_next_command(
    &["run echo two >> f", "user f mine", "run grep -q mine f; echo three >> f"],
    &["modify f"]
)]
fn a_command_sees_what_an_apply_makes(
    #[case] steps: &[&str],
    #[case] expected: &[&str],
    #[values("overlay", "copy", "without")] view: &str,
) {
    check(steps, expected, view);
}
