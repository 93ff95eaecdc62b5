//! `greenroom run` where git keeps the repository outside of the workspace: what the command writes to it
//! stays in the session.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use end_to_end::{Fixture, Ran, Tree, git, greenroom_binary, output, spawn, tree_of};
use rstest::rstest;

/// How the workspace comes to a repository outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    LinkedWorktree,
    BelowTheMainCheckout,
    Submodule,
    WorktreeOfASubmodule,
    LinkedDirectory,
    LinkedParts,
}

/// A workspace whose repository is outside, and that repository.
struct Outside {
    fixture: Fixture,
    workspace: PathBuf,
    repository: PathBuf,
}

const AS_SOMEBODY: [&str; 4] = ["-c", "user.name=a", "-c", "user.email=a@b"];

/// A repository with a commit.
fn repository(directory: &Path) {
    fs::create_dir_all(directory).expect("it is ours");
    git(directory, &["init", "--quiet", "--initial-branch=main"]);
    fs::write(directory.join("a"), "one\n").expect("it is ours");
    git(directory, &["add", "."]);
    git(directory, &[&AS_SOMEBODY[..], &["commit", "--quiet", "-m", "first"]].concat());
}

fn submodule(fixture: &Fixture) {
    repository(&fixture.beside("library"));
    repository(&fixture.beside("above"));
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../library"];
    git(&fixture.beside("above"), &[&add[..], &["sub"]].concat());
    git(&fixture.beside("above"), &[&AS_SOMEBODY[..], &["commit", "-qm", "sub"]].concat());
}

impl Outside {
    /// None, visibly, where this machine refuses a view.
    fn new(layout: Layout) -> Option<Self> {
        drop(Fixture::with_view("overlay")?);
        let fixture = Fixture::new();
        let (here, main) = (fixture.workspace(), fixture.beside("main"));
        fs::remove_dir_all(&here).expect("it is ours");
        let add = |from: &Path, to: &Path| {
            let to = to.to_str().expect("a plain path");
            git(from, &["worktree", "add", "--quiet", "-b", "topic", to]);
        };
        let (workspace, repository) = match layout {
            Layout::LinkedWorktree => {
                repository(&main);
                add(&main, &here);
                (here, main.join(".git"))
            }
            Layout::BelowTheMainCheckout => {
                repository(&main);
                let below = main.join(".agents/worktrees/x");
                add(&main, &below);
                (below, main.join(".git"))
            }
            Layout::Submodule => {
                submodule(&fixture);
                (fixture.beside("above/sub"), fixture.beside("above/.git"))
            }
            Layout::WorktreeOfASubmodule => {
                submodule(&fixture);
                add(&fixture.beside("above/sub"), &here);
                (here, fixture.beside("above/.git"))
            }
            Layout::LinkedDirectory => {
                repository(&here);
                fs::rename(here.join(".git"), &main).expect("moved");
                symlink("../main", here.join(".git")).expect("linked");
                (here, main)
            }
            Layout::LinkedParts => {
                repository(&main);
                fs::create_dir_all(here.join(".git")).expect("it is ours");
                for name in ["objects", "refs", "config", "info"] {
                    symlink(main.join(".git").join(name), here.join(".git").join(name))
                        .expect("linked");
                }
                fs::copy(main.join(".git/HEAD"), here.join(".git/HEAD")).expect("copied");
                git(&here, &["reset", "--quiet", "--hard"]);
                (here, main.join(".git"))
            }
        };
        Some(Self { fixture, workspace, repository })
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.fixture.command(["--workspace"]);
        command.arg(&self.workspace).args(arguments).current_dir(&self.workspace);
        for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
            command.env(name, "An Agent");
        }
        for name in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            command.env(name, "agent@example.org");
        }
        command
    }

    fn greenroom(&self, arguments: &[&str]) -> Ran {
        output(&mut self.command(arguments)).into()
    }

    fn shell(&self, script: &str) -> Ran {
        let script = format!("set -e; {script}");
        self.greenroom(&["run", "--session", "agent", "--", "sh", "-c", &script])
    }

    /// The subjects of the session's commits, the newest first.
    fn commits(&self) -> Vec<String> {
        let listed = self.greenroom(&["session", "commits", "agent", "--json"]).expect(0).json();
        let commits = listed["commits"].as_array().expect("a list").iter();
        commits.map(|commit| commit["subject"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// All that must not change: the repository, and the workspace with its `.git`.
    fn real(&self) -> [Tree; 2] {
        [tree_of(&self.repository), tree_of(&self.workspace)]
    }
}

#[rstest]
fn commits_stay_in_the_session_and_are_taken_over_by_a_bundle(
    #[values(
        Layout::LinkedWorktree,
        Layout::BelowTheMainCheckout,
        Layout::Submodule,
        Layout::WorktreeOfASubmodule,
        Layout::LinkedDirectory,
        Layout::LinkedParts
    )]
    layout: Layout,
    #[values("overlay", "copy")] view: &str,
) {
    let Some(outside) = Outside::new(layout) else { return };
    let before = outside.real();
    let script = "echo two > new; git add new; git commit --quiet -m second
        git stash list; git tag -a -m tagged v1; echo three > other; git add other";
    let arguments = ["run", "--view", view, "--session", "agent", "--", "sh", "-ec", script];
    let ran = outside.greenroom(&arguments).expect(0);
    assert_eq!(outside.real(), before, "the repository, the index and the worktree are as before");
    assert!(ran.stderr.contains("1 commit in the session"), "{}", ran.stderr);
    // The next command goes on from there.
    let ran = outside.shell("git status --porcelain; git log --format=%s; git commit -qm third");
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(text.starts_with("A ") && text.contains("other\nsecond\n"), "{text}{}", ran.stderr);
    outside.shell("git checkout --quiet --detach; git commit --quiet --allow-empty -m loose");
    assert_eq!(outside.commits(), ["loose", "third", "second"]);
    let bundle = outside.fixture.beside("bundle");
    let bundle = bundle.to_str().expect("a plain path");
    outside.greenroom(&["session", "commits", "agent", "--output", bundle]).expect(0);
    assert_eq!(outside.real(), before);
    git(&outside.workspace, &["fsck", "--strict"]);
    git(&outside.workspace, &["fetch", "--quiet", bundle, "refs/heads/*:refs/remotes/agent/*"]);
    let log = git(&outside.workspace, &["log", "--format=%s", "--remotes=agent"]);
    assert!(String::from_utf8_lossy(&log).starts_with("loose\nthird\nsecond\n"), "{log:?}");
    git(&outside.workspace, &["fsck", "--strict"]);
    assert_eq!(outside.commits(), [""; 0], "they are in the repository now");
    outside.greenroom(&["apply", "--yes"]).expect(0);
    assert_eq!(fs::read(outside.workspace.join("new")).expect("applied"), b"two\n");
}

#[test]
fn the_main_checkout_s_files_are_real_and_its_repository_is_not() {
    let Some(outside) = Outside::new(Layout::BelowTheMainCheckout) else { return };
    let before = outside.real();
    let script = "cd ../../..; echo real > real; git add real; git commit --quiet -m main
        git worktree list | wc -l; git gc --quiet";
    let ran = outside.shell(script).expect(0);
    assert_eq!(ran.stdout, b"2\n", "{}", ran.stderr);
    assert_eq!(outside.real(), before);
    let main = outside.fixture.beside("main");
    assert_eq!(fs::read(main.join("real")).expect("written"), b"real\n");
    assert_eq!(git(&main, &["status", "--porcelain"]), b"?? .agents/\n?? real\n");
}

#[test]
fn repositories_of_worktrees_in_the_workspace_are_held_back() {
    let Some(outside) = Outside::new(Layout::LinkedWorktree) else { return };
    let (folder, main) = (outside.fixture.beside("projects"), outside.fixture.beside("main"));
    for name in ["deep/one", "two"] {
        let to = folder.join(name);
        git(&main, &["worktree", "add", "--quiet", to.to_str().expect("a plain path")]);
    }
    let outside = Outside { workspace: folder.clone(), ..outside };
    let before = outside.real();
    let script =
        "for name in deep/one two; do (cd $name; echo x > x; git add x; git commit -qm $name); done
        git -C two rev-list --count one two";
    let ran = outside.shell(script).expect(0);
    assert_eq!(ran.stdout, b"3\n", "{}", ran.stderr);
    let ran = outside.greenroom(&["exec", "--", "sh", "-ec", script]).expect(0);
    assert_eq!(ran.stdout, b"3\n", "{}", ran.stderr);
    assert_eq!(outside.real(), before);
}

#[test]
fn a_trial_s_commits_are_thrown_away() {
    let Some(outside) = Outside::new(Layout::LinkedWorktree) else { return };
    let before = outside.real();
    outside.shell("echo two >> a; git commit --quiet -am session").expect(0);
    for _ in 0..2 {
        let script = "git commit --quiet --allow-empty -m trial; git log --format=%s";
        let ran = outside.greenroom(&["exec", "--", "sh", "-ec", script]).expect(0);
        assert_eq!(ran.stdout, b"trial\nfirst\n", "{}", ran.stderr);
    }
    assert_eq!(outside.real(), before);
}

#[test]
fn a_command_that_joins_and_one_that_was_killed_keep_their_commits() {
    let Some(outside) = Outside::new(Layout::LinkedWorktree) else { return };
    let before = outside.real();
    let script = "git commit --quiet --allow-empty -m first-of-two; echo reached; read x";
    let mut command = outside.command(["run", "--session", "agent", "--", "sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut first = spawn(&mut command);
    let mut line = String::new();
    let output = first.stdout.take().expect("it is piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).expect("it lives");
    assert_eq!(line, "reached\n");
    let ran = outside.shell("git commit --quiet --allow-empty -m joined; git log --format=%s");
    assert!(ran.stdout.starts_with(b"joined\nfirst-of-two\n"), "{}", ran.stderr);
    first.kill().expect("it lives");
    first.wait().expect("it has ended");
    assert_eq!(outside.commits(), ["joined", "first-of-two"]);
    outside.shell("git commit --quiet --allow-empty -m later").expect(0);
    assert_eq!(outside.commits(), ["later", "joined", "first-of-two"]);
    assert_eq!(outside.real(), before);
}

#[test]
fn a_confined_command_commits_in_its_session() {
    let Some(outside) = Outside::new(Layout::BelowTheMainCheckout) else { return };
    let before = outside.real();
    let script =
        "git commit --quiet --allow-empty -m confined; cd ../../..; touch real || echo refused";
    let arguments = ["run", "--session", "agent", "--confine", "--", "sh", "-c", script];
    let ran = outside.greenroom(&arguments).expect(0);
    // The temporary directory, which is below, stays writable.
    assert!(matches!(&ran.stdout[..], b"" | b"refused\n"), "{}", ran.stderr);
    assert_eq!(outside.commits(), ["confined"]);
    assert_eq!(outside.real(), before);
}

#[rstest]
#[case::by_the_file("echo \"gitdir: $PWD/fake\" > .git; git init -q --bare fake")]
#[case::by_the_common_directory("echo ../../objects > $(git rev-parse --git-dir)/commondir")]
#[case::by_a_link("cd \"$(git rev-parse --git-common-dir)\"; mv refs old; ln -s /tmp refs")]
#[case::by_moving_it("cd \"$(git rev-parse --git-common-dir)\"/..; mv .git moved; mkdir .git")]
#[case::by_moving_it_with_its_directory(
    "cd \"$(git rev-parse --git-common-dir)\"/..; mv . ../x; mv ../main ../x"
)]
#[case::by_unmounting("umount -l \"$(git rev-parse --git-common-dir)\"")]
#[case::in_namespaces_of_its_own(
    "D=$(git rev-parse --git-common-dir); unshare -Urm sh -c 'umount -l \"$1\"; echo x > \"$1/x\"' . $D"
)]
fn a_command_cannot_redirect_what_is_held_back(#[case] script: &str) {
    let Some(outside) = Outside::new(Layout::LinkedWorktree) else { return };
    let before = outside.real();
    let script =
        format!("({script}) 2> /dev/null; :; git commit -q --allow-empty -m x 2> /dev/null");
    let _ = outside.greenroom(&["run", "--session", "agent", "--", "sh", "-c", &script]);
    assert_eq!(outside.real(), before);
    // The next command, and the list of commits, are not led elsewhere either.
    let ran = outside.greenroom(&["run", "--", "sh", "-c", "git commit -q --allow-empty -m y"]);
    ran.expect(0);
    outside.greenroom(&["session", "commits", "agent"]).expect(0);
    assert_eq!(outside.real(), before);
}

#[rstest]
#[case::nothing("gitdir: ../nothing\n")]
#[case::no_repository("gitdir: ../home\n")]
#[case::the_root("gitdir: /\n")]
#[case::no_file_of_git("something else\n")]
#[case::itself("gitdir: .git\n")]
#[case::too_long(&"x".repeat(10_000))]
fn a_file_that_names_no_repository_holds_nothing_back(#[case] content: &str) {
    let Some(fixture) = Fixture::with_view("overlay") else { return };
    fs::remove_dir_all(fixture.path(".git")).expect("it is ours");
    fixture.write(".git", content);
    // The tests may run in a view themselves.
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("Linux has it");
    let outside = mounts.lines().filter(|mount| mount.contains("overlay")).count();
    let script = "grep -c overlay /proc/self/mountinfo; echo x > ../home/x";
    let ran = fixture.run(["run", "--", "sh", "-c", script]).expect(0);
    let inside = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(inside.trim_end(), (outside + 1).to_string(), "{}", ran.stderr);
    assert!(fixture.beside("home/x").exists());
}

#[test]
fn a_repository_that_holds_the_workspace_can_be_read_and_not_written() {
    let Some(outside) = Outside::new(Layout::LinkedWorktree) else { return };
    let bare = outside.fixture.beside("bare.git");
    let (from, to) = (outside.fixture.beside("main"), bare.to_str().expect("a plain path"));
    git(&from, &["clone", "--quiet", "--bare", ".", to]);
    git(&bare, &["worktree", "add", "--quiet", "main"]);
    git(&bare, &["worktree", "add", "--quiet", "-b", "other", "other"]);
    let (workspace, repository) = (bare.join("main"), bare.clone());
    let outside = Outside { fixture: outside.fixture, workspace, repository };
    let before = outside.real();
    let script = "git log --format=%s; echo two > a; git commit -qam second || echo refused";
    let ran = outside.shell(script).expect(0);
    assert_eq!(ran.stdout, b"first\nrefused\n", "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot write to it: it holds the workspace"), "{}", ran.stderr);
    assert_eq!(outside.real(), before);
    outside.greenroom(&["apply", "--yes"]).expect(0);
    assert_eq!(fs::read(outside.workspace.join("a")).expect("applied"), b"two\n");
}

#[test]
fn a_repository_with_a_mount_in_it_can_be_read_and_not_written() {
    let Some(outside) = Outside::new(Layout::LinkedWorktree) else { return };
    if fs::metadata(&outside.workspace).is_ok_and(|found| found.uid() != 0) {
        println!("skipped: only root can mount");
        return;
    }
    let before = outside.real();
    let script = "mount -t tmpfs none ../main/.git/info
        \"$GR\" run -- sh -c 'git log --format=%s; git commit -q --allow-empty -m x || echo refused'";
    let command = outside.command([""; 0]);
    let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-ec", script]).envs(variables);
    unshare.env("GR", greenroom_binary()).current_dir(&outside.workspace);
    let ran = Ran::from(output(&mut unshare)).expect(0);
    assert_eq!(ran.stdout, b"first\nrefused\n", "{}", ran.stderr);
    assert!(ran.stderr.contains("and cannot write to it: "), "{}", ran.stderr);
    assert_eq!(outside.real(), before);
}
