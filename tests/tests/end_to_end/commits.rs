//! `session commits`: what a command has committed in its view, for the user's repository.

use std::fs;
use std::path::{Path, PathBuf};

use end_to_end::{Fixture, Ran, git};
use rstest::rstest;
use serde_json::Value;

/// A workspace with a commit, in which a command can run; none where this machine refuses that.
fn fixture(view: &str) -> Option<Fixture> {
    let fixture = Fixture::with_view(view)?;
    fixture.write("a", "one\n");
    git(&fixture.workspace(), &["add", "."]);
    commit(&fixture.workspace());
    Some(fixture)
}

fn commit(directory: &Path) {
    let commit = "-c user.name=a -c user.email=a@b commit --quiet -m first";
    git(directory, &commit.split(' ').collect::<Vec<_>>());
}

/// Runs a script as the agent, which has a name in git.
fn shell(fixture: &Fixture, script: &str) -> Ran {
    let script = format!(
        "set -e; git config user.name 'An Agent'; git config user.email agent@example.org; {script}"
    );
    fixture.run(["run", "--session", "agent", "--", "sh", "-c", &script]).expect(0)
}

fn commits(fixture: &Fixture) -> Value {
    fixture.run(["session", "commits", "agent", "--json"]).expect(0).json()
}

/// The subjects of the commits, the newest first.
fn subjects(listed: &Value) -> Vec<String> {
    let commits = listed["commits"].as_array().expect("a list");
    commits.iter().map(|commit| commit["subject"].as_str().unwrap_or_default().to_owned()).collect()
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

const TWO_COMMITS: &str = "echo two >> a; git commit --quiet -am second
    git checkout --quiet -b topic; echo x > b; git add b; git commit --quiet -m third";

#[rstest]
fn commits_are_listed_and_taken_over_by_a_bundle_or_as_patches(
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = fixture(view) else { return };
    let before = fixture.tree();
    let ran = shell(&fixture, TWO_COMMITS);
    assert!(
        ran.stderr.contains("2 commits in the session: `greenroom session commits s"),
        "{ran:?}"
    );
    let (bundle, patches) = (fixture.beside("bundle"), fixture.beside("patches"));
    let arguments = ["--output", plain(&bundle), "--format-patch", plain(&patches)];
    let listed = fixture.run([&["session", "commits", "agent"], &arguments[..]].concat()).expect(0);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        text.contains(" third (An Agent)\n") && text.contains("refs/heads/topic is "),
        "{text}"
    );
    assert_eq!(fixture.tree(), before, "nothing in the workspace or its repository has changed");
    assert_eq!(subjects(&commits(&fixture)), ["third", "second"]);
    // The user takes them over.
    let workspace = fixture.workspace();
    git(&workspace, &["fetch", "--quiet", plain(&bundle), "refs/heads/*:refs/remotes/agent/*"]);
    let log = git(&workspace, &["log", "--format=%s", "refs/remotes/agent/topic"]);
    assert_eq!(String::from_utf8_lossy(&log), "third\nsecond\nfirst\n");
    git(&workspace, &["fsck", "--strict"]);
    assert_eq!(subjects(&commits(&fixture)), [""; 0], "they are in the repository now");
    let mut names: Vec<PathBuf> = fs::read_dir(&patches)
        .expect("it is there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    names.sort();
    assert_eq!(names.len(), 2);
    let apply: Vec<&str> = "-c user.name=a -c user.email=a@b am --quiet"
        .split(' ')
        .chain(names.iter().map(|name| plain(name)))
        .collect();
    git(&workspace, &apply);
    assert_eq!(fixture.read("b"), b"x\n");
}

#[rstest]
#[case::packed("git gc --quiet; git pack-refs --all")]
#[case::amended("git commit --quiet --amend -m third")]
#[case::on_no_branch("git checkout --quiet --detach; git branch -D topic --quiet")]
#[case::rebased(
    "git checkout --quiet -b other HEAD~1; git cherry-pick topic > /dev/null; git branch -qD topic"
)]
fn commits_are_found_wherever_git_keeps_them(
    #[case] script: &str,
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = fixture(view) else { return };
    shell(&fixture, &format!("{TWO_COMMITS}; {script}"));
    assert_eq!(subjects(&commits(&fixture)), ["third", "second"]);
}

#[rstest]
fn a_session_without_commits_has_none(#[values("auto", "without")] view: &str) {
    let Some(fixture) = fixture(view) else { return };
    let ran = shell(&fixture, "git status > /dev/null; git branch other");
    assert!(!ran.stderr.contains("greenroom session commits"), "{}", ran.stderr);
    let bundle = fixture.beside("bundle");
    let arguments = ["session", "commits", "agent", "--output", plain(&bundle)];
    let listed = fixture.run(arguments).expect(0);
    assert_eq!(listed.stdout, b"no commit is only in the session\n");
    assert!(!bundle.exists());
    fixture.run(["session", "commits", "nobody"]).expect(1);
    let inside = fixture.path("bundle");
    fixture.run(["session", "commits", "agent", "--output", plain(&inside)]).expect(4);
}

#[rstest]
fn a_first_commit_has_nothing_to_come_from(#[values("auto", "without")] view: &str) {
    let Some(fixture) = Fixture::with_view(view) else { return };
    shell(&fixture, "echo x > b; git add b; git commit --quiet -m root");
    let bundle = fixture.beside("bundle");
    fixture.run(["session", "commits", "agent", "--output", plain(&bundle)]).expect(0);
    git(
        &fixture.workspace(),
        &["fetch", "--quiet", plain(&bundle), "refs/heads/*:refs/remotes/agent/*"],
    );
}

/// What an agent can leave in its `.git` for the git of a reviewer; each would create a file.
#[rstest]
#[case::fsmonitor("git config core.fsmonitor \"$EVIL\"")]
#[case::hooks("mkdir -p .git/h; for h in post-checkout reference-transaction pre-push post-index-change; do
    printf '#!/bin/sh\\n%s\\n' \"$EVIL\" > .git/hooks/$h; cp .git/hooks/$h .git/h/; chmod +x .git/hooks/$h .git/h/$h; done
    git config core.hooksPath \"$PWD/.git/h\"")]
#[case::programs("for key in core.pager pager.log pager.bundle core.editor core.sshCommand diff.external core.askPass
    do git config $key \"$EVIL\"; done; git config pager.format-patch true")]
#[case::aliases(
    "for name in log bundle format-patch rev-parse update-ref init check-ref-format
    do git config alias.$name \"!$EVIL\"; done"
)]
#[case::attributes("git config diff.evil.textconv \"$EVIL\"; git config diff.evil.command \"$EVIL\"
    git config filter.evil.smudge \"$EVIL\"; git config filter.evil.clean cat
    echo '* diff=evil filter=evil' > .git/info/attributes
    echo '* diff=evil' > .gitattributes; git add .gitattributes; git commit --quiet -m attributes 2> /dev/null")]
#[case::include(
    "printf '[include]\\n path = /evil\\n[gpg]\\n program = %s\\n' \"$EVIL\" >> .git/config
    git config log.showSignature true || :"
)]
#[case::alternates("mkdir -p .git/objects/info; echo /etc > .git/objects/info/alternates")]
#[case::links(
    "ln -sf /etc/passwd .git/refs/heads/link; ln -s /etc .git/refs/heads/etc
    ln -s /etc/passwd .git/objects/00/00000000000000000000000000000000000000 2> /dev/null || :"
)]
#[case::names("head=$(git rev-parse HEAD); echo $head > '.git/refs/heads/..bad'; echo $head > .git/refs/heads/--output=x
    mkdir -p .git/refs/heads/a; echo $head > .git/refs/heads/a/b; echo junk > .git/refs/heads/junk
    printf '%s refs/heads/a\\n%s --upload-pack=x\\n' $head $head >> .git/packed-refs")]
#[case::pipes(
    "mkfifo .git/refs/heads/pipe; mkfifo .git/objects/pack/pack-0000000000000000000000000000000000000000.pack"
)]
fn nothing_that_the_agent_leaves_runs(
    #[case] script: &str,
    #[values("auto", "without")] view: &str,
) {
    let Some(fixture) = fixture(view) else { return };
    let evil = fixture.beside("evil");
    let script = format!("{TWO_COMMITS}; EVIL='touch {}'; {script}", plain(&evil));
    let script = format!(
        "git config user.name a; git config user.email a@b; {{ {script}; }} > /dev/null 2>&1; \
         rm -f {}; exit 0",
        plain(&evil)
    );
    // The summary at the end of the run counts commits as well.
    fixture.run(["run", "--session", "agent", "--", "sh", "-c", &script]).expect(0);
    let (bundle, patches) = (fixture.beside("bundle"), fixture.beside("patches"));
    let arguments = ["--output", plain(&bundle), "--format-patch", plain(&patches)];
    let listed = fixture.run([&["session", "commits", "agent"], &arguments[..]].concat()).expect(0);
    assert!(!evil.exists(), "{listed:?}");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(text.contains(" third ("), "{text}");
    assert!(!text.contains("root:"), "{text}");
    git(&fixture.workspace(), &["bundle", "verify", "--quiet", plain(&bundle)]);
    let refs = ["refs/heads/topic:refs/remotes/agent/topic"];
    git(&fixture.workspace(), &[&["fetch", "--quiet", plain(&bundle)], &refs[..]].concat());
}
